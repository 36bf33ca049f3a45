// A caller that does everything wrong: each function with handles that do not exist or are of
// another kind, with null pointers, wrong lengths and wrong states. Every refusal has its code
// (STA-04), and leaves everything as it was (STA-03). Asynchronous handles:
// async_hostile_caller_test.cpp.

#include "api_functions.hpp"
#include "backend_fixture.hpp"
#include "open_client.hpp"

#include <string>
#include <utility>

namespace sluice::test {
namespace {

class hostile_caller : public backend_test {};

// A peer that wants one message, "still here", and no other bytes before it; then the end.
void expect_one_message(peer_connection& to) {
  const client_frame frame = to.read_frame();
  EXPECT_EQ(frame.payload, "still here");
  EXPECT_TRUE(frame.fin);
  to.expect_eof();
}

void expect_alive(const open_client& on) {
  std::string bytes = "still here";
  EXPECT_EQ(WinHttpWebSocketSend(on.socket, WINHTTP_WEB_SOCKET_UTF8_MESSAGE_BUFFER_TYPE,
                                 bytes.data(), static_cast<DWORD>(bytes.size())),
            0u);
}

TEST_F(hostile_caller, HND_01_STA_03_GET_29_each_function_with_each_handle_that_is_not_its_own) {
  const open_client live(&expect_one_message);
  const given_handle known[] = {
      {live.c.session, WINHTTP_HANDLE_TYPE_SESSION},
      {live.c.connection, WINHTTP_HANDLE_TYPE_CONNECT},
      {live.c.request, WINHTTP_HANDLE_TYPE_REQUEST},
      {live.socket, WINHTTP_HANDLE_TYPE_WEBSOCKET},
  };
  expect_refusals(known);
  expect_alive(live);
}

TEST_F(hostile_caller, STA_03_STA_04_null_pointers_lengths_and_types_on_a_socket) {
  const open_client live(&expect_one_message);
  const HINTERNET socket = live.socket;
  expect_bad_values_refused(socket);
  char byte = 'x';
  outputs to;
  EXPECT_EQ(WinHttpWebSocketReceive(socket, &byte, 1, nullptr, &to.type), bad_value) << "X-16";
  EXPECT_EQ(WinHttpWebSocketReceive(socket, &byte, 1, &to.number, nullptr), bad_value) << "X-16";
  EXPECT_EQ(to, outputs());
  EXPECT_EQ(byte, 'x');
  expect_alive(live);
}

TEST_F(hostile_caller, STA_04_parameters_come_before_the_handle_and_its_kind) {
  const client c(1);
  for (const HINTERNET handle : {HINTERNET{nullptr}, c.session.get()}) {
    EXPECT_EQ(WinHttpWebSocketSend(handle, WINHTTP_WEB_SOCKET_UTF8_MESSAGE_BUFFER_TYPE, nullptr, 1),
              bad_value);
    EXPECT_EQ(WinHttpWebSocketReceive(handle, nullptr, 1, nullptr, nullptr), bad_value);
    EXPECT_EQ(WinHttpWebSocketShutdown(handle, 1000, nullptr, 1), bad_value);
    EXPECT_EQ(WinHttpWebSocketClose(handle, 1000, nullptr, 1), bad_value);
    EXPECT_EQ(WinHttpWebSocketQueryCloseStatus(handle, nullptr, nullptr, 0, nullptr), bad_value);
  }
}

TEST_F(hostile_caller, STA_03_null_pointers_and_flags_of_the_other_functions) {
  const client c(1);
  DWORD number = 7;
  char bytes[8] = {};
  EXPECT_EQ(code_of(WinHttpConnect(c.session, nullptr, 0, 0)), bad_value);
  EXPECT_EQ(code_of(WinHttpConnect(c.session, L"host", 0, 1)), bad_value);
  EXPECT_EQ(
      code_of(WinHttpOpenRequest(c.connection, L"A B", nullptr, nullptr, nullptr, nullptr, 0)),
      bad_value);
  EXPECT_EQ(code_of(WinHttpAddRequestHeaders(c.request, nullptr, 1, 0)), bad_value);
  EXPECT_EQ(code_of(WinHttpAddRequestHeaders(c.request, L"A: b", 0, 0)), bad_value);
  EXPECT_EQ(code_of(WinHttpSendRequest(c.request, nullptr, 0, nullptr, 1, 1, 0)), bad_value);
  EXPECT_EQ(code_of(WinHttpSendRequest(c.request, nullptr, 0, bytes, 8, 7, 0)), bad_value);
  EXPECT_EQ(code_of(WinHttpReceiveResponse(c.request, bytes)), bad_value);
  EXPECT_EQ(code_of(WinHttpReadData(c.request, bytes, 1, nullptr)), bad_value);
  EXPECT_EQ(code_of(WinHttpWriteData(c.request, bytes, 1, nullptr)), bad_value);
  EXPECT_EQ(code_of(WinHttpQueryHeaders(c.request, WINHTTP_QUERY_SERVER, nullptr, bytes, nullptr,
                                        nullptr)),
            bad_value);
  EXPECT_EQ(code_of(WinHttpQueryOption(c.request, WINHTTP_OPTION_URL, bytes, nullptr)), bad_value);
  EXPECT_EQ(code_of(WinHttpSetTimeouts(c.request, -2, 0, 0, 0)), bad_value);
  EXPECT_EQ(code_of(WinHttpCrackUrl(nullptr, 0, 0, nullptr)), bad_value);
  EXPECT_EQ(code_of(WinHttpCrackUrl(L"http://a/", 0, 0, nullptr)), bad_value);
  EXPECT_EQ(code_of(WinHttpCreateUrl(nullptr, 0, nullptr, &number)), bad_value);
  EXPECT_EQ(WinHttpSetStatusCallback(c.request, nullptr, 0, 1), WINHTTP_INVALID_STATUS_CALLBACK);
  EXPECT_EQ(GetLastError(), bad_value);
  EXPECT_EQ(number, 7u);
  EXPECT_EQ(code_of(WinHttpReadData(c.request, nullptr, 1, &number)), bad_value);
  EXPECT_EQ(std::exchange(number, 7u), 0u) << "GET-29";
  EXPECT_EQ(code_of(WinHttpWriteData(c.request, nullptr, 1, &number)), bad_value);
  EXPECT_EQ(number, 0u) << "GET-29";
  // Nothing was sent, so there is nothing to receive.
  EXPECT_EQ(code_of(WinHttpReceiveResponse(c.request, nullptr)),
            DWORD{ERROR_WINHTTP_INCORRECT_HANDLE_STATE});
}

} // namespace
} // namespace sluice::test
