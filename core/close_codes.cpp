#include "core/close_codes.hpp"

namespace sluice {

bool may_be_sent(std::uint16_t status) noexcept {
  if (status < 1000 || status > 4999) {
    return false;
  }
  // 1004 is reserved without a meaning; 1005, 1006 and 1015 only report (RFC 6455 section 7.4.1).
  return status != 1004 && status != close_status::empty && status != close_status::aborted &&
         status != 1015;
}

std::uint16_t close_status_for(error reason) noexcept {
  switch (reason) {
  case error::reserved_bits:
  case error::unknown_opcode:
  case error::masked_frame:
  case error::unmasked_frame:
  case error::control_too_long:
  case error::control_fragmented:
  case error::non_minimal_length:
  case error::length_too_big:
  case error::unexpected_continuation:
  case error::expected_continuation:
  case error::close_payload_length:
  case error::close_status_code:
    return close_status::protocol_error;
  case error::close_reason_utf8:
  case error::text_utf8:
    return close_status::invalid_payload;
  case error::message_too_big:
    return close_status::message_too_big;
  case error::too_many_fragments:
    return close_status::policy_violation;
  default:
    return 0;
  }
}

} // namespace sluice
