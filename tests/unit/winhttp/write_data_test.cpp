// Bodies that the application sends in pieces: WinHttpWriteData.

#include "backend_fixture.hpp"
#include "support/winhttp_client.hpp"

#include <string>

namespace sluice::test {
namespace {

using write_data = backend_test;

constexpr DWORD wrong_state = ERROR_WINHTTP_INCORRECT_HANDLE_STATE;

// The code of one write; `written` is checked.
DWORD put(HINTERNET request, std::string_view bytes) {
  DWORD written = 99;
  SetLastError(99);
  const BOOL good =
      WinHttpWriteData(request, bytes.data(), static_cast<DWORD>(bytes.size()), &written);
  EXPECT_EQ(good != FALSE, GetLastError() == 0);
  EXPECT_EQ(written, good != FALSE ? bytes.size() : 0u);
  return GetLastError();
}

struct post : client {
  explicit post(std::uint16_t port) : client(port) {
    request = WinHttpOpenRequest(connection, L"POST", L"/", nullptr, nullptr, nullptr, 0);
  }
  [[nodiscard]] bool send(DWORD total, std::string first = {},
                          const wchar_t* headers = nullptr) const {
    return WinHttpSendRequest(request, headers, headers != nullptr ? static_cast<DWORD>(-1) : 0,
                              first.data(), static_cast<DWORD>(first.size()), total, 0) != FALSE;
  }
};

TEST_F(write_data, GET_17_a_body_in_pieces_has_the_length_that_was_promised) {
  scripted_peer peer([&](scripted_peer& on) {
    peer_connection to = on.accept();
    EXPECT_EQ(header_of(to.read_request(), "Content-Length"), "100011");
    EXPECT_EQ(to.read_exact(11), "first-later");
    EXPECT_EQ(to.read_exact(100000), std::string(100000, 'x'));
    to.send_response("HTTP/1.1 200 OK");
    to.expect_eof();
  });
  post c(peer.port());
  ASSERT_TRUE(c.send(100011, "first-")) << GetLastError();
  EXPECT_EQ(put(c.request, "later"), 0u);
  EXPECT_EQ(put(c.request, std::string(100001, 'x')), wrong_state) << "more than is left";
  EXPECT_EQ(put(c.request, ""), 0u);
  EXPECT_EQ(put(c.request, std::string(100000, 'x')), 0u);
  EXPECT_EQ(put(c.request, "y"), wrong_state);
  ASSERT_TRUE(c.receive()) << GetLastError();
  EXPECT_EQ(put(c.request, ""), wrong_state) << "the response is here";
  EXPECT_EQ(query_status(c.request), 200u);
}

TEST_F(write_data, the_application_may_make_the_chunks) {
  scripted_peer peer([&](scripted_peer& on) {
    peer_connection to = on.accept();
    const std::string head = to.read_request();
    EXPECT_EQ(header_of(head, "Content-Length"), std::nullopt);
    EXPECT_EQ(header_of(head, "Transfer-Encoding"), "chunked");
    EXPECT_EQ(to.read_exact(15), "5\r\nhello\r\n0\r\n\r\n");
    to.send_response("HTTP/1.1 303 See Other", "Location: /x\r\n"); // its body is gone
    to.expect_eof();
  });
  post c(peer.port());
  ASSERT_TRUE(c.send(0, "5\r\n", L"Transfer-Encoding: chunked")) << GetLastError();
  EXPECT_EQ(put(c.request, "hello\r\n"), 0u);
  EXPECT_EQ(put(c.request, "0\r\n\r\n"), 0u);
  ASSERT_TRUE(c.receive()) << GetLastError();
  EXPECT_EQ(query_status(c.request), 303u);
}

TEST_F(write_data, HND_01_parameters_and_states) {
  client c(1);
  DWORD written = 99;
  char byte = 'x';
  EXPECT_EQ(put(c.request, "x"), wrong_state) << "nothing was sent";
  EXPECT_EQ(put(nullptr, "x"), static_cast<DWORD>(ERROR_INVALID_HANDLE));
  EXPECT_EQ(put(c.session, "x"), static_cast<DWORD>(ERROR_WINHTTP_INCORRECT_HANDLE_TYPE));
  EXPECT_FALSE(WinHttpWriteData(c.request, nullptr, 1, &written));
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_INVALID_PARAMETER));
  EXPECT_FALSE(WinHttpWriteData(c.request, &byte, 1, nullptr));
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_INVALID_PARAMETER));
  // A total below what is given at once.
}

TEST_F(write_data, TMO_05_GET_19_a_server_that_does_not_read) {
  event over;
  scripted_peer peer(
      [&](scripted_peer& on) {
        peer_connection to = on.accept();
        to.read_request();
        over.wait();
      },
      {.receive_buffer_bytes = 4096});
  post c(peer.port());
  ASSERT_TRUE(WinHttpSetTimeouts(c.request, 0, 0, 50, 0));
  ASSERT_TRUE(c.send(0x40000000)) << GetLastError();
  const std::string piece(1 << 20, 'x');
  DWORD code = 0;
  for (int i = 0; i < 64 && code == 0; ++i) {
    code = put(c.request, piece);
  }
  EXPECT_EQ(code, static_cast<DWORD>(ERROR_WINHTTP_TIMEOUT));
  EXPECT_FALSE(c.receive());
  EXPECT_EQ(GetLastError(), wrong_state);
  over.set();
}

} // namespace
} // namespace sluice::test
