#include "winhttp/host_name.hpp"

#include "winhttp/text.hpp"

#include <algorithm>

#ifdef SLUICE_WITH_IDN
#include <idn2.h>
#endif

namespace sluice::winhttp {
namespace {

constexpr std::size_t max_host_bytes = 255; // RFC 1035 section 2.3.4

#ifdef SLUICE_WITH_IDN
// Nothing that the mappings may leave of a name but what names are made of: U+2100 becomes "a/c",
// fullwidth punctuation an address or a port.
bool is_name(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(), [](char c) {
    const char lower = to_lower(c);
    return (lower >= 'a' && lower <= 'z') || is_digit(c) || c == '-' || c == '.' || c == '_';
  });
}

DWORD append_a_labels(memory::growable<char>& to, std::string_view name) noexcept {
  // Four bytes for a character at most, and no character is shorter in ASCII than one.
  if (name.size() > 4 * max_host_bytes || name.find('\0') != std::string_view::npos) {
    return ERROR_WINHTTP_INVALID_URL;
  }
  memory::growable<char> terminated;
  terminated.append(name);
  terminated.append('\0');
  if (!terminated.ok()) {
    return ERROR_NOT_ENOUGH_MEMORY;
  }
  std::uint8_t* made = nullptr;
  const int status = ::idn2_lookup_u8(reinterpret_cast<const std::uint8_t*>(terminated.data()),
                                      &made, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
  if (status != IDN2_OK) {
    return status == IDN2_MALLOC ? ERROR_NOT_ENOUGH_MEMORY : ERROR_WINHTTP_INVALID_URL;
  }
  const std::string_view labels = reinterpret_cast<const char*>(made);
  DWORD code = ERROR_WINHTTP_INVALID_URL;
  if (is_name(labels) && is_host(labels)) {
    code = to.append(labels) ? ERROR_SUCCESS : ERROR_NOT_ENOUGH_MEMORY;
  }
  ::idn2_free(made);
  return code;
}
#else
DWORD append_a_labels(memory::growable<char>&, std::string_view) noexcept {
  return ERROR_WINHTTP_INVALID_URL;
}
#endif

} // namespace

bool is_host(std::string_view host) noexcept {
  if (host.empty() || host.size() > max_host_bytes) {
    return false;
  }
  if (const std::size_t colon = host.find(':'); colon != std::string_view::npos) {
    // Only an IPv6 literal has colons, two at least; it may name a zone, as fe80::1%eth0 does.
    if (host.find(':', colon + 1) == std::string_view::npos || host.back() == '%') {
      return false;
    }
    const std::string_view address = host.substr(0, host.find('%'));
    host.remove_prefix(address.size());
    for (const char c : address) {
      if (hex_value(c) < 0 && c != ':' && c != '.') {
        return false;
      }
    }
    if (host.empty()) {
      return true;
    }
    host.remove_prefix(1);
  }
  constexpr std::string_view unwanted = "\"#%/:<>?@[\\]^`{|}";
  for (const char c : host) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte >= 0x7F || unwanted.find(c) != std::string_view::npos) {
      return false;
    }
  }
  return true;
}

DWORD append_host(memory::growable<char>& to, std::string_view host) noexcept {
  if (!is_ascii(host)) {
    return append_a_labels(to, host);
  }
  if (!is_host(host)) {
    return ERROR_WINHTTP_INVALID_URL;
  }
  return to.append(host) ? ERROR_SUCCESS : ERROR_NOT_ENOUGH_MEMORY;
}

} // namespace sluice::winhttp
