#pragma once

#include "core/error.hpp"

namespace sluice::io {

/// What an errno value (positive) means for an open connection or for the library as such.
[[nodiscard]] error error_from_errno(int number) noexcept;

/// What the errno value of a failed connect means: cannot_connect, timed_out, or a local shortage.
[[nodiscard]] error connect_error_from_errno(int number) noexcept;

} // namespace sluice::io
