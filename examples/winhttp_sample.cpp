// A WebSocket client as it is written for Windows: nothing in this file knows about Linux. It sends
// a message in fragments, receives the echo piece by piece, and closes.
//
//   build/release/examples/winhttp_sample                      (echo server on localhost port 8080)
//   build/release/examples/winhttp_sample localhost 9001 /echo
//
// Build it in your own project with: target_link_libraries(winhttp_sample PRIVATE sluice::winhttp)

#include <WinHttp.h>
#include <Windows.h>

#include <stdio.h>
#include <stdlib.h>

#pragma comment(lib, "winhttp.lib")

// Owns whatever must be closed, so that every return below cleans up.
struct client_handles {
  HINTERNET session = NULL;
  HINTERNET connection = NULL;
  HINTERNET request = NULL;
  HINTERNET socket = NULL;

  ~client_handles() {
    const HINTERNET all[] = {socket, request, connection, session};
    for (DWORD i = 0; i < ARRAYSIZE(all); ++i) {
      if (all[i] != NULL) {
        WinHttpCloseHandle(all[i]);
      }
    }
  }
};

static DWORD failed(const wchar_t* what, DWORD error) {
  fwprintf(stderr, L"%ls failed with error %u\n", what, error);
  return error;
}

static DWORD open_socket(client_handles& client, PCWSTR server, INTERNET_PORT port, PCWSTR path) {
  client.session = WinHttpOpen(L"WebSocket sample/1.0", WINHTTP_ACCESS_TYPE_DEFAULT_PROXY,
                               WINHTTP_NO_PROXY_NAME, WINHTTP_NO_PROXY_BYPASS, 0);
  if (client.session == NULL) {
    return failed(L"WinHttpOpen", GetLastError());
  }
  client.connection = WinHttpConnect(client.session, server, port, 0);
  if (client.connection == NULL) {
    return failed(L"WinHttpConnect", GetLastError());
  }
  client.request = WinHttpOpenRequest(client.connection, L"GET", path, NULL, WINHTTP_NO_REFERER,
                                      WINHTTP_DEFAULT_ACCEPT_TYPES, 0);
  if (client.request == NULL) {
    return failed(L"WinHttpOpenRequest", GetLastError());
  }
  if (!WinHttpSetOption(client.request, WINHTTP_OPTION_UPGRADE_TO_WEB_SOCKET, NULL, 0)) {
    return failed(L"WinHttpSetOption", GetLastError());
  }
  if (!WinHttpSendRequest(client.request, WINHTTP_NO_ADDITIONAL_HEADERS, 0, WINHTTP_NO_REQUEST_DATA,
                          0, 0, 0)) {
    return failed(L"WinHttpSendRequest", GetLastError());
  }
  if (!WinHttpReceiveResponse(client.request, NULL)) {
    return failed(L"WinHttpReceiveResponse", GetLastError());
  }
  client.socket = WinHttpWebSocketCompleteUpgrade(client.request, NULL);
  if (client.socket == NULL) {
    return failed(L"WinHttpWebSocketCompleteUpgrade", GetLastError());
  }
  WinHttpCloseHandle(client.request); // the socket lives on without it
  client.request = NULL;
  return NO_ERROR;
}

// One message in two fragments; the peer sees one message.
static DWORD send_greeting(HINTERNET socket) {
  static char first[] = "Hello ";
  static char second[] = "world";
  DWORD error = WinHttpWebSocketSend(socket, WINHTTP_WEB_SOCKET_UTF8_FRAGMENT_BUFFER_TYPE, first,
                                     sizeof(first) - 1);
  if (error == ERROR_SUCCESS) {
    error = WinHttpWebSocketSend(socket, WINHTTP_WEB_SOCKET_UTF8_MESSAGE_BUFFER_TYPE, second,
                                 sizeof(second) - 1);
  }
  return error == ERROR_SUCCESS ? NO_ERROR : failed(L"WinHttpWebSocketSend", error);
}

// A message may come in any number of pieces; the last one has a MESSAGE type.
static DWORD receive_message(HINTERNET socket, BYTE* buffer, DWORD room, DWORD& length) {
  WINHTTP_WEB_SOCKET_BUFFER_TYPE type;
  length = 0;
  do {
    if (length == room) {
      return failed(L"The message is too long: receiving", ERROR_NOT_ENOUGH_MEMORY);
    }
    DWORD piece = 0;
    const DWORD error =
        WinHttpWebSocketReceive(socket, buffer + length, room - length, &piece, &type);
    if (error != ERROR_SUCCESS) {
      return failed(L"WinHttpWebSocketReceive", error);
    }
    if (type == WINHTTP_WEB_SOCKET_CLOSE_BUFFER_TYPE) {
      return failed(L"The server closed the connection: receiving", ERROR_INVALID_OPERATION);
    }
    length += piece;
  } while (type == WINHTTP_WEB_SOCKET_BINARY_FRAGMENT_BUFFER_TYPE ||
           type == WINHTTP_WEB_SOCKET_UTF8_FRAGMENT_BUFFER_TYPE);
  return NO_ERROR;
}

static DWORD close_socket(HINTERNET socket) {
  DWORD error = WinHttpWebSocketClose(socket, WINHTTP_WEB_SOCKET_SUCCESS_CLOSE_STATUS, NULL, 0);
  if (error != ERROR_SUCCESS) {
    return failed(L"WinHttpWebSocketClose", error);
  }
  USHORT status = 0;
  BYTE reason[WINHTTP_WEB_SOCKET_MAX_CLOSE_REASON_LENGTH];
  DWORD reason_length = 0;
  error =
      WinHttpWebSocketQueryCloseStatus(socket, &status, reason, ARRAYSIZE(reason), &reason_length);
  if (error != ERROR_SUCCESS) {
    return failed(L"WinHttpWebSocketQueryCloseStatus", error);
  }
  wprintf(L"The server closed with status %u and a reason of %u bytes\n", status, reason_length);
  return NO_ERROR;
}

// 0 unless `text` is a number from 1 to 65535 and nothing else.
INTERNET_PORT read_port(PCWSTR text) {
  wchar_t* end = NULL;
  const unsigned long number = wcstoul(text, &end, 10);
  return *end == L'\0' && number <= 65535 ? static_cast<INTERNET_PORT>(number) : INTERNET_PORT(0);
}

int __cdecl wmain(int argc, wchar_t** argv) {
  const PCWSTR server = argc > 1 ? argv[1] : L"localhost";
  const INTERNET_PORT port = argc > 2 ? read_port(argv[2]) : INTERNET_PORT(8080);
  const PCWSTR path = argc > 3 ? argv[3] : L"/echo";

  if (port == 0) {
    fwprintf(stderr, L"'%ls' is no port; give a number from 1 to 65535\n", argv[2]);
    return 2;
  }

  client_handles client;
  DWORD error = open_socket(client, server, port, path);
  if (error == NO_ERROR) {
    error = send_greeting(client.socket);
  }
  BYTE message[1024];
  DWORD length = 0;
  if (error == NO_ERROR) {
    error = receive_message(client.socket, message, sizeof(message), length);
  }
  if (error == NO_ERROR) {
    wprintf(L"The server answered with %u bytes: %.*hs\n", length, static_cast<int>(length),
            reinterpret_cast<const char*>(message));
    error = close_socket(client.socket);
  }
  return error == NO_ERROR ? 0 : 1;
}
