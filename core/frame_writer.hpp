#pragma once

#include "core/error.hpp"
#include "core/frame.hpp"
#include "simd/kernels.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace sluice {

/// Masking keys (RFC 6455 section 5.3: fresh, unpredictable) in batches, because one call to the
/// random generator per frame costs more than the frame. Used keys are wiped from the batch.
/// Not thread-safe: one per sender.
class masking_keys {
public:
  /// Fills all of `to` with unpredictable bytes or returns false. io/crypto.hpp has the real one.
  using random_fn = bool (*)(std::span<std::byte> to) noexcept;

  explicit masking_keys(random_fn random) noexcept;

  /// The next key; false when the generator failed (error::random_failed: send nothing).
  [[nodiscard]] bool next(std::uint32_t& key) noexcept;
};

/// Turns one frame into wire bytes, in as many steps as the room the caller has: a frame of many
/// megabytes goes through one small send buffer, and the payload is never modified (SND-13).
class frame_writer {
public:
  /// Begins a frame. `payload` must stay valid until done(). `masking_key` only for a client.
  void start(opcode op, bool fin, std::span<const std::byte> payload) noexcept;
  void start_masked(opcode op, bool fin, std::span<const std::byte> payload,
                    std::uint32_t masking_key) noexcept;

  /// Writes the next bytes of the frame, header first; returns how many. `room` is at least
  /// max_frame_header_bytes.
  [[nodiscard]] std::size_t fill(std::span<std::byte> room) noexcept;

  /// True when all of the frame has been written.
  [[nodiscard]] bool done() const noexcept;
};

} // namespace sluice
