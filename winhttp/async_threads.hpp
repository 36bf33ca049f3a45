#pragma once

#include <sluice/winhttp.h>

namespace sluice::winhttp {

/// Starts a detached thread in which no signal handler of the application runs. False: none to be
/// had.
[[nodiscard]] bool start_thread(void* (*main)(void* given) noexcept, void* given) noexcept;

/// One blocking call of an asynchronous request. Lies inside who asks; `run` may free it.
struct async_job {
  async_job* next = nullptr;
  void (*run)(async_job& started) noexcept = nullptr;
};

/// Runs `wanted` on a worker thread of the process. A job may block for long and may wait for what
/// another job does, so each has a thread; threads that are done wait a few seconds for the next
/// one. ERROR_NOT_ENOUGH_MEMORY: no thread to be had, and the job was not taken.
[[nodiscard]] DWORD run_on_worker(async_job& wanted) noexcept;

/// The completions that run inside calls of the application on this thread, one inside the other
/// (NOT-12).
class in_call_depth {
public:
  static constexpr int limit = 3;
  [[nodiscard]] static bool is_exhausted() noexcept { return depth_ >= limit; }

  in_call_depth() noexcept { ++depth_; }
  ~in_call_depth() { --depth_; }
  in_call_depth(const in_call_depth&) = delete;
  in_call_depth& operator=(const in_call_depth&) = delete;

private:
  [[gnu::tls_model("initial-exec")]] static thread_local constinit int depth_;
};

} // namespace sluice::winhttp
