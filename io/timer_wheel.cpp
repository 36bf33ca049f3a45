#include "io/timer_wheel.hpp"

#include <algorithm>
#include <bit>
#include <functional>

namespace sluice::io {

std::uint64_t timer_wheel::tick_at(clock::time_point when) const noexcept {
  return when <= start_ ? 0 : static_cast<std::uint64_t>((when - start_) / tick);
}

void timer_wheel::file(timer& one) noexcept {
  const std::uint64_t ahead = one.due_tick - now_tick_; // at least 1
  const std::size_t ring = ahead < slots ? 0 : 1;
  // The outer ring: at most 63 slots ahead of the current one, or it would be taken for the past.
  const std::uint64_t outer = std::min(one.due_tick / slots, now_tick_ / slots + slots - 1);
  const std::uint64_t slot = (ring == 0 ? one.due_tick : outer) % slots;
  timer*& head = rings_[ring][slot];
  one.next = head;
  if (head != nullptr) {
    head->link = &one.next;
  }
  head = &one;
  one.link = &head;
  used_[ring] |= std::uint64_t{1} << slot;
}

void timer_wheel::unlink(timer& one) noexcept {
  *one.link = one.next;
  if (one.next != nullptr) {
    one.next->link = one.link;
  } else {
    // The last one of its slot? Then nobody has to wake up for the slot.
    for (std::size_t ring = 0; ring < rings_.size(); ++ring) {
      timer** const first = rings_[ring].data();
      if (std::less_equal<>{}(first, one.link) && std::less<>{}(one.link, first + slots)) {
        used_[ring] &= ~(std::uint64_t{1} << (one.link - first));
      }
    }
  }
  one.next = nullptr;
  one.link = nullptr;
}

void timer_wheel::arm(timer& wanted, clock::time_point now,
                      std::chrono::milliseconds after) noexcept {
  cancel(wanted);
  // Rounded up, and counted from the end of the current tick.
  const std::uint64_t due = tick_at(now + std::max(after, std::chrono::milliseconds{0})) + 1;
  wanted.due_tick = std::max(due, now_tick_ + 1);
  file(wanted);
}

void timer_wheel::cancel(timer& unwanted) noexcept {
  if (unwanted.armed()) {
    unlink(unwanted);
  }
}

void timer_wheel::run(clock::time_point now) noexcept {
  const std::uint64_t target = tick_at(now);
  while (now_tick_ < target) {
    if ((used_[0] | used_[1]) == 0) {
      now_tick_ = target;
      return;
    }
    ++now_tick_;
    if (now_tick_ % slots == 0) {
      // A new outer slot begins: its timers belong into the inner ring, or further out again.
      const std::uint64_t slot = now_tick_ / slots % slots;
      timer* first = rings_[1][slot];
      rings_[1][slot] = nullptr;
      used_[1] &= ~(std::uint64_t{1} << slot);
      while (first != nullptr) {
        timer& one = *first;
        first = one.next;
        one.next = nullptr;
        one.link = nullptr;
        file(one); // due now: into the slot that runs next
      }
    }
    const std::uint64_t slot = now_tick_ % slots;
    used_[0] &= ~(std::uint64_t{1} << slot);
    // Taken off one by one: an expiry may cancel others of this slot. Newly armed ones are due
    // later.
    while (rings_[0][slot] != nullptr) {
      timer& expired = *rings_[0][slot];
      unlink(expired);
      expired.on_expiry(expired);
    }
  }
}

timer_wheel::clock::time_point timer_wheel::next() const noexcept {
  std::uint64_t best = UINT64_MAX;
  if (used_[0] != 0) {
    const std::uint64_t from = now_tick_ + 1;
    best = from + static_cast<std::uint64_t>(
                      std::countr_zero(std::rotr(used_[0], static_cast<int>(from % slots))));
  }
  if (used_[1] != 0) {
    const std::uint64_t from = now_tick_ / slots + 1;
    const std::uint64_t slot = from + static_cast<std::uint64_t>(std::countr_zero(
                                          std::rotr(used_[1], static_cast<int>(from % slots))));
    best = std::min(best, slot * slots);
  }
  return best == UINT64_MAX ? clock::time_point::max()
                            : start_ + tick * static_cast<std::int64_t>(best);
}

} // namespace sluice::io
