#include "winhttp/async_socket.hpp"
#include "winhttp/error_map.hpp"
#include "winhttp/handle_table.hpp"
#include "winhttp/websocket.hpp"

#include "core/close_codes.hpp"

#include <cstring>

// What a call waits for, in this order and without holding mutex_: Shutdown for a Send in flight
// and for the wire; Close for the gate (the Receive inside was told to leave), for the wire and for
// the peer's close frame.

namespace sluice::winhttp {
namespace {

// Where bytes came so short a time ago, more will come, and a Receive leaves at the next one.
constexpr std::chrono::milliseconds in_full_flow{10};
constexpr std::chrono::milliseconds patience_in_full_flow{2};

} // namespace

DWORD websocket::shutdown(std::span<const std::byte> payload) noexcept {
  {
    std::unique_lock lock(mutex_);
    if (const DWORD code = state_.begin_shutdown(link_.failure()); code != ERROR_SUCCESS) {
      return code;
    }
    while (state_.sending && !state_.handle_closed) {
      sent_.wait(lock);
    }
    if (state_.handle_closed) {
      return ERROR_WINHTTP_OPERATION_CANCELLED;
    }
  }
  io::loop* on = nullptr;
  DWORD code = use_loop(on);
  if (code == ERROR_SUCCESS) {
    code = wire_.send_frame(*on, opcode::close, true, payload, send_timeout_);
  }
  if (code != ERROR_SUCCESS) {
    link_.fail(ERROR_WINHTTP_CONNECTION_ERROR, true); // SHD-13; wire_ latched its own errors
  }
  return code;
}

DWORD websocket::close(std::span<const std::byte> payload) noexcept {
  bool send_frame = false;
  {
    const std::lock_guard lock(mutex_);
    if (const DWORD code = state_.begin_close(link_.failure(), send_frame); code != ERROR_SUCCESS) {
      return code;
    }
    gate_.refuse();
  }
  enter_after_receive();
  receive_cancel_.reset();
  const DWORD code = run_close(send_frame, payload);
  if (code != ERROR_SUCCESS) {
    link_.fail(code, true); // CLO-07
  } else {
    const std::lock_guard lock(mutex_);
    state_.close_status_known = true;
  }
  gate_.leave();
  return code;
}

// A blocked Receive returns ERROR_WINHTTP_OPERATION_CANCELLED (RCV-15). Waking it makes what Close
// reads afterwards dearer (stream::wake_reader), so in full flow, when that may be much, it is
// given the time to leave by itself.
void websocket::enter_after_receive() noexcept {
  receive_cancel_.request();
  if (link_.stream().received_within(in_full_flow) &&
      gate_.enter_after_last(patience_in_full_flow)) {
    return;
  }
  if (gate_.is_entered()) {
    link_.stream().wake_reader();
  }
  gate_.enter_after_last();
}

// Inside the gate.
DWORD websocket::run_close(bool send_frame, std::span<const std::byte> payload) noexcept {
  {
    // on_close() sets this before it requests the cancel, so a request that close() has just undone
    // is seen here.
    const std::lock_guard lock(mutex_);
    if (state_.handle_closed) {
      return ERROR_WINHTTP_OPERATION_CANCELLED;
    }
  }
  io::loop* on = nullptr;
  if (const DWORD code = use_loop(on); code != ERROR_SUCCESS) {
    return code;
  }
  const DWORD timeout_ms = close_timeout_ms_.load(std::memory_order_relaxed);
  const bool limited = !decision::is_no_close_timeout(timeout_ms);
  const std::chrono::milliseconds timeout(timeout_ms);
  const io::time_point deadline = limited ? io::clock::now() + timeout : io::no_deadline;
  // If a Shutdown of another thread is still sending our close frame, it is waited for.
  const DWORD code = send_frame ? wire_.send_frame(*on, opcode::close, true, payload,
                                                   limited ? timeout : send_timeout_)
                                : wire_.wait_until_free(deadline);
  return code == ERROR_SUCCESS ? discard_until_close(*on, deadline) : code;
}

// CLO-02. When the peer's close frame has been read or delivered already, this does not wait
// (CLO-04).
DWORD websocket::discard_until_close(io::loop& on, io::time_point deadline) noexcept {
  for (;;) {
    const rx_result got = rx_.discard();
    switch (got.status) {
    case rx_status::close:
      return ERROR_SUCCESS;
    case rx_status::failed: {
      const std::lock_guard lock(mutex_);
      state_.note_violation(got.reason);
    }
      return to_win32(got.reason); // CLO-09
    case rx_status::need_input:
      break;
    default: // a ping: no answer after our close frame (CLO-10, CTL-05)
      continue;
    }
    if (input_ended_) {
      return ERROR_WINHTTP_CONNECTION_ERROR;
    }
    if (deadline != io::no_deadline && io::clock::now() >= deadline) {
      return decision::close_timer_expired; // a peer that goes on sending does not hold us
    }
    io::read_target into{rx_.inbox()};
    switch (link_.stream().read_blocking(on.buffers(), into, deadline, receive_cancel_)) {
    case error::none:
      break;
    case error::timed_out:
      return decision::close_timer_expired;
    case error::cancelled: // CLO-29
      return ERROR_WINHTTP_OPERATION_CANCELLED;
    case error::no_memory:
      return ERROR_NOT_ENOUGH_MEMORY;
    default:
      return ERROR_WINHTTP_CONNECTION_ERROR; // CLO-08
    }
  }
}

DWORD websocket::close_status(const close_info*& found) noexcept {
  const std::lock_guard lock(mutex_);
  const DWORD code = state_.check_close_status();
  if (code == ERROR_SUCCESS) {
    found = &rx_.peer_close(); // nobody receives any more
  }
  return code;
}

namespace {

// The payload of a close frame (RFC 6455 section 5.5.1).
class close_payload {
public:
  // Shutdown and Close have the same parameters (SHD-02, SHD-11, SHD-12, CLO-01). The reason is
  // bytes: it is sent as given, and copied here (SHD-03, SHD-04).
  [[nodiscard]] DWORD assign(USHORT status, const void* reason, DWORD reason_bytes) noexcept {
    if ((reason == nullptr && reason_bytes != 0) ||
        reason_bytes > WINHTTP_WEB_SOCKET_MAX_CLOSE_REASON_LENGTH) {
      return ERROR_INVALID_PARAMETER;
    }
    if (status == decision::status_for_empty_close_frame) {
      return reason_bytes == 0 ? ERROR_SUCCESS : ERROR_INVALID_PARAMETER;
    }
    if (!may_be_sent(status)) {
      return ERROR_INVALID_PARAMETER;
    }
    bytes_[0] = static_cast<std::byte>(status >> 8);
    bytes_[1] = static_cast<std::byte>(status & 0xFF);
    if (reason_bytes != 0) {
      std::memcpy(bytes_ + 2, reason, reason_bytes);
    }
    count_ = 2 + std::size_t{reason_bytes};
    return ERROR_SUCCESS;
  }
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {bytes_, count_}; }

private:
  std::byte bytes_[max_control_payload_bytes];
  std::size_t count_ = 0;
};

using close_call = DWORD (websocket::*)(std::span<const std::byte> payload) noexcept;
using async_close_call = DWORD (async_socket::*)(std::span<const std::byte> payload) noexcept;

[[nodiscard]] DWORD call_with_close_payload(close_call call, async_close_call async_call,
                                            HINTERNET socket, USHORT status, const void* reason,
                                            DWORD reason_bytes) noexcept {
  close_payload payload;
  if (const DWORD code = payload.assign(status, reason, reason_bytes); code != ERROR_SUCCESS) {
    return code;
  }
  const pin pinned(socket);
  DWORD code = ERROR_SUCCESS;
  auto* const found = pinned.as<websocket>(code);
  if (found == nullptr) {
    return code;
  }
  async_socket* const async = found->asynchronous();
  return async != nullptr ? (async->*async_call)(payload.bytes()) : (found->*call)(payload.bytes());
}

} // namespace
} // namespace sluice::winhttp

