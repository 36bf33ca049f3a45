// WinHttpCrackUrl and WinHttpCreateUrl (GET-06), and the parts of winhttp/url.hpp that only
// redirects use.

#include "winhttp/url.hpp"

#include <gtest/gtest.h>
#include <sluice/winhttp.h>

#include <cwchar>
#include <string>

namespace sluice::test {
namespace {

// Components that ask for pointers into the URL.
URL_COMPONENTS pointers() {
  URL_COMPONENTS parts{};
  parts.dwStructSize = sizeof(parts);
  parts.dwSchemeLength = parts.dwHostNameLength = parts.dwUserNameLength = static_cast<DWORD>(-1);
  parts.dwPasswordLength = parts.dwUrlPathLength = parts.dwExtraInfoLength = static_cast<DWORD>(-1);
  return parts;
}

DWORD crack(const wchar_t* url, URL_COMPONENTS& parts, DWORD length = 0, DWORD flags = 0) {
  SetLastError(99);
  const BOOL done = WinHttpCrackUrl(url, length, flags, &parts);
  EXPECT_EQ(done != FALSE, GetLastError() == 0);
  return GetLastError();
}

DWORD code_of(const wchar_t* url, DWORD flags = 0) {
  URL_COMPONENTS parts = pointers();
  return crack(url, parts, 0, flags);
}

std::wstring text(const wchar_t* start, DWORD length) {
  return std::wstring(start, length);
}

TEST(crack_url, GET_06_pointers_into_the_url) {
  const wchar_t* url = L"http://username:password@www.example.org:8080/site/about?q=1#hi";
  URL_COMPONENTS parts = pointers();
  ASSERT_EQ(crack(url, parts), 0u);
  EXPECT_EQ(parts.lpszScheme, url);
  EXPECT_EQ(parts.dwSchemeLength, 4u);
  EXPECT_EQ(parts.nScheme, INTERNET_SCHEME_HTTP);
  EXPECT_EQ(parts.lpszUserName, url + 7);
  EXPECT_EQ(parts.dwUserNameLength, 8u);
  EXPECT_EQ(parts.lpszPassword, url + 16);
  EXPECT_EQ(parts.dwPasswordLength, 8u);
  EXPECT_EQ(parts.lpszHostName, url + 25);
  EXPECT_EQ(parts.dwHostNameLength, 15u);
  EXPECT_EQ(parts.nPort, 8080);
  EXPECT_EQ(parts.lpszUrlPath, url + 45);
  EXPECT_EQ(parts.dwUrlPathLength, 11u);
  EXPECT_EQ(parts.lpszExtraInfo, url + 56);
  EXPECT_EQ(parts.dwExtraInfoLength, 7u);
}

TEST(crack_url, GET_06_defaults_and_absent_parts) {
  URL_COMPONENTS parts = pointers();
  ASSERT_EQ(crack(L"HTTPS://host", parts), 0u);
  EXPECT_EQ(parts.nScheme, INTERNET_SCHEME_HTTPS);
  EXPECT_EQ(parts.nPort, INTERNET_DEFAULT_HTTPS_PORT);
  EXPECT_EQ(text(parts.lpszHostName, parts.dwHostNameLength), L"host");
  EXPECT_EQ(parts.dwUrlPathLength, 0u);
  EXPECT_EQ(parts.dwExtraInfoLength, 0u);
  EXPECT_EQ(parts.lpszUserName, nullptr);
  EXPECT_EQ(parts.dwUserNameLength, 0u);

  parts = pointers();
  ASSERT_EQ(crack(L"http://host:/p", parts), 0u);
  EXPECT_EQ(parts.nPort, INTERNET_DEFAULT_HTTP_PORT);
  parts = pointers();
  ASSERT_EQ(crack(L"http://[::1]:81/p", parts), 0u);
  EXPECT_EQ(text(parts.lpszHostName, parts.dwHostNameLength), L"[::1]");
  EXPECT_EQ(parts.nPort, 81);
  parts = pointers();
  ASSERT_EQ(crack(L"http://a@b@host?q", parts), 0u);
  EXPECT_EQ(text(parts.lpszUserName, parts.dwUserNameLength), L"a@b");
  EXPECT_EQ(text(parts.lpszHostName, parts.dwHostNameLength), L"host");
  EXPECT_EQ(parts.dwUrlPathLength, 0u);
  EXPECT_EQ(text(parts.lpszExtraInfo, parts.dwExtraInfoLength), L"?q");
}

TEST(crack_url, GET_06_the_length_bounds_the_url) {
  URL_COMPONENTS parts = pointers();
  ASSERT_EQ(crack(L"http://host/path-and-more", parts, 16), 0u);
  EXPECT_EQ(text(parts.lpszUrlPath, parts.dwUrlPathLength), L"/path");
}

TEST(crack_url, GET_06_only_asked_for_parts_are_given) {
  URL_COMPONENTS parts{};
  parts.dwStructSize = sizeof(parts);
  parts.dwUrlPathLength = 1;
  ASSERT_EQ(crack(L"http://host/p?q#f", parts), 0u);
  EXPECT_EQ(parts.lpszHostName, nullptr);
  EXPECT_EQ(parts.lpszExtraInfo, nullptr);
  // Extra information that nobody asks for stays with the path.
  EXPECT_EQ(text(parts.lpszUrlPath, parts.dwUrlPathLength), L"/p?q#f");
  EXPECT_EQ(parts.nPort, 80);
}

TEST(crack_url, GET_06_buffers_are_filled_and_terminated) {
  wchar_t host[5];
  wchar_t path[16];
  URL_COMPONENTS parts{};
  parts.dwStructSize = sizeof(parts);
  parts.lpszHostName = host;
  parts.dwHostNameLength = 5;
  parts.lpszUrlPath = path;
  parts.dwUrlPathLength = 16;
  ASSERT_EQ(crack(L"http://host/p", parts), 0u);
  EXPECT_EQ(std::wstring(host), L"host");
  EXPECT_EQ(parts.dwHostNameLength, 4u);
  EXPECT_EQ(std::wstring(path), L"/p");
  EXPECT_EQ(parts.dwUrlPathLength, 2u);

  parts.dwHostNameLength = 4; // no room for the terminator
  parts.dwUrlPathLength = 16;
  EXPECT_EQ(crack(L"http://HOST/long", parts), static_cast<DWORD>(ERROR_INSUFFICIENT_BUFFER));
  EXPECT_EQ(parts.dwHostNameLength, 5u);
  EXPECT_EQ(std::wstring(host), L"host");
  EXPECT_EQ(std::wstring(path), L"/long"); // what fits is given

  parts.dwHostNameLength = 0; // a buffer without room
  EXPECT_EQ(crack(L"http://host/p", parts), static_cast<DWORD>(ERROR_INVALID_PARAMETER));
}

TEST(crack_url, GET_06_errors) {
  const DWORD scheme = ERROR_WINHTTP_UNRECOGNIZED_SCHEME;
  const DWORD invalid = ERROR_WINHTTP_INVALID_URL;
  for (const wchar_t* url : {L"", L"host", L"/path", L"ws://host/", L"wss://host/", L"ftp://host/",
                             L"httpx://host/", L"host/a:b", L"://host", L"?a:b"}) {
    EXPECT_EQ(code_of(url), scheme);
  }
  for (const wchar_t* url :
       {L"http:", L"http:/", L"http:host", L"http://", L"http:///path", L"http://:80/",
        L"http://user@/", L"http://host:65536/", L"http://host:x/", L"http://host:-1/",
        L"http://[::1/", L"http://[::1]x/", L"http://ho\r\nst/", L"http://host/\x01"}) {
    EXPECT_EQ(code_of(url), invalid);
  }
  EXPECT_EQ(code_of(L"http://host:65535/"), 0u);
  EXPECT_EQ(code_of(L"http://host:0/"), 0u);
  EXPECT_EQ(code_of(L"http://user@host/"), 0u);
  EXPECT_EQ(code_of(L"http://user@host/", ICU_REJECT_USERPWD), invalid);

  URL_COMPONENTS parts = pointers();
  EXPECT_EQ(crack(nullptr, parts), static_cast<DWORD>(ERROR_INVALID_PARAMETER));
  parts.dwStructSize = 60;
  EXPECT_EQ(crack(L"http://host/", parts), static_cast<DWORD>(ERROR_INVALID_PARAMETER));
  EXPECT_FALSE(WinHttpCrackUrl(L"http://host/", 0, 0, nullptr));
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_INVALID_PARAMETER));
}

