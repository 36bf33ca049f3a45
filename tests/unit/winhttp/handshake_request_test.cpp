// Section 7.1 of the contract: what an upgrade request looks like.

#include "handshake_fixture.hpp"

#include <set>
#include <string>

namespace sluice::test {
namespace {

TEST_F(handshake, HSK_01_upgrade_request_carries_all_fields_and_a_key_of_24_characters) {
  std::string head;
  scripted_peer peer([&](scripted_peer& on) {
    peer_connection to = on.accept();
    head = to.handshake();
    to.expect_eof();
  });
  {
    client c(peer.port(), L"chat?room=1");
    ASSERT_TRUE(c.upgrade());
    ASSERT_TRUE(c.send()) << GetLastError();
    ASSERT_TRUE(c.receive()) << GetLastError();
  }
  peer.join();
  EXPECT_EQ(head.substr(0, head.find("\r\n")), "GET /chat?room=1 HTTP/1.1");
  EXPECT_EQ(header_of(head, "Host"), "127.0.0.1:" + std::to_string(peer.port()));
  EXPECT_EQ(header_of(head, "Connection"), "Upgrade");
  EXPECT_EQ(header_of(head, "Upgrade"), "websocket");
  EXPECT_EQ(header_of(head, "Sec-WebSocket-Version"), "13");
  EXPECT_EQ(header_of(head, "Sec-WebSocket-Key").value_or("").size(), 24u);
  EXPECT_EQ(header_of(head, "User-Agent"), "agent/1");
}

TEST_F(handshake, GET_08_the_option_cannot_be_taken_back_by_setting_it_again) {
  std::string head;
  scripted_peer peer([&](scripted_peer& on) {
    peer_connection to = on.accept();
    head = to.handshake();
  });
  client c(peer.port());
  ASSERT_TRUE(c.upgrade());
  ASSERT_TRUE(c.upgrade());
  ASSERT_TRUE(c.send()) << GetLastError();
  peer.join();
  EXPECT_EQ(header_of(head, "Upgrade"), "websocket");
}

TEST_F(handshake, HSK_05_HSK_06_nothing_goes_out_that_nobody_asked_for) {
  std::string head;
  scripted_peer peer([&](scripted_peer& on) {
    peer_connection to = on.accept();
    head = to.handshake();
  });
  client c(peer.port());
  ASSERT_TRUE(c.upgrade());
  ASSERT_TRUE(c.send()) << GetLastError();
  peer.join();
  std::multiset<std::string> names;
  for (std::size_t at = head.find("\r\n") + 2; at + 2 < head.size();
       at = head.find("\r\n", at) + 2) {
    names.insert(head.substr(at, head.find(':', at) - at));
  }
  EXPECT_EQ(names, (std::multiset<std::string>{"Host", "User-Agent", "Connection", "Upgrade",
                                               "Sec-WebSocket-Version", "Sec-WebSocket-Key"}));
}

TEST_F(handshake, HSK_06_refresh_adds_no_cache) {
  std::string head;
  scripted_peer peer([&](scripted_peer& on) {
    peer_connection to = on.accept();
    head = to.handshake();
  });
  client c(peer.port(), L"/", WINHTTP_FLAG_REFRESH);
  ASSERT_TRUE(c.upgrade());
  ASSERT_TRUE(c.send()) << GetLastError();
  peer.join();
  EXPECT_EQ(header_of(head, "Pragma"), "no-cache");
  EXPECT_EQ(header_of(head, "Cache-Control"), "no-cache");
}

TEST_F(handshake, HSK_02_GET_22_generated_headers_are_visible_after_send_and_not_before) {
  scripted_peer peer([](scripted_peer& on) {
    peer_connection to = on.accept();
    to.handshake();
    to.expect_eof();
  });
  client c(peer.port());
  ASSERT_TRUE(c.upgrade());
  const DWORD of_request = WINHTTP_QUERY_FLAG_REQUEST_HEADERS;
  for (const wchar_t* name : {L"Sec-WebSocket-Key", L"Sec-WebSocket-Version", L"Upgrade"}) {
    EXPECT_EQ(query_custom(c.request, name, of_request), std::nullopt);
    EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_WINHTTP_HEADER_NOT_FOUND)); // GET-21
  }
  ASSERT_TRUE(c.send()) << GetLastError();
  EXPECT_EQ(query_custom(c.request, L"sec-websocket-key", of_request).value_or("").size(), 24u);
  EXPECT_EQ(query_custom(c.request, L"Sec-WebSocket-Version", of_request), "13");
  EXPECT_EQ(query_header(c.request, WINHTTP_QUERY_UPGRADE | of_request), "websocket");
  ASSERT_TRUE(c.receive()) << GetLastError();
}

