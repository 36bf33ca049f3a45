#pragma once

#include "core/memory.hpp"
#include "winhttp/credentials.hpp"

#include <sluice/winhttp.h>

#include <array>
#include <cstdint>
#include <string_view>

namespace sluice::winhttp {

/// A proxy out of a list; the views live as long as the list.
struct proxy_server {
  std::string_view host;  // IPv6 without brackets
  std::uint16_t port = 0; // never 0
  bool secure = false;    // it is spoken to over TLS (https://)
};

/// What WinHttpOpen and WINHTTP_OPTION_PROXY say about proxies: a list of servers and one of hosts
/// that are reached without them (PRX-02).
///
///   servers  [<scheme>=][<scheme>://]<host>[:<port>], separated by semicolons or blanks; the first
///            scheme is that of the targets, the second one that of the proxy. Port 80, or 443.
///   bypass   [<scheme>://]<host>[:<port>], separated likewise; '*' stands for any characters,
///            <local> for names without a period.
class proxy_settings {
public:
  /// `access_type` is a WINHTTP_ACCESS_TYPE_...; names are only allowed with NAMED_PROXY (GET-01).
  /// DEFAULT_PROXY and AUTOMATIC_PROXY read the environment, now (PRX-03, decision X-47). Nothing
  /// is changed on failure: ERROR_INVALID_PARAMETER, ERROR_NOT_ENOUGH_MEMORY.
  [[nodiscard]] DWORD set(DWORD access_type, const WCHAR* servers, const WCHAR* bypass) noexcept;
  [[nodiscard]] DWORD copy_from(const proxy_settings& other) noexcept;

  /// WINHTTP_OPTION_PROXY. The strings of a query are the caller's, for GlobalFree; what came from
  /// the environment is shown as if it had been named.
  [[nodiscard]] DWORD set_option(const void* buffer, DWORD length) noexcept;
  [[nodiscard]] DWORD query_option(void* buffer, DWORD* length) const noexcept;

  /// The proxy for a target; a host of "" if it is reached directly. ERROR_WINHTTP_INVALID_URL: the
  /// environment names one that cannot be used.
  [[nodiscard]] DWORD choose(bool secure, std::string_view host, std::uint16_t port,
                             proxy_server& found) const noexcept;

  /// The user that the environment gave with the proxy for such targets.
  [[nodiscard]] const credentials& user_of(bool secure) const noexcept { return users_[secure]; }

private:
  [[nodiscard]] DWORD set_named(std::wstring_view servers, std::wstring_view bypass) noexcept;
  [[nodiscard]] DWORD set_from_environment() noexcept;
  [[nodiscard]] DWORD add_from_environment(bool secure, const char* url) noexcept;
  void add_bypass(std::string_view no_proxy) noexcept;

  bool named_ = false; // else there is none
  memory::growable<char> servers_;
  memory::growable<char> bypass_;
  std::array<credentials, 2> users_{}; // by whether the target is secure
  std::array<bool, 2> unusable_{};     // likewise: the environment is wrong
};

} // namespace sluice::winhttp
