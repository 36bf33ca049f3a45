#pragma once

#include "core/error.hpp"
#include "core/slice_queue.hpp"
#include "io/cancel.hpp"
#include "io/loop.hpp"
#include "io/operation.hpp"
#include "io/tls_channel.hpp"

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

struct sockaddr_storage;

namespace sluice::io {

/// Picks the size of the next receive buffer from what the last reads were like.
class read_size_guess {
public:
  [[nodiscard]] buffer_class wanted() const noexcept { return wanted_; }
  void note(std::size_t read_bytes, bool filled_buffer, bool socket_nonempty) noexcept;

private:
  buffer_class wanted_ = buffer_class::small;
  std::uint8_t full_reads_ = 0;  // in a row that filled the buffer or left bytes in the socket
  std::uint8_t small_reads_ = 0; // in a row under 1 KiB
};

/// Where a read puts its bytes. Over TLS, which copies them out of the record in any case, that can
/// be memory of the caller's; a plain stream looks only at `inbox`.
struct read_target {
  slice_queue& inbox;
  std::span<std::byte> direct = {}; // when not empty: instead of the inbox, if that can be
  std::size_t direct_bytes = 0;     // so many came there
};

/// So often in a time-out a blocked write looks whether the peer has taken anything (TMO-05).
inline constexpr int looks_per_timeout = 4;

/// A connected TCP stream, not bound to a loop between calls: each call runs on the loop it is
/// given. One reader and one writer may be active at a time, on different loops. Over TLS too:
/// after start_tls() the same calls take and give plain bytes.
class stream {
public:
  stream() noexcept = default;
  explicit stream(int connected_fd) noexcept; // takes ownership
  /// Over TLS that has shaken hands already; takes ownership of both.
  stream(int connected_fd, memory::unique<tls_channel> established) noexcept;
  ~stream() { close(); } // nobody inside a call
  stream(stream&& other) noexcept;
  stream& operator=(stream&& other) noexcept;

  [[nodiscard]] bool is_open() const noexcept { return socket_.fd >= 0; }
  /// -1 when closed. For options and tests; reading and writing it upsets the stream.
  [[nodiscard]] int descriptor() const noexcept { return socket_.fd; }
  /// How many bytes of ours the peer has yet to acknowledge, sent or not; `otherwise` where the
  /// kernel does not say. Any thread. Source: SIOCOUTQ of tcp(7).
  [[nodiscard]] int unacknowledged_bytes(int otherwise) const noexcept;
  /// Its two ends; false, and nothing written, when it is closed or has lost its peer.
  [[nodiscard]] bool addresses(sockaddr_storage& local, sockaddr_storage& remote) const noexcept;

  /// Makes the stream a TLS client's and shakes hands. What was read of it before (the answer of a
  /// proxy) is the caller's; TLS begins behind it. Nobody else may be inside a call. Returns none,
  /// tls_certificate, tls_handshake, connection_lost (the peer hung up), timed_out, cancelled,
  /// no_memory, invalid_argument or system. After an error the stream is only good to be closed;
  /// tls() then says what was wrong with a certificate.
  [[nodiscard]] error start_tls(loop& on, const tls_context_ref& context, const tls_peer& peer,
                                time_point deadline, cancel_source* cancel) noexcept;
  [[nodiscard]] bool is_tls() const noexcept { return tls_ != nullptr; }
  /// Only when is_tls(). Any thread.
  [[nodiscard]] tls_facts tls() const noexcept { return tls_->facts(); }
  [[nodiscard]] tls_certificate certificate() const noexcept { return tls_->certificate(); }

  /// Waits for bytes and appends them to `inbox` as one slice. Picks the buffer class from what the
  /// last reads were like. Returns none (inbox has grown), end_of_stream (FIN), connection_lost,
  /// timed_out, cancelled, no_memory or system. Bytes that a cancelled read had got are in `inbox`
  /// although the result is cancelled. After timed_out, cancelled and no_memory reading may go on.
  /// Over TLS end_of_stream is the peer's close_notify, a FIN without it connection_lost, and
  /// tls_record what the engine refused.
  [[nodiscard]] error read(loop& on, slice_queue& inbox, time_point deadline,
                           cancel_source* cancel) noexcept {
    read_target to{inbox};
    return read(on, to, deadline, cancel);
  }
  /// The same, or with bytes at `to.direct`: then the result is none, and a cancellation that came
  /// meanwhile is for the next read.
  [[nodiscard]] error read(loop& on, read_target& to, time_point deadline,
                           cancel_source* cancel) noexcept;

