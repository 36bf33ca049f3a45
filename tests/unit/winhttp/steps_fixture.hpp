#pragma once

#include "async_fixture.hpp"

#include "support/steps.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>

namespace sluice::test {

/// More than any session of these tests has.
inline constexpr std::size_t far_too_many_steps = 2000;
/// How long a call or a completion may take before the test fails; against hangs.
inline constexpr std::chrono::seconds step_patience{60};

/// Makes one call at the step of the library of that number, from a thread of its own, or in the
/// notification of that number, out of the callback.
class intruder final : public step_watcher {
public:
  enum class place { in_callbacks, other_thread };

  /// `call` may be made until end() returns.
  intruder(place where, std::size_t at, std::function<void()> call);
  ~intruder();

  /// Counts from now on.
  void begin() noexcept;
  /// No more calls. False if the session had fewer steps.
  bool end();

  /// A step of the library (step_watcher).
  void at(step what, bool loops_own) noexcept override;
  /// For the test's callback, in each notification.
  void in_callback();

private:
  bool is_next() noexcept;
  void ask(bool may_wait);

  const place where_;
  const std::size_t wanted_;
  const std::function<void()> call_;
  std::atomic<bool> counts_{false};
  std::atomic<bool> reached_{false};
  std::atomic<std::size_t> seen_{0};
  std::mutex lock_;
  std::condition_variable changed_;
  bool asked_ = false;
  bool done_ = false;
  bool ended_ = false;
  std::optional<background> thread_;
};

} // namespace sluice::test
