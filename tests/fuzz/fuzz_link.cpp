#include "fuzz_link.hpp"

#include "core/memory.hpp"
#include "fuzz_input.hpp"

#include <arpa/inet.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>

namespace sluice::fuzz {
namespace {

// The heap of the library.
std::atomic<std::size_t> live_bytes{0};
std::atomic<std::size_t> peak_bytes{0};

void* count_allocation(std::size_t bytes) noexcept {
  void* const made = std::malloc(bytes);
  if (made != nullptr) {
    const std::size_t now = live_bytes += ::malloc_usable_size(made);
    std::size_t peak = peak_bytes;
    while (peak < now && !peak_bytes.compare_exchange_weak(peak, now)) {
    }
  }
  return made;
}

void count_release(void* memory) noexcept {
  live_bytes -= ::malloc_usable_size(memory);
  std::free(memory);
}

// What all connections share, made before anything is counted.
struct environment {
  environment() {
    static constexpr memory::hooks counting{&count_allocation, &count_release};
    memory::set_hooks(&counting);
    tls_settings own;
    own.certificate_pem = test::bytes_of(test::tls_test_identity().certificate);
    own.private_key_pem = test::bytes_of(test::tls_test_identity().key);
    own.resume = false; // an input must not depend on earlier ones
    check(tls_config::make_server(own, server) == error::none, "settings of a server");
    tls_settings trust;
    trust.ca_pem = test::bytes_of(test::tls_test_authority().root());
    trust.resume = false;
    check(tls_config::make_client(trust, client) == error::none, "settings of a client");
    listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t at_bytes = sizeof at;
    check(::bind(listener, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0 &&
              ::listen(listener, 8) == 0 &&
              ::getsockname(listener, reinterpret_cast<sockaddr*>(&at), &at_bytes) == 0,
          "a port");
    port = ntohs(at.sin_port);
    loop probe;
    loop_settings wanted;
    wanted.backend = io_backend::uring;
    has_uring = probe.open(wanted) == error::none;
  }

  tls_config server;
  tls_config client;
  int listener = -1;
  std::uint16_t port = 0;
  bool has_uring = false;
};

environment& common() {
  static environment made;
  return made;
}

std::string accept_of(std::string key) {
  key += "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; // RFC 6455 section 1.3
  unsigned char digest[20];
  EVP_Digest(key.data(), key.size(), digest, nullptr, EVP_sha1(), nullptr);
  unsigned char text[32];
  EVP_EncodeBlock(text, digest, sizeof digest);
  return reinterpret_cast<const char*>(text);
}

// The library writes whole frames only, and none longer than the messages of an input.
std::vector<std::pair<unsigned, std::string>> frames_of(std::string_view wire, bool masked) {
  std::vector<std::pair<unsigned, std::string>> frames;
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(wire[i]); };
  while (!wire.empty()) {
    check(wire.size() >= 2 && (byte(1) & 0x80u) == (masked ? 0x80u : 0), "half a frame");
    std::size_t payload_bytes = byte(1) & 0x7Fu;
    std::size_t at = 2;
    if (payload_bytes == 126) {
      check(wire.size() >= 4, "half a header");
      payload_bytes = static_cast<std::size_t>(byte(2)) << 8 | byte(3);
      at = 4;
    }
    const std::size_t key = at;
    at += masked ? 4 : 0;
    check(payload_bytes != 127 && wire.size() - at >= payload_bytes, "half a payload");
    std::string payload(wire.substr(at, payload_bytes));
    for (std::size_t i = 0; masked && i < payload.size(); ++i) {
      payload[i] = static_cast<char>(payload[i] ^ wire[key + i % 4]);
    }
    frames.emplace_back(byte(0), payload);
    wire.remove_prefix(at + payload_bytes);
  }
  return frames;
}

} // namespace

class link_end::recorder final : public connection_handler {
public:
  explicit recorder(const link_settings& how) : room_(how.room_bytes), echo_(how.echo) {}

  void on_open(connection& opened, std::string_view /*subprotocol*/) noexcept override {
    seen.opened = true;
    static_cast<void>(opened.receive_into(room_)); // refused in the other deliveries
  }
  void on_slice(connection& from, const view& slice) noexcept override {
    take(from, slice.type(), slice.bytes(), slice.message_end());
  }
  void on_message(connection& from, const view& message) noexcept override {
    check(message.message_end() && seen.partial.empty(), "a message in pieces");
    take(from, message.type(), message.bytes(), true);
  }
  void on_received(connection& from, const received& got) noexcept override {
    check(got.bytes.data() == room_.data() && got.bytes.size() <= room_.size(), "another buffer");
    take(from, got.type, got.bytes, got.message_end);
    static_cast<void>(from.receive_into(room_));
  }
  void on_close(connection& /*closed*/, const close_event& how) noexcept override {
    check(!closed, "closed twice");
    closed = true;
    seen.status = how.status;
    seen.reason = how.reason;
    seen.cause = how.cause;
    seen.clean = how.clean;
  }

  outcome seen;
  bool closed = false;

private:
  void take(connection& from, message_type type, std::span<const std::byte> bytes,
            bool end) noexcept {
    check(seen.opened && !closed, "delivered outside of on_open and on_close");
    seen.partial.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (end) {
      if (echo_) {
        static_cast<void>(from.send(type, std::as_bytes(std::span(seen.partial))));
      }
      seen.messages.emplace_back(type, std::move(seen.partial));
      seen.partial.clear();
    }
  }

