#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice {

/// Bounds on what a peer may make us do. The defaults are for a server or a native client; the
/// WinHTTP layer lifts the message limits, because that API streams messages of any size (RCV-50).
struct limits {
  std::uint64_t max_message_bytes = std::uint64_t{16} << 20; // over it: message_too_big, 1009
  std::uint64_t max_fragments = 4096;                        // per message; over it: 1008
  std::size_t max_head_bytes = std::size_t{16} << 10;        // HTTP head, start line included
  std::size_t max_headers = 100;                             // header fields in an HTTP head
};

inline constexpr std::uint64_t unlimited = UINT64_MAX;

} // namespace sluice