TEST(crack_url, decode_and_escape_need_buffers) {
  EXPECT_EQ(code_of(L"http://host/p", ICU_DECODE), static_cast<DWORD>(ERROR_INVALID_PARAMETER));
  EXPECT_EQ(code_of(L"http://host/p", ICU_ESCAPE), static_cast<DWORD>(ERROR_INVALID_PARAMETER));
  const auto changed = [](const wchar_t* url, DWORD flags) {
    wchar_t path[64];
    URL_COMPONENTS parts{};
    parts.dwStructSize = sizeof(parts);
    parts.lpszUrlPath = path;
    parts.dwUrlPathLength = 64;
    EXPECT_EQ(crack(url, parts, 0, flags), 0u);
    EXPECT_EQ(parts.dwUrlPathLength, std::wcslen(path));
    return std::wstring(path);
  };
  EXPECT_EQ(changed(L"http://h/a%20b%C3%A4%F0%9F%98%80", ICU_DECODE), L"/a b\u00E4\U0001F600");
  EXPECT_EQ(changed(L"http://h/%zz%2%00%41", ICU_DECODE), L"/%zz%2%00A");
  EXPECT_EQ(changed(L"http://h/a%E4", ICU_DECODE), L"/a\u00E4"); // not UTF-8: byte by byte
  EXPECT_EQ(changed(L"http://h/a b\u00E4\U0001F600\xD83D\xDE00", ICU_ESCAPE),
            L"/a%20b%C3%A4%F0%9F%98%80%F0%9F%98%80");
  EXPECT_EQ(changed(L"http://h/a%20b", ICU_ESCAPE), L"/a%20b");
  EXPECT_EQ(changed(L"http://h/a b", 0), L"/a b");
  wchar_t path[64];
  URL_COMPONENTS parts{};
  parts.dwStructSize = sizeof(parts);
  parts.lpszUrlPath = path;
  parts.dwUrlPathLength = 64;
  EXPECT_EQ(crack(L"http://h/\xD800", parts, 0, ICU_ESCAPE),
            static_cast<DWORD>(ERROR_INVALID_PARAMETER));
}

