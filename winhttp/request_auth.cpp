#include "winhttp/request.hpp"

#include <utility>

// Who the application says it is, and who asks for it. lock_ is held where it says so.

namespace sluice::winhttp {
namespace {

constexpr DWORD nobody = MAXDWORD;

std::string_view challenge_field(DWORD target) noexcept {
  return target == WINHTTP_AUTH_TARGET_PROXY ? std::string_view("Proxy-Authenticate")
                                             : std::string_view("WWW-Authenticate");
}

offered_schemes schemes_of(const http_response_head& head, DWORD target) noexcept {
  offered_schemes found;
  const std::size_t fields = head.count(challenge_field(target));
  for (std::size_t nth = 0; nth < fields; ++nth) {
    found.add(head.find(challenge_field(target), nth));
  }
  return found;
}

} // namespace

DWORD request::set_credentials(DWORD target, DWORD scheme, const WCHAR* user,
                               const WCHAR* password) noexcept {
  const std::lock_guard guard(lock_);
  return users_.choose(target, scheme, user, password);
}

DWORD request::query_auth_schemes(offered_schemes& schemes, DWORD& target) const noexcept {
  const std::lock_guard guard(lock_);
  // Decision X-53.
  if (phase_ != phase::answered ||
      (head_->status() != HTTP_STATUS_DENIED && head_->status() != HTTP_STATUS_PROXY_AUTH_REQ)) {
    return ERROR_INVALID_OPERATION;
  }
  const DWORD asking = head_->status() == HTTP_STATUS_DENIED ? WINHTTP_AUTH_TARGET_SERVER
                                                             : WINHTTP_AUTH_TARGET_PROXY;
  if (head_->count(challenge_field(asking)) == 0) {
    return ERROR_WINHTTP_HEADER_NOT_FOUND;
  }
  schemes = schemes_of(*head_, asking);
  target = asking;
  return ERROR_SUCCESS;
}

// What goes to the server of this hop; lock_ is held. GET-28: Basic of SetCredentials without being
// asked, that of the options once the server has asked. X-12: never to another origin.
const credentials* request::user_for_server() const noexcept {
  if (cross_origin_) {
    return nullptr;
  }
  if (const credentials& user = users_.chosen(WINHTTP_AUTH_TARGET_SERVER); user.given) {
    return &user;
  }
  const credentials& user = users_.of_options(WINHTTP_AUTH_TARGET_SERVER);
  return server_asked_ && user.given ? &user : nullptr;
}

// What goes to the proxy of this hop; lock_ is held. PRX-04, decision X-51: only to one that has
// asked.
const credentials* request::user_for_proxy() const noexcept {
  if (!challenger_.same_server(route_)) {
    return nullptr;
  }
  for (const credentials* const user :
       {&users_.chosen(WINHTTP_AUTH_TARGET_PROXY), &users_.of_options(WINHTTP_AUTH_TARGET_PROXY),
        &proxies_.user_of(current_.secure)}) {
    if (user->given) {
      return user;
    }
  }
  return nullptr;
}

bool request::append_user(memory::growable<char>& head, std::string_view name,
                          const credentials& user) const noexcept {
  // The head is complete but for such lines: it grows once, before there is a secret in it, and for
  // each of them leaves a copy without any that are still to come.
  memory::growable<char> grown;
  constexpr std::size_t punctuation_bytes = 8; // ": ", two line ends
  if (!grown.reserve(head.size() + name.size() + user.basic_bytes() + punctuation_bytes)) {
    return false;
  }
  grown.append(head.view());
  grown.append(name);
  grown.append(": ");
  const bool complete = user.append_basic(grown);
  grown.append("\r\n");
  wipe(head);
  head = std::move(grown);
  return complete && head.ok();
}

// Who asks with the response that was read. A 407 that comes through a tunnel is the server's doing
// and none of the proxy's; so is one without a proxy.
DWORD request::challenged_target() const noexcept {
  if (head_->status() == HTTP_STATUS_DENIED) {
    return from_proxy_ ? nobody : DWORD{WINHTTP_AUTH_TARGET_SERVER};
  }
  return head_->status() == HTTP_STATUS_PROXY_AUTH_REQ && route_.used() &&
                 from_proxy_ == route_.tunnels
             ? DWORD{WINHTTP_AUTH_TARGET_PROXY}
             : nobody;
}

// Decision X-52. Names that stand in the options, or in the environment beside the proxy, are the
// answer to the first challenge; those of SetCredentials go out when the application sends again.
bool request::answers_challenge() const noexcept {
  const DWORD target = challenged_target();
  if (target == nobody || had_body_ ||
      (dwords_.get(dword_option::disable_feature) & WINHTTP_DISABLE_AUTHENTICATION) != 0 ||
      (schemes_of(*head_, target).all & WINHTTP_AUTH_SCHEME_BASIC) == 0) {
    return false;
  }
  const std::lock_guard guard(lock_);
  if (users_.chosen(target).given) {
    return false;
  }
  if (target == WINHTTP_AUTH_TARGET_SERVER) {
    return !cross_origin_ && !server_asked_ && users_.of_options(target).given;
  }
  return !challenger_.same_server(route_) &&
         (users_.of_options(target).given || proxies_.user_of(current_.secure).given);
}

DWORD request::note_challenge() noexcept {
  const DWORD target = challenged_target();
  const std::lock_guard guard(lock_);
  if (target == WINHTTP_AUTH_TARGET_SERVER && !cross_origin_) {
    server_asked_ = (schemes_of(*head_, target).all & WINHTTP_AUTH_SCHEME_BASIC) != 0;
  } else if (target == WINHTTP_AUTH_TARGET_PROXY) {
    challenger_ = {};
    challenger_.host.append(route_.host.view());
    challenger_.port = route_.port;
    challenger_.secure = route_.secure;
    return challenger_.host.ok() ? ERROR_SUCCESS : ERROR_NOT_ENOUGH_MEMORY;
  }
  return ERROR_SUCCESS;
}

DWORD request::repeat_with_user() noexcept {
  if (const DWORD code = note_challenge(); code != ERROR_SUCCESS) {
    return code;
  }
  drop_exchange();
  return send_once();
}

} // namespace sluice::winhttp
