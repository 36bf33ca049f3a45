#pragma once

#include "core/error.hpp"
#include "core/frame.hpp"
#include "core/message_rx.hpp"
#include "winhttp/websocket_decisions.hpp"

#include <sluice/winhttp.h>

#include <cstdint>

namespace sluice::winhttp {

/// What the number of a buffer type says about a frame.
struct data_type {
  bool valid;
  bool text;
  bool fin;
};

[[nodiscard]] constexpr data_type data_type_of(WINHTTP_WEB_SOCKET_BUFFER_TYPE type) noexcept {
  switch (static_cast<unsigned>(type)) { // the caller may pass any number
  case WINHTTP_WEB_SOCKET_BINARY_MESSAGE_BUFFER_TYPE:
    return {true, false, true};
  case WINHTTP_WEB_SOCKET_BINARY_FRAGMENT_BUFFER_TYPE:
    return {true, false, false};
  case WINHTTP_WEB_SOCKET_UTF8_MESSAGE_BUFFER_TYPE:
    return {true, true, true};
  case WINHTTP_WEB_SOCKET_UTF8_FRAGMENT_BUFFER_TYPE:
    return {true, true, false};
  default:
    return {false, false, false};
  }
}

/// What a piece of a message is called (RCV-40, RCV-41).
[[nodiscard]] constexpr WINHTTP_WEB_SOCKET_BUFFER_TYPE buffer_type_of(rx_result piece) noexcept {
  if (piece.text) {
    return piece.message_end ? WINHTTP_WEB_SOCKET_UTF8_MESSAGE_BUFFER_TYPE
                             : WINHTTP_WEB_SOCKET_UTF8_FRAGMENT_BUFFER_TYPE;
  }
  return piece.message_end ? WINHTTP_WEB_SOCKET_BINARY_MESSAGE_BUFFER_TYPE
                           : WINHTTP_WEB_SOCKET_BINARY_FRAGMENT_BUFFER_TYPE;
}

/// The states of the sending side and of the close, and the tables that say which call they allow
/// (sections 11.2, 12, 13.2 and 14 of the contract), for synchronous and asynchronous handles
/// alike. The owner's mutex guards all of it. `latched` is the failure of the link, 0 while it is
/// up.
struct websocket_state {
  enum class message : std::uint8_t { none, text, binary };

  bool handle_closed = false;
  bool sending = false;                 // S.busy: a data Send is in flight
  bool shut = false;                    // S.shut: our close frame is sent or about to be
  bool closing = false;                 // C.pending, C.done: Close was called
  bool close_status_known = false;      // the peer's close frame was delivered (QCS-07)
  bool close_frame_invalid = false;     // the peer's close frame broke the rules (QCS-13)
  message open_message = message::none; // of ours, left open by the last Send

  /// The checks in the order of STA-04: state, then the type against the open message. On success
  /// the sending side is the caller's.
  [[nodiscard]] DWORD begin_send(WINHTTP_WEB_SOCKET_BUFFER_TYPE type, DWORD latched,
                                 opcode& op) noexcept;
  void end_send(WINHTTP_WEB_SOCKET_BUFFER_TYPE type, bool sent) noexcept;

  /// On success no further Send begins (SHD-06).
  [[nodiscard]] DWORD begin_shutdown(DWORD latched) noexcept;

  /// On success neither Send nor Shutdown nor Close begins. `send_frame`: no close frame of ours
  /// went out yet (CLO-03).
  [[nodiscard]] DWORD begin_close(DWORD latched, bool& send_frame) noexcept;

  /// 0 if the peer's close frame may be shown.
  [[nodiscard]] DWORD check_close_status() const noexcept;

  /// The peer broke the protocol.
  void note_violation(error reason) noexcept;
};

} // namespace sluice::winhttp
