#include "io/native_connection.hpp"
#include "io/tls_access.hpp"

#include <algorithm>
#include <cstring>

// TLS under a connection:
//
//   received ciphertext -> engine -> unseal: a buffer of the pool -> inbox, as if just received
//   queue of frames -> flush -> seal: a block of ciphertext -> send
//
// What the engine says by itself (handshake, tickets, answers to key updates, alerts) goes out
// before the next frames; it is looked for after every call that reads.

namespace sluice::io {
namespace {

// Fairness: a full record takes 6 us to decrypt, a small one 0.65 us (perf-notes section 6).
constexpr std::size_t turn_plain_bytes = std::size_t{4} << 14; // four full records
constexpr std::size_t turn_records = 32;

// As much as is encrypted ahead of what the kernel takes.
constexpr std::size_t seal_plain_bytes = std::size_t{64} << 10;

} // namespace

error native_connection::start_tls(const char* host, std::uint16_t port) noexcept {
  const tls_context_ref context = detail::tls_access::context(limits_of().tls);
  tls_ = memory::make_unique<tls_link>();
  if (tls_ == nullptr) {
    return error::no_memory;
  }
  if (self_ == role::server) {
    return tls_engine::make_server(context, tls_->engine);
  }
  tls_peer peer;
  peer.host = host;
  peer.port = port;
  peer.ignored_faults = context->ignored_faults();
  return tls_engine::make_client(context, peer, tls_->engine);
}

// Before anything else of a turn; true once frames may flow.
bool native_connection::begin_tls_turn() noexcept {
  tls_->plain_bytes_left = turn_plain_bytes;
  tls_->records_left = turn_records;
  return tls_->established || (state_ == connection_state::upgrading && !end_after_flush_ &&
                               !lingering_ && shake_hands());
}

bool native_connection::shake_hands() noexcept {
  tls_link& tls = *tls_;
  const tls_status status = tls.engine->handshake();
  note_tls_output();
  switch (status) {
  case tls_status::done: {
    tls.established = true;
    loop_stats& totals = home_.counters();
    ++totals.tls_handshakes;
    totals.tls_resumed += tls.engine->resumed() ? 1u : 0u;
    if (self_ == role::client && queue_bytes(opening_->request_text.view()) != error::none) {
      end(error::no_memory);
      return false;
    }
    return true;
  }
  case tls_status::need_input:
    arm_recv();
    return false;
  case tls_status::closed:
  case tls_status::failed:
    break;
  }
  tls_failed();
  return false;
}

// The inbox is empty: true if it has something now. If not, more will come, or the connection ends,
// or whoever lifts what is in the way queues it.
bool native_connection::unseal() noexcept {
  tls_link& tls = *tls_;
  const std::size_t pending = tls.engine->pending_bytes();
  if (pending != 0 || tls.ended) {
    if (end_after_flush_ || lingering_ || !may_read()) {
      return false;
    }
    if (tls.records_left == 0 || tls.plain_bytes_left == 0) {
      ++home_.counters().turns_over_budget;
      home_.queue_ready(*this);
      return false;
    }
    buffer* const plain = home_.buffers().take_or_grow(
        pending > buffer_class_bytes[0] ? buffer_class::large : buffer_class::small);
    if (plain == nullptr) {
      end(error::no_memory);
      return false;
    }
    std::size_t count = 0;
    tls_status stopped_by = tls_status::done;
    const tls_status status = tls.engine->read_all(
        {plain->bytes, std::min<std::size_t>(plain->capacity_bytes, tls.plain_bytes_left)}, count,
        stopped_by, tls.records_left);
    note_tls_output();
    tls.ended = stopped_by == tls_status::closed || stopped_by == tls_status::failed;
    if (status == tls_status::done) {
      tls.plain_bytes_left -= count;
      if (!rx_.inbox().push({plain, 0, static_cast<std::uint32_t>(count)})) {
        release_buffer(*plain);
        end(error::no_memory);
        return false;
      }
      return true;
    }
    release_buffer(*plain);
    if (status == tls_status::failed) {
      tls_failed();
      return false;
    }
    if (status == tls_status::closed) {
      // Whatever follows close_notify is not the peer's (RFC 8446 section 6.1).
      tls.closed = true;
      tls.ended = false;
      tls.engine->cipher_in().clear();
      eof_ = true;
    } else if (tls.engine->pending_bytes() != 0) {
      return unseal(); // only the records of this turn are used up
    }
  }
  if (eof_) {
    handle_eof();
  } else {
    arm_recv();
  }
  return false;
}

// A peer may make the engine talk without end (key updates and wishes to renegotiate ask for an
// answer) and never read. As with its pings, we read no more until it has taken the answers: the
// loop sends when there is room, and the timeouts of the connection go on meanwhile. A WinHTTP
// socket has neither at that point, see tls_channel::read().
void native_connection::note_tls_output() noexcept {
  const std::size_t waiting = tls_->engine->output().size();
  if (waiting == 0) {
    return;
  }
  home_.queue_flush(*this);
  if (waiting >= limits_of().max_send_queue_bytes) {
    if (close_sent_) {
      end(cause_ != error::none ? cause_ : error::connection_lost);
    } else {
      stalled_ = true;
    }
  }
}

// The engine is of no more use but for the alert that it has written.
void native_connection::tls_failed() noexcept {
  if (state_ == connection_state::closed) {
    return;
  }
  const error reason = tls_->engine->reason();
  drop_queue();
  tls_->engine->cipher_in().clear();
  home_.log(log_level::info, "TLS failed", id_, reason);
  if (was_open_) {
    state_ = connection_state::closing;
  }
  arm_close_timer();
  // As after a violation; only a client that was not let in has nothing to wait for.
  end_when_flushed(reason, was_open_ || self_ == role::server);
}

// Ciphertext for the next send, if there is anything to say and none on its way.
void native_connection::seal() noexcept {
  tls_link& tls = *tls_;
  if (tls.sealed != nullptr) {
    return;
  }
  memory::growable<std::byte>& said = tls.engine->output();
  std::span<const std::byte> plain;
  if (tls.established && first_out_ != nullptr) {
    plain = {first_out_->bytes() + first_out_->begin,
             std::min(first_out_->size_bytes(), seal_plain_bytes)};
  }
  if (said.empty() && plain.empty()) {
    return;
  }
  block* const sealed = home_.blocks().take(said.size() + sealed_bytes(plain.size()));
  if (sealed == nullptr) {
    end(error::no_memory);
    return;
  }
  if (!said.empty()) {
    std::memcpy(sealed->bytes(), said.data(), said.size());
    sealed->end = said.size();
    said = {}; // rarely needed again, so an idle connection has none
  }
  tls.sealed = sealed;
  if (plain.empty()) {
    return;
  }
  std::size_t used = 0;
  const tls_status written =
      tls.engine->write(plain, {sealed->bytes() + sealed->end, sealed->room_bytes()}, used);
  sealed->end += used;
  if (written != tls_status::done) {
    // A record that is missing cannot be made up for.
    const error reason = tls.engine->reason();
    end(cause_ != error::none ? cause_ : reason);
    return;
  }
  tls.sealed_plain_bytes = plain.size();
  // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): `plain` is what lies in it, not empty here
  first_out_->begin += plain.size();
  drop_first_out_if_used();
}

// What the kernel has taken of it.
void native_connection::sealed_sent(std::size_t count) noexcept {
  tls_link& tls = *tls_;
  tls.sealed->begin += count;
  if (tls.sealed->begin == tls.sealed->end) {
    home_.blocks().put(*tls.sealed);
    tls.sealed = nullptr;
    queued_bytes_ -= tls.sealed_plain_bytes;
    tls.sealed_plain_bytes = 0;
  }
}

bool native_connection::has_unsent() const noexcept {
  return queued_bytes_ != 0 ||
         (tls_ != nullptr && (tls_->sealed != nullptr || !tls_->engine->output().empty()));
}

// Says close_notify once; true if that has to be sent first.
bool native_connection::say_goodbye() noexcept {
  if (tls_ == nullptr) {
    return false;
  }
  tls_->engine->close();
  if (tls_->engine->output().empty()) {
    return false;
  }
  home_.queue_flush(*this);
  return true;
}

// A FIN may be an attacker's: only close_notify is the peer's word that this was all (RFC 8446
// section 6.1).
error native_connection::end_reason() const noexcept {
  return tls_ != nullptr && !tls_->closed ? error::connection_lost : error::end_of_stream;
}

bool native_connection::fill_tls_info(tls_info& to) const noexcept {
  if (tls_ == nullptr) {
    return false;
  }
  const tls_engine& engine = *tls_->engine;
  tls_info now;
  now.established = tls_->established;
  now.certificate_faults = engine.certificate_faults();
  if (now.established) {
    now.resumed = engine.resumed();
    now.version = engine.protocol_version() == tls_version_number(tls_version::tls1_2)
                      ? tls_version::tls1_2
                      : tls_version::tls1_3;
    now.cipher_bits = static_cast<std::uint16_t>(engine.cipher_bits());
    now.cipher = engine.cipher();
  }
  now.size_bytes = std::min(to.size_bytes, sizeof now);
  if (now.size_bytes >= sizeof now.size_bytes) {
    std::memcpy(static_cast<void*>(&to), &now, now.size_bytes);
  }
  return true;
}

std::size_t native_connection::peer_certificate(std::span<std::byte> to) const noexcept {
  return tls_ != nullptr && tls_->established ? tls_->engine->peer_certificate(to) : 0;
}

} // namespace sluice::io
