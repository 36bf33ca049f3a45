#pragma once

#include "byte_stream.hpp"
#include "common.hpp"
#include "traffic.hpp"
#include "wire.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace sluice_bench {

inline constexpr std::uint64_t no_limit = std::numeric_limits<std::uint64_t>::max();

/// One connection of the generator: where it stands in the stream that traffic defines, control
/// and REPORT frames that wait for the next message end, and what has come back.
class load_connection {
public:
  load_connection(byte_stream peer, std::size_t index, const traffic& stream, bool masked);

  [[nodiscard]] int fd() const noexcept { return peer_.fd(); }
  [[nodiscard]] std::uint64_t position() const noexcept { return position_; }
  [[nodiscard]] std::uint64_t limit() const noexcept { return limit_; }
  [[nodiscard]] reply_reader& replies() noexcept { return replies_; }
  [[nodiscard]] const reply_reader& replies() const noexcept { return replies_; }

  /// Where the stream pauses: at a message end, or no_limit.
  void set_limit(std::uint64_t position) noexcept { limit_ = position; }
  /// Appends a frame that goes out at the next message end.
  void queue(const std::vector<std::byte>& frame);

  /// True while there is something that write() could hand over.
  [[nodiscard]] bool wants_to_write() const noexcept {
    return position_ < limit_ || queued_sent_ < queued_.size() || !peer_.flushed();
  }

  /// Hands stream bytes up to `target` (and queued frames where they belong) to the kernel, until
  /// it takes no more. True if the kernel took all. Throws failure when the connection is lost.
  bool write(std::uint64_t target);

  /// Reads what has come; 0 when there is nothing (more), else the bytes read. Throws failure when
  /// the peer has closed or lost the connection, or sends what is no frame.
  std::size_t read();
  /// Bytes that came with the handshake.
  void take(std::span<const std::byte> bytes);

  /// Says goodbye (close frame, FIN) and does not wait.
  void begin_close() noexcept;
  /// True once the peer has closed its side too.
  [[nodiscard]] bool read_to_end() noexcept;

private:
  [[nodiscard]] failure lost(int error_number);
  bool send_queued();

  byte_stream peer_;
  std::size_t index_;
  const traffic* stream_;
  bool masked_;
  std::uint64_t position_ = 0;
  std::uint64_t limit_ = 0;
  std::size_t queued_sent_ = 0;
  std::vector<std::byte> queued_;
  reply_reader replies_;
};

} // namespace sluice_bench
