#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace sluice::simd {

/// Where a UTF-8 check stands between two slices of a text message. Zero is the start; `due != 0`
/// at the end of a message means a truncated sequence.
struct utf8_state {
  std::uint8_t due = 0;  // continuation bytes still expected
  std::uint8_t low = 0;  // smallest byte allowed next, if due
  std::uint8_t high = 0; // largest byte allowed next, if due
  std::uint8_t spare = 0;
};

/// `error_offset`: first byte that cannot continue valid UTF-8, if not ok.
struct utf8_result {
  bool ok;
  std::size_t error_offset;
};

/// The per-byte work of a connection, once per instruction set. `key` is the masking key as it lies
/// in memory (first wire byte = first byte in memory), already rotated for the first byte of the
/// range; the caller rotates it by the length afterwards. No byte outside [p, p + n) is read or
/// written; no alignment is needed; source and destination are the same or do not overlap.
/// The copying text functions leave the destination unspecified when they return not ok.
struct kernel_table {
  const char* name;
  void (*unmask)(std::byte* p, std::size_t n, std::uint32_t key) noexcept;
  void (*unmask_copy)(std::byte* d, const std::byte* s, std::size_t n, std::uint32_t key) noexcept;
  utf8_result (*validate)(const std::byte* s, std::size_t n, utf8_state& state) noexcept;
  utf8_result (*validate_copy)(std::byte* d, const std::byte* s, std::size_t n,
                               utf8_state& state) noexcept;
  utf8_result (*unmask_validate)(std::byte* p, std::size_t n, std::uint32_t key,
                                 utf8_state& state) noexcept;
  utf8_result (*unmask_validate_copy)(std::byte* d, const std::byte* s, std::size_t n,
                                      std::uint32_t key, utf8_state& state) noexcept;
};

/// The key as it applies `count` bytes later.
[[nodiscard]] constexpr std::uint32_t rotate_key(std::uint32_t key, std::size_t count) noexcept {
  const unsigned bits = static_cast<unsigned>(count & 3u) * 8u;
  return bits == 0 ? key : (key >> bits) | (key << (32u - bits)); // little endian
}

/// The kernels this CPU can run, slowest (scalar) first.
[[nodiscard]] std::span<const kernel_table* const> supported_kernels() noexcept;

/// The table in use: the fastest supported one, or the one that SLUICE_FORCE_KERNEL names. Chosen
/// once, on the first call.
[[nodiscard]] const kernel_table& active_kernels() noexcept;

/// False if SLUICE_FORCE_KERNEL names a kernel that is unknown or that this CPU cannot run; the
/// scalar one is active then, and opening a session or loop fails instead of running slowly.
[[nodiscard]] bool forced_kernel_ok() noexcept;

} // namespace sluice::simd
