#include "winhttp/last_error.hpp"

namespace {

constinit thread_local DWORD last_error = ERROR_SUCCESS;

} // namespace

DWORD WINAPI GetLastError(void) {
  return last_error;
}

VOID WINAPI SetLastError(DWORD code) {
  last_error = code;
}
