// io/tls/read/<record bytes>: what decrypting costs from received segments of 64 KiB to the
// caller's memory, without a socket. TLS 1.3, AES-128-GCM.
//
//   tls_bench --benchmark_repetitions=5
//
// Time is CPU time. Beside ours stands OpenSSL alone: SSL_read_ex on a memory BIO that is filled
// before the clock starts. Both get batches of the same records in turn. `ratio` is the quotient of
// the two CPU times, OpenSSL's over ours: 1.0 means as fast as OpenSSL alone.
//
// io/tls/handshake: both ends of a full handshake (TLS 1.3, ECDSA P-256, the chain verified), from
// making the two ends to freeing them. Beside it the same with OpenSSL alone, whose ends share two
// memory BIOs. `per_cpu_second` counts ours.

#include "bench/support/tls_pairs.hpp"

#include <benchmark/benchmark.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <vector>

namespace {

using namespace sluice;

using bench::bare_pair;
using bench::cpu_seconds;
using bench::cut;
using bench::our_pair;
using bench::segment;

constexpr std::size_t batch_bytes = std::size_t{1} << 20; // of plain bytes
void read(benchmark::State& state) {
  const auto record_bytes = static_cast<std::size_t>(state.range(0));
  our_pair ours;
  bare_pair bare;
  if (!ours.ok || !bare.ok) {
    state.SkipWithError("handshake");
    return;
  }
  const std::string plain(batch_bytes, 'p');
  std::vector<std::byte> room(bench::room_bytes);
  double our_seconds = 0;
  double bare_seconds = 0;
  for (auto _ : state) {
    std::vector<std::string> for_us = cut(ours.server.seal(plain, record_bytes));
    std::vector<std::string> for_bare = cut(bare.server.seal(plain, record_bytes));
    const double mine = ours.receive(for_us, room.data(), plain.size());
    const double theirs = bare.receive(for_bare, room.data(), plain.size());
    if (mine < 0 || theirs < 0) {
      state.SkipWithError("bytes are missing");
      return;
    }
    our_seconds += mine;
    bare_seconds += theirs;
    state.SetIterationTime(mine);
  }
  const double records = static_cast<double>(state.iterations()) *
                         static_cast<double>((batch_bytes + record_bytes - 1) / record_bytes);
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) *
                          static_cast<std::int64_t>(batch_bytes));
  state.counters["ns_per_record"] = our_seconds * 1e9 / records;
  state.counters["ns_per_record_bare"] = bare_seconds * 1e9 / records;
  state.counters["ratio"] = bare_seconds / our_seconds;
}

// Engines of both ends with the bytes carried between them.
struct our_handshakes {
  our_handshakes() {
    const std::string root = test::tls_test_authority().root();
    tls_settings settings;
    settings.ca_pem = test::bytes_of(root);
    settings.resume = false;
    ok = io::tls_context::make_client(settings, client_context) == error::none;
    tls_settings own;
    own.certificate_pem = test::bytes_of(test::tls_test_identity().certificate);
    own.private_key_pem = test::bytes_of(test::tls_test_identity().key);
    own.resume = false;
    ok = ok && io::tls_context::make_server(own, server_context) == error::none;
  }

  static void carry(io::tls_engine& from, io::tls_engine& to, std::vector<std::string>& kept,
                    std::vector<std::unique_ptr<segment>>& segments) {
    const auto& out = from.output();
    if (out.empty()) {
      return;
    }
    kept.emplace_back(reinterpret_cast<const char*>(out.data()), out.size());
    from.output().clear();
    segments.push_back(std::make_unique<segment>(kept.back()));
    (void)to.cipher_in().push({segments.back().get(), 0, segments.back()->capacity_bytes});
  }

  [[nodiscard]] bool one() const {
    std::vector<std::string> kept;
    kept.reserve(8); // the segments point into it
    std::vector<std::unique_ptr<segment>> segments;
    memory::unique<io::tls_engine> client;
    memory::unique<io::tls_engine> server;
    if (io::tls_engine::make_client(client_context, {.host = "localhost"}, client) != error::none ||
        io::tls_engine::make_server(server_context, server) != error::none) {
      return false;
    }
    for (int turn = 0; turn < 4; ++turn) {
      const bool client_done = client->handshake() == io::tls_status::done;
      carry(*client, *server, kept, segments);
      if (server->handshake() == io::tls_status::done && client_done) {
        return true;
      }
      carry(*server, *client, kept, segments);
    }
    return false;
  }

