/* What a program may rely on when it compiles against <windows.h> and <winhttp.h>: sizes, layouts,
   values and prototypes of 64-bit Windows (TYP-01 to TYP-11). Compiled as C11 and as C++20. */
#include <WinHttp.h>
#include <Windows.h>

#include <stddef.h>

#ifdef __cplusplus
#define CHECK(condition) static_assert(condition, #condition)
#define SAME_TYPE(a, b) (__is_same(a, b))
#else
#define CHECK(condition) _Static_assert(condition, #condition)
#define SAME_TYPE(a, b) __builtin_types_compatible_p(a, b)
#endif
#define IS_SIGNED(type) (SLUICE_CAST(type, -1) < SLUICE_CAST(type, 1))

/* Types. */
CHECK(sizeof(DWORD) == 4 && !IS_SIGNED(DWORD));
CHECK(SAME_TYPE(DWORD, unsigned int));            /* TYP-01 */
CHECK(sizeof(BOOL) == 4 && IS_SIGNED(BOOL));      /* TYP-02 */
CHECK(sizeof(USHORT) == 2 && !IS_SIGNED(USHORT)); /* TYP-03 */
CHECK(sizeof(WORD) == 2 && !IS_SIGNED(WORD));
CHECK(sizeof(INTERNET_PORT) == 2 && !IS_SIGNED(INTERNET_PORT));
CHECK(SAME_TYPE(HINTERNET, void*)); /* TYP-04 */
CHECK(SAME_TYPE(HANDLE, void*));
CHECK(sizeof(DWORD_PTR) == sizeof(void*) && !IS_SIGNED(DWORD_PTR)); /* TYP-05 */
CHECK(sizeof(ULONG_PTR) == sizeof(void*) && !IS_SIGNED(ULONG_PTR));
CHECK(sizeof(LONG_PTR) == sizeof(void*) && IS_SIGNED(LONG_PTR));
CHECK(SAME_TYPE(PVOID, void*)); /* TYP-06 */
CHECK(SAME_TYPE(LPVOID, void*));
CHECK(SAME_TYPE(LPCVOID, const void*));
CHECK(sizeof(BYTE) == 1 && !IS_SIGNED(BYTE)); /* TYP-07 */
CHECK(SAME_TYPE(CHAR, char));
CHECK(sizeof(ULONGLONG) == 8 && !IS_SIGNED(ULONGLONG));
CHECK(sizeof(LONG) == 4 && IS_SIGNED(LONG));
CHECK(sizeof(ULONG) == 4 && !IS_SIGNED(ULONG));
CHECK(sizeof(HRESULT) == 4 && IS_SIGNED(HRESULT));
CHECK(SAME_TYPE(INTERNET_SCHEME, int)); /* TYP-08 */
CHECK(SAME_TYPE(LPINTERNET_SCHEME, int*));
CHECK(SAME_TYPE(WCHAR, wchar_t)); /* */
CHECK(sizeof(WCHAR) == 4);
CHECK(SAME_TYPE(LPWSTR, wchar_t*)); /* TYP-09 */
CHECK(SAME_TYPE(LPCWSTR, const wchar_t*));
CHECK(SAME_TYPE(PCWSTR, const wchar_t*));
CHECK(sizeof(WINHTTP_WEB_SOCKET_BUFFER_TYPE) == 4); /* TYP-10 */
CHECK(sizeof(WINHTTP_WEB_SOCKET_OPERATION) == 4);
CHECK(sizeof(WINHTTP_WEB_SOCKET_CLOSE_STATUS) == 4);

