#include <WinHttp.h>
#include <Windows.h>

#include <stdio.h>
#include <string.h>

size_t wide_functions_of_cxx(const WCHAR* text);

size_t wide_functions_of_cxx(const WCHAR* text) {
  wprintf(L"%ls\n", text);
  return wcslen(text);
}
