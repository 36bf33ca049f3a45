// The functions that make handles: session, connection, request.

#include "core/client_handshake.hpp"
#include "core/memory.hpp"
#include "simd/kernels.hpp"
#include "winhttp/connection.hpp"
#include "winhttp/handle_table.hpp"
#include "winhttp/last_error.hpp"
#include "winhttp/proxy.hpp"
#include "winhttp/request.hpp"
#include "winhttp/session.hpp"
#include "winhttp/text.hpp"
#include "winhttp/url.hpp"

#include <utility>

using namespace sluice;
using namespace sluice::winhttp;

namespace {

constexpr DWORD request_flags = WINHTTP_FLAG_SECURE | WINHTTP_FLAG_ESCAPE_PERCENT |
                                WINHTTP_FLAG_NULL_CODEPAGE | WINHTTP_FLAG_ESCAPE_DISABLE |
                                WINHTTP_FLAG_ESCAPE_DISABLE_QUERY | WINHTTP_FLAG_REFRESH |
                                WINHTTP_FLAG_AUTOMATIC_CHUNKING;

// Gives a new object its handle. `made` may be null: out of memory.
DWORD publish(object* made, HINTERNET& handle) noexcept {
  if (made == nullptr) {
    return ERROR_NOT_ENOUGH_MEMORY;
  }
  DWORD code = ERROR_SUCCESS;
  handle = open_handle(*made, code);
  if (handle == nullptr) {
    made->set_context(0); // it never had a handle: no HANDLE_CLOSING
    made->drop_ref();
  }
  return code;
}

// A host as WinHttpConnect takes it, without the brackets of an IPv6 literal.
DWORD take_host(const WCHAR* server, memory::growable<char>& host) noexcept {
  memory::growable<char> text;
  if (const DWORD code = append_utf8(text, server); code != ERROR_SUCCESS) {
    return code;
  }
  std::string_view name = text.view();
  if (name.size() >= 2 && name.front() == '[' && name.back() == ']') {
    name = name.substr(1, name.size() - 2);
  }
  if (!is_host(name)) {
    return ERROR_WINHTTP_INVALID_URL;
  }
  host.append(name);
  return host.ok() ? ERROR_SUCCESS : ERROR_NOT_ENOUGH_MEMORY;
}

// Adds one header of WinHttpOpenRequest; nothing for no or an empty value.
DWORD take_header(header_list& headers, std::string_view name, std::string_view value) noexcept {
  if (!is_field_value(value)) {
    return ERROR_INVALID_PARAMETER;
  }
  if (!value.empty()) {
    headers.append(name, value);
  }
  return headers.ok() ? ERROR_SUCCESS : ERROR_NOT_ENOUGH_MEMORY;
}

DWORD take_verb(const WCHAR* verb, request::opening& to) noexcept {
  if (verb == nullptr || *verb == L'\0') {
    to.verb.append("GET"); // GET-04
  } else if (const DWORD code = append_utf8(to.verb, verb); code != ERROR_SUCCESS) {
    return code;
  }
  if (!to.verb.ok()) {
    return ERROR_NOT_ENOUGH_MEMORY;
  }
  return is_field_name(to.verb.view()) ? ERROR_SUCCESS : ERROR_INVALID_PARAMETER; // a token too
}

DWORD take_version(const WCHAR* version, request::opening& to) noexcept {
  const std::wstring_view text(version != nullptr ? version : L"");
  to.http_1_0 = equal_no_case(text, std::string_view("HTTP/1.0"));
  return text.empty() || to.http_1_0 || equal_no_case(text, std::string_view("HTTP/1.1"))
             ? ERROR_SUCCESS
             : ERROR_INVALID_PARAMETER;
}

DWORD take_object(const WCHAR* object_name, DWORD flags, request::opening& to) noexcept {
  memory::growable<char> text;
  if (object_name != nullptr) {
    if (const DWORD code = append_utf8(text, object_name); code != ERROR_SUCCESS) {
      return code;
    }
  }
  const escaping how{(flags & WINHTTP_FLAG_ESCAPE_DISABLE) == 0,
                     (flags & WINHTTP_FLAG_ESCAPE_DISABLE_QUERY) == 0,
                     (flags & WINHTTP_FLAG_ESCAPE_PERCENT) != 0};
  if (!append_object_name(to.path, text.view(), how)) {
    return ERROR_WINHTTP_INVALID_URL;
  }
  return to.path.ok() ? ERROR_SUCCESS : ERROR_NOT_ENOUGH_MEMORY;
}

DWORD take_headers(const WCHAR* referrer, LPCWSTR* accept_types, request::opening& to) noexcept {
  memory::growable<char> value;
  if (referrer != nullptr) {
    DWORD code = append_utf8(value, referrer);
    if (code == ERROR_SUCCESS) {
      code = take_header(to.headers, "Referer", value.view());
    }
    if (code != ERROR_SUCCESS) {
      return code;
    }
  }
  value.clear();
  for (; accept_types != nullptr && *accept_types != nullptr; ++accept_types) {
    if (!value.empty()) {
      value.append(", ");
    }
    if (const DWORD code = append_utf8(value, *accept_types); code != ERROR_SUCCESS) {
      return code;
    }
  }
  return take_header(to.headers, "Accept", value.view());
}

} // namespace

