#include "core/server_handshake.hpp"

#include "core/http_text.hpp"

#include <algorithm>

namespace sluice {
namespace {

constexpr std::string_view protocol_field = "Sec-WebSocket-Protocol";
constexpr std::string_view key_field = "Sec-WebSocket-Key";
constexpr std::string_view version_field = "Sec-WebSocket-Version";

bool any_field_has_token(const http_head& head, std::string_view name,
                         std::string_view token) noexcept {
  const std::size_t fields = head.count(name);
  for (std::size_t nth = 0; nth < fields; ++nth) {
    if (list_has_token(head.find(name, nth), token)) {
      return true;
    }
  }
  return false;
}

bool is_base64_char(char c) noexcept {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
         c == '/';
}

// 16 bytes are 22 characters and two of padding.
bool is_key(std::string_view value) noexcept {
  return value.size() == handshake_key{}.key.size() && value.substr(22) == "==" &&
         std::all_of(value.begin(), value.begin() + 22, is_base64_char);
}

bool has_body(const http_head& head) noexcept {
  if (head.count("Transfer-Encoding") != 0) {
    return true;
  }
  const std::size_t lengths = head.count("Content-Length");
  return lengths > 1 || (lengths == 1 && head.find("Content-Length") != "0");
}

bool is_target(std::string_view target) noexcept {
  // Origin form, or absolute form (RFC 6455 section 4.1 item 2 allows both). No fragment (section
  // 3).
  return (target.starts_with('/') || target.starts_with("http://") ||
          target.starts_with("https://")) &&
         target.find('#') == std::string_view::npos;
}

std::string_view reason_phrase(std::uint16_t http_status) noexcept {
  switch (http_status) {
  case 301:
    return "Moved Permanently";
  case 302:
    return "Found";
  case 307:
    return "Temporary Redirect";
  case 308:
    return "Permanent Redirect";
  case 400:
    return "Bad Request";
  case 401:
    return "Unauthorized";
  case 403:
    return "Forbidden";
  case 404:
    return "Not Found";
  case 405:
    return "Method Not Allowed";
  case 408:
    return "Request Timeout";
  case 426:
    return "Upgrade Required";
  case 429:
    return "Too Many Requests";
  case 431:
    return "Request Header Fields Too Large";
  case 500:
    return "Internal Server Error";
  case 503:
    return "Service Unavailable";
  case 505:
    return "HTTP Version Not Supported";
  default:
    return "Refused"; // the phrase may say anything (RFC 9112 section 4)
  }
}

} // namespace

upgrade_check check_upgrade_request(const http_request_head& head, handshake_key& key) noexcept {
  constexpr upgrade_check bad_request{error::request_malformed, 400};
  if (head.minor_version() == 0) {
    return {error::request_malformed, 505};
  }
  if (head.method() != "GET") {
    return {error::request_malformed, 405};
  }
  if (head.count("Host") != 1 || head.find("Host").empty() || !is_target(head.target()) ||
      has_body(head)) {
    return bad_request;
  }
  if (!any_field_has_token(head, "Upgrade", "websocket")) {
    return {error::upgrade_missing, 426};
  }
  if (!any_field_has_token(head, "Connection", "upgrade")) {
    return {error::connection_missing, 400};
  }
  if (head.count(version_field) != 1 || head.find(version_field) != "13") {
    return {error::request_malformed, 426};
  }
  if (head.count(key_field) != 1 || !is_key(head.find(key_field)) ||
      head.count("Sec-WebSocket-Accept") != 0) {
    return bad_request;
  }
  const std::string_view sent = head.find(key_field);
  std::copy(sent.begin(), sent.end(), key.key.begin());
  return {};
}

std::uint16_t http_status_for(error reason) noexcept {
  switch (reason) {
  case error::header_too_big:
  case error::too_many_headers:
    return 431;
  case error::no_memory:
    return 503;
  case error::timed_out:
    return 408;
  default:
    return 400;
  }
}

std::string_view offered_subprotocol(const http_request_head& head, std::size_t index) noexcept {
  const std::size_t fields = head.count(protocol_field);
  for (std::size_t nth = 0; nth < fields; ++nth) {
    std::string_view list = head.find(protocol_field, nth);
    while (!list.empty()) {
      const std::string_view offered = http_text::take_element(list);
      if (offered.empty()) {
        continue;
      }
      if (index == 0) {
        return offered;
      }
      --index;
    }
  }
  return {};
}

bool offers_subprotocol(const http_request_head& head, std::string_view subprotocol) noexcept {
  for (std::size_t i = 0;; ++i) {
    const std::string_view offered = offered_subprotocol(head, i);
    if (offered.empty() || offered == subprotocol) {
      return !offered.empty();
    }
  }
}

bool are_header_lines(std::string_view lines) noexcept {
  while (!lines.empty()) {
    const std::size_t end = lines.find("\r\n");
    if (end == std::string_view::npos) {
      return false;
    }
    const std::string_view line = lines.substr(0, end);
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || !is_field_name(line.substr(0, colon)) ||
        !is_field_value(line.substr(colon + 1))) {
      return false;
    }
    lines.remove_prefix(end + 2);
  }
  return true;
}

void append_upgrade_response(memory::growable<char>& answer, const handshake_key& key,
                             std::string_view subprotocol, std::string_view header_lines) noexcept {
  answer.append("HTTP/1.1 101 Switching Protocols\r\n"
                "Upgrade: websocket\r\n"
                "Connection: Upgrade\r\n"
                "Sec-WebSocket-Accept: ");
  answer.append(key.accept.data(), key.accept.size());
  answer.append("\r\n");
  if (!subprotocol.empty()) {
    answer.append("Sec-WebSocket-Protocol: ");
    answer.append(subprotocol);
    answer.append("\r\n");
  }
  answer.append(header_lines);
  answer.append("\r\n");
}

void append_refusal(memory::growable<char>& answer, std::uint16_t http_status,
                    std::string_view header_lines) noexcept {
  const char digits[3] = {static_cast<char>('0' + http_status / 100),
                          static_cast<char>('0' + http_status / 10 % 10),
                          static_cast<char>('0' + http_status % 10)};
  answer.append("HTTP/1.1 ");
  answer.append(digits, sizeof digits);
  answer.append(" ");
  answer.append(reason_phrase(http_status));
  answer.append("\r\nConnection: close\r\nContent-Length: 0\r\n");
  if (http_status == 426) {
    answer.append("Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"); // RFC 6455 section 4.4
  }
  if (http_status == 405) {
    answer.append("Allow: GET\r\n");
  }
  answer.append(header_lines);
  answer.append("\r\n");
}

} // namespace sluice
