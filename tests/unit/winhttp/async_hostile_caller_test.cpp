// A caller of asynchronous handles that does everything wrong. Every refusal has its code (STA-04),
// raises nothing, and leaves everything as it was (STA-03): a Receive that was pending all the time
// still completes.

#include "api_functions.hpp"
#include "async_fixture.hpp"
#include "support/winhttp_client.hpp"

#include <sluice/extensions.h>

#include <string>
#include <utility>
#include <vector>

namespace sluice::test {
namespace {

using async_hostile_caller = async_test;
using lines = std::vector<std::string>;

constexpr DWORD no_state = ERROR_WINHTTP_INCORRECT_HANDLE_STATE;

// Wants one message, "still here", and no other bytes before it; answers and waits for the end.
void expect_one_message(peer_connection& to) {
  const client_frame frame = to.read_frame();
  EXPECT_EQ(frame.payload, "still here");
  EXPECT_TRUE(frame.fin);
  to.send(make_frame(text_opcode, "I see"));
  to.expect_eof();
}

// All four handles with a Receive pending; heard holds nothing yet.
struct receiving {
  receiving() : server(&expect_one_message), handles(heard, server.port()) {
    socket = handles.open_socket();
    heard.clear();
    EXPECT_EQ(to.receive(socket), ERROR_SUCCESS);
  }
  ~receiving() {
    EXPECT_TRUE(WinHttpCloseHandle(socket));
    heard.wait_closed(socket);
  }

  void expect_as_it_was() {
    EXPECT_EQ(heard.described(), lines{});
    EXPECT_EQ(send(socket, utf8_message, "still here"), ERROR_SUCCESS);
    heard.wait(WINHTTP_CALLBACK_STATUS_READ_COMPLETE);
    EXPECT_EQ(to.first(5), "I see");
    EXPECT_EQ(heard.count(WINHTTP_CALLBACK_STATUS_REQUEST_ERROR), 0u);
  }

