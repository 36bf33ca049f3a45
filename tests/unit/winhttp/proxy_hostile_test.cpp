// Proxies that answer CONNECT with anything, slowly, or not at all.

#include "proxy_fixture.hpp"

#include <functional>
#include <string>
#include <thread>

namespace sluice::test {
namespace {

using hostile_proxies = backend_test;

// The code of an upgrade through a proxy that sends these bytes for CONNECT and, if told so, ends
// the stream behind them.
DWORD code_for(const std::string& bytes, bool ends, bool bytewise,
               const std::function<void(const client&)>& prepare = {}) {
  scripted_peer proxy([&](scripted_peer& on) {
    peer_connection to = on.accept_plain();
    to.read_request();
    bytewise ? to.send_bytewise(bytes) : (void)to.try_send(bytes);
    if (ends) {
      to.close_fin();
    }
    to.expect_eof();
  });
  const proxied_client c(proxy.port());
  if (prepare) {
    prepare(c);
  }
  EXPECT_FALSE(c.upgrade() && c.send());
  const DWORD code = GetLastError();
  EXPECT_FALSE(c.receive());
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_WINHTTP_INCORRECT_HANDLE_STATE)) << "GET-19";
  return code;
}

TEST_F(hostile_proxies, PRX_01_HSK_29_what_is_no_answer_to_CONNECT) {
  const struct {
    const char* bytes;
    bool ends;
    const char* why;
  } rows[] = {
      {"", true, "nothing"},
      {"HTTP/1.1 200 OK\r\nX: unfini", true, "a cut head"},
      {"SSH-2.0-OpenSSH\r\n", false, "another protocol"},
      {"HTTP/2.0 200 OK\r\n\r\n", false, "another version"},
      {"HTTP/1.1 200 OK\n\n", false, "bare line feeds"},
      {"HTTP/1.1 200 OK\r\nX : y\r\n\r\n", false, "a blank before the colon"},
      {"HTTP/1.1 200 OK\r\n folded\r\n\r\n", false, "a folded line"},
      {"HTTP/1.1 20 OK\r\n\r\n", false, "a status of two digits"},
      {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
       false, "nothing to switch to"},
      {"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n\r\n", false,
       "an answer before there was a question"},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(code_for(row.bytes, row.ends, false),
              static_cast<DWORD>(ERROR_WINHTTP_INVALID_SERVER_RESPONSE))
        << row.why;
  }
}

TEST_F(hostile_proxies, PRX_01_byte_by_byte_and_with_lengths_that_do_not_count) {
  for (const std::string extra : {"", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"}) {
    scripted_peer proxy([&](scripted_peer& on) {
      peer_connection to = on.accept_plain();
      to.read_request();
      to.send_bytewise("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.0 299 Fine\r\n" + extra + "\r\n");
      to.handshake();
      to.expect_eof();
    });
    const proxied_client c(proxy.port());
    EXPECT_TRUE(c.upgrade() && c.send() && c.receive()) << GetLastError();
    EXPECT_EQ(query_status(c.request), 101u);
  }
}

TEST_F(hostile_proxies, HSK_27_HSK_28_limits_hold_for_the_answer_to_CONNECT) {
  std::string interim;
  for (int i = 0; i < 11; ++i) {
    interim += "HTTP/1.1 100 Continue\r\n\r\n";
  }
  EXPECT_EQ(code_for(interim, false, false),
            static_cast<DWORD>(ERROR_WINHTTP_INVALID_SERVER_RESPONSE));
  EXPECT_EQ(code_for("HTTP/1.1 200 " + std::string(70000, 'x'), false, false),
            static_cast<DWORD>(ERROR_WINHTTP_HEADER_SIZE_OVERFLOW));
  std::string fields;
  for (int i = 0; i < 200; ++i) {
    fields += "X: y\r\n";
  }
  EXPECT_EQ(code_for("HTTP/1.1 200 OK\r\n" + fields, false, false),
            static_cast<DWORD>(ERROR_WINHTTP_HEADER_COUNT_EXCEEDED));
  EXPECT_EQ(code_for("HTTP/1.1 200 OK\r\nX: y", false, false,
                     [](const client& c) {
                       DWORD most = 20;
                       EXPECT_TRUE(WinHttpSetOption(c.request,
                                                    WINHTTP_OPTION_MAX_RESPONSE_HEADER_SIZE, &most,
                                                    sizeof(most)));
                     }),
            static_cast<DWORD>(ERROR_WINHTTP_HEADER_SIZE_OVERFLOW));
}

TEST_F(hostile_proxies, PRX_01_a_reset_is_12030) {
  scripted_peer proxy([&](scripted_peer& on) {
    peer_connection to = on.accept_plain();
    to.read_request();
    to.close_rst();
  });
  const proxied_client c(proxy.port());
  EXPECT_FALSE(c.upgrade() && c.send());
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_WINHTTP_CONNECTION_ERROR));
}

TEST_F(hostile_proxies, TMO_02_X_49_the_tunnel_counts_into_the_connect_timeout) {
  for (const char* const bytes : {"", "HTTP/1.1 200 OK\r\nX: unfinished"}) {
    const DWORD code = code_for(bytes, false, false, [](const client& c) {
      EXPECT_TRUE(WinHttpSetTimeouts(c.request, 0, 60, 0, 0));
    });
    EXPECT_EQ(code, static_cast<DWORD>(ERROR_WINHTTP_TIMEOUT));
  }
}

TEST_F(hostile_proxies, HND_16_close_handle_ends_the_wait_for_a_tunnel) {
  event asked;
  scripted_peer proxy([&](scripted_peer& on) {
    peer_connection to = on.accept_plain();
    to.read_request();
    asked.set();
    to.expect_eof();
  });
  proxied_client c(proxy.port());
  ASSERT_TRUE(c.upgrade());
  const HINTERNET request = c.request.release();
  std::thread closer([&] {
    asked.wait();
    EXPECT_TRUE(WinHttpCloseHandle(request));
  });
  EXPECT_FALSE(WinHttpSendRequest(request, nullptr, 0, nullptr, 0, 0, 0));
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_WINHTTP_OPERATION_CANCELLED));
  closer.join();
}

TEST_F(hostile_proxies, PRX_04_a_proxy_that_asks_for_ever_is_answered_once) {
  int connections = 0;
  {
    scripted_peer proxy([&](scripted_peer& on) {
      for (; connections < 2; ++connections) {
        peer_connection to = on.accept_plain();
        to.read_request();
        to.send_response("HTTP/1.1 407 Again", "Proxy-Authenticate: Basic\r\n");
        to.expect_eof();
      }
    });
    const proxied_client c(proxy.port());
    c.set_text(WINHTTP_OPTION_PROXY_USERNAME, L"me");
    ASSERT_TRUE(c.upgrade() && c.send() && c.receive()) << GetLastError();
    EXPECT_EQ(query_status(c.request), 407u);
  }
  EXPECT_EQ(connections, 2);
}

} // namespace
} // namespace sluice::test
