#include "io/tls_engine.hpp"

#include "io/tls_errors.hpp"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstring>

namespace sluice::io {

// What OpenSSL calls back. The BIO is flat: reads come out of the received slices, writes go to the
// end of the output; both live in the engine, so nothing is copied in between.
struct tls_callbacks {
  static tls_engine& engine_of(BIO* bio) noexcept {
    return *static_cast<tls_engine*>(::BIO_get_data(bio));
  }

  static int read(BIO* bio, char* to, std::size_t room, std::size_t* read_bytes) noexcept {
    ::BIO_clear_retry_flags(bio);
    slice_queue& from = engine_of(bio).cipher_in_;
    std::size_t done = 0;
    while (done < room && !from.empty()) {
      const std::size_t count = std::min(room - done, from.front_size_bytes());
      std::memcpy(to + done, from.front_bytes(), count);
      from.consume(count);
      done += count;
    }
    *read_bytes = done;
    if (done == 0) {
      ::BIO_set_retry_read(bio);
      return 0;
    }
    return 1;
  }

  static int write(BIO* bio, const char* from, std::size_t count, std::size_t* written) noexcept {
    ::BIO_clear_retry_flags(bio);
    tls_engine& engine = engine_of(bio);
    if (engine.output_.empty() && count <= engine.room_.size() - engine.room_used_) {
      std::memcpy(engine.room_.data() + engine.room_used_, from, count);
      engine.room_used_ += count;
    } else if (!engine.output_.append(reinterpret_cast<const std::byte*>(from), count)) {
      engine.reason_ = error::no_memory;
      *written = 0;
      return 0; // not a retry: out of memory is the end of this connection
    }
    *written = count;
    return 1;
  }

  static long control(BIO* /*bio*/, int command, long /*number*/, void* /*pointer*/) noexcept {
    return command == BIO_CTRL_FLUSH ? 1 : 0;
  }

  static int create(BIO* bio) noexcept {
    ::BIO_set_init(bio, 1);
    return 1;
  }

  // Made once; nullptr when there is no memory for it, and made by a later call then.
  static const BIO_METHOD* method() noexcept {
    static const int index = ::BIO_get_new_index();
    static std::atomic<BIO_METHOD*> made{nullptr};
    BIO_METHOD* known = made.load(std::memory_order_acquire);
    if (known != nullptr) {
      return known;
    }
    BIO_METHOD* const fresh = ::BIO_meth_new(index | BIO_TYPE_SOURCE_SINK, "slices");
    if (fresh == nullptr) {
      return nullptr;
    }
    ::BIO_meth_set_read_ex(fresh, &read);
    ::BIO_meth_set_write_ex(fresh, &write);
    ::BIO_meth_set_ctrl(fresh, &control);
    ::BIO_meth_set_create(fresh, &create);
    if (made.compare_exchange_strong(known, fresh, std::memory_order_acq_rel)) {
      return fresh;
    }
    ::BIO_meth_free(fresh); // another thread was faster
    return known;
  }

  static std::uint32_t fault_of(int code) noexcept {
    switch (code) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return certificate_fault::wrong_name;
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return certificate_fault::wrong_date;
    case X509_V_ERR_INVALID_PURPOSE:
      return certificate_fault::wrong_usage;
    case X509_V_ERR_CERT_REVOKED:
      return certificate_fault::revoked;
    case X509_V_ERR_UNABLE_TO_GET_CRL:
    case X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER:
    case X509_V_ERR_CRL_HAS_EXPIRED:
    case X509_V_ERR_CRL_NOT_YET_VALID:
      return certificate_fault::revocation_unknown;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_UNTRUSTED:
    case X509_V_ERR_INVALID_CA:
      return certificate_fault::unknown_authority;
    default:
      return certificate_fault::invalid;
    }
  }

  static tls_engine& engine_of(X509_STORE_CTX* verifying) noexcept {
    auto* const ssl = static_cast<SSL*>(
        ::X509_STORE_CTX_get_ex_data(verifying, ::SSL_get_ex_data_X509_STORE_CTX_idx()));
    return *static_cast<tls_engine*>(SSL_get_app_data(ssl));
  }

  // Notes the fault and goes on, so that all of them are found (TLS-05).
  static int note_fault(int ok, X509_STORE_CTX* verifying) noexcept {
    if (ok == 0) {
      const int code = ::X509_STORE_CTX_get_error(verifying);
      engine_of(verifying).faults_ |= fault_of(code);
      ::X509_STORE_CTX_set_error(verifying, X509_V_OK);
    }
    return 1;
  }

