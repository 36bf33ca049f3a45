#pragma once

#include "core/error.hpp"
#include "core/frame.hpp"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace sluice {

/// A frame header (RFC 6455 section 5.2).
struct frame_head {
  std::uint64_t payload_bytes = 0; // below 2^63
  std::uint32_t masking_key = 0;   // as it lies in memory; only for a server, else 0
  opcode op = opcode::continuation;
  bool fin = false;
};
static_assert(sizeof(frame_head) == 16);

enum class parse_status : std::uint8_t {
  need_input, // all bytes were taken, the header is not complete yet
  head,       // a header is complete; its payload follows the consumed bytes
  failed,     // see `reason`; the parser must not be used again
};

struct parse_result {
  parse_status status = parse_status::need_input;
  error reason = error::none;
  std::size_t consumed_bytes = 0; // never more than were given
};
static_assert(sizeof(parse_result) == 16, "returned in two registers");

namespace detail {

// Decision X-26: the shortest form that holds a length is the only one.
inline constexpr std::uint64_t least_in_16_bits = 126;
inline constexpr std::uint64_t least_in_64_bits = 0x10000;

constexpr error check_first(unsigned first, bool message_open) noexcept {
  if ((first & 0x70u) != 0) {
    return error::reserved_bits; // section 5.2: no extension is negotiated
  }
  const bool fin = (first & 0x80u) != 0;
  switch (first & 0x0Fu) {
  case static_cast<unsigned>(opcode::continuation):
    return message_open ? error::none : error::unexpected_continuation; // section 5.4
  case static_cast<unsigned>(opcode::text):
  case static_cast<unsigned>(opcode::binary):
    return message_open ? error::expected_continuation : error::none; // section 5.4
  case static_cast<unsigned>(opcode::close):
  case static_cast<unsigned>(opcode::ping):
  case static_cast<unsigned>(opcode::pong):
    return fin ? error::none : error::control_fragmented; // section 5.5
  default:
    return error::unknown_opcode; // section 5.2
  }
}

// check_first() of every first byte, outside ([0]) and inside ([1]) a message.
inline constexpr auto first_byte_errors = [] {
  std::array<std::array<error, 256>, 2> errors{};
  for (unsigned first = 0; first < 256; ++first) {
    errors[0][first] = check_first(first, false);
    errors[1][first] = check_first(first, true);
  }
  return errors;
}();

} // namespace detail

/// Reads frame headers, for both roles, and holds the rules that a header alone can break:
/// reserved bits and opcodes, masking, length forms, control frames, and the order of the frames of
/// a message (RFC 6455 sections 5.1, 5.2, 5.4, 5.5). It can be cut at every byte and refuses a
/// header at its first wrong byte. The payload never passes through it: after `head` the caller
/// takes payload_bytes bytes off the stream and calls again.
/// Not thread-safe.
class frame_parser {
public:
  explicit frame_parser(role self) noexcept : self_(self) {}

  /// Looks at `count` bytes that follow what was consumed so far.
  [[nodiscard]] parse_result parse(std::span<const std::byte> input, frame_head& head) noexcept {
    return self_ == role::client ? parse_as<role::client>(input.data(), input.size(), head)
                                 : parse_as<role::server>(input.data(), input.size(), head);
  }

  /// parse() with the role known beforehand; `Self` must be the role given to the constructor.
  template <role Self>
  [[nodiscard]] parse_result parse_as(const std::byte* input, std::size_t count,
                                      frame_head& head) noexcept {
    if (count >= max_frame_header_bytes && carried_ == 0) [[likely]] {
      return decode<Self>(input, head);
    }
    return resume(input, count, head);
  }

  /// A message has begun whose final frame's header was not read yet.
  [[nodiscard]] bool message_open() const noexcept { return message_open_; }

