#pragma once

#include "simd/generic/utf8_state.hpp"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

// Ranges of 1 to 15 bytes in two machine words, without a byte loop: the last word is loaded so
// that it ends where the range ends, and overlaps the first. Both are loaded before either is
// stored, so that no byte is unmasked twice.
//
// Included inside a target region, hence the unnamed namespace.
namespace sluice::simd {
namespace {

inline constexpr std::uint64_t high_bits = 0x8080'8080'8080'8080;

template <class Word> SLUICE_INLINE Word load_word(const std::byte* p) noexcept {
  Word word;
  std::memcpy(&word, p, sizeof word);
  return word;
}

template <class Word> SLUICE_INLINE void store_word(std::byte* p, Word word) noexcept {
  std::memcpy(p, &word, sizeof word);
}

SLUICE_INLINE std::uint64_t repeat_key(std::uint32_t key) noexcept {
  return std::uint64_t{key} << 32 | key;
}

/// The plain text of up to 15 bytes, moved up so that it ends at the most significant byte of
/// `high`; below it, the byte before the text, then zeros.
struct short_text {
  std::uint64_t low;
  std::uint64_t high;
  bool any_high_bit;
};

/// Unmasks (key 0: copies) 1..15 bytes and returns them. Stores only if `Stores`.
template <bool Stores>
SLUICE_INLINE short_text pass_short(std::byte* d, const std::byte* s, std::size_t n,
                                    std::uint32_t key, std::uint8_t byte_before) noexcept {
  const std::uint64_t before = byte_before;
  if (n >= 8) {
    const std::uint64_t first = load_word<std::uint64_t>(s) ^ repeat_key(key);
    const std::uint64_t last = load_word<std::uint64_t>(s + n - 8) ^ repeat_key(rotate_key(key, n));
    if constexpr (Stores) {
      store_word(d, first);
      store_word(d + n - 8, last);
    }
    const std::size_t free_bits = 8 * (15 - n); // below the byte before the text, 0..56
    return {(first << 8 | before) << free_bits, last, ((first | last) & high_bits) != 0};
  }
  std::uint64_t text; // in its lowest bytes
  if (n >= 4) {
    const std::uint32_t first = load_word<std::uint32_t>(s) ^ key;
    const std::uint32_t last = load_word<std::uint32_t>(s + n - 4) ^ rotate_key(key, n);
    if constexpr (Stores) {
      store_word(d, first);
      store_word(d + n - 4, last);
    }
    text = std::uint64_t{last} << (8 * (n - 4)) | first;
  } else if (n >= 2) {
    const std::uint16_t first = load_word<std::uint16_t>(s) ^ static_cast<std::uint16_t>(key);
    const std::uint16_t last =
        load_word<std::uint16_t>(s + n - 2) ^ static_cast<std::uint16_t>(rotate_key(key, n - 2));
    if constexpr (Stores) {
      store_word(d, first);
      store_word(d + n - 2, last);
    }
    text = std::uint64_t{last} << (8 * (n - 2)) | first;
  } else {
    const std::byte only = s[0] ^ static_cast<std::byte>(key);
    if constexpr (Stores)
      d[0] = only;
    text = std::to_integer<std::uint64_t>(only);
  }
  return {0, (text << 8 | before) << (8 * (7 - n)), (text & high_bits) != 0};
}

} // namespace
} // namespace sluice::simd
