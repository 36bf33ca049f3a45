/// The WinHTTP API with its WebSocket calls, for Linux: names, values, structure layouts and
/// behaviour of <winhttp.h> on 64-bit Windows. Our own text, C11 and C++20.
///
/// What differs is WCHAR (32 bits here; see <sluice/windows.h>): "bytes" of a wide string are
/// multiples of sizeof(WCHAR), which is 4. Payload of WebSocket messages is bytes and never
/// converted. Only functions that exist in the library are declared.
///
/// Handles are numbers, not pointers: a stale or invented value fails with ERROR_INVALID_HANDLE, a
/// handle of another kind with ERROR_WINHTTP_INCORRECT_HANDLE_TYPE. Functions that return BOOL or a
/// handle report the reason through GetLastError() and set it to 0 on success; the WinHttpWebSocket
/// functions that return DWORD return the reason and leave the last error alone.
///
/// Threads: any function may be called from any thread. One call at a time that sends, receives or
/// reads may be active on a request, and one per direction on a WebSocket; another one fails with
/// ERROR_INVALID_OPERATION. WinHttpCloseHandle from another thread ends a blocked call with
/// ERROR_WINHTTP_OPERATION_CANCELLED; a signal handler that returns does not end it, and must not
/// call any of these functions.
///
/// Each thread that connects or sends on synchronous handles needs a few descriptors of its own,
/// from its first such call until it ends. Where they are not to be had that call fails with
/// ERROR_WINHTTP_OUT_OF_HANDLES; a Send may be repeated then. WinHttpWebSocketReceive needs none.
///
/// Asynchronous handles (WINHTTP_FLAG_ASYNC) do not block. A call that is described as blocking or
/// waiting returns TRUE, or 0 on a WebSocket, and is completed by exactly one notification, perhaps
/// before it returns: SENDREQUEST_COMPLETE, HEADERS_AVAILABLE, DATA_AVAILABLE, READ_COMPLETE,
/// WRITE_COMPLETE, SHUTDOWN_COMPLETE or CLOSE_COMPLETE, else REQUEST_ERROR with one of the codes
/// below. When it returns anything else, none comes. Its buffers have to stay until then. Counts
/// and types come with the notification; the out-parameters of WinHttpWebSocketReceive may be NULL
/// and are not written.
#pragma once

#include <sluice/windows.h>

#include <sys/socket.h>

// The names are those of Windows.
// NOLINTBEGIN(bugprone-reserved-identifier)

