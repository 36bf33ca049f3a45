#pragma once

#include "simd/kernels.hpp"

// UTF-8 one byte at a time: the start and end of slices, error positions, and the scalar kernel.
namespace sluice::simd {

/// Takes one byte. False if no valid UTF-8 text continues with it (Unicode 15, table 3-7); the
/// state is then meaningless.
[[nodiscard]] constexpr bool utf8_step(utf8_state& state, std::uint8_t byte) noexcept {
  if (state.due != 0) {
    if (byte < state.low || byte > state.high)
      return false;
    --state.due;
    state.low = 0x80;
    state.high = 0xBF;
    if (state.due == 0)
      state = {};
    return true;
  }
  if (byte < 0x80)
    return true;
  if (byte < 0xC2 || byte > 0xF4) // continuation, overlong lead, beyond U+10FFFF
    return false;
  state.due = static_cast<std::uint8_t>(byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3);
  state.low = byte == 0xE0 ? 0xA0 : byte == 0xF0 ? 0x90 : 0x80;
  state.high = byte == 0xED ? 0x9F : byte == 0xF4 ? 0x8F : 0xBF;
  return true;
}

} // namespace sluice::simd
