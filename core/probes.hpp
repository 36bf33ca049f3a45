#pragma once

// Static probes for perf, bpftrace, SystemTap and gdb: places in the receive path that can be
// looked at while a program runs (docs/diagnostics.md lists them with their arguments). With the
// option SLUICE_WITH_USDT each is one nop and a note in the ELF file that says where the arguments
// are; without it nothing is compiled at all, arguments included.
//
// `rx` is the same address in every probe of a connection and unique while that lives: its inbox.

#ifdef SLUICE_WITH_USDT
#include <sys/sdt.h>
#define SLUICE_PROBE2(name, a, b) DTRACE_PROBE2(sluice, name, a, b)
#define SLUICE_PROBE3(name, a, b, c) DTRACE_PROBE3(sluice, name, a, b, c)
#define SLUICE_PROBE4(name, a, b, c, d) DTRACE_PROBE4(sluice, name, a, b, c, d)
#else
#define SLUICE_PROBE2(name, a, b) static_cast<void>(0)
#define SLUICE_PROBE3(name, a, b, c) static_cast<void>(0)
#define SLUICE_PROBE4(name, a, b, c, d) static_cast<void>(0)
#endif
