#include "io/wake_signal.hpp"

#include "core/memory.hpp"
#include "io/system_error.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>

namespace sluice::io {

wake_signal::~wake_signal() {
  if (fd_ >= 0) {
    ::close(fd_);
  }
}

void wake_signal::drop_after_fork() noexcept {
  ::close(fd_);
  fd_ = -1;
}

error wake_signal::create(wake_signal*& made) noexcept {
  const int fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) {
    return error_from_errno(errno);
  }
  made = memory::create<wake_signal>(fd);
  if (made == nullptr) {
    ::close(fd);
    return error::no_memory;
  }
  return error::none;
}

void wake_signal::release() noexcept {
  if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    memory::destroy(this);
  }
}

void wake_signal::raise() noexcept {
  const int saved = errno;
  const std::uint64_t one = 1;
  // EAGAIN would mean a counter near 2^64: then it is raised anyway.
  [[maybe_unused]] const ssize_t written = ::write(fd_, &one, sizeof one);
  errno = saved;
}

void wake_signal::clear() noexcept {
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t taken = ::read(fd_, &count, sizeof count);
}

} // namespace sluice::io
