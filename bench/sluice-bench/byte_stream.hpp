#pragma once

#include "common.hpp"

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <sys/types.h>
#include <vector>

struct ssl_st;
struct ssl_ctx_st;

namespace sluice_bench {

/// How the generator's end of TLS checks its peer. OpenSSL's own API, not the library's: what is
/// measured must not be measured with itself.
struct tls_options {
  bool insecure = false;    // any certificate will do
  std::string ca_file;      // PEM; empty: the system's authorities
  std::string name;         // whom the certificate must name; empty: the host of the address
  bool tls1_2_only = false; // else the newest version that the peer speaks
};

/// One generator's TLS, shared by its connections.
class tls_client {
public:
  /// Throws failure(exit_bad_use) when the file of authorities cannot be used.
  explicit tls_client(const tls_options& options);
  [[nodiscard]] const tls_options& options() const noexcept { return options_; }
  [[nodiscard]] ssl_ctx_st* context() const noexcept { return context_.get(); }

private:
  struct context_free {
    void operator()(ssl_ctx_st* context) const noexcept;
  };
  tls_options options_;
  std::unique_ptr<ssl_ctx_st, context_free> context_;
};

/// A connected socket, with TLS or without. What of a record the kernel does not take is kept, and
/// goes out before anything else.
class byte_stream {
public:
  byte_stream() noexcept = default;
  explicit byte_stream(unique_fd fd) noexcept : fd_(std::move(fd)) {}

  /// A TLS handshake, at most `patience_ms` of waiting for each flight. From here on the socket
  /// does not block. Throws failure with what is wrong with the certificate.
  void start_tls(const tls_client& client, const std::string& host, int patience_ms);

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  [[nodiscard]] bool secure() const noexcept { return tls_ != nullptr; }

  /// As sendmsg(2) and recv(2) with MSG_DONTWAIT: the number of bytes, or -1 and errno; 0 when the
  /// peer has ended the stream. A broken TLS stream is EPROTO.
  [[nodiscard]] ssize_t write(std::span<const std::span<const std::byte>> parts) noexcept;
  [[nodiscard]] ssize_t read(std::span<std::byte> to) noexcept;

  /// False while a record is still to be handed to the kernel.
  [[nodiscard]] bool flushed() const noexcept { return pending_.empty(); }
  /// Hands it over; false: the kernel takes no more now, or errno is set to what is wrong.
  [[nodiscard]] bool flush() noexcept;

  /// close_notify, if there is TLS, and FIN.
  void finish() noexcept;

private:
  struct tls_free {
    void operator()(ssl_st* tls) const noexcept;
  };
  [[nodiscard]] ssize_t seal(std::span<const std::byte> from) noexcept;
  [[nodiscard]] int wants(int returned) noexcept;

  unique_fd fd_;
  std::unique_ptr<ssl_st, tls_free> tls_;
  std::vector<std::byte> pending_; // the plain bytes of that record
};

/// Waits until a socket can be read; a stop request ends it, however early it comes. Throws
/// failure, also after `patience_ms`.
void wait_for_peer(int fd, int patience_ms);

} // namespace sluice_bench
