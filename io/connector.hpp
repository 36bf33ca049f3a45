#pragma once

#include "core/error.hpp"
#include "io/cancel.hpp"
#include "io/loop.hpp"
#include "io/stream.hpp"

#include <netdb.h>

#include <chrono>
#include <cstdint>
#include <span>
#include <string_view>

namespace sluice::io {

struct connect_target {
  const char* host = nullptr; // name or address; IPv6 without brackets; ASCII
  std::uint16_t port = 0;
};

/// Zero = no limit.
struct connect_timeouts {
  std::chrono::milliseconds resolve{0};
  std::chrono::milliseconds connect{60000}; // per address (TMO-02)
};

/// Told about the steps of connect(), on the calling thread. Any member may be null.
struct connect_observer {
  void* context = nullptr;
  void (*resolving)(void* context, const char* host) noexcept = nullptr;
  void (*resolved)(void* context, const char* first_address) noexcept = nullptr;
  void (*connecting)(void* context, const char* address) noexcept = nullptr;
  void (*connected)(void* context, const char* address) noexcept = nullptr;
};

/// Resolves and connects, with TCP_NODELAY set. getaddrinfo runs on a thread of its own, so that
/// the time-out and `cancel` work; addresses of both families race, 250 ms apart (RFC 8305).
/// Returns none, name_not_resolved, cannot_connect, timed_out, cancelled, no_memory,
/// out_of_descriptors or system.
[[nodiscard]] error connect(loop& on, const connect_target& target,
                            const connect_timeouts& timeouts, cancel_source* cancel,
                            const connect_observer* observer, stream& connected) noexcept;

/// The second half of it: races the addresses of a list (not empty), alternating the families.
/// Returns none, cannot_connect, timed_out, cancelled, no_memory, out_of_descriptors or system.
[[nodiscard]] error connect_to_first(loop& on, const addrinfo* addresses,
                                     const connect_timeouts& timeouts, cancel_source* cancel,
                                     const connect_observer* observer, stream& connected) noexcept;

} // namespace sluice::io
