// A whole-message client as the wrappers of cloud SDKs have it on Windows: it takes the URL apart,
// and receives by a loop that appends pieces until one has a MESSAGE type. It sends what stands on
// the command line, prints as many messages as it has sent, and closes; with nothing to send it
// prints until the server closes.
//
//   build/release/examples/winhttp_messages ws://localhost:8080/echo one "two words"
//   build/release/examples/winhttp_messages wss://feed.example/feed
//
// Nothing in this file knows about Linux.

#include <Windows.h>
#include <winhttp.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#pragma comment(lib, "winhttp.lib")

namespace {

constexpr DWORD least_room_bytes = 4096;
constexpr std::size_t max_message_bytes = std::size_t{64} << 20;

struct failure {
  const char* what;
  DWORD error;
};

void check(bool ok, const char* what) {
  if (!ok) {
    throw failure{what, GetLastError()};
  }
}
void check_code(DWORD error, const char* what) {
  if (error != NO_ERROR) {
    throw failure{what, error};
  }
}

class scoped_handle {
public:
  explicit scoped_handle(HINTERNET opened, const char* what) : value_(opened) {
    check(opened != NULL, what);
  }
  ~scoped_handle() { WinHttpCloseHandle(value_); }
  scoped_handle(const scoped_handle&) = delete;
  scoped_handle& operator=(const scoped_handle&) = delete;
  operator HINTERNET() const { return value_; } // as the functions want it

private:
  HINTERNET value_;
};

bool is_websocket_url(const std::wstring& url) {
  return url.compare(0, 5, L"ws://") == 0 || url.compare(0, 6, L"wss://") == 0;
}

struct target {
  std::wstring host;
  std::wstring path;
  INTERNET_PORT port = 0;
  bool secure = false;

