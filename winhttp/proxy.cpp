#include "winhttp/proxy.hpp"

#include "winhttp/options.hpp"
#include "winhttp/text.hpp"
#include "winhttp/url.hpp"

#include <cstdlib>
#include <cstring>
#include <utility>

namespace sluice::winhttp {
namespace {

constexpr std::string_view separators = "; \t\r\n";

// Takes the next entry off a list; empty at its end.
std::string_view take_entry(std::string_view& list) noexcept {
  const std::size_t begin = list.find_first_not_of(separators);
  if (begin == std::string_view::npos) {
    list = {};
    return {};
  }
  list.remove_prefix(begin);
  const std::string_view entry = list.substr(0, list.find_first_of(separators));
  list.remove_prefix(entry.size());
  return entry;
}

// Takes `<scheme>` and `end` off the front of an entry; empty if there is none.
std::string_view take_scheme(std::string_view& entry, std::string_view end) noexcept {
  const std::size_t at = entry.find(end);
  if (at == std::string_view::npos || entry.find_first_of("[.*") < at) {
    return {};
  }
  const std::string_view scheme = entry.substr(0, at);
  entry.remove_prefix(at + end.size());
  return scheme;
}

// Splits `<host>[:<port>]`; brackets and the port may be missing. False if the port is no number.
bool split_port(std::string_view text, std::string_view& host, std::uint16_t& port) noexcept {
  std::size_t colon = std::string_view::npos;
  if (!text.empty() && text.front() == '[') {
    const std::size_t bracket = text.find(']');
    if (bracket == std::string_view::npos) {
      return false;
    }
    host = text.substr(1, bracket - 1);
    colon = bracket + 1;
    if (colon < text.size() && text[colon] != ':') {
      return false;
    }
  } else {
    colon = text.find(':');
    if (colon != std::string_view::npos && text.find(':', colon + 1) != std::string_view::npos) {
      colon = std::string_view::npos; // an IPv6 literal without brackets
    }
    host = text.substr(0, colon);
  }
  port = 0;
  if (colon >= text.size()) {
    return true;
  }
  std::uint32_t value = 0;
  for (const char c : text.substr(colon + 1)) {
    value = value * 10 + static_cast<std::uint32_t>(c - '0');
    if (!is_digit(c) || value > 65535) {
      return false;
    }
  }
  port = static_cast<std::uint16_t>(value);
  return value != 0;
}

struct server_entry {
  std::string_view targets; // their scheme, or empty: all
  proxy_server server;
};

bool parse_server(std::string_view entry, server_entry& to) noexcept {
  to.targets = take_scheme(entry, "=");
  const std::string_view scheme = take_scheme(entry, "://");
  to.server.secure = equal_no_case(scheme, std::string_view("https"));
  if (!scheme.empty() && !to.server.secure && !equal_no_case(scheme, std::string_view("http"))) {
    return false;
  }
  if (!entry.empty() && entry.back() == '/') {
    entry.remove_suffix(1);
  }
  if (!split_port(entry, to.server.host, to.server.port) || !is_host(to.server.host)) {
    return false;
  }
  if (to.server.port == 0) {
    to.server.port = static_cast<std::uint16_t>(to.server.secure ? INTERNET_DEFAULT_HTTPS_PORT
                                                                 : INTERNET_DEFAULT_HTTP_PORT);
  }
  return true;
}

bool is_server_list(std::string_view list) noexcept {
  bool any = false;
  for (std::string_view entry = take_entry(list); !entry.empty(); entry = take_entry(list)) {
    server_entry parsed;
    if (!parse_server(entry, parsed)) {
      return false;
    }
    any = true;
  }
  return any;
}

// Whether `pattern`, in which '*' stands for any characters, is all of `text`. Linear in their
// product at worst: only the last star is ever tried again.
bool matches(std::string_view pattern, std::string_view text) noexcept {
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = std::string_view::npos;
  std::size_t retry_at = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      retry_at = t;
    } else if (p < pattern.size() && to_lower(pattern[p]) == to_lower(text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++retry_at;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

bool is_bypassed(std::string_view list, bool secure, std::string_view host,
                 std::uint16_t port) noexcept {
  for (std::string_view entry = take_entry(list); !entry.empty(); entry = take_entry(list)) {
    if (equal_no_case(entry, std::string_view("<local>"))) {
      if (host.find_first_of(".:") == std::string_view::npos) {
        return true;
      }
      continue;
    }
    const std::string_view scheme = take_scheme(entry, "://");
    std::string_view pattern;
    std::uint16_t only = 0;
    if ((scheme.empty() ||
         equal_no_case(scheme, secure ? std::string_view("https") : std::string_view("http"))) &&
        split_port(entry, pattern, only) && (only == 0 || only == port) && matches(pattern, host)) {
      return true;
    }
  }
  return false;
}

// PRX-03: the lower-case name first. In a CGI program HTTP_PROXY is the Proxy field of the request,
// so anybody's choice.
const char* from_environment(const char* lower, const char* upper) noexcept {
  // NOLINTBEGIN(concurrency-mt-unsafe): a program that changes its environment beside other
  // threads has no safe way to call anything that reads it
  const char* found = std::getenv(lower);
  const bool is_cgi = std::getenv("REQUEST_METHOD") != nullptr;
  if (found == nullptr && !(is_cgi && std::strcmp(upper, "HTTP_PROXY") == 0)) {
    found = std::getenv(upper);
  }
  // NOLINTEND(concurrency-mt-unsafe)
  return found != nullptr && *found != '\0' ? found : nullptr;
}

// Percent-decodes a part of a URL's user information.
DWORD take_decoded(std::string_view text, secret_text& to) noexcept {
  memory::growable<char> decoded;
  if (!decoded.reserve(text.size())) {
    return ERROR_NOT_ENOUGH_MEMORY;
  }
  for (std::size_t i = 0; i < text.size(); ++i) {
    const int high = text[i] == '%' && text.size() - i > 2 ? hex_value(text[i + 1]) : -1;
    const int low = high >= 0 ? hex_value(text[i + 2]) : -1;
    if (low >= 0) {
      decoded.append(static_cast<char>(high * 16 + low));
      i += 2;
    } else {
      decoded.append(text[i]);
    }
  }
  const DWORD code = to.assign(decoded.view());
  wipe(decoded);
  return code;
}

} // namespace

DWORD proxy_settings::set(DWORD access_type, const WCHAR* servers, const WCHAR* bypass) noexcept {
  proxy_settings made;
  DWORD code = ERROR_INVALID_PARAMETER;
  switch (access_type) {
  case WINHTTP_ACCESS_TYPE_NAMED_PROXY:
    if (servers != nullptr) {
      code = made.set_named(servers, bypass != nullptr ? bypass : L"");
    }
    break;
  case WINHTTP_ACCESS_TYPE_NO_PROXY:
    if (servers == nullptr && bypass == nullptr) {
      code = ERROR_SUCCESS;
    }
    break;
  case WINHTTP_ACCESS_TYPE_DEFAULT_PROXY:
  case WINHTTP_ACCESS_TYPE_AUTOMATIC_PROXY:
    if (servers == nullptr && bypass == nullptr) {
      code = made.set_from_environment();
    }
    break;
  default:
    break;
  }
  if (code == ERROR_SUCCESS) {
    *this = std::move(made);
  }
  return code;
}

DWORD proxy_settings::set_named(std::wstring_view servers, std::wstring_view bypass) noexcept {
  DWORD code = append_utf8(servers_, servers);
  if (code == ERROR_SUCCESS) {
    code = append_utf8(bypass_, bypass);
  }
  if (code == ERROR_SUCCESS && !is_server_list(servers_.view())) {
    code = ERROR_INVALID_PARAMETER;
  }
  named_ = true;
  return code;
}

DWORD proxy_settings::set_from_environment() noexcept {
  DWORD code = add_from_environment(false, from_environment("http_proxy", "HTTP_PROXY"));
  if (code == ERROR_SUCCESS) {
    code = add_from_environment(true, from_environment("https_proxy", "HTTPS_PROXY"));
  }
  named_ = !servers_.empty() || unusable_[0] || unusable_[1];
  if (const char* const hosts = from_environment("no_proxy", "NO_PROXY");
      named_ && hosts != nullptr) {
    add_bypass(hosts);
  }
  if (code == ERROR_SUCCESS && (!servers_.ok() || !bypass_.ok())) {
    code = ERROR_NOT_ENOUGH_MEMORY;
  }
  return code;
}

// [<scheme>://][<user>[:<password>]@]<host>[:<port>][/]
DWORD proxy_settings::add_from_environment(bool secure, const char* url) noexcept {
  if (url == nullptr) {
    return ERROR_SUCCESS;
  }
  std::string_view text(url);
  const std::size_t scheme_end = text.find("://");
  const std::size_t authority = scheme_end == std::string_view::npos ? 0 : scheme_end + 3;
  const std::size_t at = text.rfind('@');
  const bool has_user = at != std::string_view::npos && at >= authority;
  const std::string_view scheme = text.substr(0, authority);
  const std::string_view server = text.substr(has_user ? at + 1 : authority);

  memory::growable<char> entry;
  entry.append(scheme);
  entry.append(server);
  if (!entry.ok()) {
    return ERROR_NOT_ENOUGH_MEMORY;
  }
  server_entry parsed;
  if (entry.view().find_first_of(separators) != std::string_view::npos ||
      !parse_server(entry.view(), parsed) || !parsed.targets.empty()) {
    unusable_[secure] = true;
    return ERROR_SUCCESS;
  }
  if (!servers_.empty()) {
    servers_.append(';');
  }
  servers_.append(secure ? std::string_view("https=") : std::string_view("http="));
  servers_.append(entry.view());
  if (!has_user) {
    return ERROR_SUCCESS;
  }
  const std::string_view user_info = text.substr(authority, at - authority);
  const std::size_t colon = user_info.find(':');
  credentials& user = users_[secure];
  DWORD code = take_decoded(user_info.substr(0, colon), user.user);
  if (code == ERROR_SUCCESS && colon != std::string_view::npos) {
    code = take_decoded(user_info.substr(colon + 1), user.password);
  }
  user.given = code == ERROR_SUCCESS && !user.user.empty();
  return code;
}

// Hosts with commas between them; each stands for itself and what is below it.
void proxy_settings::add_bypass(std::string_view no_proxy) noexcept {
  const auto add = [this](std::string_view prefix, std::string_view host) {
    if (!bypass_.empty()) {
      bypass_.append(';');
    }
    bypass_.append(prefix);
    bypass_.append(host);
  };
  while (!no_proxy.empty()) {
    const std::size_t begin = no_proxy.find_first_not_of(", \t");
    no_proxy.remove_prefix(begin == std::string_view::npos ? no_proxy.size() : begin);
    std::string_view host = no_proxy.substr(0, no_proxy.find_first_of(", \t"));
    no_proxy.remove_prefix(host.size());
    if (!host.empty() && host.front() == '.') {
      host.remove_prefix(1);
    }
    if (!host.empty()) {
      add({}, host);
      if (host.front() != '*' && host.front() != '[') {
        add("*.", host);
      }
    }
  }
}

DWORD proxy_settings::copy_from(const proxy_settings& other) noexcept {
  servers_.clear();
  servers_.append(other.servers_.view());
  bypass_.clear();
  bypass_.append(other.bypass_.view());
  named_ = other.named_;
  unusable_ = other.unusable_;
  DWORD code = servers_.ok() && bypass_.ok() ? ERROR_SUCCESS : ERROR_NOT_ENOUGH_MEMORY;
  for (std::size_t i = 0; i < users_.size() && code == ERROR_SUCCESS; ++i) {
    code = users_[i].copy_from(other.users_[i]);
  }
  return code;
}

DWORD proxy_settings::set_option(const void* buffer, DWORD length) noexcept {
  if (buffer == nullptr) {
    return ERROR_INVALID_PARAMETER;
  }
  if (length != sizeof(WINHTTP_PROXY_INFO)) {
    return ERROR_INSUFFICIENT_BUFFER;
  }
  WINHTTP_PROXY_INFO info;
  std::memcpy(&info, buffer, sizeof(info));
  return set(info.dwAccessType, info.lpszProxy, info.lpszProxyBypass);
}

DWORD proxy_settings::query_option(void* buffer, DWORD* length) const noexcept {
  WINHTTP_PROXY_INFO info{};
  info.dwAccessType = named_ ? WINHTTP_ACCESS_TYPE_NAMED_PROXY : WINHTTP_ACCESS_TYPE_NO_PROXY;
  const bool fits = buffer != nullptr && *length >= sizeof(info);
  if (fits && named_) {
    info.lpszProxy = allocate_wide(servers_.view());
    info.lpszProxyBypass = bypass_.empty() ? nullptr : allocate_wide(bypass_.view());
    if (info.lpszProxy == nullptr || (info.lpszProxyBypass == nullptr && !bypass_.empty())) {
      memory::release(info.lpszProxy);
      return ERROR_NOT_ENOUGH_MEMORY;
    }
  }
  return give_value(info, buffer, length);
}

DWORD proxy_settings::choose(bool secure, std::string_view host, std::uint16_t port,
                             proxy_server& found) const noexcept {
  found = {};
  host = host.substr(0, host.find('%')); // without a zone
  if (!named_ || is_bypassed(bypass_.view(), secure, host, port)) {
    return ERROR_SUCCESS;
  }
  if (unusable_[secure]) {
    return ERROR_WINHTTP_INVALID_URL;
  }
  // One for this scheme before one for all.
  std::string_view list = servers_.view();
  for (std::string_view entry = take_entry(list); !entry.empty(); entry = take_entry(list)) {
    server_entry parsed;
    if (!parse_server(entry, parsed)) {
      continue; // not reached: the list was checked when it was set
    }
    if (equal_no_case(parsed.targets,
                      secure ? std::string_view("https") : std::string_view("http"))) {
      found = parsed.server;
      return ERROR_SUCCESS;
    }
    if (parsed.targets.empty() && found.host.empty()) {
      found = parsed.server;
    }
  }
  return ERROR_SUCCESS;
}

} // namespace sluice::winhttp
