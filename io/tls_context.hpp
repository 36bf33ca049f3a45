#pragma once

#include "core/error.hpp"
#include "core/memory.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <string_view>
#include <utility>

// OpenSSL's types stay out of this header's users.
struct ssl_ctx_st;
struct ssl_session_st;

namespace sluice::io {

/// What can be wrong with a peer's certificate; a set, because all faults are reported at once
/// (TLS-05).
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
/// As it is on the wire.
[[nodiscard]] constexpr int tls_version_number(tls_version version) noexcept {
  return version == tls_version::tls1_3 ? 0x0304 : 0x0303;
}

/// Trust and identity of one end. Strings live for the call that takes them.
struct tls_settings {
  // Whom to trust; with none of the three, the system's store (SSL_CERT_FILE and SSL_CERT_DIR too).
  const char* ca_file = nullptr;         // PEM, one or more certificates
  const char* ca_directory = nullptr;    // hashed as by c_rehash
  std::span<const std::byte> ca_pem;     // PEM in memory
  const char* revocation_file = nullptr; // PEM certificate revocation list
  bool check_revocation = false;

  // Who we are: needed by a server, optional for a client. File or memory.
  const char* certificate_file = nullptr; // PEM, leaf first, then the chain
  const char* private_key_file = nullptr; // PEM
  std::span<const std::byte> certificate_pem;
  std::span<const std::byte> private_key_pem;

  bool demand_client_certificate = false; // server: refuse peers without a valid one

  tls_version lowest = tls_version::tls1_2;
  tls_version highest = tls_version::tls1_3;

  bool key_log = false; // honour SSLKEYLOGFILE: hands the keys to whoever reads that file
};

class tls_context;

/// A reference on a context, or none. Every engine holds one, so that a context may be replaced
/// while connections made with it go on.
class tls_context_ref {
public:
  tls_context_ref() noexcept = default;
  tls_context_ref(const tls_context_ref& other) noexcept;
  tls_context_ref(tls_context_ref&& other) noexcept : to_(std::exchange(other.to_, nullptr)) {}
  tls_context_ref& operator=(tls_context_ref other) noexcept {
    std::swap(to_, other.to_);
    return *this;
  }
  ~tls_context_ref();

  [[nodiscard]] tls_context& operator*() const noexcept { return *to_; }
  [[nodiscard]] tls_context* operator->() const noexcept { return to_; }
  [[nodiscard]] explicit operator bool() const noexcept { return to_ != nullptr; }

private:
  friend class tls_context;
  explicit tls_context_ref(tls_context* adopted) noexcept : to_(adopted) {}

  tls_context* to_ = nullptr;
};

/// One end's TLS configuration, shared by its connections; immutable once made. Any thread.
/// Always: TLS 1.2 or newer, no renegotiation, no compression, ALPN `http/1.1` only.
class tls_context {
public:
  /// error::tls_settings when a file, certificate or key cannot be used, no_memory. `made` is
  /// replaced on success only.
  [[nodiscard]] static error make_client(const tls_settings& settings,
                                         tls_context_ref& made) noexcept;
  [[nodiscard]] static error make_server(const tls_settings& settings,
                                         tls_context_ref& made) noexcept;
  ~tls_context();
  tls_context(const tls_context&) = delete;
  tls_context& operator=(const tls_context&) = delete;

  [[nodiscard]] ssl_ctx_st* handle() const noexcept { return handle_; }
  [[nodiscard]] bool is_server() const noexcept { return server_; }
  [[nodiscard]] bool demands_client_certificate() const noexcept { return demand_certificate_; }

  /// Sessions for resumption, by the name they were made with; bounded, the oldest goes first. A
  /// session is handed out once (RFC 8446 appendix C.4). Takes over / gives away the reference.
  void keep_session(std::string_view peer, ssl_session_st* session) noexcept;
  [[nodiscard]] ssl_session_st* take_session(std::string_view peer) noexcept;

  static constexpr std::size_t max_peer_bytes = 280; // host name, port, digits of the rules

private:
  friend class tls_context_ref;
  explicit tls_context(bool server) noexcept : server_(server) {}
  template <typename T, typename... Args> friend T* memory::create(Args&&...) noexcept;

  [[nodiscard]] static error make(bool server, const tls_settings& settings,
                                  tls_context_ref& made) noexcept;
  [[nodiscard]] error set_up(const tls_settings& settings) noexcept;

  struct kept_session {
    ssl_session_st* session = nullptr;
    std::uint16_t peer_bytes = 0;
    char peer[max_peer_bytes];
  };
  static constexpr std::size_t max_kept_sessions = 32;

  std::atomic<std::uint32_t> refs_{1};
  ssl_ctx_st* handle_ = nullptr;
  bool server_;
  bool demand_certificate_ = false;
  std::mutex sessions_mutex_;
  kept_session sessions_[max_kept_sessions];
  std::size_t next_session_ = 0;
};

} // namespace sluice::io