/* Structures. */
CHECK(sizeof(WINHTTP_ASYNC_RESULT) == 16);
CHECK(offsetof(WINHTTP_ASYNC_RESULT, dwResult) == 0);
CHECK(offsetof(WINHTTP_ASYNC_RESULT, dwError) == 8);
CHECK(sizeof(WINHTTP_WEB_SOCKET_ASYNC_RESULT) == 24);
CHECK(offsetof(WINHTTP_WEB_SOCKET_ASYNC_RESULT, AsyncResult) == 0);
CHECK(offsetof(WINHTTP_WEB_SOCKET_ASYNC_RESULT, Operation) == 16);
CHECK(sizeof(WINHTTP_WEB_SOCKET_STATUS) == 8);
CHECK(offsetof(WINHTTP_WEB_SOCKET_STATUS, dwBytesTransferred) == 0);
CHECK(offsetof(WINHTTP_WEB_SOCKET_STATUS, eBufferType) == 4);
CHECK(sizeof(URL_COMPONENTS) == 104);
CHECK(offsetof(URL_COMPONENTS, dwStructSize) == 0);
CHECK(offsetof(URL_COMPONENTS, lpszScheme) == 8);
CHECK(offsetof(URL_COMPONENTS, dwSchemeLength) == 16);
CHECK(offsetof(URL_COMPONENTS, nScheme) == 20);
CHECK(offsetof(URL_COMPONENTS, lpszHostName) == 24);
CHECK(offsetof(URL_COMPONENTS, nPort) == 36);
CHECK(offsetof(URL_COMPONENTS, lpszUserName) == 40);
CHECK(offsetof(URL_COMPONENTS, lpszPassword) == 56);
CHECK(offsetof(URL_COMPONENTS, lpszUrlPath) == 72);
CHECK(offsetof(URL_COMPONENTS, lpszExtraInfo) == 88);
CHECK(sizeof(WINHTTP_PROXY_INFO) == 24);
CHECK(offsetof(WINHTTP_PROXY_INFO, lpszProxy) == 8);
CHECK(sizeof(HTTP_VERSION_INFO) == 8);
CHECK(sizeof(WINHTTP_CERTIFICATE_INFO) == 64);
CHECK(offsetof(WINHTTP_CERTIFICATE_INFO, dwKeySize) == 56);
CHECK(sizeof(WINHTTP_CONNECTION_INFO) == 264);
CHECK(offsetof(WINHTTP_CONNECTION_INFO, LocalAddress) == 8);
CHECK(offsetof(WINHTTP_CONNECTION_INFO, RemoteAddress) == 136);
CHECK(sizeof(FILETIME) == 8);
CHECK(sizeof(SYSTEMTIME) == 16);

/* Values. Compared as 64-bit numbers, so that a sign or a width that is wrong shows. */
#define VALUE(name, value) CHECK((name) == (value));
#include "values.inc"
#undef VALUE
CHECK(SAME_TYPE(WINHTTP_STATUS_CALLBACK, void (*)(void*, uintptr_t, unsigned, void*, unsigned)));
CHECK(HRESULT_FROM_WIN32(ERROR_WINHTTP_CONNECTION_ERROR) == SLUICE_CAST(HRESULT, 0x80072EFEu));
CHECK(HRESULT_FROM_WIN32(NO_ERROR) == S_OK);
CHECK(SUCCEEDED(S_OK) && FAILED(E_FAIL));
CHECK(ARRAYSIZE(L"1234567") == 8);
CHECK(MAKEWORD(0x34, 0x12) == 0x1234 && LOBYTE(0x1234) == 0x34 && HIBYTE(0x1234) == 0x12);
CHECK(LOWORD(0x12345678) == 0x5678 && HIWORD(0x12345678) == 0x1234);

