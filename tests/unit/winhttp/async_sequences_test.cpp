// The reference sequences A to G: all notifications of all handles, in order, with the thread they
// came on.

#include "async_fixture.hpp"

namespace sluice::test {
namespace {

using lines = std::vector<std::string>;
using async_sequences = async_test;

// The part that all of them begin with, up to the socket.
const lines opening = {
    "session HANDLE_CREATED connection in-call",
    "connection HANDLE_CREATED request in-call",
    "request RESOLVING_NAME",
    "request NAME_RESOLVED",
    "request CONNECTING_TO_SERVER",
    "request CONNECTED_TO_SERVER",
    "request SENDING_REQUEST",
    "request REQUEST_SENT",
    "request SENDREQUEST_COMPLETE",
    "request RECEIVING_RESPONSE in-call",
    "request RESPONSE_RECEIVED in-call",
    "request HEADERS_AVAILABLE in-call",
    "request HANDLE_CREATED socket in-call",
};

// HANDLE_CLOSING may come on any thread (NOT-14).
lines whatever_thread_closes(lines of) {
  for (std::string& line : of) {
    if (line.ends_with("HANDLE_CLOSING in-call")) {
      line.resize(line.size() - std::string_view(" in-call").size());
    }
  }
  return of;
}

void close_parents(async_handles& handles) {
  handles.close();
}

TEST_F(async_sequences, A_HSK_50_HSK_51_CUP_12_NOT_13_upgrade) {
  scripted_peer server([](scripted_peer& self) {
    peer_connection client = self.accept();
    client.handshake();
    client.expect_eof();
  });
  recorder heard;
  async_handles handles(heard, server.port());
  const HINTERNET socket = handles.open_socket();
  EXPECT_EQ(heard.described(), opening);
  heard.clear();
  const HINTERNET request = std::exchange(handles.request, nullptr);
  EXPECT_TRUE(WinHttpCloseHandle(request));
  heard.wait_closed(request);
  EXPECT_EQ(whatever_thread_closes(heard.described()), (lines{"request HANDLE_CLOSING"}))
      << "HND-08, HND-12";
  EXPECT_TRUE(WinHttpCloseHandle(socket));
  heard.wait_closed(socket);
}

TEST_F(async_sequences, B_STA_05_NOT_13_SND_20_SND_32_SHD_05_CLO_20_data_shutdown_close) {
  scripted_peer server([](scripted_peer& self) {
    peer_connection client = self.accept();
    client.handshake();
    for (const char* expected : {"one", "two", "three", ""}) {
      const client_frame frame = client.read_frame();
      EXPECT_EQ(frame.payload, expected);
      EXPECT_TRUE(frame.masked);
    }
    EXPECT_EQ(client.read_frame().opcode, close_opcode);
    client.send(make_frame(binary_opcode, "answer"));
    client.send(make_close(1000));
    client.expect_eof();
  });
  recorder heard;
  async_handles handles(heard, server.port());
  const HINTERNET socket = handles.open_socket();
  heard.clear();
  EXPECT_EQ(send(socket, binary_fragment, "one"), ERROR_SUCCESS);
  EXPECT_EQ(send(socket, utf8_message, "x"), ERROR_INVALID_PARAMETER) << "SND-06";
  EXPECT_EQ(send(socket, binary_fragment, "two"), ERROR_SUCCESS);
  EXPECT_EQ(send(socket, binary_fragment, "three"), ERROR_SUCCESS);
  EXPECT_EQ(send(socket, binary_message, ""), ERROR_SUCCESS) << "SND-08";
  EXPECT_EQ(shutdown(socket), ERROR_SUCCESS);
  EXPECT_EQ(send(socket, binary_message, "late"), ERROR_INVALID_OPERATION) << "SND-25";
  EXPECT_EQ(shutdown(socket), ERROR_INVALID_OPERATION) << "SHD-08";
  landing<64> to;
  DWORD count = 0x55555555;
  auto type = static_cast<WINHTTP_WEB_SOCKET_BUFFER_TYPE>(7);
  EXPECT_EQ(WinHttpWebSocketReceive(socket, to.bytes, sizeof(to.bytes), &count, &type), 0u);
  heard.wait(WINHTTP_CALLBACK_STATUS_READ_COMPLETE);
  EXPECT_EQ(count, 0x55555555u) << "RCV-04";
  EXPECT_EQ(type, 7) << "RCV-04";
  EXPECT_EQ(to.first(6), "answer");
  EXPECT_EQ(query_close_status(socket).code, ERROR_INVALID_OPERATION) << "QCS-07";
  EXPECT_EQ(close(socket), ERROR_SUCCESS) << "CLO-24";
  heard.wait(WINHTTP_CALLBACK_STATUS_CLOSE_COMPLETE);
  EXPECT_EQ(query_close_status(socket), (close_status_result{0, 1000, ""})) << "QCS-08";
  EXPECT_TRUE(WinHttpCloseHandle(socket));
  heard.wait_closed(socket);
  lines got = whatever_thread_closes(heard.described(socket));
  // The peer's close frame may have been read already (CLO-25) or not yet (CLO-24).
  ASSERT_EQ(got.size(), 8u);
  EXPECT_EQ(got[6].substr(0, 21), "socket CLOSE_COMPLETE");
  got.erase(got.begin() + 6);
  EXPECT_EQ(
      got,
      (lines{"socket WRITE_COMPLETE 3 type 1 in-call", "socket WRITE_COMPLETE 3 type 1 in-call",
             "socket WRITE_COMPLETE 5 type 1 in-call", "socket WRITE_COMPLETE 0 type 0 in-call",
             "socket SHUTDOWN_COMPLETE in-call", "socket READ_COMPLETE 6 type 0",
             "socket HANDLE_CLOSING"}));
  close_parents(handles);
}

TEST_F(async_sequences, C_CLO_21_RCV_15_close_over_a_pending_receive) {
  event may_answer;
  scripted_peer server([&](scripted_peer& self) {
    peer_connection client = self.accept();
    client.handshake();
    EXPECT_EQ(client.read_frame().payload, close_payload_text(1000, "success"));
    may_answer.wait();
    client.send(make_frame(text_opcode, "dropped"));
    client.send(make_close(1001, "away"));
    client.expect_eof();
  });
  recorder heard;
  async_handles handles(heard, server.port());
  const HINTERNET socket = handles.open_socket();
  heard.clear();
  landing<64> to;
  EXPECT_EQ(to.receive(socket), ERROR_SUCCESS);
  EXPECT_EQ(close(socket, 1000, "success"), ERROR_SUCCESS);
  EXPECT_EQ(heard.described(), (lines{"socket REQUEST_ERROR 12017 of 1 in-call"}));
  EXPECT_EQ(query_close_status(socket).code, ERROR_INVALID_OPERATION) << "CLO-22";
  EXPECT_EQ(to.receive(socket), ERROR_INVALID_OPERATION) << "RCV-16";
  EXPECT_EQ(send(socket, binary_message, "x"), ERROR_INVALID_OPERATION) << "SND-26";
  EXPECT_EQ(close(socket), ERROR_INVALID_OPERATION) << "CLO-27";
  may_answer.set();
  heard.wait(WINHTTP_CALLBACK_STATUS_CLOSE_COMPLETE);
  EXPECT_EQ(query_close_status(socket), (close_status_result{0, 1001, "away"}));
  EXPECT_EQ(close(socket), ERROR_INVALID_OPERATION) << "CLO-27";
  EXPECT_TRUE(WinHttpCloseHandle(socket));
  heard.wait_closed(socket);
  EXPECT_EQ(whatever_thread_closes(heard.described()),
            (lines{"socket REQUEST_ERROR 12017 of 1 in-call", "socket CLOSE_COMPLETE",
                   "socket HANDLE_CLOSING"}));
  EXPECT_EQ(to.first(1), std::string(1, '\0')) << "nothing is written";
}

TEST_F(async_sequences, D_CLO_29_NOT_07_HND_15_close_handle_over_a_pending_close) {
  scripted_peer server([](scripted_peer& self) {
    peer_connection client = self.accept();
    client.handshake();
    EXPECT_EQ(client.read_frame().opcode, close_opcode);
    client.expect_eof();
  });
  recorder heard;
  async_handles handles(heard, server.port());
  const HINTERNET socket = handles.open_socket();
  heard.clear();
  landing<64> to;
  EXPECT_EQ(to.receive(socket), ERROR_SUCCESS);
  EXPECT_EQ(close(socket), ERROR_SUCCESS);
  EXPECT_TRUE(WinHttpCloseHandle(socket));
  heard.wait_closed(socket);
  EXPECT_EQ(whatever_thread_closes(heard.described()),
            (lines{"socket REQUEST_ERROR 12017 of 1 in-call",
                   "socket REQUEST_ERROR 12017 of 2 in-call", "socket HANDLE_CLOSING"}));
}

TEST_F(async_sequences, E_RCV_24_HND_15_close_handle_over_a_pending_receive) {
  scripted_peer server([](scripted_peer& self) {
    peer_connection client = self.accept();
    client.handshake();
    client.expect_eof(); // HND-18: no close frame
  });
  recorder heard;
  async_handles handles(heard, server.port());
  const HINTERNET socket = handles.open_socket();
  heard.clear();
  landing<64> to;
  EXPECT_EQ(to.receive(socket), ERROR_SUCCESS);
  EXPECT_TRUE(WinHttpCloseHandle(socket));
  heard.wait_closed(socket);
  EXPECT_EQ(whatever_thread_closes(heard.described()),
            (lines{"socket REQUEST_ERROR 12017 of 1 in-call", "socket HANDLE_CLOSING"}));
  EXPECT_EQ(to.receive(socket), ERROR_INVALID_HANDLE) << "RCV-25";
}

TEST_F(async_sequences, F_SHD_07_RCV_13_RCV_17_RCV_18_CLO_25_HND_12_shutdown_over_a_receive) {
  event may_answer; // so that SHUTDOWN_COMPLETE is out: the two sides are not ordered (NOT-03)
  scripted_peer server([&](scripted_peer& self) {
    peer_connection client = self.accept();
    client.handshake();
    EXPECT_EQ(client.read_frame().payload, close_payload_text(1000));
    may_answer.wait();
    client.send(make_close(1000));
    client.expect_eof();
  });
  recorder heard;
  DWORD inside = 0;
  HINTERNET socket = nullptr;
  heard.on(WINHTTP_CALLBACK_STATUS_READ_COMPLETE, [&](const notice& done) {
    inside = query_close_status(done.handle).status; // RCV-61, QCS-09
  });
  async_handles handles(heard, server.port());
  socket = handles.open_socket();
  heard.clear();
  landing<64> to;
  EXPECT_EQ(to.receive(socket), ERROR_SUCCESS);
  EXPECT_EQ(to.receive(socket), ERROR_INVALID_OPERATION);
  EXPECT_EQ(query_close_status(socket).code, ERROR_INVALID_OPERATION);
  EXPECT_EQ(shutdown(socket), ERROR_SUCCESS);
  may_answer.set();
  heard.wait(WINHTTP_CALLBACK_STATUS_READ_COMPLETE);
  EXPECT_EQ(inside, 1000u);
  EXPECT_EQ(query_close_status(socket), (close_status_result{0, 1000, ""}));
  EXPECT_EQ(to.receive(socket), ERROR_INVALID_OPERATION);
  EXPECT_EQ(close(socket), ERROR_SUCCESS);
  const HINTERNET closed[] = {socket, std::exchange(handles.request, nullptr),
                              std::exchange(handles.connection, nullptr),
                              std::exchange(handles.session, nullptr)};
  for (const HINTERNET handle : closed) {
    EXPECT_TRUE(WinHttpCloseHandle(handle));
  }
  heard.wait_closed(closed[3]);
  const lines got = whatever_thread_closes(heard.described());
  EXPECT_EQ(got, (lines{"socket SHUTDOWN_COMPLETE in-call", "socket READ_COMPLETE 0 type 4",
                        "socket CLOSE_COMPLETE in-call", "socket HANDLE_CLOSING",
                        "request HANDLE_CLOSING", "connection HANDLE_CLOSING",
                        "session HANDLE_CLOSING"}));
}

TEST_F(async_sequences, G_GET_14_OPT_06_a_send_buffer_that_is_too_small) {
  recorder heard;
  async_handles handles(heard, 1);
  heard.clear();
  DWORD bytes = 15;
  ASSERT_TRUE(WinHttpSetOption(handles.request, WINHTTP_OPTION_WEB_SOCKET_SEND_BUFFER_SIZE, &bytes,
                               sizeof(bytes)));
  ASSERT_TRUE(WinHttpSetOption(handles.request, WINHTTP_OPTION_UPGRADE_TO_WEB_SOCKET, nullptr, 0));
  EXPECT_TRUE(WinHttpSendRequest(handles.request, nullptr, 0, nullptr, 0, 0, 0));
  heard.wait(WINHTTP_CALLBACK_STATUS_REQUEST_ERROR);
  EXPECT_EQ(heard.described(), (lines{"request REQUEST_ERROR 8 of 5"}));
}

} // namespace
} // namespace sluice::test
