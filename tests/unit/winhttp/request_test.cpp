// Sections 5 and 6 of the contract for requests: opening, sending, and reading headers.

#include "backend_fixture.hpp"
#include "support/one_answer.hpp"
#include "support/winhttp_client.hpp"

#include <chrono>
#include <string>

namespace sluice::test {
namespace {

class requests : public backend_test {};

constexpr DWORD no_count = static_cast<DWORD>(-1);

// Sending

TEST_F(requests, GET_04_defaults_are_GET_slash_and_HTTP_1_1) {
  one_answer peer("HTTP/1.1 204 No Content\r\n\r\n");
  {
    client c(peer.port(), nullptr);
    ASSERT_TRUE(c.send()) << GetLastError();
    ASSERT_TRUE(c.receive()) << GetLastError();
    EXPECT_EQ(query_status(c.request), 204u);
    EXPECT_EQ(read_body(c.request), "");
  }
  EXPECT_EQ(peer.head().substr(0, peer.head().find("\r\n")), "GET / HTTP/1.1");
}

TEST_F(requests, GET_04_a_missing_slash_is_added_and_unsafe_characters_are_escaped) {
  const struct {
    const wchar_t* object;
    DWORD flags;
    const char* expected;
  } rows[] = {
      {L"a/b?c=d", 0, "/a/b?c=d"},
      {L"/a b", 0, "/a%20b"},
      {L"?q", 0, "/?q"},
      {L"/\u00E4/\U0001F600", 0, "/%C3%A4/%F0%9F%98%80"},
      {L"/\xD83D\xDE00", 0, "/%F0%9F%98%80"}, // WCH-03: a surrogate pair is one code point
      {L"/100%25", 0, "/100%25"},
      {L"/100%25", WINHTTP_FLAG_ESCAPE_PERCENT, "/100%2525"},
      {L"/<>\"\\^`{|}", 0, "/%3C%3E%22%5C%5E%60%7B%7C%7D"},
      {L"/a<?b<", WINHTTP_FLAG_ESCAPE_DISABLE_QUERY, "/a%3C?b<"},
      {L"/a<?b<", WINHTTP_FLAG_ESCAPE_DISABLE, "/a<?b<"},
      {L"/a#fragment", 0, "/a"},
      {L"/a\r\nHost: evil", 0, "/a%0D%0AHost:%20evil"},
  };
  for (const auto& row : rows) {
    one_answer peer("HTTP/1.1 204 No Content\r\n\r\n");
    {
      client c(peer.port(), row.object, row.flags);
      ASSERT_NE(c.request.get(), nullptr) << row.expected;
      ASSERT_TRUE(c.send()) << GetLastError();
    }
    EXPECT_EQ(peer.head().substr(0, peer.head().find("\r\n")),
              std::string("GET ") + row.expected + " HTTP/1.1");
  }
}

TEST_F(requests, GET_01_an_empty_agent_means_no_header_and_one_of_the_request_wins) {
  for (const int kind : {0, 1, 2}) {
    one_answer peer("HTTP/1.1 204 No Content\r\n\r\n");
    {
      const unique_handle session = WinHttpOpen(kind == 0   ? nullptr
                                                : kind == 1 ? L""
                                                            : L"of session",
                                                WINHTTP_ACCESS_TYPE_NO_PROXY, nullptr, nullptr, 0);
      const unique_handle connection = WinHttpConnect(session, L"127.0.0.1", peer.port(), 0);
      const unique_handle request =
          WinHttpOpenRequest(connection, L"GET", L"/", nullptr, nullptr, nullptr, 0);
      ASSERT_TRUE(WinHttpSendRequest(request, kind == 2 ? L"User-Agent: of request" : nullptr,
                                     kind == 2 ? no_count : 0, nullptr, 0, 0, 0));
    }
    EXPECT_EQ(header_of(peer.head(), "User-Agent").value_or("none"),
              kind == 2 ? "of request" : "none");
  }
}

TEST_F(requests, referrer_and_accept_types_become_headers) {
  one_answer peer("HTTP/1.1 204 No Content\r\n\r\n");
  {
    client c(peer.port());
    const wchar_t* types[] = {L"text/html", L"*/*", nullptr};
    c.request = WinHttpOpenRequest(c.connection, L"OPTIONS", L"/", L"HTTP/1.0",
                                   L"http://example.org/", types, 0);
    ASSERT_TRUE(c.send()) << GetLastError();
  }
  EXPECT_EQ(peer.head().substr(0, peer.head().find("\r\n")), "OPTIONS / HTTP/1.0");
  EXPECT_EQ(header_of(peer.head(), "Referer"), "http://example.org/");
  EXPECT_EQ(header_of(peer.head(), "Accept"), "text/html, */*");
}

TEST_F(requests, a_body_goes_out_behind_the_head_with_its_length) {
  for (const std::size_t size : {std::size_t{5}, std::size_t{16384}, std::size_t{3000000}}) {
    std::string body(size, '\0');
    for (std::size_t i = 0; i < size; ++i) {
      body[i] = static_cast<char>('a' + i % 23);
    }
    scripted_peer peer([&](scripted_peer& on) {
      peer_connection to = on.accept();
      const std::string head = to.read_request();
      EXPECT_EQ(header_of(head, "Content-Length"), std::to_string(size));
      EXPECT_EQ(header_count(head, "Content-Length"), 1u);
      EXPECT_EQ(to.read_exact(size), body);
      to.send_response("HTTP/1.1 200 OK");
      to.expect_eof();
    });
    client c(peer.port());
    c.request = WinHttpOpenRequest(c.connection, L"POST", L"/", nullptr, nullptr, nullptr, 0);
    ASSERT_TRUE(WinHttpSendRequest(c.request, L"Content-Length: 7", no_count, body.data(),
                                   static_cast<DWORD>(size), static_cast<DWORD>(size), 0))
        << GetLastError();
    ASSERT_TRUE(c.receive()) << GetLastError();
  }
}

TEST_F(requests, GET_18_X_07_an_upgrade_takes_no_body_and_a_total_holds_what_is_given) {
  client c(1);
  char body[] = "body";
  EXPECT_FALSE(WinHttpSendRequest(c.request, nullptr, 0, nullptr, 4, 4, 0));
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_INVALID_PARAMETER));
  EXPECT_FALSE(WinHttpSendRequest(c.request, nullptr, 0, body, 4, 3, 0));
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_INVALID_PARAMETER));
  ASSERT_TRUE(c.upgrade());
  EXPECT_FALSE(WinHttpSendRequest(c.request, nullptr, 0, nullptr, 0, 8, 0));
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_INVALID_PARAMETER));
  EXPECT_FALSE(WinHttpSendRequest(c.request, nullptr, 0, body, 4, 4, 0));
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_INVALID_PARAMETER));
}

