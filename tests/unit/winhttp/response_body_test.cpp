// Bodies of responses that are no upgrade: GET-26, GET-27.

#include "backend_fixture.hpp"
#include "support/one_answer.hpp"
#include "support/winhttp_client.hpp"

#include <string>

namespace sluice::test {
namespace {

class response_bodies : public backend_test {};

TEST_F(response_bodies, GET_27_bodies_by_length_in_chunks_and_to_the_end) {
  const struct {
    const char* name;
    std::string response;
    bool ends;
    std::string body;
  } rows[] = {
      {"length", "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world", false, "hello world"},
      {"length twice", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi", false,
       "hi"},
      {"empty", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, ""},
      {"chunked",
       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
       "5\r\nhello\r\n1;ext=\"a;b\"\r\n \r\n005 \r\nworld\r\n0\r\nTrailer: x\r\n\r\n",
       false, "hello world"},
      {"chunked wins",
       "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: Chunked\r\n\r\n"
       "A\r\n0123456789\r\n0\r\n\r\n",
       false, "0123456789"},
      {"to the end", "HTTP/1.1 200 OK\r\n\r\nuntil FIN", true, "until FIN"},
      {"other coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nzzz", true, "zzz"},
      {"HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\nold", true, "old"},
      {"not modified", "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", false, ""},
  };
  for (const auto& row : rows) {
    for (const bool bytewise : {false, true}) {
      for (const std::size_t room : {std::size_t{1}, std::size_t{3}, std::size_t{4096}}) {
        one_answer peer(row.response, row.ends, bytewise);
        client c(peer.port());
        ASSERT_TRUE(c.send()) << GetLastError();
        ASSERT_TRUE(c.receive()) << row.name << GetLastError();
        EXPECT_EQ(read_body(c.request, room), row.body) << row.name;
        DWORD available = 1;
        EXPECT_TRUE(WinHttpQueryDataAvailable(c.request, &available));
        EXPECT_EQ(available, 0u);
      }
    }
  }
}

TEST_F(response_bodies, GET_27_broken_bodies) {
  const struct {
    const char* response;
    DWORD code;
    bool at_head;
  } rows[] = {
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", ERROR_WINHTTP_CONNECTION_ERROR, false},
      {"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", ERROR_WINHTTP_INVALID_SERVER_RESPONSE, true},
      {"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", ERROR_WINHTTP_INVALID_SERVER_RESPONSE,
       true},
      {"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
       ERROR_WINHTTP_INVALID_SERVER_RESPONSE, true},
      {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
       ERROR_WINHTTP_INVALID_SERVER_RESPONSE, true},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
       ERROR_WINHTTP_CONNECTION_ERROR, false},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX",
       ERROR_WINHTTP_INVALID_SERVER_RESPONSE, false},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\rX",
       ERROR_WINHTTP_INVALID_SERVER_RESPONSE, false},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
       ERROR_WINHTTP_INVALID_SERVER_RESPONSE, false},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
       ERROR_WINHTTP_INVALID_SERVER_RESPONSE, false},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\n",
       ERROR_WINHTTP_INVALID_SERVER_RESPONSE, false},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n11111111111111111\r\n",
       ERROR_WINHTTP_INVALID_SERVER_RESPONSE, false},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nT: x\r\n",
       ERROR_WINHTTP_CONNECTION_ERROR, false},
  };
  for (const auto& row : rows) {
    one_answer peer(row.response, true);
    client c(peer.port());
    ASSERT_TRUE(c.send()) << GetLastError();
    EXPECT_EQ(c.receive(), !row.at_head) << row.response;
    if (!row.at_head) {
      EXPECT_EQ(read_body(c.request), std::nullopt) << row.response;
    }
    EXPECT_EQ(GetLastError(), row.code) << row.response;
  }
}

