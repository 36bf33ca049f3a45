#pragma once

#include <atomic>
#include <cstdint>

namespace sluice::io {

class loop;

/// Lets one thread end another thread's blocking call on the same handle and direction. A request
/// sticks until reset(), so one that comes before the wait begins is not lost.
class cancel_source {
public:
  cancel_source() noexcept = default;
  cancel_source(const cancel_source&) = delete;
  cancel_source& operator=(const cancel_source&) = delete;

  void request() noexcept;                        // any thread
  [[nodiscard]] bool requested() const noexcept { // any thread
    const std::uintptr_t seen = state_.load(std::memory_order_acquire);
    return seen == requested_state || seen == waking_state;
  }
  void reset() noexcept; // by the owner of the direction, nobody waiting

  /// Names the loop to wake while a thread waits in it; false if a request is already there.
  /// Only loop calls these; end_wait() also after a begin_wait() that returned false.
  [[nodiscard]] bool begin_wait(loop& waiter) noexcept;
  void end_wait() noexcept;

private:
  // 0, one of the states below, or the address of the waiting loop. A requester moves it from the
  // loop to waking, wakes, and then to requested; the waiter leaves end_wait() only after that, so
  // the loop is never woken after its thread went on.
  static constexpr std::uintptr_t requested_state = 1;
  static constexpr std::uintptr_t waking_state = 2;
  static constexpr std::uintptr_t last_state = waking_state;

  std::atomic<std::uintptr_t> state_{0};
};

} // namespace sluice::io
