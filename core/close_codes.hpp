#pragma once

#include "core/error.hpp"

#include <cstdint>

namespace sluice {

/// RFC 6455 section 7.4.1.
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

/// Whether a status may stand in a close frame: 1000-1003, 1007-1014, 3000-4999 and, because the
/// registry may grow, 1016-2999 (RFC 6455 section 7.4; ).
[[nodiscard]] bool may_be_sent(std::uint16_t status) noexcept;

/// The status to close with after `reason`; 0 for errors that are not the peer's protocol error.
[[nodiscard]] std::uint16_t close_status_for(error reason) noexcept;

} // namespace sluice
