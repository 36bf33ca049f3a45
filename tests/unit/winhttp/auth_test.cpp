// 401 and 407, WinHttpSetCredentials and WinHttpQueryAuthSchemes, and the options with names and
// passwords (sections 6, 7.3 and 20 of the contract).

#include "proxy_fixture.hpp"

#include <functional>
#include <string>
#include <vector>

namespace sluice::test {
namespace {

using authentication = backend_test;

constexpr DWORD of_server = WINHTTP_AUTH_TARGET_SERVER;
constexpr DWORD of_proxy = WINHTTP_AUTH_TARGET_PROXY;
constexpr const char* me_secret = "Basic bWU6c2VjcmV0"; // me:secret

constexpr const char* unauthorized = "HTTP/1.1 401 Unauthorized";
constexpr const char* asks_basic = "WWW-Authenticate: Basic realm=\"here\"\r\n";
constexpr const char* proxy_unauthorized = "HTTP/1.1 407 Who are you";
constexpr const char* proxy_asks_basic = "Proxy-Authenticate: Basic realm=\"proxy\"\r\n";

// A server or proxy that answers one connection after the other, each as its step says; the heads
// that it was sent.
class steps {
public:
  using step = std::function<void(peer_connection&, const std::string& head)>;
  explicit steps(std::vector<step> wanted)
      : peer_([this, wanted = std::move(wanted)](scripted_peer& on) {
          for (const step& one : wanted) {
            peer_connection to = on.accept_plain();
            heads_.push_back(to.read_request());
            one(to, heads_.back());
            to.expect_eof();
          }
        }) {}
  [[nodiscard]] std::uint16_t port() const { return peer_.port(); }
  [[nodiscard]] const std::vector<std::string>& heads() {
    peer_.join();
    return heads_;
  }

private:
  std::vector<std::string> heads_;
  scripted_peer peer_;
};

steps::step answer(std::string status_line, std::string fields = {}) {
  return [=](peer_connection& to, const std::string&) {
    to.send_response(status_line, fields, "body");
  };
}
const steps::step upgrade = [](peer_connection& to, const std::string&) { to.send_101(); };
const steps::step tunnel = [](peer_connection& to, const std::string&) {
  to.send("HTTP/1.1 200 OK\r\n\r\n");
  to.handshake();
};

struct schemes {
  DWORD code = 0;
  DWORD supported = 0xDEAD;
  DWORD first = 0xDEAD;
  DWORD target = 0xDEAD;
  friend bool operator==(const schemes&, const schemes&) = default;
};

schemes query_schemes(HINTERNET request) {
  schemes found;
  SetLastError(99);
  const BOOL good = WinHttpQueryAuthSchemes(request, &found.supported, &found.first, &found.target);
  found.code = GetLastError();
  EXPECT_EQ(good != FALSE, found.code == 0);
  return found;
}

bool set_basic(HINTERNET request, DWORD target, const wchar_t* user = L"me",
               const wchar_t* password = L"secret") {
  return WinHttpSetCredentials(request, target, WINHTTP_AUTH_SCHEME_BASIC, user, password,
                               nullptr) != FALSE;
}

bool exchange(const client& c) {
  return c.send() && c.receive();
}

void set_text(HINTERNET request, DWORD option, std::wstring text) {
  EXPECT_TRUE(WinHttpSetOption(request, option, text.data(), static_cast<DWORD>(text.size())))
      << GetLastError();
}

constexpr DWORD text_options[] = {WINHTTP_OPTION_USERNAME, WINHTTP_OPTION_PASSWORD,
                                  WINHTTP_OPTION_PROXY_USERNAME, WINHTTP_OPTION_PROXY_PASSWORD};

std::wstring query_text(HINTERNET request, DWORD option) {
  wchar_t text[64];
  DWORD length = sizeof(text);
  EXPECT_TRUE(WinHttpQueryOption(request, option, text, &length)) << GetLastError();
  EXPECT_EQ(length, (std::wcslen(text) + 1) * sizeof(wchar_t));
  return text;
}

// WinHttpSetCredentials and WinHttpQueryAuthSchemes

TEST_F(authentication, HSK_44_HSK_45_a_401_reaches_the_application_which_sends_again) {
  steps server({answer(unauthorized, asks_basic), upgrade});
  {
    const client c(server.port());
    ASSERT_TRUE(c.upgrade() && exchange(c)) << GetLastError();
    EXPECT_EQ(query_status(c.request), 401u);
    EXPECT_EQ(query_schemes(c.request),
              (schemes{0, WINHTTP_AUTH_SCHEME_BASIC, WINHTTP_AUTH_SCHEME_BASIC, of_server}));
    EXPECT_EQ(read_body(c.request), "body");
    ASSERT_TRUE(set_basic(c.request, of_server));
    ASSERT_TRUE(exchange(c)) << GetLastError();
    EXPECT_EQ(query_status(c.request), 101u);
    EXPECT_NE(unique_handle(WinHttpWebSocketCompleteUpgrade(c.request, 0)).get(), nullptr);
  }
  EXPECT_EQ(header_of(server.heads()[0], "Authorization"), std::nullopt);
  EXPECT_EQ(header_of(server.heads()[1], "Authorization"), me_secret);
}

TEST_F(authentication, GET_28_basic_is_sent_without_being_asked_for_and_kept_for_the_request) {
  steps server({upgrade, upgrade, answer("HTTP/1.1 204 No Content")});
  {
    client c(server.port());
    ASSERT_TRUE(WinHttpAddRequestHeaders(c.request, L"Authorization: Bearer mine", no_count,
                                         WINHTTP_ADDREQ_FLAG_ADD));
    ASSERT_TRUE(set_basic(c.request, of_server));
    for (int i = 0; i < 2; ++i) {
      ASSERT_TRUE(c.upgrade() && exchange(c)) << GetLastError();
    }
    // The password is nowhere to be read.
    EXPECT_EQ(
        query_header(c.request, WINHTTP_QUERY_AUTHORIZATION | WINHTTP_QUERY_FLAG_REQUEST_HEADERS),
        "Bearer mine");
    EXPECT_EQ(
        query_header(c.request, WINHTTP_QUERY_RAW_HEADERS_CRLF | WINHTTP_QUERY_FLAG_REQUEST_HEADERS)
            .value_or("")
            .find("Authorization"),
        std::string::npos);
    // Another request does not know of it.
    c.request = WinHttpOpenRequest(c.connection, nullptr, nullptr, nullptr, nullptr, nullptr, 0);
    ASSERT_TRUE(exchange(c)) << GetLastError();
  }
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(header_of(server.heads()[i], "Authorization"), me_secret);
    EXPECT_EQ(header_count(server.heads()[i], "Authorization"), 1u) << "it replaces the other";
  }
  EXPECT_EQ(header_of(server.heads()[2], "Authorization"), std::nullopt);
}

TEST_F(authentication, GET_28_STA_03_parameters_of_set_credentials) {
  const client c(1);
  const auto code = [](HINTERNET handle, DWORD target, DWORD scheme, const wchar_t* user,
                       const wchar_t* password, void* reserved) {
    SetLastError(99);
    const BOOL good = WinHttpSetCredentials(handle, target, scheme, user, password, reserved);
    EXPECT_EQ(good != FALSE, GetLastError() == 0);
    return GetLastError();
  };
  const DWORD basic = WINHTTP_AUTH_SCHEME_BASIC;
  const DWORD wrong = ERROR_INVALID_PARAMETER;
  const DWORD wrong_kind = ERROR_WINHTTP_INCORRECT_HANDLE_TYPE;
  EXPECT_EQ(code(c.request, of_server, basic, L"u", L"p", nullptr), 0u);
  EXPECT_EQ(code(nullptr, of_server, basic, L"u", L"p", nullptr),
            static_cast<DWORD>(ERROR_INVALID_HANDLE));
  EXPECT_EQ(code(c.session, of_server, basic, L"u", L"p", nullptr), wrong_kind);
  EXPECT_EQ(code(c.connection, of_server, basic, L"u", L"p", nullptr), wrong_kind);
  int something = 0;
  EXPECT_EQ(code(c.request, of_server, basic, L"u", L"p", &something), wrong);
  EXPECT_EQ(code(c.request, 2, basic, L"u", L"p", nullptr), wrong);
  EXPECT_EQ(code(c.request, of_server, basic, L"u", nullptr, nullptr), wrong);
  EXPECT_EQ(code(c.request, of_server, WINHTTP_AUTH_SCHEME_NEGOTIATE, L"u", L"p", nullptr),
            static_cast<DWORD>(ERROR_NOT_SUPPORTED));
}

TEST_F(authentication, HSK_44_query_auth_schemes_before_and_after) {
  steps server({answer("HTTP/1.1 200 OK", asks_basic),
                answer(unauthorized, "WWW-Authenticate: Negotiate, NTLM\r\n"
                                     "WWW-Authenticate: Digest realm=\"a, b\"\r\n"),
                answer(unauthorized), answer(unauthorized, "WWW-Authenticate: Bearer\r\n")});
  const client c(server.port());
  const schemes none{ERROR_INVALID_OPERATION};
  EXPECT_EQ(query_schemes(nullptr), (schemes{ERROR_INVALID_HANDLE}));
  EXPECT_EQ(query_schemes(c.session), (schemes{ERROR_WINHTTP_INCORRECT_HANDLE_TYPE}));
  EXPECT_EQ(query_schemes(c.request), none);
  DWORD value = 7;
  for (const auto& [supported, first, target] : {std::array<DWORD*, 3>{nullptr, &value, &value},
                                                 {&value, nullptr, &value},
                                                 {&value, &value, nullptr}}) {
    EXPECT_FALSE(WinHttpQueryAuthSchemes(c.request, supported, first, target));
    EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_INVALID_PARAMETER));
  }
  EXPECT_EQ(value, 7u);
  ASSERT_TRUE(c.send());
  EXPECT_EQ(query_schemes(c.request), none);
  ASSERT_TRUE(c.receive());
  EXPECT_EQ(query_schemes(c.request), none) << "200 asks for nothing";
  ASSERT_TRUE(exchange(c));
  EXPECT_EQ(query_schemes(c.request),
            (schemes{0,
                     WINHTTP_AUTH_SCHEME_NEGOTIATE | WINHTTP_AUTH_SCHEME_NTLM |
                         WINHTTP_AUTH_SCHEME_DIGEST,
                     WINHTTP_AUTH_SCHEME_NEGOTIATE, of_server}));
  ASSERT_TRUE(exchange(c));
  EXPECT_EQ(query_schemes(c.request), (schemes{ERROR_WINHTTP_HEADER_NOT_FOUND}));
  ASSERT_TRUE(exchange(c));
  EXPECT_EQ(query_schemes(c.request), (schemes{0, 0, 0, of_server}));
}

