// Section 8 of the contract, and the options of section 17 on sockets. Through the whole API.

#include "websocket_fixture.hpp"

#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

namespace sluice::test {
namespace {

using websocket_upgrade = websocket_test;
using websocket_options = websocket_test;

// Accepts one client, upgrades it, reads until it ends the stream.
void serve_one(scripted_peer& self) {
  peer_connection client = self.accept();
  client.handshake();
  while (!client.read_some().empty()) {
  }
}

/// How many sockets the epoll instances of this process watch. Source: proc_pid_fdinfo(5).
int watched_sockets() {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fdinfo")) {
    std::ifstream lines(entry.path());
    for (std::string word; lines >> word;) {
      std::string fd;
      std::error_code none;
      if (word == "tfd:" && lines >> fd) {
        const auto target = std::filesystem::read_symlink("/proc/self/fd/" + fd, none);
        count += target.string().starts_with("socket:") ? 1 : 0;
      }
    }
  }
  return count;
}

struct plain_handles {
  explicit plain_handles(std::uint16_t port) {
    session = WinHttpOpen(L"test", WINHTTP_ACCESS_TYPE_NO_PROXY, nullptr, nullptr, 0);
    connection = WinHttpConnect(session, L"127.0.0.1", port, 0);
    request = open_request(connection);
  }
  ~plain_handles() {
    WinHttpCloseHandle(request);
    WinHttpCloseHandle(connection);
    WinHttpCloseHandle(session);
  }
  plain_handles(const plain_handles&) = delete;
  plain_handles& operator=(const plain_handles&) = delete;

  BOOL ask_for_upgrade() const {
    return WinHttpSetOption(request, WINHTTP_OPTION_UPGRADE_TO_WEB_SOCKET, nullptr, 0);
  }
  BOOL send() const { return WinHttpSendRequest(request, nullptr, 0, nullptr, 0, 0, 0); }

