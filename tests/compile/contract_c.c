/* The contract as C11, and a C program that calls the library through it. */
#include "contract.h"

#include <stdio.h>

static int failures = 0;

static void expect(BOOL condition, const char* what) {
  if (!condition) {
    ++failures;
    fprintf(stderr, "failed: %s (last error %u)\n", what, GetLastError());
  }
}

int main(VOID) {
  URL_COMPONENTS parts = {0};
  HINTERNET session = NULL;
  HINTERNET connection = NULL;
  HINTERNET request = NULL;
  parts.dwStructSize = sizeof(parts);
  parts.dwHostNameLength = (DWORD)-1;
  parts.dwUrlPathLength = (DWORD)-1;

  expect(api.check_platform(), "WinHttpCheckPlatform");
  expect(api.crack_url(L"http://example.org:81/chat?room=1", 0, 0, &parts), "WinHttpCrackUrl");
  expect(parts.nPort == 81 && parts.dwHostNameLength == 11, "components");

  session = api.open(L"c11", WINHTTP_ACCESS_TYPE_DEFAULT_PROXY, WINHTTP_NO_PROXY_NAME,
                     WINHTTP_NO_PROXY_BYPASS, 0);
  expect(session != NULL, "WinHttpOpen");
  connection = api.connect(session, L"example.org", parts.nPort, 0);
  expect(connection != NULL, "WinHttpConnect");
  request = api.open_request(connection, L"GET", L"/chat", NULL, WINHTTP_NO_REFERER,
                             WINHTTP_DEFAULT_ACCEPT_TYPES, 0);
  expect(request != NULL, "WinHttpOpenRequest");
  expect(api.set_option(request, WINHTTP_OPTION_UPGRADE_TO_WEB_SOCKET, NULL, 0),
         "WinHttpSetOption");
  expect(api.get_last_error() == NO_ERROR, "GetLastError");
  expect(api.complete_upgrade(request, 0) == NULL, "WinHttpWebSocketCompleteUpgrade");
  expect(api.get_last_error() == ERROR_INVALID_OPERATION, "GetLastError");
  expect(api.close_handle(request) && api.close_handle(connection) && api.close_handle(session),
         "WinHttpCloseHandle");
  expect(!api.close_handle(session) && api.get_last_error() == ERROR_INVALID_HANDLE,
         "WinHttpCloseHandle of a closed handle");
  expect(api.global_free(NULL) == NULL, "GlobalFree");
  return failures;
}
