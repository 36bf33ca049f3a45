#include "io/epoll_backend.hpp"

#include "core/probes.hpp"
#include "io/system_error.hpp"

#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <utility>

namespace sluice::io {
namespace {

constexpr std::size_t max_events = 64;
constexpr std::uint64_t waker_key = UINT64_MAX; // no descriptor has the low half

// A read of this many bytes that did not fill the buffer says bulk: by the time its bytes are
// consumed there are more, and trying costs less than asking epoll first.
constexpr std::size_t bulk_read_bytes = 16384;

// Events for a socket on which nobody waits here: it is used from another thread now. After a few
// the registration goes, or every packet for that thread would wake this one.
constexpr std::uint8_t max_unasked_events = 8;

// Looks at the other sockets after so many completions that came without asking epoll: a socket
// that is never empty does not starve the rest.
constexpr std::uint32_t max_completions_without_poll = 64;

constexpr std::uint32_t read_events = EPOLLIN | EPOLLPRI | EPOLLRDHUP;
constexpr std::uint32_t write_events = EPOLLOUT;

constexpr std::uint64_t key_of(int fd, std::uint64_t id) noexcept {
  return (id << 32) | static_cast<std::uint32_t>(fd);
}

const socket_ref& socket_of(const operation& op) noexcept {
  switch (op.what) {
  case operation::kind::recv:
    return static_cast<const recv_op&>(op).socket;
  case operation::kind::send:
    return static_cast<const send_op&>(op).socket;
  case operation::kind::connect:
    return static_cast<const connect_op&>(op).socket;
  case operation::kind::accept:
    break;
  }
  return static_cast<const accept_op&>(op).socket;
}

} // namespace

error epoll_backend::create(buffer_pool& buffers, memory::unique<backend>& made) noexcept {
  wake_signal* waker = nullptr;
  if (const error e = wake_signal::create(waker); e != error::none) {
    return e;
  }
  error failed = error::none;
  const int fd = ::epoll_create1(EPOLL_CLOEXEC);
  if (fd < 0) {
    failed = error_from_errno(errno);
  } else {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLET;
    event.data.u64 = waker_key;
    if (::epoll_ctl(fd, EPOLL_CTL_ADD, waker->descriptor(), &event) != 0) {
      failed = error_from_errno(errno);
    } else {
      made.reset(memory::create<epoll_backend>(buffers, fd, *waker));
      failed = made == nullptr ? error::no_memory : error::none;
    }
  }
  if (failed != error::none) {
    if (fd >= 0) {
      ::close(fd);
    }
    waker->release();
  }
  return failed;
}

epoll_backend::epoll_backend(buffer_pool& buffers, int epoll_fd, wake_signal& waker) noexcept
    : buffers_(buffers), waker_(&waker), epoll_fd_(epoll_fd) {
  buffers.wake_on_return(waker);
}

epoll_backend::~epoll_backend() {
  fail_everything();
  memory::release(entries_);
  if (epoll_fd_ >= 0) {
    ::close(epoll_fd_);
  }
  waker_->release();
}

void epoll_backend::drop_after_fork() noexcept {
  ::close(epoll_fd_);
  waker_->drop_after_fork();
}

epoll_backend::entry* epoll_backend::find_fd(int fd) noexcept {
  if (entry_places_ == 0) {
    return nullptr;
  }
  const std::size_t mask = entry_places_ - 1;
  for (std::size_t at = static_cast<std::size_t>(fd) & mask;; at = (at + 1) & mask) {
    if (entries_[at].fd == fd || entries_[at].fd < 0) {
      return &entries_[at];
    }
  }
}

bool epoll_backend::reserve_entry() noexcept {
  if (entry_places_ > used_entries_ * 2) {
    return true;
  }
  const std::size_t places = std::max<std::size_t>(16, entry_places_ * 2);
  auto* const grown = static_cast<entry*>(memory::allocate(places * sizeof(entry)));
  if (grown == nullptr) {
    return false;
  }
  std::uninitialized_fill_n(grown, places, entry{});
  entry* const old = std::exchange(entries_, grown);
  const std::size_t old_places = std::exchange(entry_places_, places);
  for (std::size_t i = 0; i < old_places; ++i) {
    if (old[i].fd >= 0) {
      *find_fd(old[i].fd) = old[i];
    }
  }
  memory::release(old);
  return true;
}

epoll_backend::entry* epoll_backend::find(const socket_ref& socket) noexcept {
  entry* at = find_fd(socket.fd);
  if (at == nullptr || at->fd < 0) {
    if (!reserve_entry()) {
      return nullptr;
    }
    at = find_fd(socket.fd);
    *at = entry{};
    at->fd = socket.fd;
    at->id = socket.id;
    ++used_entries_;
  } else if (at->id != socket.id) {
    // The former socket was closed; whatever was still waiting on it waits for nothing.
    if (at->reader != nullptr) {
      complete(*at->reader, -EBADF);
    }
    if (at->writer != nullptr) {
      complete(*at->writer, -EBADF);
    }
    *at = entry{};
    at->fd = socket.fd;
    at->id = socket.id;
  }
  at->unasked_events = 0;
  return at;
}

int epoll_backend::watch(entry& at, std::uint32_t events) noexcept {
  if ((at.interest & events) == events) {
    return 0;
  }
  epoll_event event{};
  event.events = at.interest | events | EPOLLET;
  event.data.u64 = key_of(at.fd, at.id);
  // Both report at once what is ready already, so nothing is missed in between.
  int how = at.interest == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  ++stats_.system_calls;
  int status = ::epoll_ctl(epoll_fd_, how, at.fd, &event);
  if (status != 0 && (errno == EEXIST || errno == ENOENT)) {
    how = errno == EEXIST ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    ++stats_.system_calls;
    status = ::epoll_ctl(epoll_fd_, how, at.fd, &event);
  }
  if (status != 0) {
    const int failed = errno;
    if (failed == EINVAL || (failed == EBADF && ::fcntl(epoll_fd_, F_GETFD) < 0)) {
      epoll_fd_ = -1; // closed by somebody else; the number may be another file's by now
    }
    return failed;
  }
  at.interest |= events;
  return 0;
}

void epoll_backend::complete(operation& op, std::int32_t result) noexcept {
  op.result = result;
  op.now = operation::state::done;
  completed_.push(op);
}

void epoll_backend::arm_reader(operation& op, entry& at) noexcept {
  at.readable = false;
  if (const int failed = watch(at, read_events); failed != 0) {
    complete(op, -failed);
    return;
  }
  at.reader = &op;
}

void epoll_backend::arm_writer(operation& op, entry& at) noexcept {
  at.writable = false;
  if (const int failed = watch(at, write_events); failed != 0) {
    complete(op, -failed);
    return;
  }
  at.writer = &op;
}

void epoll_backend::try_recv(recv_op& op, entry& at) noexcept {
  buffer* into = buffers_.take(op.wanted);
  if (into == nullptr) {
    into = buffers_.take(other(op.wanted));
  }
  if (into == nullptr && buffers_.none_out()) {
    complete(op, -ENOMEM);
    return;
  }
  if (into == nullptr) {
    op.now = operation::state::starved;
    ++stats_.starved;
    SLUICE_PROBE2(starved, op.socket.id, buffer_class_bytes[static_cast<std::size_t>(op.wanted)]);
    starved_.push(op);
    return;
  }
  ssize_t got = 0;
  do {
    ++stats_.system_calls;
    got = ::recv(op.socket.fd, into->bytes, into->capacity_bytes, MSG_DONTWAIT);
  } while (got < 0 && errno == EINTR);
  if (got > 0) {
    const auto count = static_cast<std::size_t>(got);
    op.filled = into;
    op.socket_nonempty = count == into->capacity_bytes;
    // A short read has emptied the socket: what comes later makes a new edge. After a hang-up there
    // are no more edges, so the end has to be read. Reads also end before an urgent byte, with more
    // behind it.
    at.readable = op.socket_nonempty || at.hung_up || at.urgent || count >= bulk_read_bytes;
    ++stats_.receives;
    stats_.received_bytes += count;
    complete(op, static_cast<std::int32_t>(got));
    return;
  }
  const int failed = got == 0 ? 0 : errno;
  buffers_.recycle(*into);
  if (failed == EAGAIN || failed == EWOULDBLOCK) {
    at.urgent = false;
    arm_reader(op, at);
  } else {
    complete(op, -failed);
  }
}

void epoll_backend::try_send(send_op& op, entry& at) noexcept {
  if (const std::int32_t taken = send_now(op); taken == -EAGAIN) {
    arm_writer(op, at);
  } else {
    complete(op, taken);
  }
}

void epoll_backend::start_recv(recv_op& op, bool at_once) noexcept {
  op.now = operation::state::armed;
  entry* const at = find(op.socket);
  if (at == nullptr) {
    complete(op, -ENOMEM);
  } else if (at->readable && at_once) {
    try_recv(op, *at);
  } else if (at->readable) {
    ready_.push(op);
  } else {
    arm_reader(op, *at);
  }
}

void epoll_backend::submit(recv_op& op) noexcept {
  op.what = operation::kind::recv;
  op.filled = nullptr;
  op.socket_nonempty = false;
  start_recv(op, false);
}

void epoll_backend::submit(send_op& op) noexcept {
  op.what = operation::kind::send;
  op.now = operation::state::armed;
  entry* const at = find(op.socket);
  if (at == nullptr) {
    complete(op, -ENOMEM);
  } else if (at->writable) {
    try_send(op, *at);
  } else {
    arm_writer(op, *at);
  }
}

void epoll_backend::submit(connect_op& op) noexcept {
  op.what = operation::kind::connect;
  op.now = operation::state::armed;
  entry* const at = find(op.socket);
  if (at == nullptr) {
    complete(op, -ENOMEM);
    return;
  }
  ++stats_.system_calls;
  if (::connect(op.socket.fd, reinterpret_cast<const sockaddr*>(&op.address), op.address_bytes) ==
      0) {
    complete(op, 0);
  } else if (errno == EINPROGRESS || errno == EINTR) {
    arm_writer(op, *at);
  } else {
    complete(op, -errno);
  }
}

void epoll_backend::try_accept(accept_op& op, entry& at) noexcept {
  int accepted = -1;
  do {
    ++stats_.system_calls;
    accepted = ::accept4(op.socket.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  } while (accepted < 0 && errno == EINTR);
  if (accepted >= 0) {
    complete(op, accepted);
  } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
    arm_reader(op, at);
  } else {
    complete(op, -errno);
  }
}

void epoll_backend::submit(accept_op& op) noexcept {
  op.what = operation::kind::accept;
  op.now = operation::state::armed;
  entry* const at = find(op.socket);
  if (at == nullptr) {
    complete(op, -ENOMEM);
  } else if (at->readable) {
    try_accept(op, *at);
  } else {
    arm_reader(op, *at);
  }
}

void epoll_backend::finish_connect(connect_op& op) noexcept {
  int failed = 0;
  socklen_t size = sizeof failed;
  ++stats_.system_calls;
  if (::getsockopt(op.socket.fd, SOL_SOCKET, SO_ERROR, &failed, &size) != 0) {
    failed = errno;
  }
  complete(op, -failed);
}

void epoll_backend::cancel(operation& op) noexcept {
  if (op.now == operation::state::starved) {
    starved_.remove(op);
    complete(op, -ECANCELED);
    return;
  }
  if (op.now != operation::state::armed) {
    return; // idle, or its result is already on the way
  }
  if (ready_.remove(op)) {
    complete(op, -ECANCELED);
    return;
  }
  entry* const at = find_fd(socket_of(op).fd);
  if (at != nullptr && at->reader == &op) {
    at->reader = nullptr;
  } else if (at != nullptr && at->writer == &op) {
    at->writer = nullptr;
  }
  complete(op, -ECANCELED);
}

void epoll_backend::dispatch(std::uint64_t key, std::uint32_t events) noexcept {
  if (key == waker_key) {
    ++stats_.system_calls;
    waker_->clear();
    return;
  }
  const int fd = static_cast<int>(key & 0xffffffffU);
  entry* const at = find_fd(fd);
  if (at == nullptr || at->fd < 0 || key_of(fd, at->id) != key) {
    return; // about a socket that is closed
  }
  const bool failed = (events & (EPOLLHUP | EPOLLERR)) != 0;
  if (failed || (events & EPOLLRDHUP) != 0) {
    at->hung_up = true;
  }
  if ((events & EPOLLPRI) != 0) {
    at->urgent = true;
  }
  if (failed || (events & read_events) != 0) {
    at->readable = true;
  }
  if (failed || (events & write_events) != 0) {
    at->writable = true;
  }
  bool asked = false;
  if (at->reader != nullptr && at->readable) {
    asked = true;
    operation& op = *at->reader;
    at->reader = nullptr;
    if (op.what == operation::kind::accept) {
      try_accept(static_cast<accept_op&>(op), *at);
    } else {
      ready_.push(op);
    }
  }
  if (at->writer != nullptr && at->writable) {
    asked = true;
    operation& op = *at->writer;
    at->writer = nullptr;
    if (op.what == operation::kind::connect) {
      finish_connect(static_cast<connect_op&>(op));
    } else {
      try_send(static_cast<send_op&>(op), *at);
    }
  }
  if (!asked && at->reader == nullptr && at->writer == nullptr &&
      ++at->unasked_events >= max_unasked_events) {
    unwatch(*at);
  }
}

// Else every packet would be reported here, to nobody. What was registered to connect it has
// another id, and the kernel still knows it when `interest` no longer does.
void epoll_backend::forget(const socket_ref& socket) noexcept {
  entry* const at = find_fd(socket.fd);
  if (at != nullptr && at->fd >= 0) {
    unwatch(*at);
  }
}

/// For a socket that another thread uses by now, and may be closing: then nothing is found, because
/// only this thread could have registered a successor on the same descriptor.
void epoll_backend::unwatch(entry& at) noexcept {
  ++stats_.system_calls;
  ::epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, at.fd, nullptr);
  at.interest = 0;
  at.unasked_events = 0;
  at.readable = true; // unknown from here on: try
  at.writable = true;
}

