#pragma once

#include "core/frame.hpp"
#include "core/message_rx.hpp"
#include "io/backend.hpp"
#include "io/buffer_pool.hpp"
#include "io/cancel.hpp"
#include "winhttp/caretaker.hpp"
#include "winhttp/object.hpp"
#include "winhttp/websocket_decisions.hpp"
#include "winhttp/websocket_gate.hpp"
#include "winhttp/websocket_link.hpp"
#include "winhttp/websocket_state.hpp"
#include "winhttp/websocket_wire.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <utility>

namespace sluice::winhttp {

class async_loop;
class async_socket;
class connection;

/// What stands behind the handle of a WebSocket. The functions are those of the API without their
/// checks of pointers and handles; each returns a Win32 code. Any thread may call any of them, with
/// the object pinned.
///
/// Who owns what:
///   gate_   whoever is inside receives: Receive, Close once it discards, and the caretaker while
///           nobody else does. rx_ and the members named below are theirs. Receive with buffered
///           data takes no lock.
///   wire_   whoever holds it sends; it has a lock of its own.
///   mutex_  the states of the sending side and of the close, for short looks and changes, never
///           across a call that blocks.
/// The parts of the state model: R.closed = the gate refuses and the close status is known,
/// L.failed = link_.failure(), the others in websocket_state.
///
/// That is how a synchronous handle works. One of an asynchronous session has an async_socket,
/// which is asked instead and shares rx_, link_, mutex_, state_ and the options.
class websocket final : public object {
public:
  static constexpr handle_kind of_kind = handle_kind::websocket;

  websocket() noexcept;
  ~websocket() override;

  // Before the handle is given to the application.

  /// `send_timeout` bounds the time without progress, zero = none (TMO-05). `request` is the value
  /// of WINHTTP_OPTION_PARENT_HANDLE.
  void connect(io::stream connected, std::chrono::milliseconds send_timeout,
               HINTERNET request) noexcept {
    link_.connect(std::move(connected));
    send_timeout_ = send_timeout;
    request_ = request;
    connected_.store(true, std::memory_order_release);
  }

  /// Makes the socket one that is looked after between calls, once, from connect() on; at most
  /// `read_ahead_bytes` are kept. ERROR_NOT_ENOUGH_MEMORY: no thread to be had.
  [[nodiscard]] DWORD begin_care(DWORD read_ahead_bytes) noexcept;

  /// Received bytes that are not parsed yet; what came behind the head of the 101 response goes
  /// here (HSK-30). Afterwards only for whoever receives.
  [[nodiscard]] slice_queue& inbox() noexcept { return rx_.inbox(); }

  // The API.

  /// Copies the next piece of a message to `to`, which is not empty. The out-parameters are written
  /// on success only.
  [[nodiscard]] DWORD receive(std::span<std::byte> to, DWORD& bytes,
                              WINHTTP_WEB_SOCKET_BUFFER_TYPE& type) noexcept;
  [[nodiscard]] DWORD send(WINHTTP_WEB_SOCKET_BUFFER_TYPE type,
                           std::span<const std::byte> payload) noexcept;
  /// `payload` is that of a close frame: nothing, or a status in network order and a reason.
  [[nodiscard]] DWORD shutdown(std::span<const std::byte> payload) noexcept;
  [[nodiscard]] DWORD close(std::span<const std::byte> payload) noexcept;
  /// The peer's close frame, once it is known; it does not change any more.
  [[nodiscard]] DWORD close_status(const close_info*& found) noexcept;

  /// Makes the socket asynchronous, once, when it is connected and has its handle: its calls go to
  /// asynchronous() instead. ERROR_NOT_ENOUGH_MEMORY.
  [[nodiscard]] DWORD become_asynchronous(async_loop& on, connection& parent,
                                          DWORD read_ahead_bytes) noexcept;
  /// nullptr for a synchronous socket.
  [[nodiscard]] async_socket* asynchronous() const noexcept { return async_; }

  /// One visit of the caretaker: if nobody has received since the last one, reads ahead without
  /// waiting and handles control frames up to the next piece of a message; sends a keep-alive that
  /// is due, also beside a Receive. On its thread, `buffers` being its own.
  void look_after(io::buffer_pool& buffers) noexcept;

  void on_close() noexcept override;
  void on_released() noexcept override;
  DWORD set_option(DWORD option, const void* buffer, DWORD length) noexcept override;
  DWORD query_option(DWORD option, void* buffer, DWORD* length) noexcept override;
  [[nodiscard]] HINTERNET parent_handle() const noexcept override { return request_; }

  /// The keep-alive interval without the lower bound of the option (OPT-05). Any thread.
  void set_keepalive(std::chrono::milliseconds interval) noexcept;

  // To look at from tests, while no other thread is in a call.

  [[nodiscard]] const rx_stats& received() const noexcept { return rx_.stats(); }
  [[nodiscard]] const tx_stats& sent() const noexcept { return wire_.stats(); }
  /// When the next unsolicited pong is due (CTL-06, CTL-07).
  [[nodiscard]] io::time_point keepalive_due() const noexcept;

private:
  friend class async_socket;

  // websocket_receive.cpp
  [[nodiscard]] DWORD receive_slowly(std::span<std::byte> to, DWORD& bytes,
                                     WINHTTP_WEB_SOCKET_BUFFER_TYPE& type, rx_result got) noexcept;
  [[nodiscard]] DWORD wait_for_input(std::span<std::byte> to, rx_result& got) noexcept;
  [[nodiscard]] io::time_point receive_deadline() const noexcept;
  [[nodiscard]] DWORD fail_protocol(error reason) noexcept;
  [[nodiscard]] DWORD end_of_input() noexcept;
  [[nodiscard]] static DWORD use_loop(io::loop*& on) noexcept;

  // websocket_send.cpp
  void end_send(WINHTTP_WEB_SOCKET_BUFFER_TYPE type, bool sent) noexcept;

  // websocket_care.cpp
  void read_ahead(io::buffer_pool& buffers) noexcept;
  void keep_alive() noexcept;

  // websocket_close.cpp
  void enter_after_receive() noexcept;
  [[nodiscard]] DWORD run_close(bool send_frame, std::span<const std::byte> payload) noexcept;
  [[nodiscard]] DWORD discard_until_close(io::loop& on, io::time_point deadline) noexcept;

  // Every Receive uses these.
  async_socket* async_ = nullptr; // ours
  receive_gate gate_;
  std::atomic<bool> connected_{false}; // the caretaker may come
  std::atomic<bool> used_{false};      // by a Receive since the caretaker's last visit
  message_rx rx_;

  // For whoever is inside the gate.
  bool input_ended_ = false; // nothing can be read any more
  DWORD read_ahead_bytes_ = 0;
  care_link care_;                   // the caretaker's
  io::cancel_source receive_cancel_; // requested by any thread, for good except by Close

  websocket_link link_;
  websocket_wire wire_;

  std::atomic<io::clock::rep> last_keepalive_; // when we last tried
  std::atomic<io::clock::rep> last_data_sent_; // when our last data frame was sent
  std::atomic<DWORD> keepalive_ms_;
  std::atomic<DWORD> close_timeout_ms_{decision::default_close_timeout_ms};
  std::chrono::milliseconds send_timeout_{0};
  HINTERNET request_ = nullptr;

  std::mutex mutex_;
  std::condition_variable sent_; // no longer sending, or the handle was closed; asynchronous: the
                                 // loop has left a callback that CloseHandle waits for
  websocket_state state_;        // under mutex_
};

} // namespace sluice::winhttp
