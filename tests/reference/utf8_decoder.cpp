#include "reference/utf8_decoder.hpp"

#include <array>

namespace sluice::test {
namespace {

constexpr std::size_t state_count = 9;
using table = std::array<std::array<utf8_expects, 256>, state_count>;

table make_table() {
  using enum utf8_expects;
  table next;
  for (auto& row : next)
    row.fill(nothing);
  const auto allow = [&next](utf8_expects in, unsigned low, unsigned high, utf8_expects then) {
    for (unsigned byte = low; byte <= high; ++byte)
      next[static_cast<std::size_t>(in)][byte] = then;
  };
  allow(character, 0x00, 0x7F, character);
  allow(character, 0xC2, 0xDF, one);
  allow(character, 0xE0, 0xE0, two_from_a0);
  allow(character, 0xE1, 0xEC, two);
  allow(character, 0xED, 0xED, two_to_9f);
  allow(character, 0xEE, 0xEF, two);
  allow(character, 0xF0, 0xF0, three_from_90);
  allow(character, 0xF1, 0xF3, three);
  allow(character, 0xF4, 0xF4, three_to_8f);
  allow(one, 0x80, 0xBF, character);
  allow(two, 0x80, 0xBF, one);
  allow(three, 0x80, 0xBF, two);
  allow(two_from_a0, 0xA0, 0xBF, one);
  allow(two_to_9f, 0x80, 0x9F, one);
  allow(three_from_90, 0x90, 0xBF, two);
  allow(three_to_8f, 0x80, 0x8F, two);
  return next;
}

} // namespace

utf8_expects next_state(utf8_expects state, std::byte byte) noexcept {
  static const table next = make_table();
  return next[static_cast<std::size_t>(state)][std::to_integer<std::size_t>(byte)];
}

utf8_verdict decode(std::span<const std::byte> text, utf8_expects state) noexcept {
  for (std::size_t i = 0; i < text.size(); ++i) {
    state = next_state(state, text[i]);
    if (state == utf8_expects::nothing)
      return {false, i, state};
  }
  return {true, 0, state};
}

} // namespace sluice::test
