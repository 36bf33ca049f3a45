// The stream's reads that wait in the kernel and not on a loop.

#include "io/stream.hpp"
#include "io/system_error.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <thread>

namespace sluice::io {
namespace {

constexpr int more_than_allowed_bytes = 1 << 30;

// How often a thread looks when no descriptor is left to be woken through.
constexpr std::chrono::milliseconds look_period{1};

/// Sleeps until bytes or an end come, wake_reader() is called, or at last the deadline.
class socket_wait {
public:
  explicit socket_wait(int socket) noexcept : socket_(socket) {}
  ~socket_wait() {
    if (edges_ >= 0) {
      ::close(edges_);
    }
  }
  socket_wait(const socket_wait&) = delete;
  socket_wait& operator=(const socket_wait&) = delete;

  /// none or timed_out.
  [[nodiscard]] error until_readable(time_point deadline) const noexcept {
    const int left_ms = timeout_ms(deadline);
    if (left_ms != 0) {
      pollfd what{socket_, POLLIN, 0};
      (void)::poll(&what, 1, left_ms);
    }
    return left_ms != 0 ? error::none : error::timed_out;
  }

  /// Once its reading side is shut down the socket is readable for ever, and only edges tell. What
  /// happened before the first wait ends that one at once, so nothing is missed.
  [[nodiscard]] error until_edge(time_point deadline) noexcept {
    const int left_ms = timeout_ms(deadline);
    if (left_ms == 0) {
      return error::timed_out;
    }
    if (watch()) {
      epoll_event event{};
      (void)::epoll_wait(edges_, &event, 1, left_ms);
    } else {
      std::this_thread::sleep_for(look_period);
    }
    return error::none;
  }

private:
  [[nodiscard]] bool watch() noexcept {
    if (edges_ < 0) {
      edges_ = ::epoll_create1(EPOLL_CLOEXEC);
      epoll_event event{};
      event.events = EPOLLIN | EPOLLRDHUP | EPOLLET;
      if (edges_ >= 0 && ::epoll_ctl(edges_, EPOLL_CTL_ADD, socket_, &event) != 0) {
        ::close(edges_);
        edges_ = -1;
      }
    }
    return edges_ >= 0;
  }

  int socket_;
  int edges_ = -1;
};

[[nodiscard]] error make_blocking(int socket) noexcept {
  const int flags = ::fcntl(socket, F_GETFL);
  return flags >= 0 && ::fcntl(socket, F_SETFL, flags & ~O_NONBLOCK) == 0 ? error::none
                                                                          : error::system;
}

[[nodiscard]] bool ask_tcp(int socket, tcp_info& info) noexcept {
  socklen_t size = sizeof(info);
  return ::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) == 0;
}

// False when the peer has sent its FIN, or the connection is gone.
[[nodiscard]] bool may_bring_more(int socket) noexcept {
  tcp_info info{};
  return ask_tcp(socket, info) && info.tcpi_state == TCP_ESTABLISHED;
}

// Once its reading side is shut down, TCP no longer tells the peer of room that a reader makes,
// only of what there is when it acknowledges (tcp_cleanup_rbuf() in the kernel). A window that has
// closed is found open by the peer's probe alone, 200 ms later, so it should not close: the receive
// buffer becomes as large as the system allows one to grow. A low-water mark asks for that without
// ending the buffer's own growth, as SO_RCVBUF would.
void make_room(int socket) noexcept {
  for (const int low_water_bytes : {more_than_allowed_bytes, 1}) {
    ::setsockopt(socket, SOL_SOCKET, SO_RCVLOWAT, &low_water_bytes, sizeof(low_water_bytes));
  }
}

} // namespace

// Nothing of this is on the wire: TCP has no word for it. A recv() that has nothing returns 0, and
// bytes still arrive and are handed out.
bool stream::shut_reading_side() noexcept {
  return is_open() && is_of_this_process() && ::shutdown(socket_.fd, SHUT_RD) == 0;
}

void stream::wake_reader() noexcept {
  if (shut_reading_side()) {
    make_room(socket_.fd);
  }
}

void stream::hang_up() noexcept {
  if (shut_reading_side()) {
    shutdown(false);
  }
}

void stream::leave() const noexcept {
  if (loop* const on = loop::existing_for_this_thread()) {
    on->io().forget(socket_);
  }
}

bool stream::received_within(std::chrono::milliseconds time) const noexcept {
  tcp_info info{};
  return ask_tcp(socket_.fd, info) && std::chrono::milliseconds(info.tcpi_last_data_recv) <= time;
}

// Into undelivered_.
error stream::receive_blocking(const reading& how) noexcept {
  buffer_pool& from = how.buffers;
  from.drain_returns();
  buffer* const into = from.take_or_grow(size_guess_.wanted());
  if (into == nullptr) {
    return error::no_memory;
  }
  socket_wait waiting(socket_.fd);
  const int flags = how.deadline == no_deadline ? 0 : MSG_DONTWAIT;
  bool at_end = false;
  error ended = how.cancel->requested() ? error::cancelled : error::none;
  while (ended == error::none) {
    const ssize_t got = ::recv(socket_.fd, into->bytes, into->capacity_bytes, flags);
    const int failed = got < 0 ? errno : 0;
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
    } else if (failed == EAGAIN) {
      ended = waiting.until_readable(how.deadline);
    } else if (got == 0 && may_bring_more(socket_.fd)) { // wake_reader() was called
      ended = waiting.until_edge(how.deadline);
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