void epoll_backend::resume_starved() noexcept {
  // Each retry takes a buffer, or goes to the back of the list and ends the round, or fails.
  while (!starved_.empty() && (buffers_.has_free(buffer_class::small) ||
                               buffers_.has_free(buffer_class::large) || buffers_.none_out())) {
    start_recv(static_cast<recv_op&>(starved_.pop()), true);
  }
}

void epoll_backend::try_ready(recv_op& op) noexcept {
  entry* const at = find_fd(op.socket.fd);
  if (at == nullptr || at->fd < 0 || at->id != op.socket.id) {
    complete(op, -EBADF); // its socket was closed
  } else {
    try_recv(op, *at);
  }
}

bool epoll_backend::run_completed(std::uint32_t at_most) noexcept {
  std::uint32_t ran = 0;
  while (ran < at_most) {
    while (completed_.empty() && !ready_.empty()) {
      try_ready(static_cast<recv_op&>(ready_.pop()));
    }
    if (completed_.empty()) {
      break;
    }
    operation& op = completed_.pop();
    op.now = operation::state::idle;
    ++stats_.completions;
    ++ran;
    if (op.on_complete != nullptr) {
      op.on_complete(op);
    }
  }
  completions_without_poll_ += ran;
  return ran != 0;
}

void epoll_backend::fail_everything() noexcept {
  while (!starved_.empty()) {
    complete(starved_.pop(), -ECANCELED);
  }
  while (!ready_.empty()) {
    complete(ready_.pop(), -ECANCELED);
  }
  for (std::size_t i = 0; i < entry_places_; ++i) {
    entry& at = entries_[i];
    if (at.reader != nullptr) {
      complete(*at.reader, -ECANCELED);
    }
    if (at.writer != nullptr) {
      complete(*at.writer, -ECANCELED);
    }
    at = entry{};
  }
  used_entries_ = 0;
  while (run_completed(max_completions_without_poll)) {
  }
}