TEST_F(authentication, HSK_41_X_12_credentials_do_not_follow_a_redirect_to_another_server) {
  steps other({upgrade});
  const std::string elsewhere =
      "Location: http://127.0.0.1:" + std::to_string(other.port()) + "/\r\n";
  steps server({answer("HTTP/1.1 302 Found", "Location: /again\r\n"),
                answer("HTTP/1.1 302 Found", elsewhere)});
  {
    const client c(server.port());
    ASSERT_TRUE(set_basic(c.request, of_server));
    ASSERT_TRUE(c.upgrade() && exchange(c)) << GetLastError();
    EXPECT_EQ(query_status(c.request), 101u);
  }
  EXPECT_EQ(header_of(server.heads()[0], "Authorization"), me_secret);
  EXPECT_EQ(header_of(server.heads()[1], "Authorization"), me_secret) << "the same server";
  EXPECT_EQ(header_of(other.heads()[0], "Authorization"), std::nullopt);
}

TEST_F(authentication, X_12_the_options_do_not_answer_another_server_either) {
  steps other({answer(unauthorized, asks_basic)});
  steps server({answer("HTTP/1.1 302 Found",
                       "Location: http://127.0.0.1:" + std::to_string(other.port()) + "/\r\n")});
  {
    const client c(server.port());
    set_text(c.request, WINHTTP_OPTION_USERNAME, L"me");
    set_text(c.request, WINHTTP_OPTION_PASSWORD, L"secret");
    ASSERT_TRUE(c.upgrade() && exchange(c)) << GetLastError();
    EXPECT_EQ(query_status(c.request), 401u);
  }
  EXPECT_EQ(header_of(other.heads()[0], "Authorization"), std::nullopt);
}

