#pragma once

#include "sluice/export.h"

#include <cstdint>

namespace sluice {

/// Why an operation of the library failed. One list for the whole library; no errno value and no
/// code of another library passes it.
enum class error : std::uint8_t {
  none = 0,

  // The peer broke RFC 6455; the connection is closed with the status that the RFC asks for.
  reserved_bits,           // section 5.2: RSV1-3 set, no extension negotiated
  unknown_opcode,          // section 5.2: opcode 3-7 or B-F
  masked_frame,            // section 5.1: a server must not mask
  unmasked_frame,          // section 5.1: a client must mask
  control_too_long,        // section 5.5: control payload over 125 bytes
  control_fragmented,      // section 5.5: control frame without FIN
  non_minimal_length,      // section 5.2: length not in its shortest form
  length_too_big,          // section 5.2: 64-bit length with the top bit set
  unexpected_continuation, // section 5.4: continuation frame, no message open
  expected_continuation,   // section 5.4: new data frame inside a message
  close_payload_length,    // section 5.5.1: close payload of one byte
  close_status_code,       // section 7.4: status that must not be on the wire
  close_reason_utf8,       // section 5.5.1: reason is not UTF-8
  text_utf8,               // section 8.1: text message is not UTF-8
  message_too_big,         // over limits.max_message_bytes
  too_many_fragments,      // over limits.max_fragments

  // The opening handshake failed.
  response_malformed,  // not HTTP/1.1 as RFC 9112 has it
  response_truncated,  // the stream ended inside the head
  header_too_big,      // head over its byte limit
  too_many_headers,    // head over its header count
  upgrade_missing,     // RFC 6455 section 4.1: no `Upgrade: websocket`
  connection_missing,  // RFC 6455 section 4.1: no `Connection: upgrade`
  accept_mismatch,     // RFC 6455 section 4.1: Sec-WebSocket-Accept missing, wrong or repeated
  subprotocol_invalid, // RFC 6455 section 4.1: a subprotocol that was not offered, or two
  extension_invalid,   // RFC 6455 section 4.1: an extension that was not offered

  // Transport and system.
  name_not_resolved,
  cannot_connect, // refused, unreachable, no route
  timed_out,
  end_of_stream,   // the peer sent FIN
  connection_lost, // reset, broken pipe, timeout of the TCP stack
  cancelled,       // by another thread of the same program
  no_memory,
  out_of_descriptors,  // EMFILE, ENFILE
  backend_unavailable, // SLUICE_BACKEND forces one that cannot work here, or names none
  random_failed,       // the random number generator gave nothing
  system,              // anything else the kernel said

  // The opening handshake as a server sees it, or a client that is told no.
  request_malformed, // not HTTP/1.1 as RFC 9112 has it, or not a WebSocket upgrade
  upgrade_refused,   // the application, or the server, answered with a status other than 101

  // The calls of the native API.
  would_block,      // the send queue is full: try again after on_writable
  invalid_argument, // an argument outside its documented range
  invalid_state,    // the connection or loop does not allow that call now

  // TLS.
  tls_settings,    // a certificate, key or trust file cannot be used
  tls_certificate, // the peer's certificate is not good enough; the faults tell why
  tls_handshake,   // no common version or cipher, an alert, or not TLS at all
  tls_record,      // bad MAC, malformed record or an alert after the handshake

  cannot_listen, // the address is in use, not of this machine, or not allowed to this process
};

/// A short English sentence for logs and tests; static storage.
[[nodiscard]] SLUICE_EXPORT const char* to_string(error e) noexcept;

} // namespace sluice
