// Redirects: HSK-40 to HSK-43.

#include "backend_fixture.hpp"
#include "support/winhttp_client.hpp"

#include <functional>
#include <set>
#include <string>
#include <vector>

namespace sluice::test {
namespace {

class redirects : public backend_test {};

std::string here(const scripted_peer& on) {
  return "http://127.0.0.1:" + std::to_string(on.port());
}

std::string request_line(const std::string& head) {
  return head.substr(0, head.find("\r\n"));
}

// Answers one request with a redirect.
std::string redirect_once(scripted_peer& on, const std::string& location,
                          const char* status = "302 Found") {
  peer_connection to = on.accept();
  std::string head = to.read_request();
  to.send_response(std::string("HTTP/1.1 ") + status, "Location: " + location + "\r\n", "moved");
  to.expect_eof();
  return head;
}

TEST_F(redirects, HSK_40_HSK_41_every_status_and_form_is_followed_with_a_fresh_key) {
  const struct {
    const char* status;
    const char* location; // '@' stands for the origin
    const char* expected;
  } rows[] = {
      {"301 Moved", "/new", "/new"},
      {"302 Found", "other?q=1", "/a/other?q=1"},
      {"303 See Other", "../up/./x", "/up/x"},
      {"307 Temporary", "?only=query", "/a/b?only=query"},
      {"308 Permanent", "@/absolute?x#fragment", "/absolute?x"},
      {"302 Found", "@", "/"},
      {"302 Found", "@?q", "/?q"},
      {"302 Found", "/sp ace<", "/sp%20ace%3C"},
      {"302 Found", "#fragment", "/a/b"},
  };
  for (const auto& row : rows) {
    std::string first;
    std::string second;
    scripted_peer peer([&](scripted_peer& on) {
      std::string location = row.location;
      if (location.front() == '@') {
        location.replace(0, 1, here(on));
      }
      first = redirect_once(on, location, row.status);
      peer_connection to = on.accept();
      second = to.handshake();
      to.expect_eof();
    });
    {
      client c(peer.port(), L"/a/b?old");
      ASSERT_TRUE(c.upgrade());
      ASSERT_TRUE(WinHttpAddRequestHeaders(c.request,
                                           L"Authorization: Basic dTpw\r\nX-Own: kept\r\n"
                                           L"Sec-WebSocket-Protocol: chat",
                                           static_cast<DWORD>(-1), WINHTTP_ADDREQ_FLAG_ADD));
      ASSERT_TRUE(c.send()) << GetLastError();
      ASSERT_TRUE(c.receive()) << row.location << ": " << GetLastError();
      EXPECT_EQ(query_status(c.request), 101u);
      const unique_handle socket = WinHttpWebSocketCompleteUpgrade(c.request, 0);
      EXPECT_NE(socket.get(), nullptr);
    }
    peer.join();
    EXPECT_EQ(request_line(second), std::string("GET ") + row.expected + " HTTP/1.1");
    EXPECT_NE(header_of(first, "Sec-WebSocket-Key"), header_of(second, "Sec-WebSocket-Key"));
    EXPECT_EQ(header_count(second, "Sec-WebSocket-Key"), 1u);
    EXPECT_EQ(header_of(second, "X-Own"), "kept");
    EXPECT_EQ(header_of(second, "Authorization"), "Basic dTpw"); // the same origin
    EXPECT_EQ(header_of(second, "Upgrade"), "websocket");
  }
}

TEST_F(redirects, HSK_41_X_12_credentials_stay_with_their_origin) {
  std::string second;
  std::string third;
  scripted_peer other([&](scripted_peer& on) {
    peer_connection to = on.accept();
    second = to.read_request();
    to.send_response("HTTP/1.1 302 Found", header_of(second, "X-Back").value_or("") + "\r\n");
    to.expect_eof();
  });
  scripted_peer peer([&](scripted_peer& on) {
    redirect_once(on, here(other));
    peer_connection to = on.accept();
    third = to.read_request();
    to.send_response("HTTP/1.1 200 OK");
    to.expect_eof();
  });
  {
    client c(peer.port());
    const std::wstring lines = L"Authorization: secret\r\nCookie: s=1\r\nX-Back: Location: http://"
                               L"127.0.0.1:" +
                               std::to_wstring(peer.port()) + L"/back";
    ASSERT_TRUE(WinHttpAddRequestHeaders(c.request, lines.c_str(), static_cast<DWORD>(-1),
                                         WINHTTP_ADDREQ_FLAG_ADD));
    ASSERT_TRUE(c.send()) << GetLastError();
    ASSERT_TRUE(c.receive()) << GetLastError();
    EXPECT_EQ(query_status(c.request), 200u);
  }
  other.join();
  peer.join();
  EXPECT_EQ(header_count(second, "Authorization"), 0u);
  EXPECT_EQ(header_count(second, "Cookie"), 0u);
  EXPECT_EQ(header_of(second, "Host"), "127.0.0.1:" + std::to_string(other.port()));
  EXPECT_EQ(header_of(third, "Authorization"), "secret");
  EXPECT_EQ(header_of(third, "Host"), "127.0.0.1:" + std::to_string(peer.port()));
}

TEST_F(redirects, HSK_40_ten_are_followed_and_the_eleventh_is_12156) {
  for (const int count : {10, 11}) {
    scripted_peer peer([&](scripted_peer& on) {
      for (int i = 0; i < count; ++i) {
        redirect_once(on, std::to_string(i));
      }
      if (count == 10) {
        peer_connection to = on.accept();
        to.read_request();
        to.send_response("HTTP/1.1 200 OK");
        to.expect_eof();
      }
    });
    client c(peer.port());
    ASSERT_TRUE(c.send()) << GetLastError();
    EXPECT_EQ(c.receive(), count == 10);
    EXPECT_EQ(GetLastError(), count == 10 ? 0u : DWORD{ERROR_WINHTTP_REDIRECT_FAILED});
  }
}

TEST_F(redirects, HSK_40_the_number_is_an_option) {
  scripted_peer peer([](scripted_peer& on) { redirect_once(on, "/again"); });
  client c(peer.port());
  DWORD none = 0;
  ASSERT_TRUE(WinHttpSetOption(c.request, WINHTTP_OPTION_MAX_HTTP_AUTOMATIC_REDIRECTS, &none,
                               sizeof(none)));
  ASSERT_TRUE(c.send()) << GetLastError();
  EXPECT_FALSE(c.receive());
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_WINHTTP_REDIRECT_FAILED));
}

