#include "io/native_connection.hpp"

#include "core/close_codes.hpp"
#include "core/probes.hpp"
#include "core/server_handshake.hpp"
#include "io/connect_race.hpp"
#include "io/view_access.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <utility>

// The life of a connection and its timers; receiving, sending and the opening handshake have files
// of their own.

namespace sluice::io {
namespace {

// Ticks of last_received_.
constexpr std::chrono::milliseconds age_unit{16};

} // namespace

opening::~opening() {
  if (looking_up != nullptr) {
    forget_asker(*looking_up);
  }
  if (addresses != nullptr) {
    ::freeaddrinfo(addresses);
  }
}

limits native_connection::protocol_limits(const connection_settings& from) noexcept {
  return {std::max<std::uint64_t>(from.max_message_bytes, 1), from.max_fragments,
          from.max_head_bytes, from.max_headers};
}

native_connection::native_connection(event_loop& home, role self, int fd, shared_settings& settings,
                                     connection_handler& handler) noexcept
    : connection(handler), home_(home), settings_(&settings), self_(self),
      state_(self == role::server ? connection_state::upgrading : connection_state::connecting),
      delivery_(settings.values.take), last_received_(home.now_16ms()),
      rx_(self, protocol_limits(settings.values), home.kernels()) {
  rx_.report_pongs();
  recv_.socket = {fd, id_};
  recv_.context = this;
  recv_.on_complete = [](operation& done) noexcept {
    static_cast<native_connection*>(done.context)->on_received_slice();
  };
  send_.context = this;
  send_.on_complete = [](operation& done) noexcept {
    static_cast<native_connection*>(done.context)->sent(done.result);
  };
  timer_.context = this;
  timer_.on_expiry = [](timer& due) noexcept {
    static_cast<native_connection*>(due.context)->expired();
  };
  home_.add(*this);
}

native_connection::~native_connection() {
  home_.timers().cancel(timer_);
  home_.remove(*this);
  drop_queue();
  if (tls_ != nullptr && tls_->sealed != nullptr) {
    home_.blocks().put(*tls_->sealed);
  }
  if (collected_ != nullptr) {
    home_.blocks().put(*collected_);
  }
  if (lending_ != nullptr) {
    lending_->close();
  }
  home_.unshare(*settings_);
  if (recv_.socket.fd >= 0) {
    ::close(recv_.socket.fd);
  }
}

void native_connection::end(error cause) noexcept {
  if (state_ == connection_state::closed) {
    return;
  }
  state_ = connection_state::closed;
  interrupted_ = true;
  cause_ = cause;
  if (!was_open_) {
    SLUICE_PROBE3(handshake, &rx_.inbox(), self_ == role::server, static_cast<int>(cause));
  } else if (!close_received_) {
    SLUICE_PROBE3(close, &rx_.inbox(), close_status::aborted, static_cast<int>(cause));
  }
  home_.timers().cancel(timer_);
  if (!recv_.idle()) {
    home_.io().cancel(recv_);
  }
  if (!send_.idle()) {
    home_.io().cancel(send_);
  }
  if (opening_ != nullptr && opening_->race != nullptr) {
    std::exchange(opening_->race, nullptr)->call_off();
  }
  if (cause != error::none) {
    home_.log(log_level::info, was_open_ ? "connection lost" : "handshake failed", id_, cause);
  }
  home_.queue_ended(*this);
}

bool native_connection::finish() noexcept {
  if (!recv_.idle() || !send_.idle()) {
    return false;
  }
  loop_stats& totals = home_.counters();
  add_to(totals);
  const bool clean = close_sent_ && close_received_;
  ++(!was_open_ ? totals.handshakes_failed : clean ? totals.closes_clean : totals.closes_dirty);
  if (shown_) {
    close_event how;
    if (close_received_) {
      const close_info& peer = rx_.peer_close();
      how.status = peer.status;
      how.reason = {reinterpret_cast<const char*>(peer.reason), peer.reason_bytes};
    }
    how.cause = cause_;
    how.opened = was_open_;
    how.clean = clean;
    handler_->on_close(*this, how);
  }
  return true;
}

void native_connection::pause() noexcept {
  paused_ = true;
  interrupted_ = true;
  brake();
}

void native_connection::resume() noexcept {
  if (paused_) {
    paused_ = false;
    home_.queue_ready(*this);
  }
}

void native_connection::deliver_as(delivery how) noexcept {
  if (delivery_ != how) {
    delivery_ = how;
    interrupted_ = true;
    home_.queue_ready(*this);
  }
}

error native_connection::receive_into_buffer(std::span<std::byte> to) noexcept {
  if (to.empty()) {
    return error::invalid_argument;
  }
  if (delivery_ != delivery::buffers || !receive_to_.empty() || state_ != connection_state::open) {
    return error::invalid_state;
  }
  receive_to_ = to;
  home_.queue_ready(*this);
  return error::none;
}

// ---- time ----

void native_connection::arm_liveness() noexcept {
  const connection_settings& bounds = limits_of();
  const auto silent = age_unit * static_cast<int>(home_.now_16ms() - last_received_);
  auto soonest = std::chrono::milliseconds::max();
  if (bounds.dead_after.count() > 0) {
    soonest = bounds.dead_after - silent;
  }
  if (bounds.ping_interval.count() > 0 && !ping_unanswered_) {
    soonest = std::min(soonest, bounds.ping_interval - silent);
  }
  if (soonest != std::chrono::milliseconds::max()) {
    home_.timers().arm(timer_, home_.now(), soonest);
  }
}

void native_connection::arm_close_timer() noexcept {
  if (limits_of().close_timeout.count() > 0) {
    home_.timers().arm(timer_, home_.now(), limits_of().close_timeout);
  } else {
    home_.timers().cancel(timer_);
  }
}

void native_connection::check_liveness() noexcept {
  const connection_settings& bounds = limits_of();
  if (recv_.idle()) {
    // We are the ones who do not read: silence says nothing about the peer.
    last_received_ = home_.now_16ms();
  }
  const auto silent = age_unit * static_cast<int>(home_.now_16ms() - last_received_);
  if (bounds.dead_after.count() > 0 && silent >= bounds.dead_after) {
    end(error::timed_out);
    return;
  }
  if (silent < bounds.ping_interval) {
    ping_unanswered_ = false;
  } else if (bounds.ping_interval.count() > 0 && !ping_unanswered_) {
    // A full queue means that the peer is busy with what it was sent: dead_after decides then.
    static_cast<void>(send_ping({}));
    ping_unanswered_ = true;
  }
  arm_liveness();
}

void native_connection::expired() noexcept {
  switch (state_) {
  case connection_state::open:
    check_liveness();
    break;
  case connection_state::upgrading:
    if (self_ == role::server && !end_after_flush_ && !lingering_ &&
        opening_->request.examined_bytes() != 0) {
      refuse(error::timed_out, http_status_for(error::timed_out), {}); // RFC 9110 section 15.5.9
      break;
    }
    [[fallthrough]];
  case connection_state::connecting:
  case connection_state::closing:
    // After a close handshake only the peer's FIN was missing; after a violation that stays the
    // cause.
    end(close_sent_ && close_received_ ? error::none
        : cause_ != error::none        ? cause_
                                       : error::timed_out);
    break;
  case connection_state::closed:
    break;
  }
}

// ---- counters ----

void native_connection::fill_stats(connection_stats& to) const noexcept {
  const rx_stats& rx = rx_.stats();
  to.messages_received = rx.messages;
  to.frames_received = rx.frames;
  to.payload_received_bytes = rx.payload_bytes;
  to.payload_copied_bytes = rx.copied_bytes;
  to.pings_received = rx.pings;
  to.pongs_received = rx.pongs;
  to.frames_sent = tx_.frames;
  to.payload_sent_bytes = tx_.payload_bytes;
  to.send_queue_bytes = queued_bytes_;
  to.lent_bytes = lending_ != nullptr ? lending_->lent_bytes() : 0;
}

void native_connection::add_to(loop_stats& to) const noexcept {
  const rx_stats& rx = rx_.stats();
  to.messages_received += rx.messages;
  to.frames_received += rx.frames;
  to.payload_received_bytes += rx.payload_bytes;
  to.payload_copied_bytes += rx.copied_bytes;
  to.frames_sent += tx_.frames;
  to.payload_sent_bytes += tx_.payload_bytes;
}

} // namespace sluice::io
