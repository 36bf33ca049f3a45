#pragma once

#include "core/buffer.hpp"
#include "core/error.hpp"
#include "core/memory.hpp"
#include "io/tls_engine.hpp"

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <utility>

namespace sluice::io {

/// What is known about the TLS of a stream, for whoever reports it.
struct tls_facts {
  std::uint32_t faults = 0;        // certificate_fault bits, the ignored ones included
  bool lacked_certificate = false; // the peer asked for one and we had none
  bool resumed = false;
  int protocol_version = 0; // 0x0303 or 0x0304
  int cipher_bits = 0;
};

/// The TLS of one stream: an engine that the reading and the writing thread share, and the
/// ciphertext on its way out. It waits for nothing; the stream does.
///
/// Order on the wire: ciphertext goes out in the order in which it was made. What a writer makes
/// goes out of the writer's own memory; what the engine makes by itself meanwhile (answers to key
/// updates, alerts) queues up behind it, and the writer sends it too. Without a writer, flush()
/// does.
class tls_channel {
public:
  explicit tls_channel(memory::unique<tls_engine> engine) noexcept : engine_(std::move(engine)) {}
  tls_channel(const tls_channel&) = delete;
  tls_channel& operator=(const tls_channel&) = delete;

  // For the thread that reads.

  /// Takes over received ciphertext; false when there is no memory to note it.
  [[nodiscard]] bool receive(const slice& ciphertext) noexcept;
  /// Bytes that are received and not read yet, or 1 when the stream has ended; 0: reading needs
  /// more from the network.
  [[nodiscard]] std::size_t pending_bytes() noexcept;
  [[nodiscard]] tls_status handshake() noexcept;
  /// Decrypts what there is, as far as it fits, but at most so many records that others get their
  /// turn: need_input with pending_bytes() means that these were all without data. `read_bytes` > 0
  /// with done; what ended the stream behind those bytes comes with the next call. Afterwards
  /// flush(), for `fd`: key updates ask for an answer, bad records for an alert.
  [[nodiscard]] tls_status read(int fd, std::span<std::byte> to, std::size_t& read_bytes) noexcept;

  // Any thread.

  /// Sends what nobody else is about to send, as far as the kernel takes it at once.
  void flush(int fd) noexcept;
  /// Says close_notify in the same way, if no write is under way.
  void say_goodbye(int fd) noexcept;
  /// After failed: see tls_engine::reason(); connection_lost when the peer makes the engine answer
  /// and takes no answers.
  [[nodiscard]] error reason() noexcept;
  [[nodiscard]] tls_facts facts() noexcept;
  [[nodiscard]] tls_certificate certificate() noexcept;
  /// Ciphertext waits to be sent, and nobody is sending.
  [[nodiscard]] bool has_unsent() noexcept;

  // For the one thread that writes, between begin_writing() and end_writing().

  void begin_writing() noexcept;
  void end_writing() noexcept;
  /// The ciphertext that goes out before anything else; empty when there is none. Stays put until
  /// sent().
  [[nodiscard]] std::span<const std::byte> unsent() noexcept;
  void sent(std::size_t count) noexcept;
  /// Encrypts all of `from`, once unsent() is empty: the first `room_used_bytes` of `room` go out
  /// before what unsent() returns next. Room for `sealed_bytes(from.size())` takes all of it,
  /// unless the engine has written something by itself meanwhile. none, no_memory or
  /// connection_lost.
  [[nodiscard]] error seal(std::span<const std::byte> from, std::span<std::byte> room,
                           std::size_t& room_used_bytes) noexcept;
  /// What of `room` was not sent goes out first next time; false: no memory, the channel is lost.
  [[nodiscard]] bool keep(std::span<const std::byte> not_sent) noexcept;

private:
  // A peer may send tickets or key updates without end, and each takes new keys to be derived.
  static constexpr std::size_t max_records_a_read = 256;
  // Queues that were longer than this do not stay with the connection.
  static constexpr std::size_t kept_queue_bytes = 4096;
  // A peer that lets more than this pile up does not read: two large buffers of a writer's, and
  // thousands of answers of the engine's own.
  static constexpr std::size_t max_unsent_bytes = std::size_t{256} << 10;

  [[nodiscard]] std::span<const std::byte> next_unsent() noexcept;
  void note_sent(std::size_t count) noexcept;
  void flush_locked(int fd) noexcept;

  std::mutex mutex_;
  memory::unique<tls_engine> engine_;
  memory::growable<std::byte> unsent_; // older than what engine_ has in its output
  std::size_t unsent_done_ = 0;        // of unsent_, already sent
  bool ended_ = false;                 // the engine has said closed or failed
  bool writing_ = false;
  bool lost_ = false; // a record that cannot be sent any more: nothing may follow
};

} // namespace sluice::io
