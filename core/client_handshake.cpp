#include "core/client_handshake.hpp"

#include "core/http_text.hpp"

namespace sluice {
namespace {

constexpr std::string_view upgrade_field = "Upgrade";
constexpr std::string_view connection_field = "Connection";
constexpr std::string_view accept_field = "Sec-WebSocket-Accept";
constexpr std::string_view extensions_field = "Sec-WebSocket-Extensions";
constexpr std::string_view protocol_field = "Sec-WebSocket-Protocol";

bool connection_has_upgrade(const http_response_head& head) noexcept {
  const std::size_t fields = head.count(connection_field);
  for (std::size_t nth = 0; nth < fields; ++nth) {
    if (list_has_token(head.find(connection_field, nth), "upgrade")) {
      return true;
    }
  }
  return false;
}

// Subprotocol names are compared as they are: RFC 6455 section 4.1 asks for case-insensitivity
// where it wants it, and not here.
bool was_offered(std::string_view protocol, std::string_view offered) noexcept {
  while (!offered.empty()) {
    if (http_text::take_element(offered) == protocol) {
      return true;
    }
  }
  return false;
}

} // namespace

void append_upgrade_fields(memory::growable<char>& request, const handshake_key& key) noexcept {
  request.append("Connection: Upgrade\r\n"
                 "Upgrade: websocket\r\n"
                 "Sec-WebSocket-Version: 13\r\n"
                 "Sec-WebSocket-Key: ");
  request.append(key.key.data(), key.key.size());
  request.append("\r\n");
}

error check_upgrade_response(const http_response_head& head, const handshake_key& key,
                             std::string_view offered) noexcept {
  // HTTP/1.0 knows neither 101 nor Upgrade (RFC 9110 sections 15.2 and 7.8).
  if (head.status() != 101 || head.minor_version() == 0) {
    return error::response_malformed;
  }
  // Section 4.1 item 2 wants this value alone, so a list or a repeated field does not match.
  if (head.count(upgrade_field) != 1 ||
      !http_text::equal_ignoring_case(head.find(upgrade_field), "websocket")) {
    return error::upgrade_missing;
  }
  if (!connection_has_upgrade(head)) {
    return error::connection_missing;
  }
  if (head.count(accept_field) != 1 ||
      head.find(accept_field) != std::string_view(key.accept.data(), key.accept.size())) {
    return error::accept_mismatch;
  }
  if (head.count(extensions_field) != 0) {
    return error::extension_invalid; // HSK-23: none is ever offered
  }
  const std::size_t protocols = head.count(protocol_field);
  if (protocols > 1) {
    return error::subprotocol_invalid;
  }
  if (protocols == 1) {
    const std::string_view chosen = head.find(protocol_field);
    // As a token it cannot be a list of two, nor the empty element of "a,,b".
    if (!is_field_name(chosen) || !was_offered(chosen, offered)) {
      return error::subprotocol_invalid;
    }
  }
  return error::none;
}

bool list_has_token(std::string_view value, std::string_view token) noexcept {
  while (!value.empty()) {
    if (http_text::equal_ignoring_case(http_text::take_element(value), token)) {
      return !token.empty();
    }
  }
  return false;
}

bool is_field_name(std::string_view name) noexcept {
  for (const char c : name) {
    if (!http_text::is_token_char(static_cast<unsigned char>(c))) {
      return false;
    }
  }
  return !name.empty();
}

bool is_field_value(std::string_view value) noexcept {
  for (const char c : value) {
    if (!http_text::is_text_char(static_cast<unsigned char>(c))) {
      return false;
    }
  }
  return true;
}

} // namespace sluice