TEST_F(handshake, HSK_03_GET_17_every_send_has_a_fresh_key_and_a_connection_of_its_own) {
  std::set<std::string> keys;
  scripted_peer peer([&](scripted_peer& on) {
    for (int i = 0; i < 3; ++i) {
      peer_connection to = on.accept();
      keys.insert(*header_of(to.handshake(), "Sec-WebSocket-Key"));
      to.expect_eof(); // not upgraded: dropped by the next send
    }
  });
  {
    client c(peer.port());
    ASSERT_TRUE(c.upgrade());
    for (int i = 0; i < 3; ++i) {
      ASSERT_TRUE(c.send()) << GetLastError();
      EXPECT_EQ(query_status(c.request), 0u); // the last response is gone
      ASSERT_TRUE(c.receive()) << GetLastError();
      EXPECT_EQ(query_status(c.request), 101u);
    }
  }
  peer.join();
  EXPECT_EQ(keys.size(), 3u);
}

TEST_F(handshake, HSK_04_X_08_our_upgrade_fields_replace_those_of_the_application) {
  std::string head;
  scripted_peer peer([&](scripted_peer& on) {
    peer_connection to = on.accept();
    head = to.handshake();
  });
  client c(peer.port());
  ASSERT_TRUE(c.upgrade());
  ASSERT_TRUE(WinHttpAddRequestHeaders(
      c.request,
      L"connection: close\r\nUPGRADE: h2c\r\nSec-WebSocket-Version: 8\r\nSec-WebSocket-Key: mine",
      static_cast<DWORD>(-1), WINHTTP_ADDREQ_FLAG_ADD));
  ASSERT_TRUE(c.send()) << GetLastError();
  ASSERT_TRUE(c.receive()) << GetLastError();
  peer.join();
  for (const char* name : {"Connection", "Upgrade", "Sec-WebSocket-Version", "Sec-WebSocket-Key"}) {
    EXPECT_EQ(header_count(head, name), 1u) << name;
  }
  EXPECT_EQ(header_of(head, "Connection"), "Upgrade");
  EXPECT_EQ(header_of(head, "Upgrade"), "websocket");
  EXPECT_EQ(header_of(head, "Sec-WebSocket-Version"), "13");
  EXPECT_NE(header_of(head, "Sec-WebSocket-Key"), "mine");
}

TEST_F(handshake, HSK_05_HSK_07_application_headers_go_out_as_they_were_given) {
  std::string head;
  scripted_peer peer([&](scripted_peer& on) {
    peer_connection to = on.accept();
    head = to.handshake("Sec-WebSocket-Protocol: b\r\n");
  });
  client c(peer.port());
  ASSERT_TRUE(c.upgrade());
  ASSERT_TRUE(WinHttpAddRequestHeaders(
      c.request, L"sec-WebSocket-PROTOCOL: a, b\r\nOrigin: https://example.org",
      static_cast<DWORD>(-1), WINHTTP_ADDREQ_FLAG_ADD));
  ASSERT_TRUE(
      WinHttpSendRequest(c.request, L"X-Token: 1", static_cast<DWORD>(-1), nullptr, 0, 0, 0));
  ASSERT_TRUE(c.receive()) << GetLastError();
  peer.join();
  EXPECT_NE(head.find("sec-WebSocket-PROTOCOL: a, b\r\n"), std::string::npos);
  EXPECT_NE(head.find("Origin: https://example.org\r\n"), std::string::npos);
  EXPECT_NE(head.find("X-Token: 1\r\n"), std::string::npos);
}

TEST_F(handshake, HSK_08_an_upgrade_is_http_1_1_whatever_was_asked_for) {
  std::string head;
  scripted_peer peer([&](scripted_peer& on) {
    peer_connection to = on.accept();
    head = to.handshake();
  });
  client c(peer.port());
  DWORD http2 = 1;
  EXPECT_TRUE(
      WinHttpSetOption(c.request, WINHTTP_OPTION_ENABLE_HTTP_PROTOCOL, &http2, sizeof(http2)));
  c.request = WinHttpOpenRequest(c.connection, L"GET", L"/", L"HTTP/1.0", nullptr, nullptr, 0);
  ASSERT_TRUE(c.upgrade());
  ASSERT_TRUE(c.send()) << GetLastError();
  ASSERT_TRUE(c.receive()) << GetLastError();
  peer.join();
  EXPECT_EQ(head.substr(0, head.find("\r\n")), "GET / HTTP/1.1");
}

} // namespace
} // namespace sluice::test
