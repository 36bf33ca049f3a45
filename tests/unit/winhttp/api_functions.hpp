#pragma once

#include <sluice/winhttp.h>

#include <gtest/gtest.h>

#include <cstring>
#include <span>
#include <string>
#include <vector>

namespace sluice::test {

/// What calls write to. Filled before each, so that a refused one shows what it touched.
struct outputs {
  std::string bytes = std::string(256, '\xA5');
  DWORD number = 0xA5A5A5A5u;
  DWORD second = 0xA5A5A5A5u;
  DWORD third = 0xA5A5A5A5u;
  USHORT status = 0xA5A5u;
  WINHTTP_WEB_SOCKET_BUFFER_TYPE type = WINHTTP_WEB_SOCKET_CLOSE_BUFFER_TYPE;
  friend bool operator==(const outputs&, const outputs&) = default;
};

/// The code of a refusal; 0 if there was none.
inline DWORD code_of(BOOL done) {
  return done != FALSE ? 0 : GetLastError();
}
inline DWORD code_of(HINTERNET made) {
  return made != nullptr ? 0 : GetLastError();
}

/// Every function that takes a handle of one kind only.
struct api_function {
  const char* name;
  DWORD kind;                             // WINHTTP_HANDLE_TYPE_ that takes it
  DWORD (*run)(HINTERNET h, outputs& to); // with parameters that a handle of that kind accepts
  bool counts = false;                    // to.number is 0 whatever else is wrong (GET-29)
};

inline const api_function api_functions[] = {
    {"Connect", WINHTTP_HANDLE_TYPE_SESSION,
     [](HINTERNET h, outputs&) { return code_of(WinHttpConnect(h, L"host", 0, 0)); }},
    {"OpenRequest", WINHTTP_HANDLE_TYPE_CONNECT,
     [](HINTERNET h, outputs&) {
       return code_of(WinHttpOpenRequest(h, nullptr, nullptr, nullptr, nullptr, nullptr, 0));
     }},
    {"AddRequestHeaders", WINHTTP_HANDLE_TYPE_REQUEST,
     [](HINTERNET h, outputs&) { return code_of(WinHttpAddRequestHeaders(h, L"A: b", 4, 0)); }},
    {"SendRequest", WINHTTP_HANDLE_TYPE_REQUEST,
     [](HINTERNET h, outputs&) {
       return code_of(WinHttpSendRequest(h, nullptr, 0, nullptr, 0, 0, 0));
     }},
    {"WriteData", WINHTTP_HANDLE_TYPE_REQUEST,
     [](HINTERNET h, outputs& to) {
       return code_of(WinHttpWriteData(h, to.bytes.data(), 1, &to.number));
     },
     true},
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
     },
     true},
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
     [](HINTERNET h, outputs&) { return code_of(WinHttpWebSocketCompleteUpgrade(h, 0)); }},
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

/// What `to` holds after a refusal of `call`: what it held before (STA-03).
inline outputs untouched_by(const api_function& call) {
  outputs to;
  to.number = call.counts ? 0 : to.number;
  return to;
}

constexpr DWORD bad_value = ERROR_INVALID_PARAMETER;
constexpr DWORD bad_handle = ERROR_INVALID_HANDLE;
constexpr DWORD bad_kind = ERROR_WINHTTP_INCORRECT_HANDLE_TYPE;
constexpr DWORD bad_state = ERROR_INVALID_OPERATION;

/// A handle of each kind with its WINHTTP_HANDLE_TYPE_, and values that are none: kind 0.
struct given_handle {
  HINTERNET handle;
  DWORD kind;
};

/// Calls every function with every handle that is not its own.
inline void expect_refusals(std::span<const given_handle> known) {
  HINTERNET stale = WinHttpOpen(nullptr, WINHTTP_ACCESS_TYPE_NO_PROXY, nullptr, nullptr, 0);
  WinHttpCloseHandle(stale);
  DWORD on_stack = 0;
  HINTERNET invalid = nullptr;
  std::memset(&invalid, 0xFF, sizeof(invalid));
  std::vector<given_handle> all = {{nullptr, 0}, {stale, 0}, {&on_stack, 0}, {invalid, 0}};
  all.insert(all.end(), known.begin(), known.end());
  for (const api_function& each : api_functions) {
    for (const given_handle& with : all) {
      SCOPED_TRACE(std::string(each.name) + " on kind " + std::to_string(with.kind));
      if (with.kind != each.kind) {
        outputs to;
        EXPECT_EQ(each.run(with.handle, to), with.kind == 0 ? bad_handle : bad_kind);
        EXPECT_EQ(to, untouched_by(each));
      }
    }
  }
}

/// Pointers, lengths, types and statuses that no open socket takes, whatever is pending on it.
inline void expect_bad_values_refused(HINTERNET socket) {
  char byte = 'x';
  std::string reason(124, 'r');
  outputs to;
  const auto text = WINHTTP_WEB_SOCKET_UTF8_MESSAGE_BUFFER_TYPE;
  for (const DWORD length : {1u, 0x7FFFFFFFu, 0xFFFFFFFFu}) {
    EXPECT_EQ(WinHttpWebSocketSend(socket, text, nullptr, length), bad_value);
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
}

} // namespace sluice::test
