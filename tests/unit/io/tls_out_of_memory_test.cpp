#include "tls_engine_fixture.hpp"

#include <openssl/crypto.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include <cstdlib>
#include <string>

// What becomes of a connection, and of the next one, when OpenSSL runs out of memory.

namespace sluice::io {
namespace {

using test::authority;
using test::bytes_of;

bool failing = false;
std::size_t allowed = 0;
std::size_t failures = 0;

bool fails() {
  if (!failing || allowed > 0) {
    allowed -= failing ? 1 : 0;
    return false;
  }
  ++failures;
  return true;
}
void* take(std::size_t bytes, const char* /*file*/, int /*line*/) {
  return fails() ? nullptr : std::malloc(bytes);
}
void give_back(void* taken, const char* /*file*/, int /*line*/) {
  std::free(taken);
}
void* resize(void* taken, std::size_t bytes, const char* file, int line) {
  if (bytes == 0) {
    give_back(taken, file, line);
    return nullptr;
  }
  return fails() ? nullptr : std::realloc(taken, bytes);
}

// Before OpenSSL has taken anything.
const bool replaced = CRYPTO_set_mem_functions(&take, &resize, &give_back) == 1;

bool talk(test::engine_pair& ends) {
  if (!ends.shake() || ends.client->write(bytes_of("hello")) != tls_status::done) {
    return false;
  }
  ends.carry(*ends.client, *ends.server);
  std::byte room[64];
  std::size_t count = 0;
  if (ends.server->read(room, count) != tls_status::done) {
    return false;
  }
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(room), count), "hello");
  ends.client->close();
  ends.server->close();
  return true;
}

class tls_out_of_memory : public ::testing::Test {
protected:
  void make(tls_version version) {
    ASSERT_TRUE(replaced);
    tls_settings client;
    client.ca_pem = bytes_of(authority().root());
    client.highest = version;
    client.resume = false;
    tls_settings server;
    server.certificate_pem = bytes_of(identity_.certificate);
    server.private_key_pem = bytes_of(identity_.key);
    ASSERT_EQ(tls_context::make_client(client, ends_.client_context), error::none);
    ASSERT_EQ(tls_context::make_server(server, ends_.server_context), error::none);
  }
  /// Allows so many allocations; false if there was no memory for the engines.
  bool make_engines(std::size_t allocations) {
    failing = true;
    allowed = allocations;
    failures = 0;
    const error at_client =
        tls_engine::make_client(ends_.client_context, {.host = "localhost"}, ends_.client);
    const error at_server = tls_engine::make_server(ends_.server_context, ends_.server);
    EXPECT_TRUE(at_client == error::none || at_client == error::no_memory);
    EXPECT_TRUE(at_server == error::none || at_server == error::no_memory);
    return at_client == error::none && at_server == error::none;
  }

  const test::test_identity identity_ = authority().issue();
  test::engine_pair ends_;
};

// First of all tests: what is made once, for all connections, is not made yet.
TEST_F(tls_out_of_memory, a_first_connection_that_cannot_be_made_does_not_spoil_the_next) {
  make(tls_version::tls1_3);
  bool made = false;
  for (std::size_t n = 0; !made; ++n) {
    ASSERT_LT(n, 1000u) << "it never works";
    made = make_engines(n);
    failing = false;
  }
  EXPECT_TRUE(talk(ends_));
}

