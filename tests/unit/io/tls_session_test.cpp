#include "tls_engine_fixture.hpp"

#include <string>
#include <utility>

// Who may take up the session of an earlier connection, and what is known of it then.

namespace sluice::io {
namespace {

namespace fault = certificate_fault;

using test::authority;
using test::bytes_of;
using test::read_all;
using test::test_ca;
using test::test_identity;
using pair = test::engine_pair;

TEST(tls_session, a_resumed_session_needs_no_certificate_and_is_used_once) {
  pair ends;
  ends.make(authority().issue(), {.host = "localhost", .port = 1});
  ASSERT_TRUE(ends.shake());
  EXPECT_FALSE(ends.client->resumed());
  tls_status last;
  (void)read_all(*ends.client, last); // takes the tickets
  ends.engines({.host = "localhost", .port = 1});
  ASSERT_TRUE(ends.shake());
  EXPECT_TRUE(ends.client->resumed());

  ends.engines({.host = "localhost", .port = 2}); // another service
  ASSERT_TRUE(ends.shake());
  EXPECT_FALSE(ends.client->resumed());
}

// Who does not ignore a fault must meet it, whatever others have done before.
TEST(tls_session, a_session_is_only_taken_up_under_the_rules_it_was_made_with) {
  const test_identity expired = authority().issue({.valid_from_days = -20, .valid_to_days = -10});
  for (const tls_version version : {tls_version::tls1_2, tls_version::tls1_3}) {
    tls_settings trusting;
    trusting.ca_pem = bytes_of(authority().root());
    trusting.highest = version;
    const tls_peer lax{.host = "localhost", .port = 1, .ignored_faults = fault::wrong_date};
    pair ends;
    ends.make(expired, lax, trusting, {});
    const auto shake = [&](const tls_peer& peer) {
      ends.engines(peer);
      const bool done = ends.shake();
      tls_status last;
      (void)read_all(*ends.client, last); // takes the tickets
      return done;
    };
    ASSERT_TRUE(shake(lax));
    EXPECT_FALSE(ends.client->resumed());
    EXPECT_EQ(ends.client->certificate_faults(), fault::wrong_date);
    ASSERT_TRUE(shake(lax));
    EXPECT_TRUE(ends.client->resumed());
    EXPECT_EQ(ends.client->certificate_faults(), fault::wrong_date) << "its full handshake's";

    const auto stricter = [&](auto change) {
      tls_peer peer = lax;
      change(peer);
      return peer;
    };
    EXPECT_FALSE(shake(stricter([](tls_peer& p) { p.ignored_faults = 0; })));
    EXPECT_EQ(ends.client->reason(), error::tls_certificate);
    EXPECT_FALSE(shake(stricter([](tls_peer& p) { p.ignored_faults = fault::wrong_name; })));
    EXPECT_FALSE(shake(stricter([](tls_peer& p) { p.check_revocation = true; })));
    const tls_peer others[] = {
        stricter([](tls_peer& p) { p.ignored_faults |= fault::wrong_name; }),
        stricter([](tls_peer& p) { p.port = 2; }),
        stricter([](tls_peer& p) { p.port = 10; }),
        stricter([](tls_peer& p) { p.host = "127.0.0.1"; }),
        stricter([&](tls_peer& p) { p.lowest = p.highest = version; }),
    };
    for (const tls_peer& other : others) {
      EXPECT_TRUE(shake(other));
      EXPECT_FALSE(ends.client->resumed()) << (&other - others);
    }
    ASSERT_TRUE(shake(lax)) << "still there";
    EXPECT_TRUE(ends.client->resumed());
  }
}

// Each configuration has sessions of its own: one that trusts others, or shows another certificate,
// must not come in on them.
TEST(tls_session, sessions_are_not_shared_among_contexts) {
  const test_ca stranger;
  const test_identity me = authority().issue({.extended_usage = "clientAuth"});
  tls_settings asking;
  asking.ca_pem = bytes_of(authority().root());
  asking.clients = client_certificates::requested;
  tls_settings plain;
  plain.ca_pem = bytes_of(authority().root());
  tls_settings identified = plain;
  identified.certificate_pem = bytes_of(me.certificate);
  identified.private_key_pem = bytes_of(me.key);
  tls_settings distrusting;
  distrusting.ca_pem = bytes_of(stranger.root());
  pair ends;
  ends.make(authority().issue(), {.host = "localhost", .port = 1}, identified, asking);
  ASSERT_TRUE(ends.shake());
  EXPECT_NE(ends.server->peer_certificate({}), 0u);
  tls_status last;
  (void)read_all(*ends.client, last);
  const auto with = [&](const tls_settings& settings) {
    tls_context_ref made;
    EXPECT_EQ(tls_context::make_client(settings, made), error::none);
    std::swap(made, ends.client_context);
    ends.engines({.host = "localhost", .port = 1});
    const bool done = ends.shake();
    std::swap(made, ends.client_context);
    return done;
  };
  EXPECT_FALSE(with(distrusting));
  EXPECT_TRUE(with(plain));
  EXPECT_FALSE(ends.client->resumed());
  EXPECT_EQ(ends.server->peer_certificate({}), 0u) << "it has shown none";
  EXPECT_TRUE(with(identified)) << "the same settings, but made apart";
  EXPECT_FALSE(ends.client->resumed());
  ends.engines({.host = "localhost", .port = 1});
  ASSERT_TRUE(ends.shake());
  EXPECT_TRUE(ends.client->resumed());
  EXPECT_NE(ends.server->peer_certificate({}), 0u) << "the session's";
}

// A ticket says what was wrong with the certificate that its client has shown.
TEST(tls_session, a_server_knows_the_faults_that_it_ignored_for_a_resumed_session) {
  const test_identity me = authority().issue(
      {.valid_from_days = -20, .valid_to_days = -10, .extended_usage = "clientAuth"});
  for (const tls_version version : {tls_version::tls1_2, tls_version::tls1_3}) {
    tls_settings server;
    server.ca_pem = bytes_of(authority().root());
    server.clients = client_certificates::required;
    server.ignored_faults = fault::wrong_date;
    tls_settings client;
    client.ca_pem = bytes_of(authority().root());
    client.certificate_pem = bytes_of(me.certificate);
    client.private_key_pem = bytes_of(me.key);
    client.highest = version;
    pair ends;
    ends.make(authority().issue(), {.host = "localhost", .port = 1}, client, server);
    for (const bool resumed : {false, true}) {
      ASSERT_TRUE(ends.shake());
      EXPECT_EQ(ends.server->resumed(), resumed);
      EXPECT_EQ(ends.server->certificate_faults(), fault::wrong_date);
      EXPECT_EQ(ends.client->certificate_faults(), 0u);
      tls_status last;
      (void)read_all(*ends.client, last);
      ends.engines({.host = "localhost", .port = 1});
    }
  }
}

TEST(tls_session, the_oldest_session_is_forgotten_first) {
  constexpr std::uint16_t most = 32;
  tls_settings settings;
  settings.ca_pem = bytes_of(authority().root());
  settings.highest = tls_version::tls1_2; // one session for each handshake
  pair ends;
  ends.make(authority().issue(), {.host = "localhost", .port = 1}, settings, {});
  ASSERT_TRUE(ends.shake());
  for (std::uint16_t port = 2; port <= most + 1; ++port) {
    ends.engines({.host = "localhost", .port = port});
    ASSERT_TRUE(ends.shake());
  }
  ends.engines({.host = "localhost", .port = 2});
  ASSERT_TRUE(ends.shake());
  EXPECT_TRUE(ends.client->resumed());
  ends.engines({.host = "localhost", .port = 1});
  ASSERT_TRUE(ends.shake());
  EXPECT_FALSE(ends.client->resumed());
}

} // namespace
} // namespace sluice::io
