#include "core/message_rx.hpp"

#include "core/close_codes.hpp"
#include "core/copy_bytes.hpp"
#include "core/probes.hpp"

#include <algorithm>
#include <cstring>
#include <memory>

// How a call runs. The common case comes first: a whole frame that is a whole message, in one
// slice, with room for it, is done by receive_as() alone. Everything else is advance(), a loop over
// phases:
//
//   header -> (data)    payload -> piece            header again, or message_start after FIN
//          -> (control) control -> pong: header     ping: header, returned to the caller
//                                  close: closed
//
// Each turn consumes input, changes the phase or returns, so a call ends after a number of turns
// bounded by what is in the inbox.

namespace sluice {
namespace {

// From here on a copy less is worth a read of its own (perf-notes.md, section 6).
constexpr std::size_t min_direct_bytes = 8192;

} // namespace

message_rx::message_rx(role self, const limits& bounds, const simd::kernel_table& kernels) noexcept
    : self_(self), kernels_(&kernels), max_message_bytes_(bounds.max_message_bytes),
      max_fragments_(std::max<std::uint64_t>(bounds.max_fragments, 1)), parser_(self), control_{} {}

rx_result message_rx::receive(std::span<std::byte> to) noexcept {
  return self_ == role::client ? receive_as<role::client>(to) : receive_as<role::server>(to);
}

rx_result message_rx::discard() noexcept {
  return self_ == role::client ? advance<role::client, take::drop>({})
                               : advance<role::server, take::drop>({});
}

// A server has to unmask what it gets, and text is validated while it is copied.
std::span<std::byte> message_rx::direct_room(std::span<std::byte> to) const noexcept {
  if (self_ == role::server || text_ || phase_ != phase::payload || !inbox_.empty()) {
    return {};
  }
  const auto room =
      static_cast<std::size_t>(std::min<std::uint64_t>(to.size(), frame_.payload_bytes));
  return room < min_direct_bytes ? std::span<std::byte>() : to.first(room);
}

rx_result message_rx::took(std::size_t count) noexcept {
  return end_piece(count, false);
}

rx_result message_rx::next_view(rx_view& piece) noexcept {
  return self_ == role::client ? advance<role::client, take::view>({}, &piece)
                               : advance<role::server, take::view>({}, &piece);
}

// Each way out is a tail call or a few instructions: what is returned in two registers is neither
// taken apart nor put together again on the way.
template <role Self> inline rx_result message_rx::receive_as(std::span<std::byte> to) noexcept {
  constexpr unsigned mask_bit = Self == role::server ? 0x80 : 0;
  constexpr std::size_t key_bytes = Self == role::server ? sizeof(std::uint32_t) : 0;

  const std::byte* const from = inbox_.front_bytes();
  std::size_t available = inbox_.front_size_bytes();
  if (phase_ != phase::message_start || available < 2 + key_bytes) {
    return advance<Self, take::copy>(to);
  }
  const auto first = std::to_integer<unsigned>(from[0]);
  const bool text = first == (0x80u | static_cast<unsigned>(opcode::text));
  const bool binary = first == (0x80u | static_cast<unsigned>(opcode::binary));
  // With the wrong mask bit this is 128 or more.
  std::size_t count = std::to_integer<unsigned>(from[1]) ^ mask_bit;
  const std::byte* payload = from + 2 + key_bytes;
  available -= 2 + key_bytes;
  if (count > 125) {
    if (count != 126 || available < 2) {
      return advance<Self, take::copy>(to);
    }
    count = std::to_integer<std::size_t>(from[2]) << 8 | std::to_integer<std::size_t>(from[3]);
    payload += 2;
    available -= 2;
    if (count < 126) {
      return advance<Self, take::copy>(to);
    }
  }
  if (!(text || binary) || count > available || count > to.size() || count > max_message_bytes_) {
    return advance<Self, take::copy>(to);
  }
  SLUICE_PROBE4(frame, &inbox_, first & 0x0Fu, count, true);
  if (text) {
    return take_text<Self>(to.data(), payload, count);
  }
  if constexpr (Self == role::client) {
    copy_bytes(*kernels_, to.data(), payload, count);
  } else {
    kernels_->unmask_copy(to.data(), payload, count, key_before(payload));
  }
  SLUICE_PROBE4(deliver, &inbox_, count, false, true);
  end_whole_message(payload, count);
  return {rx_status::piece, false, true, error::none, count};
}

// The text of receive_as(); a function of its own because `state` has an address, which would keep
// the compiler from making tail calls.
template <role Self>
[[gnu::noinline]] rx_result message_rx::take_text(std::byte* to, const std::byte* payload,
                                                  std::size_t count) noexcept {
  simd::utf8_state state;
  simd::utf8_result checked;
  if constexpr (Self == role::client) {
    checked = kernels_->validate_copy(to, payload, count, state);
  } else {
    checked = kernels_->unmask_validate_copy(to, payload, count, key_before(payload), state);
  }
  if (!checked.ok || state.due != 0) [[unlikely]] {
    return failure(error::text_utf8);
  }
  SLUICE_PROBE4(deliver, &inbox_, count, true, true);
  end_whole_message(payload, count);
  return {rx_status::piece, true, true, error::none, count};
}

// The key stands right before the payload (RFC 6455 section 5.2).
std::uint32_t message_rx::key_before(const std::byte* payload) noexcept {
  std::uint32_t key;
  std::memcpy(&key, payload - sizeof key, sizeof key);
  return key;
}

inline void message_rx::end_whole_message(const std::byte* payload, std::size_t count) noexcept {
  ++stats_.messages;
  ++stats_.frames;
  stats_.payload_bytes += count;
  stats_.copied_bytes += count;
  inbox_.consume(static_cast<std::size_t>(payload + count - inbox_.front_bytes()));
}

template <role Self, message_rx::take How>
[[gnu::noinline]] rx_result message_rx::advance(std::span<std::byte> to, rx_view* view) noexcept {
  for (;;) {
    switch (phase_) {
    case phase::message_start:
    case phase::header:
      if (inbox_.empty()) {
        return only(rx_status::need_input);
      }
      if (!read_header<Self>()) {
        return reason_ == error::none ? only(rx_status::need_input) : failure(reason_);
      }
      if (phase_ == phase::payload && frame_.payload_bytes == 0) {
        if constexpr (How == take::view) {
          *view = {};
          const rx_result ended = end_piece(0);
          view->text = ended.text;
          view->message_end = ended.message_end;
          return ended;
        } else if constexpr (How == take::copy) {
          return end_piece(0); // decision X-21: with more frames to come too
        } else {
          drop_payload();
        }
      }
      break;
    case phase::payload:
      if (inbox_.empty()) {
        return only(rx_status::need_input);
      }
      if constexpr (How == take::view) {
        return view_payload<Self>(*view);
      } else if constexpr (How == take::copy) {
        return copy_payload<Self>(to);
      } else {
        drop_payload();
      }
      break;
    case phase::control:
      if (!collect_control<Self>()) {
        return only(rx_status::need_input);
      }
      phase_ = parser_.message_open() ? phase::header : phase::message_start;
      if (frame_.op == opcode::ping) {
        ++stats_.pings;
        return only(rx_status::ping);
      }
      if (frame_.op == opcode::close) {
        return end_close();
      }
      ++stats_.pongs;
      if (report_pongs_) {
        return only(rx_status::pong);
      }
      break; // CTL-02
    case phase::closed:
    case phase::failed:
      return ended();
    }
  }
}

// Reads a header across slices; then phase_ is payload or control. False when input ran out, or,
// with reason_ set, when the header is refused.
template <role Self> inline bool message_rx::read_header() noexcept {
  phase_ = phase::header;
  parse_result parsed;
  do {
    parsed = parser_.parse_as<Self>(inbox_.front_bytes(), inbox_.front_size_bytes(), frame_);
    inbox_.consume(parsed.consumed_bytes);
  } while (parsed.status == parse_status::need_input && !inbox_.empty());
  if (parsed.status != parse_status::head) {
    reason_ = parsed.reason; // none: need_input
    return false;
  }
  ++stats_.frames;
  SLUICE_PROBE4(frame, &inbox_, static_cast<unsigned>(frame_.op), frame_.payload_bytes, frame_.fin);
  if (is_control(frame_.op)) {
    control_bytes_ = 0;
    phase_ = phase::control;
    return true;
  }
  phase_ = phase::payload;
  return begin_data_frame();
}

// Limits are checked at the header that crosses them, before any of its payload.
inline bool message_rx::begin_data_frame() noexcept {
  if (frame_.op != opcode::continuation) {
    text_ = frame_.op == opcode::text;
    utf8_ = {};
    message_room_ = max_message_bytes_;
    fragment_room_ = max_fragments_;
  }
  if (fragment_room_ == 0) {
    reason_ = error::too_many_fragments;
    return false;
  }
  if (frame_.payload_bytes > message_room_) {
    reason_ = error::message_too_big;
    return false;
  }
  --fragment_room_;
  message_room_ -= frame_.payload_bytes;
  return true;
}

template <role Self> inline bool message_rx::copy_slice(std::byte* to, std::size_t count) noexcept {
  const std::byte* const from = inbox_.front_bytes();
  if constexpr (Self == role::client) {
    if (!text_) {
      copy_bytes(*kernels_, to, from, count);
      return true;
    }
    return kernels_->validate_copy(to, from, count, utf8_).ok;
  } else {
    const std::uint32_t key = frame_.masking_key;
    frame_.masking_key = simd::rotate_key(key, count);
    if (!text_) {
      kernels_->unmask_copy(to, from, count, key);
      return true;
    }
    return kernels_->unmask_validate_copy(to, from, count, key, utf8_).ok;
  }
}

// Only with payload to come and input there. Decision X-22: the end of `to`, or of the input, may
// fall into a code point.
template <role Self> inline rx_result message_rx::copy_payload(std::span<std::byte> to) noexcept {
  const std::size_t wanted =
      static_cast<std::size_t>(std::min<std::uint64_t>(to.size(), frame_.payload_bytes));
  std::size_t done = 0;
  do {
    const std::size_t count = std::min(wanted - done, inbox_.front_size_bytes());
    if (!copy_slice<Self>(to.data() + done, count)) {
      return failure(error::text_utf8); // section 8.1
    }
    inbox_.consume(count);
    done += count;
  } while (done < wanted && !inbox_.empty());
  return end_piece(done);
}

// As copy_payload(), in place and within the front slice.
template <role Self> inline rx_result message_rx::view_payload(rx_view& piece) noexcept {
  std::byte* const at = inbox_.front_bytes();
  const std::size_t count = static_cast<std::size_t>(
      std::min<std::uint64_t>(inbox_.front_size_bytes(), frame_.payload_bytes));
  bool valid = true;
  if constexpr (Self == role::client) {
    if (text_) {
      valid = kernels_->validate(at, count, utf8_).ok;
    }
  } else {
    const std::uint32_t key = frame_.masking_key;
    frame_.masking_key = simd::rotate_key(key, count);
    if (text_) {
      valid = kernels_->unmask_validate(at, count, key, utf8_).ok;
    } else {
      kernels_->unmask(at, count, key);
    }
  }
  if (!valid) {
    return failure(error::text_utf8); // section 8.1
  }
  const rx_result ended = end_piece(count, false);
  piece = {at, count, frame_.payload_bytes, ended.text, ended.message_end};
  return ended;
}

inline void message_rx::drop_payload() noexcept {
  while (frame_.payload_bytes != 0 && !inbox_.empty()) {
    const std::size_t count = static_cast<std::size_t>(
        std::min<std::uint64_t>(frame_.payload_bytes, inbox_.front_size_bytes()));
    inbox_.consume(count);
    frame_.payload_bytes -= count;
  }
  if (frame_.payload_bytes == 0) {
    phase_ = frame_.fin ? phase::message_start : phase::header;
  }
}

inline rx_result message_rx::end_piece(std::size_t bytes, bool copied) noexcept {
  frame_.payload_bytes -= bytes;
  bool message_end = false;
  if (frame_.payload_bytes == 0) {
    message_end = frame_.fin;
    if (message_end) {
      if (text_ && utf8_.due != 0) {
        return failure(error::text_utf8); // a sequence the message does not finish
      }
      ++stats_.messages;
    }
    phase_ = message_end ? phase::message_start : phase::header;
  }
  stats_.payload_bytes += bytes;
  if (copied) {
    stats_.copied_bytes += bytes;
  }
  SLUICE_PROBE4(deliver, &inbox_, bytes, text_, message_end);
  return {rx_status::piece, text_, message_end, error::none, bytes};
}

// Gathers and unmasks the payload of a control frame; false when input ran out before its end.
template <role Self> inline bool message_rx::collect_control() noexcept {
  while (frame_.payload_bytes != 0) {
    if (inbox_.empty()) {
      return false;
    }
    const std::size_t count =
        std::min(static_cast<std::size_t>(frame_.payload_bytes), inbox_.front_size_bytes());
    if constexpr (Self == role::client) {
      copy_bytes(*kernels_, control_ + control_bytes_, inbox_.front_bytes(), count);
    } else {
      kernels_->unmask_copy(control_ + control_bytes_, inbox_.front_bytes(), count,
                            frame_.masking_key);
      frame_.masking_key = simd::rotate_key(frame_.masking_key, count);
    }
    control_bytes_ = static_cast<std::uint8_t>(control_bytes_ + count);
    frame_.payload_bytes -= count;
    inbox_.consume(count);
  }
  return true;
}

// RFC 6455 sections 5.5.1 and 7.1.5 to 7.1.6, decision X-24. The header rules exclude a payload of
// one byte.
rx_result message_rx::end_close() noexcept {
  close_info received{};
  received.status = close_status::empty;
  if (control_bytes_ != 0) {
    const auto high = std::to_integer<unsigned>(control_[0]);
    const auto low = std::to_integer<unsigned>(control_[1]);
    received.status = static_cast<std::uint16_t>(high << 8 | low);
    if (!may_be_sent(received.status)) {
      return failure(error::close_status_code);
    }
    received.reason_bytes = static_cast<std::uint8_t>(control_bytes_ - 2);
    std::memcpy(received.reason, control_ + 2, received.reason_bytes);
    simd::utf8_state state;
    if (!kernels_->validate(received.reason, received.reason_bytes, state).ok || state.due != 0) {
      return failure(error::close_reason_utf8);
    }
  }
  std::construct_at(&close_, received);
  control_bytes_ = 0;
  phase_ = phase::closed;
  SLUICE_PROBE3(close, &inbox_, received.status, 0);
  return ended();
}

rx_result message_rx::failure(error reason) noexcept {
  reason_ = reason;
  phase_ = phase::failed;
  SLUICE_PROBE3(close, &inbox_, close_status::aborted, static_cast<int>(reason));
  return ended();
}

rx_result message_rx::ended() noexcept {
  inbox_.clear(); // decision X-23: nothing that follows counts, and no buffer stays here
  return {phase_ == phase::closed ? rx_status::close : rx_status::failed, false, false, reason_, 0};
}

} // namespace sluice