TEST_F(response_bodies, GET_27_framing_without_end_is_cut_off) {
  const std::string chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  const struct {
    std::string response;
    DWORD code;
  } rows[] = {
      {chunked + "1;" + std::string(5000, 'e'),
       ERROR_WINHTTP_CHUNKED_ENCODING_HEADER_SIZE_OVERFLOW},
      {chunked + std::string(5000, '0'), ERROR_WINHTTP_CHUNKED_ENCODING_HEADER_SIZE_OVERFLOW},
      {chunked + "0\r\nT: " + std::string(20000, 't'), ERROR_WINHTTP_HEADER_SIZE_OVERFLOW},
  };
  for (const auto& row : rows) {
    one_answer peer(row.response);
    client c(peer.port());
    ASSERT_TRUE(c.send()) << GetLastError();
    ASSERT_TRUE(c.receive()) << GetLastError();
    EXPECT_EQ(read_body(c.request), std::nullopt);
    EXPECT_EQ(GetLastError(), row.code);
  }
}

TEST_F(response_bodies, GET_27_data_available_says_what_can_be_read) {
  event more;
  scripted_peer peer([&](scripted_peer& on) {
    peer_connection to = on.accept();
    to.read_request();
    to.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nabc");
    more.wait();
    to.send("defgh");
    to.expect_eof();
  });
  client c(peer.port());
  ASSERT_TRUE(c.send()) << GetLastError();
  ASSERT_TRUE(c.receive()) << GetLastError();
  DWORD available = 0;
  EXPECT_TRUE(WinHttpQueryDataAvailable(c.request, nullptr));
  ASSERT_TRUE(WinHttpQueryDataAvailable(c.request, &available)) << GetLastError();
  EXPECT_EQ(available, 3u);
  char buffer[8] = {};
  DWORD read = 0;
  ASSERT_TRUE(WinHttpReadData(c.request, buffer, 3, &read));
  EXPECT_EQ(std::string(buffer, read), "abc");
  more.set();
  ASSERT_TRUE(WinHttpQueryDataAvailable(c.request, &available)) << GetLastError();
  EXPECT_EQ(available, 5u);
  // ReadData fills the buffer or reaches the end.
  ASSERT_TRUE(WinHttpReadData(c.request, buffer, 8, &read));
  EXPECT_EQ(std::string(buffer, read), "defgh");
  ASSERT_TRUE(WinHttpReadData(c.request, nullptr, 0, &read));
  EXPECT_EQ(read, 0u);
  EXPECT_FALSE(WinHttpReadData(c.request, nullptr, 1, &read));
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_INVALID_PARAMETER));
  EXPECT_FALSE(WinHttpReadData(c.request, buffer, 1, nullptr));
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_INVALID_PARAMETER));
}

TEST_F(response_bodies, GET_26_a_101_has_no_body) {
  scripted_peer peer([](scripted_peer& on) {
    peer_connection to = on.accept();
    to.handshake("", make_frame(0x2, "not a body"));
    to.expect_eof();
  });
  client c(peer.port());
  ASSERT_TRUE(c.upgrade());
  ASSERT_TRUE(c.send()) << GetLastError();
  ASSERT_TRUE(c.receive()) << GetLastError();
  DWORD available = 7;
  EXPECT_TRUE(WinHttpQueryDataAvailable(c.request, &available));
  EXPECT_EQ(available, 0u);
  EXPECT_EQ(read_body(c.request), "");
  const unique_handle socket = WinHttpWebSocketCompleteUpgrade(c.request, 0);
  EXPECT_TRUE(WinHttpQueryDataAvailable(c.request, &available));
  EXPECT_EQ(available, 0u);
  char buffer[32];
  DWORD read = 0;
  WINHTTP_WEB_SOCKET_BUFFER_TYPE type{};
  ASSERT_EQ(WinHttpWebSocketReceive(socket, buffer, sizeof(buffer), &read, &type), 0u);
  EXPECT_EQ(std::string(buffer, read), "not a body");
}

} // namespace
} // namespace sluice::test
