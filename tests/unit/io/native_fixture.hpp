#pragma once

#include "sluice/sluice.hpp"
#include "support/allocations.hpp"
#include "support/frames.hpp"

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::test {

/// A handler whose callbacks are members that a test sets; each has a harmless default.
struct scripted_handler : connection_handler {
  std::function<upgrade_decision(connection&, const upgrade_request&)> upgrade;
  std::function<void(connection&, std::string_view)> open;
  std::function<void(connection&, const view&)> slice;
  std::function<void(connection&, const view&)> message;
  std::function<void(connection&, const received&)> got;
  std::function<void(connection&, std::span<const std::byte>)> ping;
  std::function<void(connection&, std::span<const std::byte>)> pong;
  std::function<void(connection&)> writable;
  std::function<void(connection&, const close_event&)> closed;

  struct ending {
    unsigned status = 0;
    std::string reason;
    error cause = error::none;
    bool opened = false;
    bool clean = false;
  };
  std::vector<ending> endings;
  std::size_t opens = 0;
  connection* last = nullptr;

  upgrade_decision on_upgrade(connection& c, const upgrade_request& r) noexcept override {
    return upgrade ? upgrade(c, r) : upgrade_decision::accept();
  }
  void on_open(connection& c, std::string_view protocol) noexcept override {
    ++opens;
    last = &c;
    if (open) {
      open(c, protocol);
    }
  }
  void on_slice(connection& c, const view& v) noexcept override {
    if (slice) {
      slice(c, v);
    }
  }
  void on_message(connection& c, const view& v) noexcept override {
    if (message) {
      message(c, v);
    }
  }
  void on_received(connection& c, const received& r) noexcept override {
    if (got) {
      got(c, r);
    }
  }
  void on_ping(connection& c, std::span<const std::byte> p) noexcept override {
    if (ping) {
      ping(c, p);
    }
  }
  void on_pong(connection& c, std::span<const std::byte> p) noexcept override {
    if (pong) {
      pong(c, p);
    }
  }
  void on_writable(connection& c) noexcept override {
    if (writable) {
      writable(c);
    }
  }
  void on_close(connection& c, const close_event& e) noexcept override {
    endings.push_back({e.status, std::string(e.reason), e.cause, e.opened, e.clean});
    if (&c == last) {
      last = nullptr;
    }
    if (closed) {
      closed(c, e);
    }
  }
};

/// A loop, a listener on an ephemeral port and raw sockets, all on the test's own thread: the test
/// turns the loop until what it waits for has happened.
class native_test : public ::testing::TestWithParam<io_backend> {
protected:
  static constexpr std::chrono::seconds patience{20};

  void open_loop(loop_settings settings = {}) {
    settings.backend = GetParam();
    const error failed = on_.open(settings);
    if (failed == error::backend_unavailable) {
      GTEST_SKIP() << "not available here, or SLUICE_BACKEND forces another";
    }
    ASSERT_EQ(failed, error::none);
  }
  void serve(listen_settings settings = {}) {
    open_loop(loop_settings_);
    if (!on_.is_open()) {
      return;
    }
    ASSERT_EQ(on_.listen(settings, handler_, listener_), error::none);
    ASSERT_NE(listener_->port(), 0);
  }
  void serve(const connection_settings& connection) {
    listen_settings settings;
    settings.connection = connection;
    serve(settings);
  }

  /// Turns the loop until `done`; fails the test when that takes too long.
  template <typename Done> bool pump(Done done) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (!done()) {
      const int wait_ms = on_.run_ready();
      if (done()) {
        return true;
      }
      if (std::chrono::steady_clock::now() > deadline) {
        ADD_FAILURE() << "waited too long";
        return false;
      }
      // Raw sockets of the test may change without the loop noticing: never sleep long.
      pollfd ready{on_.descriptor(), POLLIN, 0};
      ::poll(&ready, 1, wait_ms < 0 || wait_ms > 2 ? 2 : wait_ms);
    }
    return true;
  }

  /// A raw peer; its reads turn the loop until there is something.
  class raw_client {
  public:
    explicit raw_client(native_test& in) : in_(in) {}
    raw_client(raw_client&& other) noexcept
        : in_(other.in_), fd_(std::exchange(other.fd_, -1)), unread_(std::move(other.unread_)) {}
    ~raw_client() { close(); }

    void connect() {
      fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
      sockaddr_in to{};
      to.sin_family = AF_INET;
      to.sin_port = htons(in_.listener_->port());
      to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      const int status = ::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to);
      ASSERT_TRUE(status == 0 || errno == EINPROGRESS);
    }
    void take(int fd) { fd_ = fd; }
    void close() {
      if (fd_ >= 0) {
        ::close(fd_);
        fd_ = -1;
      }
    }
    void finish_writing() { ::shutdown(fd_, SHUT_WR); }
    [[nodiscard]] int fd() const { return fd_; }

    /// True if all of it went out at once.
    std::size_t try_send(const bytes& wire) {
      const ssize_t sent = ::send(fd_, wire.data(), wire.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      return sent < 0 ? 0 : static_cast<std::size_t>(sent);
    }
    void send(const bytes& wire) {
      std::size_t done = 0;
      in_.pump([&] {
        const ssize_t sent =
            ::send(fd_, wire.data() + done, wire.size() - done, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0) {
          done += static_cast<std::size_t>(sent);
        }
        return done == wire.size() || (sent < 0 && errno == EPIPE);
      });
    }
    void send(std::string_view text) { send(to_bytes(text)); }

    /// False at the end of the stream.
    bool fill() {
      bool ended = false;
      in_.pump([&] {
        std::byte room[65536];
        const ssize_t got = ::recv(fd_, room, sizeof room, MSG_DONTWAIT);
        if (got > 0) {
          unread_.insert(unread_.end(), room, room + got);
        }
        ended = got == 0 || (got < 0 && errno != EAGAIN && errno != ENOTCONN);
        return got > 0 || ended;
      });
      return !ended;
    }
    bytes read(std::size_t count) {
      while (unread_.size() < count && fill()) {
      }
      const std::size_t have = std::min(count, unread_.size());
      bytes taken(unread_.begin(), unread_.begin() + static_cast<std::ptrdiff_t>(have));
      unread_.erase(unread_.begin(), unread_.begin() + static_cast<std::ptrdiff_t>(have));
      return taken;
    }
    std::string read_head() {
      std::string head;
      while (head.find("\r\n\r\n") == std::string::npos) {
        const bytes one = read(1);
        if (one.empty()) {
          break;
        }
        head.push_back(static_cast<char>(one[0]));
      }
      return head;
    }
    /// True if the peer has ended the stream and sent nothing more.
    bool at_end() {
      while (unread_.empty()) {
        if (!fill()) {
          return true;
        }
      }
      return false;
    }

    struct frame {
      unsigned first = 0;
      std::string payload;
    };
    std::optional<frame> read_frame() {
      const bytes head = read(2);
      if (head.size() < 2) {
        return std::nullopt;
      }
      std::size_t count = std::to_integer<std::size_t>(head[1]) & 0x7Fu;
      if (count > 125) {
        const bytes more = read(count == 126 ? 2 : 8);
        count = 0;
        for (const std::byte b : more) {
          count = count << 8 | std::to_integer<std::size_t>(b);
        }
      }
      const bytes payload = read(count);
      return frame{std::to_integer<unsigned>(head[0]),
                   std::string(reinterpret_cast<const char*>(payload.data()), payload.size())};
    }
    /// The status of the close frame that must come next.
    unsigned read_close() {
      const std::optional<frame> got = read_frame();
      if (!got || got->first != 0x88u || got->payload.size() < 2) {
        return 0;
      }
      return (static_cast<unsigned>(static_cast<unsigned char>(got->payload[0])) << 8) |
             static_cast<unsigned char>(got->payload[1]);
    }

    [[nodiscard]] static std::string request(std::string_view more = {},
                                             std::string_view target = "/") {
      return "GET " + std::string(target) +
             " HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" +
             std::string(more) + "\r\n";
    }
    void handshake() {
      connect();
      send(request());
      ASSERT_NE(read_head().find("HTTP/1.1 101 "), std::string::npos);
    }

  private:
    native_test& in_;
    int fd_ = -1;
    bytes unread_;
  };

  [[nodiscard]] raw_client connected() {
    raw_client made(*this);
    made.handshake();
    return made;
  }

  /// Counts the library's memory from here to the end of the test; before the loop is opened.
  counted_memory& count_memory() { return memory_.emplace(); }

  std::optional<counted_memory> memory_; // first: goes when everything else has been released
  const frame_maker make_{role::server};
  scripted_handler handler_;
  scripted_handler client_; // for connections that the test opens through the loop
  loop_settings loop_settings_;
  listener* listener_ = nullptr;
  loop on_; // last: its end calls the handler
};

[[nodiscard]] inline std::string text_of(const view& v) {
  return std::string(v.text());
}

inline std::string backend_name(const ::testing::TestParamInfo<io_backend>& info) {
  return info.param == io_backend::uring ? "uring" : "epoll";
}

#define SLUICE_ON_BOTH_BACKENDS(suite)                                                             \
  INSTANTIATE_TEST_SUITE_P(backends, suite,                                                        \
                           ::testing::Values(io_backend::epoll, io_backend::uring),                \
                           ::sluice::test::backend_name)

} // namespace sluice::test
