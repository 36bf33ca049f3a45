#include "simd/generic/utf8_state.hpp"

namespace sluice::simd {

utf8_result finish_inside(std::uint32_t last_four, std::size_t n, utf8_state& state) noexcept {
  const auto last = static_cast<std::uint8_t>(last_four >> 24);
  const auto second_last = static_cast<std::uint8_t>(last_four >> 16);
  if (last >= 0xC0) {
    if (last < 0xC2 || last > 0xF4)
      return {false, n - 1};
    state = state_after_lead(last);
  } else if (second_last >= 0xE0) {
    state = {static_cast<std::uint8_t>(second_last < 0xF0 ? 1 : 2), 0x80, 0xBF};
  } else {
    state = {1, 0x80, 0xBF};
  }
  return {true, 0};
}

utf8_result find_error(const std::byte* text, std::size_t n, std::size_t from,
                       utf8_state state) noexcept {
  // Back to the beginning of a character: at most three bytes, or else the start of the slice.
  // Three continuation bytes in a row that passed are the end of a character.
  std::size_t start = from;
  for (std::size_t back = 1; back <= 3 && start == from; ++back) {
    if (back > from) {
      start = 0;
      break;
    }
    if ((std::to_integer<unsigned>(text[from - back]) & 0xC0u) != 0x80u)
      start = from - back;
  }
  if (start != 0)
    state = {};
  for (std::size_t i = start; i < n; ++i)
    if (!utf8_step(state, std::to_integer<std::uint8_t>(text[i])))
      return {false, i};
  return {false, n};
}

} // namespace sluice::simd
