#pragma once

#include "core/error.hpp"

#include <atomic>
#include <cstdint>

namespace sluice::io {

/// An eventfd that ends a sleep in backend::wait(). Reference-counted, because a thread that
/// returns a buffer may raise it while the loop that slept on it is being torn down.
class wake_signal {
public:
  explicit wake_signal(int event_fd) noexcept : fd_(event_fd) {}
  ~wake_signal();
  wake_signal(const wake_signal&) = delete;
  wake_signal& operator=(const wake_signal&) = delete;

  /// `made` holds one reference. Returns none, no_memory, out_of_descriptors or system.
  [[nodiscard]] static error create(wake_signal*& made) noexcept;

  void retain() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept;

  void raise() noexcept; // any thread; async-signal-safe; keeps errno
  void clear() noexcept; // by the sleeper

  [[nodiscard]] int descriptor() const noexcept { return fd_; }

  /// In the child of a fork(): closes the descriptor; raise() does nothing from now on.
  void drop_after_fork() noexcept;

private:
  std::atomic<std::uint32_t> references_{1};
  int fd_; // changes only in the child of a fork(), which has one thread
};

} // namespace sluice::io
