#pragma once

#include "io/stream.hpp"
#include "io/tls_certificate.hpp"

#include <sluice/winhttp.h>

namespace sluice::winhttp {

/// What a request knows of the connection that its last SendRequest made, also after the connection
/// has become a WebSocket's or is gone: CONNECTION_INFO, SECURITY_KEY_BITNESS and
/// SECURITY_CERTIFICATE_STRUCT (TLS-12). Under the request's lock.
class connection_facts {
public:
  void forget() noexcept;
  void note_addresses(const io::stream& of) noexcept;
  void note_tls(const io::stream& of) noexcept;

  /// Decision X-55: ERROR_WINHTTP_INCORRECT_HANDLE_STATE while there was no such connection, or
  /// none over TLS.
  [[nodiscard]] DWORD query_option(DWORD option, void* buffer, DWORD* length) const noexcept;

private:
  [[nodiscard]] DWORD query_certificate(void* buffer, DWORD* length) const noexcept;

  WINHTTP_CONNECTION_INFO addresses_{}; // cbSize 0: not known
  DWORD key_bits_ = 0;                  // 0: no TLS
  io::tls_certificate certificate_;     // the server's
};

} // namespace sluice::winhttp
