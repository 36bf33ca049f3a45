#pragma once

#include "core/error.hpp"
#include "core/frame.hpp"
#include "core/limits.hpp"
#include "core/slice_queue.hpp"
#include "core/stats.hpp"
#include "simd/kernels.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace sluice {

/// What receive() came back with.
enum class rx_status : std::uint8_t {
  piece,      // `bytes` payload bytes are in the caller's buffer (0 for an empty frame)
  need_input, // the inbox is used up: append slices and call again; nothing was copied
  ping,       // a ping arrived: answer control_payload() with a pong, then call again
  close,      // the peer's close frame arrived: see peer_close(). Nothing follows it
  failed,     // the peer broke the protocol: see `reason`. Sticky
};

struct rx_result {
  rx_status status = rx_status::need_input;
  bool text = false;        // piece: from the opcode that started the message (RCV-40)
  bool message_end = false; // piece: these bytes end the message (RCV-41)
  error reason = error::none;
  std::size_t bytes = 0;
};

/// The peer's close frame (RFC 6455 section 5.5.1). `status` is 1005 when it had no payload.
struct close_info {
  std::uint16_t status = 0;
  std::uint8_t reason_bytes = 0;
  std::byte reason[max_close_reason_bytes];
};

/// The receiving half of a connection: frames, messages, UTF-8, limits. Bytes come in as slices
/// through inbox(), pieces of messages go out into the caller's memory; every payload byte is read
/// once and written once, by one kernel call per slice. No system call, no allocation per message.
/// Not thread-safe: one receiver at a time.
class message_rx {
public:
  message_rx(role self, const limits& bounds,
             const simd::kernel_table& kernels = simd::active_kernels()) noexcept;

  [[nodiscard]] slice_queue& inbox() noexcept;

  /// Copies the next piece of a message to `to` (at least one byte of room) and says what it is.
  /// A piece never spans two frames; an empty frame is a piece of 0 bytes (RCV-47, RCV-48).
  /// Returns as soon as there is one payload byte, without waiting to fill the buffer (RCV-43).
  /// Text is validated across pieces and frames; the piece that holds the first bad byte is not
  /// delivered (X-25; what `to` holds then is unspecified). Pongs are skipped.
  [[nodiscard]] rx_result receive(std::span<std::byte> to) noexcept;

  /// As receive(), but drops payload without looking at it: what a closing side does with data
  /// (CLO-02). Returns need_input, ping, close or failed, never piece.
  [[nodiscard]] rx_result discard() noexcept;

  /// Payload of the ping that receive() or discard() just reported; good until the next call.
  [[nodiscard]] std::span<const std::byte> control_payload() const noexcept;

  /// Only after rx_status::close.
  [[nodiscard]] const close_info& peer_close() const noexcept;

  [[nodiscard]] const rx_stats& stats() const noexcept;
};

} // namespace sluice
