#include "io/cancel.hpp"

#include "io/loop.hpp"
#include "support/each_backend.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace sluice::test {
namespace {

using io::cancel_source;
using io::clock;
using io::no_deadline;

bool never(void*) noexcept {
  return false;
}

TEST(cancel_source, a_request_sticks_until_reset) {
  cancel_source cancel;
  EXPECT_FALSE(cancel.requested());
  cancel.request();
  cancel.request();
  EXPECT_TRUE(cancel.requested());
  cancel.reset();
  EXPECT_FALSE(cancel.requested());
}

class cancel_on : public each_backend {};
SLUICE_ON_EACH_BACKEND(cancel_on);

TEST_P(cancel_on, a_request_before_the_wait_keeps_it_from_beginning) {
  cancel_source cancel;
  cancel.request();
  EXPECT_FALSE(cancel.begin_wait(*on));
  cancel.end_wait();
  EXPECT_TRUE(cancel.requested());
  cancel.reset();
  EXPECT_TRUE(cancel.begin_wait(*on));
  cancel.end_wait();
  EXPECT_FALSE(cancel.requested());
}

TEST_P(cancel_on, a_request_during_the_wait_sticks_after_it) {
  cancel_source cancel;
  ASSERT_TRUE(cancel.begin_wait(*on));
  cancel.request();
  EXPECT_TRUE(cancel.requested());
  EXPECT_EQ(on->io().wait(no_deadline), error::none); // was woken
  cancel.end_wait();
  EXPECT_TRUE(cancel.requested());
}

TEST_P(cancel_on, run_until_ends_at_a_request) {
  for (int i = 0; i < 200; ++i) {
    cancel_source cancel;
    std::thread other([&] { cancel.request(); });
    EXPECT_EQ(on->run_until(&never, nullptr, no_deadline, &cancel), error::cancelled);
    other.join();
  }
  EXPECT_EQ(on->run_until(&never, nullptr, clock::now() + std::chrono::milliseconds(2), nullptr),
            error::timed_out);
}

TEST_P(cancel_on, run_until_ends_when_it_is_done) {
  std::atomic<bool> done{false};
  const auto is_done = [](void* flag) noexcept {
    return static_cast<std::atomic<bool>*>(flag)->load();
  };
  std::thread other([&] {
    done.store(true);
    on->io().wake();
  });
  EXPECT_EQ(on->run_until(is_done, &done, no_deadline, nullptr), error::none);
  other.join();
}

// The waiter must not leave while a requester still touches its loop.
TEST_P(cancel_on, a_loop_may_be_destroyed_as_soon_as_the_wait_has_ended) {
  constexpr int rounds = 200;
  for (int i = 0; i < rounds; ++i) {
    cancel_source cancel;
    std::vector<std::thread> requesters;
    for (int k = 0; k < 2; ++k) {
      requesters.emplace_back([&] { cancel.request(); });
    }
    {
      memory::unique<io::loop> brief;
      ASSERT_EQ(io::loop::create(GetParam(), small_settings, brief), error::none);
      EXPECT_EQ(brief->run_until(&never, nullptr, no_deadline, &cancel), error::cancelled);
    }
    for (std::thread& one : requesters) {
      one.join();
    }
  }
}

} // namespace
} // namespace sluice::test
