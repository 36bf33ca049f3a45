#include "winhttp/text.hpp"

namespace sluice::winhttp {
namespace {

constexpr std::uint32_t last_code_point = 0x10FFFF;

constexpr bool is_high_surrogate(std::uint32_t c) noexcept {
  return c >= 0xD800 && c <= 0xDBFF;
}
constexpr bool is_low_surrogate(std::uint32_t c) noexcept {
  return c >= 0xDC00 && c <= 0xDFFF;
}

struct decoded {
  std::uint32_t code_point;
  std::size_t size_bytes; // 0 = not UTF-8
};

// One code point at the start of `bytes` (not empty), as Unicode table 3-7 allows it.
decoded decode_one(std::string_view bytes) noexcept {
  const auto at = [&](std::size_t i) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i]));
  };
  const std::uint32_t lead = at(0);
  if (lead < 0x80) {
    return {lead, 1};
  }
  const std::size_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || bytes.size() < size) {
    return {0, 0};
  }
  std::uint32_t code_point = lead & (0x7Fu >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if ((at(i) & 0xC0u) != 0x80) {
      return {0, 0};
    }
    code_point = (code_point << 6) | (at(i) & 0x3Fu);
  }
  constexpr std::uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code_point < smallest[size] || code_point > last_code_point ||
      (code_point >= 0xD800 && code_point <= 0xDFFF)) {
    return {0, 0};
  }
  return {code_point, size};
}

// Calls `take(code point)` for each WCHAR that `bytes` becomes.
template <typename Taker> void for_each_wide(std::string_view bytes, Taker take) noexcept {
  bool utf8 = true;
  for (std::string_view rest = bytes; !rest.empty();) {
    const decoded one = decode_one(rest);
    if (one.size_bytes == 0) {
      utf8 = false;
      break;
    }
    rest.remove_prefix(one.size_bytes);
  }
  for (std::string_view rest = bytes; !rest.empty();) {
    const decoded one = utf8 ? decode_one(rest) : decoded{static_cast<unsigned char>(rest[0]), 1};
    take(static_cast<WCHAR>(one.code_point));
    rest.remove_prefix(one.size_bytes);
  }
}

} // namespace

DWORD append_utf8(memory::growable<char>& to, std::wstring_view wide) noexcept {
  for (std::size_t i = 0; i < wide.size(); ++i) {
    // NOLINTNEXTLINE(bugprone-signed-char-misuse): a wchar_t, and negative ones are refused below
    auto c = static_cast<std::uint32_t>(wide[i]);
    if (is_high_surrogate(c) && i + 1 < wide.size() &&
        is_low_surrogate(static_cast<std::uint32_t>(wide[i + 1]))) {
      c = 0x10000 + ((c - 0xD800) << 10) + (static_cast<std::uint32_t>(wide[i + 1]) - 0xDC00);
      ++i;
    } else if (is_high_surrogate(c) || is_low_surrogate(c) || c > last_code_point) {
      return ERROR_INVALID_PARAMETER;
    }
    char encoded[4];
    std::size_t size = 0;
    const auto put = [&](std::uint32_t byte) { encoded[size++] = static_cast<char>(byte); };
    if (c < 0x80) {
      put(c);
    } else if (c < 0x800) {
      put(0xC0 | (c >> 6));
      put(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
      put(0xE0 | (c >> 12));
      put(0x80 | ((c >> 6) & 0x3F));
      put(0x80 | (c & 0x3F));
    } else {
      put(0xF0 | (c >> 18));
      put(0x80 | ((c >> 12) & 0x3F));
      put(0x80 | ((c >> 6) & 0x3F));
      put(0x80 | (c & 0x3F));
    }
    to.append(encoded, size);
  }
  return to.ok() ? ERROR_SUCCESS : ERROR_NOT_ENOUGH_MEMORY;
}

void append_wide(memory::growable<WCHAR>& to, std::string_view bytes) noexcept {
  for_each_wide(bytes, [&](WCHAR c) { to.append(c); });
}

std::size_t wide_count(std::string_view bytes) noexcept {
  std::size_t count = 0;
  for_each_wide(bytes, [&](WCHAR) { ++count; });
  return count;
}

WCHAR* write_wide(WCHAR* to, std::string_view bytes) noexcept {
  for_each_wide(bytes, [&](WCHAR c) { *to++ = c; });
  return to;
}

LPWSTR allocate_wide(std::string_view bytes) noexcept {
  const std::size_t count = wide_count(bytes);
  auto* const given = static_cast<LPWSTR>(memory::allocate((count + 1) * sizeof(WCHAR)));
  if (given != nullptr) {
    *write_wide(given, bytes) = L'\0';
  }
  return given;
}

void append_decimal(memory::growable<char>& to, std::uint64_t value) noexcept {
  char digits[20];
  std::size_t at = sizeof(digits);
  do {
    digits[--at] = static_cast<char>('0' + value % 10);
    value /= 10;
  } while (value != 0);
  to.append(digits + at, sizeof(digits) - at);
}

} // namespace sluice::winhttp
