#pragma once

#include <mutex>

namespace sluice::io {

class loop;

/// Lets one thread end another thread's blocking call on the same handle and direction. A request
/// sticks until reset(), so one that comes before the wait begins is not lost.
class cancel_source {
public:
  void request() noexcept;                 // any thread
  [[nodiscard]] bool requested() noexcept; // any thread
  void reset() noexcept;                   // by the owner of the direction, nobody waiting

  /// Names the loop to wake while a thread waits in it; false if a request is already there.
  /// Only loop::run_until_idle() calls these.
  [[nodiscard]] bool begin_wait(loop& waiter) noexcept;
  void end_wait() noexcept;
};

} // namespace sluice::io
