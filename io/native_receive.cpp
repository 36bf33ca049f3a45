#include "core/close_codes.hpp"
#include "core/message_views.hpp"
#include "core/probes.hpp"
#include "io/native_connection.hpp"
#include "io/system_error.hpp"
#include "io/view_access.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

// The receiving side of a connection:
//
//   on_received_slice -> run -> run_frames: deliver until nothing is left, then arm_recv
//                (multishot: by way of the loop's ready list, for all slices of a turn together)
//                          |      the delivery decides how: views, collected messages, caller's
//                          buffer
//                          +-> run_opening (until the handshake is done)
//
// Callbacks run inside run_frames() only. What they do to the connection takes effect through
// interrupted_, at which the innermost loop stops, so that no callback runs inside another.

namespace sluice::io {

struct native_connection::slice_sink {
  native_connection& to;

  bool operator()(const rx_view& piece) const noexcept {
    to.handler_->on_slice(to, detail::view_access::make(piece, to));
    return !to.interrupted_;
  }
};

struct native_connection::message_sink {
  native_connection& to;

  bool operator()(const rx_view& message) const noexcept {
    to.handler_->on_message(to, detail::view_access::make(message, to));
    return !to.interrupted_;
  }
};

void native_connection::on_received_slice() noexcept {
  const std::int32_t result = recv_.result;
  buffer* const filled = recv_.filled;
  recv_.filled = nullptr;
  if (state_ == connection_state::closed) {
    if (filled != nullptr) {
      release_buffer(*filled);
    }
    home_.queue_ended(*this);
    return;
  }
  if (result > 0) {
    const auto count = static_cast<std::size_t>(result);
    SLUICE_PROBE4(rx_slice, &rx_.inbox(), recv_.socket.id, count, filled->capacity_bytes);
    last_received_ = home_.now_16ms();
    recv_.expect_data = recv_.socket_nonempty;
    size_guess_.note(count, count == filled->capacity_bytes, recv_.socket_nonempty);
    if (lingering_) {
      release_buffer(*filled);
      arm_recv();
      return;
    }
    if (!incoming().push({filled, 0, static_cast<std::uint32_t>(count)})) {
      release_buffer(*filled);
      end(error::no_memory);
      return;
    }
    if (!recv_.multishot) {
      run();
      return;
    }
    home_.queue_ready(*this);
    if (!recv_.idle() && size_guess_.wanted() != recv_.wanted) {
      home_.io().cancel(recv_); // goes on with buffers of the other size
    }
    return;
  }
  if (result == 0) {
    eof_ = true;
    if (lingering_ || (rx_.inbox().empty() && incoming().empty())) {
      handle_eof();
    }
    return;
  }
  if (result == -ECANCELED) {
    if (recv_.multishot && !lingering_) {
      home_.queue_ready(*this); // what is in the inbox comes first
    } else {
      arm_recv(); // cancelled for a reason that has passed
    }
    return;
  }
  if (recv_.multishot && !rx_.inbox().empty()) {
    run(); // what came before the error counts
    if (state_ == connection_state::closed) {
      return;
    }
  }
  lost(error_from_errno(-result));
}

void native_connection::run() noexcept {
  if (state_ == connection_state::connecting && opening_->addresses != nullptr) {
    connect_to_first();
    return;
  }
  if (tls_ != nullptr && !begin_tls_turn()) {
    return;
  }
  if (state_ == connection_state::upgrading) {
    run_opening();
  }
  if (state_ == connection_state::open || (state_ == connection_state::closing && !lingering_)) {
    if (self_ == role::server) {
      run_frames<role::server>();
    } else {
      run_frames<role::client>();
    }
  }
}

// A closing connection drops data, so neither a pause nor a missing buffer holds it up.
inline bool native_connection::may_deliver() const noexcept {
  if (stalled_ || end_after_flush_ || lingering_) {
    return false;
  }
  return close_sent_ || (!paused_ && (delivery_ != delivery::buffers || collecting_ ||
                                      !receive_to_.empty() || rx_.control_next()));
}

template <role Self> inline rx_result native_connection::next_event(rx_budget& budget) noexcept {
  if (close_sent_) {
    return rx_.discard();
  }
  if (collecting_) {
    return collect(budget);
  }
  switch (delivery_) {
  case delivery::slices: {
    slice_sink sink{*this};
    return rx_.deliver<Self>(sink, budget);
  }
  case delivery::messages: {
    if (!rx_.between_messages()) {
      return collect(budget); // the delivery was changed inside a message: what is left of it
    }
    message_sink sink{*this};
    const rx_result result = rx_.deliver_whole<Self>(sink, budget);
    return result.status == rx_status::in_pieces ? collect(budget) : result;
  }
  case delivery::buffers:
    break;
  }
  return fill_callers_buffer(budget);
}

template <role Self> void native_connection::run_frames() noexcept {
  rx_budget budget{home_.settings().turn_bytes, home_.settings().turn_frames};
  while (state_ == connection_state::open || state_ == connection_state::closing) {
    if (!may_deliver()) {
      // Whoever lifts the obstacle queues the connection. One buffer is read ahead meanwhile, so
      // that the end of the connection is noticed.
      if (rx_.inbox().empty()) {
        if (tls_ == nullptr) {
          arm_recv();
        } else if (unseal()) {
          continue;
        }
      } else {
        brake();
      }
      return;
    }
    interrupted_ = false;
    const rx_result result = next_event<Self>(budget);
    if (result.status == rx_status::paused || result.status == rx_status::piece) {
      if (budget.bytes == 0 || budget.frames == 0) {
        ++home_.counters().turns_over_budget;
        home_.queue_ready(*this);
        return;
      }
      continue;
    }
    if (result.status == rx_status::need_input) {
      if (tls_ != nullptr) {
        if (unseal()) {
          continue;
        }
      } else if (eof_) {
        handle_eof();
      } else {
        arm_recv();
      }
      return;
    }
    if (!handle(result)) {
      return;
    }
  }
}

// The pieces of a message that does not lie in one slice: copied together, one pass per byte.
rx_result native_connection::collect(rx_budget& budget) noexcept {
  // Room for what has been announced, but never much more than what has arrived: a header that
  // promises gigabytes costs the peer those gigabytes first.
  constexpr std::size_t first_room_bytes = 4096;
  constexpr std::size_t most_ahead_bytes = std::size_t{64} << 10;
  block*& whole = collected_;
  if (whole == nullptr || whole->room_bytes() == 0) {
    const std::size_t have = whole == nullptr ? 0 : whole->size_bytes();
    const std::size_t ahead = static_cast<std::size_t>(std::min<std::uint64_t>(
        std::max<std::uint64_t>(rx_.frame_left_bytes(), have == 0 ? first_room_bytes : 1),
        std::max(have, most_ahead_bytes)));
    block* const grown = home_.blocks().take(have + ahead);
    if (grown == nullptr) {
      return {rx_status::failed, false, false, error::no_memory, 0};
    }
    if (whole != nullptr) {
      std::memcpy(grown->bytes(), whole->bytes(), have);
      grown->end = have;
      home_.blocks().put(*whole);
    }
    whole = grown;
  }
  const rx_result got = rx_.receive({whole->bytes() + whole->end, whole->room_bytes()});
  if (got.status != rx_status::piece) {
    if (whole->end == 0 && !collecting_) {
      home_.blocks().put(*whole); // nothing of a message yet: an idle connection holds no block
      whole = nullptr;
    }
    return got;
  }
  collecting_ = true;
  whole->end += got.bytes;
  budget.bytes -= std::min(got.bytes, budget.bytes);
  budget.frames -= rx_.frame_left_bytes() == 0 ? 1u : 0u;
  if (got.message_end) {
    collecting_ = false;
    message_sink sink{*this};
    rx_view message;
    message.bytes = whole->bytes();
    message.size_bytes = whole->size_bytes();
    message.text = got.text;
    message.message_end = true;
    showing_collected_ = true;
    static_cast<void>(sink(message));
    showing_collected_ = false;
    if (whole->holds != 0) {
      release_block(*whole);
    } else {
      home_.blocks().put(*whole);
    }
    whole = nullptr;
  }
  return got;
}

rx_result native_connection::fill_callers_buffer(rx_budget& budget) noexcept {
  // Without a buffer only a control frame is next (may_deliver).
  std::byte none{};
  const rx_result got =
      rx_.receive(receive_to_.empty() ? std::span<std::byte>(&none, 1) : receive_to_);
  if (got.status == rx_status::piece) {
    budget.bytes -= std::min(got.bytes, budget.bytes);
    budget.frames -= rx_.frame_left_bytes() == 0 ? 1u : 0u;
    const std::span<std::byte> filled = receive_to_.first(got.bytes);
    receive_to_ = {};
    handler_->on_received(*this, {filled, got.text ? message_type::text : message_type::binary,
                                  got.message_end, rx_.frame_left_bytes()});
  }
  return got;
}

// What is not payload. False when nothing more is to be delivered now.
bool native_connection::handle(const rx_result& result) noexcept {
  switch (result.status) {
  case rx_status::ping: {
    const std::span<const std::byte> payload = rx_.control_payload();
    if (!close_sent_) {
      if (const error failed = send_frame(opcode::pong, true, payload); failed != error::none) {
        end(failed);
        return false;
      }
      ++tx_.pongs;
      handler_->on_ping(*this, payload);
      // A peer that sends pings and never reads: stop reading from it, too (section 5.5.3 asks for
      // an answer as soon as is practical).
      stalled_ = queued_bytes_ >= limits_of().max_send_queue_bytes;
    }
    return true;
  }
  case rx_status::pong:
    ping_unanswered_ = false;
    if (!close_sent_) {
      handler_->on_pong(*this, rx_.control_payload());
    }
    return true;
  case rx_status::close:
    peer_closed();
    return false;
  case rx_status::failed:
    if (close_sent_ || result.reason == error::no_memory) {
      end(result.reason);
    } else {
      violated(result.reason);
    }
    return false;
  default:
    return true;
  }
}

// RFC 6455 section 5.5.1: answer a close frame with one; section 7.1.1: the server closes the TCP
// connection first.
void native_connection::peer_closed() noexcept {
  close_received_ = true;
  if (!close_sent_) {
    const std::uint16_t status = rx_.peer_close().status;
    if (const error failed = send_close(status, {}); failed != error::none) {
      end(failed);
      return;
    }
    state_ = connection_state::closing;
    arm_close_timer();
  }
  end_when_flushed(error::none, self_ == role::client);
}

void native_connection::violated(error reason) noexcept {
  home_.log(log_level::info, "protocol violation", id_, reason);
  state_ = connection_state::closing;
  const std::uint16_t status = close_status_for(reason);
  if (const error failed = send_close(status != 0 ? status : close_status::internal_error, {});
      failed != error::none) {
    end(reason);
    return;
  }
  arm_close_timer();
  // Closing at once with bytes unread would make the kernel send a reset, which can overtake the
  // close frame (RFC 6455 section 7.1.1): read on until the peer has seen it.
  end_when_flushed(reason, true);
}

void native_connection::handle_eof() noexcept {
  lost(end_reason());
}

// Both close frames have gone their way: what becomes of the rest does not matter.
void native_connection::lost(error reason) noexcept {
  end(close_sent_ && close_received_ ? error::none : cause_ != error::none ? cause_ : reason);
}

// Whoever makes it true again queues the connection.
bool native_connection::may_read() noexcept {
  if (lingering_) {
    return true;
  }
  if (!close_sent_ && (paused_ || stalled_)) {
    return false;
  }
  if (lending_ != nullptr && lending_->over_limit()) {
    ++home_.counters().reads_paused_by_lending;
    return false; // lending_eased() comes
  }
  return true;
}

void native_connection::arm_recv() noexcept {
  if (eof_ || state_ == connection_state::closed || state_ == connection_state::connecting ||
      (!recv_.idle() && !recv_.multishot)) {
    return;
  }
  if (!may_read()) {
    brake();
    return;
  }
  if (!recv_.idle()) {
    return;
  }
  recv_.wanted = size_guess_.wanted();
  recv_.multishot = home_.settings().multishot_receives && tls_ == nullptr &&
                    state_ == connection_state::open && !lingering_ &&
                    may_deliver(); // else one buffer ahead is enough
  home_.io().submit(recv_);
}

void native_connection::brake() noexcept {
  if (recv_.multishot &&
      (recv_.now == operation::state::armed || recv_.now == operation::state::starved)) {
    ++home_.counters().reads_braked;
    home_.io().cancel(recv_);
  }
}

void native_connection::hold_back() noexcept {
  if (rx_.inbox().slice_count() > 1) {
    brake();
  }
}

void native_connection::lending_eased() noexcept {
  if (state_ != connection_state::closed) {
    home_.queue_ready(*this);
  }
}

lend_account* native_connection::account() noexcept {
  if (lending_ == nullptr) {
    lending_ = lend_account::create(*this, limits_of().max_lent_bytes, home_.box());
  }
  return lending_;
}

held_view native_connection::hold(const view& what) noexcept {
  lend_account* const lent_by = account();
  if (lent_by == nullptr) {
    return {};
  }
  ++home_.counters().views_held;
  if (showing_collected_) {
    block& kept = *collected_;
    if (kept.holds == 0) {
      kept.lent_by = lent_by;
      lent_by->lend(kept.capacity_bytes);
      kept.holds = 2; // ours and the view's
    } else {
      std::atomic_ref<std::uint32_t>(kept.holds).fetch_add(1, std::memory_order_relaxed);
    }
    return detail::view_access::hold(what, what.data(), keeper_of(kept));
  }
  const bool in_buffer = what.size() != 0;
  const std::size_t kept_bytes = in_buffer ? rx_.inbox().front_buffer().capacity_bytes : 0;
  if (in_buffer && !home_.short_of_buffers(what.size(), kept_bytes)) {
    buffer& kept = rx_.inbox().front_buffer();
    if (kept.lent_by == nullptr) {
      kept.lent_by = lent_by;
      lent_by->lend(kept.capacity_bytes);
    }
    retain_buffer(kept);
    return detail::view_access::hold(what, what.data(), keeper_of(kept));
  }
  block* const copy = block_cache::make(what.size());
  if (copy == nullptr) {
    return {};
  }
  if (what.size() != 0) {
    std::memcpy(copy->bytes(), what.data(), what.size());
  }
  home_.counters().payload_copied_bytes += what.size();
  copy->holds = 1;
  copy->lent_by = lent_by;
  lent_by->lend(copy->capacity_bytes);
  return detail::view_access::hold(what, copy->bytes(), keeper_of(*copy));
}

} // namespace sluice::io

namespace sluice {

held_view view::hold() const noexcept {
  return static_cast<io::native_connection&>(*from_).hold(*this);
}

} // namespace sluice
