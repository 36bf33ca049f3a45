// A program whose main() lies in an archive of somebody else.
#include <winhttp.h>

int run_all();

int run_all() {
  return WinHttpCheckPlatform() ? 0 : 1;
}
