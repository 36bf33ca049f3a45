#include "winhttp/request.hpp"

#include "io/connector.hpp"
#include "winhttp/error_map.hpp"

#include <iterator>

// The connection of one hop: TCP to the server or its proxy, the tunnel, and TLS.

namespace sluice::winhttp {
namespace {

// Tells the application's callback about a step of connecting; names and addresses as WCHAR, length
// in characters with the NUL, as WINHTTP_STATUS_CALLBACK documents it.
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
  {
    const std::lock_guard guard(lock_);
    facts_.forget();
  }
  const io::connect_target first = route_.used()
                                       ? io::connect_target{route_.host.data(), route_.port}
                                       : io::connect_target{current_.host.data(), current_.port};
  const error failed = io::connect(*on, first, timeouts, &cancel_, &observer, transport_);
  if (failed != error::none) {
    return to_win32(failed);
  }
  {
    const std::lock_guard guard(lock_);
    facts_.note_addresses(transport_);
  }
  DWORD code = ERROR_SUCCESS;
  if (route_.secure) {
    code = start_tls(*on, &route_);
  }
  if (code == ERROR_SUCCESS && route_.tunnels) {
    code = open_tunnel(*on);
  }
  // The flag of WinHttpOpenRequest alone selects TLS, or the scheme of a redirect (GET-05).
  return code == ERROR_SUCCESS && current_.secure && !from_proxy_ ? start_tls(*on, nullptr) : code;
}

// TMO-02, decisions: TLS and the tunnel count in.
io::time_point request::connect_deadline() const noexcept {
  const std::chrono::milliseconds patience = dwords_.timeout(dword_option::connect_timeout);
  return patience.count() == 0 ? io::no_deadline : connecting_since_ + patience;
}

// With the proxy, or with the target.
DWORD request::start_tls(io::loop& on, const proxy_route* with_proxy) noexcept {
  io::tls_context_ref context;
  if (const DWORD code = parent_->parent().security().context(context); code != ERROR_SUCCESS) {
    return code;
  }
  memory::growable<char> host;
  const std::string_view name =
      with_proxy != nullptr ? with_proxy->host_view() : current_.host_view();
  host.append(name.substr(0, name.find('%'))); // without a zone
  host.append('\0');
  if (!host.ok()) {
    return ERROR_NOT_ENOUGH_MEMORY;
  }
  io::tls_peer peer;
  peer.host = host.data();
  peer.port = with_proxy != nullptr ? with_proxy->port : current_.port;
  // What the application overlooks in a server it need not overlook in a proxy.
  peer.ignored_faults =
      with_proxy != nullptr ? 0 : ignored_faults(dwords_.get(dword_option::security_flags));
  peer.check_revocation = revocation_.load(std::memory_order_relaxed); // TLS-15
  if (!choose_versions(dwords_.get(dword_option::secure_protocols), peer.lowest, peer.highest)) {
    return fail_tls(WINHTTP_CALLBACK_STATUS_FLAG_SECURITY_CHANNEL_ERROR,
                    with_proxy != nullptr); // TLS-11
  }
  const error failed =
      transport_.start_tls(on, context, peer, connect_deadline(), &cancel_); // TMO-07
  if (failed == error::tls_certificate) {                                    // TLS-05
    return fail_tls(secure_failure_bits(transport_.tls().faults & ~peer.ignored_faults),
                    with_proxy != nullptr);
  }
  if (failed == error::tls_handshake && !transport_.tls().lacked_certificate) { // TLS-07
    return fail_tls(WINHTTP_CALLBACK_STATUS_FLAG_SECURITY_CHANNEL_ERROR, with_proxy != nullptr);
  }
  if (failed != error::none || with_proxy != nullptr) {
    return transport_failure(failed);
  }
  const io::tls_facts facts = transport_.tls();
  security_.store(security_of(facts), std::memory_order_relaxed);
  tls_version_.store(facts.protocol_version == io::tls_version_number(tls_version::tls1_3)
                         ? WINHTTP_FLAG_SECURE_PROTOCOL_TLS1_3
                         : WINHTTP_FLAG_SECURE_PROTOCOL_TLS1_2,
                     std::memory_order_relaxed);
  const std::lock_guard guard(lock_);
  facts_.note_tls(transport_);
  return ERROR_SUCCESS;
}

DWORD request::fail_tls(DWORD bits, bool of_proxy) noexcept {
  notify(WINHTTP_CALLBACK_STATUS_SECURE_FAILURE, &bits, sizeof(bits));
  return of_proxy ? ERROR_WINHTTP_SECURE_FAILURE_PROXY : ERROR_WINHTTP_SECURE_FAILURE; // TLS-13
}

// TLS-10: a server that does not get the certificate it asked for ends the connection, in TLS 1.3
// only once the handshake is done for us.
DWORD request::transport_failure(error failed) const noexcept {
  const bool ended_by_peer = failed == error::tls_handshake || failed == error::tls_record ||
                             failed == error::connection_lost;
  if (!ended_by_peer || !transport_.is_tls() || !transport_.tls().lacked_certificate) {
    return to_win32(failed);
  }
  return route_.secure ? ERROR_WINHTTP_CLIENT_AUTH_CERT_NEEDED_PROXY
                       : ERROR_WINHTTP_CLIENT_AUTH_CERT_NEEDED;
}

} // namespace sluice::winhttp