// A redirect that the application gets to see, with its body.
void expect_handed_over(const std::function<void(const client&)>& prepare,
                        const char* status = "302 Found", const char* verb = "GET",
                        const char* fields = "Location: /next\r\n") {
  const bool posts = std::string(verb) == "POST";
  scripted_peer peer([&](scripted_peer& on) {
    peer_connection to = on.accept();
    to.read_request();
    to.read_exact(posts ? 4 : 0);
    to.send_response(std::string("HTTP/1.1 ") + status, fields, "moved");
    to.expect_eof();
  });
  client c(peer.port());
  c.request = WinHttpOpenRequest(c.connection, posts ? L"POST" : L"GET", L"/", nullptr, nullptr,
                                 nullptr, 0);
  prepare(c);
  char body[] = "body";
  const DWORD size = posts ? 4 : 0;
  ASSERT_TRUE(WinHttpSendRequest(c.request, nullptr, 0, posts ? body : nullptr, size, size, 0))
      << GetLastError();
  ASSERT_TRUE(c.receive()) << GetLastError();
  EXPECT_GE(query_status(c.request), 300u);
  EXPECT_EQ(read_body(c.request), "moved");
}

TEST_F(redirects, HSK_40_some_are_the_applications_business) {
  const auto nothing = [](const client&) {};
  expect_handed_over([](const client& c) {
    DWORD features = WINHTTP_DISABLE_REDIRECTS;
    EXPECT_TRUE(
        WinHttpSetOption(c.request, WINHTTP_OPTION_DISABLE_FEATURE, &features, sizeof(features)));
  });
  // OPT-15: what was disabled stays so when something else is disabled.
  expect_handed_over([](const client& c) {
    for (DWORD features : {WINHTTP_DISABLE_REDIRECTS, WINHTTP_DISABLE_COOKIES}) {
      EXPECT_TRUE(
          WinHttpSetOption(c.request, WINHTTP_OPTION_DISABLE_FEATURE, &features, sizeof(features)));
    }
  });
  expect_handed_over([](const client& c) {
    DWORD policy = WINHTTP_OPTION_REDIRECT_POLICY_NEVER;
    EXPECT_TRUE(
        WinHttpSetOption(c.request, WINHTTP_OPTION_REDIRECT_POLICY, &policy, sizeof(policy)));
  });
  expect_handed_over(nothing, "305 Use Proxy");
  expect_handed_over(nothing, "302 Found", "GET", "");
  // The body is the caller's and cannot be sent again.
  expect_handed_over(nothing, "307 Temporary Redirect", "POST");
  expect_handed_over(nothing, "308 Permanent Redirect", "POST");
}

TEST_F(redirects, a_post_becomes_a_get_without_a_body) {
  for (const char* status : {"301 Moved", "302 Found", "303 See Other"}) {
    std::string second;
    scripted_peer peer([&](scripted_peer& on) {
      {
        peer_connection to = on.accept();
        to.read_request();
        to.read_exact(4);
        to.send_response(std::string("HTTP/1.1 ") + status, "Location: /result\r\n");
        to.expect_eof();
      }
      peer_connection to = on.accept();
      second = to.read_request();
      to.send_response("HTTP/1.1 200 OK");
      to.expect_eof();
    });
    {
      client c(peer.port());
      c.request = WinHttpOpenRequest(c.connection, L"POST", L"/", nullptr, nullptr, nullptr, 0);
      char body[] = "body";
      ASSERT_TRUE(WinHttpSendRequest(c.request, nullptr, 0, body, 4, 4, 0)) << GetLastError();
      ASSERT_TRUE(c.receive()) << GetLastError();
      EXPECT_EQ(query_header(c.request, WINHTTP_QUERY_REQUEST_METHOD), "GET");
    }
    peer.join();
    EXPECT_EQ(request_line(second), "GET /result HTTP/1.1");
    EXPECT_EQ(header_count(second, "Content-Length"), 0u);
  }
}

