#include "io/timer_wheel.hpp"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <random>
#include <vector>

namespace sluice::io {
namespace {

using std::chrono::milliseconds;
using clock = timer_wheel::clock;

struct fixture {
  clock::time_point now{std::chrono::hours{1000}};
  timer_wheel wheel{now};

  struct one {
    timer at;
    fixture* home = nullptr;
    clock::time_point wanted;
    clock::time_point ran{};
    int runs = 0;
  };

  void arm(one& which, milliseconds after) {
    which.home = this;
    which.wanted = now + after;
    which.at.context = &which;
    which.at.on_expiry = [](timer& due) noexcept {
      auto& self = *static_cast<one*>(due.context);
      self.ran = self.home->now;
      ++self.runs;
    };
    wheel.arm(which.at, now, after);
  }

  /// Sleeps as a loop does: until next(), never past `end`.
  void run_until(clock::time_point end) {
    while (now < end) {
      now = std::min(end, std::max(now, wheel.next()));
      wheel.run(now);
    }
  }
};

TEST(timer_wheel, timers_of_every_length_expire_within_two_ticks_and_never_early) {
  fixture f;
  std::vector<fixture::one> timers(4000);
  std::mt19937 random(7);
  for (std::size_t i = 0; i < timers.size(); ++i) {
    f.arm(timers[i], milliseconds(random() % 700'000));
    if (i % 3 == 0) {
      f.run_until(f.now + milliseconds(random() % 100));
    }
  }
  f.run_until(f.now + std::chrono::minutes{20});
  for (const fixture::one& each : timers) {
    ASSERT_EQ(each.runs, 1);
    EXPECT_GE(each.ran, each.wanted);
    EXPECT_LE(each.ran, each.wanted + 2 * timer_wheel::tick);
  }
  EXPECT_EQ(f.wheel.next(), clock::time_point::max());
}

TEST(timer_wheel, a_cancelled_timer_does_not_run_and_a_moved_one_runs_once) {
  fixture f;
  std::array<fixture::one, 3> timers;
  f.arm(timers[0], milliseconds{100});
  f.arm(timers[1], milliseconds{100});
  f.arm(timers[2], milliseconds{100});
  f.wheel.cancel(timers[0].at);
  f.wheel.cancel(timers[0].at);
  f.arm(timers[1], milliseconds{10'000});
  f.run_until(f.now + milliseconds{300});
  EXPECT_EQ(timers[0].runs, 0);
  EXPECT_EQ(timers[1].runs, 0);
  EXPECT_EQ(timers[2].runs, 1);
  f.run_until(f.now + milliseconds{11'000});
  EXPECT_EQ(timers[1].runs, 1);
}

TEST(timer_wheel, an_expiry_may_cancel_its_neighbour_and_arm_itself) {
  struct pair {
    timer_wheel* wheel = nullptr;
    clock::time_point now;
    timer first;
    timer second;
    int runs = 0;
  } both;
  timer_wheel wheel{clock::time_point{}};
  both.wheel = &wheel;
  const auto expire = [](timer& due) noexcept {
    auto& self = *static_cast<pair*>(due.context);
    ++self.runs;
    self.wheel->cancel(self.first);
    self.wheel->cancel(self.second);
    if (self.runs < 3) {
      self.wheel->arm(due, self.now, milliseconds{0});
    }
  };
  both.first.context = both.second.context = &both;
  both.first.on_expiry = both.second.on_expiry = expire;
  wheel.arm(both.first, both.now, milliseconds{10});
  wheel.arm(both.second, both.now, milliseconds{10});
  for (int i = 0; i < 20; ++i) {
    both.now += milliseconds{64};
    wheel.run(both.now);
  }
  EXPECT_EQ(both.runs, 3);
}

} // namespace
} // namespace sluice::io