/* Prototypes: taking an address as this type is an error if they differ. */
typedef struct {
  HINTERNET(WINAPI* open)(LPCWSTR, DWORD, LPCWSTR, LPCWSTR, DWORD);
  HINTERNET(WINAPI* connect)(HINTERNET, LPCWSTR, INTERNET_PORT, DWORD);
  HINTERNET(WINAPI* open_request)
  (HINTERNET, LPCWSTR, LPCWSTR, LPCWSTR, LPCWSTR, LPCWSTR*, DWORD);
  BOOL(WINAPI* add_request_headers)(HINTERNET, LPCWSTR, DWORD, DWORD);
  BOOL(WINAPI* set_option)(HINTERNET, DWORD, LPVOID, DWORD);
  BOOL(WINAPI* query_option)(HINTERNET, DWORD, LPVOID, LPDWORD);
  WINHTTP_STATUS_CALLBACK(WINAPI* set_status_callback)
  (HINTERNET, WINHTTP_STATUS_CALLBACK, DWORD, DWORD_PTR);
  BOOL(WINAPI* set_timeouts)(HINTERNET, int, int, int, int);
  BOOL(WINAPI* set_credentials)(HINTERNET, DWORD, DWORD, LPCWSTR, LPCWSTR, LPVOID);
  BOOL(WINAPI* query_auth_schemes)(HINTERNET, LPDWORD, LPDWORD, LPDWORD);
  BOOL(WINAPI* send_request)(HINTERNET, LPCWSTR, DWORD, LPVOID, DWORD, DWORD, DWORD_PTR);
  BOOL(WINAPI* receive_response)(HINTERNET, LPVOID);
  BOOL(WINAPI* query_headers)(HINTERNET, DWORD, LPCWSTR, LPVOID, LPDWORD, LPDWORD);
  BOOL(WINAPI* query_data_available)(HINTERNET, LPDWORD);
  BOOL(WINAPI* read_data)(HINTERNET, LPVOID, DWORD, LPDWORD);
  BOOL(WINAPI* write_data)(HINTERNET, LPCVOID, DWORD, LPDWORD);
  BOOL(WINAPI* close_handle)(HINTERNET);
  BOOL(WINAPI* crack_url)(LPCWSTR, DWORD, DWORD, LPURL_COMPONENTS);
  BOOL(WINAPI* create_url)(LPURL_COMPONENTS, DWORD, LPWSTR, LPDWORD);
  BOOL(WINAPI* check_platform)(VOID);
  HINTERNET(WINAPI* complete_upgrade)(HINTERNET, DWORD_PTR);
  DWORD(WINAPI* send)(HINTERNET, WINHTTP_WEB_SOCKET_BUFFER_TYPE, PVOID, DWORD);
  DWORD(WINAPI* receive)(HINTERNET, PVOID, DWORD, DWORD*, WINHTTP_WEB_SOCKET_BUFFER_TYPE*);
  DWORD(WINAPI* shutdown)(HINTERNET, USHORT, PVOID, DWORD);
  DWORD(WINAPI* close)(HINTERNET, USHORT, PVOID, DWORD);
  DWORD(WINAPI* query_close_status)(HINTERNET, USHORT*, PVOID, DWORD, DWORD*);
  DWORD(WINAPI* get_last_error)(VOID);
  VOID(WINAPI* set_last_error)(DWORD);
  HGLOBAL(WINAPI* global_free)(HGLOBAL);
  HLOCAL(WINAPI* local_free)(HLOCAL);
} api_table;

static const api_table api = {
    WinHttpOpen,
    WinHttpConnect,
    WinHttpOpenRequest,
    WinHttpAddRequestHeaders,
    WinHttpSetOption,
    WinHttpQueryOption,
    WinHttpSetStatusCallback,
    WinHttpSetTimeouts,
    WinHttpSetCredentials,
    WinHttpQueryAuthSchemes,
    WinHttpSendRequest,
    WinHttpReceiveResponse,
    WinHttpQueryHeaders,
    WinHttpQueryDataAvailable,
    WinHttpReadData,
    WinHttpWriteData,
    WinHttpCloseHandle,
    WinHttpCrackUrl,
    WinHttpCreateUrl,
    WinHttpCheckPlatform,
    WinHttpWebSocketCompleteUpgrade,
    WinHttpWebSocketSend,
    WinHttpWebSocketReceive,
    WinHttpWebSocketShutdown,
    WinHttpWebSocketClose,
    WinHttpWebSocketQueryCloseStatus,
    GetLastError,
    SetLastError,
    GlobalFree,
    LocalFree,
};
