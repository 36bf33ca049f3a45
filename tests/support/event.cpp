#include "support/event.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

namespace sluice::test {

void event::set() {
  const std::lock_guard guard(lock_);
  set_ = true;
  changed_.notify_all();
}

void event::wait() {
  std::unique_lock guard(lock_);
  if (!changed_.wait_for(guard, peer_patience, [this] { return set_; })) {
    throw peer_failure("peer: an event of the test never came");
  }
}

bool event::is_set() {
  const std::lock_guard guard(lock_);
  return set_;
}

watchdog::watchdog(int seconds)
    : thread_([this, seconds] {
        std::unique_lock guard(lock_);
        watching_ = true;
        changed_.notify_all();
        if (!changed_.wait_for(guard, std::chrono::seconds(seconds),
                               [this] { return finished_; })) {
          const testing::TestInfo* test = testing::UnitTest::GetInstance()->current_test_info();
          std::fprintf(stderr, "watchdog: %s.%s hangs for more than %d s\n",
                       test != nullptr ? test->test_suite_name() : "?",
                       test != nullptr ? test->name() : "a test", seconds);
          std::abort();
        }
      }) {
  std::unique_lock guard(lock_);
  changed_.wait(guard, [this] { return watching_; });
}

watchdog::~watchdog() {
  {
    const std::lock_guard guard(lock_);
    finished_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

} // namespace sluice::test
