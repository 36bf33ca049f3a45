#pragma once

#include "core/error.hpp"
#include "io/loop.hpp"

#include <netdb.h>

#include <cstdint>

namespace sluice::io {

/// What getaddrinfo() is told: TCP, both families, `flags` beside AI_NUMERICSERV.
[[nodiscard]] addrinfo stream_hints(int flags) noexcept;

/// Finds what nobody has to be asked for: numeric addresses, and localhost with the names below it.
/// Returns the status of getaddrinfo(), EAI_NONAME for every other name; `found` is the caller's to
/// free. `service` is a number.
[[nodiscard]] int look_up_at_once(const char* host, const char* service, addrinfo*& found) noexcept;

struct lookup;

/// The addresses of a host, in getaddrinfo's order (RFC 6724).
class resolved_addresses {
public:
  resolved_addresses() noexcept = default;
  ~resolved_addresses();
  resolved_addresses(const resolved_addresses&) = delete;
  resolved_addresses& operator=(const resolved_addresses&) = delete;

  [[nodiscard]] const addrinfo* first() const noexcept { return found_; }

private:
  friend error resolve(loop&, const char*, std::uint16_t, time_point, cancel_source*,
                       resolved_addresses&) noexcept;

  const addrinfo* found_ = nullptr;
  lookup* shared_ = nullptr; // owns found_ when a thread looked it up
};

/// Looks up the stream addresses of `host`. A numeric address is parsed on the spot; for a name,
/// getaddrinfo runs on a thread of its own, which is left behind when the deadline or `cancel` ends
/// the wait (it finishes in its own time and frees what it shares with us).
/// Returns none, name_not_resolved, timed_out, cancelled, no_memory, out_of_descriptors or system.
[[nodiscard]] error resolve(loop& on, const char* host, std::uint16_t port, time_point deadline,
                            cancel_source* cancel, resolved_addresses& found) noexcept;

} // namespace sluice::io
