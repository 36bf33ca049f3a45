#include "winhttp/error_map.hpp"
#include "winhttp/handle_table.hpp"
#include "winhttp/websocket.hpp"

namespace sluice::winhttp {
namespace {

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

} // namespace

// The checks in the order of STA-04: state, then the type against the open message. On success the
// sending side is ours.
DWORD websocket::begin_send(WINHTTP_WEB_SOCKET_BUFFER_TYPE type, opcode& op) noexcept {
  const std::lock_guard lock(mutex_);
  if (handle_closed_) {
    return ERROR_WINHTTP_OPERATION_CANCELLED;
  }
  if (shut_ || closing_) {
    return ERROR_INVALID_OPERATION; // SND-25, SND-26
  }
  if (sending_) {
    return decision::concurrent_call; // SND-22
  }
  if (const DWORD latched = link_.failure(); latched != 0) {
    return decision::send_on_failed_link(latched); // SND-29
  }
  const data_type wanted = data_type_of(type);
  if (!wanted.valid) {
    return decision::send_of_non_data_type; // SND-03, SND-04
  }
  switch (open_message_) {
  case open_message::none: // SND-05
    op = wanted.text ? opcode::text : opcode::binary;
    break;
  case open_message::text:   // SND-07
  case open_message::binary: // SND-06
    if (wanted.text != (open_message_ == open_message::text)) {
      return ERROR_INVALID_PARAMETER;
    }
    op = opcode::continuation;
    break;
  }
  sending_ = true;
  return ERROR_SUCCESS;
}

void websocket::end_send(WINHTTP_WEB_SOCKET_BUFFER_TYPE type, bool sent) noexcept {
  const std::lock_guard lock(mutex_);
  sending_ = false;
  if (sent) {
    const data_type done = data_type_of(type);
    open_message_ = done.fin    ? open_message::none
                    : done.text ? open_message::text
                                : open_message::binary;
  }
  sent_.notify_all();
}

// One call is one frame, whatever its size (SND-09).
DWORD websocket::send(WINHTTP_WEB_SOCKET_BUFFER_TYPE type,
                      std::span<const std::byte> payload) noexcept {
  opcode op = opcode::binary;
  if (const DWORD code = begin_send(type, op); code != ERROR_SUCCESS) {
    return code;
  }
  io::loop* on = nullptr;
  DWORD code = use_loop(on);
  if (code == ERROR_SUCCESS) {
    code = wire_.send_frame(*on, op, data_type_of(type).fin, payload, send_timeout_);
  }
  if (code == ERROR_SUCCESS) {
    last_data_sent_.store(io::clock::now().time_since_epoch().count(), std::memory_order_relaxed);
  }
  end_send(type, code == ERROR_SUCCESS);
  return code;
}

} // namespace sluice::winhttp

extern "C" DWORD WINAPI WinHttpWebSocketSend(HINTERNET socket, WINHTTP_WEB_SOCKET_BUFFER_TYPE type,
                                             PVOID buffer, DWORD length) {
  using namespace sluice::winhttp;
  if (buffer == nullptr && length != 0) {
    return ERROR_INVALID_PARAMETER; // SND-01
  }
  const pin pinned(socket);
  DWORD code = ERROR_SUCCESS;
  auto* const found = pinned.as<websocket>(code);
  return found == nullptr ? code
                          : found->send(type, {static_cast<const std::byte*>(buffer), length});
}