URL_COMPONENTS components(std::wstring& host, std::wstring& path) {
  URL_COMPONENTS parts{};
  parts.dwStructSize = sizeof(parts);
  parts.lpszHostName = host.data();
  parts.lpszUrlPath = path.data();
  return parts;
}

DWORD create(URL_COMPONENTS& parts, std::wstring& url, DWORD flags = 0) {
  wchar_t buffer[256];
  DWORD length = 256;
  SetLastError(99);
  const BOOL done = WinHttpCreateUrl(&parts, flags, buffer, &length);
  EXPECT_EQ(done != FALSE, GetLastError() == 0);
  if (done != FALSE) {
    EXPECT_EQ(length, std::wcslen(buffer)); // without the terminator
    url = buffer;
  }
  return GetLastError();
}

TEST(create_url, puts_the_parts_together) {
  std::wstring host = L"host";
  std::wstring path = L"/a b";
  std::wstring url;
  URL_COMPONENTS parts = components(host, path);
  EXPECT_EQ(create(parts, url), 0u);
  EXPECT_EQ(url, L"http://host/a b");
  EXPECT_EQ(create(parts, url, ICU_ESCAPE), 0u);
  EXPECT_EQ(url, L"http://host/a%20b");
  std::wstring user = L"u";
  std::wstring password = L"p";
  std::wstring extra = L"?q#f";
  std::wstring rest = L"pathless";
  parts.nScheme = INTERNET_SCHEME_HTTPS;
  parts.nPort = 8443;
  parts.lpszUserName = user.data();
  parts.lpszPassword = password.data();
  parts.lpszExtraInfo = extra.data();
  parts.lpszUrlPath = rest.data();
  parts.dwUrlPathLength = 4;
  EXPECT_EQ(create(parts, url), 0u);
  EXPECT_EQ(url, L"https://u:p@host:8443/path?q#f");
  parts.nPort = 443;
  parts.lpszPassword = nullptr;
  EXPECT_EQ(create(parts, url), 0u);
  EXPECT_EQ(url, L"https://u@host/path?q#f");
}

