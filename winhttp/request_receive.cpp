#include "winhttp/request.hpp"

#include "winhttp/error_map.hpp"

#include <algorithm>
#include <utility>

namespace sluice::winhttp {
namespace {

constexpr std::size_t max_response_fields = 100;

io::time_point deadline_after(std::chrono::milliseconds timeout) noexcept {
  return timeout.count() == 0 ? io::no_deadline : io::clock::now() + timeout;
}

} // namespace

DWORD request::receive_response() noexcept {
  const exchange_claim claim(*this);
  if (!claim) {
    return ERROR_INVALID_OPERATION;
  }
  if (phase_ != phase::sent) {
    return ERROR_WINHTTP_INCORRECT_HANDLE_STATE; // GET-19
  }
  return receive_claimed();
}

DWORD request::receive_claimed() noexcept {
  DWORD code = ERROR_SUCCESS;
  for (DWORD hop = 0;; ++hop) {
    code = read_final_head();
    while (code == ERROR_SUCCESS &&
           answers_challenge()) { // once for the proxy, once for the server
      code = repeat_with_user();
      if (code == ERROR_SUCCESS) {
        code = read_final_head();
      }
    }
    if (code != ERROR_SUCCESS || !wants_redirect()) {
      break;
    }
    request_target next;
    code = resolve_location(head_->find("Location"), next);
    if (code != ERROR_SUCCESS || !allows_redirect(next)) {
      break;
    }
    if (hop >= dwords_.get(dword_option::max_automatic_redirects)) {
      code = ERROR_WINHTTP_REDIRECT_FAILED; // HSK-40
      break;
    }
    if (code = follow_redirect(std::move(next)); code != ERROR_SUCCESS) {
      break;
    }
  }
  if (code == ERROR_SUCCESS) {
    code = accept_head();
  }
  if (code == ERROR_SUCCESS) {
    code = note_challenge();
  }
  if (code == ERROR_SUCCESS) {
    set_phase(phase::answered);
  } else {
    drop_exchange();
  }
  return code;
}

void request::begin_head() noexcept {
  response_deadline_ = deadline_after(dwords_.timeout(dword_option::receive_response_timeout));
  limits bounds;
  bounds.max_head_bytes = dwords_.get(dword_option::max_response_header_bytes);
  bounds.max_headers = max_response_fields;
  head_.emplace(bounds);
}

// Reads heads up to the final one.
DWORD request::read_heads() noexcept {
  const DWORD max_interim = dwords_.get(dword_option::max_status_continue);
  for (DWORD interim = 0;; ++interim) {
    if (const DWORD code = read_head(); code != ERROR_SUCCESS) {
      return code;
    }
    DWORD status = head_->status();
    if (status >= HTTP_STATUS_OK || status == HTTP_STATUS_SWITCH_PROTOCOLS) {
      return ERROR_SUCCESS;
    }
    if (interim == max_interim) {
      return ERROR_WINHTTP_INVALID_SERVER_RESPONSE;
    }
    notify(WINHTTP_CALLBACK_STATUS_INTERMEDIATE_RESPONSE, &status, sizeof(status)); // HSK-27
    head_->reset();
  }
}

// HSK-51: what read_final_head() will find, a failure included.
void request::read_ahead() noexcept {
  if (has_read_ahead_) {
    return; // the proxy's answer
  }
  begin_head();
  read_ahead_code_ = read_heads();
  has_read_ahead_ = true;
}

DWORD request::read_final_head() noexcept {
  const bool is_there = std::exchange(has_read_ahead_, false);
  if (!is_there) {
    begin_head();
  }
  notify(WINHTTP_CALLBACK_STATUS_RECEIVING_RESPONSE, nullptr, 0);
  if (const DWORD code = is_there ? read_ahead_code_ : read_heads(); code != ERROR_SUCCESS) {
    return code;
  }
  auto head_bytes = static_cast<DWORD>(head_->raw().size());
  notify(WINHTTP_CALLBACK_STATUS_RESPONSE_RECEIVED, &head_bytes, sizeof(head_bytes));
  return ERROR_SUCCESS;
}

DWORD request::read_head() noexcept {
  for (;;) {
    while (!inbox_.empty()) {
      const http_response_head::feed_result fed =
          head_->feed({inbox_.front_bytes(), inbox_.front_size_bytes()});
      inbox_.consume(fed.consumed_bytes); // what is behind the head stays (HSK-30)
      if (fed.reason != error::none) {
        return to_win32(fed.reason);
      }
      if (fed.complete) {
        return ERROR_SUCCESS;
      }
    }
    io::time_point deadline = response_deadline_;
    if (dwords_.was_set(dword_option::receive_timeout)) {
      deadline = std::min(deadline, deadline_after(dwords_.timeout(dword_option::receive_timeout)));
    }
    const error failed = read_input(deadline);
    if (failed != error::none) { // HSK-29
      return transport_failure(failed == error::end_of_stream ? error::response_truncated : failed);
    }
  }
}

error request::read_input(io::time_point deadline) noexcept {
  io::loop* on = nullptr;
  const error failed = io::loop::for_this_thread(on);
  return failed != error::none ? failed : transport_.read(*on, inbox_, deadline, &cancel_);
}

DWORD request::accept_head() noexcept {
  if (head_->status() != HTTP_STATUS_SWITCH_PROTOCOLS) {
    return response_body_.start(*head_, from_proxy_ ? std::string_view("CONNECT")
                                                    : current_verb_.view()); // HSK-25, GET-27
  }
  response_body_.start_empty();
  if (!exchange_upgrades_) {
    return ERROR_WINHTTP_INVALID_SERVER_RESPONSE; // HSK-26, decision X-11
  }
  return to_win32(
      check_upgrade_response(*head_, key_, offered_.view())); // HSK-20 to HSK-24, decision X-10
}

DWORD request::query_data_available(DWORD& available) noexcept {
  available = 0;
  const exchange_claim claim(*this);
  if (!claim) {
    return ERROR_INVALID_OPERATION;
  }
  if (phase_ == phase::idle || phase_ == phase::sent) {
    return ERROR_WINHTTP_INCORRECT_HANDLE_STATE;
  }
  return query_claimed(available);
}

DWORD request::query_claimed(DWORD& available) noexcept {
  for (;;) {
    const response_body::progress now = response_body_.peek(inbox_);
    if (now.code != ERROR_SUCCESS || now.finished || !now.needs_input) {
      available = now.copied_bytes > MAXDWORD ? MAXDWORD : static_cast<DWORD>(now.copied_bytes);
      return now.code;
    }
    if (const DWORD code = read_body_input(); code != ERROR_SUCCESS) {
      return code;
    }
  }
}

DWORD request::read_data(std::span<std::byte> to, DWORD& read) noexcept {
  read = 0;
  const exchange_claim claim(*this);
  if (!claim) {
    return ERROR_INVALID_OPERATION;
  }
  if (phase_ == phase::idle || phase_ == phase::sent) {
    return ERROR_WINHTTP_INCORRECT_HANDLE_STATE;
  }
  return read_claimed(to, read);
}

DWORD request::read_claimed(std::span<std::byte> to, DWORD& read) noexcept {
  for (;;) {
    const response_body::progress now = response_body_.read(inbox_, to.subspan(read));
    read += static_cast<DWORD>(now.copied_bytes);
    if (now.code != ERROR_SUCCESS || !now.needs_input) {
      return now.code;
    }
    if (const DWORD code = read_body_input(); code != ERROR_SUCCESS) {
      return code;
    }
  }
}

DWORD request::read_body_input() noexcept {
  const error failed = read_input(deadline_after(dwords_.timeout(dword_option::receive_timeout)));
  return failed == error::end_of_stream ? response_body_.on_end_of_stream() : to_win32(failed);
}

} // namespace sluice::winhttp
