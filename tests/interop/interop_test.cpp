// The synchronous client against a server of another make; see environment.hpp.

#include "tests/interop/client.hpp"
#include "tests/interop/environment.hpp"

#include <sluice/extensions.h>

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

namespace interop {

namespace {

constexpr auto text_message = WINHTTP_WEB_SOCKET_UTF8_MESSAGE_BUFFER_TYPE;
constexpr auto text_fragment = WINHTTP_WEB_SOCKET_UTF8_FRAGMENT_BUFFER_TYPE;
constexpr auto binary_message = WINHTTP_WEB_SOCKET_BINARY_MESSAGE_BUFFER_TYPE;
constexpr auto binary_fragment = WINHTTP_WEB_SOCKET_BINARY_FRAGMENT_BUFFER_TYPE;

constexpr std::size_t mebibyte = std::size_t{1} << 20;

std::wstring string_option(HINTERNET from, DWORD option) {
  std::array<wchar_t, 32> value = {};
  DWORD size = sizeof(value);
  return WinHttpQueryOption(from, option, value.data(), &size) ? value.data() : L"none";
}

TEST(interop, extension_options_name_what_is_in_use) {
  client to(peer->port());
  to.connect(L"/echo");
  const char* forced = std::getenv("SLUICE_BACKEND");
  const bool epoll = forced != nullptr && std::string(forced) == "epoll";
  for (HINTERNET handle : {to.request(), to.socket()}) {
    EXPECT_EQ(string_option(handle, SLUICE_OPTION_BACKEND_NAME), epoll ? L"epoll" : L"io_uring");
    EXPECT_NE(string_option(handle, SLUICE_OPTION_KERNEL_NAME), L"none");
    DWORD needed = 0;
    EXPECT_FALSE(WinHttpQueryOption(handle, SLUICE_OPTION_KERNEL_NAME, nullptr, &needed));
    EXPECT_EQ(GetLastError(), DWORD{ERROR_INSUFFICIENT_BUFFER});
    EXPECT_GE(needed, 2 * sizeof(wchar_t));
    EXPECT_FALSE(WinHttpSetOption(handle, SLUICE_OPTION_BACKEND_NAME, &needed, sizeof(needed)));
    EXPECT_EQ(GetLastError(), DWORD{ERROR_WINHTTP_OPTION_NOT_SETTABLE});
  }
}

TEST(interop, SND_12_RCV_50_echo_of_every_size_comes_back_unchanged) {
  client to(peer->port());
  to.connect(L"/echo");
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{2}, std::size_t{125}, std::size_t{126},
        std::size_t{127}, std::size_t{65535}, std::size_t{65536}, std::size_t{131070}, mebibyte,
        16 * mebibyte}) {
    SCOPED_TRACE(size);
    const std::string text = text_of(size);
    to.send(text_message, text);
    message back = to.receive();
    EXPECT_TRUE(back.text);
    EXPECT_TRUE(back.payload == text);
    const std::string binary = binary_of(size);
    to.send(binary_message, binary);
    back = to.receive();
    EXPECT_FALSE(back.text);
    EXPECT_TRUE(back.payload == binary);
  }
}

TEST(interop, RCV_42_small_buffers_get_a_message_in_pieces) {
  client to(peer->port());
  to.connect(L"/echo");
  const std::string text = text_of(1000);
  for (const std::size_t room :
       {std::size_t{1}, std::size_t{7}, std::size_t{999}, std::size_t{1000}, std::size_t{1001}}) {
    SCOPED_TRACE(room);
    to.send(text_message, text);
    const message back = to.receive(room);
    EXPECT_EQ(back.payload, text);
    EXPECT_GE(back.piece_count, (text.size() + room - 1) / room);
  }
}

