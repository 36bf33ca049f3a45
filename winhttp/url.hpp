#pragma once

#include "core/memory.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice::winhttp {

/// What went wrong with a URL; each has a Win32 code of its own.
enum class url_error : std::uint8_t { none, unrecognized_scheme, invalid };

/// The parts of an absolute http or https URL, as views into it (RFC 3986 section 3).
template <typename Char> struct url_parts {
  using view = std::basic_string_view<Char>;
  view scheme;
  bool secure = false;
  view user;     // in front of the first ':' of the user information
  view password; // behind it
  bool has_user = false;
  bool has_password = false;
  view host;              // IPv6 with its brackets
  std::uint16_t port = 0; // the default of the scheme if none is given
  view path;              // empty or starts with '/'
  view extra;             // query and fragment with their '?' or '#', or empty
};

/// Takes an absolute URL apart. Only `http` and `https` (GET-06): anything else is
/// unrecognized_scheme; no host, a bad port or a control character is invalid. Char is char or
/// wchar_t.
template <typename Char>
[[nodiscard]] url_error split_url(std::basic_string_view<Char> url,
                                  url_parts<Char>& parts) noexcept;

extern template url_error split_url(std::basic_string_view<char>, url_parts<char>&) noexcept;
extern template url_error split_url(std::basic_string_view<wchar_t>, url_parts<wchar_t>&) noexcept;

/// A host as it may stand in a URL or in WinHttpConnect, without brackets and port: ASCII, not
/// empty, nothing that could end a host. Non-ASCII names have to be given in their ASCII form.
[[nodiscard]] bool is_host(std::string_view host) noexcept;

/// Which parts of an object name append_object_name() encodes (WINHTTP_FLAG_ESCAPE_...).
struct escaping {
  bool path = true;
  bool query = true;
  bool percent = false; // '%' too
};

/// Appends path and query of a request line (RFC 9112 section 3.2.1) made from UTF-8 text: a
/// leading '/' is added, a fragment dropped, and what may not stand there is percent-encoded where
/// `how` allows it. False for a blank or control character that may not be encoded (it would split
/// the request line). Check `to.ok()` for memory.
[[nodiscard]] bool append_object_name(memory::growable<char>& to, std::string_view object,
                                      const escaping& how) noexcept;

/// True for characters that are percent-encoded in paths and queries.
[[nodiscard]] bool must_escape(std::uint32_t c) noexcept;

/// Appends `path` with its "." and ".." segments resolved (RFC 3986 section 5.2.4).
void append_without_dots(memory::growable<char>& to, std::string_view path) noexcept;

} // namespace sluice::winhttp
