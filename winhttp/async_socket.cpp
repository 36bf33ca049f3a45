#include "winhttp/async_socket.hpp"

#include "core/close_codes.hpp"
#include "core/memory.hpp"
#include "winhttp/async_threads.hpp"
#include "winhttp/error_map.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

// The calls of the application, notifications, and the way out. Receiving and closing on the loop
// thread are in async_receive.cpp, sending in async_send.cpp.

namespace sluice::winhttp {
namespace {

// How long CloseHandle waits for a callback that is running on the loop thread.
constexpr std::chrono::milliseconds callback_patience{100};

} // namespace

async_socket::async_socket(websocket& of, async_loop& on, connection& parent,
                           DWORD read_ahead_bytes) noexcept
    : of_(of), loop_(on), parent_(parent), read_ahead_bytes_(std::max(read_ahead_bytes, DWORD{1})),
      control_(of.wire_.control_room()), keys_(of.wire_.keys()) {
  command_.run = &on_command;
  recv_.on_complete = &on_read;
  send_.on_complete = &on_sent;
  send_timer_.on_expiry = &on_send_timer;
  close_timer_.on_expiry = &on_close_timer;
  keepalive_timer_.on_expiry = &on_keepalive_timer;
  retry_timer_.on_expiry = &on_retry_timer;
  command_.context = recv_.context = send_.context = this;
  send_timer_.context = close_timer_.context = this;
  keepalive_timer_.context = retry_timer_.context = this;
  loop_.retain();
}

async_socket::~async_socket() {
  drop_staging();
  loop_.release();
}

void async_socket::start() noexcept {
  started_ = true;
  of_.add_ref(); // the loop's, until retire_or_drop()
  wake(to_work | to_rearm);
}

// Notifications

async_socket::event async_socket::failure_of(WINHTTP_WEB_SOCKET_OPERATION operation,
                                             DWORD code) noexcept {
  return {WINHTTP_CALLBACK_STATUS_REQUEST_ERROR, operation, code, {}};
}

async_socket::event async_socket::write_event(DWORD code) const noexcept {
  if (code != ERROR_SUCCESS) {
    return failure_of(WINHTTP_WEB_SOCKET_SEND_OPERATION, code);
  }
  return {WINHTTP_CALLBACK_STATUS_WRITE_COMPLETE,
          WINHTTP_WEB_SOCKET_SEND_OPERATION,
          0,
          {send_bytes_, send_type_}}; // SND-32
}

async_socket::event async_socket::shutdown_event(DWORD code) noexcept {
  if (code != ERROR_SUCCESS) {
    return failure_of(WINHTTP_WEB_SOCKET_SHUTDOWN_OPERATION, code); // SHD-14
  }
  return {WINHTTP_CALLBACK_STATUS_SHUTDOWN_COMPLETE, WINHTTP_WEB_SOCKET_SHUTDOWN_OPERATION, 0, {}};
}

async_socket::event async_socket::close_event(DWORD code) noexcept {
  if (code != ERROR_SUCCESS) {
    return failure_of(WINHTTP_WEB_SOCKET_CLOSE_OPERATION, code);
  }
  return {WINHTTP_CALLBACK_STATUS_CLOSE_COMPLETE, WINHTTP_WEB_SOCKET_CLOSE_OPERATION, 0, {}};
}

// With what WINHTTP_STATUS_CALLBACK documents for each. No lock is held (NOT-04).
void async_socket::raise(const event& what) const noexcept {
  switch (what.status) {
  case WINHTTP_CALLBACK_STATUS_READ_COMPLETE:
  case WINHTTP_CALLBACK_STATUS_WRITE_COMPLETE: {
    WINHTTP_WEB_SOCKET_STATUS info = what.info;
    of_.notify(what.status, &info, sizeof(info));
    break;
  }
  case WINHTTP_CALLBACK_STATUS_REQUEST_ERROR: {
    WINHTTP_WEB_SOCKET_ASYNC_RESULT info{};
    info.AsyncResult.dwResult = decision::socket_error_result;
    info.AsyncResult.dwError = what.code;
    info.Operation = what.operation;
    of_.notify(what.status, &info, sizeof(info));
    break;
  }
  default:
    of_.notify(what.status, nullptr, 0);
    break;
  }
}

void async_socket::raise_in_call(const event& what) const noexcept {
  const in_call_depth nested;
  raise(what);
}

// Waking the loop

void async_socket::wake(std::uint32_t what) noexcept {
  if (what == to_work && loop_.is_current() && working_) {
    return; // run_events() looks again when the callback that we are in returns
  }
  post(what);
}

void async_socket::post(std::uint32_t what) noexcept {
  if (wanted_.fetch_or(what, std::memory_order_acq_rel) == 0) {
    loop_.post(command_);
  }
}

void async_socket::on_command(loop_command& posted) noexcept {
  auto& self = *static_cast<async_socket*>(posted.context);
  const std::uint32_t what = self.wanted_.exchange(0, std::memory_order_acq_rel);
  if ((what & to_retire) != 0) {
    self.retire_or_drop();
    return;
  }
  if ((what & to_rearm) != 0) {
    const std::lock_guard lock(self.of_.mutex_);
    self.arm_keepalive();
  }
  self.run_events();
}

// The loop thread raises everything that is due, one after the other. What calls inside the
// callbacks ask for is found on the next turn.
void async_socket::run_events() noexcept {
  working_ = true;
  std::unique_lock lock(of_.mutex_);
  bool released = false;
  while (!dead_) {
    const event next = next_event();
    if (next.status == 0) {
      break;
    }
    in_callback_ = true;
    lock.unlock();
    raise(next);
    lock.lock();
    in_callback_ = false;
    if (tear_down_due_) {
      released = true;
      break;
    }
    if (release_waits_) {
      of_.sent_.notify_all();
      break;
    }
  }
  lock.unlock();
  working_ = false;
  if (released) {
    tear_down();
  }
}

async_socket::event async_socket::next_event() noexcept {
  if (due_ != 0) {
    return take_due();
  }
  pump_writes();
  if (due_ != 0) {
    return take_due();
  }
  return read_event();
}

// In the order of the send side: a Shutdown completes after the Send before it (SHD-06).
async_socket::event async_socket::take_due() noexcept {
  if ((due_ & write_due) != 0) {
    due_ = static_cast<std::uint8_t>(due_ & ~write_due);
    const event done = write_event(write_code_);
    of_.state_.end_send(send_type_, write_code_ == ERROR_SUCCESS);
    return done;
  }
  due_ = static_cast<std::uint8_t>(due_ & ~shutdown_due);
  shutdown_pending_ = false;
  return shutdown_event(shutdown_code_);
}

// Calls

DWORD async_socket::receive(std::span<std::byte> to) noexcept {
  {
    const std::lock_guard lock(of_.mutex_);
    if (receiving_ || closed_input_ || of_.state_.closing) {
      return ERROR_INVALID_OPERATION; // RCV-13, RCV-16, RCV-18
    }
    receiving_ = true;
    receive_to_ = to;
  }
  wake(to_work);
  return ERROR_SUCCESS;
}

DWORD async_socket::send(WINHTTP_WEB_SOCKET_BUFFER_TYPE type,
                         std::span<const std::byte> payload) noexcept {
  bool refused = false;
  {
    const std::lock_guard lock(of_.mutex_);
    opcode op = opcode::binary;
    const DWORD code = of_.state_.begin_send(type, of_.link_.failure(), op);
    if (code != ERROR_SUCCESS && code != ERROR_WINHTTP_CONNECTION_ERROR) {
      return code;
    }
    if (code == ERROR_WINHTTP_CONNECTION_ERROR) { // SND-29
      of_.state_.sending = true;
      write_code_ = code;
      due_ |= write_due;
      refused = true;
    } else {
      send_type_ = type;
      send_op_ = op;
      send_bytes_ = static_cast<DWORD>(payload.size());
      send_payload_ = payload;
      write_code_ = ERROR_SUCCESS;
      if (wire_taken_) {
        data_due_ = true; // the loop is sending a pong
        return ERROR_SUCCESS;
      }
      wire_taken_ = true;
    }
  }
  if (refused) {
    wake(to_work);
    return ERROR_SUCCESS;
  }

  DWORD code = ERROR_SUCCESS;
  const write_outcome outcome = write_in_call(send_op_, data_type_of(type).fin, payload, code);
  const bool nests_too_deep = in_call_depth::is_exhausted();
  event done;
  {
    const std::lock_guard lock(of_.mutex_);
    switch (outcome) {
    case write_outcome::with_loop: // SND-21
      current_ = frame_kind::data;
      wire_on_loop_ = true;
      break;
    case write_outcome::failed:
      if (of_.link_.failure() == 0) { // nothing went out
        of_.state_.end_send(type, false);
        release_wire();
        return code;
      }
      wire_on_loop_ = true;
      fail_writes(code); // SND-28
      break;
    case write_outcome::finished:
      of_.last_data_sent_.store(io::clock::now().time_since_epoch().count(),
                                std::memory_order_relaxed);
      if (nests_too_deep) { // NOT-12
        due_ |= write_due;
      } else {
        done = write_event(ERROR_SUCCESS);
        of_.state_.end_send(type, true);
      }
      release_wire();
      break;
    }
    if (due_ != 0 || wire_on_loop_) {
      wake(to_work);
    }
  }
  if (done.status != 0) {
    raise_in_call(done); // SND-20
  }
  return ERROR_SUCCESS;
}

void async_socket::keep_close_payload(std::span<const std::byte> payload) noexcept {
  std::copy(payload.begin(), payload.end(), close_.begin());
  close_bytes_ = static_cast<std::uint8_t>(payload.size());
}

// What became of our close frame in the call that wrote it: true if all of it is with the kernel.
bool async_socket::settle_close_frame(write_outcome outcome, DWORD code) noexcept {
  switch (outcome) {
  case write_outcome::with_loop:
    current_ = frame_kind::close;
    wire_on_loop_ = true;
    return false;
  case write_outcome::failed:
    of_.link_.fail(ERROR_WINHTTP_CONNECTION_ERROR, true); // SHD-13, CLO-07
    wire_on_loop_ = true;
    fail_writes(code);
    return false;
  case write_outcome::finished:
    break;
  }
  frame_closed_ = true;
  release_wire();
  return true;
}

DWORD async_socket::shutdown(std::span<const std::byte> payload) noexcept {
  {
    const std::lock_guard lock(of_.mutex_);
    if (const DWORD code = of_.state_.begin_shutdown(of_.link_.failure()); code != ERROR_SUCCESS) {
      return code;
    }
    keep_close_payload(payload); // SHD-04
    shutdown_pending_ = true;
    shutdown_code_ = ERROR_SUCCESS;
    if (wire_taken_ || of_.state_.sending) { // SHD-06
      close_due_ = true;
      wake(to_work);
      return ERROR_SUCCESS;
    }
    wire_taken_ = true;
    no_more_pongs_ = true;
    pong_due_ = false;
  }
  DWORD code = ERROR_SUCCESS;
  const write_outcome outcome =
      write_in_call(opcode::close, true, {close_.data(), close_bytes_}, code);
  const bool nests_too_deep = in_call_depth::is_exhausted();
  event done;
  {
    const std::lock_guard lock(of_.mutex_);
    if (settle_close_frame(outcome, code)) {
      if (nests_too_deep) {
        due_ |= shutdown_due;
      } else {
        shutdown_pending_ = false;
        done = shutdown_event(ERROR_SUCCESS);
      }
    }
    if (due_ != 0 || wire_on_loop_ || close_pending_) {
      wake(to_work);
    }
  }
  if (done.status != 0) {
    raise_in_call(done); // SHD-05
  }
  return ERROR_SUCCESS;
}

DWORD async_socket::close(std::span<const std::byte> payload) noexcept {
  bool writes = false;
  bool cancels = false;
  {
    const std::lock_guard lock(of_.mutex_);
    bool send_frame = false;
    if (const DWORD code = of_.state_.begin_close(of_.link_.failure(), send_frame);
        code != ERROR_SUCCESS) {
      return code;
    }
    close_pending_ = true;
    cancels = std::exchange(receiving_, false);
    receive_to_ = {};
    if (send_frame) {
      keep_close_payload(payload);
      no_more_pongs_ = true;
      pong_due_ = false;
      if (wire_taken_) {
        close_due_ = true;
      } else {
        wire_taken_ = true;
        writes = true;
      }
    }
  }
  if (cancels) { // RCV-15, CLO-21
    raise_in_call(
        failure_of(WINHTTP_WEB_SOCKET_RECEIVE_OPERATION, ERROR_WINHTTP_OPERATION_CANCELLED));
  }
  DWORD code = ERROR_SUCCESS;
  const write_outcome outcome =
      writes ? write_in_call(opcode::close, true, {close_.data(), close_bytes_}, code)
             : write_outcome::with_loop;
  const bool nests_too_deep = in_call_depth::is_exhausted();
  event done;
  {
    const std::lock_guard lock(of_.mutex_);
    close_started_ = true;
    if (writes) {
      (void)settle_close_frame(outcome, code);
    }
    DWORD outcome_code = ERROR_SUCCESS;
    if (!nests_too_deep && advance_close(outcome_code)) { // CLO-25, CLO-26
      finish_close(outcome_code);
      done = close_event(outcome_code);
    } else {
      wake(to_work);
    }
  }
  if (done.status != 0) {
    raise_in_call(done);
  }
  return ERROR_SUCCESS;
}

// The way out

void async_socket::on_released() noexcept {
  if (!started_) {
    return; // nobody has seen the handle
  }
  {
    std::unique_lock lock(of_.mutex_);
    if (in_callback_ && !loop_.is_current()) {
      // HND-12: an application that closes the socket and then its parents, as soon as it hears of
      // the last completion, gets their HANDLE_CLOSING in that order.
      release_waits_ = true;
      of_.sent_.wait_for(lock, callback_patience, [this] { return !in_callback_; });
      release_waits_ = false;
    }
    if (in_callback_) {
      tear_down_due_ = true; // the loop thread goes on with it when the callback returns
      return;
    }
    dead_ = true;
  }
  tear_down();
}

// NOT-07, STA-06: each accepted call completes once, then comes HANDLE_CLOSING.
void async_socket::tear_down() noexcept {
  bool receives = false;
  bool sends = false;
  bool shuts = false;
  bool closes = false;
  {
    // No call is inside any more, and from now on the loop raises nothing.
    const std::lock_guard lock(of_.mutex_);
    dead_ = true;
    receives = std::exchange(receiving_, false);
    receive_to_ = {};
    sends = of_.state_.sending;
    shuts = shutdown_pending_;
    closes = close_pending_;
    send_payload_ = {};
  }
  constexpr DWORD cancelled = ERROR_WINHTTP_OPERATION_CANCELLED;
  if (receives) {
    raise(failure_of(WINHTTP_WEB_SOCKET_RECEIVE_OPERATION, cancelled)); // RCV-24
  }
  if (sends) { // SND-31; a frame that is out already says so (HND-16)
    raise((due_ & write_due) != 0 ? write_event(write_code_) : write_event(cancelled));
  }
  if (shuts) {
    raise((due_ & shutdown_due) != 0 ? shutdown_event(shutdown_code_) : shutdown_event(cancelled));
  }
  if (closes) {
    raise(close_event(cancelled)); // CLO-29
  }
  of_.notify_closing();
  parent_.reset();
  const std::lock_guard lock(of_.mutex_);
  torn_down_ = true;
  wake(to_retire);
}

// On the loop thread: ends the operations of a dead socket, and once they have completed, lets go
// of it. Not inside their completions, where the backend is still at work on them.
void async_socket::retire_or_drop() noexcept {
  io::backend& io = loop_.loop().io();
  loop_.timers().cancel(send_timer_);
  loop_.timers().cancel(close_timer_);
  loop_.timers().cancel(keepalive_timer_);
  loop_.timers().cancel(retry_timer_);
  if (recv_.now == io::operation::state::armed || recv_.now == io::operation::state::starved) {
    io.cancel(recv_);
  }
  if (send_.now == io::operation::state::armed) {
    io.cancel(send_);
  }
  if (recv_.idle() && send_.idle()) {
    of_.drop_ref(); // and us with it
  }
}

} // namespace sluice::winhttp
