#include "streams.hpp"

#include <openssl/evp.h>
#include <sys/random.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>

namespace live {
namespace {

/// The value of a parameter of "/path?name=value&..."; values are plain, so nothing is decoded.
std::string_view parameter(std::string_view target, std::string_view name) noexcept {
  std::size_t at = target.find('?');
  while (at != std::string_view::npos) {
    const std::string_view rest = target.substr(at + 1);
    const std::size_t end = rest.find('&');
    const std::string_view one = rest.substr(0, end);
    if (one.size() > name.size() && one.substr(0, name.size()) == name && one[name.size()] == '=') {
      return one.substr(name.size() + 1);
    }
    at = end == std::string_view::npos ? end : at + 1 + end;
  }
  return {};
}

std::string hex(const std::uint8_t* bytes, std::size_t count) {
  constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < count; ++i) {
    text += digits[bytes[i] >> 4];
    text += digits[bytes[i] & 15];
  }
  return text;
}

} // namespace

bool parse_pattern(std::string_view text, cut_pattern& pattern) {
  pattern.clear();
  std::size_t sum = 0;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    std::size_t size = 0;
    const auto [stop, failed] = std::from_chars(text.data() + at, text.data() + end, size);
    if (failed != std::errc() || stop != text.data() + end || size > max_frame_bytes ||
        pattern.size() == max_pattern_sizes) {
      return false;
    }
    pattern.push_back(size);
    sum += size;
    at = end + 1;
  }
  return sum != 0;
}

/// The handler of every connection of streams::open_.
class member : public sluice::connection_handler {
public:
  /// `interval`: what happened since the last report; empty when none is due.
  virtual void tick(sluice::connection& of, const std::string& interval) = 0;
};

/// Measures a connection's round trips: one ping at a time.
class ping_clock {
public:
  void ping(sluice::connection& to) {
    const std::uint64_t now = now_ns();
    if (sent_ns_ == 0 && to.state() == sluice::connection_state::open &&
        to.ping(std::as_bytes(std::span(&now, 1))) == sluice::error::none) {
      sent_ns_ = now;
    }
  }
  /// A pong that answers nothing of ours proves nothing.
  void pong(std::span<const std::byte> payload, meter& seen) noexcept {
    std::uint64_t echoed_ns = 0;
    if (payload.size() == sizeof echoed_ns) {
      std::memcpy(&echoed_ns, payload.data(), sizeof echoed_ns);
      if (echoed_ns == sent_ns_ && sent_ns_ != 0) {
        seen.saw_round_trip(now_ns() - sent_ns_);
        sent_ns_ = 0;
      }
    }
  }

private:
  std::uint64_t sent_ns_ = 0; // of the ping that is under way
};

// ---- a page that watches ----

class page final : public member {
public:
  page(streams& owner, std::string id) : owner_(owner), id_(std::move(id)) {}

  void on_open(sluice::connection& opened, std::string_view) noexcept override {
    sluice::loop_stats loop;
    owner_.loop_->stats(loop);
    const std::string hello = "{\"kind\":\"hello\",\"page\":\"" + id_ + "\",\"backend\":\"" +
                              loop.backend + "\",\"kernels\":\"" + loop.kernels + "\"}";
    static_cast<void>(opened.send_text(hello)); // the queue is empty
  }

  /// A page that does not read its reports, because it is slow or hidden, misses some.
  void tick(sluice::connection& to, const std::string& interval) override {
    if (interval.empty() || to.state() != sluice::connection_state::open) {
      return;
    }
    if (to.send_queue_bytes() > streams::most_queued_bytes) {
      ++owner_.seen_.reports_dropped;
      return;
    }
    const record& mine = owner_.pages_.find(id_)->second;
    char text[256];
    std::snprintf(text, sizeof text,
                  ",\"mine\":{\"stream\":%llu,\"messages\":%llu,\"bytes\":%llu,\"chain\":\"%s\"}}",
                  static_cast<unsigned long long>(mine.stream),
                  static_cast<unsigned long long>(mine.messages),
                  static_cast<unsigned long long>(mine.bytes),
                  hex(mine.chain, sizeof mine.chain).c_str());
    if (to.send_text(interval + text) != sluice::error::none) {
      ++owner_.seen_.reports_dropped;
    }
  }

  void on_close(sluice::connection& closed, const sluice::close_event&) noexcept override {
    owner_.open_.erase(closed.id());
    owner_.pages_.erase(id_);
    --owner_.seen_.pages_open;
    delete this;
  }

private:
  streams& owner_;
  std::string id_;
};

// ---- a stream: what the example measures ----

