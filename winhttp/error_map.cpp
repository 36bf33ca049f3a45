#include "winhttp/error_map.hpp"

namespace sluice::winhttp {

DWORD to_win32(error e) noexcept {
  switch (e) {
  case error::none:
    return ERROR_SUCCESS;

  // Section 10.5 of the contract: whatever the peer breaks is an invalid server response (RCV-70 to
  // RCV-80).
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
  case error::close_reason_utf8:
  case error::text_utf8:
  case error::message_too_big:
  case error::too_many_fragments:
    return ERROR_WINHTTP_INVALID_SERVER_RESPONSE;

  // Section 7.2 of the contract. A stream that ends inside the head is HSK-29.
  case error::response_malformed:
  case error::response_truncated:
  case error::upgrade_missing:
  case error::connection_missing:
  case error::accept_mismatch:
  case error::subprotocol_invalid:
  case error::extension_invalid:
    return ERROR_WINHTTP_INVALID_SERVER_RESPONSE;
  case error::header_too_big:
    return ERROR_WINHTTP_HEADER_SIZE_OVERFLOW; // HSK-28
  case error::too_many_headers:
    return ERROR_WINHTTP_HEADER_COUNT_EXCEEDED;

  case error::name_not_resolved:
    return ERROR_WINHTTP_NAME_NOT_RESOLVED; // GET-13
  case error::cannot_connect:
    return ERROR_WINHTTP_CANNOT_CONNECT; // GET-13
  case error::timed_out:
    return ERROR_WINHTTP_TIMEOUT; // TMO-01 to TMO-06
  case error::end_of_stream:
  case error::connection_lost:
    return ERROR_WINHTTP_CONNECTION_ERROR; // RCV-20, RCV-22
  case error::cancelled:
    return ERROR_WINHTTP_OPERATION_CANCELLED; // RCV-15, RCV-24
  case error::no_memory:
    return ERROR_NOT_ENOUGH_MEMORY; // RCV-27
  case error::out_of_descriptors:
    return ERROR_WINHTTP_OUT_OF_HANDLES;
  case error::tls_certificate:
  case error::tls_handshake:
    return ERROR_WINHTTP_SECURE_FAILURE; // TLS-05, TLS-07
  case error::tls_record:
    return ERROR_WINHTTP_CONNECTION_ERROR; // RCV-22
  case error::tls_settings:
  case error::backend_unavailable:
  case error::random_failed:
  case error::system:
  case error::request_malformed: // the rest: only servers and the native API have them
  case error::upgrade_refused:
  case error::would_block:
  case error::invalid_argument:
  case error::invalid_state:
  case error::cannot_listen:
    return ERROR_WINHTTP_INTERNAL_ERROR;
  }
  return ERROR_WINHTTP_INTERNAL_ERROR;
}

} // namespace sluice::winhttp