HINTERNET WINAPI WinHttpOpen(LPCWSTR user_agent, DWORD access_type, LPCWSTR proxy, LPCWSTR bypass,
                             DWORD flags) {
  if ((flags & ~WINHTTP_FLAG_SECURE_DEFAULTS) != 0) {
    return finish(ERROR_INVALID_PARAMETER, nullptr);
  }
  const bool asynchronous = (flags & WINHTTP_FLAG_ASYNC) != 0;
  const bool secure_only = flags == WINHTTP_FLAG_SECURE_DEFAULTS; // GET-02
  if (flags != 0 && !asynchronous) {
    return finish(ERROR_INVALID_PARAMETER, nullptr); // SECURE_DEFAULTS without its bit of ASYNC
  }
  if (!simd::forced_kernel_ok()) {
    return finish(ERROR_WINHTTP_INTERNAL_ERROR, nullptr); // as for SLUICE_BACKEND
  }
  proxy_settings proxies;
  DWORD code = proxies.set(access_type, proxy, bypass);
  memory::growable<char> agent;
  if (code == ERROR_SUCCESS && user_agent != nullptr) {
    code = take_agent(user_agent, agent);
  }
  HINTERNET handle = nullptr;
  if (code == ERROR_SUCCESS) {
    code = publish(
        memory::create<session>(std::move(agent), std::move(proxies), asynchronous, secure_only),
        handle);
  }
  return finish(code, handle);
}

HINTERNET WINAPI WinHttpConnect(HINTERNET session_handle, LPCWSTR server, INTERNET_PORT port,
                                DWORD reserved) {
  if (server == nullptr || reserved != 0) {
    return finish(ERROR_INVALID_PARAMETER, nullptr);
  }
  const pin pinned(session_handle);
  DWORD code = ERROR_SUCCESS;
  session* const parent = pinned.as<session>(code);
  if (parent == nullptr) {
    return finish(code, nullptr);
  }
  memory::growable<char> host;
  code = take_host(server, host);
  HINTERNET handle = nullptr;
  if (code == ERROR_SUCCESS) {
    code = publish(memory::create<connection>(*parent, std::move(host), port), handle);
  }
  if (code == ERROR_SUCCESS) {
    parent->notify_created(handle);
  }
  return finish(code, handle);
}

HINTERNET WINAPI WinHttpOpenRequest(HINTERNET connection_handle, LPCWSTR verb, LPCWSTR object_name,
                                    LPCWSTR version, LPCWSTR referrer, LPCWSTR* accept_types,
                                    DWORD flags) {
  if ((flags & ~request_flags) != 0) {
    return finish(ERROR_INVALID_PARAMETER, nullptr);
  }
  const pin pinned(connection_handle);
  DWORD code = ERROR_SUCCESS;
  connection* const parent = pinned.as<connection>(code);
  if (parent == nullptr) {
    return finish(code, nullptr);
  }
  request::opening from;
  from.secure = (flags & WINHTTP_FLAG_SECURE) != 0;
  from.refresh = (flags & WINHTTP_FLAG_REFRESH) != 0;
  code = take_verb(verb, from);
  if (code == ERROR_SUCCESS) {
    code = take_version(version, from);
  }
  if (code == ERROR_SUCCESS) {
    code = take_object(object_name, flags, from);
  }
  if (code == ERROR_SUCCESS) {
    code = take_headers(referrer, accept_types, from);
  }
  if (code != ERROR_SUCCESS) {
    return finish(code, nullptr);
  }
  HINTERNET handle = nullptr;
  request* made = memory::create<request>(*parent, std::move(from));
  if (made != nullptr && !made->ok()) {
    made->drop_ref();
    made = nullptr;
  }
  code = publish(made, handle);
  if (code == ERROR_SUCCESS) {
    parent->notify_created(handle);
  }
  return finish(code, handle);
}
