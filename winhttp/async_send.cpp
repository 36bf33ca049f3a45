#include "winhttp/async_socket.hpp"

#include "core/memory.hpp"
#include "winhttp/error_map.hpp"

#include <algorithm>
#include <cstring>

// Sending: in the calls of the application as far as the kernel goes along at once, the rest on the
// loop thread.

namespace sluice::winhttp {
namespace {

// Frames up to this size are masked on the stack and go out in one system call.
constexpr std::size_t stack_bytes = 4096;

// Larger ones go through memory of their own, which the loop takes over with what is left of it.
constexpr std::size_t most_staged_bytes = std::size_t{64} << 10;

} // namespace

void async_socket::drop_staging() noexcept {
  memory::release(staged_);
  staged_ = nullptr;
  staged_bytes_ = 0;
}

// `code` is that of `failed`. When that happens before a byte is out, the link is up.
async_socket::write_outcome async_socket::write_in_call(opcode op, bool fin,
                                                        std::span<const std::byte> payload,
                                                        DWORD& code) noexcept {
  std::uint32_t key = 0;
  if (!keys_.next(key)) {
    code = ERROR_WINHTTP_INTERNAL_ERROR;
    return write_outcome::failed;
  }
  frame_.start_masked(op, fin, payload, key);
  std::byte on_stack[stack_bytes];
  std::span<std::byte> room(on_stack);
  if (frame_.left_bytes() > stack_bytes) {
    staged_bytes_ = std::min(frame_.left_bytes(), most_staged_bytes);
    staged_ = static_cast<std::byte*>(memory::allocate(staged_bytes_));
    if (staged_ != nullptr) {
      room = {staged_, staged_bytes_};
    }
  }
  io::stream& to = of_.link_.stream();
  std::span<const std::byte> rest;
  bool begun = false;
  while (rest.empty() && !frame_.done() && !to.has_unsent()) {
    const std::size_t filled = frame_.fill(room);
    rest = room.first(filled);
    const error failed = to.write_now(rest);
    begun = begun || rest.size() != filled;
    if (failed != error::none) {
      drop_staging();
      if (failed == error::no_memory && !begun) {
        code = ERROR_NOT_ENOUGH_MEMORY;
      } else {
        of_.link_.fail(ERROR_WINHTTP_CONNECTION_ERROR, false);
        code = ERROR_WINHTTP_CONNECTION_ERROR;
      }
      return write_outcome::failed;
    }
  }
  if (rest.empty() && frame_.done() && !to.has_unsent()) {
    drop_staging();
    return write_outcome::finished;
  }
  out_ = rest;
  if (!rest.empty() && staged_ == nullptr) { // it is on the stack
    std::byte* kept = control_.data();
    if (rest.size() > control_.size()) {
      staged_bytes_ = rest.size();
      staged_ = static_cast<std::byte*>(memory::allocate(staged_bytes_));
      kept = staged_;
    }
    if (kept == nullptr) {
      out_ = {};
      if (begun) { // a frame cannot be taken back
        of_.link_.fail(ERROR_WINHTTP_CONNECTION_ERROR, false);
        code = ERROR_WINHTTP_CONNECTION_ERROR;
      } else {
        code = ERROR_NOT_ENOUGH_MEMORY;
      }
      return write_outcome::failed;
    }
    std::memcpy(kept, rest.data(), rest.size());
    out_ = {kept, rest.size()};
  }
  return write_outcome::with_loop;
}

// By the call that has the wire.
void async_socket::release_wire() noexcept {
  if (pong_due_ || close_due_ || data_due_) {
    wire_on_loop_ = true;
    wake(to_work);
  } else {
    wire_taken_ = false;
  }
}

void async_socket::post_pong(std::span<const std::byte> payload, bool replace) noexcept {
  if (no_more_pongs_ || (pong_due_ && !replace)) {
    return; // CTL-04: one is kept, the answer to the latest ping
  }
  std::copy(payload.begin(), payload.end(), pong_.begin());
  pong_bytes_ = static_cast<std::uint8_t>(payload.size());
  pong_due_ = true;
}

// On the loop thread: goes on with what is being sent and begins what is due, until the kernel has
// something to do or nothing is left.
void async_socket::pump_writes() noexcept {
  const bool is_due = wire_on_loop_ || data_due_ || pong_due_ || close_due_;
  if (!is_due || (wire_taken_ && !wire_on_loop_) || !send_.idle()) {
    return; // a call that is writing hands over when it is done
  }
  if (const DWORD latched = of_.link_.failure(); latched != 0) {
    fail_writes(latched);
    return;
  }
  wire_taken_ = true;
  wire_on_loop_ = true;
  io::stream& to = of_.link_.stream();
  for (;;) {
    if (!out_.empty() || to.has_unsent()) {
      bool begun = false;
      send_.bytes = out_;
      out_ = out_.subspan(to.begin_write(loop_.loop(), send_, begun));
      if (begun) {
        watch_progress();
        return;
      }
      if (!out_.empty() || to.has_unsent()) { // no memory to encrypt it
        fail_writes(of_.link_.fail(ERROR_WINHTTP_CONNECTION_ERROR, false));
        return;
      }
    }
    if (!frame_.done()) {
      if (staged_ == nullptr) {
        staged_bytes_ = std::min(frame_.left_bytes(), most_staged_bytes);
        staged_ = staged_bytes_ <= control_.size()
                      ? nullptr
                      : static_cast<std::byte*>(memory::allocate(staged_bytes_));
      }
      const std::span<std::byte> room =
          staged_ != nullptr ? std::span(staged_, staged_bytes_) : control_;
      out_ = room.first(frame_.fill(room));
      continue;
    }
    if (current_ != frame_kind::none) {
      finish_frame();
    }
    if (!start_next_frame()) {
      wire_taken_ = false;
      wire_on_loop_ = false;
      return;
    }
  }
}

void async_socket::finish_frame() noexcept {
  drop_staging();
  switch (std::exchange(current_, frame_kind::none)) {
  case frame_kind::data:
    of_.last_data_sent_.store(io::clock::now().time_since_epoch().count(),
                              std::memory_order_relaxed);
    write_code_ = ERROR_SUCCESS;
    due_ |= write_due;
    break;
  case frame_kind::close:
    frame_closed_ = true;
    due_ |= shutdown_pending_ ? shutdown_due : std::uint8_t{0};
    break;
  case frame_kind::pong:
  case frame_kind::none:
    break;
  }
}

// The Send that was accepted while a pong was on its way, then pongs, then our close frame, which
// is the last (CTL-05, SHD-06).
bool async_socket::start_next_frame() noexcept {
  opcode op = opcode::pong;
  bool fin = true;
  std::span<const std::byte> payload;
  if (data_due_) {
    data_due_ = false;
    current_ = frame_kind::data;
    op = send_op_;
    fin = data_type_of(send_type_).fin;
    payload = send_payload_;
  } else if (pong_due_) {
    pong_due_ = false;
    current_ = frame_kind::pong;
    payload = {pong_.data(), pong_bytes_};
  } else if (close_due_) {
    close_due_ = false;
    no_more_pongs_ = true;
    current_ = frame_kind::close;
    op = opcode::close;
    payload = {close_.data(), close_bytes_};
  } else {
    return false;
  }
  std::uint32_t key = 0;
  if (!keys_.next(key)) { // a frame that cannot be masked cannot be sent
    fail_writes(of_.link_.fail(ERROR_WINHTTP_CONNECTION_ERROR, false));
    return false;
  }
  frame_.start_masked(op, fin, payload, key);
  return true;
}

// The link has failed: whatever was accepted fails with it.
void async_socket::fail_writes(DWORD code) noexcept {
  out_ = {};
  frame_ = frame_writer();
  current_ = frame_kind::none;
  drop_staging();
  data_due_ = false;
  pong_due_ = false;
  close_due_ = false;
  wire_taken_ = false;
  wire_on_loop_ = false;
  if (of_.state_.sending && (due_ & write_due) == 0) {
    write_code_ = code;
    due_ |= write_due;
  }
  if (shutdown_pending_ && (due_ & shutdown_due) == 0) {
    shutdown_code_ = code;
    due_ |= shutdown_due;
  }
}

void async_socket::on_sent(io::operation& done) noexcept {
  auto& self = *static_cast<async_socket*>(done.context);
  io::stream& to = self.of_.link_.stream();
  self.loop_.timers().cancel(self.send_timer_);
  {
    const std::lock_guard lock(self.of_.mutex_);
    if (self.dead_) {
      std::size_t ignored = 0;
      if (done.result < 0) {
        to.end_write();
      } else { // over TLS what is out must not go out again; the rest is cancelled
        (void)to.continue_write(self.loop_.loop(), self.send_, ignored);
      }
      if (self.torn_down_) {
        self.wake(to_retire);
      }
      return;
    }
    if (done.result >= 0) {
      std::size_t sent_bytes = 0;
      if (!to.continue_write(self.loop_.loop(), self.send_, sent_bytes)) {
        self.watch_progress();
        return;
      }
      self.out_ = self.out_.subspan(sent_bytes);
    } else {
      to.end_write();
      self.fail_writes(self.of_.link_.fail(ERROR_WINHTTP_CONNECTION_ERROR, false)); // SND-28
    }
  }
  self.run_events();
}

// X-30, TMO-05. A peer that reads slowly makes progress although the operation does not complete:
// the kernel asks for more only when a good part of its buffer, megabytes, is free again. So what
// lies in that buffer is looked at now and then, as io::stream's blocking calls do.
void async_socket::watch_progress() noexcept {
  if (of_.send_timeout_.count() > 0) {
    looks_without_progress_ = 0;
    unacknowledged_bytes_ = of_.link_.stream().unacknowledged_bytes(0);
    arm_send_timer();
  }
}

void async_socket::arm_send_timer() noexcept {
  const std::chrono::milliseconds next_look = of_.send_timeout_ / io::looks_per_timeout;
  loop_.timers().arm(send_timer_, io::clock::now(),
                     std::max(next_look, std::chrono::milliseconds(1)));
}

void async_socket::on_send_timer(io::timer& expired) noexcept {
  auto& self = *static_cast<async_socket*>(expired.context);
  const std::lock_guard lock(self.of_.mutex_);
  if (self.dead_ || self.send_.idle()) {
    return;
  }
  const int before = self.unacknowledged_bytes_;
  self.unacknowledged_bytes_ = self.of_.link_.stream().unacknowledged_bytes(before);
  if (self.unacknowledged_bytes_ != before) {
    self.looks_without_progress_ = 0;
  } else if (++self.looks_without_progress_ == io::looks_per_timeout) {
    // The peer takes nothing. The operation completes with an error now.
    self.of_.link_.fail(decision::send_without_progress, true);
    self.loop_.loop().io().cancel(self.send_);
    return;
  }
  self.arm_send_timer();
}

// CTL-06 to CTL-08: an unsolicited pong when nothing of ours went out for the interval.
void async_socket::arm_keepalive() noexcept {
  if (dead_ || no_more_pongs_ || of_.link_.failure() != 0) {
    return;
  }
  const io::time_point now = io::clock::now();
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(of_.keepalive_due() - now);
  loop_.timers().arm(keepalive_timer_, now, std::max(left, std::chrono::milliseconds(1)));
}

void async_socket::on_keepalive_timer(io::timer& expired) noexcept {
  auto& self = *static_cast<async_socket*>(expired.context);
  {
    const std::lock_guard lock(self.of_.mutex_);
    if (self.dead_) {
      return;
    }
    const io::time_point now = io::clock::now();
    if (self.of_.keepalive_due() <= now) {
      self.of_.last_keepalive_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
      self.post_pong({}, false);
    }
    self.arm_keepalive();
  }
  self.run_events();
}

} // namespace sluice::winhttp
