#pragma once

#include "core/error.hpp"
#include "core/frame.hpp"
#include "core/frame_parser.hpp"
#include "core/limits.hpp"
#include "core/slice_queue.hpp"
#include "core/stats.hpp"
#include "simd/kernels.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace sluice {

/// What receive() came back with.
enum class rx_status : std::uint8_t {
  piece,      // `bytes` payload bytes are in the caller's buffer (0 for an empty frame)
  need_input, // the inbox is used up: append slices and call again; nothing was copied
  ping,       // a ping arrived: answer control_payload() with a pong, then call again
  close,      // the peer's close frame arrived: see peer_close(). Nothing follows it; sticky
  failed,     // the peer broke the protocol: see `reason`. Sticky
  paused,     // deliver(): the sink or the budget wants a break; call again later
  in_pieces,  // deliver_whole(): the next message does not lie in one piece: use receive() for it
  pong,       // as ping, where report_pongs() asks for it; otherwise pongs are skipped
};

struct rx_result {
  rx_status status = rx_status::need_input;
  bool text = false;        // piece: from the opcode that started the message (RCV-40)
  bool message_end = false; // piece: these bytes end the message (RCV-41)
  error reason = error::none;
  std::size_t bytes = 0;
};
static_assert(sizeof(rx_result) == 16, "returned in two registers");

/// A piece of a message, in place: unmasked and, for text, validated.
struct rx_view {
  std::byte* bytes = nullptr;
  std::size_t size_bytes = 0;
  std::uint64_t frame_left_bytes = 0; // of the same frame, still to come
  bool text = false;
  bool message_end = false;
};

/// What one deliver() may do before it takes a break.
struct rx_budget {
  std::size_t bytes = 0;
  std::uint32_t frames = 0;
};

/// The peer's close frame (RFC 6455 section 5.5.1). `status` is 1005 when it had no payload.
struct close_info {
  std::uint16_t status = 0;
  std::uint8_t reason_bytes = 0;
  std::byte reason[max_close_reason_bytes];
};

/// The receiving half of a connection: frames, messages, UTF-8, limits. Bytes come in as slices
/// through inbox(), pieces of messages go out into the caller's memory; every payload byte is read
/// once and written once, by one kernel call per slice. No system call, no allocation per message.
/// Not thread-safe: one receiver at a time.
class message_rx {
public:
  /// `kernels` must outlive this object. limits.max_fragments of 0 counts as 1.
  message_rx(role self, const limits& bounds,
             const simd::kernel_table& kernels = simd::active_kernels()) noexcept;

  [[nodiscard]] slice_queue& inbox() noexcept { return inbox_; }

  /// Copies the next piece of a message to `to` (at least one byte of room) and says what it is.
  /// A piece never spans two frames (decision X-20); an empty frame is a piece of 0 bytes (RCV-47,
  /// RCV-48). Returns as soon as there is one payload byte, without waiting to fill the buffer
  /// (RCV-43). Text is validated across pieces and frames; the piece that holds the first bad byte
  /// is not delivered (decision X-25; what `to` holds then is unspecified). Pongs are skipped.
  /// After close and failed the inbox is emptied, now and in later calls.
  [[nodiscard]] rx_result receive(std::span<std::byte> to) noexcept;

  /// Hands over what is in the inbox as views into its slices, without copying, piece by piece:
  /// `sink(const rx_view&)` is called for each and returns false to take a break. The bytes stay
  /// put until the sink returns, and longer if it retains the buffer (inbox().front_buffer()). A
  /// piece never spans two frames or two slices. `Self` must be the role given to the constructor.
  /// Returns need_input, ping, pong, close, failed, or paused; budget is used up as it goes.
  /// Defined in core/message_views.hpp.
  template <role Self, typename Sink>
  [[nodiscard]] rx_result deliver(Sink& sink, rx_budget& budget) noexcept;

  /// As deliver(), but calls the sink for whole messages only: when what comes next is not a
  /// message of one frame in one slice, returns in_pieces, and it is to be taken with receive().
  template <role Self, typename Sink>
  [[nodiscard]] rx_result deliver_whole(Sink& sink, rx_budget& budget) noexcept;

  /// Payload bytes of the frame in progress that have not been taken yet; 0 between frames.
  [[nodiscard]] std::uint64_t frame_left_bytes() const noexcept {
    return phase_ == phase::payload ? frame_.payload_bytes : 0;
  }
  /// What comes next is a control frame, its rest or the end of the stream: receive() will come to
  /// that before it touches a payload byte, or asks for input.
  [[nodiscard]] bool control_next() const noexcept {
    constexpr unsigned control_bit = 0x08; // RFC 6455 section 5.5
    switch (phase_) {
    case phase::message_start:
    case phase::header:
      return parser_.mid_header()
                 ? (parser_.first_byte() & control_bit) != 0
                 : !inbox_.empty() &&
                       (std::to_integer<unsigned>(inbox_.front_bytes()[0]) & control_bit) != 0;
    case phase::payload:
      return false;
    case phase::control:
    case phase::closed:
    case phase::failed:
      break;
    }
    return true;
  }
  /// Between two messages: no byte of the next one has been taken.
  [[nodiscard]] bool between_messages() const noexcept {
    return phase_ == phase::message_start || (phase_ == phase::header && !parser_.message_open());
  }

