// What a secure request negotiates, reports and waits for (section 18 of the contract).

#include "tls_fixture.hpp"

#include <algorithm>
#include <ctime>

namespace sluice::test {
namespace {

using tls_requests = backend_test;

// What the server has seen of one client.
struct seen {
  std::string name;
  std::string protocol;
  int version = 0;
  bool resumed = false;
};

seen serve_and_look(scripted_peer& on, const tls_server_settings& how) {
  peer_connection to = on.accept_plain();
  to.start_tls(how);
  to.handshake();
  const seen found{to.tls()->server_name(), to.tls()->protocol(), to.tls()->version(),
                   to.tls()->resumed()};
  while (!to.read_some().empty()) {
  }
  return found;
}

TEST_F(tls_requests, TLS_01_flags_and_version_are_reported_after_the_exchange) {
  scripted_peer peer([](scripted_peer& on) { serve_tls(on, {.identity = tls_test_identity()}); });
  secure_client client(peer.port());
  client.ignore(SECURITY_FLAG_IGNORE_CERT_CN_INVALID);
  EXPECT_EQ(client.query(WINHTTP_OPTION_SECURITY_FLAGS), SECURITY_FLAG_IGNORE_CERT_CN_INVALID);
  EXPECT_EQ(client.query(SLUICE_OPTION_TLS_VERSION), 0u);
  EXPECT_EQ(client.exchange(), 0u);
  EXPECT_EQ(client.query(WINHTTP_OPTION_SECURITY_FLAGS), SECURITY_FLAG_IGNORE_CERT_CN_INVALID |
                                                             SECURITY_FLAG_SECURE |
                                                             SECURITY_FLAG_STRENGTH_STRONG);
  EXPECT_EQ(client.query(SLUICE_OPTION_TLS_VERSION), WINHTTP_FLAG_SECURE_PROTOCOL_TLS1_3);
  client.request.reset();
}

// Days from now.
double days_until(const FILETIME& time) {
  const std::uint64_t ticks = std::uint64_t{time.dwHighDateTime} << 32 | time.dwLowDateTime;
  const auto since_1970 = static_cast<double>(ticks) / 1e7 - 11'644'473'600.0; // 100 ns since 1601
  return (since_1970 - static_cast<double>(std::time(nullptr))) / 86400;
}

TEST_F(tls_requests, TLS_12_the_certificate_and_the_key_are_described_after_SendRequest) {
  const test_identity identity = tls_test_authority().issue(
      {.common_name = "tunnel \u00FC\r\nof a mole", .valid_from_days = -3, .valid_to_days = 40});
  scripted_peer peer([&](scripted_peer& on) { serve_tls(on, {.identity = identity}); });
  secure_client client(peer.port());
  WINHTTP_CERTIFICATE_INFO info{};
  DWORD length = sizeof(info);
  DWORD bits = 1;
  DWORD bits_length = sizeof(bits);
  const auto query = [&] {
    length = sizeof(info);
    return WinHttpQueryOption(client.request, WINHTTP_OPTION_SECURITY_CERTIFICATE_STRUCT, &info,
                              &length);
  };
  EXPECT_FALSE(query());
  EXPECT_EQ(GetLastError(), DWORD{ERROR_WINHTTP_INCORRECT_HANDLE_STATE}) << "X-55";
  EXPECT_FALSE(
      WinHttpQueryOption(client.request, WINHTTP_OPTION_SECURITY_KEY_BITNESS, &bits, &bits_length));
  EXPECT_EQ(GetLastError(), DWORD{ERROR_WINHTTP_INCORRECT_HANDLE_STATE}) << "X-55";
  EXPECT_EQ(bits, 1u);

  ASSERT_EQ(client.send(), 0u);
  EXPECT_EQ(client.query(WINHTTP_OPTION_SECURITY_KEY_BITNESS), 256u);
  length = sizeof(info) - 1;
  EXPECT_FALSE(WinHttpQueryOption(client.request, WINHTTP_OPTION_SECURITY_CERTIFICATE_STRUCT, &info,
                                  &length));
  EXPECT_EQ(GetLastError(), DWORD{ERROR_INSUFFICIENT_BUFFER});
  EXPECT_EQ(length, sizeof(info));
  EXPECT_EQ(info.lpszSubjectInfo, nullptr);

  ASSERT_EQ(client.receive(), 0u);
  const unique_handle socket(WinHttpWebSocketCompleteUpgrade(client.request, 0));
  ASSERT_NE(socket.get(), nullptr);
  ASSERT_TRUE(query()) << GetLastError(); // the connection is the socket's now
  EXPECT_EQ(length, sizeof(info));
  EXPECT_STREQ(info.lpszSubjectInfo, L"tunnel \u00FC??of a mole"); // one line, whatever is in it
  EXPECT_EQ(std::wstring(info.lpszIssuerInfo).rfind(L"Test Intermediate", 0), 0u);
  EXPECT_NEAR(days_until(info.ftStart), -3, 0.5);
  EXPECT_NEAR(days_until(info.ftExpiry), 40, 0.5);
  EXPECT_EQ(info.dwKeySize, 256u);
  EXPECT_EQ(info.lpszProtocolName, nullptr);
  LocalFree(info.lpszSubjectInfo);
  LocalFree(info.lpszIssuerInfo);
  client.request.reset();
}

TEST_F(tls_requests, TLS_02_what_only_a_connection_can_know_cannot_be_set) {
  const secure_client client(1);
  for (DWORD value : {SECURITY_FLAG_SECURE, SECURITY_FLAG_STRENGTH_STRONG,
                      SECURITY_FLAG_STRENGTH_WEAK | SECURITY_FLAG_IGNORE_UNKNOWN_CA}) {
    EXPECT_FALSE(
        WinHttpSetOption(client.request, WINHTTP_OPTION_SECURITY_FLAGS, &value, sizeof(value)));
    EXPECT_EQ(GetLastError(), DWORD{ERROR_INVALID_PARAMETER});
  }
}

TEST_F(tls_requests, TLS_09_names_are_sent_and_addresses_are_not) {
  for (const bool by_name : {true, false}) {
    seen found;
    {
      scripted_peer peer([&](scripted_peer& on) {
        found = serve_and_look(on, {.identity = tls_test_identity()});
      });
      secure_client client(peer.port(), by_name ? L"localhost" : L"127.0.0.1");
      EXPECT_EQ(client.exchange(), 0u);
    }
    EXPECT_EQ(found.name, by_name ? "localhost" : "");
    EXPECT_EQ(found.protocol, "http/1.1");
  }
}

TEST_F(tls_requests, GET_03_the_port_is_443_unless_another_one_is_given) {
  secure_client client(0);
  wchar_t url[64];
  DWORD length = sizeof(url);
  EXPECT_TRUE(WinHttpQueryOption(client.request, WINHTTP_OPTION_URL, url, &length));
  EXPECT_EQ(std::wstring(url), L"https://127.0.0.1/");
}

TEST_F(tls_requests, TLS_11_protocols_are_chosen_by_the_session) {
  struct row {
    DWORD wanted;
    int server_highest; // 0: no limit
    DWORD spoken;       // 0: none in common
  };
  constexpr DWORD tls1_0 = WINHTTP_FLAG_SECURE_PROTOCOL_TLS1;
  constexpr DWORD tls1_2 = WINHTTP_FLAG_SECURE_PROTOCOL_TLS1_2;
  constexpr DWORD tls1_3 = WINHTTP_FLAG_SECURE_PROTOCOL_TLS1_3;
  const row rows[] = {
      {0, 0, tls1_3},      {0, 0x0303, tls1_2},          {tls1_2, 0, tls1_2},
      {tls1_3, 0, tls1_3}, {tls1_2 | tls1_3, 0, tls1_3}, {tls1_3, 0x0303, 0},
      {tls1_0, 0, 0},
  };
  for (const row& at : rows) {
    SCOPED_TRACE(testing::Message() << at.wanted << " at " << at.server_highest);
    scripted_peer peer([&](scripted_peer& on) {
      serve_tls(on, {.identity = tls_test_identity(), .highest_version = at.server_highest});
    });
    secure_client client(peer.port());
    DWORD wanted = at.wanted;
    EXPECT_TRUE(
        WinHttpSetOption(client.session, WINHTTP_OPTION_SECURE_PROTOCOLS, &wanted, sizeof(wanted)));
    client.connect(L"127.0.0.1", peer.port()); // requests take it when they are made
    const DWORD code = client.exchange();
    if (at.spoken != 0) {
      EXPECT_EQ(code, 0u);
      EXPECT_EQ(client.query(SLUICE_OPTION_TLS_VERSION), at.spoken);
    } else { // TLS-07
      EXPECT_EQ(code, DWORD{ERROR_WINHTTP_SECURE_FAILURE});
      EXPECT_EQ(client.failures,
                std::vector<DWORD>{WINHTTP_CALLBACK_STATUS_FLAG_SECURITY_CHANNEL_ERROR});
    }
    client.request.reset();
  }
}

TEST_F(tls_requests, TLS_05_the_failure_comes_behind_connected_and_before_the_request) {
  const test_identity identity = tls_test_authority().issue({.self_signed = true});
  scripted_peer peer([&](scripted_peer& on) { serve_tls(on, {.identity = identity}); });
  secure_client client(peer.port());
  EXPECT_EQ(client.send(), DWORD{ERROR_WINHTTP_SECURE_FAILURE});
  const auto has = [&](DWORD status) {
    return std::find(client.statuses.begin(), client.statuses.end(), status) !=
           client.statuses.end();
  };
  EXPECT_TRUE(has(WINHTTP_CALLBACK_STATUS_CONNECTED_TO_SERVER));
  EXPECT_FALSE(has(WINHTTP_CALLBACK_STATUS_SENDING_REQUEST));
  EXPECT_EQ(client.receive(), DWORD{ERROR_WINHTTP_INCORRECT_HANDLE_STATE});
}

TEST_F(tls_requests, a_second_connection_resumes_the_session_of_the_first) {
  for (const int version : {0x0303, 0x0304}) {
    SCOPED_TRACE(version);
    std::vector<seen> found;
    {
      scripted_peer peer([&](scripted_peer& on) {
        for (int i = 0; i < 3; ++i) {
          found.push_back(
              serve_and_look(on, {.identity = tls_test_identity(), .highest_version = version}));
        }
      });
      secure_client client(peer.port());
      EXPECT_EQ(client.exchange(), 0u);
      client.connect(L"127.0.0.1", peer.port());
      EXPECT_EQ(client.exchange(), 0u);
      client.connect(L"127.0.0.1", peer.port());
      client.ignore(SECURITY_FLAG_IGNORE_CERT_CN_INVALID); // a session of stricter rules is not it
      EXPECT_EQ(client.exchange(), 0u);
    }
    ASSERT_EQ(found.size(), 3u);
    EXPECT_FALSE(found[0].resumed);
    EXPECT_TRUE(found[1].resumed);
    EXPECT_FALSE(found[2].resumed);
  }
}

TEST_F(tls_requests, TMO_07_a_handshake_that_hangs_counts_into_connecting) {
  scripted_peer peer([](scripted_peer& on) {
    peer_connection to = on.accept_plain();
    while (!to.read_raw().empty()) { // takes everything and answers nothing
    }
  });
  secure_client client(peer.port());
  DWORD patience = 50;
  EXPECT_TRUE(WinHttpSetOption(client.request, WINHTTP_OPTION_CONNECT_TIMEOUT, &patience,
                               sizeof(patience)));
  EXPECT_EQ(client.send(), DWORD{ERROR_WINHTTP_TIMEOUT});
  EXPECT_TRUE(client.failures.empty());
}

TEST_F(tls_requests, a_server_that_hangs_up_in_the_handshake_is_a_lost_connection) {
  scripted_peer peer([](scripted_peer& on) {
    peer_connection to = on.accept_plain();
    (void)to.read_raw();
    to.truncate();
    (void)to.read_raw();
  });
  secure_client client(peer.port());
  EXPECT_EQ(client.send(), DWORD{ERROR_WINHTTP_CONNECTION_ERROR});
  EXPECT_TRUE(client.failures.empty());
}

// A body that ends with the connection is whole only behind close_notify.
TEST_F(tls_requests, a_body_that_is_cut_off_is_an_error) {
  for (const bool cut : {false, true}) {
    scripted_peer peer([&](scripted_peer& on) {
      peer_connection to = on.accept_plain();
      to.start_tls();
      (void)to.read_request();
      to.send("HTTP/1.1 200 OK\r\n\r\nhalf of it");
      cut ? to.truncate() : to.close_fin();
      (void)to.read_some();
    });
    client c(peer.port(), L"/", WINHTTP_FLAG_SECURE);
    DWORD ignored = SECURITY_FLAG_IGNORE_UNKNOWN_CA;
    WinHttpSetOption(c.request, WINHTTP_OPTION_SECURITY_FLAGS, &ignored, sizeof(ignored));
    ASSERT_TRUE(c.send()) << GetLastError();
    ASSERT_TRUE(c.receive()) << GetLastError();
    const std::optional<std::string> body = read_body(c.request);
    if (cut) {
      EXPECT_FALSE(body.has_value());
      EXPECT_EQ(GetLastError(), DWORD{ERROR_WINHTTP_CONNECTION_ERROR});
    } else {
      EXPECT_EQ(body, "half of it");
    }
  }
}

TEST_F(tls_requests, key_log_is_written_only_when_the_option_asks_for_it) {
  const temporary_file log("");
  ::setenv("SSLKEYLOGFILE", log.name().c_str(), 1);
  for (const bool wanted : {false, true}) {
    scripted_peer peer([](scripted_peer& on) { serve_tls(on, {.identity = tls_test_identity()}); });
    secure_client client(peer.port());
    if (wanted) {
      DWORD on = 1;
      EXPECT_TRUE(WinHttpSetOption(client.session, SLUICE_OPTION_TLS_KEY_LOG, &on, sizeof(on)));
    }
    EXPECT_EQ(client.exchange(), 0u);
    client.request.reset();
    std::FILE* const in = std::fopen(log.name().c_str(), "r");
    ASSERT_NE(in, nullptr);
    char line[32] = {};
    EXPECT_EQ(std::fread(line, 1, 6, in), wanted ? 6u : 0u);
    std::fclose(in);
  }
  ::unsetenv("SSLKEYLOGFILE");
}

} // namespace
} // namespace sluice::test
