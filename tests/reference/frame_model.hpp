#pragma once

#include "core/error.hpp"
#include "core/frame.hpp"
#include "core/limits.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

/// A slow and obvious receiver to compare the real one with. It keeps the whole byte stream, reads
/// every header and validates every text message from its beginning again and again, and takes its
/// rules from tables. It shares no rule with the library, only the enumerations.
namespace sluice::reference {

/// What one call of receive() must answer.
struct answer {
  enum class kind { piece, need_input, ping, close, failed };
  kind what = kind::need_input;
  bool text = false;
  bool message_end = false;
  error reason = error::none;
  std::vector<std::byte> bytes;   // piece: payload; ping: payload; close: reason
  std::uint16_t close_status = 0; // close

  friend bool operator==(const answer&, const answer&) = default;
};

[[nodiscard]] std::string describe(const answer& a);

/// A header, as far as `available` bytes of it tell.
struct header {
  error reason = error::none; // refused; `size` is then the count of bytes it takes to see it
  bool complete = false;
  std::size_t size = 0;
  unsigned op = 0;
  bool fin = false;
  std::uint64_t payload_bytes = 0;
  std::vector<std::byte> key; // empty or four bytes
};
[[nodiscard]] header read_header(role self, bool message_open, const std::byte* from,
                                 std::size_t available);

/// Offset of the first byte that cannot continue valid UTF-8, if there is one. A sequence that only
/// lacks its end is not an error; `cut_short` tells it.
[[nodiscard]] std::optional<std::size_t> first_bad_utf8(const std::vector<std::byte>& text,
                                                        bool& cut_short);

class frame_model {
public:
  frame_model(role self, const limits& bounds) : self_(self), bounds_(bounds) {}

  /// More of the stream has arrived.
  void push(const std::byte* from, std::size_t count) {
    stream_.insert(stream_.end(), from, from + count);
  }

  [[nodiscard]] answer receive(std::size_t room);

private:
  [[nodiscard]] answer fail(error reason);
  [[nodiscard]] answer control(const header& head, std::size_t payload_at);
  [[nodiscard]] std::vector<std::byte> payload(const header& head, std::size_t payload_at,
                                               std::size_t begin, std::size_t end) const;

  role self_;
  limits bounds_;
  std::vector<std::byte> stream_;
  std::size_t frame_at_ = 0;       // where the current frame's header begins
  std::size_t frame_given_ = 0;    // payload bytes of the current frame given out
  bool frame_counted_ = false;     // the current frame's header passed the limits
  bool message_open_ = false;      // before the current frame
  bool text_ = false;              // the message
  std::uint64_t announced_ = 0;    // payload bytes of the message in the headers so far
  std::uint64_t fragments_ = 0;    // of the message, so far
  std::vector<std::byte> message_; // text of the message given out so far
  std::optional<answer> last_;     // close or failed
};

} // namespace sluice::reference
