#include "core/memory.hpp"

#include <sluice/windows.h>

HGLOBAL WINAPI GlobalFree(HGLOBAL memory) {
  sluice::memory::release(memory);
  return nullptr;
}

HLOCAL WINAPI LocalFree(HLOCAL memory) {
  sluice::memory::release(memory);
  return nullptr;
}
