#pragma once

#include "simd/kernels.hpp"

#include <cstddef>
#include <cstdint>

// Plain C++ that every kernel shares: UTF-8 one byte at a time, and the two ways to write down
// where a text slice begins. Nothing here is compiled for more than the baseline instruction set:
// kernels include this header before they raise their target.
//
// The 1 to 4 bytes of a character (Unicode, table 3-7):
//
//   first       second      third   fourth
//   00..7F
//   C2..DF      80..BF
//   E0          A0..BF      80..BF              80..9F would be overlong
//   E1..EC      80..BF      80..BF
//   ED          80..9F      80..BF              A0..BF would be a surrogate
//   EE..EF      80..BF      80..BF
//   F0          90..BF      80..BF  80..BF      80..8F would be overlong
//   F1..F3      80..BF      80..BF  80..BF
//   F4          80..8F      80..BF  80..BF      90..BF would be above U+10FFFF
namespace sluice::simd {

/// The state right after a first byte that announces more. `lead` is C2..F4.
[[nodiscard]] constexpr utf8_state state_after_lead(std::uint8_t lead) noexcept {
  const auto due = static_cast<std::uint8_t>(lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3);
  const std::uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const std::uint8_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  return {due, low, high};
}

/// Takes one byte. False if no valid text continues with it; the state is unchanged then.
[[nodiscard]] constexpr bool utf8_step(utf8_state& state, std::uint8_t byte) noexcept {
  if (state.due != 0) {
    if (byte < state.low || byte > state.high)
      return false;
    const auto due = static_cast<std::uint8_t>(state.due - 1);
    state = due == 0 ? utf8_state{} : utf8_state{due, 0x80, 0xBF};
    return true;
  }
  if (byte < 0x80)
    return true;
  if (byte < 0xC2 || byte > 0xF4) // continuation, overlong, above U+10FFFF
    return false;
  state = state_after_lead(byte);
  return true;
}

/// A first byte after which exactly the same text may follow as in `state`; 0 at a boundary. With
/// it a slice that begins inside a character is checked as if that byte stood before it.
[[nodiscard]] constexpr std::uint8_t lead_before(utf8_state state) noexcept {
  switch (state.due) {
  case 0:
    return 0;
  case 1:
    return 0xC2;
  case 2:
    return state.low == 0xA0 ? 0xE0 : state.high == 0x9F ? 0xED : 0xE1;
  default:
    return state.low == 0x90 ? 0xF0 : state.high == 0x8F ? 0xF4 : 0xF1;
  }
}

/// Whether a character is unfinished after these four bytes of valid text. The last byte of the
/// text is the most significant.
[[nodiscard]] constexpr bool ends_inside(std::uint32_t last_four) noexcept {
  return (last_four >= 0xC000'0000u) | (last_four << 8 >= 0xE000'0000u) |
         (last_four << 16 >= 0xF000'0000u);
}

/// The end of a pass over text[0, n) that found nothing wrong but ends inside a character: sets the
/// state. Not ok if the last byte is C0, C1 or F5..FF: pair checks see those only when the byte
/// after them arrives.
[[nodiscard]] utf8_result finish_inside(std::uint32_t last_four, std::size_t n,
                                        utf8_state& state) noexcept;

/// Not ok: the first byte in text[0, n) that cannot continue valid text. `state` is the one before
/// text[0]; everything before `from` has passed the pair checks, and there is an error at or right
/// before `from` or later.
[[nodiscard]] utf8_result find_error(const std::byte* text, std::size_t n, std::size_t from,
                                     utf8_state state) noexcept;

} // namespace sluice::simd
