#include "bench/support/cpu.hpp"

#include <sched.h>
#include <time.h>

namespace sluice::bench {

namespace {

// The set as it was before any thread was bound: bound threads hand their own set to their
// children.
const cpu_set_t& allowed_cpus() {
  static const cpu_set_t allowed = [] {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof(set), &set) != 0) {
      CPU_SET(0, &set);
    }
    return set;
  }();
  return allowed;
}

// Asked once while the program starts, before there are other threads.
[[maybe_unused]] const cpu_set_t& asked_early = allowed_cpus();

} // namespace

double thread_cpu_seconds() {
  timespec now = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

unsigned usable_cpus() {
  const int count = CPU_COUNT(&allowed_cpus());
  return count > 0 ? static_cast<unsigned>(count) : 1;
}

void pin_this_thread(unsigned index) {
  unsigned left = index % usable_cpus();
  for (unsigned cpu = 0; cpu < CPU_SETSIZE && usable_cpus() > 1; ++cpu) {
    if (CPU_ISSET(cpu, &allowed_cpus()) && left-- == 0) {
      cpu_set_t one;
      CPU_ZERO(&one);
      CPU_SET(cpu, &one);
      sched_setaffinity(0, sizeof(one), &one);
      return;
    }
  }
}

} // namespace sluice::bench
