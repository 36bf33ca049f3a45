#pragma once

#include "core/error.hpp"
#include "core/slice_queue.hpp"
#include "io/cancel.hpp"
#include "io/loop.hpp"
#include "io/operation.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

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

/// A connected TCP stream, not bound to a loop between calls: each call runs on the loop it is
/// given. One reader and one writer may be active at a time, on different loops.
class stream {
public:
  stream() noexcept = default;
  explicit stream(int connected_fd) noexcept; // takes ownership
  ~stream() { close(); }                      // nobody inside a call
  stream(stream&& other) noexcept;
  stream& operator=(stream&& other) noexcept;

  [[nodiscard]] bool is_open() const noexcept { return socket_.fd >= 0; }
  /// -1 when closed. For options and tests; reading and writing it upsets the stream.
  [[nodiscard]] int descriptor() const noexcept { return socket_.fd; }

  /// Waits for bytes and appends them to `inbox` as one slice. Picks the buffer class from what the
  /// last reads were like. Returns none (inbox has grown), end_of_stream (FIN), connection_lost,
  /// timed_out, cancelled, no_memory or system. Bytes that a cancelled read had got are in `inbox`
  /// although the result is cancelled. After timed_out, cancelled and no_memory reading may go on.
  [[nodiscard]] error read(loop& on, slice_queue& inbox, time_point deadline,
                           cancel_source* cancel) noexcept;

  /// Sends all of `bytes`. `progress_timeout` bounds the time in which not one byte is taken; zero
  /// = none. Returns none, connection_lost, timed_out, cancelled, no_memory or system; after any of
  /// these but none an unknown prefix is on the wire.
  [[nodiscard]] error write(loop& on, std::span<const std::byte> bytes,
                            std::chrono::milliseconds progress_timeout,
                            cancel_source* cancel) noexcept;
  /// The same, and takes what was sent off `rest`: after an error it says what is not on the wire.
  [[nodiscard]] error write_rest(loop& on, std::span<const std::byte>& rest,
                                 std::chrono::milliseconds progress_timeout,
                                 cancel_source* cancel) noexcept;

  /// Submits `op`, whose `bytes` and `on_complete` are set, and does not wait: for a writer that
  /// reads on the same loop meanwhile. The caller sees to it that the operation is idle before the
  /// thread leaves the loop.
  void begin_write(loop& on, send_op& op) noexcept;

  /// Submits `op`, whose `on_complete` is set, to read once, and does not wait: for the owner of an
  /// event loop, instead of read(). When it is idle again, end_read() takes what it brought.
  void begin_read(loop& on, recv_op& op) noexcept;
  /// Returns none (inbox has grown), end_of_stream, connection_lost, cancelled, no_memory (the
  /// bytes are kept for deliver_kept()) or system.
  [[nodiscard]] error end_read(recv_op& done, slice_queue& inbox) noexcept;
  /// True if bytes were read for which the inbox had no memory: try again before the next read.
  [[nodiscard]] bool has_kept() const noexcept { return undelivered_.from != nullptr; }
  [[nodiscard]] error deliver_kept(slice_queue& inbox) noexcept;

  /// Sends what the kernel takes at once and takes it off `rest`; needs no loop and never waits.
  /// none (look at what is left), connection_lost or system. The one writer's, on any thread.
  [[nodiscard]] error write_now(std::span<const std::byte>& rest) noexcept;

  /// Ends the connection at once, so that the peer and a blocked call notice (RST if `abort`). Any
  /// thread, as long as the stream is not closed or moved meanwhile.
  void shutdown(bool abort) noexcept;

  /// Closes the descriptor; nobody inside a call. Twice is harmless.
  void close() noexcept;

private:
  void keep(const recv_op& done) noexcept;

  socket_ref socket_;

  // The reader's.
  slice undelivered_; // read, but the inbox had no memory for it
  read_size_guess size_guess_;
  bool expect_data_ = false;
};

} // namespace sluice::io
