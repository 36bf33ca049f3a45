#include "io/cancel.hpp"

#include "io/loop.hpp"

#include <sched.h>

#include <bit>

namespace sluice::io {

void cancel_source::request() noexcept {
  std::uintptr_t seen = state_.load(std::memory_order_acquire);
  for (;;) {
    if (seen == requested_state || seen == waking_state) {
      return; // somebody was first; the waiter is awake or about to be
    }
    const std::uintptr_t wanted = seen == 0 ? requested_state : waking_state;
    if (state_.compare_exchange_weak(seen, wanted, std::memory_order_acq_rel,
                                     std::memory_order_acquire)) {
      break;
    }
  }
  if (seen > last_state) {
    std::bit_cast<loop*>(seen)->io().wake();
    state_.store(requested_state, std::memory_order_release);
  }
}

void cancel_source::reset() noexcept {
  state_.store(0, std::memory_order_release);
}

bool cancel_source::begin_wait(loop& waiter) noexcept {
  static_assert(alignof(loop) > last_state);
  std::uintptr_t none = 0;
  return state_.compare_exchange_strong(none, std::bit_cast<std::uintptr_t>(&waiter),
                                        std::memory_order_acq_rel, std::memory_order_acquire);
}

void cancel_source::end_wait() noexcept {
  std::uintptr_t seen = state_.load(std::memory_order_acquire);
  while (seen != 0 && seen != requested_state) {
    if (seen == waking_state) {
      // Between two instructions and one eventfd write of another thread.
      ::sched_yield();
      seen = state_.load(std::memory_order_acquire);
    } else if (state_.compare_exchange_weak(seen, 0, std::memory_order_acq_rel,
                                            std::memory_order_acquire)) {
      return;
    }
  }
}

} // namespace sluice::io
