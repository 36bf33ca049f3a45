#pragma once

#include "core/memory.hpp"

#include <sluice/winhttp.h>

#include <string_view>

namespace sluice::winhttp {

/// A host as it may stand in a request or be looked up, without brackets and port: ASCII, not
/// empty, nothing that could end a host.
[[nodiscard]] bool is_host(std::string_view host) noexcept;

/// Appends the host `host`, UTF-8 without brackets and port, in the form that the resolver, the
/// Host field, SNI and certificates have it in: ASCII stays as it is, another name becomes its
/// A-labels (RFC 5890 section 2.3.2.1) as browsers make them, by UTS 46 without the transitional
/// mappings. ERROR_WINHTTP_INVALID_URL: not UTF-8, nothing that is_host() allows, or a name that
/// IDNA does not; any name outside ASCII where the library was built without libidn2 (decision
/// ERROR_NOT_ENOUGH_MEMORY. After both, nothing is appended.
[[nodiscard]] DWORD append_host(memory::growable<char>& to, std::string_view host) noexcept;

} // namespace sluice::winhttp
