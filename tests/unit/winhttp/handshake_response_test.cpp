// Section 7.2 of the contract: which answers an upgrade request takes.

#include "handshake_fixture.hpp"

#include <functional>
#include <future>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace sluice::test {
namespace {

// One upgrade answered with what `answer` makes of the connection whose request was read. Returns
// the code of WinHttpReceiveResponse, 0 for success.
DWORD answer_with(const std::function<std::string(peer_connection&)>& answer,
                  const wchar_t* extra_headers = nullptr, bool bytewise = false) {
  scripted_peer peer([&](scripted_peer& on) {
    peer_connection to = on.accept();
    to.read_request();
    const std::string bytes = answer(to);
    bytewise ? to.send_bytewise(bytes) : to.send(bytes);
    to.expect_eof();
  });
  client c(peer.port());
  EXPECT_TRUE(c.upgrade());
  if (extra_headers != nullptr) {
    EXPECT_TRUE(WinHttpAddRequestHeaders(c.request, extra_headers, static_cast<DWORD>(-1),
                                         WINHTTP_ADDREQ_FLAG_ADD));
  }
  EXPECT_TRUE(c.send()) << GetLastError();
  const BOOL received = WinHttpReceiveResponse(c.request, nullptr);
  const DWORD code = GetLastError();
  EXPECT_EQ(received != FALSE, code == 0);
  // A failed handshake leaves nothing to make a socket of.
  const unique_handle socket = complete(c.request);
  EXPECT_EQ(socket.get() != nullptr, code == 0);
  if (code != 0) {
    EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_INVALID_OPERATION));
  }
  return code;
}

// The right answer with one line changed, added (name not there) or removed (no value).
std::string changed_101(const peer_connection& to, const std::string& name,
                        const std::optional<std::string>& value) {
  const std::vector<std::pair<std::string, std::string>> fields = {
      {"Upgrade", "websocket"},
      {"Connection", "Upgrade"},
      {"Sec-WebSocket-Accept", accept_for(*header_of(to.request(), "Sec-WebSocket-Key"))}};
  std::string out = "HTTP/1.1 101 Switching Protocols\r\n";
  bool seen = false;
  for (const auto& [field, preset] : fields) {
    if (field == name) {
      seen = true;
      if (value.has_value()) {
        out += name + ": " + *value + "\r\n";
      }
    } else {
      out += field + ": " + preset + "\r\n";
    }
  }
  if (!seen && value.has_value()) {
    out += name + ": " + *value + "\r\n";
  }
  return out + "\r\n";
}

DWORD answer_with_field(const std::string& name, const std::optional<std::string>& value,
                        const wchar_t* extra_headers = nullptr) {
  return answer_with([&](peer_connection& to) { return changed_101(to, name, value); },
                     extra_headers);
}

TEST_F(handshake, HSK_20_GET_23_a_right_101_is_readable_before_and_after_the_upgrade) {
  std::promise<std::string> sent_key;
  scripted_peer peer([&](scripted_peer& on) {
    peer_connection to = on.accept();
    sent_key.set_value(*header_of(to.read_request(), "Sec-WebSocket-Key"));
    to.send_101();
    to.expect_eof();
  });
  client c(peer.port());
  ASSERT_TRUE(c.upgrade());
  ASSERT_TRUE(c.send()) << GetLastError();
  ASSERT_TRUE(c.receive()) << GetLastError();
  const std::string key = sent_key.get_future().get();
  unique_handle socket;
  for (const bool upgraded : {false, true}) {
    EXPECT_EQ(query_status(c.request), 101u) << upgraded;
    EXPECT_EQ(query_header(c.request, WINHTTP_QUERY_UPGRADE), "websocket");
    EXPECT_EQ(query_header(c.request, WINHTTP_QUERY_CONNECTION), "Upgrade");
    EXPECT_EQ(query_custom(c.request, L"Sec-WebSocket-Accept"), accept_for(key));
    if (!upgraded) {
      SetLastError(1);
      socket = complete(c.request);
      EXPECT_NE(socket.get(), nullptr);
      EXPECT_EQ(GetLastError(), 0u); // CUP-10
    }
  }
  // GET-25
  DWORD length = 0;
  EXPECT_FALSE(
      WinHttpQueryHeaders(socket, WINHTTP_QUERY_STATUS_CODE, nullptr, nullptr, &length, nullptr));
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_WINHTTP_INCORRECT_HANDLE_TYPE));
}

TEST_F(handshake, HSK_20_a_right_101_is_taken_byte_by_byte) {
  EXPECT_EQ(answer_with([](peer_connection& to) { return to.response_101(); }, nullptr, true), 0u);
}

