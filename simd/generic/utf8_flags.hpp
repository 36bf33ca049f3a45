#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

// What two neighbouring bytes say about each other, as bits. The idea of three table look-ups by
// half bytes is from "Validating UTF-8 In Less Than One Instruction Per Byte" (Keiser and Lemire,
// 2020); which bits stand for what is our own choice.
//
//   bit 7   lead:   the first byte is C0..FF, so a continuation byte is due
//           follow: the second byte is a continuation byte, 80..BF
//   bit 6   lead:   the first byte is E0..FF, so another one is due after it
//   bit 5   lead:   the first byte is F0..FF, and a third
//   bit 0-4 a pair that must not be, if both bytes have the bit:
//             first byte            second byte
//     0       C0, C1                80..BF         overlong (2 bytes)
//     1       E0                    80..9F         overlong (3 bytes)
//     2       ED                    A0..BF         surrogate
//     3       F0, F5..FF            80..8F         overlong (4 bytes), no such first byte
//     4       F4..FF                90..BF         above U+10FFFF, no such first byte
//
// F0 with 90..BF and F5..FF with 80..8F show why bit 3 may serve both: each first byte has its own
// set of bits, found as (high half's bits) & (low half's bits).
namespace sluice::simd {

inline constexpr std::uint8_t boundary_flag = 0x80;
inline constexpr std::uint8_t pair_flags = 0x1F;

using half_byte_table = std::array<std::uint8_t, 16>;

/// Bits of a first byte by its high half; 0 below C0.
inline constexpr half_byte_table lead_by_high = {
    0,           0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0x80 | 0x01, // C0..CF
    0x80,        // D0..DF
    0xC0 | 0x06, // E0..EF
    0xE0 | 0x18, // F0..FF
};

/// Bits of a first byte by its low half.
inline constexpr half_byte_table lead_by_low = {
    0xE0 | 0x01 | 0x02 | 0x08, // C0, E0, F0
    0xE0 | 0x01,               // C1
    0xE0,
    0xE0,        //
    0xE0 | 0x10, // F4
    0xE0 | 0x18, // F5
    0xE0 | 0x18,
    0xE0 | 0x18,
    0xE0 | 0x18,
    0xE0 | 0x18,
    0xE0 | 0x18,
    0xE0 | 0x18,
    0xE0 | 0x18,
    0xE0 | 0x18 | 0x04, // FD, ED
    0xE0 | 0x18,
    0xE0 | 0x18,
};

/// Bits of a second byte by its high half; 0 outside 80..BF.
inline constexpr half_byte_table follow_by_high = {
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0x80 | 0x01 | 0x02 | 0x08, // 80..8F
    0x80 | 0x01 | 0x02 | 0x10, // 90..9F
    0x80 | 0x01 | 0x04 | 0x10, // A0..AF
    0x80 | 0x01 | 0x04 | 0x10, // B0..BF
    0,
    0,
    0,
    0,
};

constexpr std::uint8_t lead_flags_of(std::uint8_t byte) noexcept {
  return lead_by_high[byte >> 4] & lead_by_low[byte & 15];
}

constexpr std::uint8_t follow_flags_of(std::uint8_t byte) noexcept {
  return follow_by_high[byte >> 4];
}

/// Every pair of bytes, against the table in utf8_state.hpp.
consteval bool pair_flags_are_right() {
  for (unsigned first = 0; first < 256; ++first) {
    for (unsigned second = 0x80; second < 0xC0; ++second) {
      if (first < 0xC0)
        continue;
      const bool valid = first >= 0xC2 && first <= 0xF4 && !(first == 0xE0 && second < 0xA0) &&
                         !(first == 0xED && second > 0x9F) && !(first == 0xF0 && second < 0x90) &&
                         !(first == 0xF4 && second > 0x8F);
      const unsigned both = lead_flags_of(static_cast<std::uint8_t>(first)) &
                            follow_flags_of(static_cast<std::uint8_t>(second));
      if (((both & pair_flags) == 0) != valid || (both & boundary_flag) == 0)
        return false;
    }
  }
  return true;
}
static_assert(pair_flags_are_right());

} // namespace sluice::simd
