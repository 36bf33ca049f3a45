#include "winhttp/url.hpp"

#include "winhttp/text.hpp"

namespace sluice::winhttp {
namespace {

template <typename Char> constexpr bool is_one_of(Char c, std::string_view set) noexcept {
  for (const char candidate : set) {
    if (c == static_cast<Char>(candidate)) {
      return true;
    }
  }
  return false;
}

// Position of the first character of `set` in `text`, or its size.
template <typename Char>
constexpr std::size_t find_any(std::basic_string_view<Char> text, std::string_view set) noexcept {
  std::size_t at = 0;
  while (at < text.size() && !is_one_of(text[at], set)) {
    ++at;
  }
  return at;
}

// Decimal port behind the colon; empty means the default.
template <typename Char>
bool parse_port(std::basic_string_view<Char> digits, std::uint16_t preset,
                std::uint16_t& port) noexcept {
  std::uint32_t value = 0;
  for (const Char digit : digits) {
    if (!is_digit(digit)) {
      return false;
    }
    value = value * 10 + static_cast<std::uint32_t>(digit - Char{'0'});
    if (value > 65535) {
      return false;
    }
  }
  port = digits.empty() ? preset : static_cast<std::uint16_t>(value);
  return true;
}

constexpr char hex_digits[] = "0123456789ABCDEF";

} // namespace

template <typename Char>
url_error split_url(std::basic_string_view<Char> url, url_parts<Char>& parts) noexcept {
  parts = {};
  const std::size_t colon = find_any(url, ":/?#");
  if (colon == url.size() || url[colon] != Char{':'}) {
    return url_error::unrecognized_scheme;
  }
  parts.scheme = url.substr(0, colon);
  parts.secure = equal_no_case(parts.scheme, std::string_view("https"));
  if (!parts.secure && !equal_no_case(parts.scheme, std::string_view("http"))) {
    return url_error::unrecognized_scheme;
  }
  for (const Char c : url) {
    if (static_cast<std::uint32_t>(c) < 0x20 || static_cast<std::uint32_t>(c) == 0x7F) {
      return url_error::invalid;
    }
  }
  url.remove_prefix(colon + 1);
  if (url.size() < 2 || url[0] != Char{'/'} || url[1] != Char{'/'}) {
    return url_error::invalid;
  }
  url.remove_prefix(2);

  const std::size_t authority_end = find_any(url, "/?#");
  auto authority = url.substr(0, authority_end);
  url.remove_prefix(authority_end);
  const std::size_t path_end = find_any(url, "?#");
  parts.path = url.substr(0, path_end);
  parts.extra = url.substr(path_end);

  // The last '@' ends the user information: a host has none.
  if (const std::size_t at = authority.rfind(Char{'@'}); at != authority.npos) {
    const auto user_info = authority.substr(0, at);
    const std::size_t split = find_any(user_info, ":");
    parts.has_user = true;
    parts.user = user_info.substr(0, split);
    if (split != user_info.size()) {
      parts.has_password = true;
      parts.password = user_info.substr(split + 1);
    }
    authority.remove_prefix(at + 1);
  }

  std::size_t host_end = 0;
  if (!authority.empty() && authority[0] == Char{'['}) {
    const std::size_t bracket = find_any(authority, "]");
    if (bracket == authority.size()) {
      return url_error::invalid;
    }
    host_end = bracket + 1;
  } else {
    host_end = find_any(authority, ":");
  }
  parts.host = authority.substr(0, host_end);
  authority.remove_prefix(host_end);
  if (parts.host.empty() || (!authority.empty() && authority[0] != Char{':'})) {
    return url_error::invalid;
  }
  if (!authority.empty()) {
    authority.remove_prefix(1);
  }
  return parse_port(authority, static_cast<std::uint16_t>(parts.secure ? 443 : 80), parts.port)
             ? url_error::none
             : url_error::invalid;
}

template url_error split_url(std::basic_string_view<char>, url_parts<char>&) noexcept;
template url_error split_url(std::basic_string_view<wchar_t>, url_parts<wchar_t>&) noexcept;

bool is_host(std::string_view host) noexcept {
  if (host.empty() || host.size() > 255) {
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
  for (const char c : host) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte >= 0x7F || is_one_of(c, "\"#%/:<>?@[\\]^`{|}")) {
      return false;
    }
  }
  return true;
}

bool must_escape(std::uint32_t c) noexcept {
  return c <= 0x20 || c >= 0x7F || is_one_of(static_cast<wchar_t>(c), "\"<>\\^`{|}");
}

bool append_object_name(memory::growable<char>& to, std::string_view object,
                        const escaping& how) noexcept {
  if (object.empty() || object[0] != '/') {
    to.append('/');
  }
  bool escape = how.path;
  for (const char c : object) {
    if (c == '#') {
      break;
    }
    if (c == '?') {
      escape = how.path && how.query;
    }
    const auto byte = static_cast<unsigned char>(c);
    if (escape ? must_escape(byte) || (c == '%' && how.percent) : byte <= 0x20 || byte == 0x7F) {
      if (!escape) {
        return false;
      }
      const char encoded[] = {'%', hex_digits[byte >> 4], hex_digits[byte & 0xF]};
      to.append(encoded, sizeof(encoded));
    } else {
      to.append(c);
    }
  }
  return true;
}

void append_without_dots(memory::growable<char>& to, std::string_view path) noexcept {
  const std::size_t start = to.size();
  while (!path.empty()) {
    // One segment with its leading '/'.
    const std::size_t end = path.find('/', 1);
    const std::string_view segment = path.substr(0, end);
    const bool last = end == std::string_view::npos;
    path.remove_prefix(last ? path.size() : end);
    if (segment == "/." || segment == "/..") {
      if (segment == "/.." && to.size() > start) {
        std::size_t at = to.size();
        while (at > start && to[--at] != '/') {
        }
        to.resize_down(at);
      }
      if (last) {
        to.append('/');
      }
    } else {
      to.append(segment);
    }
  }
}

} // namespace sluice::winhttp
