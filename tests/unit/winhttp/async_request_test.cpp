// Requests of asynchronous sessions: what is notified, when, and on which thread.

#include "async_fixture.hpp"

#include "support/winhttp_client.hpp"

#include <algorithm>

namespace sluice::test {
namespace {

using lines = std::vector<std::string>;
using async_request = async_test;

bool begin(HINTERNET request, bool upgrade = true) {
  if (upgrade) {
    EXPECT_TRUE(WinHttpSetOption(request, WINHTTP_OPTION_UPGRADE_TO_WEB_SOCKET, nullptr, 0));
  }
  return WinHttpSendRequest(request, nullptr, 0, nullptr, 0, 0, 0) != FALSE;
}

bool has(const lines& in, std::string_view line) {
  return std::find(in.begin(), in.end(), line) != in.end();
}

TEST_F(async_request, GET_20_HND_19_a_superfluous_receive_response) {
  scripted_peer server([](scripted_peer& self) {
    peer_connection client = self.accept();
    client.handshake();
    client.expect_eof();
  });
  recorder heard;
  async_handles handles(heard, server.port());
  ASSERT_TRUE(begin(handles.request));
  heard.wait(WINHTTP_CALLBACK_STATUS_SENDREQUEST_COMPLETE);
  SetLastError(1);
  ASSERT_TRUE(WinHttpReceiveResponse(handles.request, nullptr));
  EXPECT_EQ(GetLastError(), 0u);
  heard.clear();
  EXPECT_TRUE(WinHttpReceiveResponse(handles.request, nullptr));
  EXPECT_EQ(heard.described(), (lines{"request REQUEST_ERROR 12019 of 1 in-call"}));
}

TEST_F(async_request, HND_07_a_context_of_send_replaces_the_old_one_unless_it_is_zero) {
  scripted_peer server([](scripted_peer& self) {
    for (int i = 0; i < 2; ++i) {
      peer_connection client = self.accept();
      client.handshake();
      client.expect_eof();
    }
  });
  recorder heard;
  recorder of_send;
  async_handles handles(heard, server.port());
  ASSERT_TRUE(WinHttpSetOption(handles.request, WINHTTP_OPTION_UPGRADE_TO_WEB_SOCKET, nullptr, 0));
  ASSERT_TRUE(WinHttpSendRequest(handles.request, nullptr, 0, nullptr, 0, 0, of_send.context()));
  of_send.wait(WINHTTP_CALLBACK_STATUS_SENDREQUEST_COMPLETE);
  ASSERT_TRUE(WinHttpSendRequest(handles.request, nullptr, 0, nullptr, 0, 0, 0));
  of_send.wait(WINHTTP_CALLBACK_STATUS_SENDREQUEST_COMPLETE, 2);
  EXPECT_EQ(heard.count(WINHTTP_CALLBACK_STATUS_SENDREQUEST_COMPLETE), 0u);
  DWORD_PTR context = heard.context(); // for HANDLE_CLOSING
  EXPECT_TRUE(
      WinHttpSetOption(handles.request, WINHTTP_OPTION_CONTEXT_VALUE, &context, sizeof(context)));
}

TEST_F(async_request, GET_14_failures_of_the_send) {
  const refusing_port port;
  recorder heard;
  async_handles handles(heard, port.port());
  ASSERT_TRUE(begin(handles.request));
  heard.wait(WINHTTP_CALLBACK_STATUS_REQUEST_ERROR);
  EXPECT_TRUE(has(heard.described(), "request REQUEST_ERROR 12029 of 5"));
  EXPECT_FALSE(WinHttpReceiveResponse(handles.request, nullptr));
  EXPECT_EQ(GetLastError(), DWORD{ERROR_WINHTTP_INCORRECT_HANDLE_STATE}) << "GET-19";
}

TEST_F(async_request, GET_02_HND_03_secure_defaults_mean_asynchronous_and_https) {
  recorder heard;
  async_handles handles(heard, 1, WINHTTP_CALLBACK_FLAG_ALL_NOTIFICATIONS,
                        WINHTTP_FLAG_SECURE_DEFAULTS);
  const unique_handle plain =
      WinHttpOpenRequest(handles.connection, nullptr, nullptr, nullptr, nullptr, nullptr, 0);
  heard.name(plain, "plain");
  ASSERT_TRUE(begin(plain));
  heard.wait(WINHTTP_CALLBACK_STATUS_REQUEST_ERROR);
  EXPECT_TRUE(has(heard.described(), "plain REQUEST_ERROR 12175 of 5"));
  EXPECT_EQ(heard.count(WINHTTP_CALLBACK_STATUS_CONNECTING_TO_SERVER), 0u);
}

TEST_F(async_request, NOT_16_several_errors_and_the_context_is_used_until_handle_closing) {
  const refusing_port port;
  recorder heard;
  HINTERNET request = nullptr;
  {
    async_handles handles(heard, port.port());
    request = handles.request;
    for (std::size_t sends = 1; sends <= 2; ++sends) {
      ASSERT_TRUE(begin(request, false));
      heard.wait(WINHTTP_CALLBACK_STATUS_REQUEST_ERROR, sends);
    }
    EXPECT_EQ(heard.count(WINHTTP_CALLBACK_STATUS_REQUEST_ERROR), 2u);
    handles.close();
  }
  ASSERT_FALSE(heard.described(request).empty());
  EXPECT_EQ(heard.described(request).back().rfind("request HANDLE_CLOSING", 0), 0u);
}

TEST_F(async_request, GET_15_GET_18_parameters_are_refused_in_the_call) {
  recorder heard;
  async_handles handles(heard, 1);
  heard.clear();
  ASSERT_TRUE(WinHttpSetOption(handles.request, WINHTTP_OPTION_UPGRADE_TO_WEB_SOCKET, nullptr, 0));
  char body[] = "body";
  EXPECT_FALSE(WinHttpSendRequest(handles.request, nullptr, 0, body, 4, 4, 0));
  EXPECT_EQ(GetLastError(), DWORD{ERROR_INVALID_PARAMETER});
  EXPECT_FALSE(WinHttpSendRequest(handles.request, L"no header", 0xFFFFFFFF, nullptr, 0, 0, 0));
  EXPECT_EQ(GetLastError(), DWORD{ERROR_WINHTTP_INVALID_HEADER});
  EXPECT_EQ(heard.described(), lines{});
}

TEST_F(async_request, HSK_52_receive_response_before_the_answer_is_there) {
  event asked;
  scripted_peer server([&](scripted_peer& self) {
    peer_connection client = self.accept();
    client.read_request();
    asked.wait();
    client.send_101();
    client.expect_eof();
  });
  recorder heard;
  async_handles handles(heard, server.port());
  heard.clear();
  ASSERT_TRUE(begin(handles.request));
  EXPECT_TRUE(WinHttpReceiveResponse(handles.request, nullptr));
  EXPECT_FALSE(WinHttpReceiveResponse(handles.request, nullptr));
  EXPECT_EQ(GetLastError(), DWORD{ERROR_INVALID_OPERATION});
  EXPECT_FALSE(WinHttpSendRequest(handles.request, nullptr, 0, nullptr, 0, 0, 0));
  EXPECT_EQ(GetLastError(), DWORD{ERROR_INVALID_OPERATION});
  asked.set();
  heard.wait(WINHTTP_CALLBACK_STATUS_HEADERS_AVAILABLE);
  const lines got = heard.described();
  ASSERT_GE(got.size(), 4u);
  EXPECT_EQ(lines(got.end() - 4, got.end()),
            (lines{"request SENDREQUEST_COMPLETE", "request RECEIVING_RESPONSE",
                   "request RESPONSE_RECEIVED", "request HEADERS_AVAILABLE"}));
}

TEST_F(async_request, HSK_52_GET_19_a_receive_response_behind_a_send_that_fails) {
  const refusing_port port;
  recorder heard;
  async_handles handles(heard, port.port());
  BOOL accepted = FALSE;
  heard.on(WINHTTP_CALLBACK_STATUS_CONNECTING_TO_SERVER, [&](const notice&) {
    accepted = WinHttpReceiveResponse(handles.request, nullptr); // the send is under way
  });
  ASSERT_TRUE(begin(handles.request));
  heard.wait(WINHTTP_CALLBACK_STATUS_REQUEST_ERROR, 2);
  EXPECT_TRUE(accepted);
  const lines got = heard.described();
  EXPECT_EQ(lines(got.end() - 2, got.end()),
            (lines{"request REQUEST_ERROR 12029 of 5", "request REQUEST_ERROR 12019 of 1"}));
}

TEST_F(async_request, HSK_22_HSK_51_what_reading_ahead_found_is_told_by_receive_response) {
  scripted_peer server([](scripted_peer& self) {
    peer_connection client = self.accept();
    client.read_request();
    client.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                "Connection: Upgrade\r\nSec-WebSocket-Accept: wrong\r\n\r\n");
    client.expect_eof();
  });
  recorder heard;
  async_handles handles(heard, server.port());
  ASSERT_TRUE(begin(handles.request));
  heard.wait(WINHTTP_CALLBACK_STATUS_SENDREQUEST_COMPLETE);
  ASSERT_TRUE(WinHttpReceiveResponse(handles.request, nullptr));
  EXPECT_TRUE(has(heard.described(), "request REQUEST_ERROR 12152 of 1 in-call"));
  EXPECT_EQ(WinHttpWebSocketCompleteUpgrade(handles.request, 0), nullptr);
}

TEST_F(async_request, HSK_40_redirects_are_followed_by_a_worker) {
  scripted_peer server([](scripted_peer& self) {
    {
      peer_connection first = self.accept();
      first.read_request();
      first.send_response("HTTP/1.1 302 Found", "Location: /there\r\n");
    }
    peer_connection second = self.accept();
    EXPECT_EQ(second.handshake().substr(0, 10), "GET /there");
    second.expect_eof();
  });
  recorder heard;
  async_handles handles(heard, server.port());
  ASSERT_TRUE(begin(handles.request));
  heard.wait(WINHTTP_CALLBACK_STATUS_SENDREQUEST_COMPLETE);
  ASSERT_TRUE(WinHttpReceiveResponse(handles.request, nullptr));
  heard.wait(WINHTTP_CALLBACK_STATUS_HEADERS_AVAILABLE);
  EXPECT_TRUE(has(heard.described(), "request REDIRECT"));
  const HINTERNET socket = WinHttpWebSocketCompleteUpgrade(handles.request, heard.context());
  ASSERT_NE(socket, nullptr);
  EXPECT_TRUE(WinHttpCloseHandle(socket));
  heard.wait_closed(socket);
}

TEST_F(async_request, CUP_13_upgrade_and_receive_inside_headers_available) {
  scripted_peer server([](scripted_peer& self) {
    peer_connection client = self.accept();
    client.handshake({}, make_frame(text_opcode, "greeting")); // HSK-30
    client.expect_eof();
  });
  recorder heard;
  landing<32> to;
  HINTERNET socket = nullptr;
  heard.on(WINHTTP_CALLBACK_STATUS_SENDREQUEST_COMPLETE,
           [&](const notice& done) { EXPECT_TRUE(WinHttpReceiveResponse(done.handle, nullptr)); });
  heard.on(WINHTTP_CALLBACK_STATUS_HEADERS_AVAILABLE, [&](const notice& done) {
    socket = WinHttpWebSocketCompleteUpgrade(done.handle, heard.context());
    EXPECT_NE(socket, nullptr);
    EXPECT_TRUE(WinHttpCloseHandle(done.handle));
    EXPECT_EQ(to.receive(socket), ERROR_SUCCESS);
  });
  async_handles handles(heard, server.port());
  ASSERT_TRUE(begin(handles.request));
  heard.wait(WINHTTP_CALLBACK_STATUS_READ_COMPLETE);
  EXPECT_EQ(to.first(8), "greeting");
  heard.wait_closed(std::exchange(handles.request, nullptr));
  EXPECT_TRUE(WinHttpCloseHandle(socket));
  heard.wait_closed(socket);
}

TEST_F(async_request, GET_26_GET_27_HSK_25_a_response_that_is_no_upgrade) {
  scripted_peer server([](scripted_peer& self) {
    peer_connection client = self.accept();
    client.read_request();
    client.send_response("HTTP/1.1 503 Busy", {}, "come back later");
  });
  recorder heard;
  async_handles handles(heard, server.port());
  ASSERT_TRUE(begin(handles.request));
  heard.wait(WINHTTP_CALLBACK_STATUS_SENDREQUEST_COMPLETE);
  char body[64];
  EXPECT_FALSE(WinHttpReadData(handles.request, body, sizeof(body), nullptr));
  EXPECT_EQ(GetLastError(), DWORD{ERROR_WINHTTP_INCORRECT_HANDLE_STATE});
  ASSERT_TRUE(WinHttpReceiveResponse(handles.request, nullptr));
  EXPECT_EQ(query_status(handles.request), 503u);
  EXPECT_EQ(WinHttpWebSocketCompleteUpgrade(handles.request, 0), nullptr);
  EXPECT_EQ(GetLastError(), DWORD{ERROR_INVALID_OPERATION});
  ASSERT_TRUE(WinHttpQueryDataAvailable(handles.request, nullptr));
  heard.wait(WINHTTP_CALLBACK_STATUS_DATA_AVAILABLE);
  ASSERT_TRUE(WinHttpReadData(handles.request, body, sizeof(body), nullptr));
  heard.wait(WINHTTP_CALLBACK_STATUS_READ_COMPLETE);
  const notice last = heard.all().back();
  EXPECT_EQ(std::string(body, last.info_bytes), "come back later");
}

TEST_F(async_request, HND_16_HND_20_close_handle_ends_a_send_that_waits) {
  event connected;
  event done;
  scripted_peer server([&](scripted_peer& self) {
    peer_connection client = self.accept();
    client.read_request();
    connected.set();
    done.wait();
  });
  recorder heard;
  async_handles handles(heard, server.port());
  ASSERT_TRUE(begin(handles.request));
  connected.wait();
  const HINTERNET request = std::exchange(handles.request, nullptr);
  EXPECT_TRUE(WinHttpCloseHandle(request));
  heard.wait_closed(request);
  done.set();
  // The request is out, so the Send may say so; then nobody asked for the response.
  EXPECT_EQ(heard.count(WINHTTP_CALLBACK_STATUS_SENDREQUEST_COMPLETE) +
                heard.count(WINHTTP_CALLBACK_STATUS_REQUEST_ERROR),
            1u)
      << "STA-06";
  EXPECT_EQ(heard.all().back().status, DWORD{WINHTTP_CALLBACK_STATUS_HANDLE_CLOSING});
}

} // namespace
} // namespace sluice::test
