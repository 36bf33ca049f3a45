#include "winhttp/request.hpp"

#include "winhttp/text.hpp"

#include <sluice/extensions.h>

#include <utility>

namespace sluice::winhttp {
namespace {

constexpr std::uint16_t default_port(bool secure) noexcept {
  return static_cast<std::uint16_t>(secure ? INTERNET_DEFAULT_HTTPS_PORT
                                           : INTERNET_DEFAULT_HTTP_PORT);
}

} // namespace

// request_target

bool request_target::same_origin(const request_target& other) const noexcept {
  return secure == other.secure && port == other.port &&
         equal_no_case(host_view(), other.host_view());
}

void request_target::append_host(memory::growable<char>& to) const noexcept {
  const std::string_view name = host_view();
  if (name.find(':') == std::string_view::npos) {
    to.append(name);
  } else {
    to.append('[');
    to.append(name.substr(0, name.find('%'))); // a zone means nothing to the server
    to.append(']');
  }
}

void request_target::append_authority(memory::growable<char>& to) const noexcept {
  append_host(to);
  if (port != default_port(secure)) {
    to.append(':');
    append_decimal(to, port);
  }
}

void request_target::append_url(memory::growable<char>& to) const noexcept {
  to.append(secure ? std::string_view("https://") : std::string_view("http://"));
  append_authority(to);
  to.append(path.view());
}

void request_target::copy_from(const request_target& other) noexcept {
  host.clear();
  host.append(other.host.view());
  port = other.port;
  secure = other.secure;
  path.clear();
  path.append(other.path.view());
}

// request

request::request(connection& parent, opening&& from) noexcept
    : object(of_kind), parent_(parent), http_1_0_(from.http_1_0), refresh_(from.refresh),
      dwords_(parent.parent().dwords()), verb_(std::move(from.verb)),
      headers_(std::move(from.headers)) {
  inherit_notification(parent);
  original_.host.append(parent.host());
  original_.host.append('\0');
  original_.secure = from.secure;
  original_.port = parent.port() != 0 ? parent.port() : default_port(from.secure); // GET-03
  original_.path = std::move(from.path);
  current_.copy_from(original_);
  current_verb_.append(verb_.view());
  ok_ = parent.parent().copy_proxies(proxies_) == ERROR_SUCCESS && original_.ok() &&
        current_.ok() && verb_.ok() && current_verb_.ok() && headers_.ok();
}

void request::on_close() noexcept {
  cancel_.request();
}

void request::on_released() noexcept {
  transport_.close(); // gone when the application hears the last of the handle (HND-13)
  inbox_.clear();
  notify_closing();
}

DWORD request::set_option(DWORD option, const void* buffer, DWORD length) noexcept {
  switch (option) {
  case WINHTTP_OPTION_UPGRADE_TO_WEB_SOCKET: // GET-08
    if (buffer == nullptr && length != 0) {
      return ERROR_INVALID_PARAMETER;
    }
    upgrade_.store(true, std::memory_order_relaxed);
    return ERROR_SUCCESS;
  case WINHTTP_OPTION_DISABLE_FEATURE: { // OPT-15; what was disabled stays so
    DWORD features = 0;
    const DWORD code = take_dword(buffer, length, features);
    if (code == ERROR_SUCCESS) {
      dwords_.set(dword_option::disable_feature,
                  dwords_.get(dword_option::disable_feature) | features);
    }
    return code;
  }
  case WINHTTP_OPTION_ENABLE_FEATURE: { // OPT-16
    DWORD features = 0;
    const DWORD code = take_dword(buffer, length, features);
    if (code != ERROR_SUCCESS) {
      return code;
    }
    if (features != WINHTTP_ENABLE_SSL_REVOCATION ||
        revocation_.exchange(true, std::memory_order_relaxed)) {
      return ERROR_INVALID_PARAMETER;
    }
    return ERROR_SUCCESS;
  }
  case WINHTTP_OPTION_PROXY: { // PRX-06
    const std::lock_guard guard(lock_);
    return proxies_.set_option(buffer, length);
  }
  case WINHTTP_OPTION_USERNAME:
  case WINHTTP_OPTION_PASSWORD:
  case WINHTTP_OPTION_PROXY_USERNAME:
  case WINHTTP_OPTION_PROXY_PASSWORD: {
    const std::lock_guard guard(lock_);
    return users_.set_option(option, buffer, length);
  }
  default:
    return ERROR_WINHTTP_INVALID_OPTION;
  }
}

DWORD request::query_option(DWORD option, void* buffer, DWORD* length) noexcept {
  switch (option) {
  case WINHTTP_OPTION_URL: {
    memory::growable<char> url;
    {
      const std::lock_guard guard(lock_);
      current_.append_url(url);
    }
    return url.ok() ? give_text(url.view(), buffer, length) : DWORD{ERROR_NOT_ENOUGH_MEMORY};
  }
  case WINHTTP_OPTION_PROXY: {
    const std::lock_guard guard(lock_);
    return proxies_.query_option(buffer, length);
  }
  case WINHTTP_OPTION_USERNAME:
  case WINHTTP_OPTION_PASSWORD:
  case WINHTTP_OPTION_PROXY_USERNAME:
  case WINHTTP_OPTION_PROXY_PASSWORD: {
    const std::lock_guard guard(lock_);
    return users_.query_option(option, buffer, length);
  }
  case WINHTTP_OPTION_CONNECTION_INFO:
  case WINHTTP_OPTION_SECURITY_CERTIFICATE_STRUCT:
  case WINHTTP_OPTION_SECURITY_KEY_BITNESS: { // TLS-12
    const std::lock_guard guard(lock_);
    return facts_.query_option(option, buffer, length);
  }
  case SLUICE_OPTION_TLS_VERSION:
    return give_value(tls_version_.load(std::memory_order_relaxed), buffer, length);
  case WINHTTP_OPTION_HTTP_PROTOCOL_USED: // HSK-08: always HTTP/1.1
    return give_value(DWORD{0}, buffer, length);
  default:
    return ERROR_WINHTTP_INVALID_OPTION;
  }
}

DWORD request::add_headers(std::string_view lines, DWORD modifiers) noexcept {
  const std::lock_guard guard(lock_);
  header_list changed;
  changed.copy_from(headers_);
  const DWORD code = changed.apply(lines, modifiers);
  if (code != ERROR_SUCCESS) {
    return code;
  }
  if (!changed.ok()) {
    return ERROR_NOT_ENOUGH_MEMORY;
  }
  headers_ = std::move(changed);
  return ERROR_SUCCESS;
}

DWORD request::take_upgraded(upgraded& out) noexcept {
  const exchange_claim claim(*this);
  if (!claim || !exchange_upgrades_ || phase_ == phase::idle) {
    return ERROR_INVALID_OPERATION; // CUP-03, decision X-14
  }
  if (phase_ == phase::taken) {
    return ERROR_INVALID_OPERATION; // CUP-05, decision X-15
  }
  if (phase_ == phase::sent) { // CUP-16
    if (const DWORD code = receive_claimed(); code != ERROR_SUCCESS) {
      return code;
    }
  }
  if (head_->status() != HTTP_STATUS_SWITCH_PROTOCOLS) {
    return ERROR_INVALID_OPERATION;
  }
  // What is left of the last read: at most one slice, so moving it needs no memory.
  while (!inbox_.empty()) {
    const slice next = inbox_.take_front();
    if (!out.behind_head.push(next)) {
      next.from->owner->recycle(*next.from);
      drop_exchange();
      return ERROR_NOT_ENOUGH_MEMORY;
    }
  }
  out.transport = std::move(transport_);
  out.send_timeout = dwords_.timeout(dword_option::send_timeout);
  set_phase(phase::taken);
  return ERROR_SUCCESS;
}

void request::set_phase(phase reached) noexcept {
  const std::lock_guard guard(lock_);
  phase_ = reached;
}

void request::drop_exchange() noexcept {
  {
    const std::lock_guard guard(lock_);
    phase_ = phase::idle;
    head_.reset();
  }
  response_body_.start_empty();
  has_read_ahead_ = false;
  inbox_.clear();
  if (transport_.is_open()) {
    notify(WINHTTP_CALLBACK_STATUS_CLOSING_CONNECTION, nullptr, 0);
    transport_.close();
    notify(WINHTTP_CALLBACK_STATUS_CONNECTION_CLOSED, nullptr, 0);
  }
}

} // namespace sluice::winhttp
