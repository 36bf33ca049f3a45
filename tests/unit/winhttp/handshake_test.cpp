// Sections 7 and 8 of the contract: what an upgrade request looks like, which answers it takes, and
// how a socket is made of it.

#include "backend_fixture.hpp"
#include "support/winhttp_client.hpp"

#include <future>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace sluice::test {
namespace {

class handshake : public backend_test {};

unique_handle complete(HINTERNET request, DWORD_PTR context = 0) {
  return WinHttpWebSocketCompleteUpgrade(request, context);
}

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

// 7.1 What goes out

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

// 7.2 What is validated

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

// 8 WinHttpWebSocketCompleteUpgrade

TEST_F(handshake, CUP_01_CUP_02_wrong_handles) {
  EXPECT_EQ(complete(nullptr).get(), nullptr);
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_INVALID_HANDLE));
  client c(1);
  for (HINTERNET other : {c.session.get(), c.connection.get()}) {
    EXPECT_EQ(complete(other).get(), nullptr);
    EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_WINHTTP_INCORRECT_HANDLE_TYPE));
  }
  const HINTERNET closed = c.request.get();
  c.request.reset();
  EXPECT_EQ(complete(closed).get(), nullptr);
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_INVALID_HANDLE));
}

TEST_F(handshake, CUP_03_X_14_without_the_option_or_without_a_request_on_the_wire) {
  scripted_peer peer([](scripted_peer& on) {
    peer_connection to = on.accept();
    to.read_request();
    to.send_response("HTTP/1.1 200 OK", "", "body");
    to.expect_eof();
  });
  client c(peer.port());
  EXPECT_EQ(complete(c.request).get(), nullptr);
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_INVALID_OPERATION));
  ASSERT_TRUE(c.send()) << GetLastError();
  // The option comes too late for this exchange.
  ASSERT_TRUE(c.upgrade());
  EXPECT_EQ(complete(c.request).get(), nullptr);
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_INVALID_OPERATION));
  ASSERT_TRUE(c.receive()) << GetLastError();
  EXPECT_EQ(complete(c.request).get(), nullptr);
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_INVALID_OPERATION));
  EXPECT_EQ(read_body(c.request), "body");
}

TEST_F(handshake, CUP_05_CUP_14_one_socket_per_exchange_and_each_lives_alone) {
  scripted_peer peer([](scripted_peer& on) {
    peer_connection first = on.accept();
    first.handshake();
    peer_connection second = on.accept();
    second.handshake();
    second.send(make_frame(0x2, "two"));
    first.send(make_frame(0x2, "one"));
    first.expect_eof();
    second.expect_eof();
  });
  client c(peer.port());
  ASSERT_TRUE(c.upgrade());
  ASSERT_TRUE(c.send()) << GetLastError();
  ASSERT_TRUE(c.receive()) << GetLastError();
  unique_handle first = complete(c.request);
  ASSERT_NE(first.get(), nullptr);
  EXPECT_EQ(complete(c.request).get(), nullptr);
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_INVALID_OPERATION));

  ASSERT_TRUE(c.send()) << GetLastError();
  unique_handle second = complete(c.request); // CUP-16: no ReceiveResponse
  ASSERT_NE(second.get(), nullptr) << GetLastError();
  EXPECT_NE(first.get(), second.get());

  c.request.reset();
  c.connection.reset();
  c.session.reset(); // HND-08, HND-09
  for (const auto& [socket, expected] :
       {std::pair{first.get(), std::string("one")}, std::pair{second.get(), std::string("two")}}) {
    char buffer[16];
    DWORD read = 0;
    WINHTTP_WEB_SOCKET_BUFFER_TYPE type{};
    ASSERT_EQ(WinHttpWebSocketReceive(socket, buffer, sizeof(buffer), &read, &type), 0u);
    EXPECT_EQ(std::string(buffer, read), expected);
  }
  first.reset();
  DWORD type = 0;
  DWORD length = sizeof(type);
  EXPECT_TRUE(WinHttpQueryOption(second, WINHTTP_OPTION_HANDLE_TYPE, &type, &length));
  EXPECT_EQ(type, static_cast<DWORD>(WINHTTP_HANDLE_TYPE_WEBSOCKET));
}

TEST_F(handshake, CUP_11_CUP_16_waits_for_an_answer_that_is_on_its_way) {
  event go;
  scripted_peer peer([&](scripted_peer& on) {
    peer_connection to = on.accept();
    to.read_request();
    go.wait();
    to.send_bytewise(to.response_101());
    to.expect_eof();
  });
  client c(peer.port());
  ASSERT_TRUE(c.upgrade());
  ASSERT_TRUE(c.send()) << GetLastError();
  go.set();
  const unique_handle socket = complete(c.request);
  EXPECT_NE(socket.get(), nullptr) << GetLastError();
  EXPECT_EQ(query_status(c.request), 101u);
  EXPECT_FALSE(c.receive());
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_WINHTTP_INCORRECT_HANDLE_STATE));
}

TEST_F(handshake, CUP_16_the_wait_is_bounded_by_the_response_timeout) {
  event over;
  scripted_peer peer([&](scripted_peer& on) {
    peer_connection to = on.accept();
    to.read_request();
    over.wait();
  });
  client c(peer.port());
  ASSERT_TRUE(c.upgrade());
  DWORD limit_ms = 30;
  ASSERT_TRUE(WinHttpSetOption(c.request, WINHTTP_OPTION_RECEIVE_RESPONSE_TIMEOUT, &limit_ms,
                               sizeof(limit_ms)));
  ASSERT_TRUE(c.send()) << GetLastError();
  EXPECT_EQ(complete(c.request).get(), nullptr);
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_WINHTTP_TIMEOUT));
  over.set();
}

TEST_F(handshake, CUP_15_OPT_06_the_send_buffer_size_counts_at_send) {
  scripted_peer peer([](scripted_peer& on) {
    peer_connection to = on.accept();
    to.handshake();
    to.expect_eof();
  });
  client c(peer.port());
  ASSERT_TRUE(c.upgrade());
  const auto set_size = [&](DWORD bytes) {
    return WinHttpSetOption(c.request, WINHTTP_OPTION_WEB_SOCKET_SEND_BUFFER_SIZE, &bytes,
                            sizeof(bytes));
  };
  EXPECT_TRUE(set_size(15));
  EXPECT_FALSE(c.send());
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_NOT_ENOUGH_MEMORY));
  EXPECT_FALSE(c.receive());
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_WINHTTP_INCORRECT_HANDLE_STATE));
  EXPECT_TRUE(set_size(16));
  ASSERT_TRUE(c.send()) << GetLastError();
  ASSERT_TRUE(c.receive()) << GetLastError();
  EXPECT_TRUE(set_size(15));
  EXPECT_NE(complete(c.request).get(), nullptr) << GetLastError();
}

} // namespace
} // namespace sluice::test
