#pragma once

// SLUICE_TARGET_BEGIN(isa) ... SLUICE_TARGET_END: functions between the two are compiled for that
// instruction set, whatever the command line says. Standard headers and simd/generic/utf8_state.hpp
// are included before, so that their inline functions stay baseline code: with -mavx2 on the
// command line the linker could keep such a copy for the whole program, and an older CPU meet it.

#define SLUICE_PRAGMA(x) _Pragma(#x)
#if defined(__clang__)
#define SLUICE_TARGET_BEGIN(isa)                                                                   \
  SLUICE_PRAGMA(clang attribute push(__attribute__((target(isa))), apply_to = function))
#define SLUICE_TARGET_END SLUICE_PRAGMA(clang attribute pop)
#else
#define SLUICE_TARGET_BEGIN(isa) SLUICE_PRAGMA(GCC push_options) SLUICE_PRAGMA(GCC target(isa))
#define SLUICE_TARGET_END SLUICE_PRAGMA(GCC pop_options)
#endif

// The vector types are one register each and must never be passed through memory.
#define SLUICE_INLINE __attribute__((always_inline)) inline
#define SLUICE_NOINLINE __attribute__((noinline))

// Before a loop that compilers would unroll until its constants no longer fit into 16 registers.
#if defined(__clang__)
#define SLUICE_UNROLL_TWICE _Pragma("clang loop unroll_count(2)")
#else
#define SLUICE_UNROLL_TWICE _Pragma("GCC unroll 2")
#endif
