#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sluice_bench {

/// What payloads are made of. All but binary are valid UTF-8 and travel as text: ascii is one-byte
/// characters only, latin words with accented (two-byte) letters, cjk three-byte and emoji
/// four-byte characters, mixed short runs of all four.
enum class payload_kind { binary, ascii, latin, cjk, emoji, mixed };

[[nodiscard]] std::optional<payload_kind> payload_kind_named(std::string_view name) noexcept;
[[nodiscard]] const char* to_string(payload_kind kind) noexcept;

struct traffic_settings {
  std::vector<std::size_t> message_bytes{1024}; // payload sizes, sent in turn
  payload_kind kind = payload_kind::binary;
  bool masked = true;
  std::size_t fragment_bytes = 0; // payload bytes a frame at most; 0 = one frame a message
  std::size_t ping_every = 0;     // a ping before every n-th message; 0 = none
  std::uint64_t seed = 1;
};

/// `bytes` bytes of payload, the same for the same seed.
[[nodiscard]] std::vector<std::byte> make_payload(payload_kind kind, std::size_t bytes,
                                                  std::uint64_t& seed);

/// Messages as wire bytes, made once and sent over and over: a stream is this block repeated.
/// Positions are wire bytes since the start of such a stream. Masking keys differ from frame to
/// frame but repeat with the block, which real clients must never do and receivers cannot notice.
class traffic {
public:
  /// Throws failure(exit_bad_use) when the settings cannot be sent.
  explicit traffic(const traffic_settings& settings);

  [[nodiscard]] std::span<const std::byte> block() const noexcept { return block_; }
  /// The longest run of wire bytes from `position` on, of at most `max_bytes`.
  [[nodiscard]] std::span<const std::byte> from(std::uint64_t position,
                                                std::uint64_t max_bytes) const noexcept {
    const std::size_t offset = static_cast<std::size_t>(position % block_.size());
    const std::size_t left = block_.size() - offset;
    return std::span(block_).subspan(offset,
                                     max_bytes < left ? static_cast<std::size_t>(max_bytes) : left);
  }

  /// Messages that end at or before `position`.
  [[nodiscard]] std::uint64_t messages_before(std::uint64_t position) const noexcept;
  /// Where the first `messages` messages end.
  [[nodiscard]] std::uint64_t end_of(std::uint64_t messages) const noexcept;
  /// Payload bytes of the first `messages` messages.
  [[nodiscard]] std::uint64_t payload_of(std::uint64_t messages) const noexcept;
  /// `position` if a message ends there, else the end of the message it lies in.
  [[nodiscard]] std::uint64_t message_end_at_or_after(std::uint64_t position) const noexcept;

private:
  std::vector<std::byte> block_;
  std::vector<std::uint64_t> ends_;     // [i] = end of message i in the block
  std::vector<std::uint64_t> payloads_; // [i] = payload bytes of messages 0..i
};

} // namespace sluice_bench
