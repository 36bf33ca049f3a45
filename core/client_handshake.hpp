#pragma once

#include "core/error.hpp"
#include "core/http_head.hpp"
#include "core/memory.hpp"

#include <array>
#include <string_view>

namespace sluice {

/// The random part of an opening handshake (RFC 6455 section 4.1): what goes out as
/// Sec-WebSocket-Key and what must come back as Sec-WebSocket-Accept. Made by io/crypto.hpp, since
/// it needs random numbers and SHA-1.
struct handshake_key {
  std::array<char, 24> key;
  std::array<char, 28> accept;
};

/// Appends the four header lines that turn a GET into an upgrade request: Connection, Upgrade,
/// Sec-WebSocket-Version, Sec-WebSocket-Key.
void append_upgrade_fields(memory::growable<char>& request, const handshake_key& key) noexcept;

/// Checks a complete response as RFC 6455 section 4.1 demands: status 101 (response_malformed), one
/// Upgrade field that says websocket (upgrade_missing), upgrade among the Connection tokens
/// (connection_missing), exactly one right Sec-WebSocket-Accept (accept_mismatch), no extension
/// (extension_invalid), and at most one subprotocol out of `offered`, the value of the request's
/// Sec-WebSocket-Protocol fields joined by commas, empty if none (subprotocol_invalid). Keywords in
/// any case; the Accept and subprotocols as they are. HSK-20 to HSK-24.
[[nodiscard]] error check_upgrade_response(const http_response_head& head, const handshake_key& key,
                                           std::string_view offered) noexcept;

/// True if the comma-separated list `value` holds `token`, case-insensitively (RFC 9110 5.6.1).
[[nodiscard]] bool list_has_token(std::string_view value, std::string_view token) noexcept;

/// Header field syntax for what an application adds (RFC 9110 section 5.5): a token as name, no
/// control byte, CR, LF or NUL in the value. Keeps request splitting out.
[[nodiscard]] bool is_field_name(std::string_view name) noexcept;
[[nodiscard]] bool is_field_value(std::string_view value) noexcept;

} // namespace sluice
