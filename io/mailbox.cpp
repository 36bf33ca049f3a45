#include "io/mailbox.hpp"

#include "core/memory.hpp"

#include <utility>

namespace sluice::io {

mailbox* mailbox::create() noexcept {
  return memory::create<mailbox>();
}

void mailbox::release() noexcept {
  if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    memory::destroy(this);
  }
}

void mailbox::open(backend& to_wake) noexcept {
  const std::lock_guard guard(lock_);
  to_wake_ = &to_wake;
}

void mailbox::post(mail& sent) noexcept {
  bool dropped = false;
  {
    const std::lock_guard guard(lock_);
    if (to_wake_ == nullptr) {
      dropped = true;
    } else {
      sent.next = nullptr;
      const bool was_empty = first_ == nullptr;
      (was_empty ? first_ : last_->next) = &sent;
      last_ = &sent;
      if (was_empty) {
        has_mail_.store(true, std::memory_order_release);
        to_wake_->wake();
      }
    }
  }
  if (dropped) {
    sent.deliver(sent, true);
  }
}

bool mailbox::deliver_all() noexcept {
  if (!has_mail_.load(std::memory_order_acquire)) {
    return false;
  }
  mail* at = nullptr;
  {
    const std::lock_guard guard(lock_);
    at = std::exchange(first_, nullptr);
    last_ = nullptr;
    has_mail_.store(false, std::memory_order_relaxed);
  }
  while (at != nullptr) {
    mail& arrived = *at;
    at = arrived.next;
    arrived.deliver(arrived, false);
  }
  return true;
}

void mailbox::close() noexcept {
  mail* at = nullptr;
  {
    const std::lock_guard guard(lock_);
    to_wake_ = nullptr;
    at = std::exchange(first_, nullptr);
    last_ = nullptr;
    has_mail_.store(false, std::memory_order_relaxed);
  }
  while (at != nullptr) {
    mail& left = *at;
    at = left.next;
    left.deliver(left, true);
  }
}

} // namespace sluice::io
