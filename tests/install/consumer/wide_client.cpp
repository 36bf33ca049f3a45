// C++20 that starts at wmain(), as Windows programs do; main() comes from sluice::winhttp and
// decodes the arguments.
#include <windows.h>
#include <winhttp.h>

#include <cstdio>
#include <string>

int wmain(int argc, wchar_t** argv) {
  if (argc != 3 || std::wstring(argv[1]) != L"gr\u00fcn" || std::wstring(argv[2]) != L"second") {
    std::printf("arguments did not arrive: %d\n", argc);
    return 1;
  }
  URL_COMPONENTS parts = {};
  parts.dwStructSize = sizeof(parts);
  parts.dwHostNameLength = static_cast<DWORD>(-1);
  parts.dwUrlPathLength = static_cast<DWORD>(-1);
  if (!WinHttpCrackUrl(L"http://localhost:8080/feed", 0, 0, &parts)) {
    std::printf("WinHttpCrackUrl: %u\n", GetLastError());
    return 1;
  }
  return parts.nPort == 8080 ? 0 : 1;
}
