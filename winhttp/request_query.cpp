#include "winhttp/request.hpp"

#include "winhttp/http_date.hpp"
#include "winhttp/text.hpp"

#include <array>

namespace sluice::winhttp {
namespace {

constexpr DWORD all_flags = WINHTTP_QUERY_FLAG_NUMBER | WINHTTP_QUERY_FLAG_NUMBER64 |
                            WINHTTP_QUERY_FLAG_SYSTEMTIME | WINHTTP_QUERY_FLAG_REQUEST_HEADERS;

// The field behind each WINHTTP_QUERY_... level; empty where the level is no field.
constexpr std::array<std::string_view, WINHTTP_QUERY_MAX + 1> field_names = {
    "Mime-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "Content-ID",
    "Content-Description",
    "Content-Length",
    "Content-Language",
    "Allow",
    "Public",
    "Date",
    "Expires",
    "Last-Modified",
    "Message-ID",
    "URI",
    "Derived-From",
    "Cost",
    "Link",
    "Pragma",
    "", // 18: version
    "", // 19: status code
    "", // 20: status text
    "", // 21: raw headers
    "", // 22: raw headers with CRLF
    "Connection",
    "Accept",
    "Accept-Charset",
    "Accept-Encoding",
    "Accept-Language",
    "Authorization",
    "Content-Encoding",
    "Forwarded",
    "From",
    "If-Modified-Since",
    "Location",
    "Orig-URI",
    "Referer",
    "Retry-After",
    "Server",
    "Title",
    "User-Agent",
    "WWW-Authenticate",
    "Proxy-Authenticate",
    "Accept-Ranges",
    "Set-Cookie",
    "Cookie",
    "", // 45: request method
    "Refresh",
    "Content-Disposition",
    "Age",
    "Cache-Control",
    "Content-Base",
    "Content-Location",
    "Content-MD5",
    "Content-Range",
    "ETag",
    "Host",
    "If-Match",
    "If-None-Match",
    "If-Range",
    "If-Unmodified-Since",
    "Max-Forwards",
    "Proxy-Authorization",
    "Range",
    "Transfer-Encoding",
    "Upgrade",
    "Vary",
    "Via",
    "Warning",
    "Expect",
    "Proxy-Connection",
    "Unless-Modified-Since",
    "", // 71 to 74 are not used
    "",
    "",
    "",
    "Proxy-Support",
    "Authentication-Info",
    "PassportURLs",
    "PassportConfig",
};

bool is_field(DWORD level) noexcept {
  return level == WINHTTP_QUERY_CUSTOM ||
         (level <= WINHTTP_QUERY_MAX && !field_names[level].empty());
}

bool is_level(DWORD level) noexcept {
  return is_field(level) ||
         (level >= WINHTTP_QUERY_VERSION && level <= WINHTTP_QUERY_RAW_HEADERS_CRLF) ||
         level == WINHTTP_QUERY_REQUEST_METHOD;
}

// Lines with NULs between them instead of CRLF; the NUL that ends the list is not part of it.
void append_nul_separated(memory::growable<char>& to, std::string_view lines) noexcept {
  while (!lines.empty()) {
    const std::size_t end = lines.find("\r\n");
    const std::string_view line = lines.substr(0, end);
    lines.remove_prefix(end == std::string_view::npos ? lines.size() : end + 2);
    if (!line.empty()) {
      to.append(line);
      to.append('\0');
    }
  }
}

// GET-24: without the terminator when it fits, with it when it does not.
DWORD give_string(std::string_view text, void* buffer, DWORD* length) noexcept {
  DWORD room = *length;
  const DWORD code = give_text(text, buffer, &room);
  *length = code == ERROR_SUCCESS ? room - static_cast<DWORD>(sizeof(WCHAR)) : room;
  return code;
}

bool parse_number(std::string_view text, std::uint64_t most, std::uint64_t& value) noexcept {
  value = 0;
  for (const char c : text) {
    if (!is_digit(c)) {
      return false;
    }
    const auto digit = static_cast<std::uint64_t>(c - '0');
    if (value > (most - digit) / 10) {
      return false;
    }
    value = value * 10 + digit;
  }
  return !text.empty();
}

DWORD give_as(DWORD flags, std::string_view text, void* buffer, DWORD* length) noexcept {
  std::uint64_t number = 0;
  if ((flags & WINHTTP_QUERY_FLAG_NUMBER) != 0) {
    return parse_number(text, MAXDWORD, number)
               ? give_value(static_cast<DWORD>(number), buffer, length)
               : DWORD{ERROR_WINHTTP_INVALID_HEADER};
  }
  if ((flags & WINHTTP_QUERY_FLAG_NUMBER64) != 0) {
    return parse_number(text, UINT64_MAX, number)
               ? give_value(static_cast<ULONGLONG>(number), buffer, length)
               : DWORD{ERROR_WINHTTP_INVALID_HEADER};
  }
  if ((flags & WINHTTP_QUERY_FLAG_SYSTEMTIME) != 0) {
    SYSTEMTIME date{};
    return parse_http_date(text, date) ? give_value(date, buffer, length)
                                       : DWORD{ERROR_WINHTTP_INVALID_HEADER};
  }
  return give_string(text, buffer, length);
}

} // namespace

DWORD request::query_headers(DWORD info_level, const WCHAR* name, void* buffer, DWORD* length,
                             DWORD* index) noexcept {
  const DWORD level = info_level & ~all_flags;
  if (length == nullptr || !is_level(level) || (level == WINHTTP_QUERY_CUSTOM && name == nullptr)) {
    return ERROR_INVALID_PARAMETER;
  }
  memory::growable<char> wanted;
  if (level == WINHTTP_QUERY_CUSTOM) {
    if (const DWORD code = append_utf8(wanted, name); code != ERROR_SUCCESS) {
      return code;
    }
  } else {
    wanted.append(level <= WINHTTP_QUERY_MAX ? field_names[level] : std::string_view());
  }
  memory::growable<char> text;
  DWORD code = ERROR_SUCCESS;
  {
    const std::lock_guard guard(lock_);
    const DWORD nth = index != nullptr ? *index : 0;
    code = find_text(level, (info_level & WINHTTP_QUERY_FLAG_REQUEST_HEADERS) != 0, wanted.view(),
                     nth, text);
  }
  if (code != ERROR_SUCCESS) {
    return code;
  }
  if (!wanted.ok() || !text.ok()) {
    return ERROR_NOT_ENOUGH_MEMORY;
  }
  code = give_as(info_level & all_flags, text.view(), buffer, length);
  if (code == ERROR_SUCCESS && index != nullptr && is_field(level)) {
    ++*index;
  }
  return code;
}

// Copies what a level stands for; lock_ is held.
DWORD request::find_text(DWORD level, bool of_request, std::string_view name, DWORD nth,
                         memory::growable<char>& text) const noexcept {
  if (level == WINHTTP_QUERY_REQUEST_METHOD) {
    text.append(current_verb_.view());
    return ERROR_SUCCESS;
  }
  if (of_request) {
    if (is_field(level)) {
      const std::size_t found = headers_.find(name, nth);
      if (found == header_list::npos) {
        return ERROR_WINHTTP_HEADER_NOT_FOUND;
      }
      text.append(headers_.at(found).value);
      return ERROR_SUCCESS;
    }
    if (level == WINHTTP_QUERY_VERSION) {
      text.append(http_1_0_ ? std::string_view("HTTP/1.0") : std::string_view("HTTP/1.1"));
      return ERROR_SUCCESS;
    }
    if (level == WINHTTP_QUERY_RAW_HEADERS_CRLF) {
      append_head(text, headers_);
      return ERROR_SUCCESS;
    }
    if (level == WINHTTP_QUERY_RAW_HEADERS) {
      memory::growable<char> lines;
      append_head(lines, headers_);
      append_nul_separated(text, lines.view());
      return lines.ok() ? ERROR_SUCCESS : ERROR_NOT_ENOUGH_MEMORY;
    }
    return ERROR_WINHTTP_HEADER_NOT_FOUND; // a request has no status
  }
  if (phase_ != phase::answered && phase_ != phase::taken) {
    return ERROR_WINHTTP_INCORRECT_HANDLE_STATE; // GET-21
  }
  switch (level) {
  case WINHTTP_QUERY_VERSION:
    text.append("HTTP/1.");
    append_decimal(text, head_->minor_version());
    return ERROR_SUCCESS;
  case WINHTTP_QUERY_STATUS_CODE:
    append_decimal(text, head_->status());
    return ERROR_SUCCESS;
  case WINHTTP_QUERY_STATUS_TEXT:
    text.append(head_->reason_phrase());
    return ERROR_SUCCESS;
  case WINHTTP_QUERY_RAW_HEADERS_CRLF:
    text.append(head_->raw());
    return ERROR_SUCCESS;
  case WINHTTP_QUERY_RAW_HEADERS:
    append_nul_separated(text, head_->raw());
    return ERROR_SUCCESS;
  default:
    break;
  }
  if (nth >= head_->count(name)) {
    return ERROR_WINHTTP_HEADER_NOT_FOUND;
  }
  text.append(head_->find(name, nth));
  return ERROR_SUCCESS;
}

} // namespace sluice::winhttp