  // A client's connection keeps the certificate that its peer has shown, 3 KiB and more once it is
  // decoded, and most clients have many connections to few peers. `shown` is the chain that OpenSSL
  // takes the certificate out of after this.
  static void share_certificate(tls_context& context, STACK_OF(X509) * shown) noexcept {
    if (sk_X509_num(shown) > 0) { // -1 for none
      X509* const own = sk_X509_value(shown, 0);
      sk_X509_set(shown, 0, context.share_certificate(*own));
      ::X509_free(own);
    }
  }

  static int verify(X509_STORE_CTX* verifying, void* /*context*/) noexcept {
    tls_engine& engine = engine_of(verifying);
    engine.faults_ = 0;
    ::X509_STORE_CTX_set_verify_cb(verifying, &note_fault);
    const int verified = ::X509_verify_cert(verifying);
    // What could not be looked at for want of memory is no fault.
    if ((verified <= 0 || engine.faults_ != 0) && take_errors_and_lacked_memory()) {
      engine.reason_ = error::no_memory;
      engine.faults_ = 0;
      ::X509_STORE_CTX_set_error(verifying, X509_V_ERR_OUT_OF_MEM);
      return 0;
    }
    if (verified <= 0) {
      // Not looked at to the end, so that no fault can be ignored. OpenSSL's code makes the alert.
      if (::X509_STORE_CTX_get_error(verifying) == X509_V_ERR_OUT_OF_MEM) {
        engine.reason_ = error::no_memory;
      } else {
        engine.reason_ = error::tls_certificate;
        engine.faults_ |= certificate_fault::invalid;
      }
      return 0;
    }
    const std::uint32_t left = engine.faults_ & ~engine.ignored_faults_;
    if (left == 0) {
      if (!engine.context_->is_server()) {
        share_certificate(*engine.context_, ::X509_STORE_CTX_get0_untrusted(verifying));
      }
      ::X509_STORE_CTX_set_error(verifying, result_of(engine.faults_));
      return 1;
    }
    engine.reason_ = error::tls_certificate;
    // The code decides which alert the peer gets.
    ::X509_STORE_CTX_set_error(verifying, alert_code(left));
    return 0;
  }

  // OpenSSL keeps the result of the verification with the session, a server's inside the ticket, so
  // that a connection that takes the session up knows the faults that were ignored for it. Above
  // the codes of OpenSSL's own.
  static constexpr int ignored_faults_result = 1 << 16;

  static int result_of(std::uint32_t ignored) noexcept {
    return ignored == 0 ? X509_V_OK : ignored_faults_result + static_cast<int>(ignored);
  }
  static std::uint32_t ignored_in(long result) noexcept {
    return result <= ignored_faults_result
               ? 0
               : static_cast<std::uint32_t>(result - ignored_faults_result);
  }

  static int alert_code(std::uint32_t faults) noexcept {
    if ((faults & certificate_fault::revoked) != 0) {
      return X509_V_ERR_CERT_REVOKED;
    }
    if ((faults & certificate_fault::wrong_date) != 0) {
      return X509_V_ERR_CERT_HAS_EXPIRED;
    }
    if ((faults & certificate_fault::unknown_authority) != 0) {
      return X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY;
    }
    return X509_V_ERR_CERT_REJECTED;
  }

  static void drop_last(STACK_OF(X509) * chain, int kept) noexcept {
    while (sk_X509_num(chain) > kept) { // -1 for none
      ::X509_free(sk_X509_pop(chain));
    }
  }

  // Once it is verified nobody asks for the chain, but OpenSSL keeps it as long as the connection:
  // some 3 KiB for each certificate above the peer's own. A session that was taken up may be
  // another connection's as well; its chain is gone already.
  static void forget_chain(SSL* ssl) noexcept {
    if (::SSL_session_reused(ssl) == 0) {
      drop_last(::SSL_get_peer_cert_chain(ssl), 1);
      drop_last(::SSL_get0_verified_chain(ssl), 0);
    }
  }

  static int new_session(SSL* ssl, SSL_SESSION* session) noexcept {
    forget_chain(ssl); // before others see the session
    auto& engine = *static_cast<tls_engine*>(SSL_get_app_data(ssl));
    engine.context_->keep_session(engine.peer_.view(), session);
    return 1; // the reference is ours now
  }

