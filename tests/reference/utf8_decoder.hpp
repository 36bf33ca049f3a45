#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

// A UTF-8 decoder to compare with: one table of next states, filled from the rows of table 3-7 of
// the Unicode standard, one byte at a time. It shares no code with the kernels.
namespace sluice::test {

/// What may come next.
enum class utf8_expects : std::uint8_t {
  character,   // the first byte of one
  one,         // one continuation byte, 80..BF
  two,         // two of them
  three,       // three of them
  two_from_a0, // two, the next one A0..BF (after E0)
  two_to_9f,   // two, the next one 80..9F (after ED)
  three_from_90,
  three_to_8f,
  nothing, // the text is invalid
};

[[nodiscard]] utf8_expects next_state(utf8_expects state, std::byte byte) noexcept;

struct utf8_verdict {
  bool ok;
  std::size_t error_offset; // first byte that cannot continue valid text, if not ok
  utf8_expects end;
};

/// Decodes a slice that begins in `state`.
[[nodiscard]] utf8_verdict decode(std::span<const std::byte> text,
                                  utf8_expects state = utf8_expects::character) noexcept;

} // namespace sluice::test
