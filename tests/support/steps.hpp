#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice::test {

/// A place where the library is between two things that it does.
enum class step : std::uint8_t {
  submit,     // a loop hands an operation to its backend; a socket's mutex may be held
  completion, // an operation has completed and its owner has not heard of it
  turn,       // a loop has waited; what other threads have posted has not run
  write,      // a thread is about to send to a connection
};

/// Hears of each step of each thread, on that thread.
class step_watcher {
public:
  /// `loops_own`: on the thread of an asynchronous loop.
  virtual void at(step what, bool loops_own) noexcept = 0;

protected:
  ~step_watcher() = default;
};

/// Needs the options to the linker of winhttp_async_steps (tests/unit/winhttp/async.cmake), which
/// lead the library's calls of io::make_backend() and send() here. nullptr: nobody. A watcher may
/// still hear of a step that had begun; it has to outlive the loops.
void watch_steps(step_watcher* by) noexcept;

/// What this thread sends is no step of the library: for peers.
void ignore_steps_of_this_thread() noexcept;

/// Loops of asynchronous sessions that have a thread.
[[nodiscard]] std::size_t living_async_loops() noexcept;

/// Those that ended while an operation was with the kernel; only grows. (Their buffers may come
/// back later, from threads that let go of a socket: lost ones are the leak checker's to find.)
[[nodiscard]] std::size_t untidy_loops() noexcept;

} // namespace sluice::test
