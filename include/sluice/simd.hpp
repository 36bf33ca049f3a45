#pragma once

#include "sluice/export.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

/// The per-byte work of a WebSocket receiver, usable without the rest of the library: removing the
/// mask of RFC 6455 section 5.3 and checking UTF-8 (RFC 3629; Unicode, table 3-7), in one pass over
/// the bytes and one slice after the other.
///
/// Every function may be called from any thread, never blocks, never allocates and never fails but
/// by the result that it returns. No byte outside the given spans is read or written; no alignment
/// and no padding is needed; a span may be empty. Source and destination are the same bytes or do
/// not overlap. Where they differ in size, the first min(to.size(), from.size()) bytes are handled.
namespace sluice::simd {

/// Where a UTF-8 check stands between two slices of a text. A new one is at the start of a text;
/// at the end of the text `due != 0` means that the last character is unfinished. Trivially
/// copyable: a copy is a place to come back to.
struct utf8_state {
  std::uint8_t due = 0;   // bytes that are missing in the character, 0..3
  std::uint8_t low = 0;   // smallest byte that may come next, if due
  std::uint8_t high = 0;  // largest byte that may come next, if due
  std::uint8_t spare = 0; // always 0
};

/// `error_offset`: the first byte of this slice that cannot continue valid UTF-8, if not ok. An
/// invalid prefix is found in the slice that holds it, however short: E0 80 fails at the 80,
/// before any third byte arrives. After an error the state is unchanged, and the destination holds
/// anything.
struct utf8_result {
  bool ok;
  std::size_t error_offset;
};

/// The masking key as it applies `count` bytes later. Keys are given as they lie in memory: the
/// first byte from the wire is the first in memory (std::memcpy the four bytes).
[[nodiscard]] constexpr std::uint32_t rotate_key(std::uint32_t key, std::size_t count) noexcept {
  const unsigned bits = static_cast<unsigned>(count & 3u) * 8u;
  return bits == 0 ? key : (key >> bits) | (key << (32u - bits)); // little endian
}

/// Removes (or sets: it is the same) the mask in place. `key` is the one for the first byte; a
/// payload that arrives in slices continues with rotate_key(key, bytes.size()).
SLUICE_EXPORT void unmask(std::span<std::byte> bytes, std::uint32_t key) noexcept;

/// The same, from one place to another.
SLUICE_EXPORT void unmask_copy(std::span<std::byte> to, std::span<const std::byte> from,
                               std::uint32_t key) noexcept;

/// Checks the next slice of a text.
[[nodiscard]] SLUICE_EXPORT utf8_result validate(std::span<const std::byte> text,
                                                 utf8_state& state) noexcept;

/// Checks the next slice of a text and copies it.
[[nodiscard]] SLUICE_EXPORT utf8_result validate_copy(std::span<std::byte> to,
                                                      std::span<const std::byte> from,
                                                      utf8_state& state) noexcept;

/// Removes the mask from the next slice of a text, in place, and checks what comes out.
[[nodiscard]] SLUICE_EXPORT utf8_result unmask_validate(std::span<std::byte> bytes,
                                                        std::uint32_t key,
                                                        utf8_state& state) noexcept;

/// The same, from one place to another.
[[nodiscard]] SLUICE_EXPORT utf8_result unmask_validate_copy(std::span<std::byte> to,
                                                             std::span<const std::byte> from,
                                                             std::uint32_t key,
                                                             utf8_state& state) noexcept;

} // namespace sluice::simd

namespace sluice {

/// The implementations of the functions above: `scalar` everywhere; `ssse3`, `avx2` and `avx512`
/// on x86-64; `neon` on AArch64. They give the same results.
class kernel_set {
public:
  /// The names of those that this CPU and operating system can run, slowest first. Valid for ever.
  [[nodiscard]] SLUICE_EXPORT std::span<const char* const> names() const noexcept;

  /// The one in use: the fastest, or what SLUICE_FORCE_KERNEL named when the first function was
  /// called, or what force() chose since. Valid for ever.
  [[nodiscard]] SLUICE_EXPORT const char* active() const noexcept;

  /// Chooses one by name for every later call of this program. False, and nothing changes, if the
  /// name is not among names(). Connections that exist already keep theirs.
  SLUICE_EXPORT bool force(std::string_view name) const noexcept;
};

[[nodiscard]] constexpr kernel_set kernels() noexcept {
  return {};
}

} // namespace sluice