  // Only asked when the context has no certificate.
  static int lacks_certificate(SSL* ssl, X509** /*certificate*/, EVP_PKEY** /*key*/) noexcept {
    static_cast<tls_engine*>(SSL_get_app_data(ssl))->lacked_certificate_ = true;
    return 0; // goes on without one
  }
};

void tls_engine::install(ssl_ctx_st* context) noexcept {
  ::SSL_CTX_set_cert_verify_callback(context, &tls_callbacks::verify, nullptr);
  ::SSL_CTX_sess_set_new_cb(context, &tls_callbacks::new_session);
  ::SSL_CTX_set_client_cert_cb(context, &tls_callbacks::lacks_certificate);
}

error tls_engine::set_up() noexcept {
  ::ERR_clear_error();
  ssl_ = ::SSL_new(context_->handle());
  const BIO_METHOD* const method = tls_callbacks::method();
  BIO* const bio = ssl_ != nullptr && method != nullptr ? ::BIO_new(method) : nullptr;
  if (bio == nullptr) {
    ::ERR_clear_error();
    return error::no_memory;
  }
  ::BIO_set_data(bio, this);
  ::SSL_set_bio(ssl_, bio, bio);
  SSL_set_app_data(ssl_, this);
  return error::none;
}

error tls_engine::make_client(const tls_context_ref& context, const tls_peer& peer,
                              memory::unique<tls_engine>& made) noexcept {
  made.reset(memory::create<tls_engine>(context, peer.ignored_faults));
  if (made == nullptr) {
    return error::no_memory;
  }
  if (const error reason = made->set_up(); reason != error::none) {
    return reason;
  }
  return made->expect(peer);
}

error tls_engine::make_server(const tls_context_ref& context,
                              memory::unique<tls_engine>& made) noexcept {
  made.reset(memory::create<tls_engine>(context, context->ignored_faults()));
  if (made == nullptr) {
    return error::no_memory;
  }
  if (const error reason = made->set_up(); reason != error::none) {
    return reason;
  }
  ::SSL_set_accept_state(made->ssl_);
  int verify = SSL_VERIFY_NONE;
  switch (context->clients()) {
  case client_certificates::ignored:
    break;
  case client_certificates::requested:
    verify = SSL_VERIFY_PEER;
    break;
  case client_certificates::required:
    verify = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    break;
  }
  ::SSL_set_verify(made->ssl_, verify, nullptr);
  return error::none;
}

// True for an address; without its zone from then on, which means something on this machine alone
// (RFC 4007 section 11.2).
static bool take_as_address(char* host) noexcept {
  unsigned char address[sizeof(in6_addr)];
  if (::inet_pton(AF_INET, host, address) == 1 || ::inet_pton(AF_INET6, host, address) == 1) {
    return true;
  }
  char* const zone = std::strchr(host, '%');
  if (zone == nullptr) {
    return false;
  }
  *zone = '\0';
  if (::inet_pton(AF_INET6, host, address) == 1) {
    return true;
  }
  *zone = '%';
  return false;
}

