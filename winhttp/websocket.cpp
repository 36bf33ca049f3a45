#include "winhttp/websocket.hpp"

#include "core/memory.hpp"
#include "winhttp/async_socket.hpp"
#include "winhttp/options.hpp"

#include <cstdlib>

namespace sluice::winhttp {
namespace {

// The API streams messages of any size and any number of fragments (RCV-50, RCV-51).
[[nodiscard]] limits api_limits() noexcept {
  limits bounds;
  bounds.max_message_bytes = unlimited;
  bounds.max_fragments = unlimited;
  return bounds;
}

// Read once: a program that changes its environment later must not race with us.
[[nodiscard]] DWORD default_keepalive_ms() noexcept {
  static const DWORD milliseconds =
      decision::keepalive_ms_from(std::getenv("WINHTTP_WEBSOCKET_KEEPALIVE_MS"));
  return milliseconds;
}

} // namespace

websocket::websocket() noexcept
    : object(of_kind), rx_(role::client, api_limits()), wire_(link_),
      last_keepalive_(io::clock::now().time_since_epoch().count()),
      last_data_sent_(last_keepalive_.load(std::memory_order_relaxed)),
      keepalive_ms_(default_keepalive_ms()) {
  rx_.report_pongs(); // so that it returns after each control frame
}

websocket::~websocket() {
  memory::destroy(async_);
}

DWORD websocket::become_asynchronous(async_loop& on, connection& parent,
                                     DWORD read_ahead_bytes) noexcept {
  async_ = memory::create<async_socket>(*this, on, parent, read_ahead_bytes);
  return async_ != nullptr ? DWORD{ERROR_SUCCESS} : DWORD{ERROR_NOT_ENOUGH_MEMORY};
}

void websocket::set_keepalive(std::chrono::milliseconds interval) noexcept {
  keepalive_ms_.store(static_cast<DWORD>(interval.count()), std::memory_order_relaxed);
  if (async_ != nullptr) {
    async_->keepalive_changed();
  }
}

void websocket::on_released() noexcept {
  if (async_ != nullptr) {
    async_->on_released(); // HANDLE_CLOSING comes after what is pending
  } else {
    leave_alone(care_);
    notify_closing();
  }
}

// HND-18: no close frame. A blocked Receive or Close returns ERROR_WINHTTP_OPERATION_CANCELLED
// (RCV-24, CLO-29); one that enters later sees the request. A Close aborts the connection then
// (CLO-07), so there must be no FIN before. The descriptor goes with the object, when the last call
// has left.
void websocket::on_close() noexcept {
  bool closing = false;
  {
    const std::lock_guard lock(mutex_);
    state_.handle_closed = true;
    closing = state_.closing;
    sent_.notify_all();
  }
  receive_cancel_.request();
  const bool nobody_sends = wire_.cancel();
  if (gate_.is_entered()) {
    if (nobody_sends && !closing) {
      link_.stream().hang_up();
    } else {
      link_.stream().wake_reader();
    }
  }
}

DWORD websocket::set_option(DWORD option, const void* buffer, DWORD length) noexcept {
  DWORD value = 0;
  switch (option) {
  case WINHTTP_OPTION_WEB_SOCKET_CLOSE_TIMEOUT:
    if (const DWORD code = take_dword(buffer, length, value, decision::wrong_option_length);
        code != ERROR_SUCCESS) {
      return code;
    }
    close_timeout_ms_.store(value, std::memory_order_relaxed);
    return ERROR_SUCCESS;
  case WINHTTP_OPTION_WEB_SOCKET_KEEPALIVE_INTERVAL: // OPT-05
    if (const DWORD code = take_dword(buffer, length, value, decision::wrong_option_length);
        code != ERROR_SUCCESS) {
      return code;
    }
    if (value < WINHTTP_WEB_SOCKET_MIN_KEEPALIVE_VALUE) {
      return ERROR_INVALID_PARAMETER;
    }
    set_keepalive(std::chrono::milliseconds(value));
    return ERROR_SUCCESS;
  default:
    return ERROR_WINHTTP_INVALID_OPTION;
  }
}

DWORD websocket::query_option(DWORD option, void* buffer, DWORD* length) noexcept {
  switch (option) {
  case WINHTTP_OPTION_WEB_SOCKET_CLOSE_TIMEOUT:
    return give_value(close_timeout_ms_.load(std::memory_order_relaxed), buffer, length);
  case WINHTTP_OPTION_WEB_SOCKET_KEEPALIVE_INTERVAL:
    return ERROR_INVALID_PARAMETER; // OPT-04
  default:
    return ERROR_WINHTTP_INVALID_OPTION;
  }
}

} // namespace sluice::winhttp