TEST_F(handshake, HSK_21_names_and_tokens_in_any_case_lists_and_blanks) {
  EXPECT_EQ(answer_with_field("Upgrade", "WebSocket"), 0u);
  EXPECT_EQ(answer_with_field("Connection", "keep-alive, UPGRADE"), 0u);
  EXPECT_EQ(answer_with_field("Connection", " \t upgrade \t "), 0u);
  EXPECT_EQ(answer_with([](peer_connection& to) {
              return "HTTP/1.1 101 x\r\nUPGRADE: websocket\r\nconnection: Upgrade\r\n"
                     "sec-websocket-ACCEPT:" +
                     accept_for(*header_of(to.request(), "Sec-WebSocket-Key")) + "\r\n\r\n";
            }),
            0u);
}

TEST_F(handshake, HSK_22_X_10_missing_or_wrong_upgrade_fields_fail_with_12152) {
  const DWORD invalid = ERROR_WINHTTP_INVALID_SERVER_RESPONSE;
  EXPECT_EQ(answer_with_field("Upgrade", std::nullopt), invalid);
  EXPECT_EQ(answer_with_field("Upgrade", "h2c"), invalid);
  EXPECT_EQ(answer_with_field("Upgrade", "websockets"), invalid);
  EXPECT_EQ(answer_with_field("Connection", std::nullopt), invalid);
  EXPECT_EQ(answer_with_field("Connection", "keep-alive"), invalid);
  EXPECT_EQ(answer_with_field("Connection", "upgraded"), invalid);
  EXPECT_EQ(answer_with_field("Sec-WebSocket-Accept", std::nullopt), invalid);
  EXPECT_EQ(answer_with_field("Sec-WebSocket-Accept", ""), invalid);
  EXPECT_EQ(answer_with_field("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), invalid);
}

TEST_F(handshake, HSK_23_protocols_and_extensions_that_were_not_offered_fail_with_12152) {
  const DWORD invalid = ERROR_WINHTTP_INVALID_SERVER_RESPONSE;
  const wchar_t* offer = L"Sec-WebSocket-Protocol: chat, feed";
  EXPECT_EQ(answer_with_field("Sec-WebSocket-Protocol", "chat"), invalid);
  EXPECT_EQ(answer_with_field("Sec-WebSocket-Protocol", "other", offer), invalid);
  EXPECT_EQ(answer_with_field("Sec-WebSocket-Protocol", "chat, feed", offer), invalid);
  EXPECT_EQ(
      answer_with_field("Sec-WebSocket-Protocol", "chat\r\nSec-WebSocket-Protocol: feed", offer),
      invalid);
  EXPECT_EQ(answer_with_field("Sec-WebSocket-Extensions", "permessage-deflate"), invalid);
  EXPECT_EQ(answer_with_field("Sec-WebSocket-Extensions", "permessage-deflate",
                              L"Sec-WebSocket-Extensions: permessage-deflate"),
            invalid);
  EXPECT_EQ(answer_with_field("Sec-WebSocket-Protocol", "feed", offer), 0u);
  EXPECT_EQ(answer_with_field("Sec-WebSocket-Protocol", "b",
                              L"Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b"),
            0u);
}

TEST_F(handshake, HSK_24_a_server_may_choose_no_protocol) {
  scripted_peer peer([](scripted_peer& on) {
    peer_connection to = on.accept();
    to.handshake();
    to.expect_eof();
  });
  client c(peer.port());
  ASSERT_TRUE(c.upgrade());
  ASSERT_TRUE(WinHttpAddRequestHeaders(c.request, L"Sec-WebSocket-Protocol: chat",
                                       static_cast<DWORD>(-1), WINHTTP_ADDREQ_FLAG_ADD));
  ASSERT_TRUE(c.send()) << GetLastError();
  ASSERT_TRUE(c.receive()) << GetLastError();
  EXPECT_EQ(query_custom(c.request, L"Sec-WebSocket-Protocol"), std::nullopt);
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_WINHTTP_HEADER_NOT_FOUND));
}

TEST_F(handshake, HSK_25_CUP_04_GET_27_another_status_is_an_ordinary_response) {
  scripted_peer peer([](scripted_peer& on) {
    peer_connection to = on.accept();
    to.read_request();
    to.send_response("HTTP/1.1 403 Not Today", "X-Why: full\r\n", "come back later");
    to.expect_eof();
  });
  client c(peer.port());
  ASSERT_TRUE(c.upgrade());
  ASSERT_TRUE(c.send()) << GetLastError();
  ASSERT_TRUE(c.receive()) << GetLastError();
  EXPECT_EQ(query_status(c.request), 403u);
  EXPECT_EQ(query_header(c.request, WINHTTP_QUERY_STATUS_TEXT), "Not Today");
  EXPECT_EQ(complete(c.request).get(), nullptr);
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_INVALID_OPERATION));
  // The refused upgrade changes nothing.
  EXPECT_EQ(query_custom(c.request, L"X-Why"), "full");
  EXPECT_EQ(read_body(c.request), "come back later");
}

