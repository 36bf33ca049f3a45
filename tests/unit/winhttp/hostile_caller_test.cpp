// A caller that does everything wrong: each function with handles that do not exist or are of
// another kind, with null pointers, wrong lengths and wrong states. Every refusal has its code
// (STA-04), and leaves everything as it was (STA-03).

#include "backend_fixture.hpp"
#include "support/winhttp_client.hpp"

#include <cstring>
#include <string>

namespace sluice::test {
namespace {

class hostile_caller : public backend_test {};

constexpr DWORD bad_value = ERROR_INVALID_PARAMETER;
constexpr DWORD bad_handle = ERROR_INVALID_HANDLE;
constexpr DWORD bad_kind = ERROR_WINHTTP_INCORRECT_HANDLE_TYPE;
constexpr DWORD bad_state = ERROR_INVALID_OPERATION;

// What calls write to. Filled before each, so that a refused one shows what it touched.
struct outputs {
  std::string bytes = std::string(256, '\xA5');
  DWORD number = 0xA5A5A5A5u;
  DWORD second = 0xA5A5A5A5u;
  DWORD third = 0xA5A5A5A5u;
  USHORT status = 0xA5A5u;
  WINHTTP_WEB_SOCKET_BUFFER_TYPE type = WINHTTP_WEB_SOCKET_CLOSE_BUFFER_TYPE;
  friend bool operator==(const outputs&, const outputs&) = default;
};

// The code of a refusal; 0 if there was none.
DWORD code_of(BOOL done) {
  return done != FALSE ? 0 : GetLastError();
}

using call = DWORD (*)(HINTERNET, outputs&);
struct function {
  const char* name;
  DWORD kind; // WINHTTP_HANDLE_TYPE_ that takes it
  call run;   // with parameters that a handle of that kind accepts
};

const function functions[] = {
    {"Connect", WINHTTP_HANDLE_TYPE_SESSION,
     [](HINTERNET h, outputs&) {
       return code_of(WinHttpConnect(h, L"host", 0, 0) != nullptr ? TRUE : FALSE);
     }},
    {"OpenRequest", WINHTTP_HANDLE_TYPE_CONNECT,
     [](HINTERNET h, outputs&) {
       return code_of(WinHttpOpenRequest(h, nullptr, nullptr, nullptr, nullptr, nullptr, 0) !=
                              nullptr
                          ? TRUE
                          : FALSE);
     }},
    {"AddRequestHeaders", WINHTTP_HANDLE_TYPE_REQUEST,
     [](HINTERNET h, outputs&) { return code_of(WinHttpAddRequestHeaders(h, L"A: b", 4, 0)); }},
    {"SendRequest", WINHTTP_HANDLE_TYPE_REQUEST,
     [](HINTERNET h, outputs&) {
       return code_of(WinHttpSendRequest(h, nullptr, 0, nullptr, 0, 0, 0));
     }},
    {"WriteData", WINHTTP_HANDLE_TYPE_REQUEST,
     [](HINTERNET h, outputs& to) {
       DWORD written = 0;
       return code_of(WinHttpWriteData(h, to.bytes.data(), 1, &written));
     }},
    {"ReceiveResponse", WINHTTP_HANDLE_TYPE_REQUEST,
     [](HINTERNET h, outputs&) { return code_of(WinHttpReceiveResponse(h, nullptr)); }},
    {"QueryHeaders", WINHTTP_HANDLE_TYPE_REQUEST,
     [](HINTERNET h, outputs& to) {
       return code_of(WinHttpQueryHeaders(h, WINHTTP_QUERY_SERVER, nullptr, to.bytes.data(),
                                          &to.number, &to.second));
     }},
    {"QueryDataAvailable", WINHTTP_HANDLE_TYPE_REQUEST,
     [](HINTERNET h, outputs& to) { return code_of(WinHttpQueryDataAvailable(h, &to.number)); }},
    {"ReadData", WINHTTP_HANDLE_TYPE_REQUEST,
     [](HINTERNET h, outputs& to) {
       return code_of(WinHttpReadData(h, to.bytes.data(), 8, &to.number));
     }},
    {"SetCredentials", WINHTTP_HANDLE_TYPE_REQUEST,
     [](HINTERNET h, outputs&) {
       return code_of(WinHttpSetCredentials(h, WINHTTP_AUTH_TARGET_SERVER,
                                            WINHTTP_AUTH_SCHEME_BASIC, L"u", L"p", nullptr));
     }},
    {"QueryAuthSchemes", WINHTTP_HANDLE_TYPE_REQUEST,
     [](HINTERNET h, outputs& to) {
       return code_of(WinHttpQueryAuthSchemes(h, &to.number, &to.second, &to.third));
     }},
    {"CompleteUpgrade", WINHTTP_HANDLE_TYPE_REQUEST,
     [](HINTERNET h, outputs&) {
       return code_of(WinHttpWebSocketCompleteUpgrade(h, 0) != nullptr ? TRUE : FALSE);
     }},
    {"Send", WINHTTP_HANDLE_TYPE_WEBSOCKET,
     [](HINTERNET h, outputs& to) {
       return WinHttpWebSocketSend(h, WINHTTP_WEB_SOCKET_UTF8_MESSAGE_BUFFER_TYPE, to.bytes.data(),
                                   1);
     }},
    {"Receive", WINHTTP_HANDLE_TYPE_WEBSOCKET,
     [](HINTERNET h, outputs& to) {
       return WinHttpWebSocketReceive(h, to.bytes.data(), 8, &to.number, &to.type);
     }},
    {"Shutdown", WINHTTP_HANDLE_TYPE_WEBSOCKET,
     [](HINTERNET h, outputs&) { return WinHttpWebSocketShutdown(h, 1000, nullptr, 0); }},
    {"Close", WINHTTP_HANDLE_TYPE_WEBSOCKET,
     [](HINTERNET h, outputs&) { return WinHttpWebSocketClose(h, 1000, nullptr, 0); }},
    {"QueryCloseStatus", WINHTTP_HANDLE_TYPE_WEBSOCKET,
     [](HINTERNET h, outputs& to) {
       return WinHttpWebSocketQueryCloseStatus(h, &to.status, to.bytes.data(), 123, &to.number);
     }},
};

// A peer that wants one message, "still here", and no other bytes before it; then the end.
void expect_one_message(scripted_peer& on) {
  peer_connection to = on.accept();
  to.handshake();
  const client_frame frame = to.read_frame();
  EXPECT_EQ(frame.payload, "still here");
  EXPECT_TRUE(frame.fin);
  to.expect_eof();
}

struct upgraded {
  upgraded() : peer(&expect_one_message), c(peer.port()) {
    EXPECT_TRUE(c.upgrade() && c.send() && c.receive());
    socket = WinHttpWebSocketCompleteUpgrade(c.request, 0);
    EXPECT_NE(socket.get(), nullptr);
  }
  void expect_alive() const {
    std::string bytes = "still here";
    EXPECT_EQ(WinHttpWebSocketSend(socket, WINHTTP_WEB_SOCKET_UTF8_MESSAGE_BUFFER_TYPE,
                                   bytes.data(), static_cast<DWORD>(bytes.size())),
              0u);
  }