  /// As read(), for a thread that waits for nothing else: without a deadline it sleeps in recv()
  /// itself, which costs less than any loop and takes none; `buffers` are the thread's. A request
  /// of `cancel` is seen before each wait; wake_reader() ends one. Makes the descriptor a blocking
  /// one.
  [[nodiscard]] error read_blocking(buffer_pool& buffers, read_target& to, time_point deadline,
                                    cancel_source& cancel) noexcept;
  /// After a request of its `cancel`: ends the wait of a thread in read_blocking(), or the one that
  /// it is about to begin. From then on only read_blocking() reads, because the others, read_now()
  /// too, would find the end of the stream; it goes on with what the peer sends, up to its FIN. But
  /// the kernel tells the peer less readily of room, so that a peer faster than the reader may
  /// pause 200 ms now and then. Any thread, as long as the stream is not closed or moved meanwhile.
  /// In a process forked later it does nothing: the parent's thread is the one that reads.
  void wake_reader() noexcept;
  /// As wake_reader(), when nobody goes on: then ends the connection, as shutdown(false), while the
  /// thread in read_blocking() wakes up. No other thread may be writing.
  void hang_up() noexcept;
  /// True if the last byte came so short a time ago; false where the kernel does not say. Any
  /// thread. Source: TCP_INFO of tcp(7).
  [[nodiscard]] bool received_within(std::chrono::milliseconds time) const noexcept;
  /// On the thread that connected the stream, before another one reads it blocking: its loop is
  /// told of no more packets.
  void leave() const noexcept;

  /// Sends all of `bytes`. `progress_timeout` bounds the time in which not one byte is taken; zero
  /// = none. Returns none, connection_lost, timed_out, cancelled, no_memory or system; after any of
  /// these but none an unknown prefix is on the wire.
  [[nodiscard]] error write(loop& on, std::span<const std::byte> bytes,
                            std::chrono::milliseconds progress_timeout,
                            cancel_source* cancel) noexcept;
  /// The same, and takes what was sent off `rest`: after an error it says what is not on the wire.
  /// Over TLS what is encrypted counts as sent: what is left of it goes out before the next bytes.
  [[nodiscard]] error write_rest(loop& on, std::span<const std::byte>& rest,
                                 std::chrono::milliseconds progress_timeout,
                                 cancel_source* cancel) noexcept;

  /// Submits `op`, whose `bytes` and `on_complete` are set, and does not wait: for a writer that
  /// reads on the same loop meanwhile. `on_complete` calls continue_write() when the result is not
  /// negative, and else end_write(). Returns how many of the bytes count as sent from now on,
  /// whatever becomes of the operation: none, or over TLS, where `op.bytes` becomes ciphertext,
  /// all. When there is nothing to send it completes nothing: `op` is idle and `begun` false.
  [[nodiscard]] std::size_t begin_write(loop& on, send_op& op, bool& begun) noexcept;
  /// Inside the completion: true with the number of bytes that were sent and not counted yet; false
  /// when the operation was submitted again to send the rest of the ciphertext.
  [[nodiscard]] bool continue_write(loop& on, send_op& op, std::size_t& sent_bytes) noexcept;
  void end_write() noexcept;
  /// Over TLS: ciphertext is left over from an earlier write. write_rest() and begin_write() send
  /// it first, also without bytes of their own.
  [[nodiscard]] bool has_unsent() const noexcept { return tls_ != nullptr && tls_->has_unsent(); }

  /// Submits `op`, whose `on_complete` is set, to read once, and does not wait: for the owner of an
  /// event loop, instead of read(). When it is idle again, end_read() takes what it brought.
  void begin_read(loop& on, recv_op& op) noexcept;
  /// Returns none (inbox has grown, or over TLS there may be something for deliver_kept()),
  /// end_of_stream, connection_lost, cancelled, no_memory (the bytes are kept for deliver_kept()),
  /// or system.
  [[nodiscard]] error end_read(recv_op& done, slice_queue& inbox) noexcept;
  /// True if bytes were read that are not in the inbox, over TLS because nobody has asked for them
  /// yet, else because it had no memory for them: call deliver_kept() before the next read, with
  /// the buffers of the thread that reads from now on.
  [[nodiscard]] bool has_kept() const noexcept {
    return undelivered_.from != nullptr || (tls_ != nullptr && has_kept_sealed());
  }
  /// Returns none (over TLS perhaps with nothing: when has_kept() goes on, because there was more
  /// to decrypt than is good for the others on the loop, and else because a record is not
  /// complete), end_of_stream, connection_lost, no_memory (they stay kept) or tls_record.
  [[nodiscard]] error deliver_kept(buffer_pool& buffers, read_target& to) noexcept;

