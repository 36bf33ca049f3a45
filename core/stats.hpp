#pragma once

#include <cstdint>

namespace sluice {

/// Counters of the receiving half of one connection; they only grow. Written by its receiver.
struct rx_stats {
  std::uint64_t messages = 0;      // complete ones
  std::uint64_t frames = 0;        // all opcodes
  std::uint64_t payload_bytes = 0; // of data frames, delivered
  std::uint64_t copied_bytes = 0;  // payload bytes written to the caller's memory by us
  std::uint64_t pings = 0;
  std::uint64_t pongs = 0;
};

/// Counters of the sending half of one connection.
struct tx_stats {
  std::uint64_t frames = 0;
  std::uint64_t payload_bytes = 0; // of data frames
  std::uint64_t pongs = 0;
};

} // namespace sluice