class stream final : public member {
public:
  stream(streams& owner, std::string page, bool chained, bool inner)
      : owner_(owner), page_(std::move(page)), inner_(inner),
        hash_(chained ? EVP_MD_CTX_new() : nullptr, &EVP_MD_CTX_free) {
    record& mine = owner_.pages_[page_];
    number_ = mine.stream + 1;
    mine = record{};
    mine.stream = number_;
  }

  void on_slice(sluice::connection&, const sluice::view& slice) noexcept override {
    owner_.seen_.saw(slice);
    const auto found = owner_.pages_.find(page_);
    if (found == owner_.pages_.end() || found->second.stream != number_) {
      return; // the page is gone, or has begun another stream
    }
    record& mine = found->second;
    mine.bytes += slice.size();
    mine.messages += slice.message_end() ? 1u : 0u;
    if (hash_ == nullptr) {
      return;
    }
    if (at_start_) {
      const char kind = slice.is_text() ? 'T' : 'B';
      EVP_DigestInit_ex(hash_.get(), EVP_sha256(), nullptr);
      EVP_DigestUpdate(hash_.get(), mine.chain, sizeof mine.chain);
      EVP_DigestUpdate(hash_.get(), &kind, 1);
    }
    EVP_DigestUpdate(hash_.get(), slice.data(), slice.size());
    at_start_ = slice.message_end();
    if (at_start_) {
      EVP_DigestFinal_ex(hash_.get(), mine.chain, nullptr);
    }
  }

  void on_pong(sluice::connection&, std::span<const std::byte> payload) noexcept override {
    clock_.pong(payload, owner_.seen_);
  }

  void tick(sluice::connection& to, const std::string&) override {
    if (!inner_) {
      clock_.ping(to);
    }
  }

  void on_close(sluice::connection& closed, const sluice::close_event&) noexcept override {
    owner_.open_.erase(closed.id());
    --owner_.seen_.streams_open;
    delete this;
  }

private:
  streams& owner_;
  std::string page_;
  std::uint64_t number_ = 0;
  bool inner_; // from a cutter, which measures round trips to the browser itself
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> hash_;
  bool at_start_ = true;
  ping_clock clock_;
};

// ---- a stream that is cut into frames ----

/// Serves the browser's connection and, as a client, the one to /stream. Gone when both are.
class cutter final : public member {
public:
  cutter(streams& owner, cut_pattern pattern, std::string target)
      : owner_(owner), pattern_(std::move(pattern)), target_(std::move(target)) {}

  void on_open(sluice::connection& opened, std::string_view) noexcept override {
    if (opened.is_server()) {
      browser_ = &opened;
      opened.pause_reading(); // until there is somewhere to send to
      sluice::connect_settings to;
      to.host = owner_.host_.c_str();
      to.port = owner_.port_;
      to.target = target_.c_str();
      if (owner_.loop_->connect(to, *this, onward_) != sluice::error::none) {
        onward_ = nullptr;
        opened.close(sluice::close_status::internal_error, "no way onward");
      }
    } else if (browser_ == nullptr) {
      opened.close();
    } else {
      ready_ = true;
      browser_->resume_reading();
    }
  }

  void on_pong(sluice::connection&, std::span<const std::byte> payload) noexcept override {
    clock_.pong(payload, owner_.seen_);
  }

  void tick(sluice::connection& to, const std::string&) override { clock_.ping(to); }

  void on_message(sluice::connection& from, const sluice::view& message) noexcept override {
    if (&from != browser_ || !ready_) {
      return;
    }
    offset_ = 0;
    frames_ = 0;
    if (!send_on(message.type(), message.bytes())) {
      kept_ = message.hold(); // until onward_ has room
      if (!kept_) {
        from.close(sluice::close_status::internal_error, "out of memory");
        return;
      }
      from.pause_reading();
    }
  }

  void on_writable(sluice::connection& to) noexcept override {
    if (&to == onward_ && kept_ && send_on(kept_.type(), kept_.bytes())) {
      kept_.release();
      if (browser_ != nullptr) {
        browser_->resume_reading();
      } else {
        to.close();
      }
    }
  }

