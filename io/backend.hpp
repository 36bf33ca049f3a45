#pragma once

#include "core/error.hpp"
#include "core/memory.hpp"
#include "io/buffer_pool.hpp"
#include "io/operation.hpp"

#include <chrono>
#include <cstdint>

namespace sluice::io {

using clock = std::chrono::steady_clock;
using time_point = clock::time_point;
inline constexpr time_point no_deadline = time_point::max();
/// What poll(2) and epoll_wait(2) are to wait at most, in milliseconds, rounded up: -1 without a
/// deadline, 0 when it is over. Any thread.
[[nodiscard]] int timeout_ms(time_point deadline) noexcept;

enum class backend_kind : std::uint8_t { uring, epoll, mock };

/// "io_uring", "epoll" or "mock".
[[nodiscard]] const char* to_string(backend_kind kind) noexcept;

/// Counters of one backend; they only grow. Read on the backend's thread.
struct backend_stats {
  std::uint64_t system_calls = 0; // those of set-up and tear-down not included
  std::uint64_t completions = 0;
  std::uint64_t receives = 0; // completed ones that brought bytes
  std::uint64_t received_bytes = 0;
  std::uint64_t starved = 0; // times that a receive had to wait for a buffer
};

/// What a loop asks of the kernel. One backend belongs to one thread (the one that made it); only
/// wake() may be called from others. Submissions may be batched until the next wait().
class backend {
public:
  virtual ~backend() = default;
  backend() noexcept = default;
  backend(const backend&) = delete;
  backend& operator=(const backend&) = delete;

  [[nodiscard]] virtual backend_kind kind() const noexcept = 0;

  virtual void submit(recv_op& op) noexcept = 0;
  virtual void submit(send_op& op) noexcept = 0;
  virtual void submit(connect_op& op) noexcept = 0;
  virtual void submit(accept_op& op) noexcept = 0;

  /// Asks for an early end of a submitted operation. It still ends once, in a later wait(): with
  /// -ECANCELED, or with what it achieved (a cancelled recv may hold bytes; they count).
  virtual void cancel(operation& op) noexcept = 0;

  /// Hands submissions to the kernel, sleeps until there is a completion, a wake(), a signal or the
  /// deadline, and runs the completions that are there (at most 256). `deadline` in the past: does
  /// not sleep. Returns none, or system when the kernel refuses for good (its descriptor was closed
  /// under us): then every operation has completed with an error and the backend is of no more use.
  virtual error wait(time_point deadline) noexcept = 0;

  /// True if wait() has submissions to hand over or completions to run, whatever the descriptor
  /// says: who sleeps on descriptor() instead of in wait() must not sleep then.
  [[nodiscard]] virtual bool has_pending() const noexcept { return false; }

  /// This thread waits for that socket in other ways from now on; no operation of it is pending.
  virtual void forget(const socket_ref& socket) noexcept { static_cast<void>(socket); }

  /// Makes the current or the next wait() return soon. Any thread; async-signal-safe.
  virtual void wake() noexcept = 0;

  /// The time that deadlines are compared with.
  [[nodiscard]] virtual time_point now() const noexcept { return clock::now(); }

  /// A descriptor that polls readable when wait() has something to do.
  [[nodiscard]] virtual int descriptor() const noexcept = 0;

  /// Makes descriptor() unreadable until something new happens; before wait(), by who sleeps on it.
  virtual void quiet_descriptor() noexcept {}

  /// Asks the kernel to poll the network devices (NAPI) of the sockets for so long before it
  /// sleeps. False where it cannot.
  virtual bool poll_devices(std::uint32_t microseconds) noexcept {
    static_cast<void>(microseconds);
    return false;
  }

  /// Whether recv_op::multishot has an effect.
  [[nodiscard]] virtual bool multishot() const noexcept { return false; }

  /// In the child of a fork(): closes the descriptors, which it shares with the parent, and does
  /// nothing else, ever. Async-signal-safe.
  virtual void drop_after_fork() noexcept = 0;

  [[nodiscard]] const backend_stats& stats() const noexcept { return stats_; }

protected:
  /// Tries to send without waiting; the number of bytes, or -errno.
  [[nodiscard]] std::int32_t send_now(const send_op& op) noexcept;

  backend_stats stats_;
};

/// How many buffers a loop posts per class and how much memory its pool may take.
struct backend_settings {
  std::uint32_t queue_entries = 256; // submission queue; a power of two
  std::uint32_t small_posted = 256;  // x 4 KiB; a power of two
  std::uint32_t large_posted = 16;   // x 64 KiB; a power of two
  std::size_t max_pool_bytes = std::size_t{16} << 20;
  bool multishot = false; // recv_op::multishot is wanted, where the kernel passes the test
};

/// What SLUICE_BACKEND asks for; `automatic` when unset.
enum class backend_choice : std::uint8_t { automatic, uring, epoll, invalid };
[[nodiscard]] backend_choice backend_choice_from_environment() noexcept;

/// Makes the backend for the calling thread, which also owns `buffers`. Automatic: io_uring where
/// it works (set-up with DEFER_TASKRUN and a registered buffer ring), epoll where the kernel says
/// ENOSYS, EPERM, ENOMEM or has no buffer rings. A forced backend that cannot work here, and
/// `invalid`, is error::backend_unavailable. Else no_memory, out_of_descriptors or system.
/// The pool outlives the backend.
[[nodiscard]] error make_backend(backend_choice choice, const backend_settings& settings,
                                 buffer_pool& buffers, memory::unique<backend>& made) noexcept;

} // namespace sluice::io
