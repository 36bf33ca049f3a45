#include "core/frame_parser.hpp"

namespace sluice {
// The slow way, for a header that a slice border cuts or that stands at the very end of a slice:
// byte by byte into the carry, checked after each.
parse_result frame_parser::resume(const std::byte* input, std::size_t count,
                                  frame_head& head) noexcept {
  std::size_t consumed = 0;
  while (consumed < count) {
    carry_[carried_] = input[consumed];
    ++carried_;
    ++consumed;
    if (const error reason = check_carried(); reason != error::none) {
      return fail(reason);
    }
    if (carried_ == wanted_bytes()) {
      carried_ = 0;
      parse_result result = self_ == role::client ? decode<role::client>(carry_, head)
                                                  : decode<role::server>(carry_, head);
      result.consumed_bytes = consumed; // of this input, not of the carry
      return result;
    }
  }
  return {parse_status::need_input, error::none, consumed};
}

// Refuses a header as soon as no byte that may still come can make it valid.
error frame_parser::check_carried() const noexcept {
  const auto first = std::to_integer<unsigned>(carry_[0]);
  if (carried_ == 1) {
    return check_first(first);
  }
  const auto second = std::to_integer<unsigned>(carry_[1]);
  if (carried_ == 2) {
    return self_ == role::client ? check_second<role::client>(first, second)
                                 : check_second<role::server>(first, second);
  }
  switch (second & 0x7Fu) {
  case 126:
    if (carried_ == 4 && load_big_endian<std::uint16_t>(carry_ + 2) < detail::least_in_16_bits) {
      return error::non_minimal_length;
    }
    break;
  case 127:
    if (carried_ == 3 && (carry_[2] & std::byte{0x80}) != std::byte{0}) {
      return error::length_too_big;
    }
    if (carried_ == 8 && load_big_endian<std::uint64_t>(carry_ + 2) < detail::least_in_64_bits) {
      // Six zero bytes: it would fit 16 bits, whatever the two bytes that are not there yet.
      return error::non_minimal_length;
    }
    break;
  default:
    break;
  }
  return error::none;
}

std::size_t frame_parser::wanted_bytes() const noexcept {
  if (carried_ < 2) {
    return 2;
  }
  const unsigned form = std::to_integer<unsigned>(carry_[1]) & 0x7Fu;
  const std::size_t length_bytes = form == 127 ? 8 : (form == 126 ? 2 : 0);
  return 2 + length_bytes + (self_ == role::server ? sizeof(std::uint32_t) : 0);
}

} // namespace sluice