TEST_F(requests, GET_05_a_secure_request_is_never_sent_in_plain_text) {
  scripted_peer peer([](scripted_peer& on) {
    {
      peer_connection to = on.accept_plain();
      EXPECT_EQ(to.read_raw().substr(0, 2), "\x16\x03"); // a handshake record (RFC 8446 5.1)
      to.send_raw("HTTP/1.1 400 Bad Request\r\n\r\n");
      (void)to.read_raw(); // an alert
    }
    peer_connection to = on.accept_plain(); // the request without the flag
    EXPECT_EQ(to.read_request().substr(0, 8), "GET /two");
    to.send_response("HTTP/1.1 400 Bad Request");
    to.expect_eof();
  });
  client c(peer.port(), L"/one", WINHTTP_FLAG_SECURE);
  EXPECT_FALSE(c.send());
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_WINHTTP_SECURE_FAILURE)); // TLS-07
  EXPECT_FALSE(c.receive());
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_WINHTTP_INCORRECT_HANDLE_STATE)); // GET-19
  c.request = WinHttpOpenRequest(c.connection, L"GET", L"/two", nullptr, nullptr, nullptr, 0);
  EXPECT_TRUE(c.send()) << GetLastError();
  EXPECT_TRUE(c.receive()) << GetLastError();
}

TEST_F(requests, GET_13_GET_16_a_refused_port_is_12029_soon_and_nothing_can_be_received) {
  const refusing_port nobody;
  client c(nobody.port());
  ASSERT_TRUE(c.upgrade());
  const auto start = std::chrono::steady_clock::now();
  EXPECT_FALSE(c.send());
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_WINHTTP_CANNOT_CONNECT));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  EXPECT_FALSE(c.receive());
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_WINHTTP_INCORRECT_HANDLE_STATE)); // GET-19
}

