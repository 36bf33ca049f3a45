#include "core/error.hpp"

namespace sluice {

const char* to_string(error e) noexcept {
  switch (e) {
  case error::none:
    return "no error";
  case error::reserved_bits:
    return "reserved bit set in a frame header";
  case error::unknown_opcode:
    return "unknown opcode";
  case error::masked_frame:
    return "masked frame from a server";
  case error::unmasked_frame:
    return "unmasked frame from a client";
  case error::control_too_long:
    return "control frame with more than 125 payload bytes";
  case error::control_fragmented:
    return "fragmented control frame";
  case error::non_minimal_length:
    return "payload length not in its shortest form";
  case error::length_too_big:
    return "payload length of 2^63 bytes or more";
  case error::unexpected_continuation:
    return "continuation frame outside a message";
  case error::expected_continuation:
    return "new data frame inside a message";
  case error::close_payload_length:
    return "close frame with a payload of one byte";
  case error::close_status_code:
    return "close frame with a status that must not be sent";
  case error::close_reason_utf8:
    return "close reason is not UTF-8";
  case error::text_utf8:
    return "text message is not UTF-8";
  case error::message_too_big:
    return "message exceeds the limit on its size";
  case error::too_many_fragments:
    return "message exceeds the limit on its fragments";
  case error::response_malformed:
    return "response is not well-formed HTTP/1.1";
  case error::response_truncated:
    return "stream ended inside the response head";
  case error::header_too_big:
    return "response head exceeds the limit on its size";
  case error::too_many_headers:
    return "response head exceeds the limit on its fields";
  case error::upgrade_missing:
    return "response does not upgrade to websocket";
  case error::connection_missing:
    return "response lacks the upgrade connection option";
  case error::accept_mismatch:
    return "Sec-WebSocket-Accept missing, wrong or repeated";
  case error::subprotocol_invalid:
    return "response names a subprotocol that was not offered";
  case error::extension_invalid:
    return "response names an extension that was not offered";
  case error::name_not_resolved:
    return "host name not resolved";
  case error::cannot_connect:
    return "cannot connect";
  case error::timed_out:
    return "timed out";
  case error::end_of_stream:
    return "peer ended the stream";
  case error::connection_lost:
    return "connection lost";
  case error::cancelled:
    return "cancelled";
  case error::no_memory:
    return "out of memory";
  case error::out_of_descriptors:
    return "out of file descriptors";
  case error::backend_unavailable:
    return "the forced I/O backend is not available";
  case error::random_failed:
    return "no random numbers";
  case error::system:
    return "unexpected system error";
  case error::request_malformed:
    return "malformed upgrade request";
  case error::upgrade_refused:
    return "upgrade refused";
  case error::would_block:
    return "the send queue is full";
  case error::invalid_argument:
    return "invalid argument";
  case error::invalid_state:
    return "not allowed in this state";
  case error::tls_settings:
    return "unusable TLS certificate, key or trust file";
  case error::tls_certificate:
    return "the peer's certificate was refused";
  case error::tls_handshake:
    return "TLS handshake failed";
  case error::tls_record:
    return "broken TLS record or TLS alert";
  case error::cannot_listen:
    return "address in use, not of this machine, or not allowed";
  }
  return "unknown error"; // a value outside the enumeration
}

} // namespace sluice
