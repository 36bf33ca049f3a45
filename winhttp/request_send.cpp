#include "winhttp/request.hpp"

#include "io/crypto.hpp"
#include "winhttp/error_map.hpp"
#include "winhttp/text.hpp"

#include <algorithm>
#include <utility>

namespace sluice::winhttp {
namespace {

constexpr DWORD smallest_send_buffer_bytes = 16; // OPT-06; nothing looks later (CUP-15)

// A body up to this size goes out in one piece with the head.
constexpr std::size_t joined_body_bytes = 16384;

// Decision X-08: the fields of an upgrade that are ours, whatever the application added.
constexpr std::string_view upgrade_fields[] = {"Connection", "Upgrade", "Sec-WebSocket-Version",
                                               "Sec-WebSocket-Key"};

} // namespace

DWORD request::send(std::string_view extra_lines, std::span<const std::byte> body,
                    DWORD total_bytes, DWORD_PTR new_context) noexcept {
  const exchange_claim claim(*this);
  if (!claim) {
    return ERROR_INVALID_OPERATION;
  }
  return send_claimed(extra_lines, body, total_bytes, new_context);
}

DWORD request::send_claimed(std::string_view extra_lines, std::span<const std::byte> body,
                            DWORD total_bytes, DWORD_PTR new_context) noexcept {
  const bool upgrades = upgrade_.load(std::memory_order_relaxed);
  if (upgrades && (!body.empty() || total_bytes != 0)) {
    return ERROR_INVALID_PARAMETER; // GET-18, decision X-07
  }
  if (upgrades && dwords_.get(dword_option::send_buffer_bytes) < smallest_send_buffer_bytes) {
    return ERROR_NOT_ENOUGH_MEMORY;
  }
  if (!extra_lines.empty()) {
    const DWORD code =
        add_headers(extra_lines, WINHTTP_ADDREQ_FLAG_ADD | WINHTTP_ADDREQ_FLAG_REPLACE);
    if (code != ERROR_SUCCESS) {
      return code;
    }
  }
  if (new_context != 0) {
    set_context(new_context); // HND-07
  }
  drop_exchange(); // GET-17
  {
    const std::lock_guard guard(lock_);
    current_.copy_from(original_);
    current_verb_.clear();
    current_verb_.append(verb_.view());
    exchange_upgrades_ = upgrades;
    cross_origin_ = false;
    if (!current_.ok() || !current_verb_.ok()) {
      return ERROR_NOT_ENOUGH_MEMORY;
    }
  }
  had_body_ = !body.empty() || total_bytes != 0;
  body_ = body;
  body_left_ = total_bytes > body.size() ? total_bytes - body.size() : 0;
  const DWORD code = send_once();
  body_ = {};
  if (code != ERROR_SUCCESS) {
    drop_exchange();
  }
  return code;
}

DWORD request::send_once() noexcept {
  memory::growable<char> head;
  DWORD code = choose_proxy();
  if (code == ERROR_SUCCESS) {
    code = prepare(head);
  }
  if (code == ERROR_SUCCESS) {
    code = connect();
  }
  if (code == ERROR_SUCCESS && !from_proxy_) { // else there is nobody to send it to
    code = transmit(head);
  }
  if (code == ERROR_SUCCESS) {
    set_phase(phase::sent);
  }
  wipe(head);
  return code;
}

DWORD request::prepare(memory::growable<char>& head) noexcept {
  if (exchange_upgrades_ && !io::make_handshake_key(key_)) { // HSK-03: a fresh one each time
    return to_win32(error::random_failed);
  }
  memory::growable<char> agent;
  parent_->parent().append_agent(agent);
  const std::lock_guard guard(lock_);
  header_list fields;
  fields.copy_from(headers_,
                   [](const header_list::field& field) noexcept { return !field.generated; });
  append_generated(fields, agent.view());
  offered_.clear();
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const header_list::field field = fields.at(i);
    if (equal_no_case(field.name, std::string_view("Sec-WebSocket-Protocol"))) {
      if (!offered_.empty()) {
        offered_.append(',');
      }
      offered_.append(field.value);
    }
  }
  if (!exchange_upgrades_ && fields.find("Transfer-Encoding") != header_list::npos) {
    had_body_ = true;
    body_left_ = any_length;
  }
  append_fields(head, fields);
  if (const credentials* const user = user_for_server();
      user != nullptr && !append_user(head, "Authorization", *user)) {
    return ERROR_NOT_ENOUGH_MEMORY;
  }
  if (const credentials* const user = route_.tunnels ? nullptr : user_for_proxy();
      user != nullptr && !append_user(head, "Proxy-Authorization", *user)) {
    return ERROR_NOT_ENOUGH_MEMORY;
  }
  head.append("\r\n");
  if (!agent.ok() || !fields.ok() || !offered_.ok() || !head.ok()) {
    return ERROR_NOT_ENOUGH_MEMORY;
  }
  headers_ = std::move(fields); // GET-22: visible from now on
  return ERROR_SUCCESS;
}

