#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace sluice::io {

/// One deadline of one owner. Lies inside the owner; must be cancelled before it goes away.
struct timer {
  using expiry = void (*)(timer& expired) noexcept;

  expiry on_expiry = nullptr;
  void* context = nullptr;

  // The wheel's own.
  timer* next = nullptr;
  timer** link = nullptr; // what points at this timer; nullptr: not armed
  std::uint64_t due_tick = 0;

  [[nodiscard]] bool armed() const noexcept { return link != nullptr; }
};

/// Many deadlines that are mostly moved or cancelled: arming and cancelling cost a few stores, an
/// idle wheel costs nothing. A timer expires up to one tick after its time, never before. Two rings
/// of 64 slots, of one tick and of 64 ticks each; what lies further ahead waits in the last slot
/// and is filed again. Not thread-safe.
class timer_wheel {
public:
  using clock = std::chrono::steady_clock;
  static constexpr std::chrono::milliseconds tick{64};

  explicit timer_wheel(clock::time_point start) noexcept : start_(start) {}
  timer_wheel(const timer_wheel&) = delete;
  timer_wheel& operator=(const timer_wheel&) = delete;

  /// (Re)arms for `after` from `now`.
  void arm(timer& wanted, clock::time_point now, std::chrono::milliseconds after) noexcept;
  void cancel(timer& unwanted) noexcept;

  /// Runs what is due at `now`; expired timers are not armed when their on_expiry is called, and
  /// may be armed there, also others.
  void run(clock::time_point now) noexcept;

  /// When run() should be called next; time_point::max() with no timer armed. May be early for
  /// timers that are far ahead, by the span of an outer slot.
  [[nodiscard]] clock::time_point next() const noexcept;

private:
  static constexpr std::uint64_t slots = 64;

  void file(timer& one) noexcept;
  void unlink(timer& one) noexcept;
  [[nodiscard]] std::uint64_t tick_at(clock::time_point when) const noexcept;

  clock::time_point start_;
  std::uint64_t now_tick_ = 0; // everything due at or before it has run
  std::array<std::array<timer*, slots>, 2> rings_{};
  std::array<std::uint64_t, 2> used_{}; // a bit per slot that holds a timer
};

} // namespace sluice::io
