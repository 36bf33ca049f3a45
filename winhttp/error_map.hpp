#pragma once

#include "core/error.hpp"

#include <sluice/winhttp.h>

namespace sluice::winhttp {

/// The Win32 code for a library error; ERROR_SUCCESS for none. The only place where the two meet.
[[nodiscard]] DWORD to_win32(error e) noexcept;

} // namespace sluice::winhttp
