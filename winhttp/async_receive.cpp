#include "winhttp/async_socket.hpp"

#include "core/close_codes.hpp"
#include "winhttp/error_map.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

// Receiving and closing on the loop thread.

namespace sluice::winhttp {
namespace {

// How long reading ahead rests when there was no memory for it. Who gives some back says nothing.
constexpr std::chrono::milliseconds retry_pause = io::timer_wheel::tick;

} // namespace

// The next notification of the receiving side, or what has to happen before there is one. The first
// lines are the way of a Receive whose data is buffered.
async_socket::event async_socket::read_event() noexcept {
  message_rx& rx = of_.rx_;
  for (;;) {
    rx_result got;
    if (receiving_) [[likely]] {
      got = rx.receive(receive_to_);
      if (got.status == rx_status::piece) [[likely]] {
        return read_complete(got);
      }
    } else if (close_pending_) {
      return close_progress();
    } else if (closed_input_ || peer_closed_ || violated_ || of_.state_.closing) {
      return {};
    } else if (rx.control_next()) { // CTL-03: control frames in front of unread data
      got = rx.receive({});
    }
    switch (got.status) {
    case rx_status::piece: // not without a Receive
    case rx_status::pong:  // CTL-02
      break;
    case rx_status::ping: // CTL-01
      post_pong(rx.control_payload(), true);
      pump_writes();
      break;
    case rx_status::close: // RCV-60, RCV-62: the answer is the application's
      peer_closed_ = true;
      if (!receiving_) {
        return {}; // RCV-19
      }
      receiving_ = false;
      closed_input_ = true;
      of_.state_.close_status_known = true; // RCV-61
      return {WINHTTP_CALLBACK_STATUS_READ_COMPLETE,
              WINHTTP_WEB_SOCKET_RECEIVE_OPERATION,
              0,
              {0, WINHTTP_WEB_SOCKET_CLOSE_BUFFER_TYPE}};
    case rx_status::failed:
      return fail_protocol(got.reason);
    default: { // need_input, or without a Receive: unread data is in front
      if (!receiving_ && !decision::may_read_ahead(rx.inbox().size_bytes(),
                                                   rx.inbox().slice_count(), read_ahead_bytes_)) {
        return {};
      }
      std::size_t direct_bytes = 0;
      switch (read_more(receiving_ ? receive_to_ : std::span<std::byte>(), direct_bytes)) {
      case input::grown:
        if (direct_bytes != 0) {
          return read_complete(rx.took(direct_bytes));
        }
        break;
      case input::awaited:
        return {};
      case input::no_memory: // RCV-27: nothing is lost
        if (!receiving_) {
          loop_.timers().arm(retry_timer_, io::clock::now(), retry_pause); // CTL-03
          return {};
        }
        return end_receive(ERROR_NOT_ENOUGH_MEMORY);
      case input::ended:
        if (!receiving_ && !rx.inbox().empty()) {
          return {}; // RCV-21: data comes first
        }
        return end_receive(decision::call_on_failed_link(
            of_.link_.fail(ERROR_WINHTTP_CONNECTION_ERROR, false))); // RCV-20, RCV-22
      }
      break;
    }
    }
  }
}

async_socket::event async_socket::read_complete(const rx_result& piece) noexcept {
  receiving_ = false; // RCV-26: finished before its callback runs
  return {WINHTTP_CALLBACK_STATUS_READ_COMPLETE,
          WINHTTP_WEB_SOCKET_RECEIVE_OPERATION,
          0,
          {static_cast<DWORD>(piece.bytes), buffer_type_of(piece)}};
}

async_socket::event async_socket::end_receive(DWORD code) noexcept {
  if (!receiving_) {
    return {};
  }
  receiving_ = false;
  receive_to_ = {};
  return failure_of(WINHTTP_WEB_SOCKET_RECEIVE_OPERATION, code);
}

// `to` is the room of a pending Receive: over TLS payload may go there, `direct_bytes` of it,
// rather than into the inbox.
async_socket::input async_socket::read_more(std::span<std::byte> to,
                                            std::size_t& direct_bytes) noexcept {
  io::stream& from = of_.link_.stream();
  slice_queue& inbox = of_.rx_.inbox();
  if (from.has_kept()) {
    io::read_target into{inbox, of_.rx_.direct_room(to)};
    const std::size_t before = inbox.size_bytes();
    const error failed = from.deliver_kept(loop_.loop().buffers(), into);
    if (failed == error::no_memory) {
      return input::no_memory;
    }
    input_ended_ = input_ended_ || failed != error::none;
    direct_bytes = into.direct_bytes;
    if (direct_bytes != 0 || inbox.size_bytes() != before) {
      return input::grown;
    }
    if (!input_ended_ && from.has_kept()) { // records without data: the other sockets are next
      post(to_work);
      return input::awaited;
    }
  }
  if (input_ended_) {
    return input::ended;
  }
  if (std::exchange(lacks_memory_, false)) {
    return input::no_memory; // to read at once would fail at once, again and again
  }
  if (recv_.idle()) {
    from.begin_read(loop_.loop(), recv_);
  }
  return input::awaited;
}

void async_socket::on_read(io::operation& done) noexcept {
  auto& self = *static_cast<async_socket*>(done.context);
  {
    const std::lock_guard lock(self.of_.mutex_);
    if (self.dead_) {
      if (buffer* const filled = std::exchange(self.recv_.filled, nullptr)) {
        release_buffer(*filled);
      }
      if (self.torn_down_) {
        self.wake(to_retire);
      }
      return;
    }
    switch (self.of_.link_.stream().end_read(self.recv_, self.of_.rx_.inbox())) {
    case error::none:
    case error::cancelled:
      break;
    case error::no_memory: // kept bytes read_more() tries to deliver again
      self.lacks_memory_ = !self.of_.link_.stream().has_kept();
      break;
    default:
      self.input_ended_ = true;
      break;
    }
  }
  self.run_events();
}

void async_socket::on_retry_timer(io::timer& expired) noexcept {
  static_cast<async_socket*>(expired.context)->run_events();
}

// RCV-23, RCV-70 to RCV-80. The parser stays failed, so every later Receive comes here.
async_socket::event async_socket::fail_protocol(error reason) noexcept {
  if (!violated_) {
    violated_ = true;
    input_ended_ = true;
    of_.state_.note_violation(reason);
    of_.link_.latch(to_win32(reason)); // from here on no Send begins
    if (decision::answer_violation_with_close_frame && !wire_taken_ && !no_more_pongs_) {
      no_more_pongs_ = true;
      const std::uint16_t status = close_status_for(reason);
      close_[0] = static_cast<std::byte>(status >> 8);
      close_[1] = static_cast<std::byte>(status & 0xFF);
      std::uint32_t key = 0;
      if (keys_.next(key)) {
        frame_.start_masked(opcode::close, true, {close_.data(), 2}, key);
        std::span<const std::byte> rest(control_.data(), frame_.fill(control_));
        (void)of_.link_.stream().write_now(rest); // what does not go out now never does
      }
    }
    of_.link_.fail(of_.link_.failure(), false);
  }
  return end_receive(decision::call_on_failed_link(of_.link_.failure()));
}

// Closing

// CLO-02: data is dropped until the peer's close frame has come. True when the Close is over; any
// thread, under the mutex.
bool async_socket::advance_close(DWORD& code) noexcept {
  if (!close_pending_ || !close_started_) {
    return false;
  }
  for (;;) {
    const rx_result got = of_.rx_.discard();
    if (got.status == rx_status::failed) {
      of_.state_.note_violation(got.reason);
      code = to_win32(got.reason); // CLO-09
      return true;
    }
    if (got.status == rx_status::close) {
      peer_closed_ = true;
      if (frame_closed_) {
        code = ERROR_SUCCESS; // CLO-11: the FIN is not waited for
        return true;
      }
      break;
    }
    if (got.status == rx_status::need_input) {
      break;
    }
    // A ping: no answer after our close frame (CLO-10, CTL-05).
  }
  if (const DWORD latched = of_.link_.failure(); latched != 0) {
    code = latched;
    return true;
  }
  if (input_ended_ && !peer_closed_ && !of_.link_.stream().has_kept()) {
    code = ERROR_WINHTTP_CONNECTION_ERROR; // CLO-08
    return true;
  }
  return false;
}

void async_socket::finish_close(DWORD code) noexcept {
  close_pending_ = false;
  closed_input_ = true;
  if (code != ERROR_SUCCESS) {
    of_.link_.fail(code, true); // CLO-07
  } else {
    of_.state_.close_status_known = true; // QCS-08
  }
}

async_socket::event async_socket::close_progress() noexcept {
  for (;;) {
    DWORD code = ERROR_SUCCESS;
    if (advance_close(code)) {
      finish_close(code);
      return close_event(code);
    }
    if (!close_started_) {
      return {};
    }
    const DWORD timeout_ms = of_.close_timeout_ms_.load(std::memory_order_relaxed);
    if (!close_timer_.armed() && !decision::is_no_close_timeout(timeout_ms)) { // CLO-06
      loop_.timers().arm(close_timer_, io::clock::now(), std::chrono::milliseconds(timeout_ms));
    }
    if (peer_closed_) {
      return {}; // our close frame is still being sent
    }
    std::size_t no_payload = 0;
    switch (read_more({}, no_payload)) {
    case input::grown:
      break;
    case input::awaited:
      return {};
    case input::no_memory:
      finish_close(ERROR_NOT_ENOUGH_MEMORY);
      return close_event(ERROR_NOT_ENOUGH_MEMORY);
    case input::ended:
      finish_close(ERROR_WINHTTP_CONNECTION_ERROR);
      return close_event(ERROR_WINHTTP_CONNECTION_ERROR);
    }
  }
}

void async_socket::on_close_timer(io::timer& expired) noexcept {
  auto& self = *static_cast<async_socket*>(expired.context);
  {
    const std::lock_guard lock(self.of_.mutex_);
    if (!self.close_pending_ || self.dead_) {
      return;
    }
    self.of_.link_.fail(decision::close_timer_expired, true); // CLO-06
  }
  self.run_events();
}

} // namespace sluice::winhttp
