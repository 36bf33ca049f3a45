#pragma once

#include "support/event.hpp"
#include "support/peer_bytes.hpp"
#include "support/tls_peer.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace sluice::test {

/// A frame that the client sent, unmasked.
struct client_frame {
  bool fin = false;
  unsigned reserved = 0;
  unsigned opcode = 0;
  bool masked = false;
  std::uint32_t key = 0;
  unsigned length_bytes = 0; // 1, 2 or 8: the form the length had
  std::string payload;
};

/// One accepted connection. Every call is bounded by the peer's patience and throws peer_failure.
/// After start_tls() all but send_raw() and read_raw() are about the plain bytes.
class peer_connection {
public:
  explicit peer_connection(int fd) noexcept : fd_(fd) {}
  ~peer_connection();
  peer_connection(peer_connection&& other) noexcept;
  peer_connection& operator=(peer_connection&& other) noexcept;

  /// Shakes hands as a TLS server; before anything else.
  void start_tls(const tls_server_settings& how);
  void start_tls() { start_tls({.identity = tls_test_identity()}); }
  /// nullptr before start_tls().
  [[nodiscard]] tls_peer_end* tls() const noexcept { return tls_.get(); }

  /// Reads up to and including the empty line; bytes behind it are kept.
  std::string read_request();
  std::string read_exact(std::size_t count);
  /// Whatever is there, at least one byte; empty at the end of the stream.
  std::string read_some();
  client_frame read_frame();

  void send(std::string_view bytes); // one send call: one segment if it fits
  /// Blocks until all is with the kernel; false when the connection ends first.
  [[nodiscard]] bool try_send(std::string_view bytes);
  void send_raw(std::string_view bytes);      // past TLS
  std::string read_raw();                     // at least one byte; empty at the end of the stream
  void send_bytewise(std::string_view bytes); // one send call per byte
  /// Sends as much as the client takes until it stops reading for a while; returns the bytes.
  std::size_t send_until_blocked(std::string_view block);

  /// The right answer to the last request, `extra` being further lines that each end in CRLF.
  [[nodiscard]] std::string response_101(std::string_view extra = {}) const;
  void send_101(std::string_view extra = {}, std::string_view behind = {});
  /// A complete response with Content-Length.
  void send_response(std::string_view status_line, std::string_view fields = {},
                     std::string_view body = {});

  /// read_request() and send_101().
  std::string handshake(std::string_view extra = {}, std::string_view behind = {});

  /// The client must send nothing more and end the stream, by FIN or RST.
  void expect_eof();
  /// True if the client sent a byte or ended the stream by now (does not wait).
  [[nodiscard]] bool has_input() const;

  void close_fin(); // FIN, over TLS behind close_notify; reading goes on
  void truncate();  // FIN and nothing before it
  void close_rst(); // RST, with SO_LINGER 0
  void close();

  [[nodiscard]] const std::string& request() const noexcept { return request_; }
  [[nodiscard]] int fd() const noexcept { return fd_; }

private:
  bool fill(bool& reset);
  bool receive(std::string& to, bool& reset);

  int fd_ = -1;
  std::unique_ptr<tls_peer_end> tls_;
  std::mutex sending_; // over TLS records go out in the order they were made
  std::string unread_;
  std::string request_;
};

/// A server on 127.0.0.1 that runs a script in a thread of its own. Declare it before the handles
/// of the test, so that they are gone when it is joined. A script that throws, or that is not done
/// when patience ends, fails the test; nothing waits for ever.
class scripted_peer {
public:
  struct settings {
    int receive_buffer_bytes = 0; // SO_RCVBUF; 0 = the system's
    int send_buffer_bytes = 0;
    int backlog = 16;
  };

  explicit scripted_peer(std::function<void(scripted_peer&)> script)
      : scripted_peer(std::move(script), settings{}) {}
  scripted_peer(std::function<void(scripted_peer&)> script, const settings& how);
  ~scripted_peer();
  scripted_peer(const scripted_peer&) = delete;
  scripted_peer& operator=(const scripted_peer&) = delete;

  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

  /// Waits for the end of the script and reports its failure. Done by the destructor too.
  void join();

  // For the script. With TLS if the test program runs with SLUICE_TEST_TLS.
  [[nodiscard]] peer_connection accept();
  [[nodiscard]] peer_connection accept_plain();

private:
  int fd_ = -1;
  std::uint16_t port_ = 0;
  std::string failure_;
  std::thread thread_;
};

/// A port of 127.0.0.1 that refuses connections for as long as the object lives.
class refusing_port {
public:
  refusing_port();
  ~refusing_port();
  refusing_port(const refusing_port&) = delete;
  refusing_port& operator=(const refusing_port&) = delete;
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

private:
  int fd_ = -1;
  std::uint16_t port_ = 0;
};

} // namespace sluice::test