#ifdef __cplusplus
extern "C" {
#endif

#define WINHTTPAPI SLUICE_EXPORT
#define BOOLAPI WINHTTPAPI BOOL WINAPI

typedef LPVOID HINTERNET;
typedef HINTERNET* LPHINTERNET;
typedef WORD INTERNET_PORT;
typedef INTERNET_PORT* LPINTERNET_PORT;
typedef int INTERNET_SCHEME;
typedef int* LPINTERNET_SCHEME;

/* Schemes and ports. */
#define INTERNET_SCHEME_HTTP 1
#define INTERNET_SCHEME_HTTPS 2
#define INTERNET_SCHEME_FTP 3
#define INTERNET_SCHEME_SOCKS 4
#define INTERNET_DEFAULT_PORT 0
#define INTERNET_DEFAULT_HTTP_PORT 80
#define INTERNET_DEFAULT_HTTPS_PORT 443

/* WinHttpOpen. */
#define WINHTTP_ACCESS_TYPE_DEFAULT_PROXY 0
#define WINHTTP_ACCESS_TYPE_NO_PROXY 1
#define WINHTTP_ACCESS_TYPE_NAMED_PROXY 3
#define WINHTTP_ACCESS_TYPE_AUTOMATIC_PROXY 4
#define WINHTTP_NO_PROXY_NAME NULL
#define WINHTTP_NO_PROXY_BYPASS NULL
#define WINHTTP_FLAG_ASYNC 0x10000000u
#define WINHTTP_FLAG_SECURE_DEFAULTS 0x30000000u /* holds the bit of WINHTTP_FLAG_ASYNC */

/* WinHttpOpenRequest. */
#define WINHTTP_NO_REFERER NULL
#define WINHTTP_DEFAULT_ACCEPT_TYPES NULL
#define WINHTTP_FLAG_ESCAPE_PERCENT 0x00000004u
#define WINHTTP_FLAG_NULL_CODEPAGE 0x00000008u
#define WINHTTP_FLAG_ESCAPE_DISABLE 0x00000040u
#define WINHTTP_FLAG_ESCAPE_DISABLE_QUERY 0x00000080u
#define WINHTTP_FLAG_BYPASS_PROXY_CACHE 0x00000100u
#define WINHTTP_FLAG_REFRESH WINHTTP_FLAG_BYPASS_PROXY_CACHE
#define WINHTTP_FLAG_AUTOMATIC_CHUNKING 0x00000200u
#define WINHTTP_FLAG_SECURE 0x00800000u

/* WinHttpAddRequestHeaders. */
#define WINHTTP_ADDREQ_INDEX_MASK 0x0000FFFFu
#define WINHTTP_ADDREQ_FLAGS_MASK 0xFFFF0000u
#define WINHTTP_ADDREQ_FLAG_ADD_IF_NEW 0x10000000u
#define WINHTTP_ADDREQ_FLAG_ADD 0x20000000u
#define WINHTTP_ADDREQ_FLAG_COALESCE_WITH_COMMA 0x40000000u
#define WINHTTP_ADDREQ_FLAG_COALESCE_WITH_SEMICOLON 0x01000000u
#define WINHTTP_ADDREQ_FLAG_COALESCE WINHTTP_ADDREQ_FLAG_COALESCE_WITH_COMMA
#define WINHTTP_ADDREQ_FLAG_REPLACE 0x80000000u

/* WinHttpSendRequest. */
#define WINHTTP_NO_ADDITIONAL_HEADERS NULL
#define WINHTTP_NO_REQUEST_DATA NULL
#define WINHTTP_IGNORE_REQUEST_TOTAL_LENGTH 0

/* WinHttpQueryHeaders: one of these, plus flags. */
#define WINHTTP_QUERY_MIME_VERSION 0
#define WINHTTP_QUERY_CONTENT_TYPE 1
#define WINHTTP_QUERY_CONTENT_TRANSFER_ENCODING 2
#define WINHTTP_QUERY_CONTENT_ID 3
#define WINHTTP_QUERY_CONTENT_DESCRIPTION 4
#define WINHTTP_QUERY_CONTENT_LENGTH 5
#define WINHTTP_QUERY_CONTENT_LANGUAGE 6
#define WINHTTP_QUERY_ALLOW 7
#define WINHTTP_QUERY_PUBLIC 8
#define WINHTTP_QUERY_DATE 9
#define WINHTTP_QUERY_EXPIRES 10
#define WINHTTP_QUERY_LAST_MODIFIED 11
#define WINHTTP_QUERY_MESSAGE_ID 12
#define WINHTTP_QUERY_URI 13
#define WINHTTP_QUERY_DERIVED_FROM 14
#define WINHTTP_QUERY_COST 15
#define WINHTTP_QUERY_LINK 16
#define WINHTTP_QUERY_PRAGMA 17
#define WINHTTP_QUERY_VERSION 18
#define WINHTTP_QUERY_STATUS_CODE 19
#define WINHTTP_QUERY_STATUS_TEXT 20
#define WINHTTP_QUERY_RAW_HEADERS 21
#define WINHTTP_QUERY_RAW_HEADERS_CRLF 22
#define WINHTTP_QUERY_CONNECTION 23
#define WINHTTP_QUERY_ACCEPT 24
#define WINHTTP_QUERY_ACCEPT_CHARSET 25
#define WINHTTP_QUERY_ACCEPT_ENCODING 26
#define WINHTTP_QUERY_ACCEPT_LANGUAGE 27
#define WINHTTP_QUERY_AUTHORIZATION 28
#define WINHTTP_QUERY_CONTENT_ENCODING 29
#define WINHTTP_QUERY_FORWARDED 30
#define WINHTTP_QUERY_FROM 31
#define WINHTTP_QUERY_IF_MODIFIED_SINCE 32
#define WINHTTP_QUERY_LOCATION 33
#define WINHTTP_QUERY_ORIG_URI 34
#define WINHTTP_QUERY_REFERER 35
#define WINHTTP_QUERY_RETRY_AFTER 36
#define WINHTTP_QUERY_SERVER 37
#define WINHTTP_QUERY_TITLE 38
#define WINHTTP_QUERY_USER_AGENT 39
#define WINHTTP_QUERY_WWW_AUTHENTICATE 40
#define WINHTTP_QUERY_PROXY_AUTHENTICATE 41
#define WINHTTP_QUERY_ACCEPT_RANGES 42
#define WINHTTP_QUERY_SET_COOKIE 43
#define WINHTTP_QUERY_COOKIE 44
#define WINHTTP_QUERY_REQUEST_METHOD 45
#define WINHTTP_QUERY_REFRESH 46
#define WINHTTP_QUERY_CONTENT_DISPOSITION 47
#define WINHTTP_QUERY_AGE 48
#define WINHTTP_QUERY_CACHE_CONTROL 49
#define WINHTTP_QUERY_CONTENT_BASE 50
#define WINHTTP_QUERY_CONTENT_LOCATION 51
#define WINHTTP_QUERY_CONTENT_MD5 52
#define WINHTTP_QUERY_CONTENT_RANGE 53
#define WINHTTP_QUERY_ETAG 54
#define WINHTTP_QUERY_HOST 55
#define WINHTTP_QUERY_IF_MATCH 56
#define WINHTTP_QUERY_IF_NONE_MATCH 57
#define WINHTTP_QUERY_IF_RANGE 58
#define WINHTTP_QUERY_IF_UNMODIFIED_SINCE 59
#define WINHTTP_QUERY_MAX_FORWARDS 60
#define WINHTTP_QUERY_PROXY_AUTHORIZATION 61
#define WINHTTP_QUERY_RANGE 62
#define WINHTTP_QUERY_TRANSFER_ENCODING 63
#define WINHTTP_QUERY_UPGRADE 64
#define WINHTTP_QUERY_VARY 65
#define WINHTTP_QUERY_VIA 66
#define WINHTTP_QUERY_WARNING 67
#define WINHTTP_QUERY_EXPECT 68
#define WINHTTP_QUERY_PROXY_CONNECTION 69
#define WINHTTP_QUERY_UNLESS_MODIFIED_SINCE 70
#define WINHTTP_QUERY_PROXY_SUPPORT 75
#define WINHTTP_QUERY_AUTHENTICATION_INFO 76
#define WINHTTP_QUERY_PASSPORT_URLS 77
#define WINHTTP_QUERY_PASSPORT_CONFIG 78
#define WINHTTP_QUERY_MAX 78
#define WINHTTP_QUERY_CUSTOM 65535
#define WINHTTP_QUERY_FLAG_NUMBER64 0x08000000u
#define WINHTTP_QUERY_FLAG_NUMBER 0x20000000u
#define WINHTTP_QUERY_FLAG_SYSTEMTIME 0x40000000u
#define WINHTTP_QUERY_FLAG_REQUEST_HEADERS 0x80000000u
#define WINHTTP_HEADER_NAME_BY_INDEX NULL
#define WINHTTP_NO_OUTPUT_BUFFER NULL
#define WINHTTP_NO_HEADER_INDEX NULL

#define HTTP_STATUS_CONTINUE 100
#define HTTP_STATUS_SWITCH_PROTOCOLS 101
#define HTTP_STATUS_OK 200
#define HTTP_STATUS_CREATED 201
#define HTTP_STATUS_ACCEPTED 202
#define HTTP_STATUS_NO_CONTENT 204
#define HTTP_STATUS_PARTIAL_CONTENT 206
#define HTTP_STATUS_MOVED 301
#define HTTP_STATUS_REDIRECT 302
#define HTTP_STATUS_REDIRECT_METHOD 303
#define HTTP_STATUS_NOT_MODIFIED 304
#define HTTP_STATUS_REDIRECT_KEEP_VERB 307
#define HTTP_STATUS_PERMANENT_REDIRECT 308
#define HTTP_STATUS_BAD_REQUEST 400
#define HTTP_STATUS_DENIED 401
#define HTTP_STATUS_FORBIDDEN 403
#define HTTP_STATUS_NOT_FOUND 404
#define HTTP_STATUS_BAD_METHOD 405
#define HTTP_STATUS_PROXY_AUTH_REQ 407
#define HTTP_STATUS_REQUEST_TIMEOUT 408
#define HTTP_STATUS_CONFLICT 409
#define HTTP_STATUS_GONE 410
#define HTTP_STATUS_SERVER_ERROR 500
#define HTTP_STATUS_NOT_SUPPORTED 501
#define HTTP_STATUS_BAD_GATEWAY 502
#define HTTP_STATUS_SERVICE_UNAVAIL 503
#define HTTP_STATUS_GATEWAY_TIMEOUT 504
#define HTTP_STATUS_VERSION_NOT_SUP 505

/* WinHttpCrackUrl, WinHttpCreateUrl. */
#define ICU_ESCAPE 0x80000000u
#define ICU_DECODE 0x10000000u
#define ICU_REJECT_USERPWD 0x00004000u

/* Options. Which handle takes which one, and with what value, is part of the documentation of
   WinHttpSetOption below; an option that the library does not offer fails with
   ERROR_WINHTTP_INVALID_OPTION. */
#define WINHTTP_OPTION_CALLBACK 1
#define WINHTTP_OPTION_RESOLVE_TIMEOUT 2
#define WINHTTP_OPTION_CONNECT_TIMEOUT 3
#define WINHTTP_OPTION_CONNECT_RETRIES 4
#define WINHTTP_OPTION_SEND_TIMEOUT 5
#define WINHTTP_OPTION_RECEIVE_TIMEOUT 6
#define WINHTTP_OPTION_RECEIVE_RESPONSE_TIMEOUT 7
#define WINHTTP_OPTION_HANDLE_TYPE 9
#define WINHTTP_OPTION_PARENT_HANDLE 21
#define WINHTTP_OPTION_EXTENDED_ERROR 24
#define WINHTTP_OPTION_SECURITY_FLAGS 31
#define WINHTTP_OPTION_SECURITY_CERTIFICATE_STRUCT 32
#define WINHTTP_OPTION_URL 34
#define WINHTTP_OPTION_SECURITY_KEY_BITNESS 36
#define WINHTTP_OPTION_PROXY 38
#define WINHTTP_OPTION_USER_AGENT 41
#define WINHTTP_OPTION_CONTEXT_VALUE 45
#define WINHTTP_OPTION_CLIENT_CERT_CONTEXT 47
#define WINHTTP_OPTION_HTTP_VERSION 59
#define WINHTTP_OPTION_DISABLE_FEATURE 63
#define WINHTTP_OPTION_CODEPAGE 68
#define WINHTTP_OPTION_MAX_CONNS_PER_SERVER 73
#define WINHTTP_OPTION_MAX_CONNS_PER_1_0_SERVER 74
#define WINHTTP_OPTION_AUTOLOGON_POLICY 77
#define WINHTTP_OPTION_SERVER_CERT_CONTEXT 78
#define WINHTTP_OPTION_ENABLE_FEATURE 79
#define WINHTTP_OPTION_WORKER_THREAD_COUNT 80
#define WINHTTP_OPTION_SECURE_PROTOCOLS 84
#define WINHTTP_OPTION_REDIRECT_POLICY 88
#define WINHTTP_OPTION_MAX_HTTP_AUTOMATIC_REDIRECTS 89
#define WINHTTP_OPTION_MAX_HTTP_STATUS_CONTINUE 90
#define WINHTTP_OPTION_MAX_RESPONSE_HEADER_SIZE 91
#define WINHTTP_OPTION_MAX_RESPONSE_DRAIN_SIZE 92
#define WINHTTP_OPTION_CONNECTION_INFO 93
#define WINHTTP_OPTION_CLIENT_CERT_ISSUER_LIST 94
#define WINHTTP_OPTION_UNLOAD_NOTIFY_EVENT 99
#define WINHTTP_OPTION_REJECT_USERPWD_IN_URL 100
#define WINHTTP_OPTION_ASSURED_NON_BLOCKING_CALLBACKS 111
#define WINHTTP_OPTION_UPGRADE_TO_WEB_SOCKET 114
#define WINHTTP_OPTION_WEB_SOCKET_CLOSE_TIMEOUT 115
#define WINHTTP_OPTION_WEB_SOCKET_KEEPALIVE_INTERVAL 116
#define WINHTTP_OPTION_DECOMPRESSION 118
#define WINHTTP_OPTION_WEB_SOCKET_RECEIVE_BUFFER_SIZE 122
#define WINHTTP_OPTION_WEB_SOCKET_SEND_BUFFER_SIZE 123
#define WINHTTP_OPTION_ENABLE_HTTP_PROTOCOL 133
#define WINHTTP_OPTION_HTTP_PROTOCOL_USED 134
#define WINHTTP_OPTION_IPV6_FAST_FALLBACK 140
#define WINHTTP_OPTION_TCP_KEEPALIVE 152
#define WINHTTP_OPTION_USERNAME 0x1000
#define WINHTTP_OPTION_PASSWORD 0x1001
#define WINHTTP_OPTION_PROXY_USERNAME 0x1002
#define WINHTTP_OPTION_PROXY_PASSWORD 0x1003

#define WINHTTP_HANDLE_TYPE_SESSION 1
#define WINHTTP_HANDLE_TYPE_CONNECT 2
#define WINHTTP_HANDLE_TYPE_REQUEST 3
#define WINHTTP_HANDLE_TYPE_PROXY_RESOLVER 4
#define WINHTTP_HANDLE_TYPE_WEBSOCKET 5
#define WINHTTP_HANDLE_TYPE_PROTOCOL 6

#define WINHTTP_OPTION_REDIRECT_POLICY_NEVER 0
#define WINHTTP_OPTION_REDIRECT_POLICY_DISALLOW_HTTPS_TO_HTTP 1
#define WINHTTP_OPTION_REDIRECT_POLICY_ALWAYS 2
#define WINHTTP_OPTION_REDIRECT_POLICY_DEFAULT WINHTTP_OPTION_REDIRECT_POLICY_DISALLOW_HTTPS_TO_HTTP
#define WINHTTP_OPTION_REDIRECT_POLICY_LAST WINHTTP_OPTION_REDIRECT_POLICY_ALWAYS

#define WINHTTP_AUTOLOGON_SECURITY_LEVEL_MEDIUM 0
#define WINHTTP_AUTOLOGON_SECURITY_LEVEL_LOW 1
#define WINHTTP_AUTOLOGON_SECURITY_LEVEL_HIGH 2
#define WINHTTP_AUTOLOGON_SECURITY_LEVEL_PROXY_ONLY 3
#define WINHTTP_AUTOLOGON_SECURITY_LEVEL_MAX WINHTTP_AUTOLOGON_SECURITY_LEVEL_PROXY_ONLY
#define WINHTTP_AUTOLOGON_SECURITY_LEVEL_DEFAULT WINHTTP_AUTOLOGON_SECURITY_LEVEL_MEDIUM

#define WINHTTP_DISABLE_COOKIES 0x00000001u
#define WINHTTP_DISABLE_REDIRECTS 0x00000002u
#define WINHTTP_DISABLE_AUTHENTICATION 0x00000004u
#define WINHTTP_DISABLE_KEEP_ALIVE 0x00000008u
#define WINHTTP_ENABLE_SSL_REVOCATION 0x00000001u

#define SECURITY_FLAG_SECURE 0x00000001u
#define SECURITY_FLAG_IGNORE_UNKNOWN_CA 0x00000100u
#define SECURITY_FLAG_IGNORE_CERT_WRONG_USAGE 0x00000200u
#define SECURITY_FLAG_IGNORE_CERT_CN_INVALID 0x00001000u
#define SECURITY_FLAG_IGNORE_CERT_DATE_INVALID 0x00002000u
#define SECURITY_FLAG_STRENGTH_WEAK 0x10000000u
#define SECURITY_FLAG_STRENGTH_STRONG 0x20000000u
#define SECURITY_FLAG_STRENGTH_MEDIUM 0x40000000u

#define WINHTTP_FLAG_SECURE_PROTOCOL_SSL2 0x00000008u
#define WINHTTP_FLAG_SECURE_PROTOCOL_SSL3 0x00000020u
#define WINHTTP_FLAG_SECURE_PROTOCOL_TLS1 0x00000080u
#define WINHTTP_FLAG_SECURE_PROTOCOL_TLS1_1 0x00000200u
#define WINHTTP_FLAG_SECURE_PROTOCOL_TLS1_2 0x00000800u
#define WINHTTP_FLAG_SECURE_PROTOCOL_TLS1_3 0x00002000u
#define WINHTTP_FLAG_SECURE_PROTOCOL_ALL 0x000000A8u /* SSL2, SSL3 and TLS1 only, as on Windows */

#define WINHTTP_AUTH_SCHEME_BASIC 0x00000001u
#define WINHTTP_AUTH_SCHEME_NTLM 0x00000002u
#define WINHTTP_AUTH_SCHEME_PASSPORT 0x00000004u
#define WINHTTP_AUTH_SCHEME_DIGEST 0x00000008u
#define WINHTTP_AUTH_SCHEME_NEGOTIATE 0x00000010u
#define WINHTTP_AUTH_TARGET_SERVER 0x00000000u
#define WINHTTP_AUTH_TARGET_PROXY 0x00000001u

/* Notifications. */
#define WINHTTP_CALLBACK_STATUS_RESOLVING_NAME 0x00000001u
#define WINHTTP_CALLBACK_STATUS_NAME_RESOLVED 0x00000002u
#define WINHTTP_CALLBACK_STATUS_CONNECTING_TO_SERVER 0x00000004u
#define WINHTTP_CALLBACK_STATUS_CONNECTED_TO_SERVER 0x00000008u
#define WINHTTP_CALLBACK_STATUS_SENDING_REQUEST 0x00000010u
#define WINHTTP_CALLBACK_STATUS_REQUEST_SENT 0x00000020u
#define WINHTTP_CALLBACK_STATUS_RECEIVING_RESPONSE 0x00000040u
#define WINHTTP_CALLBACK_STATUS_RESPONSE_RECEIVED 0x00000080u
#define WINHTTP_CALLBACK_STATUS_CLOSING_CONNECTION 0x00000100u
#define WINHTTP_CALLBACK_STATUS_CONNECTION_CLOSED 0x00000200u
#define WINHTTP_CALLBACK_STATUS_HANDLE_CREATED 0x00000400u
#define WINHTTP_CALLBACK_STATUS_HANDLE_CLOSING 0x00000800u
#define WINHTTP_CALLBACK_STATUS_DETECTING_PROXY 0x00001000u
#define WINHTTP_CALLBACK_STATUS_REDIRECT 0x00004000u
#define WINHTTP_CALLBACK_STATUS_INTERMEDIATE_RESPONSE 0x00008000u
#define WINHTTP_CALLBACK_STATUS_SECURE_FAILURE 0x00010000u
#define WINHTTP_CALLBACK_STATUS_HEADERS_AVAILABLE 0x00020000u
#define WINHTTP_CALLBACK_STATUS_DATA_AVAILABLE 0x00040000u
#define WINHTTP_CALLBACK_STATUS_READ_COMPLETE 0x00080000u
#define WINHTTP_CALLBACK_STATUS_WRITE_COMPLETE 0x00100000u
#define WINHTTP_CALLBACK_STATUS_REQUEST_ERROR 0x00200000u
#define WINHTTP_CALLBACK_STATUS_SENDREQUEST_COMPLETE 0x00400000u
#define WINHTTP_CALLBACK_STATUS_GETPROXYFORURL_COMPLETE 0x01000000u
#define WINHTTP_CALLBACK_STATUS_CLOSE_COMPLETE 0x02000000u
#define WINHTTP_CALLBACK_STATUS_SHUTDOWN_COMPLETE 0x04000000u
#define WINHTTP_CALLBACK_STATUS_GETPROXYSETTINGS_COMPLETE 0x08000000u
#define WINHTTP_CALLBACK_STATUS_SETTINGS_WRITE_COMPLETE 0x10000000u
#define WINHTTP_CALLBACK_STATUS_SETTINGS_READ_COMPLETE 0x20000000u

#define WINHTTP_CALLBACK_FLAG_RESOLVE_NAME 0x00000003u
#define WINHTTP_CALLBACK_FLAG_CONNECT_TO_SERVER 0x0000000Cu
#define WINHTTP_CALLBACK_FLAG_SEND_REQUEST 0x00000030u
#define WINHTTP_CALLBACK_FLAG_RECEIVE_RESPONSE 0x000000C0u
#define WINHTTP_CALLBACK_FLAG_CLOSE_CONNECTION 0x00000300u
#define WINHTTP_CALLBACK_FLAG_HANDLES 0x00000C00u
#define WINHTTP_CALLBACK_FLAG_DETECTING_PROXY WINHTTP_CALLBACK_STATUS_DETECTING_PROXY
#define WINHTTP_CALLBACK_FLAG_REDIRECT WINHTTP_CALLBACK_STATUS_REDIRECT
#define WINHTTP_CALLBACK_FLAG_INTERMEDIATE_RESPONSE WINHTTP_CALLBACK_STATUS_INTERMEDIATE_RESPONSE
#define WINHTTP_CALLBACK_FLAG_SECURE_FAILURE WINHTTP_CALLBACK_STATUS_SECURE_FAILURE
#define WINHTTP_CALLBACK_FLAG_SENDREQUEST_COMPLETE WINHTTP_CALLBACK_STATUS_SENDREQUEST_COMPLETE
#define WINHTTP_CALLBACK_FLAG_HEADERS_AVAILABLE WINHTTP_CALLBACK_STATUS_HEADERS_AVAILABLE
#define WINHTTP_CALLBACK_FLAG_DATA_AVAILABLE WINHTTP_CALLBACK_STATUS_DATA_AVAILABLE
#define WINHTTP_CALLBACK_FLAG_READ_COMPLETE WINHTTP_CALLBACK_STATUS_READ_COMPLETE
#define WINHTTP_CALLBACK_FLAG_WRITE_COMPLETE WINHTTP_CALLBACK_STATUS_WRITE_COMPLETE
#define WINHTTP_CALLBACK_FLAG_REQUEST_ERROR WINHTTP_CALLBACK_STATUS_REQUEST_ERROR
#define WINHTTP_CALLBACK_FLAG_GETPROXYFORURL_COMPLETE                                              \
  WINHTTP_CALLBACK_STATUS_GETPROXYFORURL_COMPLETE
#define WINHTTP_CALLBACK_FLAG_CLOSE_COMPLETE WINHTTP_CALLBACK_STATUS_CLOSE_COMPLETE
#define WINHTTP_CALLBACK_FLAG_SHUTDOWN_COMPLETE WINHTTP_CALLBACK_STATUS_SHUTDOWN_COMPLETE
#define WINHTTP_CALLBACK_FLAG_GETPROXYSETTINGS_COMPLETE                                            \
  WINHTTP_CALLBACK_STATUS_GETPROXYSETTINGS_COMPLETE
/* Holds neither CLOSE_COMPLETE nor SHUTDOWN_COMPLETE, as on Windows. */
#define WINHTTP_CALLBACK_FLAG_ALL_COMPLETIONS                                                      \
  (WINHTTP_CALLBACK_STATUS_SENDREQUEST_COMPLETE | WINHTTP_CALLBACK_STATUS_HEADERS_AVAILABLE |      \
   WINHTTP_CALLBACK_STATUS_DATA_AVAILABLE | WINHTTP_CALLBACK_STATUS_READ_COMPLETE |                \
   WINHTTP_CALLBACK_STATUS_WRITE_COMPLETE | WINHTTP_CALLBACK_STATUS_REQUEST_ERROR |                \
   WINHTTP_CALLBACK_STATUS_GETPROXYFORURL_COMPLETE |                                               \
   WINHTTP_CALLBACK_STATUS_GETPROXYSETTINGS_COMPLETE)
#define WINHTTP_CALLBACK_FLAG_ALL_NOTIFICATIONS 0xFFFFFFFFu

#define WINHTTP_CALLBACK_STATUS_FLAG_CERT_REV_FAILED 0x00000001u
#define WINHTTP_CALLBACK_STATUS_FLAG_INVALID_CERT 0x00000002u
#define WINHTTP_CALLBACK_STATUS_FLAG_CERT_REVOKED 0x00000004u
#define WINHTTP_CALLBACK_STATUS_FLAG_INVALID_CA 0x00000008u
#define WINHTTP_CALLBACK_STATUS_FLAG_CERT_CN_INVALID 0x00000010u
#define WINHTTP_CALLBACK_STATUS_FLAG_CERT_DATE_INVALID 0x00000020u
#define WINHTTP_CALLBACK_STATUS_FLAG_CERT_WRONG_USAGE 0x00000040u
#define WINHTTP_CALLBACK_STATUS_FLAG_SECURITY_CHANNEL_ERROR 0x80000000u

#define API_RECEIVE_RESPONSE 1
#define API_QUERY_DATA_AVAILABLE 2
#define API_READ_DATA 3
#define API_WRITE_DATA 4
#define API_SEND_REQUEST 5
#define API_GET_PROXY_FOR_URL 6

typedef VOID(CALLBACK* WINHTTP_STATUS_CALLBACK)(HINTERNET handle, DWORD_PTR context, DWORD status,
                                                LPVOID info, DWORD info_length);
typedef WINHTTP_STATUS_CALLBACK* LPWINHTTP_STATUS_CALLBACK;
#define WINHTTP_INVALID_STATUS_CALLBACK                                                            \
  SLUICE_POINTER_CAST(WINHTTP_STATUS_CALLBACK, SLUICE_CAST(LONG_PTR, -1))

/* Structures. Layout as on 64-bit Windows. */
typedef struct {
  DWORD_PTR dwResult; /* API_... */
  DWORD dwError;
} WINHTTP_ASYNC_RESULT, *LPWINHTTP_ASYNC_RESULT;

typedef struct {
  DWORD dwMajorVersion;
  DWORD dwMinorVersion;
} HTTP_VERSION_INFO, *LPHTTP_VERSION_INFO;

typedef struct {
  DWORD dwAccessType;
  LPWSTR lpszProxy;
  LPWSTR lpszProxyBypass;
} WINHTTP_PROXY_INFO, *LPWINHTTP_PROXY_INFO;

typedef struct {
  FILETIME ftExpiry;
  FILETIME ftStart;
  LPWSTR lpszSubjectInfo;
  LPWSTR lpszIssuerInfo;
  LPWSTR lpszProtocolName;
  LPWSTR lpszSignatureAlgName;
  LPWSTR lpszEncryptionAlgName;
  DWORD dwKeySize;
} WINHTTP_CERTIFICATE_INFO;

typedef struct sockaddr_storage SOCKADDR_STORAGE;

typedef struct {
  DWORD cbSize;
  SOCKADDR_STORAGE LocalAddress;
  SOCKADDR_STORAGE RemoteAddress;
} WINHTTP_CONNECTION_INFO;

typedef struct _URL_COMPONENTS {
  DWORD dwStructSize; /* sizeof(URL_COMPONENTS) */
  LPWSTR lpszScheme;
  DWORD dwSchemeLength;
  INTERNET_SCHEME nScheme;
  LPWSTR lpszHostName;
  DWORD dwHostNameLength;
  INTERNET_PORT nPort;
  LPWSTR lpszUserName;
  DWORD dwUserNameLength;
  LPWSTR lpszPassword;
  DWORD dwPasswordLength;
  LPWSTR lpszUrlPath;
  DWORD dwUrlPathLength;
  LPWSTR lpszExtraInfo;
  DWORD dwExtraInfoLength;
} URL_COMPONENTS, *LPURL_COMPONENTS, URL_COMPONENTSW, *LPURL_COMPONENTSW;

/* WebSocket. */
typedef enum _WINHTTP_WEB_SOCKET_OPERATION {
  WINHTTP_WEB_SOCKET_SEND_OPERATION = 0,
  WINHTTP_WEB_SOCKET_RECEIVE_OPERATION = 1,
  WINHTTP_WEB_SOCKET_CLOSE_OPERATION = 2,
  WINHTTP_WEB_SOCKET_SHUTDOWN_OPERATION = 3
} WINHTTP_WEB_SOCKET_OPERATION;

typedef enum _WINHTTP_WEB_SOCKET_BUFFER_TYPE {
  WINHTTP_WEB_SOCKET_BINARY_MESSAGE_BUFFER_TYPE = 0,
  WINHTTP_WEB_SOCKET_BINARY_FRAGMENT_BUFFER_TYPE = 1,
  WINHTTP_WEB_SOCKET_UTF8_MESSAGE_BUFFER_TYPE = 2,
  WINHTTP_WEB_SOCKET_UTF8_FRAGMENT_BUFFER_TYPE = 3,
  WINHTTP_WEB_SOCKET_CLOSE_BUFFER_TYPE = 4
} WINHTTP_WEB_SOCKET_BUFFER_TYPE;

typedef enum _WINHTTP_WEB_SOCKET_CLOSE_STATUS {
  WINHTTP_WEB_SOCKET_SUCCESS_CLOSE_STATUS = 1000,
  WINHTTP_WEB_SOCKET_ENDPOINT_TERMINATED_CLOSE_STATUS = 1001,
  WINHTTP_WEB_SOCKET_PROTOCOL_ERROR_CLOSE_STATUS = 1002,
  WINHTTP_WEB_SOCKET_INVALID_DATA_TYPE_CLOSE_STATUS = 1003,
  WINHTTP_WEB_SOCKET_EMPTY_CLOSE_STATUS = 1005,   /* never on the wire */
  WINHTTP_WEB_SOCKET_ABORTED_CLOSE_STATUS = 1006, /* never on the wire */
  WINHTTP_WEB_SOCKET_INVALID_PAYLOAD_CLOSE_STATUS = 1007,
  WINHTTP_WEB_SOCKET_INVALID_UTF8_CLOSE_STATUS = 1007,
  WINHTTP_WEB_SOCKET_POLICY_VIOLATION_CLOSE_STATUS = 1008,
  WINHTTP_WEB_SOCKET_MESSAGE_TOO_BIG_CLOSE_STATUS = 1009,
  WINHTTP_WEB_SOCKET_UNSUPPORTED_EXTENSIONS_CLOSE_STATUS = 1010,
  WINHTTP_WEB_SOCKET_SERVER_ERROR_CLOSE_STATUS = 1011,
  WINHTTP_WEB_SOCKET_SECURE_HANDSHAKE_ERROR_CLOSE_STATUS = 1015 /* never on the wire */
} WINHTTP_WEB_SOCKET_CLOSE_STATUS;

#define WINHTTP_WEB_SOCKET_MAX_CLOSE_REASON_LENGTH 123
#define WINHTTP_WEB_SOCKET_MIN_KEEPALIVE_VALUE 15000

typedef struct _WINHTTP_WEB_SOCKET_ASYNC_RESULT {
  WINHTTP_ASYNC_RESULT AsyncResult;
  WINHTTP_WEB_SOCKET_OPERATION Operation;
} WINHTTP_WEB_SOCKET_ASYNC_RESULT;

typedef struct _WINHTTP_WEB_SOCKET_STATUS {
  DWORD dwBytesTransferred;
  WINHTTP_WEB_SOCKET_BUFFER_TYPE eBufferType;
} WINHTTP_WEB_SOCKET_STATUS;

/// Opens a session: the settings that connections made from it start with. Does no I/O.
/// @param user_agent   value of the User-Agent header; NULL or empty = no such header.
/// @param access_type  WINHTTP_ACCESS_TYPE_NO_PROXY: requests connect directly. NAMED_PROXY: as the
///                     next two parameters say, which must be NULL otherwise. DEFAULT_PROXY and
///                     AUTOMATIC_PROXY: as the environment variables http_proxy, https_proxy and
///                     no_proxy say at this moment, or, where one is missing, their upper-case
///                     spellings; http://user:password@host:port is understood.
/// @param proxy        servers, separated by semicolons or blanks, each
///                     [<scheme>=][<scheme>://]<host>[:<port>]: `proxy:3128`, or
///                     `http=a:3128;https=b:3128` by the kind of the target. `https://` in front of
///                     the host: the proxy itself is reached over TLS, for targets without TLS.
/// @param bypass       hosts that are reached directly, separated likewise; `*` stands for any
///                     characters, `<local>` for every name without a period; NULL = none.
/// @param flags        0, or WINHTTP_FLAG_ASYNC: handles of this session and below work
///                     asynchronously, and report to the callback of WinHttpSetStatusCallback.
///                     WINHTTP_FLAG_SECURE_DEFAULTS: the same, and requests without
///                     WINHTTP_FLAG_SECURE fail with ERROR_WINHTTP_SECURE_FAILURE.
/// @return a handle for WinHttpCloseHandle, or NULL: ERROR_INVALID_PARAMETER (also for a list that
///         is malformed), ERROR_NOT_ENOUGH_MEMORY, ERROR_WINHTTP_OUT_OF_HANDLES,
///         ERROR_WINHTTP_INTERNAL_ERROR (SLUICE_FORCE_KERNEL names a kernel that is unknown or that
///         this CPU cannot run).
WINHTTPAPI HINTERNET WINAPI WinHttpOpen(_In_opt_z_ LPCWSTR user_agent, _In_ DWORD access_type,
                                        _In_opt_z_ LPCWSTR proxy, _In_opt_z_ LPCWSTR bypass,
                                        _In_ DWORD flags);

/// Names a server. Does no I/O; the session's handle may be closed afterwards.
/// @param server    host name or address, IPv6 with or without brackets.
/// @param port      0 = 80, or 443 for requests with WINHTTP_FLAG_SECURE.
/// @param reserved  0.
/// @return a handle, or NULL: ERROR_INVALID_PARAMETER, ERROR_WINHTTP_INVALID_URL (no host name),
///         ERROR_NOT_ENOUGH_MEMORY, ERROR_WINHTTP_OUT_OF_HANDLES.
WINHTTPAPI HINTERNET WINAPI WinHttpConnect(_In_ HINTERNET session, _In_z_ LPCWSTR server,
                                           _In_ INTERNET_PORT port, _In_ DWORD reserved);

/// Prepares a request. Does no I/O; the connection's handle may be closed afterwards.
/// @param verb          NULL = GET.
/// @param object        path and query; NULL = "/"; a missing leading "/" is added. What must not
///                      stand in a request line is percent-encoded as `flags` say.
/// @param version       NULL or "HTTP/1.1" or "HTTP/1.0".
/// @param referrer      value of the Referer header; NULL = none.
/// @param accept_types  NULL-terminated array for the Accept header; NULL = none.
/// @param flags         WINHTTP_FLAG_... of this function. WINHTTP_FLAG_SECURE: over TLS 1.2 or
///                      1.3; whom to trust is said by SECURITY_FLAGS and <sluice/extensions.h>.
/// @return a handle, or NULL: as WinHttpConnect.
WINHTTPAPI HINTERNET WINAPI WinHttpOpenRequest(_In_ HINTERNET connection, _In_opt_z_ LPCWSTR verb,
                                               _In_opt_z_ LPCWSTR object,
                                               _In_opt_z_ LPCWSTR version,
                                               _In_opt_z_ LPCWSTR referrer,
                                               _In_opt_ LPCWSTR* accept_types, _In_ DWORD flags);

/// Adds, replaces or removes request headers.
/// @param headers         `Name: value` lines with CRLF between them; a name without value removes
///                        the header together with WINHTTP_ADDREQ_FLAG_REPLACE.
/// @param headers_length  in WCHARs; (DWORD)-1 = up to the NUL.
/// @param modifiers       WINHTTP_ADDREQ_FLAG_...; 0 adds.
/// @return FALSE: ERROR_INVALID_PARAMETER, ERROR_WINHTTP_INVALID_HEADER (syntax),
///         ERROR_WINHTTP_HEADER_NOT_FOUND (REPLACE without ADD, absent),
///         ERROR_WINHTTP_HEADER_ALREADY_EXISTS (ADD_IF_NEW, present), ERROR_NOT_ENOUGH_MEMORY.
///         After an error none of the lines has been applied.
BOOLAPI WinHttpAddRequestHeaders(_In_ HINTERNET request, _In_ LPCWSTR headers,
                                 _In_ DWORD headers_length, _In_ DWORD modifiers);

// clang-format off
/// Sets or reads an option. DWORD options take exactly 4 bytes (otherwise
/// ERROR_INSUFFICIENT_BUFFER, for CLOSE_TIMEOUT and KEEPALIVE_INTERVAL of a socket
/// ERROR_INVALID_PARAMETER), CONTEXT_VALUE takes a pointer-sized one. Strings are counted in
/// WCHARs when set, in bytes when queried. On a query `*length` is the room in bytes and becomes
/// the size of the value; too little room is ERROR_INSUFFICIENT_BUFFER with the size needed.
/// Unknown options fail with ERROR_WINHTTP_INVALID_OPTION, options of another handle kind with
/// ERROR_WINHTTP_INCORRECT_HANDLE_TYPE. A value that a session has is the default of handles that
/// are opened below it later. S, C, R, W: session, connection, request, WebSocket; capital = set
/// and query, small = query alone, (x) = set alone.
///
///   RESOLVE_TIMEOUT, CONNECT_TIMEOUT,            S c R  milliseconds, 0 and -1 = none; defaults
///   SEND_TIMEOUT, RECEIVE_TIMEOUT                       none, 60000, 30000, 30000
///   RECEIVE_RESPONSE_TIMEOUT                     S c R  milliseconds; 90000 until it is set, read
///                                                       as -1; no bound of a socket's Receive
///   UPGRADE_TO_WEB_SOCKET                         (R)   no value; the next exchange is an upgrade
///   WEB_SOCKET_RECEIVE_BUFFER_SIZE               S R    bytes, 32768; no limit of messages
///   WEB_SOCKET_SEND_BUFFER_SIZE                  S R    bytes, 32768; below 16 an upgrade fails
///   WEB_SOCKET_CLOSE_TIMEOUT                     W      milliseconds, 10000; 0 and -1 = none
///   WEB_SOCKET_KEEPALIVE_INTERVAL                (W)    milliseconds, 30000, at least 15000
///   CONTEXT_VALUE                                S C R W  what callbacks get
///   HANDLE_TYPE, PARENT_HANDLE                   s c r w
///   SECURITY_FLAGS                               R      SECURITY_FLAG_IGNORE_..., see there
///   SECURE_PROTOCOLS                             (S)    WINHTTP_FLAG_SECURE_PROTOCOL_...
///   DISABLE_FEATURE, ENABLE_FEATURE              (R)    WINHTTP_DISABLE_..., WINHTTP_ENABLE_...
///   REDIRECT_POLICY                              S R    WINHTTP_OPTION_REDIRECT_POLICY_...
///   MAX_HTTP_AUTOMATIC_REDIRECTS                 S R    count, 10
///   MAX_HTTP_STATUS_CONTINUE                     S R    count of 1xx answers, 10
///   MAX_RESPONSE_HEADER_SIZE                     S R    bytes, 65536
///   REJECT_USERPWD_IN_URL                        S R    not 0: such a redirect is refused
///   URL, HTTP_PROTOCOL_USED                      r
///   PROXY                                        S R    WINHTTP_PROXY_INFO, as WinHttpOpen takes
///                                                       it; free the strings of a query with
///                                                       GlobalFree. Never DEFAULT_PROXY when read
///   USERNAME, PASSWORD,                          R      strings, for Basic; the answer to the
///   PROXY_USERNAME, PROXY_PASSWORD                      first 401 or 407 that asks for it
///   CONNECTION_INFO                              r      WINHTTP_CONNECTION_INFO of the last
///                                                       SendRequest; behind a proxy, the proxy's
///   SECURITY_KEY_BITNESS                         r      bits of the key that encrypts
///   SECURITY_CERTIFICATE_STRUCT                  r      WINHTTP_CERTIFICATE_INFO, names with CRLF
///                                                       between their values; free both with
///                                                       LocalFree. These three fail with
///                                                       ERROR_WINHTTP_INCORRECT_HANDLE_STATE before
///                                                       SendRequest, two of them without TLS
///   USER_AGENT                                   S      string
///   WORKER_THREAD_COUNT                          s c r  0
/// Kept and read back without effect: CONNECT_RETRIES, MAX_CONNS_PER_SERVER,
/// MAX_CONNS_PER_1_0_SERVER, AUTOLOGON_POLICY, MAX_RESPONSE_DRAIN_SIZE,
/// ASSURED_NON_BLOCKING_CALLBACKS, ENABLE_HTTP_PROTOCOL, IPV6_FAST_FALLBACK. The options of this
/// library alone are in <sluice/extensions.h>.
// clang-format on
BOOLAPI WinHttpSetOption(_In_opt_ HINTERNET handle, _In_ DWORD option, _In_opt_ LPVOID buffer,
                         _In_ DWORD length);
BOOLAPI WinHttpQueryOption(_In_ HINTERNET handle, _In_ DWORD option, _Out_opt_ LPVOID buffer,
                           _Inout_ LPDWORD length);

/// Sets the function that is told about steps and completions, and the WINHTTP_CALLBACK_FLAG_...
/// mask of what it wants. It runs inside the call that it is about or, for asynchronous handles, on
/// a thread of the library, and may call any function, WinHttpCloseHandle included. Children
/// created afterwards inherit both. NULL ends it; a call in flight on another thread may still run.
/// @param reserved  0.
/// @return the previous function (NULL if none) or WINHTTP_INVALID_STATUS_CALLBACK.
WINHTTPAPI WINHTTP_STATUS_CALLBACK WINAPI
WinHttpSetStatusCallback(_In_ HINTERNET handle, _In_ WINHTTP_STATUS_CALLBACK callback,
                         _In_ DWORD mask, _In_ DWORD_PTR reserved);

/// Sets four time-outs of a session or a request, in milliseconds; 0 and -1 = none.
/// @return FALSE: ERROR_INVALID_PARAMETER for values below -1.
BOOLAPI WinHttpSetTimeouts(_In_ HINTERNET handle, _In_ int resolve, _In_ int connect, _In_ int send,
                           _In_ int receive);

/// Connects and sends the request; blocks. May be called again after a completed exchange.
/// @param headers         added as by WinHttpAddRequestHeaders with ADD and REPLACE; NULL = none.
/// Through a proxy, upgrades and requests over TLS go through a tunnel (CONNECT); what a proxy says
/// that refuses it, a 407 for one, is the response of the request. Proxies get requests without TLS
/// themselves.
/// @param optional        body, sent right behind the head; an upgrade request takes none.
/// @param total_length    length of the whole body: what goes beyond `optional_length` is for
///                        WinHttpWriteData. 0 = `optional_length`, or as long as the application
///                        likes if it has set a Transfer-Encoding header.
/// @param context         non-zero: the request's new context value.
/// @return FALSE: ERROR_WINHTTP_NAME_NOT_RESOLVED, ERROR_WINHTTP_CANNOT_CONNECT,
///         ERROR_WINHTTP_TIMEOUT, ERROR_WINHTTP_CONNECTION_ERROR,
///         ERROR_WINHTTP_OPERATION_CANCELLED, ERROR_INVALID_PARAMETER, ERROR_INVALID_OPERATION
///         (another call is active), ERROR_WINHTTP_SECURE_FAILURE (TLS; what is wrong came with
///         WINHTTP_CALLBACK_STATUS_SECURE_FAILURE), ERROR_WINHTTP_CLIENT_AUTH_CERT_NEEDED, the same
///         two for a proxy (..._PROXY), ERROR_NOT_SUPPORTED (a TLS target and an `https://` proxy),
///         ERROR_WINHTTP_INVALID_URL (a proxy of the environment that cannot be used),
///         ERROR_NOT_ENOUGH_MEMORY (also for an upgrade with a WEB_SOCKET_SEND_BUFFER_SIZE below
///         16), ERROR_WINHTTP_INTERNAL_ERROR.
BOOLAPI WinHttpSendRequest(_In_ HINTERNET request, _In_opt_ LPCWSTR headers,
                           _In_ DWORD headers_length, _In_opt_ LPVOID optional,
                           _In_ DWORD optional_length, _In_ DWORD total_length,
                           _In_ DWORD_PTR context);

/// Sends more of the body that `total_length` of WinHttpSendRequest promised; blocks. The buffer
/// has to stay until it returns, or until WRITE_COMPLETE (info: DWORD*, the bytes).
/// @param written  gets the number of bytes, all or 0; NULL for asynchronous handles.
/// @return FALSE: ERROR_WINHTTP_INCORRECT_HANDLE_STATE (nothing was sent, the response is here, or
///         less than that is left), ERROR_INVALID_PARAMETER, ERROR_INVALID_OPERATION,
///         ERROR_WINHTTP_CONNECTION_ERROR, ERROR_WINHTTP_TIMEOUT (SEND_TIMEOUT without a byte
///         taken), ERROR_WINHTTP_OPERATION_CANCELLED.
BOOLAPI WinHttpWriteData(_In_ HINTERNET request, _In_ LPCVOID buffer, _In_ DWORD to_write,
                         _Out_ LPDWORD written);

/// Says who the user is; for the next WinHttpSendRequest and those after it, until it is called
/// again. A server is told without being asked, a proxy once it has answered 407: read the status,
/// call this, send again. Kept in memory that is overwritten when it is given back.
/// @param target    WINHTTP_AUTH_TARGET_SERVER or _PROXY. Never told to another server that a
///                  redirect leads to.
/// @param scheme    WINHTTP_AUTH_SCHEME_BASIC.
/// @param user      no ':' and no control characters.
/// @param password  may be empty.
/// @param reserved  NULL.
/// @return FALSE: ERROR_INVALID_PARAMETER, ERROR_NOT_SUPPORTED (a scheme of Windows other than
///         Basic), ERROR_NOT_ENOUGH_MEMORY.
BOOLAPI WinHttpSetCredentials(_In_ HINTERNET request, _In_ DWORD target, _In_ DWORD scheme,
                              _In_ LPCWSTR user, _In_ LPCWSTR password, _In_ LPVOID reserved);

/// What a 401 or 407 asks for. Does no I/O.
/// @param supported  WINHTTP_AUTH_SCHEME_..., all that the response names, not only what
///                   WinHttpSetCredentials offers.
/// @param first      the first of them.
/// @param target     who asks: WINHTTP_AUTH_TARGET_....
/// @return FALSE, and nothing written: ERROR_INVALID_OPERATION (no such response),
///         ERROR_WINHTTP_HEADER_NOT_FOUND (it does not say), ERROR_INVALID_PARAMETER.
BOOLAPI WinHttpQueryAuthSchemes(_In_ HINTERNET request, _Out_ LPDWORD supported,
                                _Out_ LPDWORD first, _Out_ LPDWORD target);

/// Waits for the head of the response; follows redirects as the redirect policy says.
/// @param reserved  NULL.
/// @return FALSE: ERROR_WINHTTP_INCORRECT_HANDLE_STATE (nothing was sent),
///         ERROR_WINHTTP_INVALID_SERVER_RESPONSE (not HTTP, or a 101 that breaks RFC 6455 section
///         4.1), ERROR_WINHTTP_HEADER_SIZE_OVERFLOW, ERROR_WINHTTP_HEADER_COUNT_EXCEEDED,
///         ERROR_WINHTTP_REDIRECT_FAILED, ERROR_WINHTTP_UNRECOGNIZED_SCHEME, and those of
///         WinHttpSendRequest.
BOOLAPI WinHttpReceiveResponse(_In_ HINTERNET request, _Reserved_ LPVOID reserved);

/// Reads a header of the response, or of the request with WINHTTP_QUERY_FLAG_REQUEST_HEADERS.
/// @param length  in: room in bytes; out: bytes without the terminator, or, with
///                ERROR_INSUFFICIENT_BUFFER, the room needed with it.
/// @param index   in: which of several headers of that name; out: the next one. NULL = first.
/// @return FALSE: ERROR_WINHTTP_INCORRECT_HANDLE_STATE (no response yet),
///         ERROR_WINHTTP_HEADER_NOT_FOUND, ERROR_INSUFFICIENT_BUFFER, ERROR_INVALID_PARAMETER (also
///         for a level that does not exist), ERROR_WINHTTP_INVALID_HEADER (no number or date).
BOOLAPI WinHttpQueryHeaders(_In_ HINTERNET request, _In_ DWORD info_level, _In_opt_z_ LPCWSTR name,
                            _Out_opt_ LPVOID buffer, _Inout_ LPDWORD length,
                            _Inout_opt_ LPDWORD index);

/// Waits until body bytes can be read; 0 = the body is over. `available` may be NULL.
BOOLAPI WinHttpQueryDataAvailable(_In_ HINTERNET request, _Out_opt_ LPDWORD available);

/// Reads body bytes until the buffer is full or the body is over. `read` may not be NULL.
BOOLAPI WinHttpReadData(_In_ HINTERNET request, _Out_ LPVOID buffer, _In_ DWORD to_read,
                        _Out_ LPDWORD read);

/// Closes a handle of any kind; blocked calls of other threads on it end with
/// ERROR_WINHTTP_OPERATION_CANCELLED. Children stay usable. A WebSocket's connection is dropped
/// without a close frame.
BOOLAPI WinHttpCloseHandle(_In_ HINTERNET handle);

/// Takes a URL apart. Only http and https: other schemes fail with
/// ERROR_WINHTTP_UNRECOGNIZED_SCHEME.
/// @param length  in WCHARs; 0 = up to the NUL.
/// @param flags   ICU_DECODE, ICU_ESCAPE (both need buffers for what they change),
///                ICU_REJECT_USERPWD.
/// @param parts   a component with a buffer is copied and NUL-terminated; one with NULL and a
///                non-zero length becomes a pointer into `url` and a length, not terminated.
/// @return FALSE: ERROR_INVALID_PARAMETER, ERROR_WINHTTP_INVALID_URL,
///         ERROR_WINHTTP_UNRECOGNIZED_SCHEME, ERROR_INSUFFICIENT_BUFFER (lengths become the room
///         needed), ERROR_NOT_ENOUGH_MEMORY.
BOOLAPI WinHttpCrackUrl(_In_ LPCWSTR url, _In_ DWORD length, _In_ DWORD flags,
                        _Inout_ LPURL_COMPONENTS parts);

/// Puts a URL together. `length` counts WCHARs: in the room, out the length without the
/// terminator, or with ERROR_INSUFFICIENT_BUFFER the room needed with it.
BOOLAPI WinHttpCreateUrl(_In_ LPURL_COMPONENTS parts, _In_ DWORD flags, _Out_opt_ LPWSTR url,
                         _Inout_ LPDWORD length);

/// TRUE: WinHTTP works on this platform.
BOOLAPI WinHttpCheckPlatform(void);

/// Makes a WebSocket out of a request that was answered with 101; waits for the answer if
/// WinHttpReceiveResponse was not called. The request's handle may be closed afterwards.
/// @param context  context value of the new handle.
/// @return a handle, or NULL: ERROR_INVALID_OPERATION (no upgrade asked for, status not 101, or
///         already taken), ERROR_NOT_ENOUGH_MEMORY, those of WinHttpReceiveResponse.
WINHTTPAPI HINTERNET WINAPI WinHttpWebSocketCompleteUpgrade(_In_ HINTERNET request,
                                                            _In_opt_ DWORD_PTR context);

/// Sends one frame, whatever its size; blocks until the kernel has all of it. FRAGMENT types open a
/// message or go on with it, MESSAGE types are a message or end it (also with no bytes); both must
/// be of the kind that opened it. The bytes are sent as they are, text is not checked, and the
/// buffer is neither changed nor used after the call.
/// @param type    one of the four data types.
/// @param buffer  NULL only with `length` 0.
/// @param length  in bytes.
/// @return 0, or
///         ERROR_INVALID_PARAMETER         NULL buffer, no data type, or not the kind of the open
///                                         message; the message stays open
///         ERROR_INVALID_OPERATION         another Send is active; after Shutdown or Close; the
///                                         connection failed earlier for another reason than below
///         ERROR_NOT_ENOUGH_MEMORY, ERROR_WINHTTP_INTERNAL_ERROR (no random masking key)
///                                         nothing was sent, the socket is as before
///         ERROR_WINHTTP_CONNECTION_ERROR  the connection is broken
///         ERROR_WINHTTP_TIMEOUT           the peer took not one byte for SEND_TIMEOUT of the
///                                         request; the connection has failed
///         ERROR_WINHTTP_OPERATION_CANCELLED  the handle was closed meanwhile.
/// Threads: beside a Receive; one Send at a time. RFC 6455 section 5.
WINHTTPAPI DWORD WINAPI WinHttpWebSocketSend(_In_ HINTERNET socket,
                                             _In_ WINHTTP_WEB_SOCKET_BUFFER_TYPE type,
                                             _In_reads_opt_(length) PVOID buffer,
                                             _In_ DWORD length);

/// Waits for the next piece of a message and copies it; never more than one frame, never waits to
/// fill the buffer. There is no time-out. Pings are answered on the way, and while nothing comes an
/// empty pong is sent every WEB_SOCKET_KEEPALIVE_INTERVAL.
/// @param buffer      written from the front; what lies behind `*bytes_read` is not touched on
///                    success and unspecified after an error.
/// @param length      in bytes, at least 1.
/// @param bytes_read  0 is no end: empty frames and messages exist.
/// @param type        BINARY or UTF8, from the frame that opened the message; MESSAGE if these
///                    bytes are its end, else FRAGMENT; CLOSE with 0 bytes for the peer's close
///                    frame (see WinHttpWebSocketQueryCloseStatus), which this call does not
///                    answer. Text is valid UTF-8 as a whole message; a piece may end inside a
///                    code point.
/// @return 0, or (bytes_read and type are not written then)
///         ERROR_INVALID_PARAMETER: NULL pointer or `length` 0.
///         ERROR_INVALID_OPERATION: another Receive is active, CLOSE was delivered, after Close.
///         ERROR_WINHTTP_OPERATION_CANCELLED: Close was called or the handle closed meanwhile.
///         ERROR_WINHTTP_CONNECTION_ERROR: the stream ended without a close frame, or was reset.
///         ERROR_WINHTTP_INVALID_SERVER_RESPONSE: the peer broke RFC 6455; it is disconnected.
///         ERROR_WINHTTP_TIMEOUT: a Send on this socket had timed out.
///         ERROR_NOT_ENOUGH_MEMORY: nothing is lost, the call may be repeated.
///         The connection's errors are repeated by every later call; data that came before them is
///         delivered first.
/// Threads: beside a Send; one Receive at a time, from any thread each. Cost with data buffered:
/// one copy, no system call, no allocation.
WINHTTPAPI DWORD WINAPI WinHttpWebSocketReceive(_In_ HINTERNET socket, _Out_ PVOID buffer,
                                                _In_ DWORD length, _Out_ DWORD* bytes_read,
                                                _Out_ WINHTTP_WEB_SOCKET_BUFFER_TYPE* type);

/// Sends a close frame and ends sending; receiving goes on until CLOSE. Waits for a Send that
/// another thread has in progress.
/// @param status         1000-1003, 1007-1014, 1016-4999, or 1005 for a close frame without payload
///                       (and without reason).
/// @param reason         bytes, sent as they are; NULL only with `reason_length` 0.
/// @param reason_length  0 to 123.
/// @return 0, or ERROR_INVALID_PARAMETER (the socket is as before), ERROR_INVALID_OPERATION (after
///         a Shutdown or Close); every other code means that the connection is gone:
///         ERROR_WINHTTP_CONNECTION_ERROR, ERROR_WINHTTP_TIMEOUT (SEND_TIMEOUT), what failed it
///         earlier, ERROR_WINHTTP_OPERATION_CANCELLED (the handle was closed),
///         ERROR_NOT_ENOUGH_MEMORY, ERROR_WINHTTP_INTERNAL_ERROR.
WINHTTPAPI DWORD WINAPI WinHttpWebSocketShutdown(_In_ HINTERNET socket, _In_ USHORT status,
                                                 _In_reads_opt_(reason_length) PVOID reason,
                                                 _In_ DWORD reason_length);

/// Ends a blocked Receive of another thread, sends a close frame unless Shutdown did, and reads and
/// drops data until the peer's close frame; does not wait when that was received before. Bounded by
/// WEB_SOCKET_CLOSE_TIMEOUT. The handle stays open. Parameters as WinHttpWebSocketShutdown; after a
/// Shutdown they are checked and not used.
/// @return 0, or ERROR_INVALID_PARAMETER (the socket is as before), ERROR_INVALID_OPERATION (after
///         a Close, or a Send in progress); every other code means that the connection is gone:
///         ERROR_WINHTTP_TIMEOUT, ERROR_WINHTTP_CONNECTION_ERROR (FIN or reset instead of a close
///         frame), ERROR_WINHTTP_INVALID_SERVER_RESPONSE, what failed it earlier,
///         ERROR_WINHTTP_OPERATION_CANCELLED (the handle was closed), ERROR_NOT_ENOUGH_MEMORY,
///         ERROR_WINHTTP_INTERNAL_ERROR.
WINHTTPAPI DWORD WINAPI WinHttpWebSocketClose(_In_ HINTERNET socket, _In_ USHORT status,
                                              _In_reads_opt_(reason_length) PVOID reason,
                                              _In_ DWORD reason_length);

/// The peer's close status and reason, once its close frame was delivered by Receive or Close.
/// Never blocks; may be repeated; later calls of our side do not change the answer.
/// @param status                  1005 if the close frame had no payload.
/// @param reason                  NULL only with `reason_length` 0; gets no terminator.
/// @param reason_length           room in bytes; 123 is always enough.
/// @param reason_length_consumed  the length of the reason, 0 to 123.
/// @return 0; ERROR_INSUFFICIENT_BUFFER (the status and the length are set, the reason is not);
///         ERROR_INVALID_PARAMETER; ERROR_INVALID_OPERATION (no close frame was delivered);
///         ERROR_WINHTTP_INVALID_SERVER_RESPONSE (it was invalid).
WINHTTPAPI DWORD WINAPI WinHttpWebSocketQueryCloseStatus(_In_ HINTERNET socket,
                                                         _Out_ USHORT* status,
                                                         _Out_opt_ PVOID reason,
                                                         _In_ DWORD reason_length,
                                                         _Out_ DWORD* reason_length_consumed);

#ifdef __cplusplus
}
#endif

// NOLINTEND(bugprone-reserved-identifier)
