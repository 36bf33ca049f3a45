#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stdexcept>
#include <thread>

namespace sluice::test {

/// How long a single step of a script may take. Far above anything a working library needs, also
/// under sanitizers on a loaded machine.
inline constexpr std::chrono::seconds peer_patience{60};

/// What goes wrong inside a peer's script; becomes a failure of the test.
struct peer_failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A flag that one thread raises and others wait for, bounded.
class event {
public:
  void set();
  /// Fails (throws peer_failure) when patience ends.
  void wait();
  [[nodiscard]] bool is_set();

private:
  std::mutex lock_;
  std::condition_variable changed_;
  bool set_ = false;
};

/// Ends the process with a message when a test hangs in a blocking call of the library. Its thread
/// sleeps from the constructor's return on, so that a test may fork().
class watchdog {
public:
  explicit watchdog(int seconds = 60);
  ~watchdog();
  watchdog(const watchdog&) = delete;
  watchdog& operator=(const watchdog&) = delete;

private:
  std::mutex lock_;
  std::condition_variable changed_;
  bool watching_ = false;
  bool finished_ = false;
  std::thread thread_;
};

} // namespace sluice::test
