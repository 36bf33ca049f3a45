#include "io/uring_backend.hpp"

#include "core/probes.hpp"
#include "io/system_error.hpp"
#include "io/uring_compat.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <utility>

namespace sluice::io {
namespace {

constexpr std::uint32_t max_completions = 256;

// user_data of what is not an operation.
constexpr std::uint64_t cancel_key = 0;
constexpr std::uint64_t waker_key = 1;

constexpr std::chrono::milliseconds cancel_period{1};

/// What io_uring_enter may say without the ring being lost.
bool is_passing(int result) noexcept {
  return result >= 0 || result == -EINTR || result == -ETIME || result == -EAGAIN ||
         result == -EBUSY || result == -ENOMEM;
}

} // namespace

uring_backend::~uring_backend() {
  // The kernel may be about to write into a buffer or to look at an operation: first it lets go.
  if (ring_open_) {
    for (operation* op : in_kernel_) {
      if (op->now == operation::state::armed) {
        cancel(*op);
      }
    }
    while (in_kernel_.size() != 0 && is_passing(enter(cancel_again_at_, true))) {
      reap();
      repeat_missed_cancels();
    }
  }
  fail_everything();
  for (const posted_ring& gone : posted_) {
    memory::release(gone.places);
  }
  if (event_fd_ >= 0) {
    ::close(event_fd_);
  }
  if (waker_ != nullptr) {
    waker_->release();
  }
}

void uring_backend::fail_everything() noexcept {
  tear_down();
  while (!starved_.empty()) {
    complete(starved_.pop(), -ECANCELED);
  }
  while (in_kernel_.size() != 0) {
    operation& op = *in_kernel_[in_kernel_.size() - 1];
    disarm(op);
    complete(op, -ECANCELED);
  }
  while (!completed_.empty()) {
    run_completed();
  }
}

int uring_backend::descriptor() const noexcept {
  if (event_fd_ < 0 && ring_open_) {
    const int fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    // Signals at registration for what has happened before.
    if (fd >= 0 && ::io_uring_register_eventfd(const_cast<io_uring*>(&ring_), fd) == 0 &&
        ::eventfd_write(fd, 1) == 0) {
      event_fd_ = fd;
    } else if (fd >= 0) {
      ::close(fd);
    }
  }
  return event_fd_;
}

void uring_backend::quiet_descriptor() noexcept {
  if (event_fd_ >= 0) {
    ++stats_.system_calls;
    eventfd_t count = 0;
    [[maybe_unused]] const int status = ::eventfd_read(event_fd_, &count);
  }
}

bool uring_backend::poll_devices(std::uint32_t microseconds) noexcept {
  return ring_open_ && uring_compat::register_napi(ring_, microseconds);
}

void uring_backend::drop_after_fork() noexcept {
  if (event_fd_ >= 0) {
    ::close(event_fd_);
  }
  if (ring_open_) {
    ::close(ring_.ring_fd);
  }
  waker_->drop_after_fork();
}

// ---- submitting ----

io_uring_sqe* uring_backend::get_sqe() noexcept {
  io_uring_sqe* sqe = ring_open_ ? ::io_uring_get_sqe(&ring_) : nullptr;
  if (sqe == nullptr && ring_open_) {
    ++stats_.system_calls;
    ::io_uring_submit_and_get_events(&ring_);
    sqe = ::io_uring_get_sqe(&ring_);
  }
  return sqe;
}

bool uring_backend::watch_waker() noexcept {
  io_uring_sqe* const sqe = get_sqe();
  if (sqe == nullptr) {
    return false;
  }
  ::io_uring_prep_poll_multishot(sqe, waker_->descriptor(), POLLIN);
  ::io_uring_sqe_set_data64(sqe, waker_key);
  waker_watched_ = true;
  return true;
}

/// An entry for `op`, which is the kernel's from now on; nullptr when the operation has failed.
io_uring_sqe* uring_backend::arm(operation& op) noexcept {
  const std::size_t slot = in_kernel_.size();
  if (!in_kernel_.append(&op)) {
    in_kernel_.clear();
    in_kernel_.resize_down(slot); // growth failed, what was there is there
    complete(op, -ENOMEM);
    return nullptr;
  }
  io_uring_sqe* const sqe = get_sqe();
  if (sqe == nullptr) {
    in_kernel_.resize_down(slot);
    complete(op, -EBUSY);
    return nullptr;
  }
  op.slot = static_cast<std::uint32_t>(slot);
  op.now = operation::state::armed;
  return sqe;
}

void uring_backend::disarm(operation& op) noexcept {
  operation* const last = in_kernel_[in_kernel_.size() - 1];
  in_kernel_[op.slot] = last;
  last->slot = op.slot;
  in_kernel_.resize_down(in_kernel_.size() - 1);
}

void uring_backend::complete(operation& op, std::int32_t result) noexcept {
  op.result = result;
  op.now = operation::state::done;
  completed_.push(op);
}

void uring_backend::refill(buffer_class of) noexcept {
  posted_ring& ring = posted_[index_of(of)];
  const std::uint32_t mask = ring.entries - 1;
  int added = 0;
  while (ring.posted < ring.entries && ring.places[ring.next & mask] == nullptr) {
    buffer* const fresh = buffers_.post(of);
    if (fresh == nullptr) {
      break;
    }
    const std::uint32_t place = ring.next++ & mask;
    ring.places[place] = fresh;
    ++ring.posted;
    ::io_uring_buf_ring_add(ring.shared, fresh->bytes, fresh->capacity_bytes,
                            static_cast<unsigned short>(place), static_cast<int>(mask), added++);
  }
  if (added != 0) {
    ::io_uring_buf_ring_advance(ring.shared, added);
  }
}

bool uring_backend::choose_group(recv_op& op) noexcept {
  for (const buffer_class of : {op.wanted, other(op.wanted)}) {
    if (posted_[index_of(of)].posted == 0) {
      refill(of);
    }
    if (posted_[index_of(of)].posted != 0) {
      op.group = of;
      return true;
    }
  }
  return false;
}

void uring_backend::starve(recv_op& op) noexcept {
  if (buffers_.none_out()) {
    return complete(op, -ENOMEM);
  }
  op.now = operation::state::starved;
  if (op.turn == 0) {
    op.turn = ++last_turn_;
    ++stats_.starved;
    SLUICE_PROBE2(starved, op.socket.id, buffer_class_bytes[index_of(op.wanted)]);
    starved_.push(op);
    return;
  }
  // Another receive was quicker than one that had waited: it keeps its place in the line.
  operation* after = starved_.first();
  while (after != nullptr && static_cast<recv_op*>(after)->turn < op.turn) {
    after = after->next;
  }
  starved_.insert(op, after);
}

void uring_backend::start_recv(recv_op& op) noexcept {
  if (!ring_open_) {
    complete(op, -EBADF);
    return;
  }
  if (!choose_group(op)) {
    starve(op);
    return;
  }
  io_uring_sqe* const sqe = arm(op);
  if (sqe == nullptr) {
    return;
  }
  if (op.multishot && multishot_) {
    ::io_uring_prep_recv_multishot(sqe, op.socket.fd, nullptr, 0, 0);
  } else {
    ::io_uring_prep_recv(sqe, op.socket.fd, nullptr, buffer_class_bytes[index_of(op.group)], 0);
  }
  sqe->flags = IOSQE_BUFFER_SELECT;
  sqe->buf_group = static_cast<std::uint16_t>(index_of(op.group));
  if (!op.expect_data) {
    sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
  }
  ::io_uring_sqe_set_data64(sqe, std::bit_cast<std::uintptr_t>(static_cast<operation*>(&op)));
}

void uring_backend::start_send(send_op& op) noexcept {
  io_uring_sqe* const sqe = arm(op);
  if (sqe == nullptr) {
    return;
  }
  ::io_uring_prep_send(sqe, op.socket.fd, op.bytes.data(), op.bytes.size(), MSG_NOSIGNAL);
  sqe->ioprio = IORING_RECVSEND_POLL_FIRST; // it was full a moment ago
  ::io_uring_sqe_set_data64(sqe, std::bit_cast<std::uintptr_t>(static_cast<operation*>(&op)));
}

void uring_backend::submit(recv_op& op) noexcept {
  op.what = operation::kind::recv;
  op.filled = nullptr;
  op.socket_nonempty = false;
  op.turn = 0;
  start_recv(op);
}

void uring_backend::submit(send_op& op) noexcept {
  op.what = operation::kind::send;
  if (const std::int32_t taken = send_now(op); taken == -EAGAIN) {
    start_send(op);
  } else {
    complete(op, taken);
  }
}

void uring_backend::submit(connect_op& op) noexcept {
  op.what = operation::kind::connect;
  io_uring_sqe* const sqe = arm(op);
  if (sqe == nullptr) {
    return;
  }
  ::io_uring_prep_connect(sqe, op.socket.fd, reinterpret_cast<const sockaddr*>(&op.address),
                          op.address_bytes);
  ::io_uring_sqe_set_data64(sqe, std::bit_cast<std::uintptr_t>(static_cast<operation*>(&op)));
}

void uring_backend::submit(accept_op& op) noexcept {
  op.what = operation::kind::accept;
  io_uring_sqe* const sqe = arm(op);
  if (sqe == nullptr) {
    return;
  }
  ::io_uring_prep_accept(sqe, op.socket.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  ::io_uring_sqe_set_data64(sqe, std::bit_cast<std::uintptr_t>(static_cast<operation*>(&op)));
}

void uring_backend::cancel(operation& op) noexcept {
  if (op.now == operation::state::starved) {
    starved_.remove(op);
    complete(op, -ECANCELED);
    return;
  }
  if (op.now != operation::state::armed) {
    return; // idle, cancelled already, or its result is on the way
  }
  submit_cancel(op);
  op.now = operation::state::cancelling;
}

void uring_backend::submit_cancel(operation& op) noexcept {
  io_uring_sqe* const sqe = get_sqe();
  if (sqe != nullptr) { // else the ring is lost: the next wait() fails everything
    ::io_uring_prep_cancel64(sqe, std::bit_cast<std::uintptr_t>(&op), 0);
    ::io_uring_sqe_set_data64(sqe, cancel_key);
  }
}

// A send whose peer has sent its FIN, or whose own reading side is shut down, looks ready to the
// kernel's poll and is not: it moves on to a worker thread, and a cancel in between finds nothing.
void uring_backend::repeat_missed_cancels() noexcept {
  if (cancel_again_at_ == no_deadline || clock::now() < cancel_again_at_) {
    return;
  }
  cancel_again_at_ = no_deadline;
  for (std::size_t i = 0; i < in_kernel_.size(); ++i) {
    if (in_kernel_[i]->now == operation::state::cancelling) {
      submit_cancel(*in_kernel_[i]);
      cancel_again_at_ = clock::now() + cancel_period;
    }
  }
}

// ---- completing ----

/// As many as there are buffers; more would only fail.
void uring_backend::resume_starved() noexcept {
  for (std::uint32_t count = posted_count(); count != 0 && !starved_.empty(); --count) {
    start_recv(static_cast<recv_op&>(starved_.pop()));
  }
  while (!starved_.empty() && buffers_.none_out()) {
    complete(starved_.pop(), -ENOMEM);
  }
}

/// The buffer that a completion came with, if it did.
void uring_backend::take_filled(recv_op& op, std::int32_t result, std::uint32_t flags) noexcept {
  posted_ring& ring = posted_[index_of(op.group)];
  const std::size_t place = flags >> IORING_CQE_BUFFER_SHIFT;
  if ((flags & IORING_CQE_F_BUFFER) == 0 || place >= ring.entries ||
      ring.places[place] == nullptr) {
    return;
  }
  buffer& taken = *std::exchange(ring.places[place], nullptr);
  --ring.posted;
  const auto filled_bytes = static_cast<std::size_t>(std::max(result, 0));
  buffers_.unpost(taken, filled_bytes);
  if (result <= 0) {
    buffers_.recycle(taken);
    return;
  }
  op.filled = &taken;
  op.socket_nonempty = (flags & IORING_CQE_F_SOCK_NONEMPTY) != 0;
  ++stats_.receives;
  stats_.received_bytes += filled_bytes;
}

/// A completion of a multishot receive that is not its last.
void uring_backend::bring(recv_op& op, std::int32_t result, std::uint32_t flags) noexcept {
  take_filled(op, result, flags);
  if (op.filled != nullptr && op.on_complete != nullptr) {
    op.result = result;
    ++stats_.completions;
    op.on_complete(op);
  }
}

// The last completion, whatever it says: kernels up to 6.4 end a cancelled multishot with codes
// other than -ECANCELED, and any may end it with bytes.
void uring_backend::finish_recv(recv_op& op, std::int32_t result, std::uint32_t flags) noexcept {
  take_filled(op, result, flags);
  const bool stopped = op.now == operation::state::cancelling;
  if (result == -ENOBUFS && !stopped) {
    starve(op);
  } else if ((result == -EAGAIN || result == -EINTR) && !stopped) {
    op.expect_data = false;
    start_recv(op);
  } else if (result < 0 && stopped) {
    complete(op, -ECANCELED); // kernels up to 6.4 have other names for it
  } else {
    complete(op, result);
  }
}

void uring_backend::finish(operation& op, std::int32_t result, std::uint32_t flags) noexcept {
  if ((flags & IORING_CQE_F_MORE) != 0) {
    bring(static_cast<recv_op&>(op), result, flags); // nothing else is multishot
    return;
  }
  disarm(op);
  if (op.what == operation::kind::recv) {
    finish_recv(static_cast<recv_op&>(op), result, flags);
  } else if (op.what == operation::kind::send && (result == -EAGAIN || result == -EINTR) &&
             op.now != operation::state::cancelling) {
    start_send(static_cast<send_op&>(op));
  } else {
    complete(op, result < 0 && op.now == operation::state::cancelling ? -ECANCELED : result);
  }
}

void uring_backend::reap() noexcept {
  for (std::uint32_t count = 0; count < max_completions; ++count) {
    io_uring_cqe* cqe = nullptr;
    unsigned head = 0;
    bool found = false;
    io_uring_for_each_cqe(&ring_, head, cqe) {
      found = true;
      break;
    }
    if (!found) {
      return;
    }
    const std::uint64_t key = cqe->user_data;
    const std::int32_t result = cqe->res;
    const std::uint32_t flags = cqe->flags;
    ::io_uring_cqe_seen(&ring_, cqe);
    if (key == waker_key) {
      waker_watched_ = (flags & IORING_CQE_F_MORE) != 0;
      if (result >= 0) {
        ++stats_.system_calls;
        waker_->clear();
      }
    } else if (key == cancel_key) {
      if ((result == -ENOENT || result == -EALREADY) && cancel_again_at_ == no_deadline) {
        cancel_again_at_ = clock::now() + cancel_period;
      }
    } else {
      finish(*std::bit_cast<operation*>(static_cast<std::uintptr_t>(key)), result, flags);
    }
  }
}

void uring_backend::run_completed() noexcept {
  for (std::uint32_t ran = 0; !completed_.empty() && ran < max_completions; ++ran) {
    operation& op = completed_.pop();
    op.now = operation::state::idle;
    ++stats_.completions;
    if (op.on_complete != nullptr) {
      op.on_complete(op);
    }
  }
}

int uring_backend::enter(time_point deadline, bool sleep) noexcept {
  ++stats_.system_calls;
  if (!sleep) {
    return ::io_uring_submit_and_get_events(&ring_);
  }
  if (deadline == no_deadline) {
    return ::io_uring_submit_and_wait(&ring_, 1);
  }
  const time_point now = clock::now();
  if (deadline <= now) {
    return ::io_uring_submit_and_get_events(&ring_);
  }
  const auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(deadline - now);
  __kernel_timespec timeout{};
  timeout.tv_sec = left.count() / 1'000'000'000;
  timeout.tv_nsec = left.count() % 1'000'000'000;
  io_uring_cqe* first = nullptr;
  return ::io_uring_submit_and_wait_timeout(&ring_, &first, 1, &timeout, nullptr);
}

bool uring_backend::has_pending() const noexcept {
  if (!ring_open_) {
    return !completed_.empty();
  }
  return !completed_.empty() || ::io_uring_sq_ready(&ring_) != 0 ||
         ::io_uring_cq_ready(&ring_) != 0 || cancel_again_at_ != no_deadline;
}

error uring_backend::wait(time_point deadline) noexcept {
  if (!ring_open_) {
    run_completed();
    return error::system;
  }
  buffers_.drain_returns();
  refill(buffer_class::small);
  refill(buffer_class::large);
  if (!starved_.empty()) {
    resume_starved();
  }
  if (!waker_watched_ && !watch_waker()) {
    fail_everything();
    return error::system;
  }
  repeat_missed_cancels();
  deadline = std::min(deadline, cancel_again_at_);
  // Whoever is left in the line waits for a buffer to come back, or for its turn in the next
  // wait().
  const bool may_sleep = completed_.empty() && ::io_uring_cq_ready(&ring_) == 0;
  const bool sleep =
      may_sleep && (starved_.empty() || (posted_count() == 0 && buffers_.announce_hunger()));
  // With results at hand and nothing to submit the kernel need not be asked.
  const unsigned kernel_flags = IO_URING_READ_ONCE(*ring_.sq.kflags);
  if (sleep || ::io_uring_sq_ready(&ring_) != 0 ||
      (kernel_flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0) {
    if (const int result = enter(deadline, sleep); !is_passing(result)) {
      if (result == -EBADF || result == -EOPNOTSUPP) {
        ring_.ring_fd = -1; // closed by somebody else; the number may be another file's by now
      }
      fail_everything();
      return error::system;
    }
  }
  reap();
  run_completed();
  return error::none;
}

} // namespace sluice::io
