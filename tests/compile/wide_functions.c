/* A Windows program gets the wide functions from <stdio.h> and <string.h>. */
#include <WinHttp.h>
#include <Windows.h>

#include <stdio.h>
#include <string.h>

int wide_functions(const WCHAR* text);

int wide_functions(const WCHAR* text) {
  return wprintf(L"%ls\n", text) + (int)wcslen(text);
}
