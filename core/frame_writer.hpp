#pragma once

#include "core/error.hpp"
#include "core/frame.hpp"
#include "simd/kernels.hpp"

#include <array>
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

  explicit masking_keys(random_fn random) noexcept : random_(random) {}
  masking_keys(const masking_keys&) = delete; // a copy would hand the same keys out again
  masking_keys& operator=(const masking_keys&) = delete;
  ~masking_keys();

  /// The next key; false when the generator failed (error::random_failed: send nothing). A later
  /// call asks the generator again.
  [[nodiscard]] bool next(std::uint32_t& key) noexcept;

private:
  static constexpr std::size_t batch_keys = 32;

  random_fn random_;
  std::uint32_t left_ = 0; // unused keys: the first left_ of batch_
  std::array<std::uint32_t, batch_keys> batch_{};
};

/// Turns one frame into wire bytes, in as many steps as the room the caller has: a frame of many
/// megabytes goes through one small send buffer, and the payload is never modified (SND-13).
/// Not thread-safe.
class frame_writer {
public:
  /// `kernels` must outlive this object.
  explicit frame_writer(const simd::kernel_table& kernels = simd::active_kernels()) noexcept
      : kernels_(&kernels) {}

  /// Begins a frame. `payload` must stay valid until done(); a control frame's is at most
  /// max_control_payload_bytes. `masking_key` only for a client, fresh for each frame.
  /// An unfinished frame is forgotten.
  void start(opcode op, bool fin, std::span<const std::byte> payload) noexcept;
  void start_masked(opcode op, bool fin, std::span<const std::byte> payload,
                    std::uint32_t masking_key) noexcept;

  /// Writes the next bytes of the frame, header first; returns how many: all of `room`, or what is
  /// left of the frame. Any size of room will do.
  [[nodiscard]] std::size_t fill(std::span<std::byte> room) noexcept;

  /// True when all of the frame has been written; before the first start() too.
  [[nodiscard]] bool done() const noexcept { return header_left_ == 0 && payload_left_ == 0; }

  /// Bytes of the frame, header included, that fill() has not written yet.
  [[nodiscard]] std::size_t left_bytes() const noexcept { return header_left_ + payload_left_; }

private:
  void put_header(opcode op, bool fin, std::size_t payload_bytes, unsigned mask_bit) noexcept;

  const simd::kernel_table* kernels_;
  const std::byte* payload_ = nullptr; // next byte to send
  std::size_t payload_left_ = 0;
  std::uint32_t key_ = 0; // rotated for *payload_
  bool masked_ = false;
  std::uint8_t header_size_ = 0;
  std::uint8_t header_left_ = 0; // the last header_left_ of header_size_ bytes are still to go
  std::array<std::byte, max_frame_header_bytes> header_{};
};

} // namespace sluice
