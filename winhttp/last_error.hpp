#pragma once

#include <sluice/winhttp.h>

namespace sluice::winhttp {

/// Ends a function that returns BOOL: sets the last error, 0 on success (HND-19).
inline BOOL finish(DWORD code) noexcept {
  SetLastError(code);
  return code == ERROR_SUCCESS ? TRUE : FALSE;
}

/// Ends a function that returns a handle.
inline HINTERNET finish(DWORD code, HINTERNET made) noexcept {
  SetLastError(code);
  return code == ERROR_SUCCESS ? made : nullptr;
}

} // namespace sluice::winhttp
