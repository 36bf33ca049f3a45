#pragma once

#include "native_fixture.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace sluice::test {

inline constexpr int tls_versions[] = {0x0303, 0x0304};

// RFC 8446 appendix B.1
inline constexpr unsigned change_cipher_spec_type = 20;
inline constexpr unsigned alert_type = 21;
inline constexpr unsigned handshake_type = 22;
inline constexpr unsigned application_data_type = 23;

/// A server over TLS and peers of OpenSSL alone, whose records a test changes on their way or makes
/// itself.
class native_tls_hostile : public native_test {
protected:
  void serve_tls(connection_settings settings = {}) {
    settings.tls = server_tls();
    serve(settings);
  }
  [[nodiscard]] raw_client upgraded(int version = 0, int receive_buffer_bytes = 0) {
    raw_client made(*this);
    made.connect(receive_buffer_bytes);
    made.start_tls({.authority = tls_test_authority().root(), .highest_version = version});
    made.send(raw_client::request());
    EXPECT_NE(made.read_head().find("HTTP/1.1 101 "), std::string::npos);
    return made;
  }
  /// One whose records are forged from now on: what OpenSSL itself does not send.
  [[nodiscard]] raw_client forging(int version, int receive_buffer_bytes = 0) {
    raw_client made(*this);
    made.connect(receive_buffer_bytes);
    made.start_tls({.authority = tls_test_authority().root(),
                    .lowest_version = version,
                    .highest_version = version,
                    .forges = true});
    made.send(raw_client::request());
    EXPECT_NE(made.read_head().find("HTTP/1.1 101 "), std::string::npos);
    return made;
  }
  [[nodiscard]] std::string forged_text(raw_client& by, std::string_view text) const {
    const bytes frame = make_.frame(opcode::text, true, text);
    return by.tls().forge(application_data_type,
                          {reinterpret_cast<const char*>(frame.data()), frame.size()});
  }
  [[nodiscard]] raw_client unshaken() {
    raw_client made(*this);
    made.connect();
    return made;
  }
  [[nodiscard]] std::string sealed(raw_client& by, const bytes& plain,
                                   std::size_t record_bytes = 16384) const {
    return by.tls().seal({reinterpret_cast<const char*>(plain.data()), plain.size()}, record_bytes);
  }
  [[nodiscard]] std::string sealed_text(raw_client& by, std::string_view text) const {
    return sealed(by, make_.frame(opcode::text, true, text));
  }
  /// The connection must end with that cause, and its peer see the end of the stream.
  void expect_end(raw_client& peer, error cause) {
    std::string rest;
    while (peer.receive_raw(rest)) {
    }
    peer.close(); // else the server waits for it to have read the alert
    EXPECT_TRUE(pump([&] { return handler_.endings.size() == 1; }));
    EXPECT_EQ(handler_.endings.back().cause, cause) << to_string(handler_.endings.back().cause);
    EXPECT_FALSE(handler_.endings.back().clean);
    handler_.endings.clear();
  }
  void collect() {
    handler_.slice = [this](connection&, const view& v) { seen_.push_back(text_of(v)); };
  }
  [[nodiscard]] loop_stats stats() const {
    loop_stats now;
    on_.stats(now);
    return now;
  }

  std::vector<std::string> seen_;
};

/// The same with the server up from the beginning, what it receives in `seen_`.
class native_tls_hostile_server : public native_tls_hostile {
protected:
  void SetUp() override {
    collect();
    serve_tls();
  }
};

} // namespace sluice::test
