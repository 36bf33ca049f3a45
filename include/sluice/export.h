#pragma once

/// Marks what the library offers to programs; everything else is hidden (-fvisibility=hidden).
#if defined(__GNUC__)
#define SLUICE_EXPORT __attribute__((visibility("default")))
#else
#define SLUICE_EXPORT
#endif
