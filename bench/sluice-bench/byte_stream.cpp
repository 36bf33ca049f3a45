#include "byte_stream.hpp"

#include "stop_request.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

namespace sluice_bench {
namespace {

constexpr std::size_t max_record_bytes = 16384; // RFC 8446 section 5.1

std::string reason_of_openssl() {
  const unsigned long code = ::ERR_peek_error();
  const char* const text = code != 0 ? ::ERR_reason_error_string(code) : nullptr;
  ::ERR_clear_error();
  return text != nullptr ? text : "the connection was lost";
}

} // namespace

void tls_client::context_free::operator()(ssl_ctx_st* context) const noexcept {
  ::SSL_CTX_free(context);
}

tls_client::tls_client(const tls_options& options)
    : options_(options), context_(::SSL_CTX_new(::TLS_client_method())) {
  if (context_ == nullptr) {
    throw failure("TLS cannot be used here: " + reason_of_openssl());
  }
  ::SSL_CTX_set_mode(context(),
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  (void)::SSL_CTX_set_min_proto_version(context(), TLS1_2_VERSION);
  if (options.tls1_2_only) {
    (void)::SSL_CTX_set_max_proto_version(context(), TLS1_2_VERSION);
  }
  ::SSL_CTX_set_verify(context(), options.insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, nullptr);
  if (!options.ca_file.empty()) {
    if (::SSL_CTX_load_verify_file(context(), options.ca_file.c_str()) != 1) {
      throw failure("--ca " + options.ca_file +
                        ": not a PEM file of certificates: " + reason_of_openssl(),
                    exit_bad_use);
    }
  } else {
    (void)::SSL_CTX_set_default_verify_paths(context());
  }
}

void byte_stream::tls_free::operator()(ssl_st* tls) const noexcept {
  ::SSL_free(tls);
}

void wait_for_peer(int fd, int patience_ms) {
  while (true) {
    std::array<pollfd, 2> waiting{{{fd, POLLIN, 0}, {stop_descriptor(), POLLIN, 0}}};
    const int ready = poll(waiting.data(), waiting.size(), patience_ms);
    if (waiting[1].revents != 0) {
      throw failure("interrupted", exit_interrupted);
    }
    if (ready == 0) {
      throw failure("the peer did not finish the handshake within " +
                    std::to_string(patience_ms / 1000) + " s");
    }
    if (ready > 0) {
      return;
    }
    if (errno != EINTR) {
      throw system_failure("poll");
    }
  }
}

void byte_stream::start_tls(const tls_client& client, const std::string& host, int patience_ms) {
  const int flags = ::fcntl(fd(), F_GETFL);
  if (flags < 0 || ::fcntl(fd(), F_SETFL, flags | O_NONBLOCK) != 0) {
    throw system_failure("fcntl");
  }
  tls_.reset(::SSL_new(client.context()));
  if (tls_ == nullptr || ::SSL_set_fd(tls_.get(), fd()) != 1) {
    throw failure("TLS cannot be used here: " + reason_of_openssl());
  }
  const std::string& name = client.options().name.empty() ? host : client.options().name;
  in6_addr address;
  const bool is_address = ::inet_pton(AF_INET, name.c_str(), &address) == 1 ||
                          ::inet_pton(AF_INET6, name.c_str(), &address) == 1;
  X509_VERIFY_PARAM* const wanted = ::SSL_get0_param(tls_.get());
  bool ok = is_address ? ::X509_VERIFY_PARAM_set1_ip_asc(wanted, name.c_str()) == 1
                       : ::SSL_set1_host(tls_.get(), name.c_str()) == 1;
  if (!is_address) { // what the macro SSL_set_tlsext_host_name does, less its cast
    ok = ok && ::SSL_ctrl(tls_.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                          const_cast<char*>(name.c_str())) == 1;
  }
  if (!ok) {
    throw failure("'" + name + "' cannot be the name in a certificate", exit_bad_use);
  }
  while (true) {
    ::ERR_clear_error();
    const int returned = ::SSL_connect(tls_.get());
    if (returned == 1) {
      return;
    }
    if (::SSL_get_error(tls_.get(), returned) == SSL_ERROR_WANT_READ) {
      wait_for_peer(fd(), patience_ms);
      continue;
    }
    const long verdict = ::SSL_get_verify_result(tls_.get());
    if (verdict != X509_V_OK && !client.options().insecure) {
      ::ERR_clear_error();
      throw failure("the certificate of " + name +
                    " is not accepted: " + ::X509_verify_cert_error_string(verdict) +
                    " (--ca names an authority to trust, --insecure does without)");
    }
    throw failure("the TLS handshake with " + name + " failed: " + reason_of_openssl());
  }
}

// -1 with errno, or 0 for the peer's end.
int byte_stream::wants(int returned) noexcept {
  const int reason = ::SSL_get_error(tls_.get(), returned);
  const int system = errno;
  ::ERR_clear_error();
  switch (reason) {
  case SSL_ERROR_WANT_READ:
  case SSL_ERROR_WANT_WRITE:
    errno = EAGAIN;
    return -1;
  case SSL_ERROR_ZERO_RETURN:
    return 0;
  case SSL_ERROR_SYSCALL:
    errno = system != 0 ? system : ECONNRESET;
    return -1;
  default:
    errno = EPROTO;
    return -1;
  }
}

// At most one record. One that the kernel does not take whole counts as written and is kept.
ssize_t byte_stream::seal(std::span<const std::byte> from) noexcept {
  std::size_t written = 0;
  ::ERR_clear_error();
  errno = 0;
  const int returned = ::SSL_write_ex(tls_.get(), from.data(), from.size(), &written);
  if (returned == 1) {
    return static_cast<ssize_t>(written);
  }
  if (wants(returned) < 0 && errno == EAGAIN) {
    pending_.assign(from.begin(), from.end());
    return static_cast<ssize_t>(from.size());
  }
  errno = errno != 0 && errno != EAGAIN ? errno : EPIPE;
  return -1;
}

bool byte_stream::flush() noexcept {
  errno = 0;
  if (pending_.empty()) {
    return true;
  }
  std::size_t written = 0;
  ::ERR_clear_error();
  const int returned = ::SSL_write_ex(tls_.get(), pending_.data(), pending_.size(), &written);
  if (returned == 1) {
    pending_.clear();
    return true;
  }
  if (wants(returned) == 0) {
    errno = EPIPE;
  }
  return false;
}

ssize_t byte_stream::write(std::span<const std::span<const std::byte>> parts) noexcept {
  if (tls_ == nullptr) {
    std::array<iovec, 8> vectors;
    const std::size_t count = std::min(parts.size(), vectors.size());
    for (std::size_t i = 0; i < count; ++i) {
      vectors[i] = {const_cast<std::byte*>(parts[i].data()), parts[i].size()};
    }
    msghdr message{};
    message.msg_iov = vectors.data();
    message.msg_iovlen = count;
    return ::sendmsg(fd(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  }
  if (!flush()) {
    return -1;
  }
  ssize_t done = 0;
  for (std::span<const std::byte> part : parts) {
    while (!part.empty()) {
      const ssize_t taken = seal(part.first(std::min(part.size(), max_record_bytes)));
      if (taken < 0) {
        return done != 0 ? done : -1;
      }
      done += taken;
      if (!pending_.empty()) {
        return done;
      }
      part = part.subspan(static_cast<std::size_t>(taken));
    }
  }
  return done;
}

ssize_t byte_stream::read(std::span<std::byte> to) noexcept {
  if (tls_ == nullptr) {
    return ::recv(fd(), to.data(), to.size(), MSG_DONTWAIT);
  }
  std::size_t got = 0;
  ::ERR_clear_error();
  errno = 0;
  const int returned = ::SSL_read_ex(tls_.get(), to.data(), to.size(), &got);
  return returned == 1 ? static_cast<ssize_t>(got) : wants(returned);
}

void byte_stream::finish() noexcept {
  if (tls_ != nullptr && flush()) {
    (void)::SSL_shutdown(tls_.get());
    ::ERR_clear_error();
  }
  (void)::shutdown(fd(), SHUT_WR);
}

} // namespace sluice_bench