// Proxies

TEST_F(authentication, PRX_04_HSK_44_a_407_is_visible_and_credentials_go_with_the_next_send) {
  steps proxy({answer(proxy_unauthorized, proxy_asks_basic), tunnel});
  {
    const proxied_client c(proxy.port());
    ASSERT_TRUE(c.upgrade() && exchange(c)) << GetLastError();
    EXPECT_EQ(query_status(c.request), 407u);
    EXPECT_EQ(query_schemes(c.request),
              (schemes{0, WINHTTP_AUTH_SCHEME_BASIC, WINHTTP_AUTH_SCHEME_BASIC, of_proxy}));
    EXPECT_EQ(read_body(c.request), "body");
    ASSERT_EQ(c.set_credentials(of_proxy, L"me", L"secret"), 0u);
    ASSERT_TRUE(exchange(c)) << GetLastError();
    EXPECT_EQ(query_status(c.request), 101u);
  }
  EXPECT_EQ(header_of(proxy.heads()[0], "Proxy-Authorization"), std::nullopt);
  EXPECT_EQ(header_of(proxy.heads()[1], "Proxy-Authorization"), me_secret);
  EXPECT_EQ(header_of(proxy.heads()[1], "Authorization"), std::nullopt);
}

TEST_F(authentication, PRX_04_a_proxy_that_did_not_ask_is_told_nothing) {
  steps proxy({answer(proxy_unauthorized, proxy_asks_basic), tunnel});
  steps other({answer("HTTP/1.1 403 Forbidden")});
  {
    const proxied_client c(proxy.port());
    // Given before the first request, kept back until the challenge.
    ASSERT_EQ(c.set_credentials(of_proxy, L"me", L"secret"), 0u);
    ASSERT_TRUE(c.upgrade() && exchange(c)) << GetLastError();
    EXPECT_EQ(query_status(c.request), 407u);
    ASSERT_TRUE(exchange(c)) << GetLastError();
    EXPECT_EQ(query_status(c.request), 101u);
    const std::wstring text = proxy_text(other.port());
    name_proxy(c.request, text);
    ASSERT_TRUE(exchange(c)) << GetLastError();
    EXPECT_EQ(query_status(c.request), 403u);
  }
  EXPECT_EQ(header_of(proxy.heads()[0], "Proxy-Authorization"), std::nullopt);
  EXPECT_EQ(header_of(proxy.heads()[1], "Proxy-Authorization"), me_secret);
  EXPECT_EQ(header_of(other.heads()[0], "Proxy-Authorization"), std::nullopt);
}

