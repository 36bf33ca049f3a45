// WinHttpCrackUrl and WinHttpCreateUrl: no handle, no state.

#include "core/memory.hpp"
#include "winhttp/last_error.hpp"
#include "winhttp/text.hpp"
#include "winhttp/url.hpp"

#include <cstring>
#include <cwchar>

using namespace sluice;
using namespace sluice::winhttp;

namespace {

constexpr DWORD until_nul = 0xFFFFFFFFu;

using wide_text = memory::growable<WCHAR>;

// How many WCHARs make up the code point at `at`: 2 for the start of a surrogate pair.
std::size_t units_at(std::wstring_view text, std::size_t at) noexcept {
  return text.size() - at > 1 && (static_cast<std::uint32_t>(text[at]) >> 10) == 0x36 ? 2 : 1;
}

void append_escaped(wide_text& to, std::string_view bytes) noexcept {
  constexpr char digits[] = "0123456789ABCDEF";
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    to.append(L'%');
    to.append(static_cast<WCHAR>(digits[byte >> 4]));
    to.append(static_cast<WCHAR>(digits[byte & 0xF]));
  }
}

// ICU_ESCAPE: what may not stand in a path or query, as %XX of its UTF-8.
DWORD escape(std::wstring_view text, wide_text& to) noexcept {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!must_escape(static_cast<std::uint32_t>(text[i]))) {
      to.append(text[i]);
      continue;
    }
    memory::growable<char> utf8;
    const std::size_t units = units_at(text, i);
    if (const DWORD code = append_utf8(utf8, text.substr(i, units)); code != ERROR_SUCCESS) {
      return code;
    }
    i += units - 1;
    append_escaped(to, utf8.view());
  }
  return to.ok() ? ERROR_SUCCESS : ERROR_NOT_ENOUGH_MEMORY;
}

// ICU_DECODE: %XX becomes the byte, and bytes become characters as UTF-8 where that is valid. %00
// stays: it would end the string.
DWORD decode(std::wstring_view text, wide_text& to) noexcept {
  memory::growable<char> bytes;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == L'%' && text.size() - i > 2) {
      const int high = hex_value(text[i + 1]);
      const int low = hex_value(text[i + 2]);
      if (high >= 0 && low >= 0 && high + low != 0) {
        bytes.append(static_cast<char>(high * 16 + low));
        i += 2;
        continue;
      }
    }
    const std::size_t units = units_at(text, i);
    if (const DWORD code = append_utf8(bytes, text.substr(i, units)); code != ERROR_SUCCESS) {
      return code;
    }
    i += units - 1;
  }
  append_wide(to, bytes.view());
  return bytes.ok() && to.ok() ? ERROR_SUCCESS : ERROR_NOT_ENOUGH_MEMORY;
}

// Gives one component to the caller. A buffer without room sets `overflow` and the room needed; the
// other components are given all the same.
DWORD give_component(std::wstring_view text, DWORD flags, bool escapes, LPWSTR& buffer,
                     DWORD& length, bool& overflow) noexcept {
  if (length == 0) {
    return buffer == nullptr ? ERROR_SUCCESS : ERROR_INVALID_PARAMETER;
  }
  if (buffer == nullptr) {
    // A pointer into the URL cannot show anything but the URL.
    if ((flags & (ICU_DECODE | ICU_ESCAPE)) != 0 && !text.empty()) {
      return ERROR_INVALID_PARAMETER;
    }
    // The type is the contract's. What is empty points at an empty string, so that it is one for
    // WinHttpCreateUrl and for programs that ignore the length; user information may be absent.
    buffer = const_cast<LPWSTR>(text.empty() && text.data() != nullptr ? L"" : text.data());
    length = static_cast<DWORD>(text.size());
    return ERROR_SUCCESS;
  }
  wide_text changed;
  if ((flags & ICU_DECODE) != 0) {
    if (const DWORD code = decode(text, changed); code != ERROR_SUCCESS) {
      return code;
    }
    text = changed.view();
  } else if ((flags & ICU_ESCAPE) != 0 && escapes) {
    if (const DWORD code = escape(text, changed); code != ERROR_SUCCESS) {
      return code;
    }
    text = changed.view();
  }
  if (text.size() >= length) {
    length = static_cast<DWORD>(text.size() + 1);
    overflow = true;
    return ERROR_SUCCESS;
  }
  if (!text.empty()) {
    std::memcpy(buffer, text.data(), text.size() * sizeof(WCHAR));
  }
  buffer[text.size()] = L'\0';
  length = static_cast<DWORD>(text.size());
  return ERROR_SUCCESS;
}

