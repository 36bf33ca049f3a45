// The functions that work on requests.

#include "winhttp/handle_table.hpp"
#include "winhttp/last_error.hpp"
#include "winhttp/request.hpp"
#include "winhttp/text.hpp"

#include <cwchar>

using namespace sluice;
using namespace sluice::winhttp;

namespace {

constexpr DWORD until_nul = 0xFFFFFFFFu;

// Header lines as the functions take them: `length` in WCHARs, or up to the NUL. Programs also
// count the NUL in.
DWORD take_lines(const WCHAR* headers, DWORD length, memory::growable<char>& lines) noexcept {
  const std::size_t count = length == until_nul ? std::wcslen(headers) : ::wcsnlen(headers, length);
  return append_utf8(lines, std::wstring_view(headers, count));
}

// GET-29: before anything else.
void clear_count(LPDWORD count) noexcept {
  if (count != nullptr) {
    *count = 0;
  }
}

} // namespace

BOOL WINAPI WinHttpAddRequestHeaders(HINTERNET request_handle, LPCWSTR headers,
                                     DWORD headers_length, DWORD modifiers) {
  if (headers == nullptr || headers_length == 0) {
    return finish(ERROR_INVALID_PARAMETER);
  }
  const pin pinned(request_handle);
  DWORD code = ERROR_SUCCESS;
  request* const on = pinned.as<request>(code);
  if (on == nullptr) {
    return finish(code);
  }
  memory::growable<char> lines;
  code = take_lines(headers, headers_length, lines);
  return finish(code == ERROR_SUCCESS ? on->add_headers(lines.view(), modifiers) : code);
}

BOOL WINAPI WinHttpSendRequest(HINTERNET request_handle, LPCWSTR headers, DWORD headers_length,
                               LPVOID optional, DWORD optional_length, DWORD total_length,
                               DWORD_PTR context) {
  // A total of 0 means that nobody counted (WINHTTP_IGNORE_REQUEST_TOTAL_LENGTH).
  if ((optional == nullptr && optional_length != 0) ||
      (total_length != 0 && total_length < optional_length)) {
    return finish(ERROR_INVALID_PARAMETER);
  }
  const pin pinned(request_handle);
  DWORD code = ERROR_SUCCESS;
  request* const on = pinned.as<request>(code);
  if (on == nullptr) {
    return finish(code);
  }
  memory::growable<char> lines;
  if (headers != nullptr && headers_length != 0) {
    code = take_lines(headers, headers_length, lines);
    if (code != ERROR_SUCCESS) {
      return finish(code);
    }
  }
  const std::span body(static_cast<const std::byte*>(optional), optional_length);
  return finish(on->asynchronous() ? on->send_async(lines.view(), body, total_length, context)
                                   : on->send(lines.view(), body, total_length, context));
}

BOOL WINAPI WinHttpWriteData(HINTERNET request_handle, LPCVOID buffer, DWORD to_write,
                             LPDWORD written) {
  clear_count(written);
  if (buffer == nullptr && to_write != 0) {
    return finish(ERROR_INVALID_PARAMETER);
  }
  const pin pinned(request_handle);
  DWORD code = ERROR_SUCCESS;
  request* const on = pinned.as<request>(code);
  const std::span more(static_cast<const std::byte*>(buffer), to_write);
  if (on != nullptr && on->asynchronous()) {
    return finish(on->write_data_async(more));
  }
  if (written == nullptr) {
    return finish(ERROR_INVALID_PARAMETER);
  }
  if (on == nullptr) {
    return finish(code);
  }
  code = on->write_data(more);
  if (code == ERROR_SUCCESS) {
    *written = to_write;
  }
  return finish(code);
}

BOOL WINAPI WinHttpSetCredentials(HINTERNET request_handle, DWORD target, DWORD scheme,
                                  LPCWSTR user, LPCWSTR password, LPVOID reserved) {
  const pin pinned(request_handle);
  DWORD code = ERROR_SUCCESS;
  request* const on = pinned.as<request>(code);
  if (on == nullptr) {
    return finish(code);
  }
  return finish(reserved != nullptr ? DWORD{ERROR_INVALID_PARAMETER}
                                    : on->set_credentials(target, scheme, user, password));
}

BOOL WINAPI WinHttpQueryAuthSchemes(HINTERNET request_handle, LPDWORD supported, LPDWORD first,
                                    LPDWORD target) {
  const pin pinned(request_handle);
  DWORD code = ERROR_SUCCESS;
  const request* const on = pinned.as<request>(code);
  if (on == nullptr) {
    return finish(code);
  }
  if (supported == nullptr || first == nullptr || target == nullptr) {
    return finish(ERROR_INVALID_PARAMETER);
  }
  offered_schemes schemes;
  DWORD asking = 0;
  code = on->query_auth_schemes(schemes, asking);
  if (code == ERROR_SUCCESS) {
    *supported = schemes.all;
    *first = schemes.first;
    *target = asking;
  }
  return finish(code);
}

BOOL WINAPI WinHttpReceiveResponse(HINTERNET request_handle, LPVOID reserved) {
  if (reserved != nullptr) {
    return finish(ERROR_INVALID_PARAMETER);
  }
  const pin pinned(request_handle);
  DWORD code = ERROR_SUCCESS;
  request* const on = pinned.as<request>(code);
  if (on == nullptr) {
    return finish(code);
  }
  return finish(on->asynchronous() ? on->receive_response_async() : on->receive_response());
}

BOOL WINAPI WinHttpQueryHeaders(HINTERNET request_handle, DWORD info_level, LPCWSTR name,
                                LPVOID buffer, LPDWORD length, LPDWORD index) {
  if (length == nullptr) {
    return finish(ERROR_INVALID_PARAMETER);
  }
  const pin pinned(request_handle);
  DWORD code = ERROR_SUCCESS;
  request* const on = pinned.as<request>(code);
  return finish(on == nullptr ? code : on->query_headers(info_level, name, buffer, length, index));
}

BOOL WINAPI WinHttpQueryDataAvailable(HINTERNET request_handle, LPDWORD available) {
  const pin pinned(request_handle);
  DWORD code = ERROR_SUCCESS;
  request* const on = pinned.as<request>(code);
  if (on == nullptr) {
    return finish(code);
  }
  if (on->asynchronous()) {
    return finish(on->query_data_available_async());
  }
  DWORD ready = 0;
  code = on->query_data_available(ready);
  if (code == ERROR_SUCCESS && available != nullptr) {
    *available = ready;
  }
  return finish(code);
}

BOOL WINAPI WinHttpReadData(HINTERNET request_handle, LPVOID buffer, DWORD to_read, LPDWORD read) {
  clear_count(read);
  if (buffer == nullptr && to_read != 0) {
    return finish(ERROR_INVALID_PARAMETER);
  }
  const pin pinned(request_handle);
  DWORD code = ERROR_SUCCESS;
  request* const on = pinned.as<request>(code);
  const std::span to(static_cast<std::byte*>(buffer), to_read);
  if (on != nullptr && on->asynchronous()) {
    return finish(on->read_data_async(to));
  }
  if (read == nullptr) {
    return finish(ERROR_INVALID_PARAMETER);
  }
  return finish(on == nullptr ? code : on->read_data(to, *read));
}