TEST(interop, SND_05_SND_08_fragments_arrive_as_one_message) {
  client to(peer->port());
  to.connect(L"/digest");
  const std::string text = text_of(100'000);
  // Cut in the middle of characters; the last piece is empty.
  to.send(text_fragment, text.substr(0, 2));
  to.send(text_fragment, text.substr(2, 70'001));
  to.send(text_fragment, text.substr(70'003));
  to.send(text_message, "");
  EXPECT_EQ(to.receive().payload, describe(true, text));
  const std::string binary = binary_of(300'000);
  to.send(binary_fragment, "");
  to.send(binary_fragment, binary.substr(0, 1));
  to.send(binary_message, binary.substr(1));
  EXPECT_EQ(to.receive().payload, describe(false, binary));
}

TEST(interop, RCV_40_feed_of_whole_and_fragmented_messages_matches_its_hashes) {
  client from(peer->port());
  from.connect(L"/feed");
  std::size_t messages = 0;
  for (;;) {
    const message one = from.receive();
    if (one.closed) {
      break;
    }
    const message description = from.receive();
    ASSERT_EQ(description.payload, describe(one.text, one.payload));
    ++messages;
  }
  EXPECT_EQ(messages, 40u); // 10 sizes, text and binary, whole and in fragments
  EXPECT_EQ(from.peer_close().reason, "end of feed");
}

TEST(interop, CTL_01_pings_come_back_as_pongs_between_fragments_too) {
  client from(peer->port());
  from.connect(L"/ping");
  const std::string characters = text_of(10);
  EXPECT_EQ(from.receive().payload, characters + characters + "end");
  EXPECT_EQ(from.receive().payload, "all pongs came back");
  EXPECT_TRUE(from.receive().closed);
  EXPECT_EQ(from.peer_close().status, WINHTTP_WEB_SOCKET_SUCCESS_CLOSE_STATUS);
}

TEST(interop, RCV_60_CLO_04_server_closes_first) {
  client from(peer->port());
  from.connect(L"/close?code=4001&reason=enough%20%C3%BC");
  EXPECT_EQ(from.receive().payload, "goodbye");
  EXPECT_TRUE(from.receive().closed);
  const close_status said = from.peer_close();
  EXPECT_EQ(said.code, DWORD{NO_ERROR});
  EXPECT_EQ(said.status, 4001);
  EXPECT_EQ(said.reason, "enough \xC3\xBC");
  std::string thanks = "thanks";
  EXPECT_EQ(WinHttpWebSocketClose(from.socket(),
                                  WINHTTP_WEB_SOCKET_ENDPOINT_TERMINATED_CLOSE_STATUS,
                                  thanks.data(), static_cast<DWORD>(thanks.size())),
            DWORD{NO_ERROR});
  EXPECT_EQ(from.peer_close().status, 4001); // QCS-11
  from.hang_up();
  EXPECT_EQ(peer->next_line(), "closed 1001 thanks");
}

TEST(interop, QCS_10_server_closes_without_a_reason) {
  client from(peer->port());
  from.connect(L"/close?code=1000&reason=");
  EXPECT_EQ(from.receive().payload, "goodbye");
  EXPECT_TRUE(from.receive().closed);
  const close_status said = from.peer_close();
  EXPECT_EQ(said.status, 1000);
  EXPECT_EQ(said.reason, "");
  EXPECT_EQ(WinHttpWebSocketClose(from.socket(), 1000, nullptr, 0), DWORD{NO_ERROR});
  from.hang_up();
  EXPECT_EQ(peer->next_line().rfind("closed 1000", 0), 0u);
}

TEST(interop, CLO_20_client_closes_first) {
  client from(peer->port());
  from.connect(L"/wait");
  EXPECT_EQ(from.peer_close().code, DWORD{ERROR_INVALID_OPERATION}); // QCS-07
  std::string reason = "done \xE2\x9C\x93";
  EXPECT_EQ(
      WinHttpWebSocketClose(from.socket(), 4321, reason.data(), static_cast<DWORD>(reason.size())),
      DWORD{NO_ERROR});
  EXPECT_EQ(from.peer_close().status, 4321); // servers echo it, CLO-12
  from.hang_up();
  EXPECT_EQ(peer->next_line(), "closed 4321 " + reason);
}

TEST(interop, SHD_15_shutdown_then_receive_until_close) {
  client to(peer->port());
  to.connect(L"/echo");
  to.send(text_message, "last words");
  EXPECT_EQ(to.receive().payload, "last words");
  EXPECT_EQ(WinHttpWebSocketShutdown(to.socket(), 1000, nullptr, 0), DWORD{NO_ERROR});
  EXPECT_TRUE(to.receive().closed);
  EXPECT_EQ(to.peer_close().status, 1000);
  to.hang_up();
  EXPECT_EQ(peer->next_line().rfind("closed 1000", 0), 0u);
}

TEST(interop, HSK_05_subprotocol_is_offered_and_chosen) {
  client to(peer->port());
  to.connect(L"/echo", L"Sec-WebSocket-Protocol: chat.v1, chat.v2");
  EXPECT_EQ(to.header(L"Sec-WebSocket-Protocol"), L"chat.v2");
  to.send(text_message, "spoken");
  EXPECT_EQ(to.receive().payload, "spoken");
}

TEST(interop, HSK_25_refused_upgrade_is_an_ordinary_response) {
  client to(peer->port());
  to.exchange(L"/forbidden");
  EXPECT_EQ(to.status_code(), 403u);
  EXPECT_EQ(to.header(L"X-Why"), L"because");
  EXPECT_EQ(WinHttpWebSocketCompleteUpgrade(to.request(), 0), nullptr);
  EXPECT_EQ(GetLastError(), DWORD{ERROR_INVALID_OPERATION});
  EXPECT_EQ(to.body(), "not here\n");
}

TEST(interop, RCV_20_server_goes_away_without_closing) {
  client to(peer->port());
  to.connect(L"/abort");
  EXPECT_EQ(to.receive().payload, "abort follows");
  to.send(text_message, "go");
  std::string nothing;
  WINHTTP_WEB_SOCKET_BUFFER_TYPE type = {};
  EXPECT_EQ(to.receive_piece(nothing, type, 100), DWORD{ERROR_WINHTTP_CONNECTION_ERROR});
  EXPECT_EQ(to.receive_piece(nothing, type, 100), DWORD{ERROR_WINHTTP_CONNECTION_ERROR});
}

TEST(interop, STA_01_one_thread_sends_while_another_receives) {
  client to(peer->port());
  to.connect(L"/echo");
  constexpr int count = 5000;
  std::thread sender([&] {
    for (int i = 0; i < count; ++i) {
      to.send(text_message, std::to_string(i));
    }
  });
  int wrong = 0;
  for (int i = 0; i < count; ++i) {
    wrong += to.receive().payload != std::to_string(i);
  }
  sender.join();
  EXPECT_EQ(wrong, 0);
}

TEST(interop, HND_08_many_clients_one_after_the_other) {
  for (int i = 0; i < 50; ++i) {
    client to(peer->port());
    to.connect(L"/echo");
    to.send(binary_message, std::to_string(i));
    ASSERT_EQ(to.receive().payload, std::to_string(i));
    ASSERT_EQ(WinHttpWebSocketClose(to.socket(), 1000, nullptr, 0), DWORD{NO_ERROR});
    to.hang_up();
    ASSERT_EQ(peer->next_line().rfind("closed 1000", 0), 0u);
  }
}

TEST(interop, TLS_11_the_version_of_the_server_is_told) {
  client to(peer->port());
  to.connect(L"/echo");
  DWORD version = 99;
  DWORD size = sizeof(version);
  ASSERT_TRUE(WinHttpQueryOption(to.request(), SLUICE_OPTION_TLS_VERSION, &version, &size));
  DWORD expected = 0;
  if (!setting("SLUICE_TEST_TLS").empty()) {
    expected = setting("SLUICE_TEST_TLS_VERSION") == "1.2" ? WINHTTP_FLAG_SECURE_PROTOCOL_TLS1_2
                                                           : WINHTTP_FLAG_SECURE_PROTOCOL_TLS1_3;
  }
  EXPECT_EQ(version, expected);
}

TEST(interop, TLS_10_a_server_that_demands_a_certificate_refuses_who_has_none) {
  if (setting("SLUICE_TEST_DEMANDED").empty()) {
    GTEST_SKIP() << "the server of this run demands no certificate";
  }
  client nobody(peer->port(), false);
  nobody.open(L"/echo");
  EXPECT_FALSE(WinHttpSendRequest(nobody.request(), nullptr, 0, nullptr, 0, 0, 0) &&
               WinHttpReceiveResponse(nobody.request(), nullptr));
  EXPECT_EQ(GetLastError(), DWORD{ERROR_WINHTTP_CLIENT_AUTH_CERT_NEEDED});
  client known(peer->port());
  known.connect(L"/echo");
  known.send(text_message, "let in");
  EXPECT_EQ(known.receive().payload, "let in");
}

// The proxy asks who we are: as a program answers that does it by hand.
TEST(interop, PRX_01_PRX_04_HSK_44_through_a_proxy) {
  if (proxy == nullptr) {
    GTEST_SKIP() << "there is no proxy in this run";
  }
  client to(peer->port());
  to.open(L"/echo");
  to.ask();
  const char* const user = std::getenv("SLUICE_TEST_PROXY_USER");
  if (user != nullptr) {
    EXPECT_EQ(to.status_code(), 407u);
    EXPECT_EQ(WinHttpWebSocketCompleteUpgrade(to.request(), 0), nullptr);
    EXPECT_FALSE(to.body().empty());
    DWORD supported = 0;
    DWORD first = 0;
    DWORD target = 99;
    ASSERT_TRUE(WinHttpQueryAuthSchemes(to.request(), &supported, &first, &target));
    EXPECT_EQ(first, DWORD{WINHTTP_AUTH_SCHEME_BASIC});
    EXPECT_EQ(target, DWORD{WINHTTP_AUTH_TARGET_PROXY});
    ASSERT_TRUE(WinHttpSetCredentials(to.request(), target, first, L"wrong", L"wrong", nullptr));
    to.ask();
    EXPECT_EQ(to.status_code() / 100, 4u);
    const std::string name = user;
    const std::string password = std::getenv("SLUICE_TEST_PROXY_PASSWORD");
    ASSERT_TRUE(WinHttpSetCredentials(
        to.request(), target, first, std::wstring(name.begin(), name.end()).c_str(),
        std::wstring(password.begin(), password.end()).c_str(), nullptr));
    to.ask();
  }
  EXPECT_EQ(to.status_code(), 101u);
  to.upgrade();
  to.send(text_message, "through the proxy");
  EXPECT_EQ(to.receive().payload, "through the proxy");
  EXPECT_EQ(proxy->next_line(), "CONNECT 127.0.0.1:" + std::to_string(peer->port()));
}

// A target that nobody listens on: the proxy's answer is the response.
TEST(interop, PRX_05_a_proxy_that_cannot_reach_the_target) {
  if (proxy == nullptr) {
    GTEST_SKIP() << "there is no proxy in this run";
  }
  client to(1);
  to.exchange(L"/echo");
  EXPECT_EQ(to.status_code() / 100, 5u);
  EXPECT_FALSE(to.body().empty());
}

} // namespace

} // namespace interop
