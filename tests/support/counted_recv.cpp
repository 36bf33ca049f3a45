#include "support/counted_recv.hpp"

#include <sys/socket.h>

#include <cstddef>

namespace sluice::test {

// The linker's --wrap, as in steps.cpp.
ssize_t real_recv(int fd, void* to, std::size_t count, int flags) asm("__real_recv");
ssize_t counted_recv(int fd, void* to, std::size_t count, int flags) asm("__wrap_recv");

namespace {

thread_local std::uint64_t calls = 0;

} // namespace

std::uint64_t recv_calls() noexcept {
  return calls;
}

ssize_t counted_recv(int fd, void* to, std::size_t count, int flags) {
  ++calls;
  return real_recv(fd, to, count, flags);
}

} // namespace sluice::test