TEST_F(authentication, PRX_04_the_same_for_requests_that_the_proxy_gets_itself) {
  steps proxy({answer(proxy_unauthorized, proxy_asks_basic), answer("HTTP/1.1 200 OK")});
  {
    const proxied_client c(proxy.port());
    ASSERT_EQ(c.set_credentials(of_proxy, L"me", L"secret"), 0u);
    ASSERT_EQ(c.set_credentials(of_server, L"you", L"x"), 0u);
    ASSERT_TRUE(exchange(c)) << GetLastError();
    EXPECT_EQ(query_status(c.request), 407u);
    ASSERT_TRUE(exchange(c)) << GetLastError();
    EXPECT_EQ(query_status(c.request), 200u);
  }
  EXPECT_EQ(header_of(proxy.heads()[0], "Proxy-Authorization"), std::nullopt);
  EXPECT_EQ(header_of(proxy.heads()[1], "Proxy-Authorization"), me_secret);
  EXPECT_EQ(header_of(proxy.heads()[1], "Authorization"), "Basic eW91Ong=");
}

TEST_F(authentication, PRX_04_a_407_from_inside_a_tunnel_is_no_challenge_of_the_proxy) {
  const steps::step inside = [](peer_connection& to, const std::string& head) {
    EXPECT_EQ(header_of(head, "Proxy-Authorization"), std::nullopt);
    to.send("HTTP/1.1 200 OK\r\n\r\n");
    EXPECT_EQ(header_of(to.read_request(), "Proxy-Authorization"), std::nullopt);
    to.send_response(proxy_unauthorized, proxy_asks_basic, "phishing");
  };
  steps proxy({inside, inside});
  const proxied_client c(proxy.port());
  ASSERT_EQ(c.set_credentials(of_proxy, L"me", L"secret"), 0u);
  c.set_text(WINHTTP_OPTION_PROXY_USERNAME, L"me");
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(c.upgrade() && exchange(c)) << GetLastError();
    EXPECT_EQ(query_status(c.request), 407u);
  }
}

TEST_F(authentication, PRX_04_a_407_of_a_server_without_a_proxy_is_answered_by_nobody) {
  steps server(
      {answer(proxy_unauthorized, proxy_asks_basic), answer(proxy_unauthorized, proxy_asks_basic)});
  {
    const client c(server.port());
    ASSERT_TRUE(set_basic(c.request, of_proxy));
    for (int i = 0; i < 2; ++i) {
      ASSERT_TRUE(exchange(c)) << GetLastError();
      EXPECT_EQ(query_status(c.request), 407u);
    }
  }
  EXPECT_EQ(header_of(server.heads()[1], "Proxy-Authorization"), std::nullopt);
}

