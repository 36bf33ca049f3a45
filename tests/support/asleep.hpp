#pragma once

#include <fcntl.h>
#include <sched.h>
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstring>

namespace sluice::test {

[[nodiscard]] inline pid_t this_thread_id() {
  return ::gettid();
}

/// Returns when the thread sleeps in the kernel, or has ended.
inline void wait_until_asleep(pid_t thread) {
  std::array<char, 64> path{};
  std::snprintf(path.data(), path.size(), "/proc/self/task/%d/stat", static_cast<int>(thread));
  for (;;) {
    std::array<char, 256> text{};
    const int file = ::open(path.data(), O_RDONLY | O_CLOEXEC);
    const ssize_t count = file < 0 ? 0 : ::read(file, text.data(), text.size() - 1);
    if (file >= 0) {
      ::close(file);
    }
    const char* const name_end = std::strrchr(text.data(), ')');
    if (count <= 0 || (name_end != nullptr && name_end[2] == 'S')) {
      return;
    }
    ::sched_yield();
  }
}

} // namespace sluice::test
