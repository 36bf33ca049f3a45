#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace sluice::winhttp {

/// Lets one call at a time into the receiving side of a socket. Receive enters and leaves with one
/// atomic read-modify-write each and neither waits nor takes a lock; Close shuts the gate for good
/// and then waits until the Receive inside, if there is one, has left.
///
/// Everything a Receive touches belongs to whoever is inside.
class receive_gate {
public:
  /// For Receive. False while another thread is inside (RCV-13) and after refuse().
  [[nodiscard]] bool try_enter() noexcept {
    std::uint32_t expected = 0;
    return state_.compare_exchange_strong(expected, occupied, std::memory_order_acquire,
                                          std::memory_order_relaxed);
  }

  void leave() noexcept {
    if ((state_.fetch_sub(occupied, std::memory_order_release) & awaited) != 0) {
      const std::lock_guard lock(mutex_);
      left_.notify_all();
    }
  }

  /// From now on no Receive enters: CLOSE was delivered (RCV-18) or Close was called (RCV-16).
  void refuse() noexcept { state_.fetch_or(refused, std::memory_order_relaxed); }

  /// For Close, after refuse(): waits for the Receive inside to leave and enters; leave() as above.
  void enter_after_last() noexcept {
    std::unique_lock lock(mutex_);
    while (!try_enter_refused()) {
      left_.wait(lock);
    }
  }

private:
  static constexpr std::uint32_t occupied = 1;
  static constexpr std::uint32_t refused = 2;
  static constexpr std::uint32_t awaited = 4; // leave() must notify; stays set once set

  [[nodiscard]] bool try_enter_refused() noexcept {
    std::uint32_t now = state_.load(std::memory_order_relaxed);
    for (;;) {
      const bool is_free = (now & occupied) == 0;
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
