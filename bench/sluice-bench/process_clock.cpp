#include "process_clock.hpp"

#include "common.hpp"

#include <ctime>
#include <fstream>
#include <sched.h>
#include <sys/resource.h>
#include <sys/utsname.h>

namespace sluice_bench {

process_clock::process_clock(pid_t pid) {
  clockid_t clock{};
  const int error_number = clock_getcpuclockid(pid, &clock);
  if (error_number != 0) {
    throw system_failure("cannot read the CPU clock of process " + std::to_string(pid) +
                             "; give the pid of a running process",
                         error_number, exit_bad_use);
  }
  clock_ = clock;
  valid_ = true;
}

process_clock process_clock::of_this_process() noexcept {
  process_clock made;
  made.clock_ = CLOCK_PROCESS_CPUTIME_ID;
  made.valid_ = true;
  return made;
}

std::uint64_t process_clock::read_ns() const {
  if (!valid_) {
    return 0;
  }
  timespec t{};
  if (clock_gettime(clock_, &t) != 0) {
    throw failure("the measured process has ended");
  }
  return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000u +
         static_cast<std::uint64_t>(t.tv_nsec);
}

void pin_to_cpu(int cpu) {
  if (cpu < 0) {
    return;
  }
  if (cpu >= CPU_SETSIZE) {
    throw failure("there is no CPU " + std::to_string(cpu) + " here", exit_bad_use);
  }
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<std::size_t>(cpu), &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0) {
    throw system_failure("cannot run on CPU " + std::to_string(cpu) +
                             "; pick one that this process may use",
                         errno, exit_bad_use);
  }
}

int usable_cpu_count() noexcept {
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

int usable_cpu(int n) noexcept {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) {
    return -1;
  }
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(static_cast<std::size_t>(cpu), &set) && n-- == 0) {
      return cpu;
    }
  }
  return -1;
}

int online_cpu_count() noexcept {
  return static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
}

void allow_open_files(std::uint64_t needed) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return;
  }
  if (limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    (void)getrlimit(RLIMIT_NOFILE, &limit);
  }
  if (limit.rlim_cur < needed) {
    throw failure("this needs " + std::to_string(needed) + " open files and the limit is " +
                      std::to_string(limit.rlim_cur) + "; raise it with ulimit -n",
                  exit_bad_use);
  }
}

std::string machine_description() {
  std::string model = "unknown CPU";
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    const std::size_t colon = line.find(": ");
    if (line.rfind("model name", 0) == 0 && colon != std::string::npos) {
      model = line.substr(colon + 2);
      break;
    }
  }
  utsname system{};
  (void)uname(&system);
  return model + ", " + std::to_string(online_cpu_count()) + " CPUs, " + system.sysname + " " +
         system.release;
}

std::string compiler_description() {
#if defined(__clang__)
  return "clang " __clang_version__;
#else
  return "gcc " __VERSION__;
#endif
}

} // namespace sluice_bench
