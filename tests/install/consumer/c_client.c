/* C11 through the compatibility headers, with a main() of its own. Every call down to the socket is
   linked: the connection attempt to a port where nobody listens must fail with the right code. */
#include <WinHttp.h>
#include <Windows.h>

#include <stdio.h>

int main(void) {
  HINTERNET session = WinHttpOpen(L"consumer", WINHTTP_ACCESS_TYPE_NO_PROXY, WINHTTP_NO_PROXY_NAME,
                                  WINHTTP_NO_PROXY_BYPASS, 0);
  HINTERNET connection = WinHttpConnect(session, L"127.0.0.1", 1, 0);
  HINTERNET request = WinHttpOpenRequest(connection, L"GET", L"/", NULL, WINHTTP_NO_REFERER,
                                         WINHTTP_DEFAULT_ACCEPT_TYPES, 0);
  if (request == NULL) {
    printf("no request: %u\n", GetLastError());
    return 1;
  }
  if (!WinHttpSetOption(request, WINHTTP_OPTION_UPGRADE_TO_WEB_SOCKET, NULL, 0)) {
    printf("no upgrade option: %u\n", GetLastError());
    return 1;
  }
  if (WinHttpSendRequest(request, WINHTTP_NO_ADDITIONAL_HEADERS, 0, WINHTTP_NO_REQUEST_DATA, 0, 0,
                         0)) {
    printf("somebody listens on port 1\n");
    return 1;
  }
  DWORD code = GetLastError();
  WinHttpCloseHandle(request);
  WinHttpCloseHandle(connection);
  WinHttpCloseHandle(session);
  printf("error %u\n", code);
  return code == ERROR_WINHTTP_CANNOT_CONNECT ? 0 : 1;
}
