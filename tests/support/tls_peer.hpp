#pragma once

#include "support/test_ca.hpp"

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>

namespace sluice::test {

/// What a TLS server of a test is like.
struct tls_server_settings {
  test_identity identity;
  int lowest_version = 0; // as OpenSSL numbers them; 0: no limit
  int highest_version = 0;
  std::size_t tickets = 2;                 // sent behind the handshake of TLS 1.3
  std::string demanded_client_authority{}; // PEM: a client needs a certificate of it
  const char* suites = nullptr;            // of TLS 1.3, as OpenSSL names them; nullptr: all
  bool forges = false;                     // forge() will be called
};

/// What a TLS client of a test is like.
struct tls_client_settings {
  std::string authority; // PEM: whom it trusts; empty: everybody
  const char* host = "localhost";
  test_identity identity{}; // its own, if any
  int lowest_version = 0;
  int highest_version = 0;
  bool forges = false; // forge() will be called
};

/// One end of a TLS connection, made of OpenSSL's own parts and none of the library:
/// bytes go through memory, so that a test may hold, cut and change what is on the wire. One thread
/// may read while another one writes. What breaks TLS is thrown as tls_broken.
class tls_peer_end {
public:
  explicit tls_peer_end(const tls_server_settings& how);
  explicit tls_peer_end(const tls_client_settings& how);
  ~tls_peer_end();
  tls_peer_end(const tls_peer_end&) = delete;
  tls_peer_end& operator=(const tls_peer_end&) = delete;

  /// Goes on with the handshake on what was received; true once it is complete. What has to be sent
  /// is in take_output().
  [[nodiscard]] bool shake(std::string_view received);
  [[nodiscard]] std::string take_output();

  /// Records with these bytes, each record of at most `record_bytes`.
  [[nodiscard]] std::string seal(std::string_view plain, std::size_t record_bytes = 16384);
  /// What a piece of the stream has brought.
  [[nodiscard]] std::string open(std::string_view received);

  [[nodiscard]] std::string close_notify();
  /// A key update; with `ask`, the client has to answer with one of its own (TLS 1.3).
  [[nodiscard]] std::string key_update(bool ask);
  [[nodiscard]] std::string late_ticket();
  /// TLS 1.2: asks for another handshake on the connection.
  [[nodiscard]] std::string renegotiation();
  /// A record of any type (20 change_cipher_spec, 21 alert, 22 handshake, 23 application data)
  /// under this end's keys. From the first one on, seal() and whatever else makes records must not
  /// be called. Before it: no key update, no renegotiation, and a server of TLS 1.3 without
  /// tickets.
  [[nodiscard]] std::string forge(unsigned type, std::string_view content);

  [[nodiscard]] bool saw_close_notify();
  [[nodiscard]] bool resumed();
  /// Takes up the session of an earlier connection of the same host; before shake().
  void resume(tls_peer_end& earlier);
  [[nodiscard]] std::string server_name(); // SNI of the client, or nothing
  [[nodiscard]] std::string protocol();    // ALPN, or nothing
  [[nodiscard]] int version();

private:
  struct state;
  std::string take_output_locked();
  std::mutex mutex_;
  std::unique_ptr<state> state_;
  std::uint64_t records_sealed_ = 0;
};

/// Records one behind the other. They are made in that order, too, which `+` does not promise.
[[nodiscard]] inline std::string in_order(std::initializer_list<std::string> records) {
  std::string made;
  for (const std::string& one : records) {
    made += one;
  }
  return made;
}

struct tls_broken : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The authority and the identity (localhost, 127.0.0.1) of test servers, made once per program.
[[nodiscard]] const test_ca& tls_test_authority();
[[nodiscard]] const test_identity& tls_test_identity();

/// True if SLUICE_TEST_TLS is set: the tests of plain connections run over TLS then.
[[nodiscard]] bool tls_is_wanted();

} // namespace sluice::test
