#pragma once

#include <fcntl.h>
#include <sched.h>
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>

namespace sluice::test {

[[nodiscard]] inline pid_t this_thread_id() {
  return ::gettid();
}

/// True if the thread sleeps in the kernel, or has ended.
[[nodiscard]] inline bool is_asleep(pid_t thread) {
  std::array<char, 64> path{};
  std::snprintf(path.data(), path.size(), "/proc/self/task/%d/stat", static_cast<int>(thread));
  std::array<char, 256> text{};
  const int file = ::open(path.data(), O_RDONLY | O_CLOEXEC);
  const ssize_t count = file < 0 ? 0 : ::read(file, text.data(), text.size() - 1);
  if (file >= 0) {
    ::close(file);
  }
  const char* const name_end = std::strrchr(text.data(), ')');
  return count <= 0 || (name_end != nullptr && name_end[2] == 'S');
}

/// Returns when it does.
inline void wait_until_asleep(pid_t thread) {
  while (!is_asleep(thread)) {
    ::sched_yield();
  }
}

/// Returns when no other thread of this process runs, nor is about to.
inline void wait_until_all_others_sleep() {
  bool quiet = false;
  for (int passes = 0; passes < 2; passes = quiet ? passes + 1 : 0) {
    quiet = true;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
      const auto thread = static_cast<pid_t>(std::stol(task.path().filename().string()));
      quiet = quiet && (thread == this_thread_id() || is_asleep(thread));
    }
    ::sched_yield();
  }
}

} // namespace sluice::test
