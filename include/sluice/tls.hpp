#pragma once

#include "sluice/error.hpp"
#include "sluice/export.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace sluice {

namespace io {
class tls_context;
}
namespace detail {
class tls_access;
}

/// What can be wrong with a peer's certificate; a set, because all faults are reported at once.
namespace certificate_fault {
inline constexpr std::uint32_t unknown_authority = 1u << 0; // no chain to a trusted certificate
inline constexpr std::uint32_t wrong_name = 1u << 1;        // neither the host name nor the address
inline constexpr std::uint32_t wrong_date = 1u << 2;        // expired or not yet valid
inline constexpr std::uint32_t wrong_usage = 1u << 3;       // not for this end of TLS
inline constexpr std::uint32_t revoked = 1u << 4;
inline constexpr std::uint32_t revocation_unknown = 1u << 5; // asked for, and no list to be had
inline constexpr std::uint32_t invalid = 1u << 6;            // anything else: signature, encoding
} // namespace certificate_fault

enum class tls_version : std::uint8_t { tls1_2, tls1_3 };

/// What a server wants to know of its clients. A certificate that is shown must be good either way.
enum class client_certificates : std::uint8_t {
  ignored,   // not asked for
  requested, // asked for; a client may have none
  required,  // a client without one is refused
};

/// Trust and identity of one end of TLS. Strings and spans live for the call that takes them.
struct tls_settings {
  // Whom to trust; the three add up. With none of them: the system's store (SSL_CERT_FILE and
  // SSL_CERT_DIR, too). A server looks at them when it wants certificates of its clients.
  const char* ca_file = nullptr;      // PEM, one or more certificates
  const char* ca_directory = nullptr; // hashed as by c_rehash
  std::span<const std::byte> ca_pem;  // PEM in memory
  // PEM revocation lists. With check_revocation a peer whose issuer has no list here is refused
  // (certificate_fault::revocation_unknown): lists are never fetched from the network.
  const char* revocation_file = nullptr;
  bool check_revocation = false;

  // Who we are: needed by a server, optional for a client. Each from a file or from memory, the
  // file first. The certificate stands before its chain. A key with a passphrase is refused.
  const char* certificate_file = nullptr; // PEM
  const char* private_key_file = nullptr; // PEM
  std::span<const std::byte> certificate_pem;
  std::span<const std::byte> private_key_pem;

  client_certificates clients = client_certificates::ignored; // server

  // Bits of certificate_fault that do not make this end refuse its peer. For tests: a client that
  // ignores faults does not know whom it talks to. A session made so is never taken up by a client
  // that ignores others.
  std::uint32_t ignored_faults = 0;

  tls_version lowest = tls_version::tls1_2;
  tls_version highest = tls_version::tls1_3;

  // Whether a peer may come back without a full handshake. A server gives out tickets and keeps
  // nothing; a client keeps the sessions of its last 32 handshakes, and uses one of TLS 1.3 once.
  // They are kept by host and port, and never shared among configurations: what another one trusts
  // or shows does not count here.
  bool resume = true;

  // Appends the keys of connections to the file that the environment variable SSLKEYLOGFILE names,
  // so that packet analysers can read the traffic; without this the variable means nothing.
  bool key_log = false;
};

/// One end's TLS, made once and shared by any number of connections, listeners and loops; copies
/// are the same one. Empty: no TLS. Always: TLS 1.2 or newer, no renegotiation, no compression, no
/// early data, ALPN `http/1.1` (RFC 7301). Any thread. A connection keeps what it was made with.
class SLUICE_EXPORT tls_config {
public:
  tls_config() noexcept = default;
  tls_config(const tls_config& other) noexcept;
  tls_config(tls_config&& other) noexcept;
  tls_config& operator=(tls_config other) noexcept;
  ~tls_config();

  /// Reads files, checks that certificate and key belong together, and replaces `made` if all is
  /// well. Reads the disk: not for the loop's thread when that matters.
  /// @return none; tls_settings: a file, certificate or key cannot be used, a server without a
  ///         certificate, or lowest above highest; no_memory.
  static error make_server(const tls_settings& settings, tls_config& made) noexcept;
  static error make_client(const tls_settings& settings, tls_config& made) noexcept;

  [[nodiscard]] explicit operator bool() const noexcept { return context_ != nullptr; }
  /// Only when not empty.
  [[nodiscard]] bool is_server() const noexcept;
  [[nodiscard]] friend bool operator==(const tls_config& one, const tls_config& other) noexcept {
    return one.context_ == other.context_;
  }

private:
  friend class detail::tls_access;
  io::tls_context* context_ = nullptr; // a reference
};

/// What is known about the TLS of a connection. Later versions add members at the end; the rule of
/// loop_stats applies to `size_bytes`.
struct tls_info {
  std::size_t size_bytes = sizeof(tls_info);

  bool established = false;                  // the TLS handshake is done
  bool resumed = false;                      // without a full handshake
  tls_version version = tls_version::tls1_3; // once established
  std::uint16_t cipher_bits = 0;             // strength of the key in use
  const char* cipher = "";                   // "TLS_AES_256_GCM_SHA384", ...; static storage
  // Of the peer's certificate, those that were ignored included; of a resumed session those that
  // its full handshake has found: a certificate is not shown again, nor are its dates looked at
  // again.
  std::uint32_t certificate_faults = 0;
};

} // namespace sluice
