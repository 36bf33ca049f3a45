// Conversions between WCHAR and UTF-8 (WCH-03, X-02), HTTP dates, and the table of error codes.

#include "winhttp/text.hpp"

#include "winhttp/error_map.hpp"
#include "winhttp/http_date.hpp"

#include <gtest/gtest.h>

#include <string>

namespace sluice::winhttp {
namespace {

std::string utf8(std::wstring_view wide, DWORD expected = 0) {
  memory::growable<char> out;
  EXPECT_EQ(append_utf8(out, wide), expected);
  return std::string(out.view());
}

std::wstring wide(std::string_view bytes) {
  memory::growable<WCHAR> out;
  append_wide(out, bytes);
  EXPECT_EQ(out.size(), wide_count(bytes));
  std::wstring written(out.size(), L'\0');
  EXPECT_EQ(write_wide(written.data(), bytes), written.data() + written.size());
  EXPECT_EQ(written, std::wstring(out.view()));
  return written;
}

TEST(text, WCH_03_every_code_point_survives_both_ways) {
  for (std::uint32_t c = 1; c <= 0x10FFFF; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) {
      continue;
    }
    const std::wstring one(1, static_cast<wchar_t>(c));
    memory::growable<char> bytes;
    ASSERT_EQ(append_utf8(bytes, one), 0u) << c;
    const std::size_t size = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    ASSERT_EQ(bytes.size(), size) << c;
    memory::growable<WCHAR> back;
    append_wide(back, bytes.view());
    ASSERT_EQ(std::wstring(back.view()), one) << c;
  }
}

TEST(text, WCH_03_surrogate_pairs_are_combined) {
  EXPECT_EQ(utf8(std::wstring{0xD83D, 0xDE00}), "\xF0\x9F\x98\x80");
  EXPECT_EQ(utf8(std::wstring{L'a', 0xD800, 0xDC00, L'b'}), "a\xF0\x90\x80\x80"
                                                            "b");
  EXPECT_EQ(utf8(std::wstring{0xDBFF, 0xDFFF}), "\xF4\x8F\xBF\xBF");
}

TEST(text, X_02_lone_surrogates_and_what_is_no_code_point_are_87) {
  const DWORD invalid = ERROR_INVALID_PARAMETER;
  utf8(std::wstring{0xD800}, invalid);
  utf8(std::wstring{0xDC00}, invalid);
  utf8(std::wstring{0xD800, L'a'}, invalid);
  utf8(std::wstring{0xD800, 0xD800, 0xDC00}, invalid);
  utf8(std::wstring{0xDC00, 0xD800}, invalid);
  utf8(std::wstring{static_cast<wchar_t>(0x110000)}, invalid);
  utf8(std::wstring{static_cast<wchar_t>(-1)}, invalid);
}

TEST(text, bytes_that_are_not_utf8_become_one_character_each) {
  EXPECT_EQ(wide("\xC3\xA4"), L"\u00E4");
  EXPECT_EQ(wide("\xE4"), L"\u00E4");
  EXPECT_EQ(wide("\xC3\xA4\xE4"), L"\u00C3\u00A4\u00E4");
  for (const char* bad : {"\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80", "\xF0\x80\x80\x80",
                          "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xC3", "\xE2\x82", "\x80"}) {
    EXPECT_EQ(wide(bad).size(), std::string(bad).size());
  }
  EXPECT_EQ(wide(""), L"");
  EXPECT_EQ(wide(std::string_view("a\0b", 3)), std::wstring(L"a\0b", 3));
}

TEST(text, numbers) {
  memory::growable<char> out;
  append_decimal(out, 0);
  out.append(' ');
  append_decimal(out, UINT64_MAX);
  EXPECT_EQ(std::string(out.view()), "0 18446744073709551615");
}

TEST(http_date, the_three_forms) {
  for (const char* text : {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
                           "Sun Nov  6 08:49:37 1994", "sun, 06 nov 1994 08:49:37 GMT",
                           "Mon, 06 Nov 1994 08:49:37 GMT"}) {
    SYSTEMTIME date{};
    ASSERT_TRUE(parse_http_date(text, date)) << text;
    EXPECT_EQ(date.wYear, 1994);
    EXPECT_EQ(date.wMonth, 11);
    EXPECT_EQ(date.wDay, 6);
    EXPECT_EQ(date.wDayOfWeek, 0); // computed
    EXPECT_EQ(date.wHour, 8);
    EXPECT_EQ(date.wMinute, 49);
    EXPECT_EQ(date.wSecond, 37);
    EXPECT_EQ(date.wMilliseconds, 0);
  }
  SYSTEMTIME date{};
  EXPECT_TRUE(parse_http_date("Thu, 29 Feb 2024 23:59:60 GMT", date));
  EXPECT_EQ(date.wDayOfWeek, 4);
}

TEST(http_date, what_is_no_date) {
  for (const char* text : {"", "0", "-1", "Sun", "Sun, 06 Nov 1994", "06 Nov 1994 08:49:37 GMT +1",
                           "Sun, 06 Nov 1994 08:49 GMT", "Sun, 06 Nov 1994 24:00:00 GMT",
                           "Sun, 06 Nov 1994 08:60:00 GMT", "Sun, 31 Nov 1994 08:49:37 GMT",
                           "Sun, 00 Nov 1994 08:49:37 GMT", "Wed, 29 Feb 2023 00:00:00 GMT",
                           "Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 06 Nov 1600 08:49:37 GMT",
                           "Sun, 06 Nov 1994 08:49:37 1995", "Sun, 06 Nov 99999 08:49:37 GMT",
                           "Sun, 06 Nov 1994 08:49:37 PST"}) {
    SYSTEMTIME date{};
    date.wYear = 7;
    EXPECT_FALSE(parse_http_date(text, date)) << text;
    EXPECT_EQ(date.wYear, 7);
  }
}

TEST(error_map, every_error_has_a_code_and_only_none_is_success) {
  EXPECT_EQ(to_win32(error::none), 0u);
  for (unsigned i = 1; i < 256; ++i) {
    EXPECT_NE(to_win32(static_cast<error>(i)), 0u) << i;
  }
}

TEST(error_map, RCV_20_RCV_23_GET_13_the_codes_that_programs_look_for) {
  EXPECT_EQ(to_win32(error::reserved_bits), 12152u);
  EXPECT_EQ(to_win32(error::text_utf8), 12152u);
  EXPECT_EQ(to_win32(error::accept_mismatch), 12152u);
  EXPECT_EQ(to_win32(error::header_too_big), 12182u);
  EXPECT_EQ(to_win32(error::too_many_headers), 12181u);
  EXPECT_EQ(to_win32(error::name_not_resolved), 12007u);
  EXPECT_EQ(to_win32(error::cannot_connect), 12029u);
  EXPECT_EQ(to_win32(error::timed_out), 12002u);
  EXPECT_EQ(to_win32(error::end_of_stream), 12030u);
  EXPECT_EQ(to_win32(error::connection_lost), 12030u);
  EXPECT_EQ(to_win32(error::cancelled), 12017u);
  EXPECT_EQ(to_win32(error::no_memory), 8u);
}

} // namespace
} // namespace sluice::winhttp