  bool ok = false;
  io::tls_context_ref client_context;
  io::tls_context_ref server_context;
};

struct bare_handshakes {
  bare_handshakes()
      : client_context(SSL_CTX_new(TLS_client_method())),
        server_context(SSL_CTX_new(TLS_server_method())) {
    const std::string& root = test::tls_test_authority().root();
    BIO* const trusted = BIO_new_mem_buf(root.data(), static_cast<int>(root.size()));
    X509* const authority = PEM_read_bio_X509(trusted, nullptr, nullptr, nullptr);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(client_context), authority);
    X509_free(authority);
    BIO_free(trusted);
    SSL_CTX_set_verify(client_context, SSL_VERIFY_PEER, nullptr);
    const test::test_identity& own = test::tls_test_identity();
    BIO* const shown =
        BIO_new_mem_buf(own.certificate.data(), static_cast<int>(own.certificate.size()));
    X509* const leaf = PEM_read_bio_X509(shown, nullptr, nullptr, nullptr);
    SSL_CTX_use_certificate(server_context, leaf);
    X509_free(leaf);
    while (X509* const link = PEM_read_bio_X509(shown, nullptr, nullptr, nullptr)) {
      SSL_CTX_add0_chain_cert(server_context, link);
    }
    ERR_clear_error();
    BIO_free(shown);
    BIO* const secret = BIO_new_mem_buf(own.key.data(), static_cast<int>(own.key.size()));
    EVP_PKEY* const key = PEM_read_bio_PrivateKey(secret, nullptr, nullptr, nullptr);
    SSL_CTX_use_PrivateKey(server_context, key);
    EVP_PKEY_free(key);
    BIO_free(secret);
    for (SSL_CTX* const each : {client_context, server_context}) {
      SSL_CTX_set_session_cache_mode(each, SSL_SESS_CACHE_OFF);
      SSL_CTX_set_options(each, SSL_OP_NO_TICKET);
    }
    SSL_CTX_set_num_tickets(server_context, 0);
  }
  ~bare_handshakes() {
    SSL_CTX_free(client_context);
    SSL_CTX_free(server_context);
  }
  bare_handshakes(const bare_handshakes&) = delete;
  bare_handshakes& operator=(const bare_handshakes&) = delete;

  [[nodiscard]] bool one() const {
    SSL* const client = SSL_new(client_context);
    SSL* const server = SSL_new(server_context);
    BIO* const up = BIO_new(BIO_s_mem());
    BIO* const down = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(up, -1);
    BIO_set_mem_eof_return(down, -1);
    BIO_up_ref(up);
    BIO_up_ref(down);
    SSL_set_bio(client, down, up);
    SSL_set_bio(server, up, down);
    SSL_set1_host(client, "localhost");
    SSL_set_connect_state(client);
    SSL_set_accept_state(server);
    bool done = false;
    for (int turn = 0; turn < 4 && !done; ++turn) {
      const bool client_done = SSL_do_handshake(client) == 1;
      done = SSL_do_handshake(server) == 1 && client_done;
    }
    SSL_free(client);
    SSL_free(server);
    return done;
  }

  SSL_CTX* client_context;
  SSL_CTX* server_context;
};

void handshake(benchmark::State& state) {
  constexpr int at_a_time = 20;
  const our_handshakes ours;
  const bare_handshakes bare;
  double our_seconds = 0;
  double bare_seconds = 0;
  bool ok = ours.ok;
  for (auto _ : state) {
    const double start = cpu_seconds();
    for (int i = 0; i < at_a_time; ++i) {
      ok = ours.one() && ok;
    }
    const double between = cpu_seconds();
    for (int i = 0; i < at_a_time; ++i) {
      ok = bare.one() && ok;
    }
    bare_seconds += cpu_seconds() - between;
    our_seconds += between - start;
    state.SetIterationTime(between - start);
  }
  if (!ok) {
    state.SkipWithError("handshake");
    return;
  }
  state.counters["per_cpu_second"] =
      static_cast<double>(state.iterations()) * at_a_time / our_seconds;
  state.counters["ratio"] = bare_seconds / our_seconds;
}

BENCHMARK(handshake)->Name("io/tls/handshake")->UseManualTime();
BENCHMARK(read)->Name("io/tls/read")->Arg(125)->Arg(1024)->Arg(16384)->UseManualTime();

} // namespace