  explicit target(const std::wstring& url) {
    // WinHttpCrackUrl knows http and https only, so programs rewrite the scheme first.
    const std::wstring known = L"http" + url.substr(2);
    URL_COMPONENTS parts = {};
    parts.dwStructSize = sizeof(parts);
    parts.dwHostNameLength = static_cast<DWORD>(-1);
    parts.dwUrlPathLength = static_cast<DWORD>(-1);
    parts.dwExtraInfoLength = static_cast<DWORD>(-1);
    check(WinHttpCrackUrl(known.c_str(), static_cast<DWORD>(known.size()), 0, &parts), "the URL");
    host.assign(parts.lpszHostName, parts.dwHostNameLength);
    path.assign(parts.lpszUrlPath, parts.dwUrlPathLength);
    path.append(parts.lpszExtraInfo, parts.dwExtraInfoLength);
    port = parts.nPort;
    secure = parts.nScheme == INTERNET_SCHEME_HTTPS;
  }
};

HINTERNET upgrade(HINTERNET request) {
  check(WinHttpSetOption(request, WINHTTP_OPTION_UPGRADE_TO_WEB_SOCKET, NULL, 0), "upgrading");
  check(WinHttpSendRequest(request, WINHTTP_NO_ADDITIONAL_HEADERS, 0, WINHTTP_NO_REQUEST_DATA, 0, 0,
                           0),
        "sending the request");
  check(WinHttpReceiveResponse(request, NULL), "receiving the response");
  DWORD status = 0;
  DWORD size = sizeof(status);
  check(WinHttpQueryHeaders(request, WINHTTP_QUERY_STATUS_CODE | WINHTTP_QUERY_FLAG_NUMBER,
                            WINHTTP_HEADER_NAME_BY_INDEX, &status, &size, WINHTTP_NO_HEADER_INDEX),
        "reading the status");
  if (status != HTTP_STATUS_SWITCH_PROTOCOLS) {
    std::fprintf(stderr, "the server answered with status %u\n", status);
  }
  return WinHttpWebSocketCompleteUpgrade(request, 0);
}

bool is_fragment(WINHTTP_WEB_SOCKET_BUFFER_TYPE type) {
  return type == WINHTTP_WEB_SOCKET_UTF8_FRAGMENT_BUFFER_TYPE ||
         type == WINHTTP_WEB_SOCKET_BINARY_FRAGMENT_BUFFER_TYPE;
}

// Fills `message` with a whole message; its type, or CLOSE.
WINHTTP_WEB_SOCKET_BUFFER_TYPE receive_message(HINTERNET socket, std::string& message) {
  std::size_t filled = 0;
  WINHTTP_WEB_SOCKET_BUFFER_TYPE type;
  do {
    if (filled >= max_message_bytes) {
      WinHttpWebSocketClose(socket, WINHTTP_WEB_SOCKET_MESSAGE_TOO_BIG_CLOSE_STATUS, NULL, 0);
      throw failure{"receiving a message that is too big", ERROR_NOT_ENOUGH_MEMORY};
    }
    if (message.size() - filled < least_room_bytes) {
      message.resize(2 * filled + least_room_bytes);
    }
    DWORD piece = 0;
    check_code(WinHttpWebSocketReceive(socket, message.data() + filled,
                                       static_cast<DWORD>(message.size() - filled), &piece, &type),
               "receiving");
    filled += piece;
  } while (is_fragment(type));
  message.resize(filled);
  return type;
}

void print(const std::string& message, WINHTTP_WEB_SOCKET_BUFFER_TYPE type) {
  if (type == WINHTTP_WEB_SOCKET_UTF8_MESSAGE_BUFFER_TYPE) {
    std::printf("text %zu: %.80s\n", message.size(), message.c_str());
  } else {
    std::printf("binary %zu\n", message.size());
  }
}

// Ends the conversation, whoever began to end it, and says how.
void close(HINTERNET socket) {
  check_code(WinHttpWebSocketClose(socket, WINHTTP_WEB_SOCKET_SUCCESS_CLOSE_STATUS, NULL, 0),
             "closing");
  USHORT status = 0;
  char reason[WINHTTP_WEB_SOCKET_MAX_CLOSE_REASON_LENGTH];
  DWORD length = 0;
  check_code(WinHttpWebSocketQueryCloseStatus(socket, &status, reason, sizeof(reason), &length),
             "reading the close status");
  std::printf("closed %u %.*s\n", status, static_cast<int>(length), reason);
}

std::string to_utf8(const wchar_t* text) {
  std::string made(std::wcstombs(NULL, text, 0) + 1, '\0');
  made.resize(std::wcstombs(made.data(), text, made.size()));
  return made;
}

void talk(int count, wchar_t** arguments) {
  const target to(arguments[1]);
  const scoped_handle session(WinHttpOpen(L"messages/1.0", WINHTTP_ACCESS_TYPE_DEFAULT_PROXY,
                                          WINHTTP_NO_PROXY_NAME, WINHTTP_NO_PROXY_BYPASS, 0),
                              "opening a session");
  const scoped_handle connection(WinHttpConnect(session, to.host.c_str(), to.port, 0),
                                 "naming the server");
  const scoped_handle request(WinHttpOpenRequest(connection, L"GET", to.path.c_str(), NULL,
                                                 WINHTTP_NO_REFERER, WINHTTP_DEFAULT_ACCEPT_TYPES,
                                                 to.secure ? WINHTTP_FLAG_SECURE : 0),
                              "preparing the request");
  const scoped_handle socket(upgrade(request), "becoming a WebSocket");

  for (int i = 2; i < count; ++i) {
    std::string text = to_utf8(arguments[i]);
    check_code(WinHttpWebSocketSend(socket, WINHTTP_WEB_SOCKET_UTF8_MESSAGE_BUFFER_TYPE,
                                    text.data(), static_cast<DWORD>(text.size())),
               "sending");
  }
  std::string message;
  for (int i = 2; i < count || count == 2; ++i) {
    const WINHTTP_WEB_SOCKET_BUFFER_TYPE type = receive_message(socket, message);
    if (type == WINHTTP_WEB_SOCKET_CLOSE_BUFFER_TYPE) {
      break;
    }
    print(message, type);
  }
  close(socket);
}

} // namespace

int wmain(int argc, wchar_t** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: winhttp_messages URL [MESSAGE...]\n");
    return 2;
  }
  if (!is_websocket_url(argv[1])) {
    std::fprintf(stderr, "'%ls' is not a ws:// or wss:// URL\n", argv[1]);
    return 2;
  }
  try {
    talk(argc, argv);
    return 0;
  } catch (const failure& failed) {
    std::fprintf(stderr, "%s failed with error %u\n", failed.what, failed.error);
    return 1;
  }
}
