// The client of the native API against a server of another make; see environment.hpp.

#include "tests/interop/environment.hpp"

#include "sluice/sluice.hpp"

#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace interop {

namespace {

constexpr std::chrono::seconds patience{60}; // only a hang takes that long

// Messages as they came, and how it ended.
class listener final : public sluice::connection_handler {
public:
  void on_open(sluice::connection& opened, std::string_view subprotocol) noexcept override {
    open = true;
    chosen = subprotocol;
    secure = opened.tls(agreed);
    certificate_bytes = opened.peer_certificate({});
  }
  void on_message(sluice::connection& /*from*/, const sluice::view& message) noexcept override {
    const auto bytes = message.bytes();
    messages.emplace_back(message.type() == sluice::message_type::text,
                          std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  }
  void on_close(sluice::connection& /*closed*/, const sluice::close_event& how) noexcept override {
    closed = true;
    status = how.status;
    reason = how.reason;
    cause = how.cause;
    clean = how.clean;
  }

  bool open = false;
  bool secure = false;
  bool closed = false;
  bool clean = false;
  std::uint16_t status = 0;
  std::string reason;
  std::string chosen;
  sluice::tls_info agreed;
  std::size_t certificate_bytes = 0;
  sluice::error cause = sluice::error::none;
  std::vector<std::pair<bool, std::string>> messages; // is it text; what it says
};

class native_client : public testing::Test {
protected:
  void SetUp() override { ASSERT_EQ(loop_.open(), sluice::error::none); }

  void wait_until(const std::function<bool()>& done) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (!done()) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "the peer is silent";
      pollfd waiting{loop_.descriptor(), POLLIN, 0};
      const int wait_ms = loop_.run_ready();
      if (wait_ms != 0 && !done()) {
        static_cast<void>(poll(&waiting, 1, wait_ms < 0 ? 1000 : wait_ms));
      }
    }
  }

  /// Connects, and waits for the opening or the end. A peer that closes may have ended the
  /// connection by then: only for those who know that it has not.
  sluice::connection* connect(listener& to, const char* target, bool shows_certificate = true) {
    const std::string authority = setting("SLUICE_TEST_CA_FILE");
    const std::string certificate = setting("SLUICE_TEST_CLIENT_CERTIFICATE_FILE");
    const std::string key = setting("SLUICE_TEST_CLIENT_KEY_FILE");
    sluice::connect_settings settings;
    if (!authority.empty()) {
      sluice::tls_settings trust;
      trust.ca_file = authority.c_str();
      if (shows_certificate && !certificate.empty()) {
        trust.certificate_file = certificate.c_str();
        trust.private_key_file = key.c_str();
      }
      EXPECT_EQ(sluice::tls_config::make_client(trust, settings.connection.tls),
                sluice::error::none);
    }
    settings.host = "127.0.0.1";
    settings.port = peer->port();
    settings.target = target;
    settings.subprotocols = "chat.v1, chat.v2";
    settings.connection.take = sluice::delivery::messages;
    settings.connection.max_send_queue_bytes = std::size_t{4} << 20;
    sluice::connection* made = nullptr;
    EXPECT_EQ(loop_.connect(settings, to, made), sluice::error::none);
    wait_until([&] { return to.open || to.closed; });
    return to.open && !to.closed ? made : nullptr;
  }

  sluice::loop loop_;
};

TEST_F(native_client, echo_of_every_size_comes_back_unchanged) {
  listener heard;
  sluice::connection* const to = connect(heard, "/echo");
  ASSERT_NE(to, nullptr) << sluice::to_string(heard.cause);
  EXPECT_EQ(heard.chosen, "chat.v2");
  for (const std::size_t size : {0u, 1u, 125u, 126u, 16384u, 65535u, 65536u, 1u << 20}) {
    SCOPED_TRACE(size);
    const std::string text = text_of(size);
    const std::string binary = binary_of(size);
    heard.messages.clear();
    ASSERT_EQ(to->send_text(text), sluice::error::none);
    ASSERT_EQ(to->send_binary(std::as_bytes(std::span(binary))), sluice::error::none);
    wait_until([&] { return heard.messages.size() == 2 || heard.closed; });
    ASSERT_EQ(heard.messages.size(), 2u);
    EXPECT_TRUE(heard.messages[0] == std::pair(true, text));
    EXPECT_TRUE(heard.messages[1] == std::pair(false, binary));
  }
  ASSERT_EQ(to->close(4002, "done \xE2\x9C\x93"), sluice::error::none);
  wait_until([&] { return heard.closed; });
  EXPECT_TRUE(heard.clean);
  EXPECT_EQ(heard.status, 4002); // servers echo it
  EXPECT_EQ(heard.cause, sluice::error::none);
  EXPECT_EQ(peer->next_line(), "closed 4002 done \xE2\x9C\x93");
}

TEST_F(native_client, feed_of_whole_and_fragmented_messages_matches_its_hashes) {
  listener heard;
  static_cast<void>(connect(heard, "/feed"));
  ASSERT_TRUE(heard.open) << sluice::to_string(heard.cause);
  wait_until([&] { return heard.closed; });
  EXPECT_EQ(heard.status, 1000);
  EXPECT_EQ(heard.reason, "end of feed");
  EXPECT_TRUE(heard.clean);
  ASSERT_EQ(heard.messages.size(), 80u); // 10 sizes, text and binary, whole and in fragments
  for (std::size_t i = 0; i < heard.messages.size(); i += 2) {
    EXPECT_EQ(heard.messages[i + 1].second,
              describe(heard.messages[i].first, heard.messages[i].second));
  }
  EXPECT_EQ(peer->next_line().rfind("closed 1000", 0), 0u);
}

TEST_F(native_client, what_was_agreed_on_is_told) {
  listener heard;
  static_cast<void>(connect(heard, "/close?code=4001&reason=enough"));
  ASSERT_TRUE(heard.open) << sluice::to_string(heard.cause);
  ASSERT_EQ(heard.secure, !setting("SLUICE_TEST_TLS").empty());
  if (heard.secure) {
    EXPECT_TRUE(heard.agreed.established);
    EXPECT_EQ(heard.agreed.version, setting("SLUICE_TEST_TLS_VERSION") == "1.2"
                                        ? sluice::tls_version::tls1_2
                                        : sluice::tls_version::tls1_3);
    EXPECT_GE(heard.agreed.cipher_bits, 128);
    EXPECT_EQ(heard.agreed.certificate_faults, 0u);
    EXPECT_GT(heard.certificate_bytes, 100u);
  }
  wait_until([&] { return heard.closed; });
  EXPECT_EQ(heard.status, 4001);
  EXPECT_EQ(heard.reason, "enough");
  EXPECT_EQ(peer->next_line().rfind("closed 4001", 0), 0u);
}

TEST_F(native_client, a_server_that_demands_a_certificate_refuses_who_has_none) {
  if (setting("SLUICE_TEST_DEMANDED").empty()) {
    GTEST_SKIP() << "the server of this run demands no certificate";
  }
  listener heard;
  EXPECT_EQ(connect(heard, "/echo", false), nullptr);
  EXPECT_NE(heard.cause, sluice::error::none);
  listener known;
  sluice::connection* const let_in = connect(known, "/echo");
  ASSERT_NE(let_in, nullptr) << sluice::to_string(known.cause);
  ASSERT_EQ(let_in->close(), sluice::error::none);
  wait_until([&] { return known.closed; });
  EXPECT_EQ(peer->next_line().rfind("closed 1000", 0), 0u);
}

} // namespace

} // namespace interop
