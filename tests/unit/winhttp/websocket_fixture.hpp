#pragma once

#include "backend_fixture.hpp"
#include "support/scripted_peer.hpp"
#include "winhttp/handle_table.hpp"
#include "winhttp/websocket.hpp"

#include <gtest/gtest.h>
#include <sluice/winhttp.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace sluice::test {

// Short names for what the tables of the contract call them.
inline constexpr auto binary_message = WINHTTP_WEB_SOCKET_BINARY_MESSAGE_BUFFER_TYPE;
inline constexpr auto binary_fragment = WINHTTP_WEB_SOCKET_BINARY_FRAGMENT_BUFFER_TYPE;
inline constexpr auto utf8_message = WINHTTP_WEB_SOCKET_UTF8_MESSAGE_BUFFER_TYPE;
inline constexpr auto utf8_fragment = WINHTTP_WEB_SOCKET_UTF8_FRAGMENT_BUFFER_TYPE;
inline constexpr auto close_type = WINHTTP_WEB_SOCKET_CLOSE_BUFFER_TYPE;

inline constexpr unsigned continuation_opcode = 0x0;
inline constexpr unsigned text_opcode = 0x1;
inline constexpr unsigned binary_opcode = 0x2;
inline constexpr unsigned close_opcode = 0x8;
inline constexpr unsigned ping_opcode = 0x9;
inline constexpr unsigned pong_opcode = 0xA;

/// `count` bytes that do not repeat with a power of two.
[[nodiscard]] std::string pattern_text(std::size_t count);
/// The payload of a close frame.
[[nodiscard]] std::string close_payload_text(unsigned status, std::string_view reason = {});

/// Little for a peer that is sent megabytes and reads them later. With 4 KiB the kernel may drop
/// segments on loopback and try again only after a pause, for minutes in all; that is for peers
/// that read little or nothing.
inline constexpr int small_receive_buffer_bytes = 65536;

/// Pings whose pongs fill `client_send_buffer_bytes` and `peer_receive_buffer_bytes` of 4 KiB three
/// times over, and which fit the 64 KiB that a new connection's receiver announces. More must not
/// follow while the pongs are not read: Linux lets its acknowledgements carry a sequence number
/// past the window that the peer has closed, the peer drops them, and then neither end sends again
/// until the peer reads (seen with 6.18: `ss -tin` shows both in back-off).
inline constexpr int flood_pings = 300;
/// `pings` times a ping of 125 bytes.
[[nodiscard]] std::string flood_of_pings(int pings = flood_pings);

struct pair_settings {
  std::chrono::milliseconds send_timeout{20000};
  int client_send_buffer_bytes = 0; // SO_SNDBUF; 0 = the system's
  int peer_receive_buffer_bytes = 0;
  DWORD read_ahead_bytes = 0; // not 0: the caretaker looks after the socket, as after a program's
};

/// A WebSocket handle as it is after the upgrade, over a loopback TCP connection whose other end is
/// the test's own. No HTTP is spoken.
class socket_pair {
public:
  explicit socket_pair(const pair_settings& how = {});
  ~socket_pair(); // closes the handle
  socket_pair(const socket_pair&) = delete;
  socket_pair& operator=(const socket_pair&) = delete;

  [[nodiscard]] HINTERNET handle() const noexcept { return handle_; }
  [[nodiscard]] peer_connection& peer() noexcept { return *peer_; }
  /// The object behind the handle; good while the handle is open.
  [[nodiscard]] winhttp::websocket& object() noexcept { return *object_; }
  /// The client's descriptor, to look at its kernel buffers.
  [[nodiscard]] int client_fd() const noexcept { return client_fd_; }
  /// WinHttpCloseHandle, once.
  BOOL close_handle() noexcept;

  /// Sends one byte at a time, each after the client has read the one before, so that it sees every
  /// split; stops early when the client reads no more. Not from the thread that receives.
  void send_paced(std::string_view bytes, const std::function<bool()>& client_reads);

private:
  std::unique_ptr<peer_connection> peer_;
  HINTERNET handle_ = nullptr;
  winhttp::websocket* object_ = nullptr;
  int client_fd_ = -1;
};

/// A WebSocket handle made the way a program makes it: through a session, a connection and an
/// upgraded request to a server on 127.0.0.1. The other handles are closed once it is there
/// (HND-08).
class api_socket {
public:
  explicit api_socket(std::uint16_t port);
  ~api_socket();
  api_socket(const api_socket&) = delete;
  api_socket& operator=(const api_socket&) = delete;
  [[nodiscard]] HINTERNET handle() const noexcept { return handle_; }

private:
  HINTERNET handle_ = nullptr;
};

/// A GET request for the test's server, secure if SLUICE_TEST_TLS is set.
[[nodiscard]] HINTERNET open_request(HINTERNET connection);

/// An upgrade request to 127.0.0.1 that was sent and answered with 101, and its parents.
struct api_request {
  explicit api_request(std::uint16_t port);
  ~api_request();
  api_request(const api_request&) = delete;
  api_request& operator=(const api_request&) = delete;

  HINTERNET session = nullptr;
  HINTERNET connection = nullptr;
  HINTERNET request = nullptr;
};

/// What one WinHttpWebSocketReceive gave back. On errors `bytes` is empty.
struct received {
  DWORD code = 0;
  WINHTTP_WEB_SOCKET_BUFFER_TYPE type{};
  std::string bytes;

  friend bool operator==(const received&, const received&) = default;
};
void PrintTo(const received& value, std::ostream* out);

/// Calls WinHttpWebSocketReceive with `room` bytes; checks that out-parameters stay untouched when
/// it fails (STA-03) and that nothing is written behind the count it reports.
[[nodiscard]] received receive(HINTERNET socket, std::size_t room = 65536);
/// Receives until the end of a message and joins its pieces; stops at CLOSE and at errors.
[[nodiscard]] received receive_message(HINTERNET socket, std::size_t room = 65536);

[[nodiscard]] DWORD send(HINTERNET socket, WINHTTP_WEB_SOCKET_BUFFER_TYPE type,
                         std::string_view payload);
[[nodiscard]] DWORD shutdown(HINTERNET socket, USHORT status = 1000, std::string_view reason = {});
[[nodiscard]] DWORD close(HINTERNET socket, USHORT status = 1000, std::string_view reason = {});

struct close_status_result {
  DWORD code = 0;
  USHORT status = 0;
  std::string reason;

  friend bool operator==(const close_status_result&, const close_status_result&) = default;
};
void PrintTo(const close_status_result& value, std::ostream* out);
[[nodiscard]] close_status_result query_close_status(HINTERNET socket);

/// A thread that runs one blocking call; joined at the end of its scope. A hanging call ends in the
/// watchdog.
class background {
public:
  template <typename Call>
  explicit background(Call call)
      : thread_([call = std::move(call)]() mutable {
          try {
            call();
          } catch (const std::exception& thrown) {
            ADD_FAILURE() << thrown.what();
          }
        }) {}
  ~background() { join(); }
  background(const background&) = delete;
  background& operator=(const background&) = delete;
  void join() {
    if (thread_.joinable()) {
      thread_.join();
    }
  }

private:
  std::thread thread_;
};

/// Gives a thread that was just started time to block in the kernel. What is tested holds whether
/// it has come that far or not; this only makes the interesting case the likely one.
void let_others_run();

/// Waits until `condition` holds; fails the test when patience ends.
void wait_until(const std::function<bool()>& condition);

using websocket_test = backend_test;

} // namespace sluice::test