TEST_F(authentication, PRX_04_a_header_of_the_application_goes_to_the_proxy_alone) {
  steps proxy({[](peer_connection& to, const std::string&) {
    to.send("HTTP/1.1 200 OK\r\n\r\n");
    const std::string head = to.handshake();
    EXPECT_EQ(header_of(head, "Proxy-Authorization"), std::nullopt);
    EXPECT_EQ(header_of(head, "X-Mine"), "yes");
  }});
  {
    const proxied_client c(proxy.port());
    ASSERT_TRUE(WinHttpAddRequestHeaders(c.request,
                                         L"Proxy-Authorization: Bearer token\r\nX-Mine: yes",
                                         no_count, WINHTTP_ADDREQ_FLAG_ADD));
    ASSERT_TRUE(c.upgrade() && exchange(c)) << GetLastError();
  }
  EXPECT_EQ(header_of(proxy.heads()[0], "Proxy-Authorization"), "Bearer token");
}

// Options

TEST_F(authentication, GET_10_names_and_passwords_are_options_of_requests) {
  const client c(1);
  for (const DWORD option : text_options) {
    EXPECT_EQ(query_text(c.request, option), L"");
    set_text(c.request, option, L"text " + std::to_wstring(option));
    wchar_t bad[] = L"a\nb";
    EXPECT_FALSE(WinHttpSetOption(c.request, option, bad, 3));
    EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_INVALID_PARAMETER));
    EXPECT_FALSE(WinHttpSetOption(c.request, option, nullptr, 0));
    EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_INVALID_PARAMETER));
    EXPECT_FALSE(WinHttpSetOption(c.session, option, bad, 1));
    EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_WINHTTP_INCORRECT_HANDLE_TYPE));
    DWORD length = 4;
    EXPECT_FALSE(WinHttpQueryOption(c.request, option, bad, &length));
    EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_INSUFFICIENT_BUFFER));
    EXPECT_EQ(length, 10 * sizeof(wchar_t));
  }
  for (const DWORD option : text_options) {
    EXPECT_EQ(query_text(c.request, option), L"text " + std::to_wstring(option));
  }
  // What SetCredentials is told is not shown.
  ASSERT_TRUE(set_basic(c.request, of_server, L"chosen", L"x"));
  EXPECT_EQ(query_text(c.request, WINHTTP_OPTION_USERNAME),
            L"text " + std::to_wstring(WINHTTP_OPTION_USERNAME));
}

TEST_F(authentication, HSK_44_the_options_answer_the_first_challenge_by_themselves) {
  steps server({answer(unauthorized, asks_basic), upgrade, upgrade});
  {
    const client c(server.port());
    set_text(c.request, WINHTTP_OPTION_USERNAME, L"me");
    set_text(c.request, WINHTTP_OPTION_PASSWORD, L"secret");
    for (int i = 0; i < 2; ++i) {
      ASSERT_TRUE(c.upgrade() && exchange(c)) << GetLastError();
      EXPECT_EQ(query_status(c.request), 101u);
    }
  }
  EXPECT_EQ(header_of(server.heads()[0], "Authorization"), std::nullopt);
  EXPECT_EQ(header_of(server.heads()[1], "Authorization"), me_secret);
  EXPECT_NE(header_of(server.heads()[1], "Sec-WebSocket-Key"),
            header_of(server.heads()[0], "Sec-WebSocket-Key"));
  EXPECT_EQ(header_of(server.heads()[2], "Authorization"), me_secret) << "it has asked";
}

TEST_F(authentication, HSK_44_wrong_ones_are_tried_once) {
  steps server({answer(unauthorized, asks_basic), answer(unauthorized, asks_basic)});
  const client c(server.port());
  set_text(c.request, WINHTTP_OPTION_USERNAME, L"me");
  ASSERT_TRUE(exchange(c)) << GetLastError();
  EXPECT_EQ(query_status(c.request), 401u);
  EXPECT_EQ(read_body(c.request), "body");
}