TEST_F(handshake, HSK_26_X_11_a_101_that_nobody_asked_for_is_invalid) {
  scripted_peer peer([](scripted_peer& on) {
    peer_connection to = on.accept();
    to.handshake();
    to.expect_eof();
  });
  client c(peer.port());
  ASSERT_TRUE(c.send()) << GetLastError();
  EXPECT_FALSE(c.receive());
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_WINHTTP_INVALID_SERVER_RESPONSE));
}

std::string interim(int count) {
  std::string out;
  for (int i = 0; i < count; ++i) {
    out += i % 2 == 0 ? "HTTP/1.1 100 Continue\r\n\r\n"
                      : "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n";
  }
  return out;
}

TEST_F(handshake, HSK_27_up_to_ten_interim_responses_are_skipped) {
  EXPECT_EQ(answer_with([](peer_connection& to) { return interim(10) + to.response_101(); }), 0u);
  EXPECT_EQ(answer_with([](peer_connection& to) { return interim(10) + to.response_101(); },
                        nullptr, true),
            0u);
  EXPECT_EQ(answer_with([](peer_connection& to) { return interim(11) + to.response_101(); }),
            static_cast<DWORD>(ERROR_WINHTTP_INVALID_SERVER_RESPONSE));
}

std::string padded_101(const peer_connection& to, std::size_t head_bytes) {
  const std::string bare = to.response_101("X-Pad: \r\n");
  std::string out =
      to.response_101("X-Pad: " + std::string(head_bytes - bare.size(), 'p') + "\r\n");
  EXPECT_EQ(out.size(), head_bytes);
  return out;
}

TEST_F(handshake, HSK_28_a_head_over_64_KiB_fails_with_12182) {
  EXPECT_EQ(answer_with([](peer_connection& to) { return padded_101(to, 65536); }), 0u);
  EXPECT_EQ(answer_with([](peer_connection& to) { return padded_101(to, 65537); }),
            static_cast<DWORD>(ERROR_WINHTTP_HEADER_SIZE_OVERFLOW));
}

TEST_F(handshake, HSK_28_the_limit_is_an_option) {
  for (const DWORD limit : {DWORD{1000}, DWORD{200000}}) {
    scripted_peer peer([&](scripted_peer& on) {
      peer_connection to = on.accept();
      to.read_request();
      to.send(padded_101(to, 1001));
      to.expect_eof();
    });
    client c(peer.port());
    ASSERT_TRUE(c.upgrade());
    DWORD value = limit;
    ASSERT_TRUE(WinHttpSetOption(c.request, WINHTTP_OPTION_MAX_RESPONSE_HEADER_SIZE, &value,
                                 sizeof(value)));
    ASSERT_TRUE(c.send()) << GetLastError();
    EXPECT_EQ(c.receive(), limit > 1001);
    EXPECT_EQ(GetLastError(), limit > 1001 ? 0u : DWORD{ERROR_WINHTTP_HEADER_SIZE_OVERFLOW});
  }
}

TEST_F(handshake, more_than_100_fields_fail_with_12181) {
  const auto with_extra = [](const peer_connection& to, int count) {
    std::string extra;
    for (int i = 0; i < count; ++i) {
      extra += "X-" + std::to_string(i) + ": v\r\n";
    }
    return to.response_101(extra);
  };
  EXPECT_EQ(answer_with([&](peer_connection& to) { return with_extra(to, 97); }), 0u);
  EXPECT_EQ(answer_with([&](peer_connection& to) { return with_extra(to, 98); }),
            static_cast<DWORD>(ERROR_WINHTTP_HEADER_COUNT_EXCEEDED));
}

// Connects, lets the peer do something instead of answering in full, and returns the code.
DWORD code_after(const std::function<void(peer_connection&)>& act) {
  scripted_peer peer([&](scripted_peer& on) {
    peer_connection to = on.accept();
    to.read_request();
    act(to);
  });
  client c(peer.port());
  EXPECT_TRUE(c.upgrade());
  EXPECT_TRUE(c.send()) << GetLastError();
  EXPECT_FALSE(c.receive());
  const DWORD code = GetLastError();
  // GET-19: after a failure there is nothing to receive.
  EXPECT_FALSE(c.receive());
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_WINHTTP_INCORRECT_HANDLE_STATE));
  return code;
}