TEST_F(requests, GET_13_an_unknown_name_is_12007) {
  client c(1);
  c.connection = WinHttpConnect(c.session, L"no-such-host.invalid", 80, 0);
  c.request = WinHttpOpenRequest(c.connection, nullptr, nullptr, nullptr, nullptr, nullptr, 0);
  EXPECT_FALSE(c.send());
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_WINHTTP_NAME_NOT_RESOLVED));
}

TEST_F(requests, GET_03_names_and_bracketed_addresses_are_hosts) {
  scripted_peer peer([](scripted_peer& on) {
    peer_connection to = on.accept();
    EXPECT_EQ(header_of(to.read_request(), "Host").value_or("").substr(0, 10), "localhost:");
    to.send_response("HTTP/1.1 200 OK");
    to.expect_eof();
  });
  client c(1);
  EXPECT_NE(unique_handle(WinHttpConnect(c.session, L"[::1]", 80, 0)).get(), nullptr);
  EXPECT_NE(unique_handle(WinHttpConnect(c.session, L"::1", 80, 0)).get(), nullptr);
  c.connection = WinHttpConnect(c.session, L"localhost", peer.port(), 0);
  c.request = WinHttpOpenRequest(c.connection, nullptr, nullptr, nullptr, nullptr, nullptr, 0);
  EXPECT_TRUE(c.send()) << GetLastError();
  EXPECT_TRUE(c.receive()) << GetLastError();
}

TEST_F(requests, GET_03_GET_04_wrong_parameters_of_connect_and_open_request) {
  client c(1);
  const auto connect_code = [&](const wchar_t* server, DWORD reserved) {
    SetLastError(0);
    EXPECT_EQ(WinHttpConnect(c.session, server, 80, reserved), nullptr);
    return GetLastError();
  };
  EXPECT_EQ(connect_code(nullptr, 0), static_cast<DWORD>(ERROR_INVALID_PARAMETER));
  EXPECT_EQ(connect_code(L"host", 1), static_cast<DWORD>(ERROR_INVALID_PARAMETER));
  EXPECT_EQ(connect_code(L"\xD800", 0), static_cast<DWORD>(ERROR_INVALID_PARAMETER));
  // Names outside ASCII as well: WinHttpConnect's page leaves their conversion to the caller.
  for (const wchar_t* host : {L"", L"[]", L"a b", L"a/b", L"user@host", L"a\r\nb", L"h\u00F6st",
                              L"host:80", L"[::1]:80", L"a?b", L"a#b", L"a\\b", L"a%20b"}) {
    EXPECT_EQ(connect_code(host, 0), static_cast<DWORD>(ERROR_WINHTTP_INVALID_URL));
  }

  const auto open_code = [&](const wchar_t* verb, const wchar_t* object, const wchar_t* version,
                             const wchar_t* referrer, DWORD flags) {
    SetLastError(0);
    EXPECT_EQ(WinHttpOpenRequest(c.connection, verb, object, version, referrer, nullptr, flags),
              nullptr);
    return GetLastError();
  };
  const DWORD wrong = ERROR_INVALID_PARAMETER;
  EXPECT_EQ(open_code(L"GET /\r\nX:", L"/", nullptr, nullptr, 0), wrong);
  EXPECT_EQ(open_code(L"G T", L"/", nullptr, nullptr, 0), wrong);
  EXPECT_EQ(open_code(L"GET", L"/\xDC00", nullptr, nullptr, 0), wrong);
  EXPECT_EQ(open_code(L"GET", L"/", L"HTTP/9\r\n", nullptr, 0), wrong);
  EXPECT_EQ(open_code(L"GET", L"/", nullptr, L"a\r\nX: y", 0), wrong);
  EXPECT_EQ(open_code(L"GET", L"/", nullptr, nullptr, 1), wrong);
  EXPECT_EQ(open_code(L"GET", L"/a b", nullptr, nullptr, WINHTTP_FLAG_ESCAPE_DISABLE),
            static_cast<DWORD>(ERROR_WINHTTP_INVALID_URL));
}

