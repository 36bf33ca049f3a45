// Asynchronous requests through a proxy, with credentials, and with bodies in pieces.

#include "async_fixture.hpp"
#include "proxy_fixture.hpp"

#include <algorithm>

namespace sluice::test {
namespace {

using lines = std::vector<std::string>;
using async_proxy = async_test;

constexpr const char* me_secret = "Basic bWU6c2VjcmV0"; // me:secret

// Handles of an asynchronous session whose request goes through the proxy on `port`.
struct proxied_handles : async_handles {
  proxied_handles(recorder& told, std::uint16_t proxy_port, const wchar_t* host, INTERNET_PORT port,
                  DWORD flags = 0, const wchar_t* verb = nullptr)
      : async_handles(told, 1) {
    const std::wstring text = proxy_text(proxy_port);
    name_proxy(session, text);
    std::string authority = tls_test_authority().root();
    EXPECT_TRUE(WinHttpSetOption(session, SLUICE_OPTION_TLS_CA_PEM, authority.data(),
                                 static_cast<DWORD>(authority.size())));
    for (HINTERNET* const handle : {&request, &connection}) {
      const HINTERNET closed = std::exchange(*handle, nullptr);
      EXPECT_TRUE(WinHttpCloseHandle(closed));
      to.wait_closed(closed);
    }
    connection = WinHttpConnect(session, host, port, 0);
    to.name(connection, "connection");
    request = WinHttpOpenRequest(connection, verb, nullptr, nullptr, nullptr, nullptr, flags);
    to.name(request, "request");
    to.clear();
  }
};

const lines sent = {"request RESOLVING_NAME",       "request NAME_RESOLVED",
                    "request CONNECTING_TO_SERVER", "request CONNECTED_TO_SERVER",
                    "request SENDING_REQUEST",      "request REQUEST_SENT",
                    "request SENDREQUEST_COMPLETE"};
const lines received = {"request RECEIVING_RESPONSE in-call", "request RESPONSE_RECEIVED in-call",
                        "request HEADERS_AVAILABLE in-call"};

lines joined(lines first, const lines& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

TEST_F(async_proxy, PRX_01_HSK_50_the_sequence_is_that_of_a_direct_connection) {
  for (const bool secure : {false, true}) {
    scripted_peer proxy([&](scripted_peer& on) {
      peer_connection to = on.accept_plain();
      EXPECT_EQ(line_of(accept_tunnel(to)), "CONNECT localhost:81 HTTP/1.1");
      if (secure) {
        to.start_tls();
      }
      to.handshake({}, make_frame(0x2, "hello"));
      to.expect_eof();
    });
    recorder heard;
    proxied_handles handles(heard, proxy.port(), L"localhost", 81,
                            secure ? WINHTTP_FLAG_SECURE : 0);
    const HINTERNET socket = handles.open_socket();
    EXPECT_EQ(heard.described(),
              joined(joined(sent, received), {"request HANDLE_CREATED socket in-call"}));
    landing<16> to;
    EXPECT_EQ(to.receive(socket), 0u);
    heard.wait(WINHTTP_CALLBACK_STATUS_READ_COMPLETE);
    EXPECT_EQ(to.first(5), "hello");
    EXPECT_TRUE(WinHttpCloseHandle(socket));
    heard.wait_closed(socket);
  }
}

// What the names and addresses of the steps are.
TEST_F(async_proxy, PRX_01_the_steps_name_the_proxy) {
  scripted_peer proxy([&](scripted_peer& on) {
    peer_connection to = on.accept_plain();
    accept_tunnel(to);
    to.handshake();
    to.expect_eof();
  });
  std::vector<std::wstring> told;
  const proxied_client c(proxy.port(), L"target.invalid");
  auto context = reinterpret_cast<DWORD_PTR>(&told);
  ASSERT_TRUE(WinHttpSetOption(c.request, WINHTTP_OPTION_CONTEXT_VALUE, &context, sizeof(context)));
  WinHttpSetStatusCallback(
      c.request,
      [](HINTERNET, DWORD_PTR to, DWORD, LPVOID info, DWORD length) {
        const auto* const text = static_cast<const wchar_t*>(info);
        EXPECT_EQ(length, std::wcslen(text) + 1);
        reinterpret_cast<std::vector<std::wstring>*>(to)->emplace_back(text);
      },
      WINHTTP_CALLBACK_FLAG_RESOLVE_NAME | WINHTTP_CALLBACK_FLAG_CONNECT_TO_SERVER, 0);
  ASSERT_TRUE(c.upgrade() && c.send() && c.receive()) << GetLastError();
  EXPECT_EQ(told, (std::vector<std::wstring>(4, L"127.0.0.1")));
}

TEST_F(async_proxy, PRX_04_HSK_44_HSK_51_a_407_and_credentials) {
  std::string second;
  scripted_peer proxy([&](scripted_peer& on) {
    {
      peer_connection to = on.accept_plain();
      to.read_request();
      to.send_response("HTTP/1.1 407 Who are you", "Proxy-Authenticate: Basic realm=\"x\"\r\n");
      to.expect_eof();
    }
    peer_connection to = on.accept_plain();
    second = accept_tunnel(to);
    to.handshake();
    to.expect_eof();
  });
  recorder heard;
  {
    proxied_handles handles(heard, proxy.port(), L"target.invalid", 0);
    ASSERT_TRUE(
        WinHttpSetOption(handles.request, WINHTTP_OPTION_UPGRADE_TO_WEB_SOCKET, nullptr, 0));
    ASSERT_TRUE(WinHttpSendRequest(handles.request, nullptr, 0, nullptr, 0, 0, 0));
    heard.wait(WINHTTP_CALLBACK_STATUS_SENDREQUEST_COMPLETE);
    ASSERT_TRUE(WinHttpReceiveResponse(handles.request, nullptr));
    lines refused = sent; // the request itself is never sent
    refused.erase(refused.begin() + 4, refused.begin() + 6);
    EXPECT_EQ(heard.described(), joined(refused, received));
    EXPECT_EQ(query_status(handles.request), 407u);
    DWORD supported = 0;
    DWORD first = 0;
    DWORD target = 0;
    ASSERT_TRUE(WinHttpQueryAuthSchemes(handles.request, &supported, &first, &target));
    EXPECT_EQ(target, static_cast<DWORD>(WINHTTP_AUTH_TARGET_PROXY));
    ASSERT_TRUE(WinHttpSetCredentials(handles.request, target, first, L"me", L"secret", nullptr));
    heard.clear();
    const HINTERNET socket = handles.open_socket();
    EXPECT_TRUE(WinHttpCloseHandle(socket));
    heard.wait_closed(socket);
  }
  proxy.join();
  EXPECT_EQ(header_of(second, "Proxy-Authorization"), me_secret);
}

TEST_F(async_proxy, HSK_44_HSK_52_options_answer_on_a_worker) {
  scripted_peer server([](scripted_peer& on) {
    {
      peer_connection to = on.accept();
      to.read_request();
      to.send_response("HTTP/1.1 401 Unauthorized", "WWW-Authenticate: Basic\r\n");
      to.expect_eof();
    }
    peer_connection to = on.accept();
    EXPECT_EQ(header_of(to.handshake(), "Authorization"), me_secret);
    to.expect_eof();
  });
  recorder heard;
  async_handles handles(heard, server.port());
  wchar_t user[] = L"me";
  wchar_t password[] = L"secret";
  ASSERT_TRUE(WinHttpSetOption(handles.request, WINHTTP_OPTION_USERNAME, user, 2));
  ASSERT_TRUE(WinHttpSetOption(handles.request, WINHTTP_OPTION_PASSWORD, password, 6));
  ASSERT_TRUE(WinHttpSetOption(handles.request, WINHTTP_OPTION_UPGRADE_TO_WEB_SOCKET, nullptr, 0));
  ASSERT_TRUE(WinHttpSendRequest(handles.request, nullptr, 0, nullptr, 0, 0, 0));
  heard.wait(WINHTTP_CALLBACK_STATUS_SENDREQUEST_COMPLETE);
  heard.clear();
  ASSERT_TRUE(WinHttpReceiveResponse(handles.request, nullptr));
  heard.wait(WINHTTP_CALLBACK_STATUS_HEADERS_AVAILABLE);
  EXPECT_EQ(query_status(handles.request), 101u);
  const lines got = heard.described();
  EXPECT_EQ(got.back(), "request HEADERS_AVAILABLE") << "not in-call: it had to connect";
}

TEST_F(async_proxy, PRX_01_GET_14_failures_of_the_proxy_are_those_of_the_send) {
  scripted_peer proxy([](scripted_peer& on) {
    peer_connection to = on.accept_plain();
    to.read_request();
    to.send("HTTP/1.1 200 OK\r\n\r\nearly");
    to.expect_eof();
  });
  recorder heard;
  proxied_handles handles(heard, proxy.port(), L"target.invalid", 0);
  ASSERT_TRUE(WinHttpSetOption(handles.request, WINHTTP_OPTION_UPGRADE_TO_WEB_SOCKET, nullptr, 0));
  ASSERT_TRUE(WinHttpSendRequest(handles.request, nullptr, 0, nullptr, 0, 0, 0));
  heard.wait(WINHTTP_CALLBACK_STATUS_REQUEST_ERROR);
  const lines got = heard.described();
  EXPECT_NE(std::find(got.begin(), got.end(), "request REQUEST_ERROR 12152 of 5"), got.end());
}

TEST_F(async_proxy, HND_15_HND_16_close_handle_while_the_tunnel_is_awaited) {
  event asked;
  scripted_peer proxy([&](scripted_peer& on) {
    peer_connection to = on.accept_plain();
    to.read_request();
    asked.set();
    to.expect_eof();
  });
  recorder heard;
  proxied_handles handles(heard, proxy.port(), L"target.invalid", 0);
  ASSERT_TRUE(WinHttpSetOption(handles.request, WINHTTP_OPTION_UPGRADE_TO_WEB_SOCKET, nullptr, 0));
  ASSERT_TRUE(WinHttpSendRequest(handles.request, nullptr, 0, nullptr, 0, 0, 0));
  asked.wait();
  const HINTERNET request = std::exchange(handles.request, nullptr);
  EXPECT_TRUE(WinHttpCloseHandle(request));
  heard.wait_closed(request);
  const lines got = heard.described(request);
  EXPECT_NE(std::find(got.begin(), got.end(), "request REQUEST_ERROR 12017 of 5"), got.end());
  EXPECT_EQ(heard.count(WINHTTP_CALLBACK_STATUS_REQUEST_ERROR), 1u);
}

TEST_F(async_proxy, GET_17_write_data_completes_with_the_number_of_bytes) {
  scripted_peer server([](scripted_peer& on) {
    peer_connection to = on.accept();
    EXPECT_EQ(header_of(to.read_request(), "Content-Length"), "11");
    EXPECT_EQ(to.read_exact(11), "hello world");
    to.send_response("HTTP/1.1 200 OK");
    to.expect_eof();
  });
  recorder heard;
  async_handles handles(heard, server.port());
  char first[] = "hello";
  char second[] = " world";
  EXPECT_FALSE(WinHttpWriteData(handles.request, second, 6, nullptr));
  EXPECT_EQ(GetLastError(), DWORD{ERROR_WINHTTP_INCORRECT_HANDLE_STATE});
  ASSERT_TRUE(WinHttpSendRequest(handles.request, nullptr, 0, first, 5, 11, 0));
  heard.wait(WINHTTP_CALLBACK_STATUS_SENDREQUEST_COMPLETE);
  heard.clear();
  EXPECT_FALSE(WinHttpWriteData(handles.request, second, 7, nullptr));
  EXPECT_EQ(GetLastError(), DWORD{ERROR_WINHTTP_INCORRECT_HANDLE_STATE});
  ASSERT_TRUE(WinHttpWriteData(handles.request, second, 6, nullptr));
  heard.wait(WINHTTP_CALLBACK_STATUS_WRITE_COMPLETE);
  EXPECT_EQ(heard.all().front().info_bytes, sizeof(DWORD));
  ASSERT_TRUE(WinHttpReceiveResponse(handles.request, nullptr));
  heard.wait(WINHTTP_CALLBACK_STATUS_HEADERS_AVAILABLE);
  EXPECT_EQ(query_status(handles.request), 200u);
}

} // namespace
} // namespace sluice::test
