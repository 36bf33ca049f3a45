#include "core/probes.hpp"

#ifdef SLUICE_WITH_USDT

// The section that sys/sdt.h keeps such counters in. The kernel writes them from outside.
#define SLUICE_SEMAPHORE(name)                                                                     \
  [[gnu::used, gnu::section(".probes")]] unsigned short sluice_##name##_semaphore = 0

SLUICE_SEMAPHORE(handshake);
SLUICE_SEMAPHORE(rx_slice);
SLUICE_SEMAPHORE(frame);
SLUICE_SEMAPHORE(deliver);
SLUICE_SEMAPHORE(starved);
SLUICE_SEMAPHORE(close);

#endif