TEST_F(requests, HND_07_a_context_of_send_replaces_the_old_one_unless_it_is_zero) {
  scripted_peer peer([](scripted_peer& on) {
    for (int i = 0; i < 2; ++i) {
      peer_connection to = on.accept();
      to.read_request();
      to.expect_eof();
    }
  });
  client c(peer.port());
  const auto context = [&] {
    DWORD_PTR value = 0;
    DWORD length = sizeof(value);
    EXPECT_TRUE(WinHttpQueryOption(c.request, WINHTTP_OPTION_CONTEXT_VALUE, &value, &length));
    return value;
  };
  EXPECT_TRUE(WinHttpSendRequest(c.request, nullptr, 0, nullptr, 0, 0, 0x1234));
  EXPECT_EQ(context(), 0x1234u);
  EXPECT_TRUE(WinHttpSendRequest(c.request, nullptr, 0, nullptr, 0, 0, 0));
  EXPECT_EQ(context(), 0x1234u);
}

// Query

TEST_F(requests, GET_21_response_headers_need_a_response) {
  scripted_peer peer([](scripted_peer& on) {
    peer_connection to = on.accept();
    to.read_request();
    to.send_response("HTTP/1.1 200 OK");
    to.expect_eof();
  });
  client c(peer.port());
  for (const bool sent : {false, true}) {
    if (sent) {
      ASSERT_TRUE(c.send()) << GetLastError();
    }
    EXPECT_EQ(query_header(c.request, WINHTTP_QUERY_STATUS_CODE), std::nullopt);
    EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_WINHTTP_INCORRECT_HANDLE_STATE));
    EXPECT_EQ(query_custom(c.request, L"Server"), std::nullopt);
    EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_WINHTTP_INCORRECT_HANDLE_STATE));
    EXPECT_EQ(query_custom(c.request, L"Nothing", WINHTTP_QUERY_FLAG_REQUEST_HEADERS),
              std::nullopt);
    EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_WINHTTP_HEADER_NOT_FOUND));
    DWORD available = 1;
    EXPECT_FALSE(WinHttpQueryDataAvailable(c.request, &available));
    EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_WINHTTP_INCORRECT_HANDLE_STATE));
    EXPECT_EQ(available, 1u);
  }
  ASSERT_TRUE(c.receive()) << GetLastError();
  EXPECT_EQ(query_header(c.request, WINHTTP_QUERY_STATUS_CODE), "200");
}

