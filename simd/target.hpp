#pragma once

// SLUICE_TARGET_BEGIN(...) ... SLUICE_TARGET_END: functions defined between the two are compiled
// for the named instruction sets, whatever the command line says. The standard headers must be
// included before, so that their inline functions stay baseline code: with -mavx2 on the command
// line the linker might keep such a copy for the whole program, and an older CPU would meet it.

#if defined(__clang__)
#define SLUICE_PRAGMA(x) _Pragma(#x)
#define SLUICE_TARGET_BEGIN(isa)                                                                   \
  SLUICE_PRAGMA(clang attribute push(__attribute__((target(isa))), apply_to = function))
#define SLUICE_TARGET_END _Pragma("clang attribute pop")
#else
#define SLUICE_PRAGMA(x) _Pragma(#x)
#define SLUICE_TARGET_BEGIN(isa) _Pragma("GCC push_options") SLUICE_PRAGMA(GCC target(isa))
#define SLUICE_TARGET_END _Pragma("GCC pop_options")
#endif