// Chain, name or address, dates and server usage (TLS-04); SNI for names only (TLS-09).
error tls_engine::expect(const tls_peer& peer) noexcept {
  ::SSL_set_connect_state(ssl_);
  ::SSL_set_verify(ssl_, SSL_VERIFY_PEER, nullptr);
  X509_VERIFY_PARAM* const wanted = ::SSL_get0_param(ssl_);
  ::X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                                X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  if (peer.check_revocation) {
    ::X509_VERIFY_PARAM_set_flags(wanted, X509_V_FLAG_CRL_CHECK);
  }
  if ((peer.lowest != tls_version::tls1_2 &&
       SSL_set_min_proto_version(ssl_, tls_version_number(peer.lowest)) != 1) ||
      (peer.highest != tls_version::tls1_3 &&
       SSL_set_max_proto_version(ssl_, tls_version_number(peer.highest)) != 1)) {
    return error::invalid_argument;
  }
  // A dot at the end is the resolver's: neither certificates nor SNI have it (RFC 6066 section 3).
  std::string_view host(peer.host);
  if (host.ends_with('.')) {
    host.remove_suffix(1);
  }
  char name[254];
  // One that begins with a dot would stand for all names below it.
  if (host.empty() || host.front() == '.' || host.size() >= sizeof name) {
    return error::invalid_argument;
  }
  *std::copy(host.begin(), host.end(), name) = '\0';
  if (take_as_address(name)) {
    if (::X509_VERIFY_PARAM_set1_ip_asc(wanted, name) != 1) {
      ::ERR_clear_error();
      return error::no_memory;
    }
  } else if (::X509_VERIFY_PARAM_set1_host(wanted, name, host.size()) != 1 ||
             // SSL_set_tlsext_host_name() is a macro with a C cast; this is what it does.
             ::SSL_ctrl(ssl_, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name) != 1) {
    ::ERR_clear_error();
    return error::no_memory;
  }
  // Sessions made under looser rules must not serve a stricter client.
  char rules[32] = {':'};
  char* at = std::to_chars(rules + 1, rules + sizeof rules, unsigned{peer.port}).ptr;
  *at++ = '/';
  at = std::to_chars(at, rules + sizeof rules, ignored_faults_).ptr;
  *at++ = static_cast<char>('0' + (peer.check_revocation ? 1 : 0));
  *at++ = static_cast<char>('0' + static_cast<int>(peer.lowest));
  *at++ = static_cast<char>('0' + static_cast<int>(peer.highest));
  const std::string_view ends(rules, static_cast<std::size_t>(at - rules));
  if (!peer_.reserve(host.size() + ends.size())) {
    return error::no_memory;
  }
  peer_.append(host);
  peer_.append(ends);
  if (SSL_SESSION* const session = context_->take_session(peer_.view()); session != nullptr) {
    if (::SSL_set_session(ssl_, session) != 1) {
      ::ERR_clear_error(); // goes without it
    }
    ::SSL_SESSION_free(session);
  }
  return error::none;
}

