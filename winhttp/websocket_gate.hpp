#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace sluice::winhttp {

/// Lets one call at a time into the receiving side of a socket. Receive enters and leaves with one
/// atomic read-modify-write each and neither waits nor takes a lock; Close shuts the gate for good
/// and then waits until the Receive inside, if there is one, has left. The caretaker visits while
/// nobody is inside, and goes as soon as somebody waits for it.
///
/// Everything a Receive touches belongs to whoever is inside.
class receive_gate {
public:
  /// For Receive. False while another Receive or Close is inside (RCV-13) and after refuse(). Waits
  /// for a visit to end, which does not take long.
  [[nodiscard]] bool try_enter() noexcept {
    std::uint32_t seen = 0;
    if (state_.compare_exchange_strong(seen, occupied, std::memory_order_acquire,
                                       std::memory_order_relaxed)) [[likely]] {
      return true;
    }
    return (seen & visited) != 0 && enter_after_visit();
  }

  void leave() noexcept {
    if ((state_.fetch_sub(occupied, std::memory_order_release) & awaited) != 0) {
      const std::lock_guard lock(mutex_);
      left_.notify_all();
    }
  }

  /// From now on no Receive enters: CLOSE was delivered (RCV-18) or Close was called (RCV-16).
  void refuse() noexcept { state_.fetch_or(refused, std::memory_order_relaxed); }

  /// True while a Receive or Close is inside. Who enters after a false sees what this thread did
  /// before it asked, hence the write.
  [[nodiscard]] bool is_entered() noexcept {
    return (state_.fetch_or(0, std::memory_order_acq_rel) & occupied) != 0;
  }

  /// For Close, after refuse(): waits for who is inside to leave and enters; leave() as above.
  void enter_after_last() noexcept {
    std::unique_lock lock(mutex_);
    while (!try_enter_refused()) {
      left_.wait(lock);
    }
  }
  /// The same, but false if nobody has left in time.
  [[nodiscard]] bool enter_after_last(std::chrono::milliseconds patience) noexcept {
    const auto end = std::chrono::steady_clock::now() + patience;
    std::unique_lock lock(mutex_);
    while (!try_enter_refused()) {
      if (left_.wait_until(lock, end) == std::cv_status::timeout) {
        return try_enter_refused();
      }
    }
    return true;
  }

  // For the caretaker.

  /// False while somebody is inside.
  [[nodiscard]] bool try_visit() noexcept {
    std::uint32_t now = state_.load(std::memory_order_relaxed);
    return (now & (occupied | visited)) == 0 &&
           state_.compare_exchange_strong(now, now | visited, std::memory_order_acquire,
                                          std::memory_order_relaxed);
  }
  void end_visit() noexcept {
    if ((state_.fetch_and(~(visited | awaited), std::memory_order_release) & awaited) != 0) {
      const std::lock_guard lock(mutex_);
      left_.notify_all();
    }
  }
  /// During a visit: somebody waits for its end.
  [[nodiscard]] bool is_awaited() const noexcept {
    return (state_.load(std::memory_order_relaxed) & awaited) != 0;
  }
  [[nodiscard]] bool is_refused() const noexcept {
    return (state_.load(std::memory_order_relaxed) & refused) != 0;
  }

private:
  static constexpr std::uint32_t occupied = 1;
  static constexpr std::uint32_t refused = 2;
  static constexpr std::uint32_t awaited = 4; // who leaves must notify; set only while somebody is
                                              // inside, and taken back by the end of a visit
  static constexpr std::uint32_t visited = 8;

  [[gnu::noinline]] bool enter_after_visit() noexcept {
    std::unique_lock lock(mutex_);
    std::uint32_t now = state_.load(std::memory_order_relaxed);
    for (;;) {
      if (now == 0) {
        if (state_.compare_exchange_weak(now, occupied, std::memory_order_acquire,
                                         std::memory_order_relaxed)) {
          return true;
        }
      } else if ((now & visited) == 0 || (now & refused) != 0) {
        return false;
      } else if (state_.compare_exchange_weak(now, now | awaited, std::memory_order_relaxed)) {
        left_.wait(lock);
        now = state_.load(std::memory_order_relaxed);
      }
    }
  }

  [[nodiscard]] bool try_enter_refused() noexcept {
    std::uint32_t now = state_.load(std::memory_order_relaxed);
    for (;;) {
      const bool is_free = (now & (occupied | visited)) == 0;
      const std::uint32_t next = is_free ? now | occupied : now | awaited;
      if (state_.compare_exchange_weak(now, next, std::memory_order_acquire,
                                       std::memory_order_relaxed)) {
        return is_free;
      }
    }
  }

  std::atomic<std::uint32_t> state_{0};
  std::mutex mutex_;
  std::condition_variable left_;
};

} // namespace sluice::winhttp
