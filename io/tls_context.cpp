#include "io/tls_context.hpp"

#include "io/tls_engine.hpp"
#include "io/tls_errors.hpp"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <cstring>

namespace sluice::io {
namespace {

constexpr unsigned char alpn_http11[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

BIO* memory_bio(std::span<const std::byte> text) noexcept {
  return text.size() > INT_MAX ? nullptr
                               : ::BIO_new_mem_buf(text.data(), static_cast<int>(text.size()));
}

// A key with a passphrase is refused instead of asking on the terminal.
int no_passphrase(char* /*to*/, int /*size*/, int /*writing*/, void* /*context*/) noexcept {
  return -1;
}

bool trust_pem(SSL_CTX* context, std::span<const std::byte> pem) noexcept {
  BIO* const in = memory_bio(pem);
  if (in == nullptr) {
    return false;
  }
  X509_STORE* const store = ::SSL_CTX_get_cert_store(context);
  std::size_t count = 0;
  bool ok = true;
  while (X509* const one = ::PEM_read_bio_X509(in, nullptr, &no_passphrase, nullptr)) {
    ok = ok && ::X509_STORE_add_cert(store, one) == 1;
    ::X509_free(one);
    ++count;
  }
  ::BIO_free(in);
  return ok && count != 0;
}

bool use_certificate_pem(SSL_CTX* context, std::span<const std::byte> pem) noexcept {
  BIO* const in = memory_bio(pem);
  if (in == nullptr) {
    return false;
  }
  X509* const leaf = ::PEM_read_bio_X509_AUX(in, nullptr, &no_passphrase, nullptr);
  bool ok = leaf != nullptr && ::SSL_CTX_use_certificate(context, leaf) == 1;
  ::X509_free(leaf);
  while (ok) {
    X509* const link = ::PEM_read_bio_X509(in, nullptr, &no_passphrase, nullptr);
    if (link == nullptr) {
      break;
    }
    if (::SSL_CTX_add0_chain_cert(context, link) != 1) {
      ::X509_free(link);
      ok = false;
    }
  }
  ::BIO_free(in);
  return ok;
}

bool use_key_pem(SSL_CTX* context, std::span<const std::byte> pem) noexcept {
  BIO* const in = memory_bio(pem);
  if (in == nullptr) {
    return false;
  }
  EVP_PKEY* const key = ::PEM_read_bio_PrivateKey(in, nullptr, &no_passphrase, nullptr);
  const bool ok = key != nullptr && ::SSL_CTX_use_PrivateKey(context, key) == 1;
  ::EVP_PKEY_free(key);
  ::BIO_free(in);
  return ok;
}

bool set_trust(SSL_CTX* context, const tls_settings& settings) noexcept {
  if (settings.ca_file != nullptr && ::SSL_CTX_load_verify_file(context, settings.ca_file) != 1) {
    return false;
  }
  if (settings.ca_directory != nullptr &&
      ::SSL_CTX_load_verify_dir(context, settings.ca_directory) != 1) {
    return false;
  }
  if (!settings.ca_pem.empty() && !trust_pem(context, settings.ca_pem)) {
    return false;
  }
  if (settings.ca_file == nullptr && settings.ca_directory == nullptr && settings.ca_pem.empty()) {
    // A machine without a store trusts nobody: connections fail then, not the settings.
    ::SSL_CTX_set_default_verify_paths(context);
  }
  if (settings.revocation_file != nullptr) {
    X509_LOOKUP* const lookup =
        ::X509_STORE_add_lookup(::SSL_CTX_get_cert_store(context), ::X509_LOOKUP_file());
    if (lookup == nullptr ||
        ::X509_load_crl_file(lookup, settings.revocation_file, X509_FILETYPE_PEM) < 1) {
      return false;
    }
  }
  if (settings.check_revocation) {
    ::X509_VERIFY_PARAM_set_flags(::SSL_CTX_get0_param(context), X509_V_FLAG_CRL_CHECK);
  }
  return true;
}

// OpenSSL notes in a certificate what its extensions say when it looks at them first. If there is
// no memory then, the note says that the certificate is invalid, for good (OpenSSL 3.0): so not
// when the first connection comes. A directory's certificates are not there yet.
void note_extensions(SSL_CTX* context) noexcept {
  const STACK_OF(X509_OBJECT)* const known =
      ::X509_STORE_get0_objects(::SSL_CTX_get_cert_store(context));
  const int count = sk_X509_OBJECT_num(known);
  for (int i = 0; i < count; ++i) {
    if (X509* const one = ::X509_OBJECT_get0_X509(sk_X509_OBJECT_value(known, i)); one != nullptr) {
      static_cast<void>(::X509_check_purpose(one, -1, 0)); // whether it is valid is seen later
    }
  }
}

// Tells clients which authorities count, so that they can pick a certificate (RFC 8446 section
// 4.2.4). A directory is read as it is needed and the system's store is long: neither is told.
bool name_authorities(SSL_CTX* context) noexcept {
  constexpr int most = 100;
  const STACK_OF(X509_OBJECT)* const known =
      ::X509_STORE_get0_objects(::SSL_CTX_get_cert_store(context));
  const int count = sk_X509_OBJECT_num(known);
  bool ok = true;
  for (int i = 0; ok && count <= most && i < count; ++i) {
    X509* const one = ::X509_OBJECT_get0_X509(sk_X509_OBJECT_value(known, i));
    ok = one == nullptr || ::SSL_CTX_add_client_CA(context, one) == 1; // null: a revocation list
  }
  return ok;
}

bool set_identity(SSL_CTX* context, const tls_settings& settings) noexcept {
  const bool has_certificate =
      settings.certificate_file != nullptr || !settings.certificate_pem.empty();
  if (settings.certificate_file != nullptr) {
    if (::SSL_CTX_use_certificate_chain_file(context, settings.certificate_file) != 1) {
      return false;
    }
  } else if (has_certificate && !use_certificate_pem(context, settings.certificate_pem)) {
    return false;
  }
  if (settings.private_key_file != nullptr) {
    if (::SSL_CTX_use_PrivateKey_file(context, settings.private_key_file, SSL_FILETYPE_PEM) != 1) {
      return false;
    }
  } else if (!settings.private_key_pem.empty() && !use_key_pem(context, settings.private_key_pem)) {
    return false;
  }
  return !has_certificate || ::SSL_CTX_check_private_key(context) == 1;
}

// RFC 7301: a peer that offers protocols must offer ours.
int choose_protocol(SSL* /*ssl*/, const unsigned char** chosen, unsigned char* chosen_bytes,
                    const unsigned char* offered, unsigned int offered_bytes,
                    void* /*context*/) noexcept {
  unsigned char* match = nullptr;
  if (::SSL_select_next_proto(&match, chosen_bytes, alpn_http11, sizeof alpn_http11, offered,
                              offered_bytes) != OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *chosen = match;
  return SSL_TLSEXT_ERR_OK;
}

// The line format is the one that packet analysers read.
void log_key(const SSL* /*ssl*/, const char* line) noexcept {
  const char* const path = ::secure_getenv("SSLKEYLOGFILE");
  if (path == nullptr) {
    return;
  }
  const int out = ::open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (out < 0) {
    return;
  }
  // One call per line, so that lines of several threads do not mix. A line that does not fit on the
  // disk is lost: only whoever reads the file misses it.
  char end[] = "\n";
  iovec parts[] = {{const_cast<char*>(line), std::strlen(line)}, {end, 1}};
  [[maybe_unused]] const ssize_t written = ::writev(out, parts, 2);
  ::close(out);
}

} // namespace

error tls_context::set_up(const tls_settings& settings) noexcept {
  ::ERR_clear_error();
  handle_ = ::SSL_CTX_new(server_ ? ::TLS_server_method() : ::TLS_client_method());
  if (handle_ == nullptr) {
    return error::no_memory;
  }
  tls_engine::install(handle_);
  ::SSL_CTX_set_default_passwd_cb(handle_, &no_passphrase);
  ::SSL_CTX_set_options(handle_, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  ::SSL_CTX_set_mode(handle_, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  // A read ends behind each record without data, so that the engine counts them: a key update costs
  // 10 us, and a receive buffer holds thousands.
  ::SSL_CTX_clear_mode(handle_, SSL_MODE_AUTO_RETRY);
  ::SSL_CTX_set_session_cache_mode(
      handle_, server_ ? SSL_SESS_CACHE_OFF : SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  if (settings.key_log) {
    ::SSL_CTX_set_keylog_callback(handle_, &log_key);
  }
  clients_ = server_ ? settings.clients : client_certificates::ignored;
  ignored_faults_ = settings.ignored_faults;
  bool ok = settings.lowest <= settings.highest &&
            ::SSL_CTX_set_min_proto_version(handle_, tls_version_number(settings.lowest)) == 1 &&
            ::SSL_CTX_set_max_proto_version(handle_, tls_version_number(settings.highest)) == 1;
  if (server_) {
    ::SSL_CTX_set_alpn_select_cb(handle_, &choose_protocol, nullptr);
    ::SSL_CTX_set_session_id_context(handle_, alpn_http11, sizeof alpn_http11);
    ok = ok && (settings.certificate_file != nullptr || !settings.certificate_pem.empty());
  } else {
    ok = ok && ::SSL_CTX_set_alpn_protos(handle_, alpn_http11, sizeof alpn_http11) == 0;
  }
  if (!server_ || clients_ != client_certificates::ignored) {
    ok = ok && set_trust(handle_, settings);
    note_extensions(handle_);
  }
  if (server_ && clients_ != client_certificates::ignored) {
    ok = ok && name_authorities(handle_);
  }
  if (!settings.resume) {
    ::SSL_CTX_set_options(handle_, SSL_OP_NO_TICKET);
    ::SSL_CTX_set_session_cache_mode(handle_, SSL_SESS_CACHE_OFF);
    ok = ok && ::SSL_CTX_set_num_tickets(handle_, 0) == 1;
  }
  ok = ok && set_identity(handle_, settings);
  // Also if nothing failed: the end of a list of certificates looks like one that was not read.
  if (take_errors_and_lacked_memory()) {
    return error::no_memory;
  }
  return ok ? error::none : error::tls_settings;
}

error tls_context::make(bool server, const tls_settings& settings, tls_context_ref& made) noexcept {
  tls_context_ref fresh(memory::create<tls_context>(server));
  if (!fresh) {
    return error::no_memory;
  }
  const error failed = fresh->set_up(settings);
  if (failed == error::none) {
    made = std::move(fresh);
  }
  return failed;
}

error tls_context::make_client(const tls_settings& settings, tls_context_ref& made) noexcept {
  return make(false, settings, made);
}

error tls_context::make_server(const tls_settings& settings, tls_context_ref& made) noexcept {
  return make(true, settings, made);
}

tls_context_ref::tls_context_ref(const tls_context_ref& other) noexcept
    : tls_context_ref(share(other.to_)) {}

tls_context_ref tls_context_ref::share(tls_context* kept) noexcept {
  if (kept != nullptr) {
    kept->refs_.fetch_add(1, std::memory_order_relaxed);
  }
  return tls_context_ref(kept);
}

tls_context_ref::~tls_context_ref() {
  if (to_ != nullptr && to_->refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    memory::destroy(to_);
  }
}

tls_context::~tls_context() {
  for (const kept_session& kept : sessions_) {
    ::SSL_SESSION_free(kept.session);
  }
  for (X509* const shared : certificates_) {
    ::X509_free(shared);
  }
  ::SSL_CTX_free(handle_);
}

void tls_context::keep_session(std::string_view peer, ssl_session_st* session) noexcept {
  if (peer.empty() || peer.size() > max_peer_bytes) {
    ::SSL_SESSION_free(session);
    return;
  }
  ssl_session_st* replaced = nullptr;
  {
    const std::lock_guard lock(sessions_mutex_);
    kept_session& to = sessions_[next_session_];
    next_session_ = (next_session_ + 1) % max_kept_sessions;
    replaced = to.session;
    to.session = session;
    to.peer_bytes = static_cast<std::uint16_t>(peer.size());
    std::memcpy(to.peer, peer.data(), peer.size());
  }
  ::SSL_SESSION_free(replaced);
}

ssl_session_st* tls_context::take_session(std::string_view peer) noexcept {
  const std::lock_guard lock(sessions_mutex_);
  // Newest first: tickets of one connection come in pairs and age together.
  for (std::size_t back = 1; back <= max_kept_sessions; ++back) {
    kept_session& kept = sessions_[(next_session_ + max_kept_sessions - back) % max_kept_sessions];
    if (kept.session != nullptr && std::string_view(kept.peer, kept.peer_bytes) == peer) {
      ssl_session_st* const taken = kept.session;
      if (::SSL_SESSION_get_protocol_version(taken) != TLS1_3_VERSION) {
        ::SSL_SESSION_up_ref(taken); // TLS 1.2 may give out no other one on resumption
        return taken;
      }
      kept.session = nullptr;
      return taken;
    }
  }
  return nullptr;
}

x509_st* tls_context::share_certificate(x509_st& verified) noexcept {
  const std::lock_guard lock(certificates_mutex_);
  for (X509* const known : certificates_) {
    if (known != nullptr && ::X509_cmp(known, &verified) == 0) {
      ::X509_up_ref(known);
      return known;
    }
  }
  X509*& remembered = certificates_[next_certificate_];
  next_certificate_ = (next_certificate_ + 1) % max_shared_certificates;
  ::X509_free(remembered);
  ::X509_up_ref(&verified);
  remembered = &verified;
  ::X509_up_ref(&verified);
  return &verified;
}

} // namespace sluice::io
