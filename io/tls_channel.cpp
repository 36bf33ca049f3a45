#include "io/tls_channel.hpp"

#include <sys/socket.h>

namespace sluice::io {

bool tls_channel::receive(const slice& ciphertext) noexcept {
  const std::lock_guard lock(mutex_);
  return engine_->cipher_in().push(ciphertext);
}

std::size_t tls_channel::pending_bytes() noexcept {
  const std::lock_guard lock(mutex_);
  return ended_ ? 1 : engine_->pending_bytes();
}

tls_status tls_channel::handshake() noexcept {
  const std::lock_guard lock(mutex_);
  return engine_->handshake();
}

tls_status tls_channel::read(int fd, std::span<std::byte> to, std::size_t& read_bytes) noexcept {
  const std::lock_guard lock(mutex_);
  if (unsent_.size() - unsent_done_ + engine_->output().size() > max_unsent_bytes) {
    // It makes the engine talk (key updates and wishes to renegotiate ask for an answer) and does
    // not listen. Reading cannot wait until it does, as a connection of the native API would: the
    // thread that reads may not write, which is the writer's, and often no thread is there that
    // would notice room and go on. So this is the end.
    lost_ = true;
    ended_ = true;
    read_bytes = 0;
    return tls_status::failed;
  }
  tls_status stopped_by = tls_status::done;
  std::size_t records_left = max_records_a_read;
  const tls_status status = engine_->read_all(to, read_bytes, stopped_by, records_left);
  ended_ = stopped_by == tls_status::closed || stopped_by == tls_status::failed;
  flush_locked(fd);
  return status;
}

error tls_channel::reason() noexcept {
  const std::lock_guard lock(mutex_);
  const error of_engine = engine_->reason();
  return of_engine == error::none && lost_ ? error::connection_lost : of_engine;
}

tls_facts tls_channel::facts() noexcept {
  const std::lock_guard lock(mutex_);
  return {engine_->certificate_faults(), engine_->lacked_certificate(), engine_->resumed(),
          engine_->protocol_version(), engine_->cipher_bits()};
}

tls_certificate tls_channel::certificate() noexcept {
  const std::lock_guard lock(mutex_);
  return engine_->certificate();
}

bool tls_channel::has_unsent() noexcept {
  const std::lock_guard lock(mutex_);
  return !writing_ && !lost_ && (!unsent_.empty() || !engine_->output().empty());
}

void tls_channel::begin_writing() noexcept {
  const std::lock_guard lock(mutex_);
  writing_ = true;
}

void tls_channel::end_writing() noexcept {
  const std::lock_guard lock(mutex_);
  writing_ = false;
}

// The engine's queue and ours change places, so that neither allocates in steady traffic.
std::span<const std::byte> tls_channel::next_unsent() noexcept {
  if (lost_) {
    return {};
  }
  if (unsent_.empty() && !engine_->output().empty()) {
    std::swap(unsent_, engine_->output());
  }
  return std::span<const std::byte>(unsent_.data(), unsent_.size()).subspan(unsent_done_);
}

void tls_channel::note_sent(std::size_t count) noexcept {
  unsent_done_ += count;
  if (unsent_done_ == unsent_.size()) {
    if (unsent_done_ > kept_queue_bytes) {
      unsent_ = {};
    }
    unsent_.clear();
    unsent_done_ = 0;
  }
}

std::span<const std::byte> tls_channel::unsent() noexcept {
  const std::lock_guard lock(mutex_);
  return next_unsent();
}

void tls_channel::sent(std::size_t count) noexcept {
  const std::lock_guard lock(mutex_);
  note_sent(count);
}

error tls_channel::seal(std::span<const std::byte> from, std::span<std::byte> room,
                        std::size_t& room_used_bytes) noexcept {
  room_used_bytes = 0;
  const std::lock_guard lock(mutex_);
  if (lost_ || engine_->reason() != error::none) {
    return error::connection_lost;
  }
  memory::growable<std::byte>& output = engine_->output();
  if ((room.size() < sealed_bytes(from.size()) || !output.empty()) &&
      !output.reserve(output.size() + sealed_bytes(from.size()))) {
    if (!output.empty()) {
      lost_ = true; // a queue that could not grow takes no more
      return error::connection_lost;
    }
    output.clear(); // nothing is encrypted yet: the caller may try again
    return error::no_memory;
  }
  // Whatever goes wrong here, the peer has missed a record.
  return engine_->write(from, room, room_used_bytes) == tls_status::done ? error::none
                                                                         : error::connection_lost;
}

bool tls_channel::keep(std::span<const std::byte> not_sent) noexcept {
  const std::lock_guard lock(mutex_);
  if (!unsent_.append(not_sent.data(), not_sent.size())) {
    lost_ = true;
    return false;
  }
  return true;
}

void tls_channel::flush_locked(int fd) noexcept {
  while (!writing_) {
    const std::span<const std::byte> next = next_unsent();
    if (next.empty()) {
      return;
    }
    const ssize_t count = ::send(fd, next.data(), next.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count <= 0) {
      return; // a later write or flush goes on, or finds out why not
    }
    note_sent(static_cast<std::size_t>(count));
  }
}

void tls_channel::flush(int fd) noexcept {
  const std::lock_guard lock(mutex_);
  flush_locked(fd);
}

void tls_channel::say_goodbye(int fd) noexcept {
  const std::lock_guard lock(mutex_);
  if (!writing_) {
    engine_->close();
    flush_locked(fd);
  }
}

} // namespace sluice::io
