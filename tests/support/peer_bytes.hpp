#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::test {

/// One frame as it is on the wire, for tests that build their own bytes.
struct frame_spec {
  unsigned opcode = 0x2;
  std::string_view payload{};
  bool fin = true;
  unsigned reserved = 0;              // RSV1-3 as the bits 4, 2, 1
  std::optional<std::uint32_t> key{}; // masks with it; first byte on the wire = lowest byte
  unsigned length_bytes = 0;          // 0 = shortest form; 1, 2 or 8 force 7, 16 or 64 bits
};
[[nodiscard]] std::string make_frame(const frame_spec& spec);
[[nodiscard]] std::string make_frame(unsigned opcode, std::string_view payload, bool fin = true);
/// A close frame: no status when `status` is 0.
[[nodiscard]] std::string make_close(unsigned status, std::string_view reason = {});

/// Sec-WebSocket-Accept for a Sec-WebSocket-Key, computed here and not by the library.
[[nodiscard]] std::string accept_for(std::string_view key);

/// The value of a header in a request head, names compared without case; nullopt if absent.
[[nodiscard]] std::optional<std::string> header_of(std::string_view head, std::string_view name);
[[nodiscard]] std::size_t header_count(std::string_view head, std::string_view name);

} // namespace sluice::test
