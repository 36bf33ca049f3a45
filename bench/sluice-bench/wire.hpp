#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sluice_bench {

/// The wire format, written a second time on purpose: a generator that shared the library's code
/// would share its mistakes, and the other receivers would be measured with our frames.

inline constexpr std::size_t max_header_bytes = 14; // RFC 6455 section 5.2: 2 + 8 + 4

/// RFC 6455 section 5.2 opcodes.
enum class opcode : std::uint8_t {
  continuation = 0,
  text = 1,
  binary = 2,
  close = 8,
  ping = 9,
  pong = 10
};

/// Appends one frame. `key` is used only when `masked`, first wire byte = first byte in memory.
void append_frame(std::vector<std::byte>& wire, opcode op, bool fin, bool masked, std::uint32_t key,
                  std::span<const std::byte> payload);

/// The bytes that append_frame adds for this payload size.
[[nodiscard]] std::size_t frame_bytes(std::size_t payload_bytes, bool masked) noexcept;

/// A text frame on its own, as a client (masked) or a server sends it.
[[nodiscard]] std::vector<std::byte> text_frame(std::string_view text, bool masked,
                                                std::uint32_t key);
/// A close frame with status 1000 and no reason.
[[nodiscard]] std::vector<std::byte> close_frame(bool masked);

/// Sec-WebSocket-Accept for a key (RFC 6455 section 4.2.2); by OpenSSL's SHA-1 and base64.
[[nodiscard]] std::string accept_for(std::string_view key);
/// A fresh Sec-WebSocket-Key.
[[nodiscard]] std::string fresh_key();

/// The value of a header in an HTTP head, spaces around it removed; empty when it is not there.
/// Names compare without case.
[[nodiscard]] std::string_view header_value(std::string_view head, std::string_view name) noexcept;

/// A server's whole answer to an upgrade request; empty when `head` is not one.
[[nodiscard]] std::string upgrade_answer(std::string_view head);

/// Reads what comes back on a connection: frames of either kind, in slices of any size. Data
/// messages are counted, the last short text message and a close frame are kept, pings queue
/// their answers.
class reply_reader {
public:
  /// False when the bytes cannot be frames; nothing after that is read.
  bool feed(std::span<const std::byte> bytes);

  [[nodiscard]] std::uint64_t messages() const noexcept { return messages_; }
  [[nodiscard]] std::uint64_t payload_bytes() const noexcept { return payload_bytes_; }

  /// A text message of at most 64 bytes arrived since the last take_text().
  [[nodiscard]] bool has_text() const noexcept { return has_text_; }
  [[nodiscard]] std::string take_text();

  [[nodiscard]] bool closed() const noexcept { return closed_; }
  /// The status of the peer's close frame; 1005 when it had none.
  [[nodiscard]] int close_status() const noexcept { return close_status_; }

  /// Payloads of pings that still want a pong.
  [[nodiscard]] std::vector<std::vector<std::byte>>& pings() noexcept { return pings_; }

private:
  void begin_frame();
  void end_frame();

  std::byte header_[max_header_bytes];
  std::size_t header_fill_ = 0;
  std::size_t header_bytes_ = 2;
  std::uint64_t payload_left_ = 0;
  std::uint64_t payload_offset_ = 0;
  std::byte key_[4] = {};
  opcode op_ = opcode::continuation;
  bool fin_ = false;
  bool masked_ = false;
  bool in_payload_ = false;
  bool in_text_ = false;
  bool text_too_long_ = false;
  bool bad_ = false;
  bool has_text_ = false;
  bool closed_ = false;
  int close_status_ = 1005;
  std::uint64_t messages_ = 0;
  std::uint64_t payload_bytes_ = 0;
  std::string text_; // of the message being read
  std::string last_text_;
  std::vector<std::byte> control_;
  std::vector<std::vector<std::byte>> pings_;
};

} // namespace sluice_bench
