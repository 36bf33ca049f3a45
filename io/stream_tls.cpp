// The stream's calls over TLS: the engine between the socket and the caller's plain bytes.

#include "io/stream.hpp"

#include "core/probes.hpp"

#include <algorithm>

namespace sluice::io {
namespace {

// Writes up to this size are encrypted on the stack and go out in one system call. Larger ones go
// through a large buffer of the loop's pool, or through the stack again when the pool is empty.
constexpr std::size_t stack_plain_bytes = 4096 + 256;
constexpr std::size_t stack_bytes = sealed_bytes(stack_plain_bytes);

// As many plain bytes as surely fit into `room` when they are encrypted.
constexpr std::size_t plain_bytes_for(std::size_t room) noexcept {
  return room - (sealed_bytes(room) - room);
}
static_assert(plain_bytes_for(stack_bytes) >= stack_plain_bytes);

} // namespace

error stream::start_tls(loop& on, const tls_context_ref& context, const tls_peer& peer,
                        time_point deadline, cancel_source* cancel) noexcept {
  if (!is_open()) {
    return error::connection_lost;
  }
  memory::unique<tls_engine> engine;
  if (const error failed = tls_engine::make_client(context, peer, engine); failed != error::none) {
    return failed;
  }
  tls_ = memory::make_unique<tls_channel>(std::move(engine));
  return tls_ == nullptr ? error::no_memory : shake_hands(on, deadline, cancel);
}

error stream::shake_hands(loop& on, time_point deadline, cancel_source* cancel) noexcept {
  for (;;) {
    const tls_status status = tls_->handshake();
    if (status == tls_status::failed) {
      tls_->flush(socket_.fd); // an alert
      return tls_->reason();
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline == no_deadline ? clock::duration::zero() : deadline - clock::now());
    if (deadline != no_deadline && left.count() <= 0) {
      return error::timed_out;
    }
    tls_->begin_writing();
    error failed = send_unsent(on, left, cancel);
    tls_->end_writing();
    if (failed != error::none || status == tls_status::done) {
      return failed;
    }
    failed = receive_sealed({&on, on.buffers(), deadline, cancel});
    if (failed != error::none) {
      return failed == error::end_of_stream ? error::connection_lost : failed;
    }
  }
}

// Ciphertext from the socket into the engine.
error stream::receive_sealed(const reading& how) noexcept {
  if (undelivered_.from == nullptr) {
    if (const error failed = receive(how); failed != error::none) {
      return failed;
    }
  }
  if (!tls_->receive(undelivered_)) {
    return error::no_memory;
  }
  undelivered_ = {};
  return error::none;
}

error stream::read_sealed(const reading& how, read_target& to) noexcept {
  for (bool received = false;;) {
    const error got = unseal(how.buffers, to);
    if (to.direct_bytes != 0 || (got != error::none && got != error::would_block)) {
      return got;
    }
    if (how.cancel != nullptr && how.cancel->requested()) {
      return error::cancelled;
    }
    if (got == error::none) {
      return got;
    }
    if (received && how.deadline != no_deadline && how.now() >= how.deadline) {
      return error::timed_out; // though it never stops sending records without data
    }
    if (tls_->pending_bytes() != 0) {
      continue;
    }
    const error failed = receive_sealed(how);
    if (failed != error::none) {
      // A FIN may be an attacker's: only close_notify is the peer's word that this was all.
      return failed == error::end_of_stream ? error::connection_lost : failed;
    }
    received = true;
  }
}

error stream::read_sealed_now(buffer_pool& from, slice_queue& inbox) noexcept {
  read_target to{inbox};
  for (;;) {
    const error got = unseal(from, to);
    if (got != error::would_block || tls_->pending_bytes() != 0) {
      return got; // would_block with more to decrypt: another time
    }
    if (undelivered_.from == nullptr) {
      const error failed = receive_now(from, buffer_class_bytes[0]);
      if (failed != error::none) {
        return failed == error::end_of_stream ? error::connection_lost : failed;
      }
    }
    if (!tls_->receive(undelivered_)) {
      return error::no_memory;
    }
    undelivered_ = {};
  }
}

// Decrypts to where `to` says, into one slice of the inbox or directly; would_block when that takes
// more ciphertext.
error stream::unseal(buffer_pool& buffers, read_target& to) noexcept {
  if (undelivered_plain_.from == nullptr) {
    const std::size_t pending = tls_->pending_bytes();
    if (pending == 0) {
      return error::would_block;
    }
    if (!to.direct.empty()) {
      return unseal_into(to.direct, to.direct_bytes);
    }
    const buffer_class wanted =
        pending > buffer_class_bytes[0] ? buffer_class::large : buffer_class::small;
    buffer* const plain = buffers.take_or_grow(wanted);
    if (plain == nullptr) {
      return error::no_memory;
    }
    std::size_t count = 0;
    const error failed = unseal_into({plain->bytes, plain->capacity_bytes}, count);
    if (failed != error::none) {
      plain->owner->recycle(*plain);
      return failed;
    }
    undelivered_plain_ = slice{plain, 0, static_cast<std::uint32_t>(count)};
  }
  if (!to.inbox.push(undelivered_plain_)) {
    return error::no_memory;
  }
  undelivered_plain_ = {};
  return error::none;
}

error stream::unseal_into(std::span<std::byte> to, std::size_t& count) noexcept {
  switch (tls_->read(socket_.fd, to, count)) {
  case tls_status::done:
    return error::none;
  case tls_status::need_input:
    return error::would_block;
  case tls_status::closed:
    return error::end_of_stream;
  case tls_status::failed:
    break;
  }
  return tls_->reason();
}

bool stream::has_kept_sealed() const noexcept {
  return undelivered_plain_.from != nullptr || tls_->pending_bytes() != 0;
}

// Ciphertext that a read has brought goes into the engine; false when there is no memory to note
// it.
bool stream::take_kept_sealed([[maybe_unused]] const slice_queue& inbox) noexcept {
  if (undelivered_.from != nullptr) {
    SLUICE_PROBE4(rx_slice, &inbox, socket_.id, undelivered_.size_bytes,
                  undelivered_.from->capacity_bytes);
    if (!tls_->receive(undelivered_)) {
      return false;
    }
    undelivered_ = {};
  }
  return true;
}

error stream::send_unsent(loop& on, std::chrono::milliseconds progress_timeout,
                          cancel_source* cancel) noexcept {
  for (;;) {
    const std::span<const std::byte> next = tls_->unsent();
    if (next.empty()) {
      return error::none;
    }
    std::span<const std::byte> rest = next;
    const error failed = send(on, rest, progress_timeout, cancel);
    tls_->sent(next.size() - rest.size());
    if (failed != error::none) {
      return failed;
    }
  }
}

error stream::send_unsent_now() noexcept {
  for (;;) {
    const std::span<const std::byte> next = tls_->unsent();
    std::span<const std::byte> rest = next;
    const error failed = send_now(rest);
    tls_->sent(next.size() - rest.size());
    if (failed != error::none || next.empty() || !rest.empty()) {
      return failed;
    }
  }
}

// Encrypts no more than a piece ahead of what the kernel takes.
error stream::write_sealed_now(std::span<const std::byte>& rest) noexcept {
  std::byte on_stack[stack_bytes];
  tls_->begin_writing();
  error failed = send_unsent_now();
  while (failed == error::none && !rest.empty() && tls_->unsent().empty()) {
    const std::size_t count = std::min(rest.size(), stack_plain_bytes);
    std::size_t used = 0;
    failed = tls_->seal(rest.first(count), on_stack, used);
    if (failed != error::none) {
      break;
    }
    rest = rest.subspan(count);
    std::span<const std::byte> sealed(on_stack, used);
    failed = send_now(sealed);
    if (!sealed.empty() && !tls_->keep(sealed)) {
      failed = error::connection_lost;
    }
    if (failed == error::none) {
      failed = send_unsent_now();
    }
  }
  tls_->end_writing();
  return failed;
}

error stream::write_sealed(loop& on, std::span<const std::byte>& rest,
                           std::chrono::milliseconds progress_timeout,
                           cancel_source* cancel) noexcept {
  std::byte on_stack[stack_bytes];
  std::span<std::byte> room(on_stack);
  buffer* lent = nullptr;
  if (rest.size() > stack_plain_bytes) {
    lent = on.buffers().take(buffer_class::large);
    if (lent != nullptr) {
      room = {lent->bytes, lent->capacity_bytes};
    }
  }
  tls_->begin_writing();
  error failed = send_unsent(on, progress_timeout, cancel);
  while (failed == error::none && !rest.empty()) {
    if (cancel != nullptr && cancel->requested()) {
      failed = error::cancelled;
      break;
    }
    const std::size_t count = std::min(rest.size(), plain_bytes_for(room.size()));
    std::size_t used = 0;
    failed = tls_->seal(rest.first(count), room, used);
    if (failed != error::none) {
      break;
    }
    rest = rest.subspan(count);
    std::span<const std::byte> sealed = room.first(used);
    failed = send(on, sealed, progress_timeout, cancel);
    if (!sealed.empty() && !tls_->keep(sealed)) {
      failed = error::connection_lost;
    }
    if (failed == error::none) {
      failed = send_unsent(on, progress_timeout, cancel);
    }
  }
  tls_->end_writing();
  if (lent != nullptr) {
    lent->owner->recycle(*lent);
  }
  return failed;
}

} // namespace sluice::io
