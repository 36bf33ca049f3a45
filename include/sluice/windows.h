/// The part of the Windows base headers that a WinHTTP program needs to compile on Linux: types,
/// calling-convention words, annotations, the last error. Our own text, C11 and C++20.
///
/// Sizes are those of 64-bit Windows, except WCHAR: it is the platform's wchar_t (32 bits, one code
/// point), so that L"..." literals, std::wstring and the wcs* functions keep working. Byte counts
/// of wide strings are therefore multiples of sizeof(WCHAR) == 4.
///
/// Not here on purpose: the macros min and max, __in and __out, which break the C++ library.
#pragma once

#include <sluice/export.h>
#include <sluice/winerror.h>

#include <stddef.h>
#include <stdint.h>
#include <wchar.h> /* on Windows <stdio.h> and <string.h> declare wprintf() and wcslen() */

// The names are those of Windows.
// NOLINTBEGIN(bugprone-reserved-identifier)

#ifdef __cplusplus
extern "C" {
#endif

/* Calling conventions and storage words: nothing on Linux. */
#define WINAPI
#define CALLBACK
#define APIENTRY
#define STDAPICALLTYPE
#ifndef __cdecl
#define __cdecl
#endif
#ifndef __stdcall
#define __stdcall
#endif
#define FAR
#define CONST const

/* Annotations of the Windows headers: nothing on Linux. */
#define IN
#define OUT
#define OPTIONAL
#define _In_
#define _In_z_
#define _In_opt_
#define _In_opt_z_
#define _In_reads_(count)
#define _In_reads_opt_(count)
#define _In_reads_bytes_(bytes)
#define _In_reads_bytes_opt_(bytes)
#define _In_range_(low, high)
#define _Out_
#define _Out_opt_
#define _Out_writes_(count)
#define _Out_writes_opt_(count)
#define _Out_writes_to_(count, used)
#define _Out_writes_to_opt_(count, used)
#define _Out_writes_bytes_(bytes)
#define _Out_writes_bytes_opt_(bytes)
#define _Out_writes_bytes_to_(bytes, used)
#define _Out_writes_bytes_to_opt_(bytes, used)
#define _Outptr_
#define _Outptr_opt_
#define _Outptr_result_maybenull_
#define _Inout_
#define _Inout_opt_
#define _Inout_updates_(count)
#define _Inout_updates_bytes_(bytes)
#define _Reserved_
#define _Ret_maybenull_
#define _Success_(condition)
#define _Check_return_
#define _Must_inspect_result_
#define _Pre_satisfies_(condition)
#define _Post_satisfies_(condition)
#define _When_(condition, annotation)
#define _Printf_format_string_
#define _Null_terminated_
#define _Use_decl_annotations_

/* Base types. VOID is a macro, so that `VOID f(VOID)` is a prototype in C. */
#define VOID void
typedef char CHAR;
typedef short SHORT;
typedef int INT;
typedef int LONG;
typedef long long LONGLONG;
typedef long long LONG64;
typedef unsigned char UCHAR;
typedef unsigned short USHORT;
typedef unsigned int UINT;
typedef unsigned int ULONG;
typedef unsigned long long ULONGLONG;
typedef unsigned long long ULONG64;
typedef unsigned long long DWORDLONG;
typedef unsigned long long DWORD64;
typedef unsigned char BYTE;
typedef unsigned char BOOLEAN;
typedef unsigned short WORD;
typedef unsigned int DWORD; /* 32 bits; unsigned long has 64 here */
typedef float FLOAT;
typedef int BOOL;
typedef int32_t HRESULT;
typedef wchar_t WCHAR; /* decision X-01 */
typedef WCHAR TCHAR;
typedef uintptr_t ULONG_PTR;
typedef uintptr_t DWORD_PTR;
typedef uintptr_t UINT_PTR;
typedef intptr_t LONG_PTR;
typedef intptr_t INT_PTR;
typedef size_t SIZE_T;
typedef ptrdiff_t SSIZE_T;
typedef int8_t INT8;
typedef int16_t INT16;
typedef int32_t INT32;
typedef int64_t INT64;
typedef uint8_t UINT8;
typedef uint16_t UINT16;
typedef uint32_t UINT32;
typedef uint64_t UINT64;

typedef void* PVOID;
typedef void* LPVOID;
typedef const void* LPCVOID;
typedef void* HANDLE;
typedef HANDLE HGLOBAL;
typedef HANDLE HLOCAL;
typedef HANDLE HINSTANCE;
typedef HANDLE HMODULE;
typedef HANDLE* PHANDLE;
typedef HANDLE* LPHANDLE;

typedef CHAR* PCHAR;
typedef CHAR* PSTR;
typedef CHAR* LPSTR;
typedef const CHAR* PCSTR;
typedef const CHAR* LPCSTR;
typedef WCHAR* PWCHAR;
typedef WCHAR* PWSTR;
typedef WCHAR* LPWSTR;
typedef const WCHAR* PCWSTR;
typedef const WCHAR* LPCWSTR;
typedef LPWSTR PTSTR;
typedef LPWSTR LPTSTR;
typedef LPCWSTR PCTSTR;
typedef LPCWSTR LPCTSTR;

typedef BYTE* PBYTE;
typedef BYTE* LPBYTE;
typedef BOOL* PBOOL;
typedef BOOL* LPBOOL;
typedef INT* PINT;
typedef INT* LPINT;
typedef LONG* PLONG;
typedef LONG* LPLONG;
typedef ULONG* PULONG;
typedef USHORT* PUSHORT;
typedef WORD* PWORD;
typedef WORD* LPWORD;
typedef DWORD* PDWORD;
typedef DWORD* LPDWORD;
typedef DWORD_PTR* PDWORD_PTR;
typedef ULONG_PTR* PULONG_PTR;

typedef struct _FILETIME {
  DWORD dwLowDateTime;
  DWORD dwHighDateTime;
} FILETIME, *PFILETIME, *LPFILETIME;

typedef struct _SYSTEMTIME {
  WORD wYear;
  WORD wMonth;     /* 1 to 12 */
  WORD wDayOfWeek; /* 0 = Sunday */
  WORD wDay;
  WORD wHour;
  WORD wMinute;
  WORD wSecond;
  WORD wMilliseconds;
} SYSTEMTIME, *PSYSTEMTIME, *LPSYSTEMTIME;

#ifndef TRUE
#define TRUE 1
#endif
#ifndef FALSE
#define FALSE 0
#endif
#define INFINITE 0xFFFFFFFFu
#ifndef MAX_PATH
#define MAX_PATH 260
#endif
#define MAXDWORD 0xFFFFFFFFu
#define INVALID_HANDLE_VALUE SLUICE_POINTER_CAST(HANDLE, SLUICE_CAST(LONG_PTR, -1))

#define TEXT(literal) L##literal
#define ARRAYSIZE(array) (sizeof(array) / sizeof((array)[0]))
#define UNREFERENCED_PARAMETER(parameter) SLUICE_CAST(void, parameter)
#define MAKEWORD(low, high)                                                                        \
  SLUICE_CAST(WORD, (SLUICE_CAST(DWORD, low) & 0xFFu) | ((SLUICE_CAST(DWORD, high) & 0xFFu) << 8))
#define MAKELONG(low, high)                                                                        \
  SLUICE_CAST(LONG,                                                                                \
              (SLUICE_CAST(DWORD, low) & 0xFFFFu) | ((SLUICE_CAST(DWORD, high) & 0xFFFFu) << 16))
#define LOWORD(value) SLUICE_CAST(WORD, SLUICE_CAST(DWORD_PTR, value) & 0xFFFFu)
#define HIWORD(value) SLUICE_CAST(WORD, (SLUICE_CAST(DWORD_PTR, value) >> 16) & 0xFFFFu)
#define LOBYTE(value) SLUICE_CAST(BYTE, SLUICE_CAST(DWORD_PTR, value) & 0xFFu)
#define HIBYTE(value) SLUICE_CAST(BYTE, (SLUICE_CAST(DWORD_PTR, value) >> 8) & 0xFFu)
#define ZeroMemory(destination, bytes)                                                             \
  SLUICE_CAST(void, __builtin_memset((destination), 0, (bytes)))
#define FillMemory(destination, bytes, value)                                                      \
  SLUICE_CAST(void, __builtin_memset((destination), (value), (bytes)))
#define CopyMemory(destination, source, bytes)                                                     \
  SLUICE_CAST(void, __builtin_memcpy((destination), (source), (bytes)))
#define MoveMemory(destination, source, bytes)                                                     \
  SLUICE_CAST(void, __builtin_memmove((destination), (source), (bytes)))

/// The calling thread's last error: 0 in a new thread, and after every WinHTTP function that
/// returns a handle or a BOOL and succeeded. The WinHttpWebSocket functions that return a code do
/// not touch it.
SLUICE_EXPORT DWORD WINAPI GetLastError(void);
SLUICE_EXPORT VOID WINAPI SetLastError(_In_ DWORD code);

/// Frees memory that a query handed to the caller (the strings of WINHTTP_PROXY_INFO). NULL is
/// allowed. Returns NULL. Any thread.
SLUICE_EXPORT HGLOBAL WINAPI GlobalFree(_In_opt_ HGLOBAL memory);
SLUICE_EXPORT HLOCAL WINAPI LocalFree(_In_opt_ HLOCAL memory);

#ifdef __cplusplus
}
#endif

// NOLINTEND(bugprone-reserved-identifier)
