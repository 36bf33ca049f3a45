#include "winhttp/response_body.hpp"

#include "core/http_text.hpp"
#include "winhttp/text.hpp"

#include <algorithm>
#include <cstring>

namespace sluice::winhttp {
namespace {

// Bounds on what a server may make us read without giving a body byte.
constexpr std::size_t max_chunk_line_bytes = 4096;
constexpr std::size_t max_trailer_bytes = 16384;

bool parse_length(std::string_view text, std::uint64_t& value) noexcept {
  if (text.empty()) {
    return false;
  }
  value = 0;
  for (const char c : text) {
    if (!is_digit(c) || value > (UINT64_MAX - 9) / 10) {
      return false;
    }
    value = value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return true;
}

// RFC 9112 section 6.1: "chunked" is the last transfer coding.
bool ends_in_chunked(std::string_view value) noexcept {
  const std::size_t comma = value.rfind(',');
  const std::string_view last = comma == std::string_view::npos ? value : value.substr(comma + 1);
  return equal_no_case(http_text::trimmed(last), std::string_view("chunked"));
}

} // namespace

DWORD response_body::start(const http_response_head& head, std::string_view verb) noexcept {
  *this = response_body();
  const unsigned status = head.status();
  if (verb == "HEAD" || status < 200 || status == 204 || status == 304) {
    return ERROR_SUCCESS;
  }
  if (const std::size_t codings = head.count("Transfer-Encoding"); codings != 0) {
    // It overrides Content-Length (RFC 9112 section 6.3).
    stage_ = ends_in_chunked(head.find("Transfer-Encoding", codings - 1)) ? stage::chunk_size
                                                                          : stage::until_close;
    return ERROR_SUCCESS;
  }
  const std::size_t lengths = head.count("Content-Length");
  if (lengths == 0) {
    stage_ = stage::until_close;
    return ERROR_SUCCESS;
  }
  for (std::size_t i = 0; i < lengths; ++i) {
    std::uint64_t length = 0;
    if (!parse_length(head.find("Content-Length", i), length) || (i != 0 && length != remaining_)) {
      return ERROR_WINHTTP_INVALID_SERVER_RESPONSE;
    }
    remaining_ = length;
  }
  stage_ = remaining_ == 0 ? stage::done : stage::counted;
  return ERROR_SUCCESS;
}

response_body::progress response_body::read(slice_queue& inbox, std::span<std::byte> to) noexcept {
  progress out;
  for (;;) {
    out.code = parse_framing(inbox);
    out.finished = stage_ == stage::done;
    if (out.code != ERROR_SUCCESS || out.finished || to.empty()) {
      return out;
    }
    if (inbox.empty()) {
      out.needs_input = true;
      return out;
    }
    std::size_t count = std::min(to.size(), inbox.front_size_bytes());
    if (stage_ != stage::until_close) {
      count = static_cast<std::size_t>(std::min<std::uint64_t>(count, remaining_));
      remaining_ -= count;
    }
    std::memcpy(to.data(), inbox.front_bytes(), count);
    inbox.consume(count);
    to = to.subspan(count);
    out.copied_bytes += count;
    if (remaining_ == 0 && stage_ != stage::until_close) {
      stage_ = stage_ == stage::counted ? stage::done : stage::chunk_cr;
    }
  }
}

response_body::progress response_body::peek(slice_queue& inbox) noexcept {
  progress out;
  out.code = parse_framing(inbox);
  out.finished = stage_ == stage::done;
  if (out.code != ERROR_SUCCESS || out.finished) {
    return out;
  }
  if (inbox.empty()) {
    out.needs_input = true;
    return out;
  }
  out.copied_bytes = inbox.size_bytes();
  if (stage_ != stage::until_close) {
    out.copied_bytes =
        static_cast<std::size_t>(std::min<std::uint64_t>(out.copied_bytes, remaining_));
  }
  return out;
}

DWORD response_body::on_end_of_stream() noexcept {
  if (stage_ == stage::until_close || stage_ == stage::done) {
    stage_ = stage::done;
    return ERROR_SUCCESS;
  }
  return ERROR_WINHTTP_CONNECTION_ERROR;
}

DWORD response_body::parse_framing(slice_queue& inbox) noexcept {
  while (stage_ != stage::done && !in_data() && !inbox.empty()) {
    const DWORD code = parse_byte(static_cast<char>(*inbox.front_bytes()));
    inbox.consume(1);
    if (code != ERROR_SUCCESS) {
      return code;
    }
  }
  return ERROR_SUCCESS;
}

DWORD response_body::end_size_line() noexcept {
  if (!has_digits_) {
    return ERROR_WINHTTP_INVALID_SERVER_RESPONSE;
  }
  has_digits_ = false;
  line_bytes_ = 0;
  stage_ = remaining_ == 0 ? stage::trailer_line : stage::chunk_data;
  return ERROR_SUCCESS;
}

DWORD response_body::parse_byte(char c) noexcept {
  switch (stage_) {
  case stage::chunk_size:
  case stage::chunk_rest:
    if (++line_bytes_ > max_chunk_line_bytes) {
      return ERROR_WINHTTP_CHUNKED_ENCODING_HEADER_SIZE_OVERFLOW;
    }
    if (after_cr_) {
      after_cr_ = false;
      return c == '\n' ? end_size_line() : DWORD{ERROR_WINHTTP_INVALID_SERVER_RESPONSE};
    }
    if (c == '\r') {
      after_cr_ = true;
      return ERROR_SUCCESS;
    }
    if (stage_ == stage::chunk_rest) {
      return ERROR_SUCCESS; // an extension: nothing in it concerns us
    }
    if (const int digit = hex_value(c); digit >= 0) {
      if (remaining_ > (UINT64_MAX >> 4)) {
        return ERROR_WINHTTP_INVALID_SERVER_RESPONSE;
      }
      remaining_ = (remaining_ << 4) | static_cast<unsigned>(digit);
      has_digits_ = true;
      return ERROR_SUCCESS;
    }
    if (c != ';' && c != ' ' && c != '\t') {
      return ERROR_WINHTTP_INVALID_SERVER_RESPONSE;
    }
    stage_ = stage::chunk_rest;
    return ERROR_SUCCESS;

  case stage::chunk_cr:
    stage_ = stage::chunk_lf;
    return c == '\r' ? ERROR_SUCCESS : ERROR_WINHTTP_INVALID_SERVER_RESPONSE;

  case stage::chunk_lf:
    stage_ = stage::chunk_size;
    return c == '\n' ? ERROR_SUCCESS : ERROR_WINHTTP_INVALID_SERVER_RESPONSE;

  case stage::trailer_line:
    if (++trailer_bytes_ > max_trailer_bytes) {
      return ERROR_WINHTTP_HEADER_SIZE_OVERFLOW;
    }
    if (after_cr_) {
      after_cr_ = false;
      if (c != '\n') {
        return ERROR_WINHTTP_INVALID_SERVER_RESPONSE;
      }
      if (line_bytes_ == 0) { // the empty line
        stage_ = stage::done;
      }
      line_bytes_ = 0;
    } else if (c == '\r') {
      after_cr_ = true;
    } else {
      ++line_bytes_;
    }
    return ERROR_SUCCESS;

  case stage::counted:
  case stage::until_close:
  case stage::chunk_data:
  case stage::done:
    break;
  }
  return ERROR_SUCCESS;
}

} // namespace sluice::winhttp