  void on_close(sluice::connection& closed, const sluice::close_event& how) noexcept override {
    if (&closed == browser_ || closed.is_server()) {
      browser_ = nullptr;
      owner_.open_.erase(closed.id());
      if (onward_ != nullptr && !kept_ && ready_) {
        onward_->close(); // behind what is queued
      } else if (onward_ != nullptr && !ready_) {
        onward_->abort();
      }
    } else {
      onward_ = nullptr;
      ready_ = false;
      kept_.release();
      if (browser_ != nullptr) {
        browser_->close(how.status == sluice::close_status::normal
                            ? sluice::close_status::normal
                            : sluice::close_status::internal_error);
      }
    }
    if (browser_ == nullptr && onward_ == nullptr) {
      delete this;
    }
  }

private:
  /// Goes on where it stopped; false when the queue is full.
  bool send_on(sluice::message_type type, std::span<const std::byte> bytes) noexcept {
    for (;;) {
      const std::span<const std::byte> left = bytes.subspan(offset_);
      const std::size_t wanted = pattern_[next_size_ % pattern_.size()];
      const bool last = left.size() <= wanted || frames_ + 1 == max_cut_frames;
      const std::size_t count = last ? left.size() : wanted;
      const sluice::error failed = onward_->send_fragment(type, left.first(count), last);
      if (failed == sluice::error::would_block) {
        return false;
      }
      if (failed != sluice::error::none) {
        onward_->abort(); // on_close tells the browser
        return true;
      }
      ++next_size_;
      ++frames_;
      offset_ += count;
      if (last) {
        return true;
      }
    }
  }

  streams& owner_;
  cut_pattern pattern_;
  std::string target_;
  sluice::connection* browser_ = nullptr;
  sluice::connection* onward_ = nullptr;
  bool ready_ = false; // onward_ is open
  sluice::held_view kept_;
  std::size_t offset_ = 0;
  std::size_t frames_ = 0;
  std::size_t next_size_ = 0;
  ping_clock clock_;
};

// ---- all of them ----

sluice::connection_settings streams::settings() noexcept {
  sluice::connection_settings chosen;
  chosen.max_lent_bytes = std::size_t{32} << 20; // a cutter keeps one message of up to 16 MiB
  chosen.max_send_queue_bytes = std::size_t{256} << 10;
  return chosen;
}

sluice::upgrade_decision streams::admit(sluice::connection& asking,
                                        const sluice::upgrade_request& request) {
  using sluice::upgrade_decision;
  // A browser lets any page connect to any server: ours are those that came from here. Programs
  // send no Origin (RFC 6455 section 10.2).
  if (const std::string_view origin = request.origin();
      !origin.empty() && origin != "http://" + std::string(request.host())) {
    return upgrade_decision::refuse(403);
  }
  if (open_.size() >= max_connections) {
    return upgrade_decision::refuse(503);
  }
  const std::string_view target = request.target();
  const std::string_view path = target.substr(0, target.find('?'));
  if (path == "/page") {
    std::uint8_t random[8];
    if (::getrandom(random, sizeof random, 0) != sizeof random) {
      return upgrade_decision::refuse(500);
    }
    const std::string id = hex(random, sizeof random);
    auto made = std::make_unique<page>(*this, id);
    pages_.emplace(id, record{});
    open_.emplace(asking.id(), &asking);
    asking.set_handler(*made.release());
    ++seen_.pages_open;
    return upgrade_decision::accept();
  }
  const std::string id(parameter(target, "page"));
  if (path != "/stream" || pages_.find(id) == pages_.end()) {
    return upgrade_decision::refuse(404);
  }
  const bool chained = parameter(target, "chain") == "1";
  if (const std::string_view cut = parameter(target, "cut"); !cut.empty()) {
    cut_pattern pattern;
    if (!parse_pattern(cut, pattern)) {
      return upgrade_decision::refuse(400);
    }
    auto made = std::make_unique<cutter>(*this, std::move(pattern),
                                         "/stream?page=" + id +
                                             (chained ? "&inner=1&chain=1" : "&inner=1"));
    asking.set_delivery(sluice::delivery::messages);
    open_.emplace(asking.id(), &asking);
    asking.set_handler(*made.release());
    return upgrade_decision::accept();
  }
  auto made = std::make_unique<stream>(*this, id, chained, parameter(target, "inner") == "1");
  open_.emplace(asking.id(), &asking);
  asking.set_handler(*made.release());
  ++seen_.streams_open;
  return upgrade_decision::accept();
}

sluice::upgrade_decision streams::on_upgrade(sluice::connection& asking,
                                             const sluice::upgrade_request& request) noexcept {
  try {
    return admit(asking, request);
  } catch (const std::bad_alloc&) {
    return sluice::upgrade_decision::refuse(503);
  }
}

void streams::tick() {
  ++ticks_;
  const bool report = ticks_ % ticks_of_report == 0;
  const std::string interval = report ? seen_.interval(*loop_) : std::string();
  for (const auto& [id, one] : open_) {
    static_cast<member&>(one->handler()).tick(*one, interval);
  }
}

} // namespace live
