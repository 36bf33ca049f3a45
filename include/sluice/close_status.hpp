#pragma once

#include <cstdint>

namespace sluice {

/// Status codes of close frames (RFC 6455 section 7.4.1). Programs may use 3000-4999 for
/// themselves.
namespace close_status {
inline constexpr std::uint16_t normal = 1000;
inline constexpr std::uint16_t going_away = 1001;
inline constexpr std::uint16_t protocol_error = 1002;
inline constexpr std::uint16_t unsupported_data = 1003;
inline constexpr std::uint16_t empty = 1005;   // never on the wire
inline constexpr std::uint16_t aborted = 1006; // never on the wire
inline constexpr std::uint16_t invalid_payload = 1007;
inline constexpr std::uint16_t policy_violation = 1008;
inline constexpr std::uint16_t message_too_big = 1009;
inline constexpr std::uint16_t mandatory_extension = 1010;
inline constexpr std::uint16_t internal_error = 1011;
} // namespace close_status

} // namespace sluice
