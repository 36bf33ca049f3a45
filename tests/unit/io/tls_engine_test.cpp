#include "tls_engine_fixture.hpp"

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>
#include <unistd.h>
#include <vector>

namespace sluice::io {
namespace {

namespace fault = certificate_fault;

using test::authority;
using test::bytes_of;
using test::read_all;
using test::test_ca;
using test::test_certificate;
using test::test_identity;
using pair = test::engine_pair;

std::string pattern(std::size_t size) {
  std::string made(size, '\0');
  for (std::size_t i = 0; i < size; ++i) {
    made[i] = static_cast<char>(i * 131 + (i >> 8));
  }
  return made;
}

TEST(tls_engine, carries_bytes_both_ways_in_both_versions) {
  for (const tls_version version : {tls_version::tls1_2, tls_version::tls1_3}) {
    pair ends;
    tls_settings client;
    client.ca_pem = bytes_of(authority().root());
    client.highest = version;
    ends.make(authority().issue(), {.host = "localhost"}, client, {});
    ASSERT_TRUE(ends.shake());
    EXPECT_EQ(ends.client->protocol_version(), version == tls_version::tls1_3 ? 0x0304 : 0x0303);
    EXPECT_GE(ends.client->cipher_bits(), 128);
    EXPECT_EQ(ends.client->certificate_faults(), 0u);

    const std::string sent = pattern(100'000);
    ASSERT_EQ(ends.client->write(bytes_of(sent)), tls_status::done);
    ends.carry(*ends.client, *ends.server);
    tls_status last;
    EXPECT_EQ(read_all(*ends.server, last), sent);
    EXPECT_EQ(last, tls_status::need_input);

    ASSERT_EQ(ends.server->write(bytes_of(sent)), tls_status::done);
    ends.carry(*ends.server, *ends.client);
    EXPECT_EQ(read_all(*ends.client, last), sent);
    EXPECT_EQ(last, tls_status::need_input);
  }
}

TEST(tls_engine, many_records_in_one_slice_are_all_delivered) {
  pair ends;
  ends.make(authority().issue());
  ASSERT_TRUE(ends.shake());
  std::string sent;
  for (int i = 0; i < 17; ++i) {
    const std::string one = pattern(125);
    sent += one;
    ASSERT_EQ(ends.server->write(bytes_of(one)), tls_status::done);
  }
  ends.carry(*ends.server, *ends.client);
  tls_status last;
  EXPECT_EQ(read_all(*ends.client, last), sent);
}

TEST(tls_engine, every_cut_of_the_stream_gives_the_same_bytes) {
  for (const std::size_t piece : {1u, 2u, 3u, 5u, 7u, 29u, 1000u}) {
    pair ends;
    ends.piece_bytes = piece;
    ends.make(authority().issue());
    ASSERT_TRUE(ends.shake()) << piece;
    const std::string sent = pattern(20'000);
    ASSERT_EQ(ends.server->write(bytes_of(sent)), tls_status::done);
    ends.carry(*ends.server, *ends.client);
    tls_status last;
    EXPECT_EQ(read_all(*ends.client, last), sent) << piece;
  }
}

TEST(tls_engine, close_notify_is_an_end_and_its_absence_is_not) {
  pair ends;
  ends.make(authority().issue());
  ASSERT_TRUE(ends.shake());
  const std::string last_words = "bye";
  ASSERT_EQ(ends.server->write(bytes_of(last_words)), tls_status::done);
  ends.server->close();
  ends.server->close();
  ends.carry(*ends.server, *ends.client);
  tls_status last;
  EXPECT_EQ(read_all(*ends.client, last), last_words);
  EXPECT_EQ(last, tls_status::closed);
}

TEST(tls_engine, a_flipped_bit_in_a_record_is_refused_and_earlier_records_are_delivered) {
  pair ends;
  ends.make(authority().issue());
  ASSERT_TRUE(ends.shake());
  const std::string good = "good";
  const std::string bad = "bad";
  ASSERT_EQ(ends.server->write(bytes_of(good)), tls_status::done);
  const std::size_t first_record_bytes = ends.server->output().size();
  ASSERT_EQ(ends.server->write(bytes_of(bad)), tls_status::done);
  ends.server->output()[first_record_bytes + 6] ^= std::byte{0x10};
  ends.carry(*ends.server, *ends.client);
  tls_status last;
  EXPECT_EQ(read_all(*ends.client, last), good);
  EXPECT_EQ(last, tls_status::failed);
  EXPECT_EQ(ends.client->reason(), error::tls_record);
  EXPECT_GT(ends.client->output().size(), 0u); // the alert
  EXPECT_EQ(read_all(*ends.client, last), "");
  EXPECT_EQ(last, tls_status::failed); // for good
}

TEST(tls_engine, something_that_is_not_tls_is_refused) {
  pair ends;
  ends.make(authority().issue());
  (void)ends.client->handshake();
  const std::string plain = "HTTP/1.1 400 Bad Request\r\n\r\n";
  ASSERT_TRUE(ends.heap.push(ends.client->cipher_in(), bytes_of(plain)));
  EXPECT_EQ(ends.client->handshake(), tls_status::failed);
  EXPECT_EQ(ends.client->reason(), error::tls_handshake);
}

TEST(tls_engine, TLS_04_the_certificate_table) {
  struct row {
    const char* what;
    test_identity identity;
    const char* host;
    std::uint32_t faults;
  };
  const test_ca stranger;
  test_certificate plain;
  test_certificate other_name{.alternative_names = "DNS:example.org"};
  test_certificate wildcard{.alternative_names = "DNS:*.example.org"};
  test_certificate partial{.alternative_names = "DNS:w*.example.org"};
  test_certificate no_names{.common_name = "localhost", .alternative_names = ""};
  test_certificate expired{.valid_from_days = -20, .valid_to_days = -10};
  test_certificate early{.valid_from_days = 10, .valid_to_days = 20};
  test_certificate usage{.extended_usage = "clientAuth"};
  test_certificate self{.self_signed = true};
  test_certificate everything{.alternative_names = "DNS:example.org",
                              .valid_from_days = -20,
                              .valid_to_days = -10,
                              .extended_usage = "clientAuth"};
  test_certificate addresses{.alternative_names = "IP:::1,IP:fe80::1,DNS:127.0.0.1"};
  test_certificate whole_zone{.alternative_names = "DNS:*.org,DNS:*"};
  test_certificate idna{.alternative_names = "DNS:xn--bcher-kva.example,DNS:xn--*.example.org"};
  std::string many;
  for (int i = 0; i < 2000; ++i) {
    many += "DNS:host-" + std::to_string(i) + ".example.org,";
  }
  test_certificate many_names{.alternative_names = many + "DNS:localhost"};
  const test_ca& ca = authority();
  const row rows[] = {
      {"valid", ca.issue(plain), "localhost", 0},
      {"valid address", ca.issue(plain), "127.0.0.1", 0},
      {"wrong address", ca.issue(plain), "127.0.0.2", fault::wrong_name},
      {"wrong name", ca.issue(other_name), "localhost", fault::wrong_name},
      {"wildcard", ca.issue(wildcard), "www.example.org", 0},
      {"wildcard, two labels", ca.issue(wildcard), "a.b.example.org", fault::wrong_name},
      {"partial wildcard", ca.issue(partial), "www.example.org", fault::wrong_name},
      {"name only in the subject", ca.issue(no_names), "localhost", fault::wrong_name},
      {"expired", ca.issue(expired), "localhost", fault::wrong_date},
      {"not yet valid", ca.issue(early), "localhost", fault::wrong_date},
      {"wrong usage", ca.issue(usage), "localhost", fault::wrong_usage},
      {"self-signed", ca.issue(self), "localhost", fault::unknown_authority},
      {"unknown authority", stranger.issue(plain), "localhost", fault::unknown_authority},
      {"missing intermediate", ca.issue_without_chain(plain), "localhost",
       fault::unknown_authority},
      {"IPv6", ca.issue(addresses), "::1", 0},
      {"IPv6 in another form", ca.issue(addresses), "0:0::0:1", 0},
      {"IPv6 with a zone", ca.issue(addresses), "fe80::1%lo", 0},
      {"another IPv6", ca.issue(addresses), "::2", fault::wrong_name},
      {"an IPv4 address as a name", ca.issue(addresses), "127.0.0.1", fault::wrong_name},
      {"IPv4 mapped to IPv6", ca.issue(plain), "::ffff:127.0.0.1", fault::wrong_name},
      {"half of an address", ca.issue(plain), "127.1", fault::wrong_name},
      {"wildcard for a zone", ca.issue(whole_zone), "example.org", fault::wrong_name},
      {"wildcard for all", ca.issue(whole_zone), "localhost", fault::wrong_name},
      {"wildcard, the name itself", ca.issue(wildcard), "example.org", fault::wrong_name},
      {"wildcard for an address", ca.issue(wildcard), "127.0.0.1", fault::wrong_name},
      {"name in capitals", ca.issue(plain), "LocalHost", 0},
      {"name of the network", ca.issue(idna), "xn--bcher-kva.example", 0},
      {"partial wildcard, name of the network", ca.issue(idna), "xn--x.example.org",
       fault::wrong_name},
      {"a name with more behind it", ca.issue(plain), "localhost.example.org", fault::wrong_name},
      {"many names", ca.issue(many_names), "localhost", 0},
      {"everything", ca.issue(everything), "localhost",
       fault::wrong_name | fault::wrong_date | fault::wrong_usage},
  };
  for (const row& at : rows) {
    {
      pair ends;
      ends.make(at.identity, {.host = at.host});
      EXPECT_EQ(ends.shake(), at.faults == 0) << at.what;
      EXPECT_EQ(ends.client->certificate_faults(), at.faults) << at.what;
      if (at.faults != 0) {
        EXPECT_EQ(ends.client->reason(), error::tls_certificate) << at.what;
        EXPECT_EQ(ends.server->reason(), error::tls_handshake) << at.what << ": sees the alert";
      }
    }
    for (std::uint32_t bit = 1; bit <= fault::invalid; bit <<= 1) { // each removes its own only
      pair ends;
      ends.make(at.identity, {.host = at.host, .ignored_faults = bit});
      EXPECT_EQ(ends.shake(), (at.faults & ~bit) == 0) << at.what << " ignoring " << bit;
    }
  }
}

// More peers than a context remembers certificates of, in turn and again.
TEST(tls_engine, each_connection_tells_its_own_peers_certificate) {
  struct known_peer {
    tls_context_ref context;
    std::vector<std::byte> certificate;
  };
  std::vector<known_peer> peers(12);
  pair ends;
  for (int round = 0; round < 2; ++round) {
    for (known_peer& one : peers) {
      if (round == 0) {
        tls_settings client_settings;
        client_settings.ca_pem = bytes_of(authority().root());
        client_settings.resume = false; // a whole handshake each time
        tls_context_ref client_context = std::move(ends.client_context);
        ends.make(authority().issue(), {.host = "localhost"}, client_settings, {});
        one.context = ends.server_context;
        if (client_context) {
          ends.client_context = std::move(client_context);
        }
      }
      ends.server_context = one.context;
      ends.engines({.host = "localhost"});
      ASSERT_TRUE(ends.shake());
      EXPECT_FALSE(ends.client->resumed());
      std::vector<std::byte> shown(ends.client->peer_certificate({}));
      EXPECT_FALSE(shown.empty());
      EXPECT_EQ(ends.client->peer_certificate(shown), shown.size());
      if (round == 0) {
        for (const known_peer& other : peers) {
          EXPECT_NE(shown, other.certificate);
        }
        one.certificate = shown;
      }
      EXPECT_EQ(shown, one.certificate);
    }
  }
}

TEST(tls_engine, a_dot_at_the_end_of_a_host_is_not_part_of_its_name) {
  for (const char* const host : {"localhost.", "127.0.0.1."}) {
    pair ends;
    ends.make(authority().issue(), {.host = host});
    EXPECT_TRUE(ends.shake()) << host;
    EXPECT_EQ(ends.client->certificate_faults(), 0u) << host;
  }
  pair ends;
  ends.make(authority().issue());
  EXPECT_EQ(tls_engine::make_client(ends.client_context, {.host = "."}, ends.client),
            error::invalid_argument);
}

// OpenSSL would take a name that begins with a dot for all names below it.
TEST(tls_engine, a_host_that_is_no_name_is_refused) {
  const test_identity www = authority().issue({.alternative_names = "DNS:www.example.org"});
  pair ends;
  ends.make(www, {.host = "www.example.org"});
  const std::string long_name(300, 'a');
  for (const char* const host : {"", ".", ".example.org", ".org", long_name.c_str()}) {
    EXPECT_EQ(tls_engine::make_client(ends.client_context, {.host = host}, ends.client),
              error::invalid_argument)
        << host;
  }
}

// It compares whole strings, not what stands before a NUL.
TEST(tls_engine, a_name_with_a_nul_in_it_is_another_name) {
  for (const char* const host : {"localhost", "localhost.example.org"}) {
    pair ends;
    ends.make(authority().issue({.raw_name = std::string("localhost\0.example.org", 22)}),
              {.host = host});
    EXPECT_FALSE(ends.shake());
    EXPECT_EQ(ends.client->certificate_faults(), fault::wrong_name) << host;
  }
}

TEST(tls_engine, a_server_that_chooses_a_protocol_that_was_not_offered_is_refused) {
  pair ends;
  ends.make(authority().issue());
  ::SSL_CTX_set_alpn_select_cb(
      ends.server_context->handle(),
      [](SSL*, const unsigned char** chosen, unsigned char* chosen_bytes, const unsigned char*,
         unsigned int, void*) {
        *chosen = reinterpret_cast<const unsigned char*>("h2");
        *chosen_bytes = 2;
        return SSL_TLSEXT_ERR_OK;
      },
      nullptr);
  ends.engines({.host = "localhost"});
  EXPECT_FALSE(ends.shake());
  EXPECT_EQ(ends.client->reason(), error::tls_handshake);
}

TEST(tls_engine, TLS_15_revocation_counts_only_when_it_is_asked_for) {
  const test_identity identity = authority().issue();
  const std::string list = authority().revoke(identity);
  std::string file = testing::TempDir() + "sluice_crl_XXXXXX";
  char* const path = file.data();
  const int fd = ::mkstemp(path);
  ASSERT_GE(fd, 0);
  ASSERT_EQ(::write(fd, list.data(), list.size()), static_cast<ssize_t>(list.size()));
  ::close(fd);
  tls_settings client;
  client.ca_pem = bytes_of(authority().root());
  client.revocation_file = path;
  {
    pair ends;
    ends.make(identity, {.host = "localhost"}, client, {});
    EXPECT_TRUE(ends.shake());
  }
  client.check_revocation = true;
  {
    pair ends;
    ends.make(identity, {.host = "localhost"}, client, {});
    EXPECT_FALSE(ends.shake());
    EXPECT_EQ(ends.client->certificate_faults(), fault::revoked);
  }
  {
    pair ends;
    ends.make(authority().issue(), {.host = "localhost"}, client, {});
    EXPECT_TRUE(ends.shake());
  }
  client.revocation_file = nullptr;
  {
    pair ends;
    ends.make(identity, {.host = "localhost"}, client, {});
    EXPECT_FALSE(ends.shake());
    EXPECT_EQ(ends.client->certificate_faults(), fault::revocation_unknown);
  }
  std::remove(path);
}

TEST(tls_engine, a_server_that_demands_a_certificate_refuses_a_client_without_one) {
  tls_settings server;
  server.ca_pem = bytes_of(authority().root());
  server.clients = client_certificates::required;
  tls_settings client;
  client.ca_pem = bytes_of(authority().root());
  {
    pair ends;
    ends.make(authority().issue(), {.host = "localhost"}, client, server);
    EXPECT_FALSE(ends.shake());
  }
  const test_identity me = authority().issue({.extended_usage = "clientAuth"});
  client.certificate_pem = bytes_of(me.certificate);
  client.private_key_pem = bytes_of(me.key);
  {
    pair ends;
    ends.make(authority().issue(), {.host = "localhost"}, client, server);
    EXPECT_TRUE(ends.shake());
  }
}

TEST(tls_engine, settings_that_cannot_work_are_refused) {
  tls_context_ref made;
  EXPECT_EQ(tls_context::make_server({}, made), error::tls_settings); // no certificate
  const test_identity one = authority().issue();
  const test_identity two = authority().issue();
  tls_settings mixed;
  mixed.certificate_pem = bytes_of(one.certificate);
  mixed.private_key_pem = bytes_of(two.key);
  EXPECT_EQ(tls_context::make_server(mixed, made), error::tls_settings);
  tls_settings nothing_there;
  nothing_there.ca_file = "/nonexistent/ca.pem";
  EXPECT_EQ(tls_context::make_client(nothing_there, made), error::tls_settings);
  tls_settings no_pem;
  const std::string text = "this is not PEM";
  no_pem.ca_pem = bytes_of(text);
  EXPECT_EQ(tls_context::make_client(no_pem, made), error::tls_settings);
}

TEST(tls_engine, no_common_version_is_a_handshake_failure) {
  tls_settings client;
  client.ca_pem = bytes_of(authority().root());
  client.highest = tls_version::tls1_2;
  tls_settings server;
  server.lowest = tls_version::tls1_3;
  pair ends;
  ends.make(authority().issue(), {.host = "localhost"}, client, server);
  EXPECT_FALSE(ends.shake());
  EXPECT_EQ(ends.client->reason(), error::tls_handshake);
  EXPECT_EQ(ends.server->reason(), error::tls_handshake);
}

// Room for a chain is made by the size that its message says: nobody may say any.
TEST(tls_engine, a_chain_of_more_than_100_KiB_is_refused_where_it_begins) {
  const test_identity identity = authority().issue_below(300);
  for (const tls_version version : {tls_version::tls1_2, tls_version::tls1_3}) {
    tls_settings trusting;
    trusting.ca_pem = bytes_of(authority().root());
    trusting.highest = version;
    pair ends;
    ends.make(identity, {.host = "localhost"}, trusting, {});
    ASSERT_EQ(ends.client->handshake(), tls_status::need_input);
    ends.carry(*ends.client, *ends.server);
    ASSERT_EQ(ends.server->handshake(), tls_status::need_input);
    memory::growable<std::byte>& flight = ends.server->output();
    ASSERT_GT(flight.size(), 105'000u);
    flight.resize_down(20'000); // the whole of its first record is among them
    ends.carry(*ends.server, *ends.client);
    EXPECT_EQ(ends.client->handshake(), tls_status::failed);
    EXPECT_EQ(ends.client->reason(), error::tls_handshake);
    EXPECT_FALSE(ends.client->output().empty()) << "the alert";
  }
}

TEST(tls_engine, how_deep_a_chain_may_be) {
  const struct {
    std::size_t authorities;
    std::uint32_t faults;
  } rows[] = {{90, 0}, {150, fault::invalid | fault::unknown_authority}};
  for (const auto& row : rows) {
    pair ends;
    ends.make(authority().issue_below(row.authorities));
    EXPECT_EQ(ends.shake(), row.faults == 0) << row.authorities;
    EXPECT_EQ(ends.client->certificate_faults(), row.faults) << row.authorities;
    EXPECT_EQ(ends.client->reason(), row.faults == 0 ? error::none : error::tls_certificate);
  }
}

} // namespace
} // namespace sluice::io