  landing<16> to;
  recorder heard;
  open_peer server;
  async_handles handles;
  HINTERNET socket = nullptr;
};

TEST_F(async_hostile_caller, HND_01_STA_03_GET_29_each_function_with_each_handle_not_its_own) {
  receiving live;
  const given_handle known[] = {
      {live.handles.session, WINHTTP_HANDLE_TYPE_SESSION},
      {live.handles.connection, WINHTTP_HANDLE_TYPE_CONNECT},
      {live.handles.request, WINHTTP_HANDLE_TYPE_REQUEST},
      {live.socket, WINHTTP_HANDLE_TYPE_WEBSOCKET},
  };
  expect_refusals(known);
  live.expect_as_it_was();
}

TEST_F(async_hostile_caller, STA_03_RCV_13_QCS_01_null_pointers_lengths_types_and_states) {
  receiving live;
  const HINTERNET socket = live.socket;
  expect_bad_values_refused(socket);
  char byte = 'x';
  outputs to;
  EXPECT_EQ(WinHttpWebSocketReceive(socket, &byte, 1, &to.number, &to.type), bad_state) << "RCV-13";
  EXPECT_EQ(WinHttpWebSocketReceive(socket, &byte, 1, nullptr, nullptr), bad_state) << "RCV-13";
  EXPECT_EQ(to, outputs());
  EXPECT_EQ(byte, 'x');
  live.expect_as_it_was();
}

TEST_F(async_hostile_caller, STA_03_GET_15_GET_19_CUP_03_a_request_that_was_not_sent) {
  recorder heard;
  async_handles handles(heard, 1);
  const HINTERNET request = handles.request;
  heard.clear();
  DWORD number = 7;
  char bytes[8] = {};
  EXPECT_EQ(code_of(WinHttpReceiveResponse(request, nullptr)), no_state);
  EXPECT_EQ(code_of(WinHttpReceiveResponse(request, bytes)), bad_value);
  EXPECT_EQ(code_of(WinHttpQueryDataAvailable(request, nullptr)), no_state);
  EXPECT_EQ(code_of(WinHttpReadData(request, bytes, 8, nullptr)), no_state);
  EXPECT_EQ(code_of(WinHttpReadData(request, nullptr, 8, nullptr)), bad_value);
  EXPECT_EQ(code_of(WinHttpReadData(request, bytes, 8, &number)), no_state);
  EXPECT_EQ(std::exchange(number, 7u), 0u) << "GET-29";
  EXPECT_EQ(code_of(WinHttpWriteData(request, bytes, 8, nullptr)), no_state);
  EXPECT_EQ(code_of(WinHttpWriteData(request, nullptr, 8, &number)), bad_value);
  EXPECT_EQ(number, 0u) << "GET-29";
  EXPECT_EQ(code_of(WinHttpWebSocketCompleteUpgrade(request, 0)), bad_state);
  EXPECT_EQ(code_of(WinHttpSendRequest(request, nullptr, 0, nullptr, 1, 1, 0)), bad_value);
  EXPECT_EQ(code_of(WinHttpSendRequest(request, nullptr, 0, bytes, 8, 7, 0)), bad_value);
  EXPECT_EQ(code_of(WinHttpConnect(handles.session, nullptr, 0, 0)), bad_value);
  EXPECT_EQ(code_of(WinHttpConnect(handles.session, L"host", 0, 1)), bad_value);
  EXPECT_EQ(code_of(WinHttpOpenRequest(handles.connection, L"A B", nullptr, nullptr, nullptr,
                                       nullptr, 0)),
            bad_value);
  EXPECT_EQ(code_of(WinHttpAddRequestHeaders(request, nullptr, 1, 0)), bad_value);
  EXPECT_EQ(code_of(WinHttpSetTimeouts(request, -2, 0, 0, 0)), bad_value);
  EXPECT_EQ(WinHttpSetStatusCallback(request, nullptr, 0, 1), WINHTTP_INVALID_STATUS_CALLBACK);
  EXPECT_EQ(GetLastError(), bad_value);
  EXPECT_EQ(heard.described(), lines{});
}

TEST_F(async_hostile_caller, STA_03_GET_17_calls_while_the_request_is_on_its_way) {
  event asked;
  event answer;
  scripted_peer server([&](scripted_peer& self) {
    peer_connection client = self.accept();
    (void)client.read_request();
    asked.set();
    answer.wait();
    client.send_response("HTTP/1.1 503 Busy", {}, "busy");
  });
  recorder heard;
  async_handles handles(heard, server.port());
  const HINTERNET request = handles.request;
  ASSERT_TRUE(WinHttpSendRequest(request, nullptr, 0, nullptr, 0, 0, 0));
  asked.wait();
  heard.wait(WINHTTP_CALLBACK_STATUS_REQUEST_SENT);
  heard.clear();
  char bytes[8] = {};
  EXPECT_EQ(code_of(WinHttpSendRequest(request, nullptr, 0, nullptr, 0, 0, 0)), bad_state);
  EXPECT_EQ(code_of(WinHttpQueryDataAvailable(request, nullptr)), bad_state);
  EXPECT_EQ(code_of(WinHttpReadData(request, bytes, 8, nullptr)), bad_state);
  EXPECT_EQ(code_of(WinHttpWriteData(request, bytes, 8, nullptr)), bad_state);
  EXPECT_EQ(code_of(WinHttpWebSocketCompleteUpgrade(request, 0)), bad_state);
  EXPECT_EQ(heard.described(), lines{});
  answer.set();
  heard.wait(WINHTTP_CALLBACK_STATUS_SENDREQUEST_COMPLETE);
  ASSERT_TRUE(WinHttpReceiveResponse(request, nullptr));
  EXPECT_EQ(query_status(request), 503u);
}

TEST_F(async_hostile_caller, STA_03_GET_09_OPT_02_OPT_05_OPT_08_options_of_wrong_value_and_length) {
  receiving live;
  const HINTERNET session = live.handles.session;
  const HINTERNET request = live.handles.request;
  const HINTERNET socket = live.socket;
  const struct {
    HINTERNET handle;
    DWORD option;
    DWORD wrong; // as a value; what any value of a DWORD is wrong for has the same code for all
    DWORD wrong_value;
    DWORD wrong_length;
  } rows[] = {
      {socket, WINHTTP_OPTION_WEB_SOCKET_KEEPALIVE_INTERVAL, 14999, bad_value, bad_value},
      {socket, WINHTTP_OPTION_WEB_SOCKET_RECEIVE_BUFFER_SIZE, 1, bad_kind, bad_kind},
      {socket, WINHTTP_OPTION_WEB_SOCKET_SEND_BUFFER_SIZE, 1, bad_kind, bad_kind},
      {socket, WINHTTP_OPTION_UPGRADE_TO_WEB_SOCKET, 1, bad_kind, bad_kind},
      {socket, WINHTTP_OPTION_RECEIVE_TIMEOUT, 1, bad_kind, bad_kind},
      {socket, 0x7777, 1, ERROR_WINHTTP_INVALID_OPTION, ERROR_WINHTTP_INVALID_OPTION},
      {request, WINHTTP_OPTION_WEB_SOCKET_CLOSE_TIMEOUT, 1, bad_kind, bad_kind},
      {request, WINHTTP_OPTION_SECURITY_FLAGS, SECURITY_FLAG_SECURE, bad_value,
       ERROR_INSUFFICIENT_BUFFER},
      {request, WINHTTP_OPTION_REDIRECT_POLICY, 3, bad_value, ERROR_INSUFFICIENT_BUFFER},
      {session, WINHTTP_OPTION_REDIRECT_POLICY, 3, bad_value, ERROR_INSUFFICIENT_BUFFER},
      {session, SLUICE_OPTION_LOOP_THREADS, 0, bad_value, ERROR_INSUFFICIENT_BUFFER},
      {session, SLUICE_OPTION_LOOP_THREADS, SLUICE_MAX_LOOP_THREADS + 1, bad_value,
       ERROR_INSUFFICIENT_BUFFER},
      {session, WINHTTP_OPTION_WORKER_THREAD_COUNT, 1, ERROR_WINHTTP_OPTION_NOT_SETTABLE,
       ERROR_WINHTTP_OPTION_NOT_SETTABLE},
  };
  const auto value_of = [](HINTERNET handle, DWORD option) {
    DWORD value = 0xA5A5A5A5u;
    DWORD length = sizeof(value);
    (void)WinHttpQueryOption(handle, option, &value, &length);
    return value;
  };
  for (const auto& each : rows) {
    SCOPED_TRACE(each.option);
    const DWORD before = value_of(each.handle, each.option);
    DWORD_PTR value = each.wrong;
    EXPECT_EQ(code_of(WinHttpSetOption(each.handle, each.option, &value, 4)), each.wrong_value);
    for (const DWORD length : {1u, 3u, 8u, 0xFFFFFFFFu}) {
      EXPECT_EQ(code_of(WinHttpSetOption(each.handle, each.option, &value, length)),
                each.wrong_length)
          << length;
    }
    EXPECT_EQ(value_of(each.handle, each.option), before);
  }
  DWORD_PTR context = 1;
  EXPECT_EQ(code_of(WinHttpSetOption(socket, WINHTTP_OPTION_CONTEXT_VALUE, &context, 4)),
            DWORD{ERROR_INSUFFICIENT_BUFFER});
  EXPECT_EQ(code_of(WinHttpSetOption(socket, WINHTTP_OPTION_CONTEXT_VALUE, nullptr, 8)), bad_value);
  EXPECT_EQ(code_of(WinHttpQueryOption(socket, WINHTTP_OPTION_CONTEXT_VALUE, &context, nullptr)),
            bad_value);
  EXPECT_EQ(context, 1u);
  live.expect_as_it_was();
}

} // namespace
} // namespace sluice::test