// The fields that SendRequest makes, behind those of the application (HSK-02, HSK-06).
void request::append_generated(header_list& fields, std::string_view agent) const noexcept {
  const auto add_if_absent = [&](std::string_view name, std::string_view value) {
    if (fields.find(name) == header_list::npos) {
      fields.append(name, value, true);
    }
  };
  if (cross_origin_ || fields.find("Host") == header_list::npos) {
    memory::growable<char> authority;
    current_.append_authority(authority);
    // A list that is not ok() stays so: a failure here must not send a wrong Host.
    authority.ok() ? fields.append("Host", authority.view(), true) : fields.fail();
  }
  if (!agent.empty()) {
    add_if_absent("User-Agent", agent); // GET-01
  }
  if (refresh_) {
    add_if_absent("Pragma", "no-cache");
    add_if_absent("Cache-Control", "no-cache");
  }
  // The length is a fact: another one from the application would let it split the connection's
  // bytes as it likes.
  fields.remove("Content-Length");
  const std::string_view verb = current_verb_.view();
  if ((body_.size() + body_left_ != 0 || verb == "POST" || verb == "PUT") &&
      fields.find("Transfer-Encoding") == header_list::npos) {
    memory::growable<char> length;
    append_decimal(length, body_.size() + body_left_);
    length.ok() ? fields.append("Content-Length", length.view(), true) : fields.fail();
  }
  if (!exchange_upgrades_) {
    add_if_absent("Connection", "close"); // one exchange per connection
    return;
  }
  for (const std::string_view name : upgrade_fields) {
    fields.remove(name);
  }
  memory::growable<char> lines;
  append_upgrade_fields(lines, key_);
  lines.ok() ? fields.append_generated_lines(lines.view()) : fields.fail();
}

// what the application added for one server is not shown to another, and what it added for
// the proxy to no server. What SetCredentials was told replaces what it added.
bool request::goes_out(const header_list::field& field) const noexcept {
  const auto is = [&](std::string_view name) { return equal_no_case(field.name, name); };
  if (is("Authorization")) {
    return !cross_origin_ && user_for_server() == nullptr;
  }
  if (is("Proxy-Authorization")) {
    return route_.used() && !route_.tunnels && user_for_proxy() == nullptr;
  }
  return !cross_origin_ || field.generated || !(is("Cookie") || is("Host"));
}

// RFC 9112 section 3.2.2: a proxy that gets the request itself needs the whole URL.
void request::append_line(memory::growable<char>& head) const noexcept {
  head.append(current_verb_.view());
  head.append(' ');
  if (route_.used() && !route_.tunnels) {
    current_.append_url(head);
  } else {
    head.append(current_.path.view());
  }
  head.append(http_1_0_ && !exchange_upgrades_ ? std::string_view(" HTTP/1.0\r\n")
                                               : std::string_view(" HTTP/1.1\r\n"));
}

// Whatever of a head can be shown, its user not included.
void request::append_head(memory::growable<char>& head, const header_list& fields) const noexcept {
  append_fields(head, fields);
  head.append("\r\n");
}

void request::append_fields(memory::growable<char>& head,
                            const header_list& fields) const noexcept {
  append_line(head);
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const header_list::field field = fields.at(i);
    if (goes_out(field)) {
      head.append(field.name);
      head.append(": ");
      head.append(field.value);
      head.append("\r\n");
    }
  }
}

DWORD request::transmit(memory::growable<char>& head) noexcept {
  notify(WINHTTP_CALLBACK_STATUS_SENDING_REQUEST, nullptr, 0);
  io::loop* on = nullptr;
  if (const error failed = io::loop::for_this_thread(on); failed != error::none) {
    return to_win32(failed);
  }
  std::span<const std::byte> body = body_;
  const std::size_t total = head.size() + body.size();
  // A password may be in the head: it does not grow. Out of memory only costs the joining.
  memory::growable<char> joined;
  if (!body.empty() && body.size() <= joined_body_bytes && joined.reserve(total)) {
    joined.append(head.view());
    joined.append(reinterpret_cast<const char*>(body.data()), body.size());
    body = {};
  }
  const std::string_view first = joined.empty() ? head.view() : joined.view();
  const std::chrono::milliseconds patience = dwords_.timeout(dword_option::send_timeout);
  error failed = transport_.write(*on, std::as_bytes(std::span(first.data(), first.size())),
                                  patience, &cancel_);
  wipe(joined);
  if (failed == error::none && !body.empty()) {
    failed = transport_.write(*on, body, patience, &cancel_);
  }
  if (failed != error::none) {
    return transport_failure(failed);
  }
  DWORD sent = total > MAXDWORD ? MAXDWORD : static_cast<DWORD>(total);
  notify(WINHTTP_CALLBACK_STATUS_REQUEST_SENT, &sent, sizeof(sent));
  return ERROR_SUCCESS;
}

DWORD request::write_data(std::span<const std::byte> more) noexcept {
  const exchange_claim claim(*this);
  if (!claim) {
    return ERROR_INVALID_OPERATION;
  }
  return phase_ != phase::sent ? ERROR_WINHTTP_INCORRECT_HANDLE_STATE : write_claimed(more);
}

DWORD request::write_claimed(std::span<const std::byte> more) noexcept {
  if (from_proxy_) {
    return ERROR_SUCCESS; // the refusal is for ReceiveResponse to tell
  }
  if (more.size() > body_left_) {
    return ERROR_WINHTTP_INCORRECT_HANDLE_STATE; // it would not be part of this request
  }
  io::loop* on = nullptr;
  error failed = io::loop::for_this_thread(on);
  if (failed == error::none) {
    failed = transport_.write(*on, more, dwords_.timeout(dword_option::send_timeout), &cancel_);
  }
  if (failed != error::none) {
    const DWORD code = transport_failure(failed);
    drop_exchange(); // an unknown part of it is on the wire
    return code;
  }
  if (body_left_ != any_length) {
    body_left_ -= more.size();
  }
  return ERROR_SUCCESS;
}

} // namespace sluice::winhttp
