/// What this library offers beside the WinHTTP API: options of our own, in a range that WinHTTP
/// does not use. C11 and C++20. A program that is also built for Windows guards their use.
#pragma once

#include <sluice/winhttp.h>

/// Name of the I/O backend that serves the calling thread: L"io_uring" or L"epoll". A synchronous
/// handle is served on the thread that calls, so different threads may get different answers.
/// WinHttpQueryOption on a handle of any kind: a NUL-terminated WCHAR string, counted in bytes as
/// every string option. Cannot be set. ERROR_WINHTTP_INTERNAL_ERROR or ERROR_NOT_ENOUGH_MEMORY if
/// the thread has no backend yet and none can be made.
#define SLUICE_OPTION_BACKEND_NAME 0x10000u

/// Name of the kernels that copy, unmask and validate payload in this process: L"scalar", L"avx2"
/// and so on. WinHttpQueryOption as above; cannot be set.
#define SLUICE_OPTION_KERNEL_NAME 0x10001u

/// How many threads serve the WebSockets of an asynchronous session: a DWORD from 1 (the default)
/// to SLUICE_MAX_LOOP_THREADS. Each socket belongs to one of them for its life, in turn, and its
/// READ_COMPLETE comes on that thread. WinHttpSetOption and WinHttpQueryOption on a session;
/// sockets that exist stay where they are. ERROR_INVALID_PARAMETER for another number,
/// ERROR_INSUFFICIENT_BUFFER for another length, ERROR_WINHTTP_INCORRECT_HANDLE_TYPE elsewhere. A
/// synchronous session keeps the value and does nothing with it.
#define SLUICE_OPTION_LOOP_THREADS 0x10002u
#define SLUICE_MAX_LOOP_THREADS 64u
