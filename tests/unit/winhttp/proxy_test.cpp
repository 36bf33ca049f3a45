// Requests through a proxy (section 20 of the contract): a scripted peer is the proxy and, behind
// the tunnel, the server too.

#include "proxy_fixture.hpp"

#include <string>

namespace sluice::test {
namespace {

using proxies = backend_test;

TEST_F(proxies, PRX_01_an_upgrade_of_a_plain_target_goes_through_a_tunnel) {
  std::string connect;
  std::string upgrade;
  scripted_peer proxy([&](scripted_peer& on) {
    peer_connection to = on.accept_plain();
    connect = accept_tunnel(to);
    upgrade = to.handshake({}, make_frame(0x1, "greeting"));
    EXPECT_EQ(to.read_frame().payload, "hello");
    to.expect_eof();
  });
  {
    proxied_client c(proxy.port(), L"target.invalid", 0, L"/chat");
    ASSERT_TRUE(
        WinHttpAddRequestHeaders(c.request, L"X-Mine: yes", no_count, WINHTTP_ADDREQ_FLAG_ADD));
    ASSERT_TRUE(c.upgrade() && c.send() && c.receive()) << GetLastError();
    const unique_handle socket = WinHttpWebSocketCompleteUpgrade(c.request, 0);
    ASSERT_NE(socket.get(), nullptr) << GetLastError();
    char bytes[32];
    DWORD count = 0;
    WINHTTP_WEB_SOCKET_BUFFER_TYPE type{};
    ASSERT_EQ(WinHttpWebSocketReceive(socket, bytes, sizeof(bytes), &count, &type), 0u);
    EXPECT_EQ(std::string(bytes, count), "greeting");
    EXPECT_EQ(WinHttpWebSocketSend(socket, WINHTTP_WEB_SOCKET_UTF8_MESSAGE_BUFFER_TYPE,
                                   const_cast<char*>("hello"), 5),
              0u);
  }
  proxy.join();
  EXPECT_EQ(line_of(connect), "CONNECT target.invalid:80 HTTP/1.1");
  EXPECT_EQ(header_of(connect, "Host"), "target.invalid:80");
  EXPECT_EQ(header_of(connect, "User-Agent"), "agent/1");
  // What is meant for the server is not shown to the proxy.
  EXPECT_EQ(header_of(connect, "X-Mine"), std::nullopt);
  EXPECT_EQ(header_of(connect, "Sec-WebSocket-Key"), std::nullopt);
  EXPECT_EQ(line_of(upgrade), "GET /chat HTTP/1.1");
  EXPECT_EQ(header_of(upgrade, "Host"), "target.invalid");
  EXPECT_EQ(header_of(upgrade, "X-Mine"), "yes");
}

TEST_F(proxies, PRX_01_TLS_16_an_upgrade_of_a_secure_target_goes_through_a_tunnel) {
  std::string connect;
  scripted_peer proxy([&](scripted_peer& on) {
    peer_connection to = on.accept_plain();
    connect = accept_tunnel(to);
    to.start_tls();
    to.handshake();
    EXPECT_EQ(to.tls()->server_name(), "localhost") << "the target's, not the proxy's";
    EXPECT_EQ(to.read_frame().payload, "hello");
    to.expect_eof();
  });
  {
    proxied_client c(proxy.port(), L"localhost", 8443, L"/", WINHTTP_FLAG_SECURE);
    c.trust_tests();
    ASSERT_TRUE(c.upgrade() && c.send() && c.receive()) << GetLastError();
    const unique_handle socket = WinHttpWebSocketCompleteUpgrade(c.request, 0);
    ASSERT_NE(socket.get(), nullptr) << GetLastError();
    EXPECT_EQ(WinHttpWebSocketSend(socket, WINHTTP_WEB_SOCKET_UTF8_MESSAGE_BUFFER_TYPE,
                                   const_cast<char*>("hello"), 5),
              0u);
  }
  proxy.join();
  EXPECT_EQ(line_of(connect), "CONNECT localhost:8443 HTTP/1.1");
}

TEST_F(proxies, PRX_01_what_is_no_upgrade_and_not_secure_is_asked_of_the_proxy_itself) {
  std::string head;
  scripted_peer proxy([&](scripted_peer& on) {
    peer_connection to = on.accept_plain();
    head = to.read_request();
    EXPECT_EQ(to.read_exact(4), "body");
    to.send_response("HTTP/1.1 200 OK", {}, "through the proxy");
    to.expect_eof();
  });
  proxied_client c(proxy.port(), L"target.invalid", 8080, L"/a?b#c", 0, L"POST");
  char body[] = "body";
  ASSERT_TRUE(WinHttpSendRequest(c.request, nullptr, 0, body, 4, 4, 0)) << GetLastError();
  ASSERT_TRUE(c.receive()) << GetLastError();
  EXPECT_EQ(read_body(c.request), "through the proxy");
  const std::string seen =
      query_header(c.request, WINHTTP_QUERY_RAW_HEADERS_CRLF | WINHTTP_QUERY_FLAG_REQUEST_HEADERS)
          .value_or("");
  c.request.reset();
  proxy.join();
  EXPECT_EQ(line_of(head), "POST http://target.invalid:8080/a?b HTTP/1.1");
  EXPECT_EQ(header_of(head, "Host"), "target.invalid:8080");
  EXPECT_EQ(line_of(seen), line_of(head));
}

TEST_F(proxies, PRX_01_a_secure_request_without_upgrade_is_tunnelled) {
  scripted_peer proxy([&](scripted_peer& on) {
    peer_connection to = on.accept_plain();
    EXPECT_EQ(line_of(accept_tunnel(to)), "CONNECT localhost:443 HTTP/1.1");
    to.start_tls();
    EXPECT_EQ(line_of(to.read_request()), "GET /x HTTP/1.1");
    to.send_response("HTTP/1.1 200 OK", {}, "inside");
    to.expect_eof();
  });
  proxied_client c(proxy.port(), L"localhost", 0, L"/x", WINHTTP_FLAG_SECURE);
  c.trust_tests();
  ASSERT_TRUE(c.send() && c.receive()) << GetLastError();
  EXPECT_EQ(read_body(c.request), "inside");
}

TEST_F(proxies, PRX_01_an_IPv6_target_keeps_its_brackets_and_loses_its_zone) {
  scripted_peer proxy([&](scripted_peer& on) {
    peer_connection to = on.accept_plain();
    EXPECT_EQ(line_of(accept_tunnel(to)), "CONNECT [fe80::1]:81 HTTP/1.1");
    to.handshake();
    to.expect_eof();
  });
  const proxied_client c(proxy.port(), L"fe80::1%lo", 81);
  ASSERT_TRUE(c.upgrade() && c.send() && c.receive()) << GetLastError();
}

TEST_F(proxies, PRX_02_bypassed_targets_are_reached_directly) {
  scripted_peer server([&](scripted_peer& on) {
    peer_connection to = on.accept_plain();
    EXPECT_EQ(line_of(to.handshake()), "GET / HTTP/1.1");
    to.expect_eof();
  });
  const refusing_port nobody;
  proxied_client c(nobody.port(), L"127.0.0.1", server.port());
  name_proxy(c.request, proxy_text(nobody.port()), L"<local>;127.*");
  EXPECT_TRUE(c.upgrade() && c.send() && c.receive()) << GetLastError();
}

TEST_F(proxies, PRX_02_GET_13_a_proxy_that_cannot_be_reached) {
  const refusing_port nobody;
  proxied_client c(nobody.port());
  EXPECT_FALSE(c.upgrade() && c.send());
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_WINHTTP_CANNOT_CONNECT));
  name_proxy(c.request, L"proxy.invalid:1");
  EXPECT_FALSE(c.send());
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_WINHTTP_NAME_NOT_RESOLVED));
}

