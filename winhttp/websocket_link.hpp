#pragma once

#include "io/stream.hpp"

#include <sluice/winhttp.h>

#include <atomic>
#include <utility>

namespace sluice::winhttp {

/// The connection below a socket and the error that ended it: L.up or L.failed(e). The first
/// failure is latched, whichever side sees it.
class websocket_link {
public:
  /// Before the socket has a handle.
  void connect(io::stream connected) noexcept { stream_ = std::move(connected); }

  [[nodiscard]] io::stream& stream() noexcept { return stream_; }

  /// 0 while the link is up, else the Win32 code of its failure. Any thread.
  [[nodiscard]] DWORD failure() const noexcept { return failure_.load(std::memory_order_acquire); }

  /// Latches `code` unless an earlier failure is there; returns what is latched. Any thread.
  DWORD latch(DWORD code) noexcept {
    DWORD latched = 0;
    return failure_.compare_exchange_strong(latched, code, std::memory_order_acq_rel) ? code
                                                                                      : latched;
  }

  /// latch(), and ends the TCP connection so that the peer and a blocked call of another thread
  /// notice; with RST if `abort`. Without `abort`, bytes that the kernel has received stay
  /// readable.
  DWORD fail(DWORD code, bool abort) noexcept {
    const DWORD latched = latch(code);
    stream_.shutdown(abort);
    return latched;
  }

private:
  io::stream stream_;
  std::atomic<DWORD> failure_{0};
};

} // namespace sluice::winhttp
