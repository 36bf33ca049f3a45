#pragma once

#include "sluice/sluice.hpp"
#include "support/allocations.hpp"
#include "support/frames.hpp"
#include "support/tls_peer.hpp"

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
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

/// What the tests of the native API run on.
struct native_mode {
  io_backend backend = io_backend::epoll;
  bool multishot = false;
};

/// The TLS of a test's server, and of its clients that go through the loop.
[[nodiscard]] inline tls_config server_tls(tls_settings settings = {}) {
  settings.certificate_pem = bytes_of(tls_test_identity().certificate);
  settings.private_key_pem = bytes_of(tls_test_identity().key);
  tls_config made;
  EXPECT_EQ(tls_config::make_server(settings, made), error::none);
  return made;
}
[[nodiscard]] inline tls_config client_tls(tls_settings settings = {}) {
  settings.ca_pem = bytes_of(tls_test_authority().root());
  tls_config made;
  EXPECT_EQ(tls_config::make_client(settings, made), error::none);
  return made;
}

/// A loop, a listener on an ephemeral port and raw sockets, all on the test's own thread: the test
/// turns the loop until what it waits for has happened. With SLUICE_TEST_TLS set, all of it over
/// TLS.
class native_test : public ::testing::TestWithParam<native_mode> {
protected:
  // Only a hang takes that long, also under a sanitizer on a busy machine.
  static constexpr std::chrono::seconds patience{120};

  void open_loop(loop_settings settings = {}) {
    settings.backend = GetParam().backend;
    settings.multishot_receives = GetParam().multishot;
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
    secure(settings.connection);
    ASSERT_EQ(on_.listen(settings, handler_, listener_), error::none);
    ASSERT_NE(listener_->port(), 0);
  }
  void serve(const connection_settings& connection) {
    listen_settings settings;
    settings.connection = connection;
    serve(settings);
  }

  /// TLS for a server, if the tests run with it and the test has not chosen one.
  static void secure(connection_settings& settings) {
    if (tls_is_wanted() && !settings.tls) {
      settings.tls = server_tls();
    }
  }
  static void secure(connect_settings& to) {
    if (tls_is_wanted() && !to.connection.tls) {
      to.connection.tls = client_tls();
    }
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

  /// A raw peer; its reads turn the loop until there is something. Over TLS it is OpenSSL alone.
  class raw_client {
  public:
    explicit raw_client(native_test& in) : in_(in) {}
    raw_client(raw_client&& other) noexcept
        : in_(other.in_), fd_(std::exchange(other.fd_, -1)), tls_(std::move(other.tls_)),
          shaken_(other.shaken_), unsent_(std::move(other.unsent_)),
          unread_(std::move(other.unread_)) {}
    ~raw_client() { close(); }

    /// `receive_buffer_bytes`: SO_RCVBUF, 0 for the system's.
    void connect(int receive_buffer_bytes = 0) {
      fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
      // Or the kernel keeps the second of two small records until the first is acknowledged: 40 ms.
      const int on = 1;
      ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      if (receive_buffer_bytes != 0) {
        ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes,
                     sizeof receive_buffer_bytes);
      }
      sockaddr_in to{};
      to.sin_family = AF_INET;
      to.sin_port = htons(in_.listener_->port());
      to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      const int status = ::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to);
      ASSERT_TRUE(status == 0 || errno == EINPROGRESS);
      if (tls_is_wanted()) {
        start_tls({.authority = tls_test_authority().root()});
      }
    }
    void take(int fd) { fd_ = fd; }
    void start_tls(const tls_client_settings& how) { tls_ = std::make_unique<tls_peer_end>(how); }
    [[nodiscard]] tls_peer_end& tls() { return *tls_; }
    void close() {
      if (fd_ < 0) {
        return;
      }
      if (tls_ != nullptr) {
        std::byte room[4096];
        while (::recv(fd_, room, sizeof room, MSG_DONTWAIT) > 0) { // or the kernel sends a reset
        }
        say_goodbye();
      }
      ::close(fd_);
      fd_ = -1;
    }
    /// Without close_notify.
    void truncate() {
      tls_.reset();
      ::shutdown(fd_, SHUT_WR);
    }
    void finish_writing() {
      say_goodbye();
      ::shutdown(fd_, SHUT_WR);
    }
    [[nodiscard]] int fd() const { return fd_; }