TEST_F(proxies, PRX_03_the_environment_is_read_by_WinHttpOpen) {
  scripted_peer proxy([&](scripted_peer& on) {
    for (int i = 0; i < 2; ++i) {
      peer_connection to = on.accept_plain();
      accept_tunnel(to);
      to.handshake();
      to.expect_eof();
    }
  });
  const std::string url = "http://127.0.0.1:" + std::to_string(proxy.port());
  for (const unsigned type : {unsigned{WINHTTP_ACCESS_TYPE_DEFAULT_PROXY},
                              unsigned{WINHTTP_ACCESS_TYPE_AUTOMATIC_PROXY}}) {
    setenv("http_proxy", url.c_str(), 1);
    const unique_handle session = WinHttpOpen(nullptr, type, nullptr, nullptr, 0);
    unsetenv("http_proxy");
    const unique_handle connection = WinHttpConnect(session, L"target.invalid", 0, 0);
    const unique_handle request =
        WinHttpOpenRequest(connection, nullptr, nullptr, nullptr, nullptr, nullptr, 0);
    ASSERT_TRUE(WinHttpSetOption(request, WINHTTP_OPTION_UPGRADE_TO_WEB_SOCKET, nullptr, 0));
    EXPECT_TRUE(WinHttpSendRequest(request, nullptr, 0, nullptr, 0, 0, 0)) << GetLastError();
    EXPECT_TRUE(WinHttpReceiveResponse(request, nullptr)) << GetLastError();
  }
}

