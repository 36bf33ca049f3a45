#include "support/tls_peer.hpp"

#include "support/tls_record.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <cstdlib>

namespace sluice::test {
namespace {

[[noreturn]] void fail(const char* what) {
  char reason[256];
  ERR_error_string_n(ERR_get_error(), reason, sizeof reason);
  ERR_clear_error();
  throw tls_broken(std::string("tls peer: ") + what + ": " + reason);
}

void check(bool ok, const char* what) {
  if (!ok) {
    fail(what);
  }
}

template <typename Use> void each_certificate(const std::string& pem, Use use) {
  BIO* const in = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  while (X509* const one = PEM_read_bio_X509(in, nullptr, nullptr, nullptr)) {
    use(one);
    X509_free(one);
  }
  ERR_clear_error();
  BIO_free(in);
}

// Tickets and sessions work across the connections of one program.
void use_common_ticket_keys(SSL_CTX* context) {
  static unsigned char keys[80] = {1, 2, 3};
  SSL_CTX_set_tlsext_ticket_keys(context, keys, sizeof keys);
  SSL_CTX_set_session_id_context(context, keys, 3);
}

void use_identity(SSL_CTX* context, const test_identity& identity) {
  bool first = true;
  each_certificate(identity.certificate, [&](X509* one) {
    if (first) {
      check(SSL_CTX_use_certificate(context, one) == 1, "certificate");
    } else {
      check(SSL_CTX_add1_chain_cert(context, one) == 1, "chain");
    }
    first = false;
  });
  BIO* const in = BIO_new_mem_buf(identity.key.data(), static_cast<int>(identity.key.size()));
  EVP_PKEY* const key = PEM_read_bio_PrivateKey(in, nullptr, nullptr, nullptr);
  BIO_free(in);
  check(SSL_CTX_use_PrivateKey(context, key) == 1, "key");
  EVP_PKEY_free(key);
}

constexpr unsigned char http11[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

int choose_http11(SSL* /*ssl*/, const unsigned char** chosen, unsigned char* chosen_bytes,
                  const unsigned char* offered, unsigned offered_bytes, void* /*context*/) {
  unsigned char* match = nullptr;
  if (SSL_select_next_proto(&match, chosen_bytes, http11, sizeof http11, offered, offered_bytes) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *chosen = match;
  return SSL_TLSEXT_ERR_OK;
}

} // namespace

struct tls_peer_end::state {
  SSL_CTX* context = nullptr;
  SSL* ssl = nullptr;
  BIO* in = nullptr;
  BIO* out = nullptr;
  std::string secret; // of what this end sends, TLS 1.3
  std::unique_ptr<tls_record_sealer> forger;

  ~state() {
    SSL_free(ssl);
    SSL_CTX_free(context);
  }

  void open(bool forges) {
    if (forges) {
      SSL_CTX_set_keylog_callback(context, &note_secret);
    }
    ssl = SSL_new(context);
    SSL_set_app_data(ssl, this);
    in = BIO_new(BIO_s_mem());
    out = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(in, -1);
    SSL_set_bio(ssl, in, out);
  }

  // "SERVER_TRAFFIC_SECRET_0 <client random> <secret>", both in hexadecimal.
  static void note_secret(const SSL* of, const char* line) {
    auto& self = *static_cast<state*>(SSL_get_app_data(of));
    const std::string_view text(line);
    if (text.starts_with(SSL_is_server(of) != 0 ? "SERVER_TRAFFIC_SECRET_0 "
                                                : "CLIENT_TRAFFIC_SECRET_0 ")) {
      self.secret.clear();
      for (std::size_t at = text.rfind(' ') + 1; at + 1 < text.size(); at += 2) {
        self.secret.push_back(
            static_cast<char>(std::stoi(std::string(text.substr(at, 2)), nullptr, 16)));
      }
    }
  }

  void receive(std::string_view bytes) const {
    if (!bytes.empty()) {
      check(BIO_write(in, bytes.data(), static_cast<int>(bytes.size())) ==
                static_cast<int>(bytes.size()),
            "BIO_write");
    }
  }
};

tls_peer_end::tls_peer_end(const tls_server_settings& how) : state_(new state) {
  SSL_CTX* const context = SSL_CTX_new(TLS_server_method());
  state_->context = context;
  check(context != nullptr, "SSL_CTX_new");
  use_identity(context, how.identity);
  SSL_CTX_set_min_proto_version(context, how.lowest_version);
  SSL_CTX_set_max_proto_version(context, how.highest_version);
  SSL_CTX_set_num_tickets(context, how.tickets);
  check(how.suites == nullptr || SSL_CTX_set_ciphersuites(context, how.suites) == 1, "suites");
  SSL_CTX_set_alpn_select_cb(context, &choose_http11, nullptr);
  use_common_ticket_keys(context);
  if (!how.demanded_client_authority.empty()) {
    each_certificate(how.demanded_client_authority,
                     [&](X509* one) { X509_STORE_add_cert(SSL_CTX_get_cert_store(context), one); });
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  state_->open(how.forges);
  SSL_set_accept_state(state_->ssl);
}

tls_peer_end::tls_peer_end(const tls_client_settings& how) : state_(new state) {
  SSL_CTX* const context = SSL_CTX_new(TLS_client_method());
  state_->context = context;
  check(context != nullptr, "SSL_CTX_new");
  if (!how.identity.certificate.empty()) {
    use_identity(context, how.identity);
  }
  SSL_CTX_set_min_proto_version(context, how.lowest_version);
  SSL_CTX_set_max_proto_version(context, how.highest_version);
  if (!how.authority.empty()) {
    each_certificate(how.authority,
                     [&](X509* one) { X509_STORE_add_cert(SSL_CTX_get_cert_store(context), one); });
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  }
  check(SSL_CTX_set_alpn_protos(context, http11, sizeof http11) == 0, "ALPN");
  state_->open(how.forges);
  check(SSL_set1_host(state_->ssl, how.host) == 1, "host");
  SSL_ctrl(state_->ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
           const_cast<char*>(how.host));
  SSL_set_connect_state(state_->ssl);
}

tls_peer_end::~tls_peer_end() = default;

std::string tls_peer_end::take_output_locked() {
  char* data = nullptr;
  const long size = BIO_get_mem_data(state_->out, &data);
  std::string taken(data, static_cast<std::size_t>(size));
  BIO_reset(state_->out);
  return taken;
}

std::string tls_peer_end::take_output() {
  const std::lock_guard lock(mutex_);
  return take_output_locked();
}

bool tls_peer_end::shake(std::string_view received) {
  const std::lock_guard lock(mutex_);
  state_->receive(received);
  ERR_clear_error();
  const int done = SSL_do_handshake(state_->ssl);
  if (done == 1) {
    return true;
  }
  if (SSL_get_error(state_->ssl, done) != SSL_ERROR_WANT_READ) {
    fail("handshake");
  }
  return false;
}

std::string tls_peer_end::seal(std::string_view plain, std::size_t record_bytes) {
  const std::lock_guard lock(mutex_);
  while (!plain.empty()) {
    const std::string_view one = plain.substr(0, record_bytes);
    check(SSL_write(state_->ssl, one.data(), static_cast<int>(one.size())) ==
              static_cast<int>(one.size()),
          "write");
    plain.remove_prefix(one.size());
    ++records_sealed_;
  }
  return take_output_locked();
}

std::string tls_peer_end::open(std::string_view received) {
  const std::lock_guard lock(mutex_);
  state_->receive(received);
  std::string plain;
  char block[16384];
  for (;;) {
    ERR_clear_error();
    const int count = SSL_read(state_->ssl, block, sizeof block);
    if (count > 0) {
      plain.append(block, static_cast<std::size_t>(count));
      continue;
    }
    const int why = SSL_get_error(state_->ssl, count);
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_ZERO_RETURN) {
      fail("read");
    }
    return plain;
  }
}

std::string tls_peer_end::close_notify() {
  const std::lock_guard lock(mutex_);
  SSL_shutdown(state_->ssl);
  ERR_clear_error();
  return take_output_locked();
}

std::string tls_peer_end::key_update(bool ask) {
  const std::lock_guard lock(mutex_);
  check(SSL_key_update(state_->ssl,
                       ask ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED) == 1,
        "key update");
  check(SSL_do_handshake(state_->ssl) == 1, "key update");
  return take_output_locked();
}

std::string tls_peer_end::late_ticket() {
  const std::lock_guard lock(mutex_);
  check(SSL_new_session_ticket(state_->ssl) == 1, "ticket");
  check(SSL_do_handshake(state_->ssl) == 1, "ticket");
  return take_output_locked();
}

std::string tls_peer_end::renegotiation() {
  const std::lock_guard lock(mutex_);
  check(SSL_renegotiate(state_->ssl) == 1, "renegotiate");
  static_cast<void>(SSL_do_handshake(state_->ssl));
  ERR_clear_error();
  return take_output_locked();
}

std::string tls_peer_end::forge(unsigned type, std::string_view content) {
  const std::lock_guard lock(mutex_);
  if (state_->forger == nullptr) {
    // Under the keys of TLS 1.2 goes Finished, too.
    const std::uint64_t finished = SSL_version(state_->ssl) == TLS1_3_VERSION ? 0 : 1;
    state_->forger = std::make_unique<tls_record_sealer>(state_->ssl, state_->secret,
                                                         finished + records_sealed_);
  }
  return state_->forger->seal(type, content);
}

void tls_peer_end::resume(tls_peer_end& earlier) {
  SSL_SESSION* session = nullptr;
  {
    const std::lock_guard lock(earlier.mutex_);
    session = SSL_get1_session(earlier.state_->ssl);
  }
  const std::lock_guard lock(mutex_);
  const bool taken = SSL_set_session(state_->ssl, session) == 1;
  SSL_SESSION_free(session);
  check(taken, "resume");
}

bool tls_peer_end::saw_close_notify() {
  const std::lock_guard lock(mutex_);
  return (SSL_get_shutdown(state_->ssl) & SSL_RECEIVED_SHUTDOWN) != 0;
}

bool tls_peer_end::resumed() {
  const std::lock_guard lock(mutex_);
  return SSL_session_reused(state_->ssl) == 1;
}

std::string tls_peer_end::server_name() {
  const std::lock_guard lock(mutex_);
  const char* const name = SSL_get_servername(state_->ssl, TLSEXT_NAMETYPE_host_name);
  return name != nullptr ? name : "";
}

std::string tls_peer_end::protocol() {
  const std::lock_guard lock(mutex_);
  const unsigned char* chosen = nullptr;
  unsigned chosen_bytes = 0;
  SSL_get0_alpn_selected(state_->ssl, &chosen, &chosen_bytes);
  return {reinterpret_cast<const char*>(chosen), chosen_bytes};
}

int tls_peer_end::version() {
  const std::lock_guard lock(mutex_);
  return SSL_version(state_->ssl);
}

const test_ca& tls_test_authority() {
  static const test_ca made;
  return made;
}

const test_identity& tls_test_identity() {
  static const test_identity made = tls_test_authority().issue();
  return made;
}

bool tls_is_wanted() {
  static const bool wanted = std::getenv("SLUICE_TEST_TLS") != nullptr;
  return wanted;
}

} // namespace sluice::test
