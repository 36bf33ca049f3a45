#pragma once

/// Marks what the library offers to programs; everything else is hidden (-fvisibility=hidden).
#if defined(__GNUC__)
#define SLUICE_EXPORT __attribute__((visibility("default")))
#else
#define SLUICE_EXPORT
#endif

/// Casts of the macros in the Windows headers, without a warning in either language.
#ifdef __cplusplus
#define SLUICE_CAST(type, value) (static_cast<type>(value))
#define SLUICE_POINTER_CAST(type, value) (reinterpret_cast<type>(value))
#else
#define SLUICE_CAST(type, value) ((type)(value))
#define SLUICE_POINTER_CAST(type, value) ((type)(value))
#endif
