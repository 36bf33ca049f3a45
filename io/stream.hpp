#pragma once

#include "core/error.hpp"
#include "core/slice_queue.hpp"
#include "io/cancel.hpp"
#include "io/loop.hpp"
#include "io/operation.hpp"

#include <chrono>
#include <cstddef>
#include <span>

namespace sluice::io {

/// A connected TCP stream, not bound to a loop between calls: each call runs on the loop it is
/// given. One reader and one writer may be active at a time, on different loops.
class stream {
public:
  stream() noexcept = default;
  explicit stream(int connected_fd) noexcept; // takes ownership
  ~stream();                                  // closes
  stream(stream&& other) noexcept;
  stream& operator=(stream&& other) noexcept;

  [[nodiscard]] bool is_open() const noexcept;

  /// Waits for bytes and appends them to `inbox` as one slice. Picks the buffer class from what the
  /// last reads were like. Returns none (inbox has grown), end_of_stream (FIN), connection_lost,
  /// timed_out, cancelled, no_memory or system. Bytes that a cancelled read had got are in `inbox`
  /// although the result is cancelled.
  [[nodiscard]] error read(loop& on, slice_queue& inbox, time_point deadline,
                           cancel_source* cancel) noexcept;

  /// Sends all of `bytes`. `progress_timeout` bounds the time in which not one byte is taken; zero
  /// = none. Returns none, connection_lost, timed_out, cancelled or system; after any of these but
  /// none an unknown prefix is on the wire.
  [[nodiscard]] error write(loop& on, std::span<const std::byte> bytes,
                            std::chrono::milliseconds progress_timeout,
                            cancel_source* cancel) noexcept;

  /// Ends the connection at once, so that the peer and a blocked call notice (RST if `abort`).
  void shutdown(bool abort) noexcept;
  void close() noexcept;
};

} // namespace sluice::io
