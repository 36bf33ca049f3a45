#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice {

/// Which end of the connection we are. A client receives unmasked frames and sends masked ones, a
/// server the reverse (RFC 6455 section 5.1).
enum class role : std::uint8_t { client, server };

/// RFC 6455 section 5.2.
enum class opcode : std::uint8_t {
  continuation = 0x0,
  text = 0x1,
  binary = 0x2,
  close = 0x8,
  ping = 0x9,
  pong = 0xA,
};

inline constexpr std::size_t max_frame_header_bytes = 14; // 2 + 8 + 4
inline constexpr std::size_t max_control_payload_bytes = 125;
inline constexpr std::size_t max_close_reason_bytes = 123;

[[nodiscard]] constexpr bool is_control(opcode op) noexcept {
  return (static_cast<std::uint8_t>(op) & 0x8u) != 0;
}

} // namespace sluice
