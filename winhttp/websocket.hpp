#pragma once

#include "core/frame.hpp"
#include "core/message_rx.hpp"
#include "io/backend.hpp"
#include "io/cancel.hpp"
#include "winhttp/object.hpp"
#include "winhttp/websocket_decisions.hpp"
#include "winhttp/websocket_gate.hpp"
#include "winhttp/websocket_link.hpp"
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

/// What stands behind the handle of a WebSocket. The functions are those of the API without their
/// checks of pointers and handles; each returns a Win32 code. Any thread may call any of them, with
/// the object pinned.
///
/// Who owns what:
///   gate_   whoever is inside receives: Receive, and Close once it discards. rx_ and the members
///           named below are theirs. Receive with buffered data takes no lock.
///   wire_   whoever holds it sends; it has a lock of its own.
///   mutex_  the states of the sending side and of the close, for short looks and changes, never
///           across a call that blocks.
/// The parts of the state model: S.busy = sending_, S.shut = shut_, C.pending = closing_,
/// C.done = closing_ and no longer inside close(), R.closed = the gate refuses and
/// close_status_known_, L.failed = link_.failure().
class websocket final : public object {
public:
  static constexpr handle_kind of_kind = handle_kind::websocket;

  websocket() noexcept;

  // Before the handle is given to the application.

  /// `send_timeout` bounds the time without progress, zero = none (TMO-05). `request` is the value
  /// of WINHTTP_OPTION_PARENT_HANDLE.
  void connect(io::stream connected, std::chrono::milliseconds send_timeout,
               HINTERNET request) noexcept {
    link_.connect(std::move(connected));
    send_timeout_ = send_timeout;
    request_ = request;
  }

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

  void on_close() noexcept override;
  void on_released() noexcept override { notify_closing(); }
  DWORD set_option(DWORD option, const void* buffer, DWORD length) noexcept override;
  DWORD query_option(DWORD option, void* buffer, DWORD* length) noexcept override;
  [[nodiscard]] HINTERNET parent_handle() const noexcept override { return request_; }

  /// The keep-alive interval without the lower bound of the option (OPT-05). Any thread; a Receive
  /// that is blocked at this moment still waits for the end of the old interval.
  void set_keepalive(std::chrono::milliseconds interval) noexcept {
    keepalive_ms_.store(static_cast<DWORD>(interval.count()), std::memory_order_relaxed);
  }

  // To look at from tests, while no other thread is in a call.

  [[nodiscard]] const rx_stats& received() const noexcept { return rx_.stats(); }
  [[nodiscard]] const tx_stats& sent() const noexcept { return wire_.stats(); }
  /// When a blocked Receive sends the next unsolicited pong (CTL-06, CTL-07).
  [[nodiscard]] io::time_point keepalive_due() const noexcept;

private:
  enum class open_message : std::uint8_t { none, text, binary };

  // websocket_receive.cpp
  [[nodiscard]] DWORD receive_slowly(std::span<std::byte> to, DWORD& bytes,
                                     WINHTTP_WEB_SOCKET_BUFFER_TYPE& type, rx_result got) noexcept;
  [[nodiscard]] DWORD wait_for_input(io::loop*& on) noexcept;
  [[nodiscard]] bool was_cancelled(bool by_close_itself) noexcept;
  [[nodiscard]] DWORD fail_protocol(io::loop*& on, error reason) noexcept;
  [[nodiscard]] static DWORD use_loop(io::loop*& on) noexcept;

  // websocket_send.cpp
  [[nodiscard]] DWORD begin_send(WINHTTP_WEB_SOCKET_BUFFER_TYPE type, opcode& op) noexcept;
  void end_send(WINHTTP_WEB_SOCKET_BUFFER_TYPE type, bool sent) noexcept;

  // websocket_close.cpp
  [[nodiscard]] DWORD run_close(bool send_frame, std::span<const std::byte> payload) noexcept;
  [[nodiscard]] DWORD discard_until_close(io::loop& on, io::time_point deadline) noexcept;
  void note_violation(error reason) noexcept;

  // Every Receive uses these.
  receive_gate gate_;
  message_rx rx_;

  // For whoever is inside the gate.
  bool input_ended_ = false;         // nothing can be read any more
  io::time_point last_keepalive_;    // when we last tried
  io::cancel_source receive_cancel_; // requested by any thread

  websocket_link link_;
  websocket_wire wire_;

  std::atomic<io::clock::rep> last_data_sent_; // when our last data frame was sent
  std::atomic<DWORD> keepalive_ms_;
  std::atomic<DWORD> close_timeout_ms_{decision::default_close_timeout_ms};
  std::chrono::milliseconds send_timeout_{0};
  HINTERNET request_ = nullptr;

  std::mutex mutex_;
  std::condition_variable sent_; // sending_ became false, or the handle was closed
  bool handle_closed_ = false;
  bool sending_ = false;             // a data Send is in flight
  bool shut_ = false;                // our close frame is sent or about to be
  bool closing_ = false;             // Close was called
  bool close_status_known_ = false;  // the peer's close frame was delivered (QCS-07)
  bool close_frame_invalid_ = false; // the peer's close frame broke the rules (QCS-13)
  open_message open_message_ = open_message::none; // of ours, left open by the last Send
};

} // namespace sluice::winhttp