TEST_F(proxies, PRX_03_a_proxy_of_the_environment_that_cannot_be_used_is_no_direct_connection) {
  setenv("http_proxy", "socks5://127.0.0.1:1080", 1);
  const unique_handle session =
      WinHttpOpen(nullptr, WINHTTP_ACCESS_TYPE_DEFAULT_PROXY, nullptr, nullptr, 0);
  unsetenv("http_proxy");
  ASSERT_NE(session.get(), nullptr);
  const unique_handle connection = WinHttpConnect(session, L"127.0.0.1", 1, 0);
  const unique_handle request =
      WinHttpOpenRequest(connection, nullptr, nullptr, nullptr, nullptr, nullptr, 0);
  EXPECT_FALSE(WinHttpSendRequest(request, nullptr, 0, nullptr, 0, 0, 0));
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_WINHTTP_INVALID_URL));
}

TEST_F(proxies, PRX_05_what_a_proxy_says_instead_is_the_response) {
  scripted_peer proxy([&](scripted_peer& on) {
    peer_connection to = on.accept_plain();
    to.read_request();
    to.send("HTTP/1.1 100 Continue\r\n\r\n"
            "HTTP/1.0 403 Not for you\r\nX-Why: rules\r\nContent-Length: 8\r\n\r\nfiltered");
    to.expect_eof();
  });
  // HEAD has no body itself, but what answers CONNECT has one.
  proxied_client c(proxy.port(), L"target.invalid", 0, nullptr, 0, L"HEAD");
  ASSERT_TRUE(c.upgrade() && c.send() && c.receive()) << GetLastError();
  EXPECT_EQ(query_status(c.request), 403u);
  EXPECT_EQ(query_header(c.request, WINHTTP_QUERY_STATUS_TEXT), "Not for you");
  EXPECT_EQ(query_custom(c.request, L"X-Why"), "rules");
  EXPECT_EQ(WinHttpWebSocketCompleteUpgrade(c.request, 0), nullptr);
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_INVALID_OPERATION)) << "CUP-04";
  EXPECT_EQ(read_body(c.request), "filtered");
}

TEST_F(proxies, HSK_06_GET_05_host_names_the_port_that_is_the_other_schemes_default) {
  std::string head;
  scripted_peer proxy([&](scripted_peer& on) {
    peer_connection to = on.accept_plain();
    EXPECT_EQ(line_of(accept_tunnel(to)), "CONNECT target.invalid:443 HTTP/1.1");
    head = to.handshake();
  });
  proxied_client c(proxy.port(), L"target.invalid", 443);
  ASSERT_TRUE(c.upgrade() && c.send()) << GetLastError();
  proxy.join();
  EXPECT_EQ(header_of(head, "Host"), "target.invalid:443");
}

TEST_F(proxies, PRX_05_redirects_and_challenges_of_another_kind_from_a_proxy_are_not_followed) {
  for (const char* const status : {"302 Found", "401 Unauthorized"}) {
    scripted_peer proxy([&](scripted_peer& on) {
      peer_connection to = on.accept_plain();
      to.read_request();
      to.send_response(std::string("HTTP/1.1 ") + status,
                       "Location: https://elsewhere.invalid/\r\n" // the policy would allow it
                       "WWW-Authenticate: Basic realm=\"x\"\r\n",
                       "no");
      to.expect_eof();
    });
    proxied_client c(proxy.port(), L"localhost", 0, nullptr, WINHTTP_FLAG_SECURE);
    c.set_text(WINHTTP_OPTION_USERNAME, L"me");
    c.set_text(WINHTTP_OPTION_PASSWORD, L"secret");
    ASSERT_TRUE(c.send() && c.receive()) << GetLastError();
    EXPECT_EQ(query_status(c.request), static_cast<DWORD>(std::atoi(status)));
    c.request.reset();
  }
}

TEST_F(proxies, PRX_06_the_option_of_a_request_wins_and_a_session_tells_later_requests) {
  scripted_peer proxy([&](scripted_peer& on) {
    for (int i = 0; i < 2; ++i) {
      peer_connection to = on.accept_plain();
      EXPECT_EQ(line_of(accept_tunnel(to)), "CONNECT target.invalid:80 HTTP/1.1");
      to.handshake();
      to.expect_eof();
    }
  });
  client c(1); // a session without proxy
  c.connection = WinHttpConnect(c.session, L"target.invalid", 0, 0);
  const auto open = [&] {
    return WinHttpOpenRequest(c.connection, nullptr, nullptr, nullptr, nullptr, nullptr, 0);
  };
  c.request = open();
  const std::wstring text = proxy_text(proxy.port());
  name_proxy(c.request, text);
  EXPECT_TRUE(c.upgrade() && c.send() && c.receive()) << GetLastError();
  EXPECT_EQ(query_proxy(c.request), text);
  EXPECT_EQ(query_proxy(c.session), L"");
  // Only those that are opened after it.
  c.request = open();
  name_proxy(c.session, text);
  EXPECT_EQ(query_proxy(c.request), L"");
  c.request = open();
  EXPECT_EQ(query_proxy(c.request), text);
  EXPECT_TRUE(c.upgrade() && c.send() && c.receive()) << GetLastError();
  WINHTTP_PROXY_INFO info = {WINHTTP_ACCESS_TYPE_NO_PROXY, nullptr, nullptr};
  ASSERT_TRUE(WinHttpSetOption(c.request, WINHTTP_OPTION_PROXY, &info, sizeof(info)));
  EXPECT_FALSE(c.send());
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_WINHTTP_NAME_NOT_RESOLVED));
}