TEST_F(requests, GET_24_strings_numbers_dates_and_indexes) {
  one_answer peer("HTTP/1.1 207 Multi Status\r\n"
                  "Server: first\r\nX-Number: 42\r\nX-Big: 68719476736\r\nX-Text: abc\r\n"
                  "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                  "Set-Cookie: a=1\r\nset-cookie: b=2\r\nX-Empty:\r\nContent-Length: 0\r\n\r\n");
  client c(peer.port());
  ASSERT_TRUE(c.send()) << GetLastError();
  ASSERT_TRUE(c.receive()) << GetLastError();

  // WCH-01: bytes are 4 per character; too small counts the terminator, success does not.
  wchar_t buffer[6] = {L'x', L'x', L'x', L'x', L'x', L'x'};
  DWORD length = 0;
  EXPECT_FALSE(
      WinHttpQueryHeaders(c.request, WINHTTP_QUERY_SERVER, nullptr, nullptr, &length, nullptr));
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_INSUFFICIENT_BUFFER));
  EXPECT_EQ(length, 24u);
  length = 23;
  EXPECT_FALSE(
      WinHttpQueryHeaders(c.request, WINHTTP_QUERY_SERVER, nullptr, buffer, &length, nullptr));
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_INSUFFICIENT_BUFFER));
  EXPECT_EQ(length, 24u);
  EXPECT_EQ(buffer[0], L'x');
  SetLastError(1);
  EXPECT_TRUE(
      WinHttpQueryHeaders(c.request, WINHTTP_QUERY_SERVER, nullptr, buffer, &length, nullptr));
  EXPECT_EQ(GetLastError(), 0u);
  EXPECT_EQ(length, 20u);
  EXPECT_EQ(std::wstring(buffer), L"first");

  DWORD number = 0;
  length = sizeof(number);
  const auto query_number = [&](DWORD flags, const wchar_t* name, void* to) {
    return WinHttpQueryHeaders(c.request, WINHTTP_QUERY_CUSTOM | flags, name, to, &length, nullptr);
  };
  EXPECT_TRUE(query_number(WINHTTP_QUERY_FLAG_NUMBER, L"X-Number", &number));
  EXPECT_EQ(number, 42u);
  EXPECT_EQ(length, 4u);
  length = 3;
  EXPECT_FALSE(query_number(WINHTTP_QUERY_FLAG_NUMBER, L"X-Number", &number));
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_INSUFFICIENT_BUFFER));
  EXPECT_EQ(length, 4u);
  for (const wchar_t* name : {L"X-Text", L"X-Big", L"X-Empty"}) {
    length = sizeof(number);
    EXPECT_FALSE(query_number(WINHTTP_QUERY_FLAG_NUMBER, name, &number));
    EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_WINHTTP_INVALID_HEADER));
  }
  ULONGLONG big = 0;
  length = sizeof(big);
  EXPECT_TRUE(query_number(WINHTTP_QUERY_FLAG_NUMBER64, L"X-Big", &big));
  EXPECT_EQ(big, 68719476736u);
  SYSTEMTIME date{};
  length = sizeof(date);
  EXPECT_TRUE(WinHttpQueryHeaders(c.request, WINHTTP_QUERY_DATE | WINHTTP_QUERY_FLAG_SYSTEMTIME,
                                  nullptr, &date, &length, nullptr));
  EXPECT_EQ(date.wYear, 1994);
  EXPECT_EQ(date.wSecond, 37);

  DWORD index = 0;
  EXPECT_EQ(query_header(c.request, WINHTTP_QUERY_SET_COOKIE, nullptr, &index), "a=1");
  EXPECT_EQ(index, 1u);
  length = 4;
  EXPECT_FALSE(
      WinHttpQueryHeaders(c.request, WINHTTP_QUERY_SET_COOKIE, nullptr, buffer, &length, &index));
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_INSUFFICIENT_BUFFER));
  EXPECT_EQ(index, 1u) << "only success moves it on";
  EXPECT_EQ(query_header(c.request, WINHTTP_QUERY_SET_COOKIE, nullptr, &index), "b=2");
  EXPECT_EQ(index, 2u);
  EXPECT_EQ(query_header(c.request, WINHTTP_QUERY_SET_COOKIE, nullptr, &index), std::nullopt);
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_WINHTTP_HEADER_NOT_FOUND));
  EXPECT_EQ(index, 2u);

  EXPECT_EQ(query_custom(c.request, L"x-empty"), "");
  EXPECT_EQ(query_header(c.request, WINHTTP_QUERY_VERSION), "HTTP/1.1");
  EXPECT_EQ(query_header(c.request, WINHTTP_QUERY_STATUS_TEXT), "Multi Status");
  EXPECT_EQ(query_header(c.request, WINHTTP_QUERY_REQUEST_METHOD), "GET");
  const std::string raw = query_header(c.request, WINHTTP_QUERY_RAW_HEADERS_CRLF).value_or("");
  EXPECT_EQ(raw.substr(0, 27), "HTTP/1.1 207 Multi Status\r\n");
  EXPECT_EQ(raw.substr(raw.size() - 4), "\r\n\r\n");
  const std::string lines = query_header(c.request, WINHTTP_QUERY_RAW_HEADERS).value_or("");
  EXPECT_EQ(lines.substr(0, 40), std::string("HTTP/1.1 207 Multi Status\0Server: first\0", 40));
  const std::string own =
      query_header(c.request, WINHTTP_QUERY_RAW_HEADERS_CRLF | WINHTTP_QUERY_FLAG_REQUEST_HEADERS)
          .value_or("");
  c.request.reset();
  EXPECT_EQ(own, peer.head());
}

TEST_F(requests, GET_24_wrong_queries) {
  client c(1);
  wchar_t buffer[8];
  DWORD length = sizeof(buffer);
  EXPECT_FALSE(
      WinHttpQueryHeaders(c.request, WINHTTP_QUERY_SERVER, nullptr, buffer, nullptr, nullptr));
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_INVALID_PARAMETER));
  for (const DWORD level : {DWORD{WINHTTP_QUERY_CUSTOM}, DWORD{72}, DWORD{79}, DWORD{0xFFFE}}) {
    EXPECT_FALSE(WinHttpQueryHeaders(c.request, level, nullptr, buffer, &length, nullptr));
    EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_INVALID_PARAMETER)) << level;
  }
  EXPECT_FALSE(
      WinHttpQueryHeaders(c.session, WINHTTP_QUERY_SERVER, nullptr, buffer, &length, nullptr));
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_WINHTTP_INCORRECT_HANDLE_TYPE));
}

} // namespace
} // namespace sluice::test