TEST_F(handshake, HSK_29_an_end_before_or_inside_the_head) {
  EXPECT_EQ(code_after([](peer_connection& to) { to.close_fin(); }),
            static_cast<DWORD>(ERROR_WINHTTP_INVALID_SERVER_RESPONSE));
  EXPECT_EQ(code_after([](peer_connection& to) {
              to.send("HTTP/1.1 101 Switching Protocols\r\nUpgra");
              to.close_fin();
            }),
            static_cast<DWORD>(ERROR_WINHTTP_INVALID_SERVER_RESPONSE));
  EXPECT_EQ(code_after([](peer_connection& to) { to.close_rst(); }),
            static_cast<DWORD>(ERROR_WINHTTP_CONNECTION_ERROR));
}

TEST_F(handshake, what_is_no_http_response_fails_with_12152) {
  for (const char* bytes :
       {"SSH-2.0-OpenSSH_9\r\n\r\n", "HTTP/2 200 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nbad name: x\r\n\r\n", "HTTP/1.1 200 OK\r\n folded: x\r\n\r\n",
        "\r\n\r\n", "HTTP/1.1 200 OK\nX: y\n\n"}) {
    EXPECT_EQ(code_after([&](peer_connection& to) { to.send(bytes); }),
              static_cast<DWORD>(ERROR_WINHTTP_INVALID_SERVER_RESPONSE))
        << bytes;
  }
}

TEST_F(handshake, HSK_30_bytes_behind_the_head_belong_to_the_socket) {
  const std::string greeting = make_frame(0x1, "Request served by host");
  for (const bool bytewise : {false, true}) {
    scripted_peer peer([&](scripted_peer& on) {
      peer_connection to = on.accept();
      to.read_request();
      const std::string bytes = to.response_101() + greeting + make_frame(0x2, "second");
      bytewise ? to.send_bytewise(bytes) : to.send(bytes);
      to.expect_eof();
    });
    client c(peer.port());
    ASSERT_TRUE(c.upgrade());
    ASSERT_TRUE(c.send()) << GetLastError();
    ASSERT_TRUE(c.receive()) << GetLastError();
    const unique_handle socket = complete(c.request);
    ASSERT_NE(socket.get(), nullptr);
    DWORD read = 0;
    WINHTTP_WEB_SOCKET_BUFFER_TYPE type{};
    const auto receive_message = [&] {
      std::string message;
      do {
        char buffer[64];
        EXPECT_EQ(WinHttpWebSocketReceive(socket, buffer, sizeof(buffer), &read, &type), 0u);
        message.append(buffer, read);
      } while (type == WINHTTP_WEB_SOCKET_UTF8_FRAGMENT_BUFFER_TYPE ||
               type == WINHTTP_WEB_SOCKET_BINARY_FRAGMENT_BUFFER_TYPE);
      return message;
    };
    EXPECT_EQ(receive_message(), "Request served by host");
    EXPECT_EQ(type, WINHTTP_WEB_SOCKET_UTF8_MESSAGE_BUFFER_TYPE);
    EXPECT_EQ(receive_message(), "second");
    EXPECT_EQ(type, WINHTTP_WEB_SOCKET_BINARY_MESSAGE_BUFFER_TYPE);
  }
}

TEST_F(handshake, HSK_44_a_401_reaches_the_application_and_the_request_can_be_sent_again) {
  scripted_peer peer([](scripted_peer& on) {
    {
      peer_connection to = on.accept();
      to.read_request();
      to.send_response("HTTP/1.1 401 Unauthorized", "WWW-Authenticate: Basic realm=\"x\"\r\n");
      to.expect_eof();
    }
    peer_connection to = on.accept();
    EXPECT_EQ(header_of(to.handshake(), "Authorization"), "Basic dTpw");
    to.expect_eof();
  });
  client c(peer.port());
  ASSERT_TRUE(c.upgrade());
  ASSERT_TRUE(c.send()) << GetLastError();
  ASSERT_TRUE(c.receive()) << GetLastError();
  EXPECT_EQ(query_status(c.request), 401u);
  EXPECT_EQ(query_header(c.request, WINHTTP_QUERY_WWW_AUTHENTICATE), "Basic realm=\"x\"");
  ASSERT_TRUE(WinHttpAddRequestHeaders(c.request, L"Authorization: Basic dTpw",
                                       static_cast<DWORD>(-1), WINHTTP_ADDREQ_FLAG_ADD));
  ASSERT_TRUE(c.send()) << GetLastError();
  ASSERT_TRUE(c.receive()) << GetLastError();
  EXPECT_NE(complete(c.request).get(), nullptr);
}

} // namespace
} // namespace sluice::test
