#include "io/uring_probe.hpp"

#include "io/uring_compat.hpp"

#include <liburing.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>

namespace sluice::io {
namespace {

constexpr std::uint64_t receive_key = 1;
constexpr std::uint64_t cancel_key = 2;
constexpr std::uint32_t buffer_count = 2;
constexpr std::size_t buffer_bytes = 16;

/// A ring, two buffers and a socket pair, for one try.
class trial {
public:
  trial() noexcept {
    io_uring_params params{};
    params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
    ring_open_ = ::io_uring_queue_init_params(8, &ring_, &params) == 0;
    if (ring_open_) {
      uring_compat::after_mapping_ring();
      int failed = 0;
      posted_ = uring_compat::setup_buf_ring(ring_, buffer_count, 0, failed);
    }
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends_.data()) != 0) {
      ends_ = {-1, -1};
    }
  }
  trial(const trial&) = delete;
  trial& operator=(const trial&) = delete;
  ~trial() {
    if (posted_ != nullptr) {
      uring_compat::free_buf_ring(ring_, posted_, buffer_count, 0);
    }
    if (ring_open_) {
      uring_compat::before_unmapping_ring();
      ::io_uring_queue_exit(&ring_);
    }
    for (const int fd : ends_) {
      if (fd >= 0) {
        ::close(fd);
      }
    }
  }

  [[nodiscard]] bool run() noexcept {
    if (posted_ == nullptr || ends_[0] < 0) {
      return false;
    }
    // One request brings two reads, and ends when the third finds no buffer.
    post(0);
    post(1);
    return arm() && brings(true) && brings(true) && write_byte() && ends(-ENOBUFS) &&
           // The byte is still there for the next one, which a cancel ends.
           (post(0), arm()) && next(1, true) && cancel_ends();
  }

private:
  void post(unsigned short buffer) noexcept {
    ::io_uring_buf_ring_add(posted_, bytes_[buffer].data(), buffer_bytes, buffer, buffer_count - 1,
                            0);
    ::io_uring_buf_ring_advance(posted_, 1);
  }
  [[nodiscard]] bool arm() noexcept {
    io_uring_sqe* const sqe = ::io_uring_get_sqe(&ring_);
    if (sqe == nullptr) {
      return false;
    }
    ::io_uring_prep_recv_multishot(sqe, ends_[0], nullptr, 0, 0);
    sqe->flags = IOSQE_BUFFER_SELECT;
    sqe->buf_group = 0;
    ::io_uring_sqe_set_data64(sqe, receive_key);
    return ::io_uring_submit_and_get_events(&ring_) >= 0;
  }
  [[nodiscard]] bool write_byte() noexcept { return ::send(ends_[1], "x", 1, MSG_NOSIGNAL) == 1; }
  [[nodiscard]] bool brings(bool more) noexcept { return write_byte() && next(1, more); }
  [[nodiscard]] bool ends(std::int32_t result) noexcept { return next(result, false); }

  [[nodiscard]] bool wait(io_uring_cqe& seen) noexcept {
    __kernel_timespec patience{1, 0}; // what works takes microseconds
    io_uring_cqe* first = nullptr;
    if (::io_uring_submit_and_wait_timeout(&ring_, &first, 1, &patience, nullptr) < 0 ||
        first == nullptr) {
      return false;
    }
    seen.user_data = first->user_data;
    seen.res = first->res;
    seen.flags = first->flags;
    ::io_uring_cqe_seen(&ring_, first);
    return true;
  }
  [[nodiscard]] bool next(std::int32_t result, bool more) noexcept {
    io_uring_cqe seen{};
    return wait(seen) && seen.user_data == receive_key && seen.res == result &&
           ((seen.flags & IORING_CQE_F_MORE) != 0) == more;
  }
  [[nodiscard]] bool cancel_ends() noexcept {
    io_uring_sqe* const sqe = ::io_uring_get_sqe(&ring_);
    if (sqe == nullptr) {
      return false;
    }
    ::io_uring_prep_cancel64(sqe, receive_key, 0);
    ::io_uring_sqe_set_data64(sqe, cancel_key);
    bool ended = false;
    bool answered = false;
    while (!ended || !answered) {
      io_uring_cqe seen{};
      if (!wait(seen) || (seen.flags & IORING_CQE_F_MORE) != 0) {
        return false;
      }
      (seen.user_data == receive_key ? ended : answered) = true;
    }
    return true;
  }

  io_uring ring_{};
  bool ring_open_ = false;
  io_uring_buf_ring* posted_ = nullptr;
  std::array<int, 2> ends_{-1, -1};
  std::array<std::array<std::byte, buffer_bytes>, buffer_count> bytes_{};
};

} // namespace

bool multishot_receives_work() noexcept {
  enum : int { unknown, no, yes };
  static constinit std::atomic<int> known{unknown};
  int now = known.load(std::memory_order_relaxed);
  if (now == unknown) {
    // Two threads that ask at once both try, and find the same.
    trial one;
    now = one.run() ? yes : no;
    known.store(now, std::memory_order_relaxed);
  }
  return now == yes;
}

} // namespace sluice::io
