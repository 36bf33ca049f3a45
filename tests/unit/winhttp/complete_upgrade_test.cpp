// Section 8 of the contract: how a socket is made of an upgraded request.

#include "handshake_fixture.hpp"

#include <string>
#include <thread>
#include <utility>

namespace sluice::test {
namespace {

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
