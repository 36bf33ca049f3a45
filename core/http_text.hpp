#pragma once

#include <array>
#include <cstddef>
#include <string_view>

/// Character classes and comparisons of HTTP header text (RFC 9110 section 5.6), for ASCII alone:
/// no locale is asked.
namespace sluice::http_text {

namespace detail {
inline constexpr auto token_chars = [] {
  std::array<bool, 256> is{};
  for (const char c : std::string_view("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                                       "ABCDEFGHIJKLMNOPQRSTUVWXYZ")) {
    is[static_cast<unsigned char>(c)] = true;
  }
  return is;
}();
} // namespace detail

/// tchar, section 5.6.2. `byte` below 256.
[[nodiscard]] constexpr bool is_token_char(unsigned byte) noexcept {
  return detail::token_chars[byte];
}

/// SP or HTAB: optional white space, section 5.6.3.
[[nodiscard]] constexpr bool is_blank(unsigned byte) noexcept {
  return byte == ' ' || byte == '\t';
}

/// What may stand in a field value or a reason phrase: visible ASCII, obs-text and blanks
/// (section 5.5); no control byte but HTAB.
[[nodiscard]] constexpr bool is_text_char(unsigned byte) noexcept {
  return byte == '\t' || (byte >= 0x20 && byte != 0x7F);
}

[[nodiscard]] constexpr bool is_digit(unsigned byte) noexcept {
  return byte >= '0' && byte <= '9';
}

[[nodiscard]] constexpr char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

[[nodiscard]] constexpr bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) {
    return false;
  }
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) {
      return false;
    }
  }
  return true;
}

/// Without the blanks around it.
[[nodiscard]] constexpr std::string_view trimmed(std::string_view text) noexcept {
  while (!text.empty() && is_blank(static_cast<unsigned char>(text.front()))) {
    text.remove_prefix(1);
  }
  while (!text.empty() && is_blank(static_cast<unsigned char>(text.back()))) {
    text.remove_suffix(1);
  }
  return text;
}

/// Takes the first element off the comma-separated `list` and returns it without blanks; empty
/// elements (section 5.6.1.2) come back as such.
[[nodiscard]] constexpr std::string_view take_element(std::string_view& list) noexcept {
  const std::size_t comma = list.find(',');
  const std::string_view element = trimmed(list.substr(0, comma));
  list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
  return element;
}

} // namespace sluice::http_text
