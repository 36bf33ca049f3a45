// WinHttpAddRequestHeaders (GET-07).

#include "support/winhttp_client.hpp"

#include <gtest/gtest.h>

#include <string>

namespace sluice::test {
namespace {

constexpr DWORD no_count = static_cast<DWORD>(-1);
constexpr DWORD add = WINHTTP_ADDREQ_FLAG_ADD;
constexpr DWORD add_if_new = WINHTTP_ADDREQ_FLAG_ADD_IF_NEW;
constexpr DWORD replace = WINHTTP_ADDREQ_FLAG_REPLACE;
constexpr DWORD with_comma = WINHTTP_ADDREQ_FLAG_COALESCE_WITH_COMMA;
constexpr DWORD with_semicolon = WINHTTP_ADDREQ_FLAG_COALESCE_WITH_SEMICOLON;

class request_headers : public ::testing::Test {
protected:
  DWORD apply(const wchar_t* lines, DWORD modifiers, DWORD length = no_count) {
    SetLastError(99);
    const BOOL done = WinHttpAddRequestHeaders(c.request, lines, length, modifiers);
    EXPECT_EQ(done != FALSE, GetLastError() == 0);
    return GetLastError();
  }
  // All fields as they would go out, each with a ';' behind it.
  std::string fields() {
    const std::string head =
        query_header(c.request, WINHTTP_QUERY_RAW_HEADERS_CRLF | WINHTTP_QUERY_FLAG_REQUEST_HEADERS)
            .value_or("");
    const std::size_t start = head.find("\r\n") + 2;
    std::string out = head.substr(start, head.size() - start - 2);
    for (std::size_t at = 0; (at = out.find("\r\n", at)) != std::string::npos;) {
      out.replace(at, 2, ";");
    }
    return out;
  }

  client c{1};
};

TEST_F(request_headers, GET_07_zero_adds_and_lines_are_separated_by_crlf) {
  EXPECT_EQ(apply(L"A: 1\r\nB:2\r\n", 0), 0u);
  EXPECT_EQ(apply(L"C:   3  \r\n\r\n", add), 0u);
  EXPECT_EQ(apply(L"A: 4", add), 0u);
  EXPECT_EQ(fields(), "A: 1;B: 2;C: 3;A: 4;");
}

TEST_F(request_headers, GET_07_the_length_counts_characters) {
  EXPECT_EQ(apply(L"A: 12345", add, 6), 0u);
  EXPECT_EQ(apply(L"B: 1\0ignored", add, 12), 0u); // programs count the NUL in
  EXPECT_EQ(fields(), "A: 123;B: 1;");
  EXPECT_EQ(apply(L"A: 1", add, 0), static_cast<DWORD>(ERROR_INVALID_PARAMETER));
  EXPECT_EQ(apply(nullptr, add), static_cast<DWORD>(ERROR_INVALID_PARAMETER));
}

TEST_F(request_headers, GET_07_replace) {
  EXPECT_EQ(apply(L"A: 1", replace), static_cast<DWORD>(ERROR_WINHTTP_HEADER_NOT_FOUND));
  EXPECT_EQ(apply(L"A: 1", replace | add), 0u);
  EXPECT_EQ(apply(L"a: 2", replace), 0u);
  EXPECT_EQ(apply(L"a: 3", add), 0u);
  EXPECT_EQ(fields(), "a: 2;a: 3;");
  EXPECT_EQ(apply(L"A: 4", replace | add), 0u);
  EXPECT_EQ(fields(), "A: 4;");
  EXPECT_EQ(apply(L"A:", replace), 0u); // an empty value removes
  EXPECT_EQ(fields(), "");
}

TEST_F(request_headers, GET_07_add_if_new) {
  EXPECT_EQ(apply(L"A: 1", add_if_new), 0u);
  EXPECT_EQ(apply(L"a: 2", add_if_new), static_cast<DWORD>(ERROR_WINHTTP_HEADER_ALREADY_EXISTS));
  EXPECT_EQ(apply(L"a: 2", add | add_if_new),
            static_cast<DWORD>(ERROR_WINHTTP_HEADER_ALREADY_EXISTS));
  EXPECT_EQ(fields(), "A: 1;");
}

TEST_F(request_headers, GET_07_coalesce) {
  EXPECT_EQ(apply(L"A: 1", with_comma), 0u);
  EXPECT_EQ(apply(L"A: 2", with_comma), 0u);
  EXPECT_EQ(apply(L"a: 3", add | with_semicolon), 0u);
  EXPECT_EQ(fields(), "A: 1, 2; 3;");
}

TEST_F(request_headers, GET_07_malformed_lines_are_12153_and_change_nothing) {
  for (const wchar_t* bad :
       {L"", L"\r\n", L":", L":b", L"cd", L" e: f", L"A B: c", L"A: b\nC: d", L"A: b\rC: d",
        L"A: b\r\n\r\nC: d", L"A: b\r\n C: folded", L"A: \x01", L"A: \x7F", L"\u00E4: b", L"A(: b",
        L"Good: 1\r\nbad", L"Good: 1\r\n:bad"}) {
    EXPECT_EQ(apply(bad, add), static_cast<DWORD>(ERROR_WINHTTP_INVALID_HEADER));
    EXPECT_EQ(fields(), "");
  }
  EXPECT_EQ(apply(L"A: \xDC00", add), static_cast<DWORD>(ERROR_INVALID_PARAMETER));
  EXPECT_EQ(apply(L"A: 1\r\nB: 2\r\nA: 3", add_if_new),
            static_cast<DWORD>(ERROR_WINHTTP_HEADER_ALREADY_EXISTS));
  EXPECT_EQ(fields(), "");
}

TEST_F(request_headers, tolerated_forms) {
  EXPECT_EQ(apply(L"a:", add), 0u);
  EXPECT_EQ(apply(L"g : value", add), 0u);
  EXPECT_EQ(apply(L"X: \u00E4\U0001F600\xD83D\xDE00", add), 0u); // as UTF-8
  EXPECT_EQ(fields().substr(0, 15), "a: ;g: value;X:");
  wchar_t text[16];
  DWORD length = sizeof(text);
  ASSERT_TRUE(WinHttpQueryHeaders(c.request,
                                  WINHTTP_QUERY_CUSTOM | WINHTTP_QUERY_FLAG_REQUEST_HEADERS, L"X",
                                  text, &length, nullptr));
  EXPECT_EQ(std::wstring(text), L"\u00E4\U0001F600\U0001F600");
}

TEST_F(request_headers, many_replacements_do_not_pile_up) {
  for (int i = 0; i < 2000; ++i) {
    const std::wstring line = L"A: " + std::to_wstring(i);
    ASSERT_EQ(apply(line.c_str(), replace | add), 0u);
  }
  EXPECT_EQ(fields(), "A: 1999;");
}

} // namespace
} // namespace sluice::test
