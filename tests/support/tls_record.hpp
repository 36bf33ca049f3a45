#pragma once

#include <cstdint>
#include <string>
#include <string_view>

struct ssl_st;

namespace sluice::test {

/// Seals TLS records of any type with the sending keys of an OpenSSL connection that has shaken
/// hands with an AES-GCM suite: what OpenSSL itself never sends. RFC 5288 and RFC 8446 section 5.2.
class tls_record_sealer {
public:
  /// `secret` is the own end's first traffic secret of TLS 1.3, as bytes; TLS 1.2 needs none. The
  /// next record is number `sequence`. Throws std::runtime_error.
  tls_record_sealer(ssl_st* of, std::string_view secret, std::uint64_t sequence);

  [[nodiscard]] std::string seal(unsigned type, std::string_view content);

private:
  bool newest_ = false; // TLS 1.3
  std::string key_;
  std::string iv_;
  std::uint64_t sequence_;
};

} // namespace sluice::test
