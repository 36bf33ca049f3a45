#pragma once

#include "core/frame.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <vector>

namespace sluice::test {

using bytes = std::vector<std::byte>;

[[nodiscard]] inline bytes to_bytes(std::string_view text) {
  bytes made;
  for (const char c : text) {
    made.push_back(static_cast<std::byte>(c));
  }
  return made;
}

[[nodiscard]] inline bytes raw(std::initializer_list<unsigned> values) {
  bytes made;
  for (const unsigned value : values) {
    made.push_back(static_cast<std::byte>(value));
  }
  return made;
}

/// `count` bytes that differ from their neighbours and do not repeat with a power of two.
[[nodiscard]] inline bytes pattern(std::size_t count, unsigned seed = 1) {
  bytes made(count);
  for (std::size_t i = 0; i < count; ++i) {
    made[i] = static_cast<std::byte>((i * 167 + i / 251 + seed) & 0xFFu);
  }
  return made;
}

/// `count` ASCII letters.
[[nodiscard]] inline bytes letters(std::size_t count) {
  bytes made(count);
  for (std::size_t i = 0; i < count; ++i) {
    made[i] = static_cast<std::byte>('a' + i % 23);
  }
  return made;
}

inline void append(bytes& to, const bytes& more) {
  to.insert(to.end(), more.begin(), more.end());
}

[[nodiscard]] inline bytes joined(std::initializer_list<bytes> parts) {
  bytes made;
  for (const bytes& part : parts) {
    append(made, part);
  }
  return made;
}

/// One frame as the peer of `receiver` must send it: masked, with a key that depends on the payload
/// size, if the receiver is a server. Written apart from the library's own writer.
struct frame_maker {
  role receiver = role::client;

  [[nodiscard]] bytes header(unsigned first, std::uint64_t payload_bytes) const {
    bytes made = raw({first});
    const unsigned mask_bit = receiver == role::server ? 0x80 : 0;
    std::size_t length_bytes = 0;
    if (payload_bytes <= 125) {
      made.push_back(static_cast<std::byte>(mask_bit | payload_bytes));
    } else if (payload_bytes <= 0xFFFF) {
      made.push_back(static_cast<std::byte>(mask_bit | 126u));
      length_bytes = 2;
    } else {
      made.push_back(static_cast<std::byte>(mask_bit | 127u));
      length_bytes = 8;
    }
    for (std::size_t i = length_bytes; i > 0; --i) {
      made.push_back(static_cast<std::byte>(payload_bytes >> (8 * (i - 1)) & 0xFFu));
    }
    if (receiver == role::server) {
      for (const unsigned value : key(payload_bytes)) {
        made.push_back(static_cast<std::byte>(value));
      }
    }
    return made;
  }

  [[nodiscard]] bytes frame(unsigned first, const bytes& payload) const {
    bytes made = header(first, payload.size());
    const std::array<unsigned, 4> mask = key(payload.size());
    for (std::size_t i = 0; i < payload.size(); ++i) {
      made.push_back(receiver == role::server ? payload[i] ^ static_cast<std::byte>(mask[i % 4])
                                              : payload[i]);
    }
    return made;
  }

  [[nodiscard]] bytes frame(opcode op, bool fin, const bytes& payload) const {
    return frame((fin ? 0x80u : 0u) | static_cast<unsigned>(op), payload);
  }
  [[nodiscard]] bytes frame(opcode op, bool fin, std::string_view payload) const {
    return frame(op, fin, to_bytes(payload));
  }

  [[nodiscard]] bytes close(unsigned status, std::string_view reason = {}) const {
    bytes payload = raw({status >> 8, status & 0xFFu});
    append(payload, to_bytes(reason));
    return frame(opcode::close, true, payload);
  }

private:
  [[nodiscard]] static std::array<unsigned, 4> key(std::uint64_t payload_bytes) {
    return {0x37u ^ static_cast<unsigned>(payload_bytes & 0xFFu), 0xFAu, 0x21u, 0x80u};
  }
};

} // namespace sluice::test
