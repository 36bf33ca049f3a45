#pragma once

#include "core/error.hpp"
#include "core/memory.hpp"
#include "core/slice_queue.hpp"
#include "io/tls_certificate.hpp"
#include "io/tls_context.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

struct ssl_st;
struct bio_st;
struct x509_store_ctx_st;

namespace sluice::io {

/// What a client checks its peer against.
struct tls_peer {
  const char* host = "";            // name or IP address, ASCII, IPv6 without brackets
  std::uint16_t port = 0;           // with the host, the key for session resumption
  std::uint32_t ignored_faults = 0; // certificate_fault bits that do not matter
  bool check_revocation = false;    // against the lists of the context (TLS-15)
  // Within what the context allows.
  tls_version lowest = tls_version::tls1_2;
  tls_version highest = tls_version::tls1_3;
};

/// At most so many plain bytes in one record (RFC 8446 section 5.1), and so many bytes around them:
/// header, explicit nonce or padding, MAC or tag; the largest is AES-CBC with SHA-384.
inline constexpr std::size_t max_record_plain_bytes = 16384;
inline constexpr std::size_t max_record_overhead_bytes = 128;

/// At most so many bytes of ciphertext come from `plain_bytes` in one write.
[[nodiscard]] constexpr std::size_t sealed_bytes(std::size_t plain_bytes) noexcept {
  return plain_bytes + (plain_bytes / max_record_plain_bytes + 1) * max_record_overhead_bytes;
}

/// How a step of the engine ended.
enum class tls_status : std::uint8_t {
  done,       // it did what was asked
  need_input, // append ciphertext to cipher_in() and call again
  closed,     // the peer sent close_notify: nothing more will come
  failed,     // see tls_engine::reason(); output() may hold an alert for the peer
};

/// TLS over bytes: ciphertext comes in as slices and is read by OpenSSL straight out of them,
/// ciphertext to send is appended to output(). No system call, no waiting. The write side always
/// accepts, because OpenSSL does not take "retry" in the middle of a write well (a KeyUpdate may be
/// due just then, openssl/openssl#8677); so bound what you write, and send output() after every
/// call: handshake messages, tickets, key updates and alerts appear there at any time.
/// Not thread-safe: one thread at a time.
class tls_engine {
public:
  /// A client engine; no_memory or invalid_argument (a host that is too long).
  [[nodiscard]] static error make_client(const tls_context_ref& context, const tls_peer& peer,
                                         memory::unique<tls_engine>& made) noexcept;
  /// A server engine.
  [[nodiscard]] static error make_server(const tls_context_ref& context,
                                         memory::unique<tls_engine>& made) noexcept;
  /// Makes the engines of an OpenSSL context check certificates and keep sessions this way.
  static void install(ssl_ctx_st* context) noexcept;
  ~tls_engine();
  tls_engine(const tls_engine&) = delete;
  tls_engine& operator=(const tls_engine&) = delete;

  [[nodiscard]] slice_queue& cipher_in() noexcept { return cipher_in_; }
  [[nodiscard]] memory::growable<std::byte>& output() noexcept { return output_; }
  [[nodiscard]] const memory::growable<std::byte>& output() const noexcept { return output_; }

  /// Goes on with the handshake; done once it is complete.
  [[nodiscard]] tls_status handshake() noexcept;

  /// Decrypts the next bytes of at most one record into `to`; `read_bytes` > 0 with done.
  [[nodiscard]] tls_status read(std::span<std::byte> to, std::size_t& read_bytes) noexcept;

  /// The same for as many records as there are, at most `records_left`, which is counted down, and
  /// as far as they fit: done with `read_bytes` > 0, or what the first of them gave. What stopped
  /// it later comes with `stopped_by`. need_input, too, when `records_left` were used up by records
  /// without data: there is more to read then if pending_bytes() says so.
  [[nodiscard]] tls_status read_all(std::span<std::byte> to, std::size_t& read_bytes,
                                    tls_status& stopped_by, std::size_t& records_left) noexcept;

  /// Encrypts all of `from` into output(): about 2 % and 30 bytes per 16 KiB more than it is.
  [[nodiscard]] tls_status write(std::span<const std::byte> from) noexcept;

  /// The same, but puts records that fit into `room`, unless output() holds older ones: what
  /// is in `room` then goes out before what is in output(). `room_used_bytes` is set in any case.
  [[nodiscard]] tls_status write(std::span<const std::byte> from, std::span<std::byte> room,
                                 std::size_t& room_used_bytes) noexcept;

  /// Appends close_notify to output(), once.
  void close() noexcept;

  /// After failed: tls_certificate, tls_handshake, tls_record (bad MAC, bad record, alert) or
  /// no_memory.
  [[nodiscard]] error reason() const noexcept { return reason_; }
  /// certificate_fault bits that were found, the ignored ones included (also when all is well). Of
  /// a resumed session those that its full handshake has found: a certificate is not shown again.
  [[nodiscard]] std::uint32_t certificate_faults() const noexcept;
  /// Received bytes that read() can make something of: ciphertext not looked at, and the rest of a
  /// record that did not fit.
  [[nodiscard]] std::size_t pending_bytes() const noexcept;

  /// The server asked for a certificate and there was none to show (TLS-10).
  [[nodiscard]] bool lacked_certificate() const noexcept { return lacked_certificate_; }

  [[nodiscard]] bool resumed() const noexcept;
  [[nodiscard]] int protocol_version() const noexcept; // 0x0303: TLS 1.2, 0x0304: TLS 1.3
  [[nodiscard]] int cipher_bits() const noexcept;      // strength of the key in use
  [[nodiscard]] const char* cipher() const noexcept;   // its name; static storage
  /// DER into `to` if it fits; returns its size, 0 if the peer has shown none.
  [[nodiscard]] std::size_t peer_certificate(std::span<std::byte> to) const noexcept;
  /// None if the peer has shown none.
  [[nodiscard]] tls_certificate certificate() const noexcept;

private:
  tls_engine(const tls_context_ref& context, std::uint32_t ignored_faults) noexcept
      : context_(context), ignored_faults_(ignored_faults) {}
  template <typename T, typename... Args> friend T* memory::create(Args&&...) noexcept;

  friend struct tls_callbacks;

  [[nodiscard]] error set_up() noexcept;
  [[nodiscard]] error expect(const tls_peer& peer) noexcept;
  [[nodiscard]] tls_status ended(int returned, error otherwise) noexcept;
  void keep_buffer_while_busy() noexcept;

  const tls_context_ref context_;
  ssl_st* ssl_ = nullptr;
  slice_queue cipher_in_;
  memory::growable<std::byte> output_;
  std::uint32_t faults_ = 0;
  std::uint32_t ignored_faults_;
  error reason_ = error::none;
  bool close_sent_ = false;
  bool keeps_buffer_ = false;
  bool lacked_certificate_ = false;
  std::span<std::byte> room_; // of write()
  std::size_t room_used_ = 0;
  memory::growable<char> peer_; // a client's: names what its sessions are kept for
};

} // namespace sluice::io
