#pragma once

#include "core/memory.hpp"

#include <cstdint>
#include <utility>

struct x509_st;

namespace sluice::io {

/// A certificate that a peer has shown, also after its connection is gone; or none. One object is
/// one thread's, as a pointer is.
class tls_certificate {
public:
  tls_certificate() noexcept = default;
  /// Takes over a reference; nullptr is none.
  explicit tls_certificate(x509_st* owned) noexcept : certificate_(owned) {}
  tls_certificate(tls_certificate&& other) noexcept
      : certificate_(std::exchange(other.certificate_, nullptr)) {}
  tls_certificate& operator=(tls_certificate&& other) noexcept {
    std::swap(certificate_, other.certificate_);
    return *this;
  }
  ~tls_certificate();

  explicit operator bool() const noexcept { return certificate_ != nullptr; }

  /// Not of none. The values of the distinguished name, in its order, as UTF-8 with CRLF in
  /// between; control characters, which could pass for that or end a string, are '?'. Check
  /// `to.ok()`.
  void append_subject(memory::growable<char>& to) const noexcept;
  void append_issuer(memory::growable<char>& to) const noexcept;
  /// Seconds since 1970, UTC; 0 when the certificate does not say it in a form that exists.
  [[nodiscard]] std::int64_t valid_from() const noexcept;
  [[nodiscard]] std::int64_t valid_until() const noexcept;

private:
  x509_st* certificate_ = nullptr;
};

} // namespace sluice::io
