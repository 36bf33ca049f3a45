#include "winhttp/websocket_wire.hpp"

#include "io/buffer_pool.hpp"
#include "io/crypto.hpp"
#include "io/system_error.hpp"
#include "winhttp/websocket_decisions.hpp"

#include <algorithm>

namespace sluice::winhttp {
namespace {

// Frames up to this size are masked on the stack and go out in one system call. Larger ones go
// through a large buffer of the loop's pool, or through the stack again when the pool is empty: a
// Send does not fail for want of memory.
constexpr std::size_t stack_bytes = 4096;

// How long a Send that is done waits for room for a pong. The caretaker goes on with it afterwards.
constexpr std::chrono::milliseconds pong_patience{1};

// So often send_due_now() takes the wire again for what fell due meanwhile.
constexpr int max_turns = 4;

[[nodiscard]] io::time_point after(std::chrono::milliseconds timeout) noexcept {
  return timeout == std::chrono::milliseconds::zero() ? io::no_deadline
                                                      : io::clock::now() + timeout;
}

} // namespace

websocket_wire::websocket_wire(websocket_link& link) noexcept
    : link_(link), keys_(io::random_bytes) {}

// Holding the wire

error websocket_wire::take(io::time_point deadline) noexcept {
  std::unique_lock lock(mutex_);
  bool expired = false;
  while (taken_ && !cancelled_ && !expired) {
    ++waiting_;
    if (deadline == io::no_deadline) {
      freed_.wait(lock);
    } else {
      expired = freed_.wait_until(lock, deadline) == std::cv_status::timeout;
    }
    --waiting_;
  }
  if (cancelled_) {
    return error::cancelled;
  }
  if (taken_) {
    return error::timed_out;
  }
  taken_ = true;
  return error::none;
}

bool websocket_wire::try_take() noexcept {
  const std::lock_guard lock(mutex_);
  if (taken_ || cancelled_) {
    return false;
  }
  taken_ = true;
  return true;
}

// True if something is due: then somebody else has to take the wire and send it.
bool websocket_wire::release() noexcept {
  const std::lock_guard lock(mutex_);
  const bool is_due = pong_due_ || close_due_ != 0 || has_leftover();
  due_.store(is_due, std::memory_order_relaxed);
  taken_ = false;
  if (waiting_ != 0) {
    freed_.notify_all();
  }
  return is_due;
}

// Nothing may follow a write that failed half-way: the peer would take it for the rest of the
// frame. What failed before its first byte leaves the link up.
DWORD websocket_wire::fail(error why) noexcept {
  switch (why) {
  case error::timed_out:
    link_.fail(decision::send_without_progress, true);
    return decision::send_without_progress;
  case error::cancelled:
    link_.fail(ERROR_WINHTTP_OPERATION_CANCELLED, true);
    return ERROR_WINHTTP_OPERATION_CANCELLED;
  case error::random_failed:
    return ERROR_WINHTTP_INTERNAL_ERROR;
  case error::no_memory:
    return ERROR_NOT_ENOUGH_MEMORY;
  default:
    link_.fail(ERROR_WINHTTP_CONNECTION_ERROR, false);
    return ERROR_WINHTTP_CONNECTION_ERROR; // SND-28
  }
}

DWORD websocket_wire::wait_until_free(io::time_point deadline) noexcept {
  switch (take(deadline)) {
  case error::none:
    hand_over();
    return ERROR_SUCCESS;
  case error::timed_out:
    return ERROR_WINHTTP_TIMEOUT;
  default:
    return ERROR_WINHTTP_OPERATION_CANCELLED;
  }
}

bool websocket_wire::cancel() noexcept {
  bool is_free = false;
  {
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
    is_free = !taken_;
    freed_.notify_all();
  }
  cancel_.request();
  return is_free;
}

// Frames of the application

DWORD websocket_wire::send_frame(io::loop& on, opcode op, bool fin,
                                 std::span<const std::byte> payload,
                                 std::chrono::milliseconds progress_timeout) noexcept {
  if (!try_take()) {
    if (const error waited = take(after(progress_timeout)); waited != error::none) {
      return fail(waited);
    }
  }
  error sent = link_.failure() == 0 ? write_due(on, progress_timeout) : error::connection_lost;
  if (sent == error::none && op == opcode::close) {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    pong_due_ = false;
    close_due_ = 0;
  }
  if (sent == error::none) {
    sent = write_frame(on, op, fin, payload, progress_timeout);
  }
  const DWORD code = sent == error::none ? DWORD{ERROR_SUCCESS} : fail(sent);
  if (sent == error::none && due_.load(std::memory_order_relaxed)) {
    // The frame is out and the call has succeeded, whatever becomes of the pong.
    const error answered = write_due(on, pong_patience);
    if (answered == error::connection_lost || answered == error::system) {
      (void)fail(answered);
    }
  }
  hand_over();
  return code;
}

// Gives up the wire. A receiver that found it taken a moment ago sleeps by now.
void websocket_wire::hand_over() noexcept {
  if (release() && link_.failure() == 0) {
    send_due_now();
  }
}

error websocket_wire::write_frame(io::loop& on, opcode op, bool fin,
                                  std::span<const std::byte> payload,
                                  std::chrono::milliseconds progress_timeout) noexcept {
  std::uint32_t key = 0;
  if (!keys_.next(key)) {
    return error::random_failed;
  }
  frame_writer frame;
  frame.start_masked(op, fin, payload, key);

  std::byte on_stack[stack_bytes];
  std::span<std::byte> room(on_stack);
  buffer* lent = nullptr;
  if (payload.size() > stack_bytes - max_frame_header_bytes) {
    lent = on.buffers().take(io::buffer_class::large);
    if (lent != nullptr) {
      room = {lent->bytes, lent->capacity_bytes};
    }
  }
  error sent = error::none;
  bool begun = false;
  while (sent == error::none && !frame.done()) {
    const std::size_t filled = frame.fill(room);
    std::span<const std::byte> rest = room.first(filled);
    if (lent == nullptr) { // mostly the kernel has room, and then the loop is a detour
      sent = link_.stream().write_now(rest);
    }
    if (sent == error::none && (!rest.empty() || link_.stream().has_unsent())) {
      sent = link_.stream().write_rest(on, rest, progress_timeout, &cancel_);
    }
    begun = begun || rest.size() != filled;
  }
  if (sent == error::no_memory && begun) {
    sent = error::connection_lost; // a frame cannot be taken back
  }
  if (lent != nullptr) {
    lent->owner->recycle(*lent);
  }
  if (sent == error::none) {
    ++stats_.frames;
    stats_.payload_bytes += is_control(op) ? 0 : payload.size();
  }
  return sent;
}

// Control frames of our own

void websocket_wire::post(std::span<const std::byte> payload, bool replace) noexcept {
  const std::lock_guard lock(mutex_);
  if (closed_ || (pong_due_ && !replace)) {
    return;
  }
  const std::size_t count = std::min(payload.size(), pong_.size());
  std::copy_n(payload.begin(), count, pong_.begin());
  pong_bytes_ = static_cast<std::uint8_t>(count);
  pong_due_ = true;
  due_.store(true, std::memory_order_relaxed);
}

void websocket_wire::post_pong(std::span<const std::byte> payload) noexcept {
  post(payload, true);
}

void websocket_wire::post_keepalive() noexcept {
  post({}, false);
}

void websocket_wire::post_close(std::uint16_t status) noexcept {
  const std::lock_guard lock(mutex_);
  if (closed_) {
    return;
  }
  closed_ = true;
  pong_due_ = false;
  close_due_ = status;
  due_.store(true, std::memory_order_relaxed);
}

// Turns what is due into a leftover, unless there is one. False when there is nothing to send.
bool websocket_wire::prepare_due() noexcept {
  if (has_leftover()) {
    return true;
  }
  std::array<std::byte, max_control_payload_bytes> payload;
  std::size_t payload_bytes = 0;
  opcode op = opcode::pong;
  {
    const std::lock_guard lock(mutex_);
    if (pong_due_) {
      payload_bytes = pong_bytes_;
      std::copy_n(pong_.begin(), payload_bytes, payload.begin());
      pong_due_ = false;
    } else if (close_due_ != 0) {
      op = opcode::close;
      payload[0] = static_cast<std::byte>(close_due_ >> 8);
      payload[1] = static_cast<std::byte>(close_due_ & 0xFF);
      payload_bytes = 2;
      close_due_ = 0;
    } else {
      return false;
    }
  }
  std::uint32_t key = 0;
  if (!keys_.next(key)) {
    return false; // a frame that cannot be masked cannot be sent
  }
  frame_writer frame;
  frame.start_masked(op, true, {payload.data(), payload_bytes}, key);
  control_begin_ = 0;
  control_end_ = static_cast<std::uint8_t>(frame.fill(control_));
  ++stats_.frames;
  stats_.pongs += op == opcode::pong ? 1 : 0;
  return true;
}

// Sends the leftover and one frame that is due. Not all that ever fall due: a peer that sends pings
// without end must not keep a Send from returning.
error websocket_wire::write_due(io::loop& on, std::chrono::milliseconds progress_timeout) noexcept {
  error sent = error::none;
  if (has_leftover()) {
    sent = write_leftover(on, progress_timeout);
  }
  if (sent == error::none && due_.load(std::memory_order_relaxed) && prepare_due()) {
    sent = write_leftover(on, progress_timeout);
  }
  return sent;
}

error websocket_wire::write_leftover(io::loop& on,
                                     std::chrono::milliseconds progress_timeout) noexcept {
  std::span<const std::byte> rest(control_.data() + control_begin_, control_.data() + control_end_);
  const error sent = link_.stream().write_rest(on, rest, progress_timeout, &cancel_);
  control_begin_ = static_cast<std::uint8_t>(control_end_ - rest.size());
  return sent;
}

void websocket_wire::send_due_now() noexcept {
  bool goes_on = true;
  // A pong that falls due in the moment before the wire is free is nobody else's. Not without end,
  // for the reason at write_due().
  for (int turns = 0; goes_on && turns < max_turns && is_due() && try_take(); ++turns) {
    error sent = error::none;
    while (sent == error::none && prepare_due()) {
      std::span<const std::byte> rest(control_.data() + control_begin_,
                                      control_.data() + control_end_);
      sent = link_.stream().write_now(rest);
      control_begin_ = static_cast<std::uint8_t>(control_end_ - rest.size());
      if (has_leftover()) {
        goes_on = false; // for later, when there is room
        break;
      }
    }
    if (sent != error::none && sent != error::no_memory) {
      (void)fail(sent); // CTL-09
    }
    goes_on = goes_on && sent == error::none;
    (void)release();
  }
}

} // namespace sluice::winhttp
