#pragma once

#include "core/error.hpp"
#include "io/backend.hpp"

#include <atomic>
#include <cstddef>
#include <mutex>

namespace sluice::io {

/// One message to a loop, linked without allocation.
struct mail {
  mail* next = nullptr;
  /// Runs on the loop's thread; or, with `dropped`, on whatever thread when the loop is gone.
  void (*deliver)(mail& arrived, bool dropped) noexcept = nullptr;
};

/// What other threads use to reach a loop. Outlives the loop for as long as somebody refers to it.
class mailbox {
public:
  /// Holds one reference. nullptr: no memory.
  [[nodiscard]] static mailbox* create() noexcept;
  mailbox() noexcept = default;
  mailbox(const mailbox&) = delete;
  mailbox& operator=(const mailbox&) = delete;

  void retain() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept;

  // The loop's thread.
  void open(backend& to_wake) noexcept;
  void close() noexcept;       // mail that is left and mail that comes later is dropped
  bool deliver_all() noexcept; // what is there at the call; false if there was nothing

  [[nodiscard]] bool has_mail() const noexcept { return has_mail_.load(std::memory_order_acquire); }

  /// Any thread. Mail that comes after close() is dropped before the call returns.
  void post(mail& sent) noexcept;

  /// What the connections of the loop have lent to the application and not got back.
  std::atomic<std::size_t> lent_bytes{0};

private:
  std::atomic<int> references_{1};
  std::atomic<bool> has_mail_{false};
  std::mutex lock_;
  backend* to_wake_ = nullptr; // under lock_
  mail* first_ = nullptr;      // under lock_
  mail* last_ = nullptr;
};

} // namespace sluice::io
