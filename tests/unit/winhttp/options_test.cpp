// Section 17 of the contract, and the rules of SetOption, QueryOption and SetTimeouts in section 6.

#include "backend_fixture.hpp"
#include "open_client.hpp"
#include "winhttp/options.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstdlib>
#include <cstring>
#include <string>

namespace sluice::test {
namespace {

class options : public backend_test {};

constexpr DWORD ok = ERROR_SUCCESS;
constexpr DWORD wrong_kind = ERROR_WINHTTP_INCORRECT_HANDLE_TYPE;
constexpr DWORD wrong_value = ERROR_INVALID_PARAMETER;
constexpr DWORD wrong_size = ERROR_INSUFFICIENT_BUFFER;
constexpr DWORD unknown = ERROR_WINHTTP_INVALID_OPTION;
constexpr DWORD read_only = ERROR_WINHTTP_OPTION_NOT_SETTABLE;

DWORD set_bytes(HINTERNET handle, DWORD option, void* buffer, DWORD length) {
  SetLastError(99);
  const BOOL done = WinHttpSetOption(handle, option, buffer, length);
  EXPECT_EQ(done != FALSE, GetLastError() == 0);
  return GetLastError();
}

DWORD set_dword(HINTERNET handle, DWORD option, DWORD value) {
  return set_bytes(handle, option, &value, sizeof(value));
}

DWORD query_bytes(HINTERNET handle, DWORD option, void* buffer, DWORD* length) {
  SetLastError(99);
  const BOOL done = WinHttpQueryOption(handle, option, buffer, length);
  EXPECT_EQ(done != FALSE, GetLastError() == 0);
  return GetLastError();
}

// The code of a DWORD query.
DWORD query_code(HINTERNET handle, DWORD option) {
  DWORD value = 0;
  DWORD length = sizeof(value);
  return query_bytes(handle, option, &value, &length);
}

DWORD query_dword(HINTERNET handle, DWORD option) {
  DWORD value = 0xDEAD;
  DWORD length = sizeof(value);
  EXPECT_EQ(query_bytes(handle, option, &value, &length), ok) << option;
  EXPECT_EQ(length, sizeof(value));
  return value;
}

struct codes {
  DWORD session;
  DWORD connection;
  DWORD request;
  DWORD socket;
  friend bool operator==(const codes&, const codes&) = default;
};
void PrintTo(const codes& value, std::ostream* out) {
  *out << "{" << value.session << ", " << value.connection << ", " << value.request << ", "
       << value.socket << "}";
}

codes set_on_all(const open_client& on, DWORD option, DWORD value) {
  return {set_dword(on.c.session, option, value), set_dword(on.c.connection, option, value),
          set_dword(on.c.request, option, value), set_dword(on.socket, option, value)};
}

codes query_on_all(const open_client& on, DWORD option) {
  return {query_code(on.c.session, option), query_code(on.c.connection, option),
          query_code(on.c.request, option), query_code(on.socket, option)};
}

// The port of an address that is 127.0.0.1, or 0.
std::uint16_t loopback_port(const SOCKADDR_STORAGE& of) {
  sockaddr_in address{};
  std::memcpy(&address, &of, sizeof(address));
  return of.ss_family == AF_INET && address.sin_addr.s_addr == htonl(INADDR_LOOPBACK)
             ? ntohs(address.sin_port)
             : std::uint16_t{0};
}

TEST_F(options, X_55_the_ends_of_the_connection_are_known_from_SendRequest_on) {
  scripted_peer peer([](scripted_peer& on) {
    peer_connection to = on.accept();
    to.handshake();
    to.expect_eof();
  });
  client c(peer.port());
  WINHTTP_CONNECTION_INFO info{};
  DWORD length = sizeof(info);
  EXPECT_EQ(query_bytes(c.request, WINHTTP_OPTION_CONNECTION_INFO, &info, &length),
            DWORD{ERROR_WINHTTP_INCORRECT_HANDLE_STATE});
  ASSERT_TRUE(c.upgrade() && c.send() && c.receive());
  length = sizeof(info) - 1;
  EXPECT_EQ(query_bytes(c.request, WINHTTP_OPTION_CONNECTION_INFO, &info, &length), wrong_size);
  EXPECT_EQ(length, sizeof(info));
  EXPECT_EQ(info.cbSize, 0u);
  const unique_handle socket(WinHttpWebSocketCompleteUpgrade(c.request, 0));
  ASSERT_EQ(query_bytes(c.request, WINHTTP_OPTION_CONNECTION_INFO, &info, &length), ok);
  EXPECT_EQ(info.cbSize, sizeof(info));
  EXPECT_EQ(loopback_port(info.RemoteAddress), peer.port());
  EXPECT_NE(loopback_port(info.LocalAddress), 0);
  // TLS-12: nothing of TLS is known about a connection without it.
  for (const DWORD option : {DWORD{WINHTTP_OPTION_SECURITY_KEY_BITNESS},
                             DWORD{WINHTTP_OPTION_SECURITY_CERTIFICATE_STRUCT}}) {
    WINHTTP_CERTIFICATE_INFO certificate{};
    length = sizeof(certificate);
    EXPECT_EQ(query_bytes(c.request, option, &certificate, &length),
              DWORD{ERROR_WINHTTP_INCORRECT_HANDLE_STATE});
    EXPECT_EQ(length, sizeof(certificate));
  }
  for (const DWORD option :
       {DWORD{WINHTTP_OPTION_CONNECTION_INFO}, DWORD{WINHTTP_OPTION_SECURITY_KEY_BITNESS},
        DWORD{WINHTTP_OPTION_SECURITY_CERTIFICATE_STRUCT}}) {
    EXPECT_EQ(query_code(c.session, option), wrong_kind);
    EXPECT_EQ(query_code(c.connection, option), wrong_kind);
    EXPECT_EQ(query_code(socket, option), wrong_kind);
    EXPECT_EQ(set_dword(c.request, option, 0), read_only);
    EXPECT_EQ(set_dword(c.session, option, 0), wrong_kind);
  }
}

TEST_F(options, OPT_01_OPT_05_OPT_08_OPT_12_to_OPT_20_which_kind_takes_which_option) {
  const open_client on;
  const struct {
    DWORD option;
    DWORD value;
    codes set;
    codes query;
  } rows[] = {
      // OPT-02, OPT-03
      {WINHTTP_OPTION_WEB_SOCKET_RECEIVE_BUFFER_SIZE,
       4096,
       {ok, wrong_kind, ok, wrong_kind},
       {ok, wrong_kind, ok, wrong_kind}},
      {WINHTTP_OPTION_WEB_SOCKET_SEND_BUFFER_SIZE,
       4096,
       {ok, wrong_kind, ok, wrong_kind},
       {ok, wrong_kind, ok, wrong_kind}},
      // OPT-04, OPT-05
      {WINHTTP_OPTION_WEB_SOCKET_KEEPALIVE_INTERVAL,
       20000,
       {wrong_kind, wrong_kind, wrong_kind, ok},
       {wrong_value, wrong_value, wrong_value, wrong_value}},
      // OPT-08
      {WINHTTP_OPTION_WEB_SOCKET_CLOSE_TIMEOUT,
       1000,
       {wrong_kind, wrong_kind, wrong_kind, ok},
       {wrong_kind, wrong_kind, wrong_kind, ok}},
      // OPT-10
      {WINHTTP_OPTION_HANDLE_TYPE,
       1,
       {read_only, read_only, read_only, read_only},
       {ok, ok, ok, ok}},
      // OPT-12, OPT-13
      {WINHTTP_OPTION_SECURITY_FLAGS,
       0,
       {wrong_kind, wrong_kind, ok, wrong_kind},
       {wrong_kind, wrong_kind, ok, wrong_kind}},
      {WINHTTP_OPTION_SECURE_PROTOCOLS,
       WINHTTP_FLAG_SECURE_PROTOCOL_TLS1_2,
       {ok, wrong_kind, wrong_kind, wrong_kind},
       {wrong_value, wrong_kind, wrong_kind, wrong_kind}},
      // OPT-14
      {WINHTTP_OPTION_RESOLVE_TIMEOUT,
       1,
       {ok, wrong_kind, ok, wrong_kind},
       {ok, ok, ok, wrong_kind}},
      {WINHTTP_OPTION_CONNECT_TIMEOUT,
       1,
       {ok, wrong_kind, ok, wrong_kind},
       {ok, ok, ok, wrong_kind}},
      {WINHTTP_OPTION_SEND_TIMEOUT, 1, {ok, wrong_kind, ok, wrong_kind}, {ok, ok, ok, wrong_kind}},
      {WINHTTP_OPTION_RECEIVE_TIMEOUT,
       1,
       {ok, wrong_kind, ok, wrong_kind},
       {ok, ok, ok, wrong_kind}},
      {WINHTTP_OPTION_RECEIVE_RESPONSE_TIMEOUT,
       1,
       {ok, wrong_kind, ok, wrong_kind},
       {ok, ok, ok, wrong_kind}},
      // OPT-15
      {WINHTTP_OPTION_DISABLE_FEATURE,
       WINHTTP_DISABLE_COOKIES,
       {wrong_kind, wrong_kind, ok, wrong_kind},
       {wrong_kind, wrong_kind, wrong_value, wrong_kind}},
      // OPT-16
      {WINHTTP_OPTION_ENABLE_FEATURE,
       WINHTTP_ENABLE_SSL_REVOCATION,
       {wrong_kind, wrong_kind, ok, wrong_kind},
       {wrong_kind, wrong_kind, wrong_value, wrong_kind}},
      // OPT-17
      {WINHTTP_OPTION_WORKER_THREAD_COUNT,
       1,
       {read_only, read_only, read_only, wrong_kind},
       {ok, ok, ok, wrong_kind}},
      // OPT-18
      {WINHTTP_OPTION_REDIRECT_POLICY,
       2,
       {ok, wrong_kind, ok, wrong_kind},
       {ok, wrong_kind, ok, wrong_kind}},
      // OPT-20, X-42, X-43, NOT-18
      {0x7777, 1, {unknown, unknown, unknown, unknown}, {unknown, unknown, unknown, unknown}},
      {WINHTTP_OPTION_UNLOAD_NOTIFY_EVENT,
       1,
       {unknown, unknown, unknown, unknown},
       {unknown, unknown, unknown, unknown}},
      {WINHTTP_OPTION_CLIENT_CERT_CONTEXT,
       1,
       {unknown, unknown, unknown, unknown},
       {unknown, unknown, unknown, unknown}},
      {WINHTTP_OPTION_SERVER_CERT_CONTEXT,
       1,
       {unknown, unknown, unknown, unknown},
       {unknown, unknown, unknown, unknown}},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(query_on_all(on, row.option), row.query) << "query " << row.option;
    EXPECT_EQ(set_on_all(on, row.option, row.value), row.set) << "set " << row.option;
  }
}

TEST_F(options, OPT_01_GET_08_X_06_upgrade_is_set_on_requests_only_and_takes_no_data) {
  const open_client on;
  const DWORD option = WINHTTP_OPTION_UPGRADE_TO_WEB_SOCKET;
  EXPECT_EQ(set_bytes(on.c.request, option, nullptr, 0), ok);
  EXPECT_EQ(set_bytes(on.c.request, option, nullptr, 4), wrong_value); // GET-09
  for (const HINTERNET other : {on.c.session.get(), on.c.connection.get(), on.socket.get()}) {
    EXPECT_EQ(set_bytes(other, option, nullptr, 0), wrong_kind);
    EXPECT_EQ(query_code(other, option), wrong_kind);
  }
  EXPECT_EQ(query_code(on.c.request, option), wrong_value);
}

TEST_F(options, GET_09_sizes_of_a_set) {
  client c(1);
  DWORD value = 5;
  unsigned char bytes[8] = {};
  const DWORD option = WINHTTP_OPTION_CONNECT_TIMEOUT;
  EXPECT_EQ(set_bytes(c.request, option, nullptr, 4), wrong_value);
  EXPECT_EQ(set_bytes(c.request, option, nullptr, 0), wrong_size);
  EXPECT_EQ(set_bytes(c.request, option, bytes, 3), wrong_size);
  EXPECT_EQ(set_bytes(c.request, option, bytes, 5), wrong_size);
  EXPECT_EQ(query_dword(c.request, option), 60000u); // nothing happened
  EXPECT_EQ(set_bytes(c.request, option, &value, 4), ok);
  EXPECT_EQ(query_dword(c.request, option), 5u);
  // OPT-15
  EXPECT_EQ(set_bytes(c.request, WINHTTP_OPTION_DISABLE_FEATURE, bytes, 3), wrong_size);
  EXPECT_EQ(set_bytes(c.request, WINHTTP_OPTION_DISABLE_FEATURE, bytes, 5), wrong_size);
  EXPECT_EQ(set_bytes(c.request, WINHTTP_OPTION_DISABLE_FEATURE, nullptr, 4), wrong_value);
}

TEST_F(options, GET_10_sizes_of_a_query) {
  client c(1);
  DWORD value[4] = {1, 1, 1, 1};
  const DWORD option = WINHTTP_OPTION_REDIRECT_POLICY;
  EXPECT_EQ(query_bytes(c.session, option, value, nullptr), wrong_value);
  DWORD length = 0;
  EXPECT_EQ(query_bytes(c.session, option, nullptr, &length), wrong_size);
  EXPECT_EQ(length, 4u);
  length = 100;
  EXPECT_EQ(query_bytes(c.session, option, nullptr, &length), wrong_size);
  EXPECT_EQ(length, 4u);
  length = 3;
  EXPECT_EQ(query_bytes(c.session, option, value, &length), wrong_size);
  EXPECT_EQ(length, 4u);
  length = sizeof(value);
  EXPECT_EQ(query_bytes(c.session, option, value, &length), ok);
  EXPECT_EQ(length, 4u); // the real size
  EXPECT_EQ(value[1], 1u);
}

TEST_F(options, OPT_04_keepalive_cannot_be_queried_also_without_a_buffer) {
  const open_client on;
  for (const HINTERNET handle :
       {on.c.session.get(), on.c.connection.get(), on.c.request.get(), on.socket.get()}) {
    DWORD length = 0;
    EXPECT_EQ(query_bytes(handle, WINHTTP_OPTION_WEB_SOCKET_KEEPALIVE_INTERVAL, nullptr, &length),
              wrong_value);
  }
}

TEST_F(options, OPT_05_keepalive_values_of_a_socket) {
  const open_client on;
  const DWORD option = WINHTTP_OPTION_WEB_SOCKET_KEEPALIVE_INTERVAL;
  unsigned char bytes[8] = {};
  EXPECT_EQ(set_bytes(on.socket, option, bytes, 3), wrong_value);
  EXPECT_EQ(set_bytes(on.socket, option, bytes, 5), wrong_value);
  EXPECT_EQ(set_bytes(on.socket, option, nullptr, 4), wrong_value);
  EXPECT_EQ(set_dword(on.socket, option, 14999), wrong_value);
  EXPECT_EQ(set_dword(on.socket, option, 15000), ok);
}

TEST_F(options, OPT_08_TMO_06_X_40_close_timeout_of_a_socket) {
  const open_client on;
  const DWORD option = WINHTTP_OPTION_WEB_SOCKET_CLOSE_TIMEOUT;
  EXPECT_EQ(query_dword(on.socket, option), 10000u);
  unsigned char bytes[8] = {};
  EXPECT_EQ(set_bytes(on.socket, option, bytes, 3), wrong_value);
  for (const DWORD value : {DWORD{1000}, DWORD{0}, DWORD{0xFFFFFFFF}}) {
    EXPECT_EQ(set_dword(on.socket, option, value), ok);
    EXPECT_EQ(query_dword(on.socket, option), value);
  }
}

TEST_F(options, OPT_07_buffer_sizes_reach_later_requests_only) {
  client c(1);
  for (const DWORD option : {DWORD{WINHTTP_OPTION_WEB_SOCKET_RECEIVE_BUFFER_SIZE},
                             DWORD{WINHTTP_OPTION_WEB_SOCKET_SEND_BUFFER_SIZE}}) {
    EXPECT_EQ(query_dword(c.session, option), 32768u);
    EXPECT_EQ(query_dword(c.request, option), 32768u);
    EXPECT_EQ(set_dword(c.session, option, 65536), ok);
    EXPECT_EQ(query_dword(c.request, option), 32768u);
    const unique_handle later =
        WinHttpOpenRequest(c.connection, nullptr, nullptr, nullptr, nullptr, nullptr, 0);
    EXPECT_EQ(query_dword(later, option), 65536u);
    EXPECT_EQ(set_dword(later, option, 0), ok); // OPT-06: any value may be set
    EXPECT_EQ(query_dword(c.session, option), 65536u);
  }
}

TEST_F(options, OPT_09_HND_06_context_value_on_every_kind) {
  const open_client on;
  for (const HINTERNET handle :
       {on.c.session.get(), on.c.connection.get(), on.c.request.get(), on.socket.get()}) {
    DWORD_PTR value = 0x123456789ABCull;
    const DWORD option = WINHTTP_OPTION_CONTEXT_VALUE;
    EXPECT_EQ(set_bytes(handle, option, &value, 4), wrong_size);
    EXPECT_EQ(set_bytes(handle, option, &value, 9), wrong_size);
    EXPECT_EQ(set_bytes(handle, option, nullptr, 8), wrong_value);
    EXPECT_EQ(set_bytes(handle, option, &value, 8), ok);
    DWORD_PTR read = 0;
    DWORD length = 4;
    EXPECT_EQ(query_bytes(handle, option, &read, &length), wrong_size);
    EXPECT_EQ(length, 8u);
    EXPECT_EQ(query_bytes(handle, option, &read, &length), ok);
    EXPECT_EQ(read, value);
  }
}

TEST_F(options, OPT_10_OPT_11_X_41_type_and_parent) {
  open_client on;
  const auto parent = [](HINTERNET handle, DWORD expected = ok) {
    HINTERNET value = nullptr;
    DWORD length = sizeof(value);
    EXPECT_EQ(query_bytes(handle, WINHTTP_OPTION_PARENT_HANDLE, &value, &length), expected);
    return value;
  };
  EXPECT_EQ(query_dword(on.c.session, WINHTTP_OPTION_HANDLE_TYPE), 1u);
  EXPECT_EQ(query_dword(on.c.connection, WINHTTP_OPTION_HANDLE_TYPE), 2u);
  EXPECT_EQ(query_dword(on.c.request, WINHTTP_OPTION_HANDLE_TYPE), 3u);
  EXPECT_EQ(query_dword(on.socket, WINHTTP_OPTION_HANDLE_TYPE), 5u);
  parent(on.c.session, wrong_value);
  EXPECT_EQ(parent(on.c.connection), on.c.session.get());
  EXPECT_EQ(parent(on.c.request), on.c.connection.get());
  EXPECT_EQ(parent(on.socket), on.c.request.get());
  on.c.request.reset();
  parent(on.socket, ERROR_WINHTTP_INCORRECT_HANDLE_STATE);
  on.c.session.reset();
  parent(on.c.connection, ERROR_WINHTTP_INCORRECT_HANDLE_STATE);
}

TEST_F(options, OPT_12_TLS_02_only_the_ignore_flags_are_settable) {
  client c(1);
  const DWORD option = WINHTTP_OPTION_SECURITY_FLAGS;
  EXPECT_EQ(query_dword(c.request, option), 0u); // TLS-01
  const DWORD all = SECURITY_FLAG_IGNORE_UNKNOWN_CA | SECURITY_FLAG_IGNORE_CERT_WRONG_USAGE |
                    SECURITY_FLAG_IGNORE_CERT_CN_INVALID | SECURITY_FLAG_IGNORE_CERT_DATE_INVALID;
  EXPECT_EQ(set_dword(c.request, option, all), ok);
  EXPECT_EQ(query_dword(c.request, option), all);
  for (const DWORD bit :
       {DWORD{SECURITY_FLAG_SECURE}, DWORD{SECURITY_FLAG_STRENGTH_WEAK},
        DWORD{SECURITY_FLAG_STRENGTH_MEDIUM}, DWORD{SECURITY_FLAG_STRENGTH_STRONG}}) {
    EXPECT_EQ(set_dword(c.request, option, all | bit), wrong_value);
  }
  EXPECT_EQ(query_dword(c.request, option), all);
  EXPECT_EQ(set_dword(c.request, option, 0), ok);
}

TEST_F(options, OPT_14_TMO_01_to_TMO_03_TMO_08_GET_12_timeouts) {
  client c(1);
  const DWORD ids[] = {WINHTTP_OPTION_RESOLVE_TIMEOUT, WINHTTP_OPTION_CONNECT_TIMEOUT,
                       WINHTTP_OPTION_SEND_TIMEOUT, WINHTTP_OPTION_RECEIVE_TIMEOUT,
                       WINHTTP_OPTION_RECEIVE_RESPONSE_TIMEOUT};
  const DWORD presets[] = {0, 60000, 30000, 30000, 0xFFFFFFFF};
  for (std::size_t i = 0; i < 5; ++i) {
    for (const HINTERNET handle : {c.session.get(), c.connection.get(), c.request.get()}) {
      EXPECT_EQ(query_dword(handle, ids[i]), presets[i]) << i;
    }
  }
  for (const int bad : {-2, -1000}) {
    EXPECT_FALSE(WinHttpSetTimeouts(c.request, bad, 0, 0, 0));
    EXPECT_EQ(GetLastError(), wrong_value);
    EXPECT_FALSE(WinHttpSetTimeouts(c.request, 0, bad, 0, 0));
    EXPECT_EQ(GetLastError(), wrong_value);
    EXPECT_FALSE(WinHttpSetTimeouts(c.request, 0, 0, bad, 0));
    EXPECT_EQ(GetLastError(), wrong_value);
    EXPECT_FALSE(WinHttpSetTimeouts(c.request, 0, 0, 0, bad));
    EXPECT_EQ(GetLastError(), wrong_value);
  }
  EXPECT_EQ(query_dword(c.request, ids[1]), 60000u);
  EXPECT_TRUE(WinHttpSetTimeouts(c.session, 1, -1, 3, 0));
  const DWORD changed[] = {1, 0xFFFFFFFF, 3, 0, 0xFFFFFFFF};
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(query_dword(c.session, ids[i]), changed[i]);
    EXPECT_EQ(query_dword(c.connection, ids[i]), changed[i]); // the session's
    EXPECT_EQ(query_dword(c.request, ids[i]), presets[i]);    // its own
  }
}

TEST_F(options, TMO_03_a_response_has_90_s_until_something_else_is_set) {
  const auto response = winhttp::dword_option::receive_response_timeout;
  winhttp::dword_options session;
  EXPECT_EQ(session.timeout(response), std::chrono::seconds(90));
  EXPECT_EQ(winhttp::dword_options(session).timeout(response), std::chrono::seconds(90));
  session.set(response, INFINITE);
  EXPECT_EQ(session.timeout(response), std::chrono::seconds(0)) << "no limit (TMO-08)";
  EXPECT_EQ(winhttp::dword_options(session).timeout(response), std::chrono::seconds(0));
  session.set(response, 5);
  EXPECT_EQ(session.timeout(response), std::chrono::milliseconds(5));
}

TEST_F(options, OPT_16_revocation_is_enabled_once) {
  client c(1);
  const DWORD option = WINHTTP_OPTION_ENABLE_FEATURE;
  unsigned char bytes[8] = {1};
  EXPECT_EQ(set_bytes(c.request, option, bytes, 3), wrong_size);
  EXPECT_EQ(set_bytes(c.request, option, nullptr, 4), wrong_value);
  EXPECT_EQ(set_dword(c.request, option, 2), wrong_value);
  EXPECT_EQ(set_dword(c.request, option, WINHTTP_ENABLE_SSL_REVOCATION), ok);
  EXPECT_EQ(set_dword(c.request, option, WINHTTP_ENABLE_SSL_REVOCATION), wrong_value);
}

TEST_F(options, OPT_17_OPT_18_presets) {
  client c(1);
  for (const HINTERNET handle : {c.session.get(), c.connection.get(), c.request.get()}) {
    EXPECT_EQ(query_dword(handle, WINHTTP_OPTION_WORKER_THREAD_COUNT), 0u);
  }
  for (const HINTERNET handle : {c.session.get(), c.request.get()}) {
    EXPECT_EQ(query_dword(handle, WINHTTP_OPTION_REDIRECT_POLICY), 1u);
    EXPECT_EQ(set_dword(handle, WINHTTP_OPTION_REDIRECT_POLICY, 3), wrong_value);
    EXPECT_EQ(set_dword(handle, WINHTTP_OPTION_REDIRECT_POLICY, 0), ok);
    EXPECT_EQ(query_dword(handle, WINHTTP_OPTION_REDIRECT_POLICY), 0u);
    EXPECT_EQ(query_dword(handle, WINHTTP_OPTION_MAX_HTTP_AUTOMATIC_REDIRECTS), 10u);
    EXPECT_EQ(query_dword(handle, WINHTTP_OPTION_MAX_HTTP_STATUS_CONTINUE), 10u);
    EXPECT_EQ(query_dword(handle, WINHTTP_OPTION_MAX_RESPONSE_HEADER_SIZE), 65536u);
  }
  EXPECT_EQ(query_dword(c.request, WINHTTP_OPTION_HTTP_PROTOCOL_USED), 0u); // HSK-08
}

TEST_F(options, user_agent_and_url_are_strings) {
  scripted_peer peer([](scripted_peer& on) {
    peer_connection to = on.accept();
    EXPECT_EQ(header_of(to.read_request(), "User-Agent"), "new");
    to.send_response("HTTP/1.1 200 OK");
  });
  client c(peer.port(), L"a b");
  wchar_t text[64];
  DWORD length = 0;
  EXPECT_EQ(query_bytes(c.session, WINHTTP_OPTION_USER_AGENT, nullptr, &length), wrong_size);
  EXPECT_EQ(length, 8 * sizeof(wchar_t));
  EXPECT_EQ(query_bytes(c.session, WINHTTP_OPTION_USER_AGENT, text, &length), ok);
  EXPECT_EQ(std::wstring(text), L"agent/1");
  wchar_t agent[] = L"new";
  EXPECT_EQ(set_bytes(c.session, WINHTTP_OPTION_USER_AGENT, agent, 3), ok);
  wchar_t bad[] = L"x\r\nHost: y";
  EXPECT_EQ(set_bytes(c.session, WINHTTP_OPTION_USER_AGENT, bad, 10), wrong_value);
  EXPECT_EQ(set_bytes(c.session, WINHTTP_OPTION_USER_AGENT, nullptr, 0), wrong_value);

  length = sizeof(text);
  EXPECT_EQ(query_bytes(c.request, WINHTTP_OPTION_URL, text, &length), ok);
  EXPECT_EQ(std::wstring(text), L"http://127.0.0.1:" + std::to_wstring(peer.port()) + L"/a%20b");
  EXPECT_EQ(length, (std::wcslen(text) + 1) * sizeof(wchar_t));
  EXPECT_TRUE(c.send() && c.receive());
}

TEST_F(options, PRX_06_proxy_information_is_set_and_read_back) {
  client c(1);
  for (const HINTERNET handle : {c.session.get(), c.request.get()}) {
    WINHTTP_PROXY_INFO info{};
    DWORD length = sizeof(info);
    EXPECT_EQ(query_bytes(handle, WINHTTP_OPTION_PROXY, &info, &length), ok);
    EXPECT_EQ(info.dwAccessType, static_cast<DWORD>(WINHTTP_ACCESS_TYPE_NO_PROXY));
    EXPECT_EQ(info.lpszProxy, nullptr);
    EXPECT_EQ(GlobalFree(info.lpszProxy), nullptr);
    wchar_t name[] = L"proxy:8080";
    info.dwAccessType = WINHTTP_ACCESS_TYPE_NAMED_PROXY;
    info.lpszProxy = name;
    EXPECT_EQ(set_bytes(handle, WINHTTP_OPTION_PROXY, &info, sizeof(info)), ok);
    EXPECT_EQ(set_bytes(handle, WINHTTP_OPTION_PROXY, &info, 4), wrong_size);
    EXPECT_EQ(set_bytes(handle, WINHTTP_OPTION_PROXY, nullptr, sizeof(info)), wrong_value);
    info = {WINHTTP_ACCESS_TYPE_NO_PROXY, name, nullptr};
    EXPECT_EQ(set_bytes(handle, WINHTTP_OPTION_PROXY, &info, sizeof(info)), wrong_value);
    EXPECT_EQ(query_bytes(handle, WINHTTP_OPTION_PROXY, &info, &length), ok);
    EXPECT_EQ(info.dwAccessType, static_cast<DWORD>(WINHTTP_ACCESS_TYPE_NAMED_PROXY));
    EXPECT_EQ(std::wstring(info.lpszProxy), name);
    EXPECT_EQ(info.lpszProxyBypass, nullptr);
    EXPECT_EQ(GlobalFree(info.lpszProxy), nullptr);
    info = {WINHTTP_ACCESS_TYPE_DEFAULT_PROXY, nullptr, nullptr};
    EXPECT_EQ(set_bytes(handle, WINHTTP_OPTION_PROXY, &info, sizeof(info)), ok);
  }
}

// In a process of its own, because the kernel is chosen once.
TEST_F(options, a_kernel_that_does_not_exist_is_an_error_of_the_session) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        ::setenv("SLUICE_FORCE_KERNEL", "no-such-kernel", 1);
        const HINTERNET session =
            WinHttpOpen(nullptr, WINHTTP_ACCESS_TYPE_NO_PROXY, nullptr, nullptr, 0);
        std::exit(session == nullptr && GetLastError() == ERROR_WINHTTP_INTERNAL_ERROR ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}

} // namespace
} // namespace sluice::test
