#include "simd/generic/utf8_state.hpp"

namespace sluice::simd {

std::size_t find_error(const std::byte* text, std::size_t n, std::size_t from,
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
      return i;
  return n;
}

} // namespace sluice::simd