    /// The TLS handshake, if there is one to be done; false if it fails.
    bool shake_hands() {
      if (tls_ == nullptr || shaken_) {
        return true;
      }
      try {
        bool done = tls_->shake({});
        send_raw(tls_->take_output());
        while (!done) {
          std::string got;
          if (!receive_raw(got)) {
            return false;
          }
          done = tls_->shake(got);
          send_raw(tls_->take_output());
        }
      } catch (const tls_broken&) {
        send_raw(tls_->take_output()); // an alert
        return false;
      }
      shaken_ = true;
      return true;
    }

    /// How many of these bytes went out at once.
    std::size_t try_send(std::span<const std::byte> wire) {
      return try_send_some(wire.data(), wire.size());
    }
    void send(const bytes& wire) {
      ASSERT_TRUE(shake_hands());
      std::size_t done = 0;
      in_.pump([&] {
        errno = 0;
        done += try_send_some(wire.data() + done, wire.size() - done);
        return (done == wire.size() && unsent_.empty()) || errno == EPIPE || errno == ECONNRESET;
      });
    }
    void send(std::string_view text) { send(to_bytes(text)); }
    /// Past TLS.
    void send_raw(std::string_view wire) {
      in_.pump([&] {
        const ssize_t sent = ::send(fd_, wire.data(), wire.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        wire.remove_prefix(sent > 0 ? static_cast<std::size_t>(sent) : 0);
        return wire.empty() || (sent < 0 && errno != EAGAIN && errno != ENOTCONN);
      });
    }
    /// One piece of the stream as it is on the wire; false at its end.
    bool receive_raw(std::string& to) {
      bool ended = false;
      const bool in_time = in_.pump([&] {
        char room[65536];
        const ssize_t got = ::recv(fd_, room, sizeof room, MSG_DONTWAIT);
        if (got > 0) {
          to.append(room, static_cast<std::size_t>(got));
        }
        ended = got == 0 || (got < 0 && errno != EAGAIN && errno != ENOTCONN);
        return got > 0 || ended;
      });
      return in_time && !ended;
    }

    /// False at the end of the stream.
    bool fill() {
      const std::size_t before = unread_.size();
      while (unread_.size() == before) {
        std::string got;
        if (!shake_hands() || !receive_raw(got)) {
          return false;
        }
        if (tls_ != nullptr) {
          try {
            got = tls_->open(got);
          } catch (const tls_broken&) {
            return false;
          }
          if (const std::string answer = tls_->take_output(); !answer.empty()) {
            send_raw(answer);
          }
        }
        test::append(unread_, to_bytes(got));
      }
      return true;
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
    void say_goodbye() {
      if (tls_ != nullptr && shaken_) {
        unsent_ += tls_->close_notify();
        static_cast<void>(flush());
      }
    }
    // False while ciphertext is left over.
    bool flush() {
      const ssize_t sent = ::send(fd_, unsent_.data(), unsent_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      unsent_.erase(0, sent > 0 ? static_cast<std::size_t>(sent) : 0);
      return unsent_.empty();
    }
    std::size_t try_send_some(const std::byte* from, std::size_t count) {
      if (tls_ == nullptr) {
        const ssize_t sent = ::send(fd_, from, count, MSG_NOSIGNAL | MSG_DONTWAIT);
        return sent < 0 ? 0 : static_cast<std::size_t>(sent);
      }
      if (!unsent_.empty() && !flush()) {
        return 0;
      }
      const std::size_t piece = std::min<std::size_t>(count, 16384);
      unsent_ = tls_->seal({reinterpret_cast<const char*>(from), piece});
      static_cast<void>(flush());
      return piece;
    }

    native_test& in_;
    int fd_ = -1;
    std::unique_ptr<tls_peer_end> tls_;
    bool shaken_ = false;
    std::string unsent_; // ciphertext
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

inline std::string mode_name(const ::testing::TestParamInfo<native_mode>& info) {
  return info.param.multishot                      ? "multishot"
         : info.param.backend == io_backend::uring ? "uring"
                                                   : "epoll";
}

inline const auto every_mode =
    ::testing::Values(native_mode{io_backend::epoll, false}, native_mode{io_backend::uring, false},
                      native_mode{io_backend::uring, true});

#define SLUICE_ON_BOTH_BACKENDS(suite)                                                             \
  INSTANTIATE_TEST_SUITE_P(backends, suite, ::sluice::test::every_mode, ::sluice::test::mode_name)

} // namespace sluice::test
