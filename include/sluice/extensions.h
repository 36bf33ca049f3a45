/// What this library offers beside the WinHTTP API: options of our own, in a range that WinHTTP
/// does not use. C11 and C++20. A program that is also built for Windows guards their use.
#pragma once

#include <sluice/winhttp.h>

/// Name of the I/O backend that serves the calling thread: L"io_uring" or L"epoll". A synchronous
/// handle is served on the thread that calls, so different threads may get different answers; its
/// Receive sleeps in recv() itself, whichever it is.
/// WinHttpQueryOption on a handle of any kind: a NUL-terminated WCHAR string, counted in bytes as
/// every string option. Cannot be set. ERROR_WINHTTP_INTERNAL_ERROR or ERROR_NOT_ENOUGH_MEMORY if
/// the thread has no backend yet and none can be made.
#define SLUICE_OPTION_BACKEND_NAME 0x10000u

/// Name of the kernels that copy, unmask and validate payload in this process: L"scalar", L"avx2"
/// and so on. WinHttpQueryOption as above; cannot be set.
#define SLUICE_OPTION_KERNEL_NAME 0x10001u

/// Whom requests with WINHTTP_FLAG_SECURE trust, and who they are. WinHttpSetOption on a session;
/// each counts for what is sent from then on, and an option set again replaces its own value only.
/// What cannot be read or used fails with ERROR_INVALID_PARAMETER and changes nothing; other kinds
/// of handles give ERROR_WINHTTP_INCORRECT_HANDLE_TYPE, a query ERROR_INVALID_PARAMETER.
///
/// The first three add up; with any of them the system's certificates are not trusted any more. A
/// buffer of NULL and length 0 takes the value back. Text is WCHAR, its length in characters.
#define SLUICE_OPTION_TLS_CA_FILE 0x10010u      /* name of a PEM file of certificates */
#define SLUICE_OPTION_TLS_CA_DIRECTORY 0x10011u /* name of a directory as c_rehash makes it */
#define SLUICE_OPTION_TLS_CA_PEM 0x10012u       /* PEM certificates, length in bytes */
/// Name of a PEM file of revocation lists, for requests that enable WINHTTP_ENABLE_SSL_REVOCATION.
/// Lists are never fetched from the network: a certificate whose issuer's list is not in the file
/// is WINHTTP_CALLBACK_STATUS_FLAG_CERT_REV_FAILED.
#define SLUICE_OPTION_TLS_REVOCATION_FILE 0x10013u
/// A SLUICE_CLIENT_CERTIFICATE, copied by the call; NULL and 0: none.
#define SLUICE_OPTION_TLS_CLIENT_CERTIFICATE 0x10014u
/// A DWORD; not 0: the keys of connections are appended to the file that the environment variable
/// SSLKEYLOGFILE names, so that packet analysers can read the traffic. Off by default.
#define SLUICE_OPTION_TLS_KEY_LOG 0x10015u

/// WINHTTP_FLAG_SECURE_PROTOCOL_TLS1_2 or _TLS1_3, 0 without TLS: what the connection of the last
/// SendRequest speaks. WinHttpQueryOption on a request, a DWORD; cannot be set.
#define SLUICE_OPTION_TLS_VERSION 0x10016u

/// The certificate that a client shows when a server asks for one: PEM, leaf first and then its
/// chain, and the private key, without a passphrase. Each from a file or from memory, file first.
typedef struct SLUICE_CLIENT_CERTIFICATE {
  LPCWSTR CertificateFile;
  LPCWSTR PrivateKeyFile;
  LPCVOID CertificatePem;
  DWORD CertificatePemLength; /* bytes */
  LPCVOID PrivateKeyPem;
  DWORD PrivateKeyPemLength; /* bytes */
} SLUICE_CLIENT_CERTIFICATE;

/// How many threads serve the WebSockets of an asynchronous session: a DWORD from 1 (the default)
/// to SLUICE_MAX_LOOP_THREADS. Each socket belongs to one of them for its life, in turn, and its
/// READ_COMPLETE comes on that thread. WinHttpSetOption and WinHttpQueryOption on a session;
/// sockets that exist stay where they are. ERROR_INVALID_PARAMETER for another number,
/// ERROR_INSUFFICIENT_BUFFER for another length, ERROR_WINHTTP_INCORRECT_HANDLE_TYPE elsewhere. A
/// synchronous session keeps the value and does nothing with it.
#define SLUICE_OPTION_LOOP_THREADS 0x10002u
#define SLUICE_MAX_LOOP_THREADS 64u