  HINTERNET session;
  HINTERNET connection;
  HINTERNET request;
};

void expect_no_socket(HINTERNET request, DWORD code) {
  SetLastError(0);
  EXPECT_EQ(WinHttpWebSocketCompleteUpgrade(request, 0), nullptr);
  EXPECT_EQ(GetLastError(), code);
}

TEST_F(websocket_upgrade, CUP_01_CUP_02_handles) {
  expect_no_socket(nullptr, ERROR_INVALID_HANDLE);
  scripted_peer server(serve_one);
  const plain_handles handles(server.port());
  expect_no_socket(handles.session, ERROR_WINHTTP_INCORRECT_HANDLE_TYPE);
  expect_no_socket(handles.connection, ERROR_WINHTTP_INCORRECT_HANDLE_TYPE);
  const api_socket socket(server.port());
  expect_no_socket(socket.handle(), ERROR_WINHTTP_INCORRECT_HANDLE_TYPE);
}

TEST_F(websocket_upgrade, CUP_03_X_14_nothing_was_sent) {
  const plain_handles handles(1);
  expect_no_socket(handles.request, ERROR_INVALID_OPERATION);
  ASSERT_TRUE(handles.ask_for_upgrade());
  expect_no_socket(handles.request, ERROR_INVALID_OPERATION);
}

TEST_F(websocket_upgrade, CUP_03_X_14_the_option_is_not_set) {
  scripted_peer server([](scripted_peer& self) {
    peer_connection client = self.accept();
    client.read_request();
    client.send_response("HTTP/1.1 200 OK", {}, "body");
    client.expect_eof();
  });
  const plain_handles handles(server.port());
  ASSERT_TRUE(handles.send());
  ASSERT_TRUE(WinHttpReceiveResponse(handles.request, nullptr));
  expect_no_socket(handles.request, ERROR_INVALID_OPERATION);
}

TEST_F(websocket_upgrade, CUP_04_HSK_25_another_status) {
  for (const char* status : {"HTTP/1.1 200 OK", "HTTP/1.1 404 Not Found", "HTTP/1.1 503 Busy"}) {
    scripted_peer server([&](scripted_peer& self) {
      peer_connection client = self.accept();
      client.read_request();
      client.send_response(status, {}, "body");
      client.expect_eof();
    });
    const plain_handles handles(server.port());
    ASSERT_TRUE(handles.ask_for_upgrade());
    ASSERT_TRUE(handles.send());
    ASSERT_TRUE(WinHttpReceiveResponse(handles.request, nullptr));
    expect_no_socket(handles.request, ERROR_INVALID_OPERATION);
  }
}

TEST_F(websocket_upgrade, CUP_05_CUP_14_X_15_one_socket_per_exchange) {
  scripted_peer server([](scripted_peer& self) {
    peer_connection first = self.accept();
    first.handshake({}, make_frame(text_opcode, "first"));
    peer_connection second = self.accept();
    second.handshake({}, make_frame(text_opcode, "second"));
    EXPECT_EQ(second.read_frame().payload, "to the second");
    EXPECT_EQ(first.read_frame().payload, "to the first");
    first.expect_eof();
    second.expect_eof();
  });
  const plain_handles handles(server.port());
  ASSERT_TRUE(handles.ask_for_upgrade());
  ASSERT_TRUE(handles.send());
  ASSERT_TRUE(WinHttpReceiveResponse(handles.request, nullptr));
  const HINTERNET first = WinHttpWebSocketCompleteUpgrade(handles.request, 0);
  ASSERT_NE(first, nullptr);
  expect_no_socket(handles.request, ERROR_INVALID_OPERATION);
  ASSERT_TRUE(handles.send());
  ASSERT_TRUE(WinHttpReceiveResponse(handles.request, nullptr));
  const HINTERNET second = WinHttpWebSocketCompleteUpgrade(handles.request, 0);
  ASSERT_NE(second, nullptr);
  EXPECT_NE(first, second);
  EXPECT_EQ(receive(second), (received{0, utf8_message, "second"}));
  EXPECT_EQ(receive(first), (received{0, utf8_message, "first"}));
  EXPECT_EQ(send(second, binary_message, "to the second"), ERROR_SUCCESS);
  EXPECT_EQ(send(first, binary_message, "to the first"), ERROR_SUCCESS);
  EXPECT_TRUE(WinHttpCloseHandle(first));
  EXPECT_EQ(receive(first).code, ERROR_INVALID_HANDLE);
  EXPECT_TRUE(WinHttpCloseHandle(second));
}

TEST_F(websocket_upgrade, CUP_10_success_sets_the_last_error_to_0) {
  scripted_peer server(serve_one);
  const api_request from(server.port());
  SetLastError(4711);
  const HINTERNET socket = WinHttpWebSocketCompleteUpgrade(from.request, 0);
  EXPECT_NE(socket, nullptr);
  EXPECT_EQ(GetLastError(), 0u);
  EXPECT_TRUE(WinHttpCloseHandle(socket));
}

// Its Receives sleep in recv(), on whatever thread; what is still registered would wake this one.
TEST_F(websocket_upgrade, the_loop_that_connected_a_socket_watches_it_no_longer) {
  scripted_peer server(serve_one);
  const api_socket socket(server.port());
  EXPECT_EQ(watched_sockets(), 0);
}

TEST_F(websocket_upgrade, CUP_15_the_send_buffer_size_may_change_before_it) {
  scripted_peer server(serve_one);
  const api_request from(server.port());
  DWORD bytes = 15;
  ASSERT_TRUE(WinHttpSetOption(from.request, WINHTTP_OPTION_WEB_SOCKET_SEND_BUFFER_SIZE, &bytes,
                               sizeof(bytes)));
  const HINTERNET socket = WinHttpWebSocketCompleteUpgrade(from.request, 0);
  EXPECT_NE(socket, nullptr);
  EXPECT_EQ(send(socket, binary_message, pattern_text(100)), ERROR_SUCCESS);
  EXPECT_TRUE(WinHttpCloseHandle(socket));
}

TEST_F(websocket_upgrade, CUP_16_without_receiving_the_response) {
  scripted_peer server([](scripted_peer& self) {
    peer_connection client = self.accept();
    client.handshake({}, make_frame(text_opcode, "greeting"));
    client.expect_eof();
  });
  const plain_handles handles(server.port());
  ASSERT_TRUE(handles.ask_for_upgrade());
  ASSERT_TRUE(handles.send());
  const HINTERNET socket = WinHttpWebSocketCompleteUpgrade(handles.request, 0);
  ASSERT_NE(socket, nullptr);
  EXPECT_EQ(receive(socket), (received{0, utf8_message, "greeting"}));
  EXPECT_TRUE(WinHttpCloseHandle(socket));
}

TEST_F(websocket_upgrade, HND_08_HND_09_parents_may_go_first_in_any_order) {
  for (const bool session_first : {true, false}) {
    scripted_peer server([](scripted_peer& self) {
      peer_connection client = self.accept();
      client.handshake();
      client.send(make_frame(binary_opcode, client.read_frame().payload));
      client.expect_eof();
    });
    HINTERNET socket = nullptr;
    {
      api_request from(server.port());
      socket = WinHttpWebSocketCompleteUpgrade(from.request, 0);
      ASSERT_NE(socket, nullptr);
      if (session_first) {
        EXPECT_TRUE(WinHttpCloseHandle(std::exchange(from.session, nullptr)));
        EXPECT_TRUE(WinHttpCloseHandle(std::exchange(from.connection, nullptr)));
      }
    }
    EXPECT_EQ(send(socket, binary_message, "echo"), ERROR_SUCCESS);
    EXPECT_EQ(receive(socket), (received{0, binary_message, "echo"}));
    EXPECT_TRUE(WinHttpCloseHandle(socket));
  }
}

TEST_F(websocket_upgrade, HSK_30_a_greeting_of_many_segments) {
  const std::string big = pattern_text(200000);
  scripted_peer server([&](scripted_peer& self) {
    peer_connection client = self.accept();
    client.handshake({}, make_frame(binary_opcode, big) + make_frame(text_opcode, "end"));
    client.expect_eof();
  });
  const api_socket socket(server.port());
  EXPECT_EQ(receive_message(socket.handle()), (received{0, binary_message, big}));
  EXPECT_EQ(receive_message(socket.handle()), (received{0, utf8_message, "end"}));
}

TEST_F(websocket_upgrade, TMO_05_the_send_time_out_is_the_requests) {
  event stop;
  scripted_peer::settings small;
  small.receive_buffer_bytes = 4096;
  scripted_peer server(
      [&](scripted_peer& self) {
        peer_connection client = self.accept();
        client.handshake();
        stop.wait(); // reads nothing
      },
      small);
  const plain_handles handles(server.port());
  ASSERT_TRUE(handles.ask_for_upgrade());
  ASSERT_TRUE(WinHttpSetTimeouts(handles.request, 0, 0, 50, 0));
  ASSERT_TRUE(handles.send());
  const HINTERNET socket = WinHttpWebSocketCompleteUpgrade(handles.request, 0);
  ASSERT_NE(socket, nullptr);
  EXPECT_EQ(send(socket, binary_message, pattern_text(32u << 20)), ERROR_WINHTTP_TIMEOUT);
  stop.set();
  EXPECT_TRUE(WinHttpCloseHandle(socket));
}

// Notifications that synchronous handles raise, too.

struct seen_notification {
  HINTERNET handle;
  DWORD_PTR context;
  DWORD status;
  HINTERNET about;
};
std::vector<seen_notification> notifications;

void CALLBACK record(HINTERNET handle, DWORD_PTR context, DWORD status, LPVOID info,
                     DWORD info_bytes) {
  if (status == WINHTTP_CALLBACK_STATUS_HANDLE_CREATED ||
      status == WINHTTP_CALLBACK_STATUS_HANDLE_CLOSING) {
    HINTERNET about = nullptr;
    ASSERT_EQ(info_bytes, sizeof(about));
    std::memcpy(&about, info, sizeof(about));
    notifications.push_back({handle, context, status, about});
  }
}

TEST_F(websocket_upgrade, CUP_12_HND_05_HND_13_notifications_and_context) {
  scripted_peer server(serve_one);
  const api_request from(server.port());
  DWORD_PTR request_context = 11;
  ASSERT_TRUE(WinHttpSetOption(from.request, WINHTTP_OPTION_CONTEXT_VALUE, &request_context,
                               sizeof(request_context)));
  WinHttpSetStatusCallback(from.request, record, WINHTTP_CALLBACK_FLAG_HANDLES, 0);
  notifications.clear();
  const HINTERNET socket = WinHttpWebSocketCompleteUpgrade(from.request, 22);
  ASSERT_NE(socket, nullptr);
  ASSERT_EQ(notifications.size(), 1u);
  EXPECT_EQ(notifications[0].handle, from.request);
  EXPECT_EQ(notifications[0].context, 11u);
  EXPECT_EQ(notifications[0].status, DWORD{WINHTTP_CALLBACK_STATUS_HANDLE_CREATED});
  EXPECT_EQ(notifications[0].about, socket);
  WinHttpSetStatusCallback(from.request, nullptr, 0, 0); // HND-04: the socket keeps its own
  EXPECT_TRUE(WinHttpCloseHandle(socket));
  ASSERT_EQ(notifications.size(), 2u);
  EXPECT_EQ(notifications[1].handle, socket);
  EXPECT_EQ(notifications[1].context, 22u);
  EXPECT_EQ(notifications[1].status, DWORD{WINHTTP_CALLBACK_STATUS_HANDLE_CLOSING});
  EXPECT_EQ(notifications[1].about, socket);
}

TEST_F(websocket_upgrade, HND_05_HND_14_X_05_the_context_is_not_inherited) {
  scripted_peer server(serve_one);
  const api_request from(server.port());
  DWORD_PTR context = 11;
  ASSERT_TRUE(
      WinHttpSetOption(from.request, WINHTTP_OPTION_CONTEXT_VALUE, &context, sizeof(context)));
  WinHttpSetStatusCallback(from.request, record, WINHTTP_CALLBACK_FLAG_HANDLES, 0);
  const HINTERNET socket = WinHttpWebSocketCompleteUpgrade(from.request, 0);
  ASSERT_NE(socket, nullptr);
  DWORD length = sizeof(context);
  EXPECT_TRUE(WinHttpQueryOption(socket, WINHTTP_OPTION_CONTEXT_VALUE, &context, &length));
  EXPECT_EQ(context, 0u);
  notifications.clear();
  EXPECT_TRUE(WinHttpCloseHandle(socket));
  EXPECT_TRUE(notifications.empty()) << "no HANDLE_CLOSING without a context";
  WinHttpSetStatusCallback(from.request, nullptr, 0, 0);
}

// 17

class option_socket {
public:
  option_socket() : server_(serve_one), from_(server_.port()) {
    handle_ = WinHttpWebSocketCompleteUpgrade(from_.request, 0);
  }
  ~option_socket() { WinHttpCloseHandle(handle_); }
  option_socket(const option_socket&) = delete;
  option_socket& operator=(const option_socket&) = delete;