tls_engine::~tls_engine() {
  if (ssl_ != nullptr) {
    // OpenSSL counts a connection that ends without close_notify as broken and makes its session
    // useless; a WebSocket whose peer just hangs up is everyday life.
    if (reason_ == error::none) {
      ::SSL_set_shutdown(ssl_, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    }
    ::SSL_free(ssl_);
  }
}

tls_status tls_engine::ended(int returned, error otherwise) noexcept {
  switch (::SSL_get_error(ssl_, returned)) {
  case SSL_ERROR_WANT_READ:
    return tls_status::need_input;
  case SSL_ERROR_ZERO_RETURN:
    return tls_status::closed;
  default:
    if (const bool lacked_memory = take_errors_and_lacked_memory(); reason_ == error::none) {
      reason_ = lacked_memory ? error::no_memory : otherwise;
    }
    return tls_status::failed;
  }
}

tls_status tls_engine::handshake() noexcept {
  if (reason_ != error::none) {
    return tls_status::failed;
  }
  forget_errors();
  const int returned = ::SSL_do_handshake(ssl_);
  if (returned == 1) {
    tls_callbacks::forget_chain(ssl_);
    return tls_status::done;
  }
  const tls_status status = ended(returned, error::tls_handshake);
  if (status == tls_status::closed) {
    reason_ = error::tls_handshake;
    return tls_status::failed;
  }
  return status;
}

tls_status tls_engine::read(std::span<std::byte> to, std::size_t& read_bytes) noexcept {
  read_bytes = 0;
  if (reason_ != error::none) {
    return tls_status::failed;
  }
  tls_status stopped_by = tls_status::done;
  do {
    forget_errors();
    const int returned = ::SSL_read_ex(ssl_, to.data(), to.size(), &read_bytes);
    stopped_by = returned == 1 ? tls_status::done : ended(returned, error::tls_record);
  } while (stopped_by == tls_status::need_input && !cipher_in_.empty());
  return stopped_by;
}

tls_status tls_engine::read_all(std::span<std::byte> to, std::size_t& read_bytes,
                                tls_status& stopped_by, std::size_t& records_left) noexcept {
  read_bytes = 0;
  stopped_by = reason_ == error::none ? tls_status::done : tls_status::failed;
  forget_errors();
  for (; stopped_by == tls_status::done && read_bytes < to.size() && records_left != 0;
       --records_left) {
    keep_buffer_while_busy();
    std::size_t count = 0;
    const int returned =
        ::SSL_read_ex(ssl_, to.data() + read_bytes, to.size() - read_bytes, &count);
    if (returned == 1) {
      read_bytes += count;
    } else if (stopped_by = ended(returned, error::tls_record);
               stopped_by == tls_status::need_input && !cipher_in_.empty()) {
      stopped_by = tls_status::done; // a record without data: a ticket, a key update
    }
  }
  if (read_bytes != 0) {
    return tls_status::done;
  }
  return stopped_by == tls_status::done ? tls_status::need_input : stopped_by;
}

// Under SSL_MODE_RELEASE_BUFFERS OpenSSL gives its 17 KiB back after each record, which an idle
// connection should and a busy one should not do: it costs a quarter of a small record. So the mode
// is off unless the next record is the last that we have.
void tls_engine::keep_buffer_while_busy() noexcept {
  bool keeps = false;
  constexpr std::size_t header_bytes = 5; // RFC 8446 section 5.1
  if (cipher_in_.front_size_bytes() >= header_bytes) {
    const std::byte* const header = cipher_in_.front_bytes();
    const std::size_t record_bytes = header_bytes + (std::to_integer<std::size_t>(header[3]) << 8) +
                                     std::to_integer<std::size_t>(header[4]);
    keeps = cipher_in_.size_bytes() > record_bytes;
  }
  if (keeps != keeps_buffer_) {
    keeps_buffer_ = keeps;
    keeps ? SSL_clear_mode(ssl_, SSL_MODE_RELEASE_BUFFERS)
          : SSL_set_mode(ssl_, SSL_MODE_RELEASE_BUFFERS);
  }
}

tls_status tls_engine::write(std::span<const std::byte> from) noexcept {
  if (reason_ != error::none) {
    return tls_status::failed;
  }
  while (!from.empty()) {
    forget_errors();
    std::size_t written = 0;
    const int returned = ::SSL_write_ex(ssl_, from.data(), from.size(), &written);
    if (returned != 1) {
      // The write side never asks to retry, and after the handshake nothing waits for input.
      const tls_status status = ended(returned, error::tls_record);
      if (status != tls_status::failed) {
        reason_ = error::tls_record;
      }
      return tls_status::failed;
    }
    from = from.subspan(written);
  }
  return tls_status::done;
}

tls_status tls_engine::write(std::span<const std::byte> from, std::span<std::byte> room,
                             std::size_t& room_used_bytes) noexcept {
  room_ = room;
  room_used_ = 0;
  const tls_status status = write(from);
  room_used_bytes = room_used_;
  room_ = {};
  room_used_ = 0;
  return status;
}

void tls_engine::close() noexcept {
  if (close_sent_ || reason_ != error::none || SSL_in_init(ssl_) != 0) {
    return;
  }
  close_sent_ = true;
  ::ERR_clear_error();
  ::SSL_shutdown(ssl_);
  ::ERR_clear_error();
}

std::size_t tls_engine::pending_bytes() const noexcept {
  return static_cast<std::size_t>(::SSL_pending(ssl_)) + cipher_in_.size_bytes();
}

std::uint32_t tls_engine::certificate_faults() const noexcept {
  return resumed() ? tls_callbacks::ignored_in(::SSL_get_verify_result(ssl_)) : faults_;
}

bool tls_engine::resumed() const noexcept {
  return ::SSL_session_reused(ssl_) == 1;
}

int tls_engine::protocol_version() const noexcept {
  return ::SSL_version(ssl_);
}

int tls_engine::cipher_bits() const noexcept {
  return ::SSL_CIPHER_get_bits(::SSL_get_current_cipher(ssl_), nullptr);
}

const char* tls_engine::cipher() const noexcept {
  return ::SSL_CIPHER_get_name(::SSL_get_current_cipher(ssl_));
}

std::size_t tls_engine::peer_certificate(std::span<std::byte> to) const noexcept {
  X509* const peer = ::SSL_get0_peer_certificate(ssl_);
  const int count = peer != nullptr ? ::i2d_X509(peer, nullptr) : 0;
  if (count <= 0) {
    ::ERR_clear_error();
    return 0;
  }
  if (static_cast<std::size_t>(count) <= to.size()) {
    auto* at = reinterpret_cast<unsigned char*>(to.data());
    ::i2d_X509(peer, &at);
  }
  return static_cast<std::size_t>(count);
}

tls_certificate tls_engine::certificate() const noexcept {
  return tls_certificate(::SSL_get1_peer_certificate(ssl_));
}

} // namespace sluice::io
