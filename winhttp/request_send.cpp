#include "winhttp/request.hpp"

#include "io/connector.hpp"
#include "io/crypto.hpp"
#include "winhttp/error_map.hpp"
#include "winhttp/text.hpp"

#include <iterator>
#include <utility>

namespace sluice::winhttp {
namespace {

constexpr DWORD smallest_send_buffer_bytes = 16; // OPT-06

// A body up to this size goes out in one piece with the head.
constexpr std::size_t joined_body_bytes = 16384;

// the fields of an upgrade that are ours, whatever the application added.
constexpr std::string_view upgrade_fields[] = {"Connection", "Upgrade", "Sec-WebSocket-Version",
                                               "Sec-WebSocket-Key"};

// Tells the application's callback about a step of connecting; names and addresses as WCHAR, length
// in characters with the NUL (section 16.1).
void notify_text(const object& of, DWORD status, const char* text) noexcept {
  WCHAR wide[256];
  std::size_t count = 0;
  while (text[count] != '\0' && count < std::size(wide) - 1) {
    wide[count] = static_cast<WCHAR>(static_cast<unsigned char>(text[count]));
    ++count;
  }
  wide[count] = L'\0';
  of.notify(status, wide, static_cast<DWORD>(count + 1));
}

template <DWORD Status> void observe(void* context, const char* text) noexcept {
  notify_text(*static_cast<const object*>(context), Status, text);
}

} // namespace

DWORD request::send(std::string_view extra_lines, std::span<const std::byte> body,
                    DWORD_PTR new_context) noexcept {
  const exchange_claim claim(*this);
  if (!claim) {
    return ERROR_INVALID_OPERATION;
  }
  return send_claimed(extra_lines, body, new_context);
}

DWORD request::send_claimed(std::string_view extra_lines, std::span<const std::byte> body,
                            DWORD_PTR new_context) noexcept {
  const bool upgrades = upgrade_.load(std::memory_order_relaxed);
  if (upgrades && !body.empty()) {
    return ERROR_INVALID_PARAMETER; // GET-18, decision X-07
  }
  const DWORD send_buffer_bytes = dwords_.get(dword_option::send_buffer_bytes);
  if (upgrades && send_buffer_bytes < smallest_send_buffer_bytes) {
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
  exchange_send_buffer_bytes_ = send_buffer_bytes;
  had_body_ = !body.empty();
  body_ = body;
  const DWORD code = send_once();
  body_ = {};
  if (code != ERROR_SUCCESS) {
    drop_exchange();
  }
  return code;
}

DWORD request::send_once() noexcept {
  memory::growable<char> head;
  DWORD code = prepare(head);
  if (code == ERROR_SUCCESS) {
    code = connect();
  }
  if (code == ERROR_SUCCESS) {
    code = transmit(head);
  }
  if (code == ERROR_SUCCESS) {
    set_phase(phase::sent);
  }
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
  append_head(head, fields);
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
  if ((!body_.empty() || verb == "POST" || verb == "PUT") &&
      fields.find("Transfer-Encoding") == header_list::npos) {
    memory::growable<char> length;
    append_decimal(length, body_.size());
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

// what the application added for one server is not shown to another.
bool request::goes_out(const header_list::field& field) const noexcept {
  return !cross_origin_ || field.generated ||
         !(equal_no_case(field.name, std::string_view("Authorization")) ||
           equal_no_case(field.name, std::string_view("Cookie")) ||
           equal_no_case(field.name, std::string_view("Host")));
}

void request::append_head(memory::growable<char>& head, const header_list& fields) const noexcept {
  head.append(current_verb_.view());
  head.append(' ');
  head.append(current_.path.view());
  head.append(http_1_0_ && !exchange_upgrades_ ? std::string_view(" HTTP/1.0\r\n")
                                               : std::string_view(" HTTP/1.1\r\n"));
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const header_list::field field = fields.at(i);
    if (goes_out(field)) {
      head.append(field.name);
      head.append(": ");
      head.append(field.value);
      head.append("\r\n");
    }
  }
  head.append("\r\n");
}

DWORD request::connect() noexcept {
  if (!current_.secure && parent_->parent().secure_only()) {
    return ERROR_WINHTTP_SECURE_FAILURE; // GET-02
  }
  io::loop* on = nullptr;
  if (const error failed = io::loop::for_this_thread(on); failed != error::none) {
    return to_win32(failed);
  }
  const auto connecting = [](void* context, const char* address) noexcept {
    static_cast<request*>(static_cast<object*>(context))->connecting_since_ = io::clock::now();
    observe<WINHTTP_CALLBACK_STATUS_CONNECTING_TO_SERVER>(context, address);
  };
  const io::connect_observer observer{static_cast<object*>(this),
                                      &observe<WINHTTP_CALLBACK_STATUS_RESOLVING_NAME>,
                                      &observe<WINHTTP_CALLBACK_STATUS_NAME_RESOLVED>, connecting,
                                      &observe<WINHTTP_CALLBACK_STATUS_CONNECTED_TO_SERVER>};
  const io::connect_timeouts timeouts{dwords_.timeout(dword_option::resolve_timeout),
                                      dwords_.timeout(dword_option::connect_timeout)};
  security_.store(0, std::memory_order_relaxed);
  tls_version_.store(0, std::memory_order_relaxed);
  const error failed = io::connect(*on, {current_.host.data(), current_.port}, timeouts, &cancel_,
                                   &observer, transport_);
  if (failed != error::none) {
    return to_win32(failed);
  }
  // The flag of WinHttpOpenRequest alone selects TLS, or the scheme of a redirect (GET-05).
  return current_.secure ? start_tls(*on) : DWORD{ERROR_SUCCESS};
}

DWORD request::start_tls(io::loop& on) noexcept {
  io::tls_context_ref context;
  if (const DWORD code = parent_->parent().security().context(context); code != ERROR_SUCCESS) {
    return code;
  }
  memory::growable<char> host;
  host.append(current_.host_view().substr(0, current_.host_view().find('%'))); // without a zone
  host.append('\0');
  if (!host.ok()) {
    return ERROR_NOT_ENOUGH_MEMORY;
  }
  io::tls_peer peer;
  peer.host = host.data();
  peer.port = current_.port;
  peer.ignored_faults = ignored_faults(dwords_.get(dword_option::security_flags));
  peer.check_revocation = revocation_.load(std::memory_order_relaxed); // TLS-15
  if (!choose_versions(dwords_.get(dword_option::secure_protocols), peer.lowest, peer.highest)) {
    return fail_tls(WINHTTP_CALLBACK_STATUS_FLAG_SECURITY_CHANNEL_ERROR); // TLS-11
  }
  const std::chrono::milliseconds patience = dwords_.timeout(dword_option::connect_timeout);
  const io::time_point deadline =
      patience.count() == 0 ? io::no_deadline : connecting_since_ + patience; // TMO-07
  const error failed = transport_.start_tls(on, context, peer, deadline, &cancel_);
  if (failed == error::tls_certificate) { // TLS-05
    return fail_tls(secure_failure_bits(transport_.tls().faults & ~peer.ignored_faults));
  }
  if (failed == error::tls_handshake && !transport_.tls().lacked_certificate) { // TLS-07
    return fail_tls(WINHTTP_CALLBACK_STATUS_FLAG_SECURITY_CHANNEL_ERROR);
  }
  if (failed != error::none) {
    return transport_failure(failed);
  }
  const io::tls_facts facts = transport_.tls();
  security_.store(security_of(facts), std::memory_order_relaxed);
  tls_version_.store(facts.protocol_version == io::tls_version_number(io::tls_version::tls1_3)
                         ? WINHTTP_FLAG_SECURE_PROTOCOL_TLS1_3
                         : WINHTTP_FLAG_SECURE_PROTOCOL_TLS1_2,
                     std::memory_order_relaxed);
  return ERROR_SUCCESS;
}

DWORD request::fail_tls(DWORD bits) noexcept {
  notify(WINHTTP_CALLBACK_STATUS_SECURE_FAILURE, &bits, sizeof(bits));
  return ERROR_WINHTTP_SECURE_FAILURE;
}

// TLS-10: a server that does not get the certificate it asked for ends the connection, in TLS 1.3
// only once the handshake is done for us.
DWORD request::transport_failure(error failed) const noexcept {
  const bool ended_by_peer = failed == error::tls_handshake || failed == error::tls_record ||
                             failed == error::connection_lost;
  return ended_by_peer && transport_.is_tls() && transport_.tls().lacked_certificate
             ? DWORD{ERROR_WINHTTP_CLIENT_AUTH_CERT_NEEDED}
             : to_win32(failed);
}

DWORD request::transmit(memory::growable<char>& head) noexcept {
  notify(WINHTTP_CALLBACK_STATUS_SENDING_REQUEST, nullptr, 0);
  io::loop* on = nullptr;
  if (const error failed = io::loop::for_this_thread(on); failed != error::none) {
    return to_win32(failed);
  }
  std::span<const std::byte> body = body_;
  const std::size_t total = head.size() + body.size();
  if (body.size() <= joined_body_bytes) {
    // Out of memory only costs the joining.
    if (head.append(reinterpret_cast<const char*>(body.data()), body.size())) {
      body = {};
    }
  }
  const std::chrono::milliseconds patience = dwords_.timeout(dword_option::send_timeout);
  error failed =
      transport_.write(*on, std::as_bytes(std::span(head.data(), head.size())), patience, &cancel_);
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

} // namespace sluice::winhttp
