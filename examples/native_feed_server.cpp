// A server that feeds messages as fast as the client takes them, and says at the end what it sent:
// it closes with the reason "messages=<count> bytes=<count> sha256=<hex>". Ctrl-C ends it.
//
//   build/release/examples/native_feed_server 8080 &
//   build/release/examples/feed_client 'ws://localhost:8080/feed?seconds=3'
//
// With --certificate and --key (PEM files) it speaks TLS: wss://, and --ca for the client.
//
// /feed?seconds=3 or ?messages=1000: a mix of text (ASCII and not), binary, empty and fragmented
// messages. /echo: every message comes back. examples/peers has the same server twice, on Python's
// websockets and on node-ws, and scripts/demo runs any of the three.

#include <sluice/sluice.hpp>

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace {

using std::chrono::steady_clock;

struct message {
  sluice::message_type type = sluice::message_type::binary;
  std::vector<std::string> fragments;
};

std::string repeated(const std::string& text, int times) {
  std::string made;
  while (times-- > 0) {
    made += text;
  }
  return made;
}

// Bytes that differ from place to place, so that a lost or doubled piece shows.
std::string pattern(std::size_t count) {
  std::string made(count, '\0');
  for (std::size_t i = 0; i < count; ++i) {
    made[i] = static_cast<char>(i * 167 + (i >> 8) * 13 + 7);
  }
  return made;
}

// What the feed repeats: sizes around every border of the frame header, characters of one to four
// bytes, cut in the middle where a message is fragmented.
std::vector<message> feed_mix() {
  const std::string greeting = "Gr\xC3\xBC\xC3\x9F"
                               "e, \xCE\xBA\xCE\xB1\xCE\xBB\xCE\xB7\xCE\xBC\xCE\xAD\xCF\x81\xCE\xB1"
                               ", \xE3\x81\x93\xE3\x82\x93, \xF0\x9F\x8C\x8A. ";
  std::string numbers;
  for (int i = 0; i < 20'000; ++i) {
    numbers += std::to_string(i) + ' ';
  }
  const std::string block = pattern(65'536);
  std::vector<message> mix;
  const auto add = [&mix](sluice::message_type type, std::vector<std::string> fragments) {
    mix.push_back({type, std::move(fragments)});
  };
  constexpr auto text = sluice::message_type::text;
  constexpr auto binary = sluice::message_type::binary;
  for (int i = 0; i < 16; ++i) {
    add(text, {"tick " + std::to_string(i)});
    add(binary, {block.substr(0, static_cast<std::size_t>(i) * 25)});
  }
  add(binary, {pattern(125)});
  add(binary, {pattern(126)});
  add(text, {repeated(greeting, 40)});
  add(binary, {block});
  add(text, {greeting.substr(0, 3), "", greeting.substr(3), repeated(greeting, 300), "the end"});
  add(binary, {repeated(block, 4)});
  add(text, {numbers.substr(0, 65'535)});
  add(binary, {block.substr(0, 1000), block.substr(1000, 29'000), block.substr(30'000)});
  add(text, {repeated(greeting, 2000)});
  add(binary, {repeated(block, 16)});
  add(text, {numbers, repeated(greeting, 500)});
  return mix;
}

// SHA-256 over every message: payload, then one byte for its kind, then its length in 8 bytes.
class message_digest {
public:
  void fragment(std::string_view payload) noexcept {
    EVP_DigestUpdate(context_.get(), payload.data(), payload.size());
    message_bytes_ += payload.size();
  }
  void end_of_message(bool text) noexcept {
    std::array<char, 9> tail = {text ? 't' : 'b'};
    for (std::size_t i = 8; i >= 1; --i, message_bytes_ >>= 8) {
      tail[i] = static_cast<char>(message_bytes_ & 0xff);
    }
    EVP_DigestUpdate(context_.get(), tail.data(), tail.size());
    message_bytes_ = 0;
  }
  void finish(char (&hex)[65]) noexcept {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr);
    for (std::size_t i = 0; i < 32; ++i) {
      std::snprintf(hex + 2 * i, 3, "%02x", unsigned{digest[i]});
    }
  }
  [[nodiscard]] bool start() noexcept {
    return context_ != nullptr && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1;
  }

private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_{EVP_MD_CTX_new(),
                                                                   &EVP_MD_CTX_free};
  std::uint64_t message_bytes_ = 0;
};

// One connection that is fed.
class feed final : public sluice::connection_handler {
public:
  feed(const std::vector<message>& mix, std::uint64_t messages, double seconds)
      : mix_(mix), limit_(messages),
        end_(seconds > 0 ? steady_clock::now() + std::chrono::duration_cast<steady_clock::duration>(
                                                     std::chrono::duration<double>(seconds))
                         : steady_clock::time_point::max()) {}

  // Fills the send queue; goes on when half of it has left.
  void send_more(sluice::connection& to) noexcept {
    while (fragment_ != 0 || (sent_ < limit_ && steady_clock::now() < end_)) {
      const message& now = mix_[sent_ % mix_.size()];
      const std::string& payload = now.fragments[fragment_];
      const bool last = fragment_ + 1 == now.fragments.size();
      const auto* const bytes = reinterpret_cast<const std::byte*>(payload.data());
      const sluice::error failed = to.send_fragment(now.type, {bytes, payload.size()}, last);
      if (failed == sluice::error::would_block || failed == sluice::error::invalid_state) {
        return; // on_writable follows; or the client closes, and nothing more is due
      }
      if (failed != sluice::error::none) {
        to.abort();
        return;
      }
      digest_.fragment(payload);
      bytes_ += payload.size();
      fragment_ = last ? 0 : fragment_ + 1;
      if (last) {
        digest_.end_of_message(now.type == sluice::message_type::text);
        ++sent_;
      }
    }
    char hex[65];
    digest_.finish(hex);
    char reason[124];
    std::snprintf(reason, sizeof reason, "messages=%llu bytes=%llu sha256=%s",
                  static_cast<unsigned long long>(sent_), static_cast<unsigned long long>(bytes_),
                  hex);
    to.close(sluice::close_status::normal, reason);
  }

  [[nodiscard]] bool start() noexcept { return digest_.start(); }

private:
  void on_writable(sluice::connection& to) noexcept override { send_more(to); }
  void on_close(sluice::connection&, const sluice::close_event&) noexcept override { delete this; }

  const std::vector<message>& mix_;
  std::uint64_t limit_;
  steady_clock::time_point end_;
  std::uint64_t sent_ = 0;
  std::uint64_t bytes_ = 0;
  std::size_t fragment_ = 0; // of mix_[sent_], the next to be sent
  message_digest digest_;
};

// The value behind `name=`, or `otherwise`.
double parameter(std::string_view target, std::string_view name, double otherwise) {
  const std::size_t at = target.find(std::string(name) + '=');
  return at == std::string_view::npos
             ? otherwise
             : std::max(0.0, std::atof(std::string(target.substr(at + name.size() + 1)).c_str()));
}

// Looks at the path; serves /echo itself and hands a connection for /feed to a handler of its own.
class doorman final : public sluice::connection_handler {
  sluice::upgrade_decision on_upgrade(sluice::connection& asking,
                                      const sluice::upgrade_request& request) noexcept override {
    const std::string_view path = request.target().substr(0, request.target().find('?'));
    if (path == "/echo") {
      return sluice::upgrade_decision::accept();
    }
    if (path != "/feed") {
      return sluice::upgrade_decision::refuse(404);
    }
    try {
      const double seconds = parameter(request.target(), "seconds", 0);
      const double messages = parameter(request.target(), "messages", seconds > 0 ? 1e18 : 1000);
      auto made = std::make_unique<feed>(mix_, static_cast<std::uint64_t>(std::min(messages, 1e18)),
                                         seconds);
      if (made->start()) {
        asking.set_user_data(made.release());
        return sluice::upgrade_decision::accept();
      }
    } catch (const std::bad_alloc&) { // what follows
    }
    return sluice::upgrade_decision::refuse(503);
  }
  void on_open(sluice::connection& opened, std::string_view) noexcept override {
    if (auto* const fed = static_cast<feed*>(opened.user_data()); fed != nullptr) {
      opened.set_handler(*fed);
      fed->send_more(opened);
    }
  }
  void on_message(sluice::connection& from, const sluice::view& message) noexcept override {
    if (from.send(message.type(), message.bytes()) == sluice::error::would_block) {
      from.close(sluice::close_status::policy_violation, "reads too slowly");
    }
  }
  // A connection that was accepted and never opened.
  void on_close(sluice::connection& closed, const sluice::close_event&) noexcept override {
    delete static_cast<feed*>(closed.user_data());
  }

  std::vector<message> mix_ = feed_mix();
};

sluice::loop* running = nullptr;

} // namespace

// [--certificate <file> --key <file>] [port]
int main(int argc, char** argv) {
  sluice::tls_settings files;
  std::uint16_t port = 0;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if ((word == "--certificate" || word == "--key") && i + 1 == argc) {
      std::fprintf(stderr, "native_feed_server: %s wants a file\n", argv[i]);
      return 2;
    }
    if (word == "--certificate") {
      files.certificate_file = argv[++i];
    } else if (word == "--key") {
      files.private_key_file = argv[++i];
    } else if (const auto read = std::from_chars(word.data(), word.data() + word.size(), port);
               read.ec != std::errc() || read.ptr != word.data() + word.size()) {
      std::fprintf(stderr, "native_feed_server: '%s' is no port\n", argv[i]);
      return 2;
    }
  }
  if ((files.certificate_file == nullptr) != (files.private_key_file == nullptr)) {
    std::fprintf(stderr, "native_feed_server: --certificate and --key go together\n");
    return 2;
  }
  doorman handler; // before the loop, which it must outlive
  sluice::loop loop;
  sluice::listener* listener = nullptr;
  sluice::listen_settings settings;
  settings.port = port;
  settings.connection.take = sluice::delivery::messages;
  sluice::error failed = loop.open();
  if (failed == sluice::error::none && files.certificate_file != nullptr) {
    failed = sluice::tls_config::make_server(files, settings.connection.tls);
  }
  if (failed != sluice::error::none) {
    std::fprintf(stderr, "native_feed_server: %s\n", sluice::to_string(failed));
    return 2;
  }
  failed = loop.listen(settings, handler, listener);
  if (failed != sluice::error::none) {
    std::fprintf(stderr, "native_feed_server: port %u: %s\n", unsigned{port},
                 sluice::to_string(failed));
    return 2;
  }
  running = &loop;
  const auto stop = [](int) { running->stop(); };
  std::signal(SIGINT, stop);
  std::signal(SIGTERM, stop);
  std::printf("port %u\n", unsigned{listener->port()});
  std::fflush(stdout);
  return loop.run() == sluice::error::none ? 0 : 1;
}
