#pragma once

#include "core/error.hpp"
#include "sluice/close_status.hpp"

#include <cstdint>

namespace sluice {

/// Whether a status may stand in a close frame: 1000-1003, 1007-1014, 3000-4999 and, because the
/// registry may grow, 1016-2999 (RFC 6455 section 7.4; ).
[[nodiscard]] bool may_be_sent(std::uint16_t status) noexcept;

/// The status to close with after `reason`; 0 for errors that are not the peer's protocol error.
[[nodiscard]] std::uint16_t close_status_for(error reason) noexcept;

} // namespace sluice
