#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace sluice::test {

/// A certificate and its private key, both as PEM text.
struct test_identity {
  std::string certificate; // leaf first, then what else belongs to the chain
  std::string key;
};

/// What a test wants wrong or right about a certificate.
struct test_certificate {
  std::string common_name = "localhost";
  std::string alternative_names = "DNS:localhost,IP:127.0.0.1"; // empty: none
  std::string raw_name{};    // a DNS name of any bytes, instead of these
  long valid_from_days = -1; // relative to now
  long valid_to_days = 30;
  std::string extended_usage = "serverAuth"; // empty: none
  bool self_signed = false;
};

/// A certificate authority made by the test run itself, with an intermediate.
class test_ca {
public:
  test_ca();
  ~test_ca();
  test_ca(const test_ca&) = delete;
  test_ca& operator=(const test_ca&) = delete;

  /// The root certificate, PEM.
  [[nodiscard]] const std::string& root() const { return root_pem_; }
  /// Issued by the intermediate; `certificate` holds the intermediate too.
  [[nodiscard]] test_identity issue(const test_certificate& wanted = {}) const;
  /// As issue(), without the intermediate in the chain.
  [[nodiscard]] test_identity issue_without_chain(const test_certificate& wanted = {}) const;
  /// Issued by the last of so many authorities, each one below another, the first one below the
  /// intermediate; `certificate` holds them all.
  [[nodiscard]] test_identity issue_below(std::size_t authorities) const;
  /// A revocation list of the intermediate that names `revoked` (its leaf), PEM, followed by none.
  [[nodiscard]] std::string revoke(const test_identity& revoked) const;

private:
  struct state;
  state* state_;
  std::string root_pem_;
};

inline std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

} // namespace sluice::test