TEST_F(proxies, HSK_40_each_hop_of_a_redirect_has_its_own_proxy) {
  scripted_peer server([&](scripted_peer& on) {
    peer_connection to = on.accept_plain();
    EXPECT_EQ(line_of(to.handshake()), "GET /there HTTP/1.1");
    to.expect_eof();
  });
  scripted_peer proxy([&](scripted_peer& on) {
    peer_connection to = on.accept_plain();
    accept_tunnel(to);
    to.read_request();
    to.send_response("HTTP/1.1 302 Found",
                     "Location: http://127.0.0.1:" + std::to_string(server.port()) + "/there\r\n");
    to.expect_eof();
  });
  proxied_client c(proxy.port());
  name_proxy(c.request, proxy_text(proxy.port()), L"127.0.0.1");
  EXPECT_TRUE(c.upgrade() && c.send() && c.receive()) << GetLastError();
}

TEST_F(proxies, TLS_13_a_proxy_over_TLS_and_what_is_wrong_with_its_certificate) {
  for (const bool trusted : {true, false}) {
    scripted_peer proxy([&](scripted_peer& on) {
      peer_connection to = on.accept_plain();
      try {
        to.start_tls();
        EXPECT_EQ(line_of(accept_tunnel(to)), "CONNECT target.invalid:80 HTTP/1.1");
        to.handshake();
        EXPECT_TRUE(trusted);
        to.expect_eof();
      } catch (const tls_broken&) {
        EXPECT_FALSE(trusted);
      } catch (const peer_failure&) {
        EXPECT_FALSE(trusted);
      }
    });
    proxied_client c(proxy.port());
    DWORD faults = 0;
    c.watch_faults(faults);
    name_proxy(c.request, L"https://localhost:" + std::to_wstring(proxy.port()));
    if (trusted) {
      c.trust_tests();
    }
    // What is overlooked in servers is not overlooked in proxies.
    DWORD ignored = SECURITY_FLAG_IGNORE_UNKNOWN_CA;
    ASSERT_TRUE(
        WinHttpSetOption(c.request, WINHTTP_OPTION_SECURITY_FLAGS, &ignored, sizeof(ignored)));
    EXPECT_EQ(c.upgrade() && c.send() && c.receive(), trusted);
    if (trusted) {
      DWORD flags = 0;
      DWORD length = sizeof(flags);
      EXPECT_TRUE(WinHttpQueryOption(c.request, WINHTTP_OPTION_SECURITY_FLAGS, &flags, &length));
      EXPECT_EQ(flags & SECURITY_FLAG_SECURE, 0u) << "the target is not";
    } else {
      EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_WINHTTP_SECURE_FAILURE_PROXY));
    }
    EXPECT_EQ(faults, trusted ? 0 : WINHTTP_CALLBACK_STATUS_FLAG_INVALID_CA);
    c.request.reset();
  }
}

TEST_F(proxies, TLS_13_TLS_inside_TLS_is_refused_before_anything_is_sent) {
  const refusing_port nobody;
  proxied_client c(nobody.port(), L"localhost", 0, nullptr, WINHTTP_FLAG_SECURE);
  name_proxy(c.request, L"https://localhost:" + std::to_wstring(nobody.port()));
  EXPECT_FALSE(c.send());
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_NOT_SUPPORTED));
}

TEST_F(proxies, TLS_05_a_server_behind_a_tunnel_is_checked_as_any_other) {
  scripted_peer proxy([&](scripted_peer& on) {
    peer_connection to = on.accept_plain();
    accept_tunnel(to);
    try {
      to.start_tls();
    } catch (const tls_broken&) {
    } catch (const peer_failure&) {
    }
  });
  proxied_client c(proxy.port(), L"other.invalid", 0, nullptr, WINHTTP_FLAG_SECURE);
  DWORD faults = 0;
  c.watch_faults(faults);
  c.trust_tests();
  EXPECT_FALSE(c.send());
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_WINHTTP_SECURE_FAILURE));
  EXPECT_EQ(faults, WINHTTP_CALLBACK_STATUS_FLAG_CERT_CN_INVALID);
}

} // namespace
} // namespace sluice::test