TEST(create_url, errors_and_lengths) {
  std::wstring host = L"host";
  std::wstring path = L"/p";
  std::wstring url;
  URL_COMPONENTS parts = components(host, path);
  wchar_t buffer[32];
  DWORD length = 13;
  EXPECT_FALSE(WinHttpCreateUrl(&parts, 0, buffer, &length));
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_INSUFFICIENT_BUFFER));
  EXPECT_EQ(length, 14u); // with the terminator
  EXPECT_TRUE(WinHttpCreateUrl(&parts, 0, buffer, &length));
  EXPECT_EQ(length, 13u);
  length = 32;
  EXPECT_FALSE(WinHttpCreateUrl(&parts, 0, nullptr, &length));
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_INSUFFICIENT_BUFFER));
  EXPECT_FALSE(WinHttpCreateUrl(nullptr, 0, buffer, &length));
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_INVALID_PARAMETER));
  EXPECT_FALSE(WinHttpCreateUrl(&parts, 0, buffer, nullptr));
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_INVALID_PARAMETER));
  std::wstring ftp = L"ftp";
  parts.lpszScheme = ftp.data();
  EXPECT_EQ(create(parts, url), static_cast<DWORD>(ERROR_WINHTTP_UNRECOGNIZED_SCHEME));
  parts.lpszScheme = nullptr;
  parts.lpszHostName = nullptr;
  EXPECT_EQ(create(parts, url), static_cast<DWORD>(ERROR_INVALID_PARAMETER));
  parts = components(host, path);
  parts.lpszPassword = host.data();
  EXPECT_EQ(create(parts, url), static_cast<DWORD>(ERROR_INVALID_PARAMETER));
  parts.dwStructSize = 1;
  EXPECT_EQ(create(parts, url), static_cast<DWORD>(ERROR_INVALID_PARAMETER));
}

TEST(create_url, undoes_crack_url) {
  for (const wchar_t* url : {L"http://host/", L"https://u:p@host:81/a/b?c=d#e", L"http://[::1]:8/x",
                             L"http://host?query"}) {
    URL_COMPONENTS parts = pointers();
    ASSERT_EQ(crack(url, parts), 0u);
    std::wstring made;
    EXPECT_EQ(create(parts, made), 0u);
    EXPECT_EQ(made, url);
  }
}

// RFC 3986 section 5.2.4 and 5.4.
TEST(url, dot_segments) {
  const struct {
    const char* path;
    const char* expected;
  } rows[] = {
      {"/a/b/c/./../../g", "/a/g"},
      {"/./g", "/g"},
      {"/../g", "/g"},
      {"/../../../g", "/g"},
      {"/a/b/.", "/a/b/"},
      {"/a/b/..", "/a/"},
      {"/..", "/"},
      {"/", "/"},
      {"/a//b", "/a//b"},
      {"/a/...", "/a/..."},
      {"/..a/.b", "/..a/.b"},
      {"", ""},
  };
  for (const auto& row : rows) {
    memory::growable<char> out;
    out.append("x");
    winhttp::append_without_dots(out, row.path);
    EXPECT_EQ(std::string(out.view()), std::string("x") + row.expected) << row.path;
  }
}

TEST(url, hosts) {
  for (const char* host : {"a", "example.org", "1.2.3.4", "::1", "fe80::1%eth0", "::ffff:1.2.3.4",
                           "under_score", "a-b"}) {
    EXPECT_TRUE(winhttp::is_host(host)) << host;
  }
  for (const char* host : {"", "a b", "a/b", "a:80", "g::1", "::1%", "::1%a%b", "::1%a:b", "a\tb",
                           "a%20", "[::1]", "\xC3\xA4"}) {
    EXPECT_FALSE(winhttp::is_host(host)) << host;
  }
  EXPECT_TRUE(winhttp::is_host(std::string(255, 'a')));
  EXPECT_FALSE(winhttp::is_host(std::string(256, 'a')));
}

} // namespace
} // namespace sluice::test
