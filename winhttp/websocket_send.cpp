#include "winhttp/async_socket.hpp"
#include "winhttp/error_map.hpp"
#include "winhttp/handle_table.hpp"
#include "winhttp/websocket.hpp"

namespace sluice::winhttp {

void websocket::end_send(WINHTTP_WEB_SOCKET_BUFFER_TYPE type, bool sent) noexcept {
  const std::lock_guard lock(mutex_);
  state_.end_send(type, sent);
  sent_.notify_all();
}

// One call is one frame, whatever its size (SND-09).
DWORD websocket::send(WINHTTP_WEB_SOCKET_BUFFER_TYPE type,
                      std::span<const std::byte> payload) noexcept {
  opcode op = opcode::binary;
  {
    const std::lock_guard lock(mutex_);
    if (const DWORD code = state_.begin_send(type, link_.failure(), op); code != ERROR_SUCCESS) {
      return code;
    }
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
  if (found == nullptr) {
    return code;
  }
  const std::span payload(static_cast<const std::byte*>(buffer), length);
  async_socket* const async = found->asynchronous();
  return async != nullptr ? async->send(type, payload) : found->send(type, payload);
}
