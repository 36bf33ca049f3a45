// The stream's reads that wait in the kernel and not on a loop.

#include "io/stream.hpp"
#include "io/system_error.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

namespace sluice::io {
namespace {

constexpr int wanted_room_bytes = 4 << 20;

/// Sleeps until something happens to a socket: bytes, an end, or wake_reader(). Only edges tell:
/// once its reading side is shut down the socket counts as readable for ever.
class edge_wait {
public:
  edge_wait() noexcept = default;
  ~edge_wait() {
    if (fd_ >= 0) {
      ::close(fd_);
    }
  }
  edge_wait(const edge_wait&) = delete;
  edge_wait& operator=(const edge_wait&) = delete;

  /// none, timed_out, out_of_descriptors, no_memory or system. What has happened before the first
  /// wait ends that one at once, so nothing is missed.
  [[nodiscard]] error wait(int socket, time_point deadline) noexcept {
    if (fd_ < 0) {
      fd_ = ::epoll_create1(EPOLL_CLOEXEC);
      epoll_event event{};
      event.events = EPOLLIN | EPOLLRDHUP | EPOLLET;
      if (fd_ < 0 || ::epoll_ctl(fd_, EPOLL_CTL_ADD, socket, &event) != 0) {
        return error_from_errno(errno);
      }
    }
    int timeout_ms = -1;
    if (deadline != no_deadline) {
      const time_point now = clock::now();
      if (deadline <= now) {
        return error::timed_out;
      }
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - now).count();
      timeout_ms = static_cast<int>(std::min<std::int64_t>(left, 1 << 30));
    }
    epoll_event event{};
    if (::epoll_wait(fd_, &event, 1, timeout_ms) < 0 && errno != EINTR) {
      return error_from_errno(errno);
    }
    return error::none;
  }

private:
  int fd_ = -1;
};

[[nodiscard]] error make_blocking(int socket) noexcept {
  const int flags = ::fcntl(socket, F_GETFL);
  return flags >= 0 && ::fcntl(socket, F_SETFL, flags & ~O_NONBLOCK) == 0 ? error::none
                                                                          : error::system;
}

// False when the peer has sent its FIN, or the connection is gone.
[[nodiscard]] bool may_bring_more(int socket) noexcept {
  tcp_info info{};
  socklen_t size = sizeof(info);
  return ::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
         info.tcpi_state == TCP_ESTABLISHED;
}

// Once its reading side is shut down, TCP no longer tells the peer of room that a reader makes,
// only of what there is when it acknowledges (tcp_cleanup_rbuf() in the kernel). A window that has
// closed is found open by the peer's probe alone, 200 ms later, so it should not close: the buffer
// becomes as large as the system allows, which a low-water mark asks for without ending its own
// growth, as SO_RCVBUF would.
void make_room(int socket) noexcept {
  for (const int low_water_bytes : {wanted_room_bytes, 1}) {
    ::setsockopt(socket, SOL_SOCKET, SO_RCVLOWAT, &low_water_bytes, sizeof(low_water_bytes));
  }
}

} // namespace

void stream::wake_reader() noexcept {
  if (is_open()) {
    // Nothing of this is on the wire: TCP has no word for it. A recv() that has nothing returns 0,
    // and bytes still arrive and are handed out.
    ::shutdown(socket_.fd, SHUT_RD);
    make_room(socket_.fd);
  }
}

// Into undelivered_.
error stream::receive_blocking(const reading& how) noexcept {
  buffer_pool& from = how.on.buffers();
  from.drain_returns();
  buffer* const into = from.take_or_grow(size_guess_.wanted());
  if (into == nullptr) {
    return error::no_memory;
  }
  edge_wait edges;
  const int flags = how.deadline == no_deadline ? 0 : MSG_DONTWAIT;
  bool at_end = false;
  error ended = how.cancel->requested() ? error::cancelled : error::none;
  while (ended == error::none) {
    const ssize_t got = ::recv(socket_.fd, into->bytes, into->capacity_bytes, flags);
    const int failed = got < 0 ? errno : 0;
    how.on.io().count_receive(got);
    if (got > 0) {
      const auto count = static_cast<std::uint32_t>(got);
      size_guess_.note(count, count == into->capacity_bytes, false);
      expect_data_ = false;
      undelivered_ = slice{into, 0, count};
      return error::none;
    }
    if (how.cancel->requested()) {
      ended = error::cancelled;
    } else if (failed == EAGAIN && flags == 0) {
      ended = make_blocking(socket_.fd);
      how.on.io().forget(socket_); // what it was connected on
    } else if (failed == EAGAIN || (got == 0 && may_bring_more(socket_.fd))) {
      ended = edges.wait(socket_.fd, how.deadline); // of the two the latter is after wake_reader()
    } else if (got == 0) {
      ended = at_end ? error::end_of_stream : error::none;
      at_end = true; // unless bytes came just before the FIN: look once more
    } else if (failed != EINTR) {
      ended = error_from_errno(failed);
    }
  }
  from.recycle(*into);
  return ended;
}

} // namespace sluice::io
