#pragma once

#include <cstdint>
#include <string>
#include <sys/types.h>

namespace sluice_bench {

/// The CPU time (user and system, all threads) that a process has used so far. Reading it costs
/// one system call and works for processes of other users too; unlike /proc/<pid>/stat it counts
/// nanoseconds, not ticks.
class process_clock {
public:
  /// No process: read_ns() is 0 and valid() false.
  process_clock() noexcept = default;
  /// Throws failure(exit_bad_use) when there is no such process.
  explicit process_clock(pid_t pid);

  [[nodiscard]] static process_clock of_this_process() noexcept;

  [[nodiscard]] bool valid() const noexcept { return valid_; }
  /// Nanoseconds; throws failure when the process has ended.
  [[nodiscard]] std::uint64_t read_ns() const;

private:
  int clock_ = 0; // clockid_t
  bool valid_ = false;
};

/// Pins the calling thread, and the threads and processes it starts later, to one CPU. Does
/// nothing for a negative number. Throws failure(exit_bad_use) when this process may not run there.
void pin_to_cpu(int cpu);

/// How many CPUs this process may run on, and the n-th of them (counted from 0).
[[nodiscard]] int usable_cpu_count() noexcept;
[[nodiscard]] int usable_cpu(int n) noexcept;
/// How many CPUs the machine has, wherever this process is pinned.
[[nodiscard]] int online_cpu_count() noexcept;

/// Lifts the soft limit of open files to the hard one, and throws failure(exit_bad_use) when that
/// is not enough for `needed` descriptors.
void allow_open_files(std::uint64_t needed);

/// CPU model, CPU count and kernel release, for the head of a table.
[[nodiscard]] std::string machine_description();
/// The compiler this program was built with.
[[nodiscard]] std::string compiler_description();

} // namespace sluice_bench
