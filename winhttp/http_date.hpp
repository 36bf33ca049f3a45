#pragma once

#include <sluice/windows.h>

#include <string_view>

namespace sluice::winhttp {

/// Reads an HTTP date in any of its three forms (RFC 9110 section 5.6.7): as it is preferred, and
/// the obsolete ones of RFC 850 and asctime(). UTC; the day of the week is computed, not believed.
[[nodiscard]] bool parse_http_date(std::string_view text, SYSTEMTIME& date) noexcept;

} // namespace sluice::winhttp
