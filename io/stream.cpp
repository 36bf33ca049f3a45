#include "io/stream.hpp"

#include "core/probes.hpp"
#include "io/system_error.hpp"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <utility>

namespace sluice::io {
namespace {

constexpr std::size_t small_read_bytes = 1024;
constexpr std::uint8_t full_reads_to_grow = 2;
constexpr std::uint8_t small_reads_to_shrink = 8;

// A blocked send looks for a peer's progress after this, and then looks_per_timeout times.
constexpr std::chrono::milliseconds first_look{1};

} // namespace

void read_size_guess::note(std::size_t read_bytes, bool filled_buffer,
                           bool socket_nonempty) noexcept {
  if (wanted_ == buffer_class::small) {
    full_reads_ = filled_buffer || socket_nonempty ? static_cast<std::uint8_t>(full_reads_ + 1) : 0;
    if (full_reads_ >= full_reads_to_grow) {
      wanted_ = buffer_class::large;
      small_reads_ = 0;
    }
  } else {
    small_reads_ = read_bytes < small_read_bytes ? static_cast<std::uint8_t>(small_reads_ + 1) : 0;
    if (small_reads_ >= small_reads_to_shrink) {
      wanted_ = buffer_class::small;
      full_reads_ = 0;
    }
  }
}

stream::stream(int connected_fd) noexcept
    : socket_{connected_fd, next_socket_id()}, process_(::getpid()) {}

stream::stream(int connected_fd, memory::unique<tls_channel> established) noexcept
    : stream(connected_fd) {
  tls_ = std::move(established);
}

stream::stream(stream&& other) noexcept
    : socket_(std::exchange(other.socket_, {})), process_(other.process_),
      tls_(std::move(other.tls_)), undelivered_(std::exchange(other.undelivered_, {})),
      undelivered_plain_(std::exchange(other.undelivered_plain_, {})),
      size_guess_(other.size_guess_), expect_data_(other.expect_data_) {}

stream& stream::operator=(stream&& other) noexcept {
  if (this != &other) {
    close();
    socket_ = std::exchange(other.socket_, {});
    process_ = other.process_;
    tls_ = std::move(other.tls_);
    undelivered_ = std::exchange(other.undelivered_, {});
    undelivered_plain_ = std::exchange(other.undelivered_plain_, {});
    size_guess_ = other.size_guess_;
    expect_data_ = other.expect_data_;
  }
  return *this;
}

int stream::unacknowledged_bytes(int otherwise) const noexcept {
  int bytes = 0;
  return ::ioctl(socket_.fd, SIOCOUTQ, &bytes) == 0 ? bytes : otherwise;
}

bool stream::addresses(sockaddr_storage& local, sockaddr_storage& remote) const noexcept {
  sockaddr_storage ours{};
  sockaddr_storage theirs{};
  socklen_t our_bytes = sizeof(ours);
  socklen_t their_bytes = sizeof(theirs);
  if (::getsockname(socket_.fd, reinterpret_cast<sockaddr*>(&ours), &our_bytes) != 0 ||
      ::getpeername(socket_.fd, reinterpret_cast<sockaddr*>(&theirs), &their_bytes) != 0) {
    return false;
  }
  local = ours;
  remote = theirs;
  return true;
}

error stream::read(loop& on, read_target& to, time_point deadline, cancel_source* cancel) noexcept {
  return read({&on, on.buffers(), deadline, cancel}, to);
}

error stream::read_blocking(buffer_pool& buffers, read_target& to, time_point deadline,
                            cancel_source& cancel) noexcept {
  return read({nullptr, buffers, deadline, &cancel}, to);
}

error stream::read(const reading& how, read_target& to) noexcept {
  if (!is_open()) {
    return error::connection_lost;
  }
  if (how.cancel != nullptr && how.cancel->requested()) {
    return error::cancelled;
  }
  if (tls_ != nullptr) [[unlikely]] {
    return read_sealed(how, to);
  }
  if (undelivered_.from == nullptr) {
    if (const error failed = receive(how); failed != error::none) {
      return failed;
    }
  }
  if (const error failed = deliver_kept(how.buffers, to); failed != error::none) {
    return failed;
  }
  return how.cancel != nullptr && how.cancel->requested() ? error::cancelled : error::none;
}

// Into undelivered_.
error stream::receive(const reading& how) noexcept {
  return how.on == nullptr ? receive_blocking(how) : receive_on_loop(*how.on, how);
}

error stream::receive_on_loop(loop& on, const reading& how) noexcept {
  recv_op op;
  begin_read(on, op);
  const error ended = on.run_until_idle(op, how.deadline, how.cancel);
  if (op.filled == nullptr) {
    if (op.result == 0) {
      return error::end_of_stream;
    }
    return ended != error::none ? ended : error_from_errno(-op.result);
  }
  keep(op);
  return error::none;
}

void stream::begin_read(loop& on, recv_op& op) noexcept {
  reading_on_ = &on;
  op.socket = socket_;
  op.wanted = size_guess_.wanted();
  op.expect_data = expect_data_;
  op.filled = nullptr;
  on.io().submit(op);
}

void stream::keep(const recv_op& done) noexcept {
  const auto count = static_cast<std::uint32_t>(done.result);
  size_guess_.note(count, count == done.filled->capacity_bytes, done.socket_nonempty);
  expect_data_ = done.socket_nonempty;
  undelivered_ = slice{done.filled, 0, count};
}

error stream::end_read(recv_op& done, slice_queue& inbox) noexcept {
  if (done.filled == nullptr) {
    if (done.result == 0) {
      return tls_ == nullptr ? error::end_of_stream : error::connection_lost;
    }
    return error_from_errno(-done.result);
  }
  keep(done);
  done.filled = nullptr;
  if (tls_ != nullptr) {
    return take_kept_sealed(inbox) ? error::none : error::no_memory;
  }
  read_target to{inbox};
  return deliver_kept(reading_on_->buffers(), to);
}

error stream::deliver_kept(buffer_pool& buffers, read_target& to) noexcept {
  if (tls_ != nullptr) [[unlikely]] {
    if (!take_kept_sealed(to.inbox)) {
      return error::no_memory;
    }
    const error got = unseal(buffers, to);
    return got == error::would_block ? error::none : got;
  }
  SLUICE_PROBE4(rx_slice, &to.inbox, socket_.id, undelivered_.size_bytes,
                undelivered_.from->capacity_bytes);
  if (!to.inbox.push(undelivered_)) {
    return error::no_memory;
  }
  undelivered_ = {};
  return error::none;
}

error stream::write_now(std::span<const std::byte>& rest) noexcept {
  if (!is_open()) {
    return error::connection_lost;
  }
  return tls_ == nullptr ? send_now(rest) : write_sealed_now(rest);
}

error stream::send_now(std::span<const std::byte>& rest) noexcept {
  while (!rest.empty()) {
    const ssize_t sent = ::send(socket_.fd, rest.data(), rest.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) {
      rest = rest.subspan(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM) {
      break; // later, when there is room
    } else if (errno != EINTR) {
      return error_from_errno(errno);
    }
  }
  return error::none;
}

error stream::read_now(buffer_pool& from, slice_queue& inbox, std::size_t max_bytes) noexcept {
  if (!is_open()) {
    return error::connection_lost;
  }
  if (tls_ != nullptr) {
    return read_sealed_now(from, inbox);
  }
  if (undelivered_.from == nullptr) {
    if (const error failed = receive_now(from, max_bytes); failed != error::none) {
      return failed;
    }
  }
  if (!inbox.push(undelivered_)) {
    return error::no_memory;
  }
  undelivered_ = {};
  return error::none;
}

// Into undelivered_.
error stream::receive_now(buffer_pool& from, std::size_t max_bytes) noexcept {
  buffer* const into = from.take(buffer_class::small);
  if (into == nullptr) {
    return error::no_memory;
  }
  const std::size_t room = std::min<std::size_t>(max_bytes, into->capacity_bytes);
  ssize_t count = 0;
  do {
    count = ::recv(socket_.fd, into->bytes, room, MSG_DONTWAIT);
  } while (count < 0 && errno == EINTR);
  if (count > 0) {
    undelivered_ = slice{into, 0, static_cast<std::uint32_t>(count)};
    return error::none;
  }
  const error failed = count == 0        ? error::end_of_stream
                       : errno == EAGAIN ? error::would_block
                                         : error_from_errno(errno);
  from.recycle(*into);
  expect_data_ = false;
  return failed;
}

error stream::write(loop& on, std::span<const std::byte> bytes,
                    std::chrono::milliseconds progress_timeout, cancel_source* cancel) noexcept {
  return write_rest(on, bytes, progress_timeout, cancel);
}

error stream::write_rest(loop& on, std::span<const std::byte>& rest,
                         std::chrono::milliseconds progress_timeout,
                         cancel_source* cancel) noexcept {
  if (!is_open()) {
    return error::connection_lost;
  }
  return tls_ == nullptr ? send(on, rest, progress_timeout, cancel)
                         : write_sealed(on, rest, progress_timeout, cancel);
}

// A peer that reads slowly makes progress although the kernel has no room for more of ours yet: the
// kernel asks for more only when a good part of its buffer, megabytes, is free again. So what lies
// in that buffer is looked at now and then, and the time starts anew when it has become less.
error stream::send(loop& on, std::span<const std::byte>& rest,
                   std::chrono::milliseconds progress_timeout, cancel_source* cancel) noexcept {
  constexpr int unknown = INT_MAX;
  const bool bounded = progress_timeout.count() > 0;
  int left = unknown;
  time_point deadline = no_deadline;
  time_point next_look = no_deadline;
  for (bool progressed = true; !rest.empty();) {
    if (cancel != nullptr && cancel->requested()) {
      return error::cancelled;
    }
    if (bounded && progressed) {
      const time_point now = on.io().now();
      deadline = now + progress_timeout;
      next_look = now + first_look;
      left = unknown;
    }
    send_op op;
    op.socket = socket_;
    op.bytes = rest;
    on.io().submit(op);
    const error ended = on.run_until_idle(op, std::min(deadline, next_look), cancel);
    progressed = op.result >= 0;
    if (progressed) {
      rest = rest.subspan(static_cast<std::size_t>(op.result));
      continue;
    }
    if (ended == error::none || (ended == error::timed_out && op.result != -ECANCELED)) {
      return error_from_errno(-op.result);
    }
    if (ended != error::timed_out) {
      return ended;
    }
    const time_point now = on.io().now();
    const int before = left;
    left = std::min(left, unacknowledged_bytes(left));
    if (left < before && before != unknown) {
      deadline = now + progress_timeout;
    }
    if (now >= deadline) {
      return error::timed_out;
    }
    next_look = now + progress_timeout / looks_per_timeout;
  }
  return error::none;
}

std::size_t stream::begin_write(loop& on, send_op& op, bool& begun) noexcept {
  std::size_t counted = 0;
  op.socket = socket_;
  if (tls_ != nullptr) {
    tls_->begin_writing();
    std::size_t no_room = 0;
    if (tls_->seal(op.bytes, {}, no_room) == error::none) {
      counted = op.bytes.size();
    }
    op.bytes = tls_->unsent();
    if (op.bytes.empty()) {
      tls_->end_writing();
    }
  }
  begun = !op.bytes.empty();
  if (begun) {
    on.io().submit(op);
  }
  return counted;
}

bool stream::continue_write(loop& on, send_op& op, std::size_t& sent_bytes) noexcept {
  sent_bytes = static_cast<std::size_t>(op.result);
  if (tls_ == nullptr) {
    return true;
  }
  tls_->sent(sent_bytes);
  sent_bytes = 0;
  op.bytes = tls_->unsent();
  if (op.bytes.empty()) {
    tls_->end_writing();
    return true;
  }
  on.io().submit(op);
  return false;
}

void stream::end_write() noexcept {
  if (tls_ != nullptr) {
    tls_->end_writing();
  }
}

void stream::shutdown(bool abort) noexcept {
  if (!is_open()) {
    return;
  }
  if (tls_ != nullptr && !abort) {
    tls_->say_goodbye(socket_.fd);
  }
  if (abort) {
    // Dissolving the association makes TCP send RST now, without giving up the descriptor, which
    // another thread may be using.
    sockaddr_storage nobody{};
    nobody.ss_family = AF_UNSPEC;
    if (::connect(socket_.fd, reinterpret_cast<const sockaddr*>(&nobody), sizeof nobody) == 0) {
      return;
    }
    // Some kernels around 6.4 refuse while a thread sleeps in recv(). Then close() sends it.
    const linger at_once{1, 0};
    ::setsockopt(socket_.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
  }
  ::shutdown(socket_.fd, SHUT_RDWR);
}

bool stream::is_of_this_process() const noexcept {
  return process_ == ::getpid();
}

void stream::close() noexcept {
  for (slice* const left : {&undelivered_, &undelivered_plain_}) {
    if (left->from != nullptr) {
      left->from->owner->recycle(*left->from);
      *left = {};
    }
  }
  if (is_open()) {
    if (tls_ != nullptr && is_of_this_process()) {
      tls_->say_goodbye(socket_.fd);
    }
    ::close(socket_.fd);
    socket_ = {};
  }
  tls_.reset();
}

} // namespace sluice::io
