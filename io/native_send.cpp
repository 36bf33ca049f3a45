#include "core/close_codes.hpp"
#include "io/crypto.hpp"
#include "io/native_connection.hpp"
#include "io/system_error.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <utility>

// The sending side: frames are written into a chain of blocks as they will lie on the wire; at the
// end of its turn the loop sends the first block (flush), which most of the time is all there is.

namespace sluice::io {
namespace {

// The queue of a connection that answers now and then stays in one small block; one that is busy
// gets blocks that make few system calls.
constexpr std::size_t first_block_bytes = 4096;
constexpr std::size_t next_block_bytes = std::size_t{64} << 10;

std::span<const std::byte> bytes_of(std::string_view text) noexcept {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

} // namespace

/// Room for `bytes`: what the last block has and, if that is not enough, `extra` behind it, which
/// is not in the queue yet. nullptr: no memory, nothing has changed.
block* native_connection::reserve(std::size_t bytes, block*& extra) noexcept {
  extra = nullptr;
  const std::size_t room = last_out_ != nullptr ? last_out_->room_bytes() : 0;
  if (bytes > room) {
    const std::size_t preferred = last_out_ == nullptr ? first_block_bytes : next_block_bytes;
    extra = home_.blocks().take(std::max(bytes - room, preferred));
    if (extra == nullptr) {
      return nullptr;
    }
  }
  return last_out_ != nullptr ? last_out_ : extra;
}

error native_connection::send_frame(opcode op, bool fin,
                                    std::span<const std::byte> payload) noexcept {
  frame_writer frame(home_.kernels());
  if (self_ == role::client) {
    std::uint32_t key = 0;
    if (keys_ == nullptr) {
      keys_ = memory::make_unique<masking_keys>(&random_bytes);
    }
    if (keys_ == nullptr) {
      return error::no_memory;
    }
    if (!keys_->next(key)) {
      return error::random_failed;
    }
    frame.start_masked(op, fin, payload, key);
  } else {
    frame.start(op, fin, payload);
  }
  const std::size_t total = frame.left_bytes();
  block* extra = nullptr;
  block* to = reserve(total, extra);
  if (to == nullptr) {
    return error::no_memory;
  }
  if (to != extra) {
    to->end += frame.fill({to->bytes() + to->end, to->room_bytes()});
  }
  if (extra != nullptr) {
    extra->end += frame.fill({extra->bytes(), extra->capacity_bytes});
    (last_out_ != nullptr ? last_out_->next : first_out_) = extra;
    last_out_ = extra;
  }
  queued_bytes_ += total;
  ++tx_.frames;
  if (!is_control(op)) {
    tx_.payload_bytes += payload.size();
  }
  home_.queue_flush(*this);
  return error::none;
}

error native_connection::queue_bytes(std::string_view text) noexcept {
  block* extra = nullptr;
  block* const to = reserve(text.size(), extra);
  if (to == nullptr) {
    return error::no_memory;
  }
  std::span<const std::byte> left = bytes_of(text);
  for (block* at : {to != extra ? to : nullptr, extra}) {
    if (at == nullptr) {
      continue;
    }
    const std::size_t count = std::min(left.size(), at->room_bytes());
    if (count != 0) {
      std::memcpy(at->bytes() + at->end, left.data(), count);
    }
    at->end += count;
    left = left.subspan(count);
  }
  if (extra != nullptr) {
    (last_out_ != nullptr ? last_out_->next : first_out_) = extra;
    last_out_ = extra;
  }
  queued_bytes_ += text.size();
  home_.queue_flush(*this);
  return error::none;
}

error native_connection::send_message(message_type type, std::span<const std::byte> payload,
                                      bool fin) noexcept {
  if (state_ != connection_state::open) {
    return error::invalid_state;
  }
  // The queue may exceed its limit by one frame, if it was empty: or a frame larger than the limit
  // could never be sent. Two subtractions, so that no sum can overflow.
  const std::size_t limit = limits_of().max_send_queue_bytes;
  if (queued_bytes_ != 0 && (queued_bytes_ >= limit || payload.size() > limit - queued_bytes_)) {
    wants_writable_ = true;
    return error::would_block;
  }
  const opcode op = sending_message_             ? opcode::continuation
                    : type == message_type::text ? opcode::text
                                                 : opcode::binary;
  const error failed = send_frame(op, fin, payload);
  if (failed == error::none) {
    sending_message_ = !fin;
  }
  return failed;
}

error native_connection::send_ping(std::span<const std::byte> payload) noexcept {
  if (payload.size() > max_control_payload_bytes) {
    return error::invalid_argument;
  }
  if (state_ != connection_state::open) {
    return error::invalid_state;
  }
  if (queued_bytes_ >= limits_of().max_send_queue_bytes) {
    wants_writable_ = true;
    return error::would_block;
  }
  return send_frame(opcode::ping, true, payload);
}

error native_connection::send_close(std::uint16_t status, std::string_view reason) noexcept {
  std::byte payload[max_control_payload_bytes];
  std::size_t count = 0;
  if (status != close_status::empty) {
    payload[0] = static_cast<std::byte>(status >> 8);
    payload[1] = static_cast<std::byte>(status & 0xFFu);
    count = 2;
    if (!reason.empty()) {
      std::memcpy(payload + count, reason.data(), reason.size());
      count += reason.size();
    }
  }
  const error failed = send_frame(opcode::close, true, {payload, count});
  if (failed == error::none) {
    close_sent_ = true;
    interrupted_ = true;
  }
  return failed;
}

error native_connection::begin_close(std::uint16_t status, std::string_view reason) noexcept {
  if (status != close_status::empty && !may_be_sent(status)) {
    return error::invalid_argument;
  }
  if (reason.size() > max_close_reason_bytes ||
      (status == close_status::empty && !reason.empty())) {
    return error::invalid_argument;
  }
  if (!reason.empty()) {
    simd::utf8_state utf8;
    const std::span<const std::byte> bytes = bytes_of(reason);
    if (!home_.kernels().validate(bytes.data(), bytes.size(), utf8).ok || utf8.due != 0) {
      return error::invalid_argument;
    }
  }
  if (state_ == connection_state::closing || state_ == connection_state::closed) {
    return error::none;
  }
  if (state_ != connection_state::open) {
    return error::invalid_state;
  }
  if (const error failed = send_close(status, reason); failed != error::none) {
    return failed;
  }
  state_ = connection_state::closing;
  receive_to_ = {};
  arm_close_timer();
  home_.queue_ready(*this); // what is in the inbox is dropped, and reading goes on if it was paused
  return error::none;
}

void native_connection::flush() noexcept {
  if (!send_.idle() || state_ == connection_state::closed) {
    return;
  }
  if (tls_ != nullptr) {
    seal();
  }
  // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): only non-null after the comparison
  block* const due = tls_ != nullptr ? tls_->sealed : first_out_;
  if (due == nullptr || state_ == connection_state::closed) {
    return;
  }
  send_.socket = recv_.socket;
  send_.bytes = {due->bytes() + due->begin, due->size_bytes()};
  home_.io().submit(send_);
}

void native_connection::sent(std::int32_t result) noexcept {
  if (state_ == connection_state::closed) {
    home_.queue_ended(*this);
    return;
  }
  if (result < 0) {
    lost(error_from_errno(-result));
    return;
  }
  const auto count = static_cast<std::size_t>(result);
  ++home_.counters().sends;
  home_.counters().sent_bytes += count;
  if (tls_ != nullptr) {
    sealed_sent(count);
  } else {
    queued_bytes_ -= count;
    first_out_->begin += count;
    drop_first_out_if_used();
  }
  if (has_unsent()) {
    home_.queue_flush(*this);
  }
  flushed();
}

void native_connection::drop_first_out_if_used() noexcept {
  if (first_out_->begin == first_out_->end) {
    block* const done = first_out_;
    first_out_ = done->next;
    if (first_out_ == nullptr) {
      last_out_ = nullptr;
    }
    home_.blocks().put(*done); // the last one, too: an idle connection has none
  }
}

// Some of the queue has left.
void native_connection::flushed() noexcept {
  const std::size_t low = limits_of().max_send_queue_bytes / 2;
  if (stalled_ && queued_bytes_ <= low) {
    stalled_ = false;
    home_.queue_ready(*this);
  }
  if (wants_writable_ && queued_bytes_ <= low && state_ == connection_state::open) {
    wants_writable_ = false;
    handler_->on_writable(*this);
  }
  if (end_after_flush_ && !has_unsent() && state_ != connection_state::closed && !say_goodbye()) {
    end_after_flush_ = false;
    if (linger_after_flush_) {
      lingering_ = true;
      rx_.inbox().clear();
      incoming().clear();
      if (self_ == role::server || cause_ != error::none) {
        ::shutdown(recv_.socket.fd, SHUT_WR); // else the server is the one to go first
      }
      if (eof_) {
        handle_eof();
      } else {
        arm_recv();
      }
    } else {
      end(cause_);
    }
  }
}

void native_connection::end_when_flushed(error cause, bool linger) noexcept {
  cause_ = cause;
  interrupted_ = true;
  end_after_flush_ = true;
  linger_after_flush_ = linger;
  if (has_unsent()) {
    home_.queue_flush(*this);
  } else {
    flushed();
  }
}

void native_connection::drop_queue() noexcept {
  while (first_out_ != nullptr) {
    block* const gone = first_out_;
    first_out_ = gone->next;
    home_.blocks().put(*gone);
  }
  last_out_ = nullptr;
  queued_bytes_ = tls_ != nullptr ? tls_->sealed_plain_bytes : 0;
}

} // namespace sluice::io