extern "C" DWORD WINAPI WinHttpWebSocketShutdown(HINTERNET socket, USHORT status, PVOID reason,
                                                 DWORD reason_length) {
  using namespace sluice::winhttp;
  return call_with_close_payload(&websocket::shutdown, &async_socket::shutdown, socket, status,
                                 reason, reason_length);
}

extern "C" DWORD WINAPI WinHttpWebSocketClose(HINTERNET socket, USHORT status, PVOID reason,
                                              DWORD reason_length) {
  using namespace sluice::winhttp;
  return call_with_close_payload(&websocket::close, &async_socket::close, socket, status, reason,
                                 reason_length);
}

extern "C" DWORD WINAPI WinHttpWebSocketQueryCloseStatus(HINTERNET socket, USHORT* status,
                                                         PVOID reason, DWORD reason_length,
                                                         DWORD* reason_length_consumed) {
  using namespace sluice::winhttp;
  if (status == nullptr || reason_length_consumed == nullptr ||
      (reason == nullptr && reason_length != 0)) {
    return ERROR_INVALID_PARAMETER; // QCS-01, QCS-02
  }
  const pin pinned(socket);
  DWORD code = ERROR_SUCCESS;
  auto* const found = pinned.as<websocket>(code);
  if (found == nullptr) {
    return code; // QCS-14
  }
  const sluice::close_info* peer = nullptr;
  code = found->close_status(peer);
  if (code != ERROR_SUCCESS) {
    return code;
  }
  *status = peer->status;
  *reason_length_consumed = peer->reason_bytes;
  if (reason_length < peer->reason_bytes) {
    return ERROR_INSUFFICIENT_BUFFER; // QCS-04, QCS-05
  }
  if (peer->reason_bytes != 0) {
    std::memcpy(reason, peer->reason, peer->reason_bytes);
  }
  return ERROR_SUCCESS;
}