TEST_F(tls_out_of_memory, each_allocation_may_fail_and_the_next_connection_works) {
  for (const tls_version version : {tls_version::tls1_2, tls_version::tls1_3}) {
    make(version);
    // OpenSSL 3.0 does without an algorithm for ever when it has no memory to load it.
    ends_.engines({.host = "localhost"});
    ASSERT_TRUE(talk(ends_));
    bool worked = false;
    for (std::size_t n = 0; !worked; n += 1 + n / 40) {
      ASSERT_LT(n, 100'000u) << "it never works";
      worked = make_engines(n) && talk(ends_) && failures == 0;
      failing = false;
      EXPECT_TRUE(worked || failures > 0) << n;
    }
    ends_.engines({.host = "localhost"});
    EXPECT_TRUE(talk(ends_));
  }
}

TEST_F(tls_out_of_memory, settings_are_taken_up_whole_or_not_at_all) {
  make(tls_version::tls1_3);
  tls_settings client;
  client.ca_pem = bytes_of(authority().root());
  tls_settings server;
  server.certificate_pem = bytes_of(identity_.certificate);
  server.private_key_pem = bytes_of(identity_.key);
  std::size_t said = 0;
  std::size_t not_said = 0;
  for (const bool is_server : {false, true}) {
    bool worked = false;
    for (std::size_t n = 0; !worked; n += 1 + n / 100) {
      ASSERT_LT(n, 100'000u) << "it never works";
      tls_context_ref made;
      failing = true;
      allowed = n;
      failures = 0;
      const error failed = is_server ? tls_context::make_server(server, made)
                                     : tls_context::make_client(client, made);
      failing = false;
      worked = failures == 0;
      // OpenSSL does not always say that it was for memory, but mostly.
      EXPECT_TRUE(failed == error::none || !worked) << n << ": " << to_string(failed);
      said += failed == error::no_memory ? 1 : 0;
      not_said += failed == error::tls_settings ? 1 : 0;
      if (failed == error::none) { // with the whole chain and all who are trusted
        (is_server ? ends_.server_context : ends_.client_context) = std::move(made);
        ends_.engines({.host = "localhost"});
        EXPECT_TRUE(talk(ends_)) << n;
      }
    }
  }
  EXPECT_GT(said, 10 * not_said);
}

// Called when a client begins to verify a chain, by its store of trusted certificates.
int fail_from_now_on(X509** issuer, X509_STORE_CTX* verifying, X509* of) {
  failing = true;
  return X509_STORE_CTX_get1_issuer(issuer, verifying, of);
}

// The trusted certificates are new each time: OpenSSL notes in them what it has found out of them.
TEST_F(tls_out_of_memory, no_memory_to_verify_a_chain_is_not_the_certificate_s_fault) {
  for (const tls_version version : {tls_version::tls1_2, tls_version::tls1_3}) {
    bool worked = false;
    std::size_t out_of_memory = 0;
    for (std::size_t n = 0; !worked; n += 1 + n / 100) {
      ASSERT_LT(n, 100'000u) << "it never works";
      make(version);
      X509_STORE* const trusted = ::SSL_CTX_get_cert_store(ends_.client_context->handle());
      X509_STORE_set_get_issuer(trusted, &fail_from_now_on);
      ends_.engines({.host = "localhost"});
      ASSERT_EQ(ends_.client->handshake(), tls_status::need_input);
      ends_.carry(*ends_.client, *ends_.server);
      ASSERT_EQ(ends_.server->handshake(), tls_status::need_input);
      ends_.carry(*ends_.server, *ends_.client);
      allowed = n;
      failures = 0;
      const tls_status status = ends_.client->handshake();
      ASSERT_TRUE(failing) << "the chain was not looked at";
      failing = false;
      worked = failures == 0;
      EXPECT_EQ(ends_.client->certificate_faults(), 0u) << n;
      if (worked) {
        EXPECT_NE(status, tls_status::failed);
      } else if (status == tls_status::failed) {
        // Later on, where keys are made, OpenSSL does not always say that it was for memory.
        const error reason = ends_.client->reason();
        EXPECT_TRUE(reason == error::no_memory ||
                    (reason == error::tls_handshake && out_of_memory > 0))
            << n << ": " << to_string(reason);
        out_of_memory += reason == error::no_memory ? 1 : 0;
      }
      X509_STORE_set_get_issuer(trusted, nullptr);
      ends_.engines({.host = "localhost"});
      EXPECT_TRUE(talk(ends_)) << n;
    }
    EXPECT_GT(out_of_memory, 20u);
  }
}

} // namespace
} // namespace sluice::io
