// Without the compatibility folder: only <sluice/...> is on the include path.
#include <sluice/winhttp.h>

#if __has_include(<winhttp.h>)
#error "sluice::sluice must not offer <winhttp.h>"
#endif

int main() {
  const HINTERNET session = WinHttpOpen(nullptr, WINHTTP_ACCESS_TYPE_NO_PROXY, nullptr, nullptr, 0);
  const bool opened = session != nullptr;
  return opened && WinHttpCloseHandle(session) && !WinHttpCloseHandle(session) &&
                 GetLastError() == ERROR_INVALID_HANDLE
             ? 0
             : 1;
}
