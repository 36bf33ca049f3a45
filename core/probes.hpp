#pragma once

// Static probes for perf, bpftrace, SystemTap and gdb: places in the receive path that can be
// looked at while a program runs (docs/diagnostics.md lists them with their arguments). With the
// option SLUICE_WITH_USDT each is a nop and a note in the ELF file that says where the arguments
// are, both behind a test of a counter of those who watch: so the fast path neither computes nor
// keeps arguments for nobody. Without the option nothing is compiled at all.
//
// `rx` is the same address in every probe of a connection and unique while that lives: its inbox.

#ifdef SLUICE_WITH_USDT
#define _SDT_HAS_SEMAPHORES 1
#include <sys/sdt.h>

// Written by the kernel when a tool attaches or leaves; named as sys/sdt.h wants them.
// Hidden: read where they lie, not through a table.
extern "C" {
[[gnu::visibility("hidden")]] extern unsigned short sluice_handshake_semaphore;
[[gnu::visibility("hidden")]] extern unsigned short sluice_rx_slice_semaphore;
[[gnu::visibility("hidden")]] extern unsigned short sluice_frame_semaphore;
[[gnu::visibility("hidden")]] extern unsigned short sluice_deliver_semaphore;
[[gnu::visibility("hidden")]] extern unsigned short sluice_starved_semaphore;
[[gnu::visibility("hidden")]] extern unsigned short sluice_close_semaphore;
}

#define SLUICE_PROBE(name, fire)                                                                   \
  do {                                                                                             \
    if (__builtin_expect(sluice_##name##_semaphore != 0, 0)) {                                     \
      fire;                                                                                        \
    }                                                                                              \
  } while (false)
#define SLUICE_PROBE2(name, a, b) SLUICE_PROBE(name, DTRACE_PROBE2(sluice, name, a, b))
#define SLUICE_PROBE3(name, a, b, c) SLUICE_PROBE(name, DTRACE_PROBE3(sluice, name, a, b, c))
#define SLUICE_PROBE4(name, a, b, c, d) SLUICE_PROBE(name, DTRACE_PROBE4(sluice, name, a, b, c, d))
#else
#define SLUICE_PROBE2(name, a, b) static_cast<void>(0)
#define SLUICE_PROBE3(name, a, b, c) static_cast<void>(0)
#define SLUICE_PROBE4(name, a, b, c, d) static_cast<void>(0)
#endif
