#pragma once

#include "core/error.hpp"
#include "core/memory.hpp"
#include "sluice/tls.hpp"

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
struct x509_st;

namespace sluice::io {

/// As it is on the wire.
[[nodiscard]] constexpr int tls_version_number(tls_version version) noexcept {
  return version == tls_version::tls1_3 ? 0x0304 : 0x0303;
}

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

  // For sluice::tls_config, which keeps its reference as a pointer.
  [[nodiscard]] static tls_context_ref adopt(tls_context* kept) noexcept {
    return tls_context_ref(kept);
  }
  [[nodiscard]] static tls_context_ref share(tls_context* kept) noexcept;
  [[nodiscard]] tls_context* release() noexcept { return std::exchange(to_, nullptr); }

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
  [[nodiscard]] client_certificates clients() const noexcept { return clients_; }
  [[nodiscard]] std::uint32_t ignored_faults() const noexcept { return ignored_faults_; }

  /// Sessions for resumption, by the name they were made with; bounded, the oldest goes first. A
  /// session of TLS 1.3 is handed out once (RFC 8446 appendix C.4). Takes over / gives away the
  /// reference.
  void keep_session(std::string_view peer, ssl_session_st* session) noexcept;
  [[nodiscard]] ssl_session_st* take_session(std::string_view peer) noexcept;

  static constexpr std::size_t max_peer_bytes = 280; // host name, port, digits of the rules

  /// For a certificate that was verified: a reference on one that is the same to the byte and that
  /// other connections have as well, or on itself, which is remembered for them then. Bounded, the
  /// oldest is forgotten first.
  [[nodiscard]] x509_st* share_certificate(x509_st& verified) noexcept;

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
  static constexpr std::size_t max_shared_certificates = 8;

  std::atomic<std::uint32_t> refs_{1};
  ssl_ctx_st* handle_ = nullptr;
  bool server_;
  client_certificates clients_ = client_certificates::ignored;
  std::uint32_t ignored_faults_ = 0;
  std::mutex sessions_mutex_;
  kept_session sessions_[max_kept_sessions];
  std::size_t next_session_ = 0;
  std::mutex certificates_mutex_;
  x509_st* certificates_[max_shared_certificates] = {};
  std::size_t next_certificate_ = 0;
};

} // namespace sluice::io
