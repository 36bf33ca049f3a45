#pragma once

#include "core/memory.hpp"
#include "io/loop.hpp"
#include "io/timer_wheel.hpp"

#include <sluice/winhttp.h>

#include <atomic>
#include <cstdint>
#include <mutex>

namespace sluice::winhttp {

/// A request to a loop thread. Lies inside who asks, is in a queue at most once, and may be posted
/// again from the moment its `run` is called.
struct loop_command {
  loop_command* next = nullptr;
  void (*run)(loop_command& posted) noexcept = nullptr;
  void* context = nullptr;
};

/// A thread with an io::loop that serves the sockets of an asynchronous session. Reference-counted:
/// the session and every socket hold one reference, and the thread, which nobody joins (NOT-17),
/// ends after the last is gone.
class async_loop {
public:
  /// Starts the thread; `made` holds one reference. A Win32 code: no thread or no loop to be had.
  [[nodiscard]] static DWORD start(async_loop*& made) noexcept;
  async_loop(const async_loop&) = delete;
  async_loop& operator=(const async_loop&) = delete;

  void retain() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept;

  /// Any thread, holding a reference. Commands run in the order of their posts.
  void post(loop_command& wanted) noexcept;

  /// True on the loop's own thread.
  [[nodiscard]] bool is_current() const noexcept;

  // The loop's thread.
  [[nodiscard]] io::loop& loop() noexcept { return *loop_; }
  [[nodiscard]] io::timer_wheel& timers() noexcept { return timers_; }

private:
  struct start_up;
  template <typename T, typename... Args> friend T* memory::create(Args&&...) noexcept;
  template <typename T> friend void memory::destroy(T*) noexcept;

  async_loop() noexcept;
  ~async_loop() = default;

  static void* thread_main(void* given) noexcept;
  void run() noexcept;
  void run_commands() noexcept;
  void feed_starved() noexcept;
  void replace_loop() noexcept;

  std::atomic<std::uint32_t> references_{1};
  io::timer_wheel timers_;
  std::uint64_t seen_starved_ = 0;
  io::timer feed_timer_; // of a starved read for which there was no memory
  bool ending_ = false;
  loop_command end_;

  std::atomic<bool> has_commands_{false};
  std::mutex lock_; // guards what follows; loop_ is changed by its thread only
  memory::unique<io::loop> loop_;
  loop_command* first_ = nullptr;
  loop_command* last_ = nullptr;
};

} // namespace sluice::winhttp
