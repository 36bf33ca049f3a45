#pragma once

#include "core/error.hpp"
#include "core/memory.hpp"
#include "io/backend.hpp"
#include "io/cancel.hpp"

namespace sluice::io {

/// One thread's event loop: backend and buffer pool. For synchronous handles each calling thread
/// has a small one of its own, made on first use and kept until the thread ends.
class loop {
public:
  /// The loop of the calling thread. error::backend_unavailable, no_memory, out_of_descriptors or
  /// system when it cannot be made; the next call tries again. After fork() a child gets a new one.
  [[nodiscard]] static error for_this_thread(loop*& found) noexcept;

  /// The buffers of the calling thread, for that thread alone: its loop's, or those of the loop
  /// that it may get later. Takes no descriptor. Good until the thread ends or its loop is
  /// replaced: ask before each use. nullptr: no memory.
  [[nodiscard]] static buffer_pool* buffers_for_this_thread() noexcept;

  /// The loop of the calling thread if it has one by now, else nullptr. Makes none.
  [[nodiscard]] static loop* existing_for_this_thread() noexcept;

  /// A loop for the calling thread to use and destroy. Errors as above.
  [[nodiscard]] static error create(backend_choice choice, const backend_settings& settings,
                                    memory::unique<loop>& made) noexcept;

  /// Makes `given` the loop of the calling thread, in place of the one it had (tests: a mock).
  static void adopt_for_this_thread(memory::unique<loop> given) noexcept;

  /// Takes over both; `buffers` is the pool that `io` uses.
  loop(memory::unique<backend> io, buffer_pool& buffers) noexcept;
  ~loop();
  loop(const loop&) = delete;
  loop& operator=(const loop&) = delete;

  /// Runs until `op` is idle again. At the deadline, or when `cancel` is requested, cancels `op`
  /// and waits for its completion, so that the kernel is done with it whatever comes back. If `op`
  /// starves, takes one buffer over the pool's cap: nobody else can be relied on to return one.
  /// Returns none (look at op.result, which may also hold a success that beat the cancel),
  /// timed_out, cancelled, no_memory (no buffer to be had) or system. `op` is idle in any case.
  [[nodiscard]] error run_until_idle(operation& op, time_point deadline,
                                     cancel_source* cancel) noexcept;

  /// Runs until `done(context)` is true, which is asked after every turn. Returns none, timed_out,
  /// cancelled or system; cancels no operation.
  [[nodiscard]] error run_until(bool (*done)(void* context) noexcept, void* context,
                                time_point deadline, cancel_source* cancel) noexcept;

  [[nodiscard]] backend& io() noexcept { return *io_; }
  [[nodiscard]] buffer_pool& buffers() noexcept { return buffers_; }

private:
  friend struct loop_registry;

  /// Takes over `buffers` if it succeeds.
  [[nodiscard]] static error create(backend_choice choice, const backend_settings& settings,
                                    buffer_pool& buffers, memory::unique<loop>& made) noexcept;
  [[nodiscard]] bool feed_starved() noexcept;

  memory::unique<backend> io_;
  buffer_pool& buffers_;
  bool broken_ = false; // the backend gave up: the thread gets a new loop

  // All loops of the process, for fork().
  loop* previous_ = nullptr;
  loop* next_ = nullptr;
};

} // namespace sluice::io
