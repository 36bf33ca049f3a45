#include "winhttp/credentials.hpp"

#include "core/client_handshake.hpp"
#include "core/http_text.hpp"
#include "winhttp/options.hpp"
#include "winhttp/text.hpp"

#include <utility>

namespace sluice::winhttp {
namespace {

constexpr std::string_view basic = "Basic ";

constexpr DWORD windows_schemes = WINHTTP_AUTH_SCHEME_NTLM | WINHTTP_AUTH_SCHEME_PASSPORT |
                                  WINHTTP_AUTH_SCHEME_DIGEST | WINHTTP_AUTH_SCHEME_NEGOTIATE;

constexpr bool is_proxy_option(DWORD option) noexcept {
  return option == WINHTTP_OPTION_PROXY_USERNAME || option == WINHTTP_OPTION_PROXY_PASSWORD;
}
constexpr bool is_name_option(DWORD option) noexcept {
  return option == WINHTTP_OPTION_USERNAME || option == WINHTTP_OPTION_PROXY_USERNAME;
}

// RFC 7617 section 2: no control characters, and no colon in a name, which ends at the first one.
bool fits_basic(std::string_view user, std::string_view password) noexcept {
  const auto is_clean = [](std::string_view text) {
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte < 0x20 || byte == 0x7F) {
        return false;
      }
    }
    return true;
  };
  return is_clean(user) && is_clean(password) && user.find(':') == std::string_view::npos;
}

DWORD scheme_named(std::string_view name) noexcept {
  constexpr struct {
    std::string_view name;
    DWORD scheme;
  } schemes[] = {{"Basic", WINHTTP_AUTH_SCHEME_BASIC},
                 {"NTLM", WINHTTP_AUTH_SCHEME_NTLM},
                 {"Passport1.4", WINHTTP_AUTH_SCHEME_PASSPORT},
                 {"Digest", WINHTTP_AUTH_SCHEME_DIGEST},
                 {"Negotiate", WINHTTP_AUTH_SCHEME_NEGOTIATE}};
  for (const auto& known : schemes) {
    if (equal_no_case(name, known.name)) {
      return known.scheme;
    }
  }
  return 0;
}

// Takes the next element off a list whose elements may hold commas in quoted strings (RFC 9110
// section 5.6.4).
std::string_view take_quoted_element(std::string_view& list) noexcept {
  bool quoted = false;
  std::size_t at = 0;
  for (; at < list.size() && (quoted || list[at] != ','); ++at) {
    if (list[at] == '"') {
      quoted = !quoted;
    } else if (quoted && list[at] == '\\' && at + 1 < list.size()) {
      ++at;
    }
  }
  const std::string_view element = http_text::trimmed(list.substr(0, at));
  list.remove_prefix(at < list.size() ? at + 1 : at);
  return element;
}

} // namespace

DWORD credentials::copy_from(const credentials& other) noexcept {
  DWORD code = user.assign(other.user.view());
  if (code == ERROR_SUCCESS) {
    code = password.assign(other.password.view());
  }
  given = code == ERROR_SUCCESS && other.given;
  return code;
}

std::size_t credentials::basic_bytes() const noexcept {
  return basic.size() + (user.view().size() + 1 + password.view().size() + 2) / 3 * 4;
}

bool credentials::append_basic(memory::growable<char>& to) const noexcept {
  memory::growable<char> pair;
  if (!pair.reserve(user.view().size() + 1 + password.view().size())) {
    return false;
  }
  pair.append(user.view());
  pair.append(':');
  pair.append(password.view());
  to.append(basic);
  io::append_base64(to, std::as_bytes(std::span(pair.data(), pair.size())));
  wipe(pair);
  return to.ok();
}

DWORD credential_store::choose(DWORD target, DWORD scheme, const WCHAR* user,
                               const WCHAR* password) noexcept {
  if (target >= chosen_.size()) {
    return ERROR_INVALID_PARAMETER;
  }
  // Windows takes no names for NTLM and the like to mean the user who is logged on.
  if ((scheme == WINHTTP_AUTH_SCHEME_BASIC || scheme == WINHTTP_AUTH_SCHEME_DIGEST) &&
      (user == nullptr || password == nullptr)) {
    return ERROR_INVALID_PARAMETER;
  }
  if (scheme != WINHTTP_AUTH_SCHEME_BASIC) { // decision X-50
    const bool is_one = scheme != 0 && (scheme & (scheme - 1)) == 0;
    return is_one && (scheme & windows_schemes) != 0 ? ERROR_NOT_SUPPORTED
                                                     : ERROR_INVALID_PARAMETER;
  }
  credentials taken;
  DWORD code = taken.user.assign(std::wstring_view(user));
  if (code == ERROR_SUCCESS) {
    code = taken.password.assign(std::wstring_view(password));
  }
  if (code == ERROR_SUCCESS && !fits_basic(taken.user.view(), taken.password.view())) {
    code = ERROR_INVALID_PARAMETER;
  }
  if (code == ERROR_SUCCESS) {
    taken.given = true;
    chosen_[target] = std::move(taken);
  }
  return code;
}

DWORD credential_store::set_option(DWORD option, const void* buffer, DWORD length) noexcept {
  if (buffer == nullptr) {
    return ERROR_INVALID_PARAMETER;
  }
  // Programs count the terminator in or leave it out.
  std::wstring_view wide(static_cast<const WCHAR*>(buffer), length);
  wide = wide.substr(0, wide.find(L'\0'));
  secret_text taken;
  if (const DWORD code = taken.assign(wide); code != ERROR_SUCCESS) {
    return code;
  }
  const bool is_name = is_name_option(option);
  if (!fits_basic(is_name ? taken.view() : std::string_view(),
                  is_name ? std::string_view() : taken.view())) {
    return ERROR_INVALID_PARAMETER;
  }
  credentials& to =
      of_options_[is_proxy_option(option) ? WINHTTP_AUTH_TARGET_PROXY : WINHTTP_AUTH_TARGET_SERVER];
  if (is_name) {
    to.user = std::move(taken);
    to.given = !to.user.empty();
  } else {
    to.password = std::move(taken);
  }
  return ERROR_SUCCESS;
}

DWORD credential_store::query_option(DWORD option, void* buffer, DWORD* length) const noexcept {
  const credentials& from =
      of_options_[is_proxy_option(option) ? WINHTTP_AUTH_TARGET_PROXY : WINHTTP_AUTH_TARGET_SERVER];
  return give_text(is_name_option(option) ? from.user.view() : from.password.view(), buffer,
                   length);
}

// challenge = auth-scheme [ 1*SP ( token68 / #auth-param ) ], in a list of its own: an element that
// begins with a token and no "=" behind it begins a challenge.
void offered_schemes::add(std::string_view field) noexcept {
  while (!field.empty()) {
    const std::string_view element = take_quoted_element(field);
    const std::size_t name_end = element.find_first_of(" \t=");
    const std::string_view name = element.substr(0, name_end);
    if (!is_field_name(name)) { // a token too
      continue;
    }
    if (name_end != std::string_view::npos) {
      const std::string_view behind = http_text::trimmed(element.substr(name_end));
      if (!behind.empty() && behind.front() == '=') {
        continue; // a parameter of the challenge before it
      }
    }
    const DWORD scheme = scheme_named(name);
    all |= scheme;
    first = first == 0 ? scheme : first;
  }
}

} // namespace sluice::winhttp
