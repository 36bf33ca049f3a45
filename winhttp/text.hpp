#pragma once

#include "core/memory.hpp"

#include <sluice/winhttp.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice::winhttp {

/// Appends `wide` as UTF-8. Each WCHAR is one code point; a surrogate pair is combined into one
/// (WCH-03). ERROR_INVALID_PARAMETER for a lone surrogate or a value above U+10FFFF (decision
/// X-02), ERROR_NOT_ENOUGH_MEMORY; then `to` holds an unspecified prefix.
[[nodiscard]] DWORD append_utf8(memory::growable<char>& to, std::wstring_view wide) noexcept;

/// Appends `bytes` as WCHARs: UTF-8 where the whole of it is valid, otherwise one WCHAR per byte
/// (what servers put into headers is not always UTF-8, RFC 9110 section 5.5). Check `to.ok()`.
void append_wide(memory::growable<WCHAR>& to, std::string_view bytes) noexcept;

/// How many WCHARs append_wide() would append.
[[nodiscard]] std::size_t wide_count(std::string_view bytes) noexcept;

/// Writes what append_wide() would append to `to`, which has room for wide_count(bytes); returns
/// the end.
WCHAR* write_wide(WCHAR* to, std::string_view bytes) noexcept;

/// The same with a NUL behind it, for the application, which frees it with GlobalFree or LocalFree;
/// nullptr: no memory.
[[nodiscard]] LPWSTR allocate_wide(std::string_view bytes) noexcept;

/// ASCII only, in any locale.
template <typename Char> [[nodiscard]] constexpr Char to_lower(Char c) noexcept {
  return c >= Char{'A'} && c <= Char{'Z'} ? static_cast<Char>(c + ('a' - 'A')) : c;
}
template <typename Char> [[nodiscard]] constexpr bool is_digit(Char c) noexcept {
  return c >= Char{'0'} && c <= Char{'9'};
}
/// The value of a hexadecimal digit, or -1.
template <typename Char> [[nodiscard]] constexpr int hex_value(Char c) noexcept {
  if (is_digit(c)) {
    return static_cast<int>(c - Char{'0'});
  }
  const Char lower = to_lower(c);
  return lower >= Char{'a'} && lower <= Char{'f'} ? static_cast<int>(lower - Char{'a'}) + 10 : -1;
}

/// Equal but for the case of ASCII letters; the two may differ in character type.
template <typename A, typename B>
[[nodiscard]] constexpr bool equal_no_case(std::basic_string_view<A> a,
                                           std::basic_string_view<B> b) noexcept {
  if (a.size() != b.size()) {
    return false;
  }
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (static_cast<std::uint32_t>(to_lower(a[i])) != static_cast<std::uint32_t>(to_lower(b[i]))) {
      return false;
    }
  }
  return true;
}

/// Appends a number in decimal.
void append_decimal(memory::growable<char>& to, std::uint64_t value) noexcept;

} // namespace sluice::winhttp