error epoll_backend::wait(time_point deadline) noexcept {
  if (epoll_fd_ >= 0) {
    turn(deadline);
  }
  if (epoll_fd_ < 0) {
    fail_everything();
    return error::system;
  }
  return error::none;
}

void epoll_backend::turn(time_point deadline) noexcept {
  buffers_.drain_returns();
  if (!starved_.empty()) {
    resume_starved();
  }
  bool sleep = true;
  const std::uint64_t starved_before = stats_.starved;
  if (!completed_.empty() || !ready_.empty()) {
    const std::uint32_t left = max_completions_without_poll - completions_without_poll_;
    if (run_completed(left)) {
      return;
    }
    if (stats_.starved != starved_before) {
      return; // the caller may have a buffer to give back before it sleeps
    }
    sleep = completed_.empty() && ready_.empty();
  }
  if (sleep && !starved_.empty() && !buffers_.announce_hunger()) {
    sleep = false;
  }
  completions_without_poll_ = 0;
  std::array<epoll_event, max_events> events;
  ++stats_.system_calls;
  const int count = ::epoll_wait(epoll_fd_, events.data(), static_cast<int>(events.size()),
                                 sleep ? timeout_ms(deadline) : 0);
  if (count < 0 && errno != EINTR) {
    epoll_fd_ = -1; // closed by somebody else; the number may be another file's by now
    return;
  }
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    dispatch(event.data.u64, event.events);
  }
  run_completed(max_completions_without_poll);
}

} // namespace sluice::io