  /// After need_input, for a source that copies its bytes to any place in any case (TLS): the part
  /// of `to`, the room of the next receive(), that may be filled with the next bytes instead of the
  /// inbox, because they are payload that wants no other treatment; then took(). Empty if that is
  /// not so, or so little that the rest of the frame had better come along with what follows it.
  [[nodiscard]] std::span<std::byte> direct_room(std::span<std::byte> to) const noexcept;
  /// The first `count` bytes of direct_room() are filled, at least one: the piece that they are
  /// (RCV-41, RCV-43).
  [[nodiscard]] rx_result took(std::size_t count) noexcept;

  /// As receive(), but drops payload without looking at it: what a closing side does with data
  /// (CLO-02). Returns need_input, ping, close or failed, never piece. There is no way back: do not
  /// call receive() after it.
  [[nodiscard]] rx_result discard() noexcept;

  /// Makes the calls below and above return rx_status::pong, for programs that measure with pings.
  void report_pongs() noexcept { report_pongs_ = true; }

  /// Payload of the ping or pong that was just reported; good until the next call.
  [[nodiscard]] std::span<const std::byte> control_payload() const noexcept {
    return {control_, control_bytes_};
  }

  /// Only after rx_status::close.
  [[nodiscard]] const close_info& peer_close() const noexcept { return close_; }

  [[nodiscard]] const rx_stats& stats() const noexcept { return stats_; }

private:
  // Where in the stream the next byte stands.
  enum class phase : std::uint8_t {
    message_start, // before a frame, no message open, no part of a header read
    header,        // before a frame or inside its header
    payload,       // inside the payload of a data frame
    control,       // inside the payload of a control frame
    closed,        // after the close frame
    failed,        // after a violation
  };

  template <role Self> [[nodiscard]] rx_result receive_as(std::span<std::byte> to) noexcept;
  template <role Self>
  [[nodiscard]] rx_result take_text(std::byte* to, const std::byte* payload,
                                    std::size_t count) noexcept;
  void end_whole_message(const std::byte* payload, std::size_t count) noexcept;
  [[nodiscard]] static std::uint32_t key_before(const std::byte* payload) noexcept;
  enum class take : std::uint8_t { copy, drop, view };

  template <role Self, take How>
  [[nodiscard]] rx_result advance(std::span<std::byte> to, rx_view* view = nullptr) noexcept;
  template <role Self, bool Whole, typename Sink>
  [[nodiscard]] rx_result deliver_as(Sink& sink, rx_budget& budget) noexcept;
  template <role Self, typename Sink>
  [[nodiscard]] bool deliver_front(Sink& sink, rx_budget& budget) noexcept;
  template <role Self, typename Sink>
  [[nodiscard]] bool deliver_short(Sink& sink, std::byte*& from, std::byte* end,
                                   const std::byte* stop, std::uint32_t& frames_left,
                                   std::uint64_t& payload_bytes) noexcept;
  /// The general case of deliver(): prepares the next piece in place; `piece` lies at the front of
  /// the inbox and is not consumed yet.
  [[nodiscard]] rx_result next_view(rx_view& piece) noexcept;
  template <role Self> [[nodiscard]] rx_result view_payload(rx_view& piece) noexcept;
  template <role Self> [[nodiscard]] bool read_header() noexcept;
  [[nodiscard]] bool begin_data_frame() noexcept;
  template <role Self> [[nodiscard]] rx_result copy_payload(std::span<std::byte> to) noexcept;
  template <role Self> [[nodiscard]] bool copy_slice(std::byte* to, std::size_t count) noexcept;
  void drop_payload() noexcept;
  [[nodiscard]] rx_result end_piece(std::size_t bytes, bool copied = true) noexcept;
  template <role Self> [[nodiscard]] bool collect_control() noexcept;
  [[nodiscard]] rx_result end_close() noexcept;
  [[nodiscard]] rx_result failure(error reason) noexcept;
  [[nodiscard]] rx_result ended() noexcept;

  [[nodiscard]] static constexpr rx_result only(rx_status status) noexcept {
    return {status, false, false, error::none, 0};
  }

  // Read or written for every message.
  phase phase_ = phase::message_start;
  role self_;
  bool text_ = false; // of the open message
  bool report_pongs_ = false;
  error reason_ = error::none;
  simd::utf8_state utf8_; // of the open message
  const simd::kernel_table* kernels_;
  std::uint64_t max_message_bytes_;
  slice_queue inbox_;
  rx_stats stats_;

  // The frame and the message being received, when not finished in one go.
  frame_head frame_;               // payload_bytes: what is still to come; key: rotated for it
  std::uint64_t message_room_ = 0; // payload bytes the open message may still announce
  std::uint64_t fragment_room_ = 0;
  std::uint64_t max_fragments_;
  frame_parser parser_;
  std::uint8_t control_bytes_ = 0;
  union { // control_ until the close frame is complete, close_ from then on
    std::byte control_[max_control_payload_bytes];
    close_info close_;
  };
};

static_assert(sizeof(message_rx) <= 448, "one per connection, idle ones included");

} // namespace sluice