  /// A header has begun and is not complete.
  [[nodiscard]] bool mid_header() const noexcept { return carried_ != 0; }
  /// Only then: its first byte.
  [[nodiscard]] unsigned first_byte() const noexcept {
    return std::to_integer<unsigned>(carry_[0]);
  }

private:
  [[nodiscard]] error check_first(unsigned first) const noexcept {
    return detail::first_byte_errors[message_open_ ? 1 : 0][first];
  }

  // What a second byte breaks; the low seven bits are the length or its form.
  template <role Self>
  [[nodiscard]] static constexpr error check_second(unsigned first, unsigned second) noexcept {
    constexpr unsigned wanted_mask_bit = Self == role::server ? 0x80 : 0;
    if ((second & 0x80u) != wanted_mask_bit) {
      return Self == role::server ? error::unmasked_frame : error::masked_frame; // section 5.1
    }
    if ((first & 0x08u) != 0) { // control frames, section 5.5
      if ((second & 0x7Fu) > max_control_payload_bytes) {
        return error::control_too_long;
      }
      if ((first & 0x0Fu) == static_cast<unsigned>(opcode::close) && (second & 0x7Fu) == 1) {
        return error::close_payload_length; // section 5.5.1: no payload, or a status of two bytes
      }
    }
    return error::none;
  }

  template <typename Word>
  [[nodiscard]] static Word load_big_endian(const std::byte* from) noexcept {
    Word loaded;
    std::memcpy(&loaded, from, sizeof loaded);
    if constexpr (std::endian::native == std::endian::little) {
      if constexpr (sizeof(Word) == 2) {
        loaded = __builtin_bswap16(loaded);
      } else {
        loaded = __builtin_bswap64(loaded);
      }
    }
    return loaded;
  }

  [[nodiscard]] static constexpr parse_result fail(error reason) noexcept {
    return {parse_status::failed, reason, 0};
  }

  // Reads a header whose max_frame_header_bytes bytes are all readable, used or not.
  template <role Self>
  [[nodiscard]] parse_result decode(const std::byte* from, frame_head& head) noexcept {
    const auto first = std::to_integer<unsigned>(from[0]);
    const auto second = std::to_integer<unsigned>(from[1]);
    if (const error reason = check_first(first); reason != error::none) {
      return fail(reason);
    }
    if (const error reason = check_second<Self>(first, second); reason != error::none) {
      return fail(reason);
    }
    std::size_t size = 2;
    std::uint64_t length = second & 0x7Fu;
    if (length == 126) {
      length = load_big_endian<std::uint16_t>(from + 2);
      size = 4;
      if (length < detail::least_in_16_bits) {
        return fail(error::non_minimal_length);
      }
    } else if (length == 127) {
      length = load_big_endian<std::uint64_t>(from + 2);
      size = 10;
      if ((length >> 63) != 0) {
        return fail(error::length_too_big);
      }
      if (length < detail::least_in_64_bits) {
        return fail(error::non_minimal_length);
      }
    }
    head.masking_key = 0;
    if constexpr (Self == role::server) {
      std::memcpy(&head.masking_key, from + size, sizeof head.masking_key);
      size += sizeof head.masking_key;
    }
    head.payload_bytes = length;
    head.op = static_cast<opcode>(first & 0x0Fu);
    head.fin = (first & 0x80u) != 0;
    if ((first & 0x08u) == 0) {
      message_open_ = !head.fin;
    }
    return {parse_status::head, error::none, size};
  }

  [[nodiscard]] parse_result resume(const std::byte* input, std::size_t count,
                                    frame_head& head) noexcept;
  [[nodiscard]] error check_carried() const noexcept;
  [[nodiscard]] std::size_t wanted_bytes() const noexcept;

  role self_;
  bool message_open_ = false;
  std::uint8_t carried_ = 0; // bytes of a header in carry_
  std::byte carry_[max_frame_header_bytes] = {};
};

static_assert(sizeof(frame_parser) <= 17, "lies inside every connection");

} // namespace sluice