TEST_F(authentication, OPT_15_what_keeps_the_options_from_answering) {
  const std::vector<std::function<void(const client&)>> reasons = {
      [](const client& c) {
        DWORD features = WINHTTP_DISABLE_AUTHENTICATION;
        EXPECT_TRUE(WinHttpSetOption(c.request, WINHTTP_OPTION_DISABLE_FEATURE, &features,
                                     sizeof(features)));
      },
      [](const client& c) { EXPECT_TRUE(set_basic(c.request, of_server, L"chosen", L"x")); },
      [](const client& c) { set_text(c.request, WINHTTP_OPTION_USERNAME, L""); },
  };
  for (const auto& reason : reasons) {
    steps server({answer(unauthorized, asks_basic)});
    const client c(server.port());
    set_text(c.request, WINHTTP_OPTION_USERNAME, L"me");
    reason(c);
    ASSERT_TRUE(exchange(c)) << GetLastError();
    EXPECT_EQ(query_status(c.request), 401u);
  }
  steps server({answer(unauthorized, "WWW-Authenticate: Negotiate\r\n")});
  const client c(server.port());
  set_text(c.request, WINHTTP_OPTION_USERNAME, L"me");
  ASSERT_TRUE(exchange(c)) << GetLastError();
  EXPECT_EQ(query_status(c.request), 401u);
}

TEST_F(authentication, PRX_04_options_for_proxy_and_server_answer_both) {
  const steps::step inside = [](peer_connection& to, const std::string& head) {
    EXPECT_EQ(header_of(head, "Proxy-Authorization"), "Basic cHJveHk6cA==");
    to.send("HTTP/1.1 200 OK\r\n\r\n");
    EXPECT_EQ(header_of(to.read_request(), "Authorization"), std::nullopt);
    to.send_response(unauthorized, asks_basic, "no");
  };
  steps proxy({answer(proxy_unauthorized, proxy_asks_basic), inside, tunnel});
  {
    const proxied_client c(proxy.port());
    c.set_text(WINHTTP_OPTION_PROXY_USERNAME, L"proxy");
    c.set_text(WINHTTP_OPTION_PROXY_PASSWORD, L"p");
    c.set_text(WINHTTP_OPTION_USERNAME, L"me");
    c.set_text(WINHTTP_OPTION_PASSWORD, L"secret");
    ASSERT_TRUE(c.upgrade() && exchange(c)) << GetLastError();
    EXPECT_EQ(query_status(c.request), 101u);
  }
  EXPECT_EQ(header_of(proxy.heads()[2], "Proxy-Authorization"), "Basic cHJveHk6cA==");
}

TEST_F(authentication, PRX_03_PRX_04_the_user_of_the_environment_answers_the_proxy) {
  steps proxy({answer(proxy_unauthorized, proxy_asks_basic), tunnel});
  {
    setenv("http_proxy", ("http://me:s%65cret@127.0.0.1:" + std::to_string(proxy.port())).c_str(),
           1);
    const unique_handle session =
        WinHttpOpen(nullptr, WINHTTP_ACCESS_TYPE_DEFAULT_PROXY, nullptr, nullptr, 0);
    unsetenv("http_proxy");
    client c(1);
    c.connection = WinHttpConnect(session, L"target.invalid", 0, 0);
    c.request = WinHttpOpenRequest(c.connection, nullptr, nullptr, nullptr, nullptr, nullptr, 0);
    ASSERT_TRUE(c.upgrade() && exchange(c)) << GetLastError();
    EXPECT_EQ(query_status(c.request), 101u);
  }
  EXPECT_EQ(header_of(proxy.heads()[0], "Proxy-Authorization"), std::nullopt);
  EXPECT_EQ(header_of(proxy.heads()[1], "Proxy-Authorization"), me_secret);
}

TEST_F(authentication, OPT_20_autologon_policy_is_kept_and_bounded) {
  const client c(1);
  for (DWORD level = 0; level < 5; ++level) {
    const bool good = level <= WINHTTP_AUTOLOGON_SECURITY_LEVEL_MAX;
    EXPECT_EQ(WinHttpSetOption(c.request, WINHTTP_OPTION_AUTOLOGON_POLICY, &level, sizeof(level)),
              good ? TRUE : FALSE);
    DWORD now = 99;
    DWORD length = sizeof(now);
    EXPECT_TRUE(WinHttpQueryOption(c.request, WINHTTP_OPTION_AUTOLOGON_POLICY, &now, &length));
    EXPECT_EQ(now, good ? level : level - 1);
  }
}

} // namespace
} // namespace sluice::test
