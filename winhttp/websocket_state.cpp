#include "winhttp/websocket_state.hpp"

namespace sluice::winhttp {

DWORD websocket_state::begin_send(WINHTTP_WEB_SOCKET_BUFFER_TYPE type, DWORD latched,
                                  opcode& op) noexcept {
  if (handle_closed) {
    return ERROR_WINHTTP_OPERATION_CANCELLED;
  }
  if (shut || closing) {
    return ERROR_INVALID_OPERATION; // SND-25, SND-26
  }
  if (sending) {
    return decision::concurrent_call; // SND-22
  }
  if (latched != 0) {
    return decision::send_on_failed_link(latched); // SND-29
  }
  const data_type wanted = data_type_of(type);
  if (!wanted.valid) {
    return decision::send_of_non_data_type; // SND-03, SND-04
  }
  switch (open_message) {
  case message::none: // SND-05
    op = wanted.text ? opcode::text : opcode::binary;
    break;
  case message::text:   // SND-07
  case message::binary: // SND-06
    if (wanted.text != (open_message == message::text)) {
      return ERROR_INVALID_PARAMETER;
    }
    op = opcode::continuation;
    break;
  }
  sending = true;
  return ERROR_SUCCESS;
}

void websocket_state::end_send(WINHTTP_WEB_SOCKET_BUFFER_TYPE type, bool sent) noexcept {
  sending = false;
  if (sent) {
    const data_type done = data_type_of(type);
    open_message = done.fin ? message::none : done.text ? message::text : message::binary;
  }
}

DWORD websocket_state::begin_shutdown(DWORD latched) noexcept {
  if (shut || closing) {
    return ERROR_INVALID_OPERATION; // SHD-08
  }
  if (latched != 0) {
    return decision::call_on_failed_link(latched);
  }
  if (sending && !decision::shutdown_waits_for_send) {
    return decision::concurrent_call;
  }
  shut = true;
  return ERROR_SUCCESS;
}

DWORD websocket_state::begin_close(DWORD latched, bool& send_frame) noexcept {
  if (closing || sending) {
    return ERROR_INVALID_OPERATION; // CLO-27, CLO-23
  }
  if (latched != 0) {
    return decision::call_on_failed_link(latched); // CLO-28
  }
  closing = true;
  send_frame = !shut;
  shut = true;
  return ERROR_SUCCESS;
}

DWORD websocket_state::check_close_status() const noexcept {
  if (close_status_known) {
    return ERROR_SUCCESS;
  }
  return close_frame_invalid ? ERROR_WINHTTP_INVALID_SERVER_RESPONSE // QCS-13
                             : ERROR_INVALID_OPERATION;              // QCS-07, QCS-12
}

void websocket_state::note_violation(error reason) noexcept {
  close_frame_invalid = reason == error::close_payload_length ||
                        reason == error::close_status_code || reason == error::close_reason_utf8;
}

} // namespace sluice::winhttp
