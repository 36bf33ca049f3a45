#pragma once

#include "core/memory.hpp"
#include "winhttp/secret.hpp"

#include <sluice/winhttp.h>

#include <array>
#include <cstddef>
#include <string_view>

namespace sluice::winhttp {

/// A user name and a password as UTF-8.
struct credentials {
  secret_text user;
  secret_text password;
  bool given = false; // a name is there; the password may be empty

  [[nodiscard]] DWORD copy_from(const credentials& other) noexcept;

  /// Bytes that append_basic() appends.
  [[nodiscard]] std::size_t basic_bytes() const noexcept;
  /// Appends `Basic` and the pair in base64 (RFC 7617). `to` has reserved the room, so that it
  /// leaves no copies behind; the caller wipes it. False when out of memory.
  [[nodiscard]] bool append_basic(memory::growable<char>& to) const noexcept;
};

/// What a request may say about its user, by WINHTTP_AUTH_TARGET_....
class credential_store {
public:
  /// WinHttpSetCredentials (GET-28). Nothing is changed on failure: ERROR_INVALID_PARAMETER (no
  /// such target or scheme, no name or password for Basic or Digest, or what Basic cannot say),
  /// ERROR_NOT_SUPPORTED (a scheme of Windows that is not there), ERROR_NOT_ENOUGH_MEMORY.
  [[nodiscard]] DWORD choose(DWORD target, DWORD scheme, const WCHAR* user,
                             const WCHAR* password) noexcept;

  /// USERNAME, PASSWORD, PROXY_USERNAME, PROXY_PASSWORD.
  [[nodiscard]] DWORD set_option(DWORD option, const void* buffer, DWORD length) noexcept;
  [[nodiscard]] DWORD query_option(DWORD option, void* buffer, DWORD* length) const noexcept;

  /// Those of WinHttpSetCredentials; they win over those of the options.
  [[nodiscard]] const credentials& chosen(DWORD target) const noexcept { return chosen_[target]; }
  [[nodiscard]] const credentials& of_options(DWORD target) const noexcept {
    return of_options_[target];
  }

private:
  std::array<credentials, 2> chosen_;
  std::array<credentials, 2> of_options_;
};

/// The WINHTTP_AUTH_SCHEME_... of a response's challenges.
struct offered_schemes {
  DWORD all = 0;
  DWORD first = 0; // the first one that has a bit

  /// Adds those of one WWW-Authenticate or Proxy-Authenticate field (RFC 9110 section 11.6.1).
  /// Unknown schemes and what is malformed are passed over.
  void add(std::string_view field) noexcept;
};

} // namespace sluice::winhttp
