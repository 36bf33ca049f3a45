#include "winhttp/request.hpp"

#include "winhttp/error_map.hpp"
#include "winhttp/text.hpp"

// Through a proxy: which one, and the tunnel of RFC 9110 section 9.3.6.

namespace sluice::winhttp {

bool proxy_route::same_server(const proxy_route& other) const noexcept {
  return used() && other.used() && secure == other.secure && port == other.port &&
         equal_no_case(host_view(), other.host_view());
}

DWORD request::choose_proxy() noexcept {
  const std::lock_guard guard(lock_);
  from_proxy_ = false;
  route_ = {};
  proxy_server found;
  const DWORD code = proxies_.choose(current_.secure, current_.host_view(), current_.port, found);
  if (code != ERROR_SUCCESS || found.host.empty()) {
    return code;
  }
  if (found.secure && current_.secure) {
    return ERROR_NOT_SUPPORTED; // TLS inside TLS, decision X-54
  }
  route_.host.append(found.host);
  route_.host.append('\0');
  route_.port = found.port;
  route_.secure = found.secure;
  route_.tunnels = current_.secure || exchange_upgrades_; // PRX-01, decision X-48
  return route_.host.ok() ? ERROR_SUCCESS : ERROR_NOT_ENOUGH_MEMORY;
}

DWORD request::append_connect(memory::growable<char>& head) noexcept {
  memory::growable<char> target;
  current_.append_host(target);
  target.append(':');
  append_decimal(target, current_.port);
  head.append("CONNECT ");
  head.append(target.view());
  head.append(" HTTP/1.1\r\nHost: ");
  head.append(target.view());
  head.append("\r\n");
  const std::lock_guard guard(lock_);
  const auto repeat = [&](std::string_view name) {
    if (const std::size_t at = headers_.find(name); at != header_list::npos) {
      head.append(name);
      head.append(": ");
      head.append(headers_.at(at).value);
      head.append("\r\n");
    }
  };
  repeat("User-Agent");
  // All else that the application added is between it and the server.
  if (const credentials* const user = user_for_proxy(); user == nullptr) {
    repeat("Proxy-Authorization");
  } else if (!append_user(head, "Proxy-Authorization", *user)) {
    return ERROR_NOT_ENOUGH_MEMORY;
  }
  head.append("\r\n");
  return target.ok() && head.ok() ? ERROR_SUCCESS : ERROR_NOT_ENOUGH_MEMORY;
}

// On success the stream is the target's, or from_proxy_ is set: then what the proxy said instead is
// the response (PRX-05).
DWORD request::open_tunnel(io::loop& on) noexcept {
  memory::growable<char> head;
  DWORD code = append_connect(head);
  if (code == ERROR_SUCCESS) {
    const error failed = transport_.write(on, std::as_bytes(std::span(head.data(), head.size())),
                                          dwords_.timeout(dword_option::send_timeout), &cancel_);
    code = failed == error::none ? DWORD{ERROR_SUCCESS} : transport_failure(failed);
  }
  wipe(head);
  if (code != ERROR_SUCCESS) {
    return code;
  }
  begin_head();
  response_deadline_ = connect_deadline();
  code = read_heads();
  if (code != ERROR_SUCCESS) {
    return code;
  }
  const unsigned status = head_->status();
  if (status < HTTP_STATUS_OK) { // a proxy has nothing to switch to
    return ERROR_WINHTTP_INVALID_SERVER_RESPONSE;
  }
  if (status < 300) { // RFC 9110 section 9.3.6: any 2xx
    // Neither HTTP nor TLS lets the server speak first: bytes that are here already are the
    // proxy's, and would be taken for the target's answer.
    return inbox_.empty() ? ERROR_SUCCESS : ERROR_WINHTTP_INVALID_SERVER_RESPONSE;
  }
  has_read_ahead_ = true;
  read_ahead_code_ = ERROR_SUCCESS;
  const std::lock_guard guard(lock_);
  from_proxy_ = true;
  return ERROR_SUCCESS;
}

} // namespace sluice::winhttp