  scripted_peer peer;
  client c;
  unique_handle socket;
};

TEST_F(hostile_caller, HND_01_STA_03_each_function_with_each_handle_that_is_not_its_own) {
  const upgraded live;
  unique_handle gone(WinHttpOpen(nullptr, WINHTTP_ACCESS_TYPE_NO_PROXY, nullptr, nullptr, 0));
  const HINTERNET stale = gone.get();
  gone.reset();
  DWORD on_stack = 0;
  HINTERNET invalid = nullptr;
  std::memset(&invalid, 0xFF, sizeof(invalid));
  const struct {
    HINTERNET handle;
    DWORD kind; // 0: there is none
  } given[] = {
      {nullptr, 0},
      {stale, 0},
      {&on_stack, 0},
      {invalid, 0},
      {live.c.session, WINHTTP_HANDLE_TYPE_SESSION},
      {live.c.connection, WINHTTP_HANDLE_TYPE_CONNECT},
      {live.c.request, WINHTTP_HANDLE_TYPE_REQUEST},
      {live.socket, WINHTTP_HANDLE_TYPE_WEBSOCKET},
  };
  for (const function& each : functions) {
    for (const auto& with : given) {
      SCOPED_TRACE(std::string(each.name) + " on kind " + std::to_string(with.kind));
      if (with.kind != each.kind) {
        outputs to;
        EXPECT_EQ(each.run(with.handle, to), with.kind == 0 ? bad_handle : bad_kind);
        EXPECT_EQ(to, outputs());
      }
    }
  }
  live.expect_alive();
}

TEST_F(hostile_caller, STA_03_STA_04_null_pointers_lengths_and_types_on_a_socket) {
  const upgraded live;
  const HINTERNET socket = live.socket;
  char byte = 'x';
  std::string reason(124, 'r');
  outputs to;
  const auto data = WINHTTP_WEB_SOCKET_UTF8_MESSAGE_BUFFER_TYPE;
  for (const DWORD length : {1u, 0x7FFFFFFFu, 0xFFFFFFFFu}) {
    EXPECT_EQ(WinHttpWebSocketSend(socket, data, nullptr, length), bad_value);
    EXPECT_EQ(WinHttpWebSocketReceive(socket, nullptr, length, &to.number, &to.type), bad_value);
    EXPECT_EQ(WinHttpWebSocketShutdown(socket, 1000, nullptr, length), bad_value);
    EXPECT_EQ(WinHttpWebSocketClose(socket, 1000, nullptr, length), bad_value);
    EXPECT_EQ(WinHttpWebSocketQueryCloseStatus(socket, &to.status, nullptr, length, &to.number),
              bad_value);
  }
  for (const int type : {4, 5, -1, 0x7FFFFFFF}) {
    EXPECT_EQ(
        WinHttpWebSocketSend(socket, static_cast<WINHTTP_WEB_SOCKET_BUFFER_TYPE>(type), &byte, 1),
        bad_value)
        << type;
  }
  EXPECT_EQ(WinHttpWebSocketReceive(socket, &byte, 0, &to.number, &to.type), bad_value);
  EXPECT_EQ(WinHttpWebSocketReceive(socket, &byte, 1, nullptr, &to.type), bad_value) << "X-16";
  EXPECT_EQ(WinHttpWebSocketReceive(socket, &byte, 1, &to.number, nullptr), bad_value) << "X-16";
  for (const DWORD length : {124u, 0xFFFFu, 0xFFFFFFFFu}) {
    EXPECT_EQ(WinHttpWebSocketShutdown(socket, 1000, reason.data(), length), bad_value);
    EXPECT_EQ(WinHttpWebSocketClose(socket, 1000, reason.data(), length), bad_value);
  }
  constexpr USHORT forbidden[] = {0, 1, 999, 1004, 1006, 1015, 5000, 65535};
  for (const USHORT status : forbidden) {
    EXPECT_EQ(WinHttpWebSocketShutdown(socket, status, nullptr, 0), bad_value) << status;
    EXPECT_EQ(WinHttpWebSocketClose(socket, status, nullptr, 0), bad_value) << status;
  }
  EXPECT_EQ(WinHttpWebSocketClose(socket, 1005, reason.data(), 1), bad_value);
  EXPECT_EQ(WinHttpWebSocketQueryCloseStatus(socket, nullptr, nullptr, 0, &to.number), bad_value);
  EXPECT_EQ(WinHttpWebSocketQueryCloseStatus(socket, &to.status, nullptr, 0, nullptr), bad_value);
  EXPECT_EQ(WinHttpWebSocketQueryCloseStatus(socket, &to.status, nullptr, 0, &to.number),
            bad_state);
  EXPECT_EQ(to, outputs());
  EXPECT_EQ(byte, 'x');
  live.expect_alive();
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
  const auto refused = [](BOOL done) { return code_of(done); };
  EXPECT_EQ(refused(WinHttpConnect(c.session, nullptr, 0, 0) != nullptr ? TRUE : FALSE), bad_value);
  EXPECT_EQ(refused(WinHttpConnect(c.session, L"host", 0, 1) != nullptr ? TRUE : FALSE), bad_value);
  EXPECT_EQ(refused(WinHttpOpenRequest(c.connection, L"A B", nullptr, nullptr, nullptr, nullptr,
                                       0) != nullptr
                        ? TRUE
                        : FALSE),
            bad_value);
  EXPECT_EQ(refused(WinHttpAddRequestHeaders(c.request, nullptr, 1, 0)), bad_value);
  EXPECT_EQ(refused(WinHttpAddRequestHeaders(c.request, L"A: b", 0, 0)), bad_value);
  EXPECT_EQ(refused(WinHttpSendRequest(c.request, nullptr, 0, nullptr, 1, 1, 0)), bad_value);
  EXPECT_EQ(refused(WinHttpSendRequest(c.request, nullptr, 0, bytes, 8, 7, 0)), bad_value);
  EXPECT_EQ(refused(WinHttpReceiveResponse(c.request, bytes)), bad_value);
  EXPECT_EQ(refused(WinHttpReadData(c.request, nullptr, 1, &number)), bad_value);
  EXPECT_EQ(refused(WinHttpReadData(c.request, bytes, 1, nullptr)), bad_value);
  EXPECT_EQ(refused(WinHttpWriteData(c.request, nullptr, 1, &number)), bad_value);
  EXPECT_EQ(refused(WinHttpWriteData(c.request, bytes, 1, nullptr)), bad_value);
  EXPECT_EQ(refused(WinHttpQueryHeaders(c.request, WINHTTP_QUERY_SERVER, nullptr, bytes, nullptr,
                                        nullptr)),
            bad_value);
  EXPECT_EQ(refused(WinHttpQueryOption(c.request, WINHTTP_OPTION_URL, bytes, nullptr)), bad_value);
  EXPECT_EQ(refused(WinHttpSetTimeouts(c.request, -2, 0, 0, 0)), bad_value);
  EXPECT_EQ(refused(WinHttpCrackUrl(nullptr, 0, 0, nullptr)), bad_value);
  EXPECT_EQ(refused(WinHttpCrackUrl(L"http://a/", 0, 0, nullptr)), bad_value);
  EXPECT_EQ(refused(WinHttpCreateUrl(nullptr, 0, nullptr, &number)), bad_value);
  EXPECT_EQ(WinHttpSetStatusCallback(c.request, nullptr, 0, 1), WINHTTP_INVALID_STATUS_CALLBACK);
  EXPECT_EQ(GetLastError(), bad_value);
  EXPECT_EQ(number, 7u);
  // Nothing was sent, so there is nothing to receive.
  EXPECT_EQ(refused(WinHttpReceiveResponse(c.request, nullptr)),
            DWORD{ERROR_WINHTTP_INCORRECT_HANDLE_STATE});
}

} // namespace
} // namespace sluice::test
