#include "winhttp/async_socket.hpp"
#include "winhttp/error_map.hpp"
#include "winhttp/handle_table.hpp"
#include "winhttp/websocket.hpp"

#include "core/close_codes.hpp"

// How a Receive runs. With a piece of a message in the inbox it is receive() alone: into the gate,
// one copy, out of the gate. Everything else is receive_slowly(): control frames, waiting for the
// network, the end of the stream.

namespace sluice::winhttp {

inline DWORD websocket::receive(std::span<std::byte> to, DWORD& bytes,
                                WINHTTP_WEB_SOCKET_BUFFER_TYPE& type) noexcept {
  if (!gate_.try_enter()) [[unlikely]] {
    return decision::concurrent_call; // RCV-13; the same code after CLOSE and Close: RCV-16, RCV-18
  }
  used_.store(true, std::memory_order_relaxed);
  const rx_result got = rx_.receive(to);
  if (got.status != rx_status::piece) [[unlikely]] {
    const DWORD code = receive_slowly(to, bytes, type, got);
    gate_.leave();
    return code;
  }
  gate_.leave();
  bytes = static_cast<DWORD>(got.bytes);
  type = buffer_type_of(got);
  return ERROR_SUCCESS;
}

// Inside the gate.
DWORD websocket::receive_slowly(std::span<std::byte> to, DWORD& bytes,
                                WINHTTP_WEB_SOCKET_BUFFER_TYPE& type, rx_result got) noexcept {
  DWORD code = ERROR_SUCCESS;
  bool finished = false;
  while (!finished) {
    switch (got.status) {
    case rx_status::piece:
      bytes = static_cast<DWORD>(got.bytes);
      type = buffer_type_of(got);
      finished = true;
      break;
    case rx_status::close: { // RCV-60, RCV-62: the answer is the application's
      const std::lock_guard lock(mutex_);
      state_.close_status_known = true;
      gate_.refuse();
      bytes = 0;
      type = WINHTTP_WEB_SOCKET_CLOSE_BUFFER_TYPE;
      finished = true;
      break;
    }
    case rx_status::failed:
      code = fail_protocol(got.reason);
      finished = true;
      break;
    case rx_status::ping:
      wire_.post_pong(rx_.control_payload()); // sent before we wait or return (CTL-04)
      break;
    case rx_status::pong: // CTL-02
      break;
    default: // need_input
      code = wait_for_input(to, got);
      finished = code != ERROR_SUCCESS;
      break;
    }
    if (!finished && got.status != rx_status::piece) {
      got = rx_.receive(to);
    }
  }
  wire_.send_due_now();
  used_.store(true, std::memory_order_relaxed); // after what may have been a long wait
  return code;
}

DWORD websocket::use_loop(io::loop*& on) noexcept {
  return to_win32(io::loop::for_this_thread(on));
}

// Reads once; on success the inbox may have grown, or `got` is a piece that went to `to` directly.
// What the kernel has received is read before a failure that the sending side latched is reported
// (RCV-21).
DWORD websocket::wait_for_input(std::span<std::byte> to, rx_result& got) noexcept {
  if (input_ended_) {
    return end_of_input();
  }
  io::buffer_pool* const buffers = io::loop::buffers_for_this_thread();
  if (buffers == nullptr) {
    return ERROR_NOT_ENOUGH_MEMORY; // RCV-27
  }
  wire_.send_due_now();
  io::read_target into{rx_.inbox(), rx_.direct_room(to)};
  const error outcome =
      link_.stream().read_blocking(*buffers, into, receive_deadline(), receive_cancel_);
  if (into.direct_bytes != 0) {
    got = rx_.took(into.direct_bytes);
  }
  switch (outcome) {
  case error::none:
    return ERROR_SUCCESS;
  case error::timed_out:
    keep_alive();
    return ERROR_SUCCESS;
  case error::cancelled: // RCV-15, RCV-24
    return ERROR_WINHTTP_OPERATION_CANCELLED;
  case error::no_memory:
    return to_win32(outcome); // RCV-27: nothing is lost, the next call tries again
  default:
    return end_of_input();
  }
}

// Receive has no time-out of its own (TMO-04, decision X-45), and the caretaker sends what falls
// due meanwhile. Without one, as in a forked child or after exit(), the Receive that waits does.
io::time_point websocket::receive_deadline() const noexcept {
  if (care_.of != nullptr) {
    return io::no_deadline;
  }
  return wire_.is_due() ? io::clock::now() + decision::care_period : keepalive_due();
}

// All that was received has been taken (RCV-20, RCV-22).
DWORD websocket::end_of_input() noexcept {
  input_ended_ = true;
  DWORD latched = link_.failure();
  if (latched == 0) {
    latched = link_.fail(ERROR_WINHTTP_CONNECTION_ERROR, false);
  }
  return decision::call_on_failed_link(latched);
}

// RCV-23, RCV-70 to RCV-80. rx_ stays failed, so every later Receive comes here too.
DWORD websocket::fail_protocol(error reason) noexcept {
  if (input_ended_) {
    return decision::call_on_failed_link(link_.failure());
  }
  input_ended_ = true;
  {
    const std::lock_guard lock(mutex_);
    state_.note_violation(reason);
  }
  const DWORD latched = link_.latch(to_win32(reason)); // from here on no Send begins
  if (decision::answer_violation_with_close_frame) {
    wire_.post_close(close_status_for(reason));
    wire_.send_due_now();
  }
  link_.fail(latched, false);
  return decision::call_on_failed_link(latched);
}

} // namespace sluice::winhttp

extern "C" DWORD WINAPI WinHttpWebSocketReceive(HINTERNET socket, PVOID buffer, DWORD length,
                                                DWORD* bytes_read,
                                                WINHTTP_WEB_SOCKET_BUFFER_TYPE* type) {
  using namespace sluice::winhttp;
  if (buffer == nullptr || length == 0) {
    return ERROR_INVALID_PARAMETER; // RCV-01, RCV-02
  }
  const pin pinned(socket);
  DWORD code = ERROR_SUCCESS;
  auto* const found = pinned.as<websocket>(code);
  if (found == nullptr) [[unlikely]] {
    return code; // RCV-05
  }
  if (async_socket* const async = found->asynchronous()) {
    return async->receive({static_cast<std::byte*>(buffer), length}); // RCV-04
  }
  if (bytes_read == nullptr || type == nullptr) [[unlikely]] {
    return decision::missing_out_pointer; // RCV-03
  }
  return found->receive({static_cast<std::byte*>(buffer), length}, *bytes_read, *type);
}