DWORD code_of_location(const std::string& location, bool reject_userpwd = false) {
  scripted_peer peer([&](scripted_peer& on) { redirect_once(on, location); });
  client c(peer.port());
  DWORD reject = reject_userpwd ? 1 : 0;
  EXPECT_TRUE(
      WinHttpSetOption(c.request, WINHTTP_OPTION_REJECT_USERPWD_IN_URL, &reject, sizeof(reject)));
  EXPECT_TRUE(c.send()) << GetLastError();
  EXPECT_FALSE(c.receive());
  return GetLastError();
}

TEST_F(redirects, HSK_43_X_13_unusable_locations) {
  const refusing_port nobody;
  const std::string port = std::to_string(nobody.port());
  EXPECT_EQ(code_of_location("ws://127.0.0.1/"),
            static_cast<DWORD>(ERROR_WINHTTP_UNRECOGNIZED_SCHEME));
  EXPECT_EQ(code_of_location("wss://127.0.0.1/"),
            static_cast<DWORD>(ERROR_WINHTTP_UNRECOGNIZED_SCHEME));
  EXPECT_EQ(code_of_location("http://"), static_cast<DWORD>(ERROR_WINHTTP_INVALID_URL));
  EXPECT_EQ(code_of_location("http://ho st/"), static_cast<DWORD>(ERROR_WINHTTP_INVALID_URL));
  EXPECT_EQ(code_of_location("http://host:99999/"), static_cast<DWORD>(ERROR_WINHTTP_INVALID_URL));
  EXPECT_EQ(code_of_location("//127.0.0.1:" + port + "/"),
            static_cast<DWORD>(ERROR_WINHTTP_CANNOT_CONNECT));
  EXPECT_EQ(code_of_location("http://u:p@127.0.0.1:" + port + "/"),
            static_cast<DWORD>(ERROR_WINHTTP_CANNOT_CONNECT));
  EXPECT_EQ(code_of_location("http://u:p@127.0.0.1:" + port + "/", true),
            static_cast<DWORD>(ERROR_WINHTTP_INVALID_URL));
  // Never in plain text what was to be secure.
  EXPECT_EQ(code_of_location("https://127.0.0.1:" + port + "/"),
            static_cast<DWORD>(ERROR_WINHTTP_CANNOT_CONNECT));
}

TEST_F(redirects, HSK_42_the_new_url_is_told_and_queried) {
  scripted_peer peer([](scripted_peer& on) {
    redirect_once(on, "/next?x");
    peer_connection to = on.accept();
    to.read_request();
    to.send_response("HTTP/1.1 200 OK");
    to.expect_eof();
    // GET-17: sent again, it starts where it did.
    peer_connection again = on.accept();
    EXPECT_EQ(request_line(again.read_request()), "GET /first HTTP/1.1");
    again.send_response("HTTP/1.1 200 OK");
    again.expect_eof();
  });
  struct told {
    std::wstring url;
    DWORD length = 0;
  } seen;
  const auto callback = [](HINTERNET, DWORD_PTR context, DWORD, LPVOID info, DWORD length) {
    *reinterpret_cast<told*>(context) = {static_cast<const wchar_t*>(info), length};
  };
  client c(peer.port(), L"/first");
  EXPECT_EQ(WinHttpSetStatusCallback(c.request, callback, WINHTTP_CALLBACK_FLAG_REDIRECT, 0),
            nullptr);
  ASSERT_TRUE(
      WinHttpSendRequest(c.request, nullptr, 0, nullptr, 0, 0, reinterpret_cast<DWORD_PTR>(&seen)));
  ASSERT_TRUE(c.receive()) << GetLastError();
  const std::wstring expected = L"http://127.0.0.1:" + std::to_wstring(peer.port()) + L"/next?x";
  EXPECT_EQ(seen.url, expected);
  EXPECT_EQ(seen.length, expected.size());
  wchar_t url[128];
  DWORD length = sizeof(url);
  EXPECT_TRUE(WinHttpQueryOption(c.request, WINHTTP_OPTION_URL, url, &length));
  EXPECT_EQ(std::wstring(url), expected);
  ASSERT_TRUE(c.send()) << GetLastError();
  ASSERT_TRUE(c.receive()) << GetLastError();
}

} // namespace
} // namespace sluice::test