  /// Sends what the kernel takes at once and takes it off `rest`; needs no loop and never waits.
  /// none (look at what is left, over TLS also at has_unsent()), connection_lost, no_memory or
  /// system. The one writer's, on any thread.
  [[nodiscard]] error write_now(std::span<const std::byte>& rest) noexcept;

  /// Appends what the kernel has, at most `max_bytes` of it, to `inbox`; needs no loop and never
  /// waits. `from` belongs to the calling thread. Returns none (inbox has grown), would_block,
  /// end_of_stream, connection_lost, no_memory (nothing is lost: read again), tls_record or system.
  /// Over TLS a record is taken whole.
  [[nodiscard]] error read_now(buffer_pool& from, slice_queue& inbox,
                               std::size_t max_bytes) noexcept;

  /// Ends the connection at once, so that the peer and a blocked call notice (RST if `abort`). Any
  /// thread, as long as the stream is not closed or moved meanwhile.
  void shutdown(bool abort) noexcept;

  /// Closes the descriptor; nobody inside a call. Twice is harmless. Over TLS it says close_notify
  /// first, but not in a process forked later: to the parent's session it would be a record too
  /// many, sealed with a nonce that the parent uses again.
  void close() noexcept;

private:
  /// How a read waits for the socket, and until when.
  struct reading {
    loop* on; // nullptr: in the kernel
    buffer_pool& buffers;
    time_point deadline;
    cancel_source* cancel;

    [[nodiscard]] time_point now() const noexcept {
      return on != nullptr ? on->io().now() : clock::now();
    }
  };

  [[nodiscard]] error read(const reading& how, read_target& to) noexcept;
  [[nodiscard]] error receive(const reading& how) noexcept;
  [[nodiscard]] error receive_on_loop(loop& on, const reading& how) noexcept;
  void keep(const recv_op& done) noexcept;
  [[nodiscard]] error receive_now(buffer_pool& from, std::size_t max_bytes) noexcept;
  [[nodiscard]] error send(loop& on, std::span<const std::byte>& rest,
                           std::chrono::milliseconds progress_timeout,
                           cancel_source* cancel) noexcept;
  [[nodiscard]] error send_now(std::span<const std::byte>& rest) noexcept;

  [[nodiscard]] bool is_of_this_process() const noexcept;

  // stream_blocking.cpp
  [[nodiscard]] error receive_blocking(const reading& how) noexcept;
  bool shut_reading_side() noexcept;

  // stream_tls.cpp
  [[nodiscard]] error shake_hands(loop& on, time_point deadline, cancel_source* cancel) noexcept;
  [[nodiscard]] error read_sealed(const reading& how, read_target& to) noexcept;
  [[nodiscard]] error receive_sealed(const reading& how) noexcept;
  [[nodiscard]] error read_sealed_now(buffer_pool& from, slice_queue& inbox) noexcept;
  [[nodiscard]] error unseal(buffer_pool& buffers, read_target& to) noexcept;
  [[nodiscard]] error unseal_into(std::span<std::byte> to, std::size_t& count) noexcept;
  [[nodiscard]] bool take_kept_sealed(const slice_queue& inbox) noexcept;
  [[nodiscard]] bool has_kept_sealed() const noexcept;
  [[nodiscard]] error write_sealed(loop& on, std::span<const std::byte>& rest,
                                   std::chrono::milliseconds progress_timeout,
                                   cancel_source* cancel) noexcept;
  [[nodiscard]] error send_unsent(loop& on, std::chrono::milliseconds progress_timeout,
                                  cancel_source* cancel) noexcept;
  [[nodiscard]] error write_sealed_now(std::span<const std::byte>& rest) noexcept;
  [[nodiscard]] error send_unsent_now() noexcept;

  socket_ref socket_;
  pid_t process_ = 0; // that made it
  memory::unique<tls_channel> tls_;

  // The reader's.
  slice undelivered_;          // read, but the inbox (over TLS: the engine) had no memory for it
  slice undelivered_plain_;    // decrypted, but the inbox had no memory for it
  loop* reading_on_ = nullptr; // of begin_read()
  read_size_guess size_guess_;
  bool expect_data_ = false;
};

} // namespace sluice::io
