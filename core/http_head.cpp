#include "core/http_head.hpp"

#include "core/http_text.hpp"

#include <algorithm>

namespace sluice {

using http_text::is_blank;
using http_text::is_digit;
using http_text::is_text_char;
using http_text::is_token_char;

http_head::http_head(kind what, const limits& bounds) noexcept
    : max_bytes_(std::min<std::size_t>(bounds.max_head_bytes, UINT32_MAX)), // offsets are 32 bits
      max_fields_(bounds.max_headers), what_(what), state_(first_state()) {}

void http_head::reset() noexcept {
  raw_.clear();
  fields_.clear();
  examined_ = 0;
  offset_ = 0;
  text_begin_ = 0;
  text_bytes_ = 0;
  method_bytes_ = 0;
  status_ = 0;
  minor_version_ = 0;
  done_in_state_ = 0;
  state_ = first_state();
  failure_ = error::none;
}

http_head::feed_result http_head::feed(std::span<const std::byte> input) noexcept {
  if (state_ == state::complete || state_ == state::failed) {
    return {failure_, state_ == state::complete, 0};
  }
  std::size_t consumed = 0;
  while (consumed < input.size() && state_ != state::complete && failure_ == error::none) {
    failure_ = offset_ == max_bytes_ ? error::header_too_big
                                     : step(std::to_integer<unsigned>(input[consumed]));
    ++offset_;
    ++consumed;
  }
  if (failure_ == error::none &&
      !raw_.append(reinterpret_cast<const char*>(input.data()), consumed)) {
    failure_ = error::no_memory;
  }
  if (failure_ != error::none) {
    state_ = state::failed;
    return {failure_, false, consumed};
  }
  return {error::none, state_ == state::complete, consumed};
}

// One byte of the head. RFC 9112:
//   status-line = HTTP-version SP status-code SP [ reason-phrase ] CRLF       section 4
//   request-line = method SP request-target SP HTTP-version CRLF              section 3
//   field-line  = field-name ":" OWS field-value OWS CRLF                     section 5
//   head        = status-line *field-line CRLF                                section 2.1
// Bare CR and bare LF (section 2.2) and folded lines (section 5.2) are refused.
error http_head::step(unsigned byte) noexcept {
  ++examined_;
  switch (state_) {
  case state::method:
  case state::target:
    return step_request_line(byte);
  case state::version:
  case state::minor_version:
    return step_version(byte);
  case state::before_line_feed:
  case state::before_status:
  case state::status_digit:
  case state::after_status:
  case state::reason_phrase:
    return step_status_line(byte);
  case state::line_start:
    if (byte == '\r') {
      state_ = state::end_line_feed;
      return error::none;
    }
    return begin_field(byte);
  case state::name:
  case state::before_value:
  case state::value:
    return step_field(byte);
  case state::line_feed:
  case state::end_line_feed:
    if (byte != '\n') {
      return malformed();
    }
    state_ = state_ == state::line_feed ? state::line_start : state::complete;
    return error::none;
  case state::complete:
  case state::failed:
    break;
  }
  return malformed(); // not reached: feed() does not step in these states
}

error http_head::step_request_line(unsigned byte) noexcept {
  if (state_ == state::method) {
    if (byte == ' ' && offset_ != 0) {
      method_bytes_ = offset_;
      text_begin_ = offset_ + 1;
      state_ = state::target;
      return error::none;
    }
    return is_token_char(byte) ? error::none : malformed();
  }
  if (byte == ' ' && offset_ != text_begin_) {
    text_bytes_ = offset_ - text_begin_;
    state_ = state::version;
    return error::none;
  }
  return byte > ' ' && byte < 0x7F ? error::none : malformed();
}

error http_head::step_version(unsigned byte) noexcept {
  constexpr std::string_view version = "HTTP/1."; // case-sensitive, section 2.3
  if (state_ == state::version) {
    if (byte != static_cast<unsigned char>(version[done_in_state_])) {
      return malformed();
    }
    ++done_in_state_;
    if (done_in_state_ == version.size()) {
      done_in_state_ = 0;
      state_ = state::minor_version;
    }
    return error::none;
  }
  if (!is_digit(byte)) {
    return malformed();
  }
  minor_version_ = static_cast<std::uint8_t>(byte - '0');
  state_ = what_ == kind::request ? state::before_line_feed : state::before_status;
  return error::none;
}

error http_head::step_status_line(unsigned byte) noexcept {
  constexpr unsigned status_digits = 3;
  switch (state_) {
  case state::before_line_feed: // the version of a request ends its line
    if (byte != '\r') {
      return malformed();
    }
    state_ = state::line_feed;
    return error::none;
  case state::before_status:
  case state::after_status:
    if (byte != ' ') {
      return malformed();
    }
    if (state_ == state::before_status) {
      state_ = state::status_digit;
    } else {
      text_begin_ = offset_ + 1;
      state_ = state::reason_phrase;
    }
    return error::none;
  case state::status_digit:
    if (!is_digit(byte) || (done_in_state_ == 0 && byte == '0')) {
      return malformed();
    }
    status_ = static_cast<std::uint16_t>(status_ * 10u + (byte - '0'));
    ++done_in_state_;
    if (done_in_state_ == status_digits) {
      state_ = state::after_status;
    }
    return error::none;
  default: // reason_phrase
    if (byte == '\r') {
      text_bytes_ = offset_ - text_begin_;
      state_ = state::line_feed;
      return error::none;
    }
    return is_text_char(byte) ? error::none : malformed();
  }
}

error http_head::begin_field(unsigned byte) noexcept {
  if (!is_token_char(byte)) {
    return malformed(); // a blank here would be a folded line, a colon an empty name
  }
  if (fields_.size() >= max_fields_) {
    return error::too_many_headers;
  }
  if (!fields_.append(field_range{offset_, 0, 0, 0})) {
    return error::no_memory;
  }
  state_ = state::name;
  return error::none;
}

error http_head::step_field(unsigned byte) noexcept {
  field_range& current = fields_[fields_.size() - 1];
  if (state_ == state::name) {
    if (byte == ':') {
      current.name_bytes = offset_ - current.name_begin;
      current.value_begin = offset_ + 1;
      state_ = state::before_value;
      return error::none;
    }
    return is_token_char(byte) ? error::none : malformed();
  }
  if (byte == '\r') {
    state_ = state::line_feed;
    return error::none;
  }
  if (!is_text_char(byte)) {
    return malformed();
  }
  if (!is_blank(byte)) {
    if (state_ == state::before_value) {
      current.value_begin = offset_;
      state_ = state::value;
    }
    current.value_bytes = offset_ + 1 - current.value_begin; // so far: blanks may follow
  }
  return error::none;
}

http_head::field http_head::at(std::size_t index) const noexcept {
  const field_range& range = fields_[index];
  const std::string_view all = raw_.view();
  return {all.substr(range.name_begin, range.name_bytes),
          all.substr(range.value_begin, range.value_bytes)};
}

std::string_view http_head::find(std::string_view name, std::size_t nth) const noexcept {
  for (std::size_t i = 0; i < fields_.size(); ++i) {
    const field candidate = at(i);
    if (http_text::equal_ignoring_case(candidate.name, name)) {
      if (nth == 0) {
        return candidate.value;
      }
      --nth;
    }
  }
  return {};
}

std::size_t http_head::count(std::string_view name) const noexcept {
  std::size_t found = 0;
  for (std::size_t i = 0; i < fields_.size(); ++i) {
    if (http_text::equal_ignoring_case(at(i).name, name)) {
      ++found;
    }
  }
  return found;
}

} // namespace sluice
