#include "load_connection.hpp"

#include <algorithm>
#include <array>

namespace sluice_bench {

load_connection::load_connection(byte_stream peer, std::size_t index, const traffic& stream,
                                 bool masked)
    : peer_(std::move(peer)), index_(index), stream_(&stream), masked_(masked) {}

void load_connection::queue(const std::vector<std::byte>& frame) {
  queued_.insert(queued_.end(), frame.begin(), frame.end());
}

failure load_connection::lost(int error_number) {
  // A server that refuses what we send says why in a close frame before it resets the connection.
  std::array<std::byte, 4096> bytes;
  for (ssize_t got = 0; !replies_.closed() && (got = peer_.read(bytes)) > 0;) {
    if (!replies_.feed(std::span(bytes).first(static_cast<std::size_t>(got)))) {
      break;
    }
  }
  const std::string who = "connection " + std::to_string(index_);
  if (replies_.closed()) {
    return failure(who + " was closed by the peer with status " +
                   std::to_string(replies_.close_status()));
  }
  if (error_number == 0) {
    return failure(who + " was ended by the peer without a close frame");
  }
  return system_failure(who + " was lost", error_number);
}

bool load_connection::send_queued() {
  while (queued_sent_ < queued_.size()) {
    const std::span<const std::byte> left = std::span(queued_).subspan(queued_sent_);
    const ssize_t sent = peer_.write(std::span(&left, 1));
    if (sent < 0) {
      if (errno == EAGAIN) {
        return false;
      }
      if (errno == EINTR) {
        continue;
      }
      throw lost(errno);
    }
    queued_sent_ += static_cast<std::size_t>(sent);
  }
  queued_.clear();
  queued_sent_ = 0;
  return true;
}

bool load_connection::write(std::uint64_t target) {
  target = std::min(target, limit_);
  if (!peer_.flush()) {
    if (errno == EAGAIN) {
      return false;
    }
    throw lost(errno);
  }
  while (true) {
    std::uint64_t until = target;
    if (!queued_.empty()) {
      const std::uint64_t boundary = stream_->message_end_at_or_after(position_);
      if (boundary == position_) {
        if (!send_queued()) {
          return false;
        }
      } else {
        until = std::max(until, boundary);
      }
    }
    if (position_ >= until) {
      return peer_.flushed();
    }
    // A block shorter than the turn is named more than once.
    std::array<std::span<const std::byte>, 8> parts;
    std::size_t count = 0;
    std::uint64_t named = position_;
    while (named < until && count < parts.size()) {
      const std::span<const std::byte> run = stream_->from(named, until - named);
      parts[count++] = run;
      named += run.size();
    }
    const ssize_t sent = peer_.write(std::span(parts).first(count));
    if (sent < 0) {
      if (errno == EAGAIN) {
        return false;
      }
      if (errno == EINTR) {
        continue;
      }
      throw lost(errno);
    }
    position_ += static_cast<std::uint64_t>(sent);
    if (position_ < named) {
      return false; // a full send buffer: asking again at once would only cost a system call
    }
  }
}

void load_connection::take(std::span<const std::byte> bytes) {
  if (!replies_.feed(bytes)) {
    throw failure("connection " + std::to_string(index_) + ": the peer sent what is not a frame");
  }
  for (const std::vector<std::byte>& payload : replies_.pings()) {
    std::vector<std::byte> pong;
    append_frame(pong, opcode::pong, true, masked_, 0x51c3a7e9u, payload);
    queue(pong);
  }
  replies_.pings().clear();
  if (replies_.closed()) {
    throw lost(0);
  }
}

std::size_t load_connection::read() {
  static thread_local std::array<std::byte, 256 * 1024> bytes;
  while (true) {
    const ssize_t got = peer_.read(bytes);
    if (got > 0) {
      take(std::span(bytes).first(static_cast<std::size_t>(got)));
      return static_cast<std::size_t>(got);
    }
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0 && errno == EAGAIN) {
      return 0;
    }
    throw lost(got == 0 ? 0 : errno);
  }
}

void load_connection::begin_close() noexcept {
  // Where a write stopped inside a message no frame can follow; the FIN has to say it then.
  if (queued_.empty() && stream_->message_end_at_or_after(position_) == position_) {
    try {
      const std::vector<std::byte> frame = close_frame(masked_);
      const std::span<const std::byte> whole(frame);
      (void)!peer_.write(std::span(&whole, 1));
    } catch (const std::bad_alloc&) {
    }
  }
  peer_.finish();
}

bool load_connection::read_to_end() noexcept {
  std::array<std::byte, 4096> bytes;
  ssize_t got = 0;
  do {
    got = peer_.read(bytes);
  } while (got > 0 || (got < 0 && errno == EINTR));
  return got == 0 || errno != EAGAIN;
}

} // namespace sluice_bench
