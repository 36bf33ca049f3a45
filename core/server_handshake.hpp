#pragma once

#include "core/client_handshake.hpp"
#include "core/error.hpp"
#include "core/http_head.hpp"
#include "core/memory.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice {

/// What a server makes of a request head (RFC 6455 section 4.2.1).
struct upgrade_check {
  error reason = error::none;
  std::uint16_t http_status = 101; // what to answer if `reason` is not none
};

/// GET, HTTP/1.1, one Host, `Upgrade: websocket`, `Connection: upgrade`, version 13 (else 426,
/// section 4.4), one key of 16 bytes in base64, no body. Fills key.key for make_handshake_accept().
[[nodiscard]] upgrade_check check_upgrade_request(const http_request_head& head,
                                                  handshake_key& key) noexcept;

/// The status to answer a head with that the parser refused: 400 or 431 (RFC 6585 section 5).
[[nodiscard]] std::uint16_t http_status_for(error reason) noexcept;

/// The `index`th subprotocol the client offers, over all its Sec-WebSocket-Protocol fields; empty
/// past the last.
[[nodiscard]] std::string_view offered_subprotocol(const http_request_head& head,
                                                   std::size_t index) noexcept;
[[nodiscard]] bool offers_subprotocol(const http_request_head& head,
                                      std::string_view subprotocol) noexcept;

/// Whether `lines` is any number of well-formed "Name: value\r\n".
[[nodiscard]] bool are_header_lines(std::string_view lines) noexcept;

/// Appends the whole 101 answer. `header_lines` must satisfy are_header_lines().
void append_upgrade_response(memory::growable<char>& answer, const handshake_key& key,
                             std::string_view subprotocol, std::string_view header_lines) noexcept;

/// Appends a whole answer that refuses, without a body, after which the connection closes.
/// `http_status` 300 to 599.
void append_refusal(memory::growable<char>& answer, std::uint16_t http_status,
                    std::string_view header_lines) noexcept;

} // namespace sluice
