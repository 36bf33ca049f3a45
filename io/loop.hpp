#pragma once

#include "core/error.hpp"
#include "io/backend.hpp"
#include "io/cancel.hpp"

namespace sluice::io {

/// One thread's event loop: backend, buffer pool, timers. For synchronous handles each calling
/// thread has a small one of its own, made on first use and kept until the thread ends.
class loop {
public:
  /// The loop of the calling thread. error::backend_unavailable, no_memory, out_of_descriptors or
  /// system when it cannot be made; the next call tries again. After fork() a child gets a new one.
  [[nodiscard]] static error for_this_thread(loop*& found) noexcept;

  /// Runs until `op` is idle again. At the deadline, or when `cancel` is requested, cancels `op` and
  /// waits for its completion, so that the kernel is done with it whatever comes back.
  /// Returns none (look at op.result, which may also hold a success that beat the cancel),
  /// timed_out, cancelled or system.
  [[nodiscard]] error run_until_idle(operation& op, time_point deadline,
                                     cancel_source* cancel) noexcept;

  [[nodiscard]] backend& io() noexcept;
  [[nodiscard]] buffer_pool& buffers() noexcept;
};

} // namespace sluice::io
