// Annotations, calling conventions and pragmas as Windows sources carry them: all without effect.
#include <WinHttp.h>
#include <Windows.h>

namespace {

_Success_(return != FALSE) BOOL WINAPI
    annotated(_In_ HINTERNET handle, IN DWORD count, _In_reads_(count) const BYTE* bytes,
              _Out_writes_bytes_to_opt_(count, *used) OUT PVOID to, _Inout_opt_ LPDWORD used,
              _Reserved_ LPVOID reserved) {
  UNREFERENCED_PARAMETER(handle);
  UNREFERENCED_PARAMETER(reserved);
  if (to != NULL && used != NULL) {
    CopyMemory(to, bytes, count);
    *used = count;
    return TRUE;
  }
  return FALSE;
}

VOID CALLBACK on_status(_In_ HINTERNET handle, _In_ DWORD_PTR context, _In_ DWORD status,
                        _In_opt_ LPVOID info, _In_ DWORD info_length) {
  UNREFERENCED_PARAMETER(handle);
  UNREFERENCED_PARAMETER(context);
  UNREFERENCED_PARAMETER(info);
  if (status == WINHTTP_CALLBACK_STATUS_READ_COMPLETE &&
      info_length == sizeof(WINHTTP_WEB_SOCKET_STATUS)) {
    SetLastError(ERROR_SUCCESS);
  }
}

int __cdecl with_convention() {
  BYTE from[4] = {1, 2, 3, 4};
  BYTE to[4];
  DWORD used = 0;
  ZeroMemory(to, sizeof(to));
  FillMemory(to, sizeof(to), 0xFF);
  MoveMemory(to, from, sizeof(to));
  const WINHTTP_STATUS_CALLBACK callback = on_status;
  return annotated(NULL, 4, from, to, &used, NULL) != FALSE &&
                 callback != WINHTTP_INVALID_STATUS_CALLBACK &&
                 INVALID_HANDLE_VALUE != static_cast<HANDLE>(NULL)
             ? 0
             : 1;
}

} // namespace

int annotated_sources() {
  return with_convention();
}