  [[nodiscard]] HINTERNET handle() const noexcept { return handle_; }
  [[nodiscard]] api_request& from() noexcept { return from_; }

  /// The last error, 0 on success.
  DWORD set(DWORD option, void* value, DWORD bytes) const {
    SetLastError(4711);
    const BOOL done = WinHttpSetOption(handle_, option, value, bytes);
    const DWORD code = GetLastError();
    EXPECT_EQ(done != FALSE, code == ERROR_SUCCESS);
    return code;
  }
  DWORD query(DWORD option, void* value, DWORD& bytes) const {
    SetLastError(4711);
    const BOOL done = WinHttpQueryOption(handle_, option, value, &bytes);
    const DWORD code = GetLastError();
    EXPECT_EQ(done != FALSE, code == ERROR_SUCCESS);
    return code;
  }

private:
  scripted_peer server_;
  api_request from_;
  HINTERNET handle_ = nullptr;
};

TEST_F(websocket_options, OPT_02_OPT_03_buffer_sizes_are_not_the_sockets) {
  const option_socket socket;
  for (const DWORD option : {DWORD{WINHTTP_OPTION_WEB_SOCKET_RECEIVE_BUFFER_SIZE},
                             DWORD{WINHTTP_OPTION_WEB_SOCKET_SEND_BUFFER_SIZE}}) {
    DWORD value = 4096;
    DWORD bytes = sizeof(value);
    EXPECT_EQ(socket.set(option, &value, bytes), ERROR_WINHTTP_INCORRECT_HANDLE_TYPE);
    EXPECT_EQ(socket.query(option, &value, bytes), ERROR_WINHTTP_INCORRECT_HANDLE_TYPE);
  }
}

TEST_F(websocket_options, OPT_04_the_keep_alive_interval_cannot_be_queried) {
  const option_socket socket;
  DWORD value = 0;
  DWORD bytes = sizeof(value);
  EXPECT_EQ(socket.query(WINHTTP_OPTION_WEB_SOCKET_KEEPALIVE_INTERVAL, &value, bytes),
            ERROR_INVALID_PARAMETER);
  EXPECT_EQ(socket.query(WINHTTP_OPTION_WEB_SOCKET_KEEPALIVE_INTERVAL, nullptr, bytes),
            ERROR_INVALID_PARAMETER);
}

TEST_F(websocket_options, OPT_05_setting_the_keep_alive_interval) {
  const option_socket socket;
  const DWORD option = WINHTTP_OPTION_WEB_SOCKET_KEEPALIVE_INTERVAL;
  std::array<DWORD, 2> value{20000, 0};
  EXPECT_EQ(socket.set(option, value.data(), 4), ERROR_SUCCESS);
  for (const DWORD bytes : {0u, 1u, 2u, 3u, 5u, 8u}) {
    EXPECT_EQ(socket.set(option, value.data(), bytes), ERROR_INVALID_PARAMETER) << bytes;
  }
  for (const DWORD refused : {0u, 1u, 14999u}) {
    value[0] = refused;
    EXPECT_EQ(socket.set(option, value.data(), 4), ERROR_INVALID_PARAMETER) << refused;
  }
  for (const DWORD accepted : {15000u, 15001u, 0xFFFFFFFFu}) {
    value[0] = accepted;
    EXPECT_EQ(socket.set(option, value.data(), 4), ERROR_SUCCESS) << accepted;
  }
}

TEST_F(websocket_options, OPT_08_X_40_the_close_timeout) {
  const option_socket socket;
  const DWORD option = WINHTTP_OPTION_WEB_SOCKET_CLOSE_TIMEOUT;
  std::array<DWORD, 2> value{0, 0};
  DWORD bytes = sizeof(value);
  EXPECT_EQ(socket.query(option, value.data(), bytes), ERROR_SUCCESS);
  EXPECT_EQ(value[0], 10000u);
  EXPECT_EQ(bytes, 4u);
  for (const DWORD milliseconds : {0u, 1u, 1000u, 0xFFFFFFFFu}) {
    value[0] = milliseconds;
    EXPECT_EQ(socket.set(option, value.data(), 4), ERROR_SUCCESS);
    value[0] = 77;
    bytes = 4;
    EXPECT_EQ(socket.query(option, value.data(), bytes), ERROR_SUCCESS);
    EXPECT_EQ(value[0], milliseconds);
  }
  for (const DWORD wrong : {0u, 2u, 8u}) {
    EXPECT_EQ(socket.set(option, value.data(), wrong), ERROR_INVALID_PARAMETER) << wrong;
  }
  bytes = 2;
  EXPECT_EQ(socket.query(option, value.data(), bytes), ERROR_INSUFFICIENT_BUFFER);
  EXPECT_EQ(bytes, 4u);
}

TEST_F(websocket_options, OPT_09_HND_06_the_context_value) {
  const option_socket socket;
  DWORD_PTR context = 4712;
  DWORD bytes = sizeof(context);
  EXPECT_EQ(socket.set(WINHTTP_OPTION_CONTEXT_VALUE, &context, bytes), ERROR_SUCCESS);
  context = 0;
  EXPECT_EQ(socket.query(WINHTTP_OPTION_CONTEXT_VALUE, &context, bytes), ERROR_SUCCESS);
  EXPECT_EQ(context, 4712u);
  EXPECT_EQ(socket.set(WINHTTP_OPTION_CONTEXT_VALUE, &context, 4), ERROR_INSUFFICIENT_BUFFER);
}

TEST_F(websocket_options, OPT_10_the_handle_type) {
  const option_socket socket;
  DWORD kind = 0;
  DWORD bytes = sizeof(kind);
  EXPECT_EQ(socket.query(WINHTTP_OPTION_HANDLE_TYPE, &kind, bytes), ERROR_SUCCESS);
  EXPECT_EQ(kind, 5u);
}

TEST_F(websocket_options, OPT_11_X_41_the_parent_is_the_request_while_it_is_open) {
  option_socket socket;
  HINTERNET parent = nullptr;
  DWORD bytes = sizeof(parent);
  EXPECT_EQ(socket.query(WINHTTP_OPTION_PARENT_HANDLE, &parent, bytes), ERROR_SUCCESS);
  EXPECT_EQ(parent, socket.from().request);
  WinHttpCloseHandle(std::exchange(socket.from().request, nullptr));
  EXPECT_EQ(socket.query(WINHTTP_OPTION_PARENT_HANDLE, &parent, bytes),
            ERROR_WINHTTP_INCORRECT_HANDLE_STATE);
}

TEST_F(websocket_options, OPT_01_OPT_12_OPT_13_OPT_14_options_of_other_handles) {
  const option_socket socket;
  for (const DWORD option :
       {DWORD{WINHTTP_OPTION_UPGRADE_TO_WEB_SOCKET}, DWORD{WINHTTP_OPTION_SECURITY_FLAGS},
        DWORD{WINHTTP_OPTION_SECURE_PROTOCOLS}, DWORD{WINHTTP_OPTION_SEND_TIMEOUT},
        DWORD{WINHTTP_OPTION_RECEIVE_TIMEOUT}, DWORD{WINHTTP_OPTION_DISABLE_FEATURE}}) {
    DWORD value = 1;
    const bool flag = option == WINHTTP_OPTION_UPGRADE_TO_WEB_SOCKET;
    EXPECT_EQ(socket.set(option, flag ? nullptr : &value, flag ? 0 : 4),
              ERROR_WINHTTP_INCORRECT_HANDLE_TYPE)
        << option;
  }
}

TEST_F(websocket_options, OPT_20_X_42_an_unknown_option) {
  const option_socket socket;
  DWORD value = 1;
  DWORD bytes = sizeof(value);
  EXPECT_EQ(socket.set(54321, &value, bytes), ERROR_WINHTTP_INVALID_OPTION);
  EXPECT_EQ(socket.query(54321, &value, bytes), ERROR_WINHTTP_INVALID_OPTION);
}

TEST_F(websocket_options, GET_25_a_socket_has_no_headers) {
  const option_socket socket;
  DWORD status = 0;
  DWORD bytes = sizeof(status);
  EXPECT_FALSE(WinHttpQueryHeaders(socket.handle(),
                                   WINHTTP_QUERY_STATUS_CODE | WINHTTP_QUERY_FLAG_NUMBER, nullptr,
                                   &status, &bytes, nullptr));
  EXPECT_EQ(GetLastError(), ERROR_WINHTTP_INCORRECT_HANDLE_TYPE);
}

} // namespace
} // namespace sluice::test
