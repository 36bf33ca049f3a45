#pragma once

#include "core/memory.hpp"
#include "io/tls_channel.hpp"

#include <sluice/extensions.h>

#include <cstddef>
#include <cstdint>
#include <mutex>

namespace sluice::winhttp {

/// Whom a session trusts and who it is: the SLUICE_OPTION_TLS_... options, and the TLS context made
/// of them, which also keeps the sessions for resumption. Any thread.
class security_store {
public:
  security_store() noexcept = default;
  security_store(const security_store&) = delete;
  security_store& operator=(const security_store&) = delete;
  ~security_store();

  [[nodiscard]] static bool has_option(DWORD option) noexcept;
  /// Takes effect as a whole or not at all: ERROR_INVALID_PARAMETER for what cannot be used.
  [[nodiscard]] DWORD set_option(DWORD option, const void* buffer, DWORD length) noexcept;
  /// Made when it is first needed.
  [[nodiscard]] DWORD context(io::tls_context_ref& found) noexcept;

private:
  struct values {
    memory::growable<char> ca_file; // UTF-8 with its NUL, or empty
    memory::growable<char> ca_directory;
    memory::growable<char> revocation_file;
    memory::growable<char> certificate_file;
    memory::growable<char> private_key_file;
    memory::growable<std::byte> ca_pem;
    memory::growable<std::byte> certificate_pem;
    memory::growable<std::byte> private_key_pem; // reserved in one piece, overwritten in the end
    bool key_log = false;

    values() noexcept = default;
    values(values&&) noexcept = default;
    values& operator=(values&&) noexcept = default;
    ~values();
    [[nodiscard]] bool copy_from(const values& other) noexcept;
    [[nodiscard]] DWORD set(DWORD option, const void* buffer, DWORD length) noexcept;
    [[nodiscard]] DWORD set_certificate(const void* buffer, DWORD length) noexcept;
    [[nodiscard]] DWORD make(io::tls_context_ref& made) const noexcept;
  };

  std::mutex mutex_;
  values values_;
  io::tls_context_ref context_;
};

/// TLS-04: each of the SECURITY_FLAG_IGNORE_... removes exactly its own fault.
[[nodiscard]] std::uint32_t ignored_faults(DWORD security_flags) noexcept;

/// TLS-05: the bits of the SECURE_FAILURE notification.
[[nodiscard]] DWORD secure_failure_bits(std::uint32_t faults) noexcept;

/// TLS-11: false when none of the wanted protocols is offered. 0 means the default.
[[nodiscard]] bool choose_versions(DWORD protocols, tls_version& lowest,
                                   tls_version& highest) noexcept;

/// TLS-01: what SECURITY_FLAGS reports about a connection beside the value that was set.
[[nodiscard]] DWORD security_of(const io::tls_facts& facts) noexcept;

} // namespace sluice::winhttp