DWORD crack(std::wstring_view url, DWORD flags, URL_COMPONENTS& to) noexcept {
  url_parts<wchar_t> parts;
  switch (split_url(url, parts)) {
  case url_error::none:
    break;
  case url_error::unrecognized_scheme:
    return ERROR_WINHTTP_UNRECOGNIZED_SCHEME; // GET-06
  case url_error::invalid:
    return ERROR_WINHTTP_INVALID_URL;
  }
  if (parts.has_user && (flags & ICU_REJECT_USERPWD) != 0) {
    return ERROR_WINHTTP_INVALID_URL;
  }
  // Who does not ask for the extra information gets it with the path.
  const bool splits_extra = to.lpszExtraInfo != nullptr || to.dwExtraInfoLength != 0;
  const std::wstring_view path =
      splits_extra ? parts.path
                   : std::wstring_view(parts.path.data(), parts.path.size() + parts.extra.size());
  bool overflow = false;
  const struct {
    std::wstring_view text;
    bool escapes;
    LPWSTR* buffer;
    DWORD* length;
  } components[] = {
      {parts.scheme, false, &to.lpszScheme, &to.dwSchemeLength},
      {parts.user, false, &to.lpszUserName, &to.dwUserNameLength},
      {parts.password, false, &to.lpszPassword, &to.dwPasswordLength},
      {parts.host, false, &to.lpszHostName, &to.dwHostNameLength},
      {path, true, &to.lpszUrlPath, &to.dwUrlPathLength},
      {parts.extra, true, &to.lpszExtraInfo, &to.dwExtraInfoLength},
  };
  for (const auto& component : components) {
    const DWORD code = give_component(component.text, flags, component.escapes, *component.buffer,
                                      *component.length, overflow);
    if (code != ERROR_SUCCESS) {
      return code;
    }
  }
  to.nScheme = parts.secure ? INTERNET_SCHEME_HTTPS : INTERNET_SCHEME_HTTP;
  to.nPort = parts.port;
  return overflow ? ERROR_INSUFFICIENT_BUFFER : ERROR_SUCCESS;
}

// A component of WinHttpCreateUrl: counted, or up to the NUL.
std::wstring_view component(LPWSTR text, DWORD length) noexcept {
  if (text == nullptr) {
    return {};
  }
  return {text, length == 0 || length == until_nul ? std::wcslen(text) : length};
}

DWORD create(const URL_COMPONENTS& from, DWORD flags, wide_text& url) noexcept {
  const std::wstring_view host = component(from.lpszHostName, from.dwHostNameLength);
  const std::wstring_view user = component(from.lpszUserName, from.dwUserNameLength);
  const std::wstring_view password = component(from.lpszPassword, from.dwPasswordLength);
  const std::wstring_view path = component(from.lpszUrlPath, from.dwUrlPathLength);
  const std::wstring_view extra = component(from.lpszExtraInfo, from.dwExtraInfoLength);
  std::wstring_view scheme = component(from.lpszScheme, from.dwSchemeLength);
  if (scheme.empty()) {
    scheme = from.nScheme == INTERNET_SCHEME_HTTPS ? L"https" : L"http";
  }
  const bool secure = equal_no_case(scheme, std::string_view("https"));
  if (!secure && !equal_no_case(scheme, std::string_view("http"))) {
    return ERROR_WINHTTP_UNRECOGNIZED_SCHEME;
  }
  if (host.empty() || (user.empty() && !password.empty())) {
    return ERROR_INVALID_PARAMETER;
  }
  url.append(scheme);
  url.append(L"://");
  if (!user.empty()) {
    url.append(user);
    if (!password.empty()) {
      url.append(L':');
      url.append(password);
    }
    url.append(L'@');
  }
  url.append(host);
  if (from.nPort != 0 && from.nPort != (secure ? 443 : 80)) {
    memory::growable<char> port;
    append_decimal(port, from.nPort);
    url.append(L':');
    append_wide(url, port.view());
    if (!port.ok()) {
      return ERROR_NOT_ENOUGH_MEMORY;
    }
  }
  if (!path.empty() && path.front() != L'/') {
    url.append(L'/');
  }
  if ((flags & ICU_ESCAPE) == 0) {
    url.append(path);
    url.append(extra);
    return url.ok() ? ERROR_SUCCESS : ERROR_NOT_ENOUGH_MEMORY;
  }
  const DWORD code = escape(path, url);
  return code == ERROR_SUCCESS ? escape(extra, url) : code;
}

} // namespace

BOOL WINAPI WinHttpCrackUrl(LPCWSTR url, DWORD length, DWORD flags, LPURL_COMPONENTS parts) {
  if (url == nullptr || parts == nullptr || parts->dwStructSize != sizeof(URL_COMPONENTS)) {
    return finish(ERROR_INVALID_PARAMETER);
  }
  const std::size_t count = length == 0 ? std::wcslen(url) : ::wcsnlen(url, length);
  return finish(crack(std::wstring_view(url, count), flags, *parts));
}

BOOL WINAPI WinHttpCreateUrl(LPURL_COMPONENTS parts, DWORD flags, LPWSTR url, LPDWORD length) {
  if (parts == nullptr || parts->dwStructSize != sizeof(URL_COMPONENTS) || length == nullptr) {
    return finish(ERROR_INVALID_PARAMETER);
  }
  wide_text made;
  const DWORD code = create(*parts, flags, made);
  if (code != ERROR_SUCCESS) {
    return finish(code);
  }
  if (url == nullptr || *length <= made.size()) {
    *length = static_cast<DWORD>(made.size() + 1);
    return finish(ERROR_INSUFFICIENT_BUFFER);
  }
  std::memcpy(url, made.data(), made.size() * sizeof(WCHAR));
  url[made.size()] = L'\0';
  *length = static_cast<DWORD>(made.size());
  return finish(ERROR_SUCCESS);
}