  std::vector<std::byte> room_;
  bool echo_;
};

link_end::link_end(const link_settings& how, bool over_tls)
    : self_(how.self), bytes_before_((static_cast<void>(common()), live_bytes.load())),
      handler_(std::make_unique<recorder>(how)), loop_(std::make_unique<loop>()) {
  peak_bytes = live_bytes.load();
  loop_settings settings;
  settings.backend = how.uring && common().has_uring ? io_backend::uring : io_backend::epoll;
  settings.small_buffers_posted = 4;
  settings.large_buffers_posted = 2;
  settings.max_pool_bytes = std::size_t{1} << 20;
  check(loop_->open(settings) == error::none, "the loop does not open");
  connect(how, over_tls);
  if (over_tls) {
    test::tls_server_settings server{.identity = test::tls_test_identity()};
    test::tls_client_settings client{.authority = test::tls_test_authority().root()};
    server.highest_version = client.highest_version = how.older ? 0x0303 : 0;
    tls_ = how.self == role::client ? std::make_unique<test::tls_peer_end>(server)
                                    : std::make_unique<test::tls_peer_end>(client);
  }
  open();
}

link_end::~link_end() {
  loop_.reset();
  ::close(fd_);
  check(live_bytes == bytes_before_, "memory is not given back");
}

void link_end::connect(const link_settings& how, bool over_tls) {
  connection_settings settings;
  settings.take = how.take;
  settings.max_message_bytes = how.max_message_bytes;
  settings.max_fragments = how.max_fragments;
  connection* made = nullptr;
  if (how.self == role::server) {
    int ends[2];
    check(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "socketpair");
    fd_ = ends[1];
    if (over_tls) {
      settings.tls = common().server;
    }
    check(loop_->adopt(ends[0], {}, settings, *handler_, made) == error::none, "adopt");
    return;
  }
  connect_settings to;
  to.host = "127.0.0.1";
  to.port = common().port;
  to.connection = settings;
  if (over_tls) {
    to.connection.tls = common().client;
  }
  check(loop_->connect(to, *handler_, made) == error::none, "connect");
  pollfd coming{common().listener, POLLIN, 0};
  do {
    turn();
  } while (::poll(&coming, 1, 1) == 0);
  fd_ = ::accept4(common().listener, nullptr, nullptr, SOCK_CLOEXEC);
  const int at_once = 1; // small pieces one after the other, each read for itself
  check(fd_ >= 0 && ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once) == 0,
        "accept");
}

void link_end::open() {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  bool asked = self_ == role::client;
  while (!handler_->seen.opened ||
         (self_ == role::server && heard_.find("\r\n\r\n") == heard_.npos)) {
    check(std::chrono::steady_clock::now() < deadline && !handler_->closed, "no handshake");
    if (tls_ != nullptr && !shaken_) {
      shaken_ = tls_->shake({});
      unsent_ += tls_->take_output();
    }
    if (tls_ == nullptr || shaken_) {
      std::string say;
      if (const std::size_t key = heard_.find("Sec-WebSocket-Key: ");
          self_ == role::client && heard_.find("\r\n\r\n") != heard_.npos) {
        say = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
              "Sec-WebSocket-Accept: " +
              accept_of(heard_.substr(key + 19, 24)) + "\r\n\r\n";
        heard_.clear();
      } else if (!asked) {
        say = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
        asked = true;
      }
      if (!say.empty()) {
        send_raw(tls_ != nullptr ? tls_->seal(say) : say);
        continue;
      }
    }
    send_raw({});
    wait();
  }
  if (self_ == role::server) {
    check(heard_.starts_with("HTTP/1.1 101 "), "refused");
    heard_.erase(0, heard_.find("\r\n\r\n") + 4);
  }
}

// Until nothing moves any more.
void link_end::turn() {
  do {
    while (loop_->run_ready() == 0) {
    }
  } while (listen_to_us());
}

// What the library's end has sent; false: nothing, or its end.
bool link_end::listen_to_us() {
  char room[16384];
  const ssize_t got = fd_ < 0 ? 0 : ::recv(fd_, room, sizeof room, MSG_DONTWAIT);
  if (got <= 0) {
    return false;
  }
  const std::string_view bytes(room, static_cast<std::size_t>(got));
  if (tls_ == nullptr) {
    heard_ += bytes;
    return true;
  }
  if (deaf_) {
    return true;
  }
  try {
    if (shaken_) {
      heard_ += tls_->open(bytes);
    } else if (shaken_ = tls_->shake(bytes); shaken_) {
      heard_ += tls_->open({});
    }
    unsent_ += tls_->take_output();
  } catch (const test::tls_broken& why) {
    check(may_break_, why.what());
    deaf_ = true;
  }
  return true;
}

// For the kernel, which may take a moment.
void link_end::wait() const {
  pollfd waiting[] = {{loop_->descriptor(), POLLIN, 0}, {fd_, POLLIN, 0}};
  ::poll(waiting, 2, 1);
}

void link_end::send_raw(std::string_view wire) {
  unsent_ += wire;
  turn();
  while (!unsent_.empty()) {
    const ssize_t sent = ::send(fd_, unsent_.data(), unsent_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN) {
      unsent_.clear(); // the library has closed
    }
    unsent_.erase(0, sent > 0 ? static_cast<std::size_t>(sent) : 0);
    turn();
  }
}

outcome link_end::finish() {
  send_raw({});
  ::shutdown(fd_, SHUT_WR);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  for (turn(); !handler_->closed; turn()) {
    check(std::chrono::steady_clock::now() < deadline, "a connection does not end");
    wait();
  }
  while (listen_to_us()) {
  }
  handler_->seen.answers = frames_of(heard_, self_ == role::client);
  handler_->seen.peak_bytes = peak_bytes - bytes_before_;
  return handler_->seen;
}

} // namespace sluice::fuzz
