#pragma once

#include "core/buffer.hpp"

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace sluice::io {

/// A socket as backends know it. `id` is unique for the life of the process (see next_socket_id()),
/// so that a readiness note about a closed descriptor is never taken for one about its successor.
struct socket_ref {
  int fd = -1;
  std::uint64_t id = 0;
};
/// Never 0. Any thread.
[[nodiscard]] std::uint64_t next_socket_id() noexcept;

/// One request to the kernel. The submitter owns it and keeps it in place from submit() until
/// `on_complete` runs with the operation idle again, inside backend::wait(), also after a cancel.
/// That happens exactly once per submit (before that, only a multishot receive completes, with the
/// operation still armed); there it may be submitted again.
struct operation {
  enum class state : std::uint8_t { idle, armed, starved, cancelling, done };
  enum class kind : std::uint8_t { recv, send, connect, accept };

  using completion = void (*)(operation& done) noexcept;

  completion on_complete = nullptr; // may be null
  void* context = nullptr;
  std::int32_t result = 0; // after completion: bytes >= 0, or -errno; -ECANCELED after a cancel
  state now = state::idle;

  // The backend's own while the operation is not idle.
  kind what = kind::recv;
  std::uint32_t slot = 0;
  operation* next = nullptr;

  [[nodiscard]] bool idle() const noexcept { return now == state::idle; }
};

/// Size classes of receive buffers.
enum class buffer_class : std::uint8_t { small, large };
inline constexpr std::size_t buffer_class_count = 2;
[[nodiscard]] constexpr std::size_t index_of(buffer_class of) noexcept {
  return static_cast<std::size_t>(of);
}
[[nodiscard]] constexpr buffer_class other(buffer_class of) noexcept {
  return of == buffer_class::small ? buffer_class::large : buffer_class::small;
}

/// Reads once from a socket into a buffer of the pool. While it waits it holds no buffer (an idle
/// connection keeps none); with `result > 0`, `filled` is the caller's, to be recycled by it.
/// When no buffer is free the operation is `starved`: it stays submitted and goes on when a buffer
/// comes back, first starved first, never by a timer and never as an error. Where there is none
/// that could come back, because memory has run out, it ends with -ENOMEM.
///
/// With `multishot`, a backend that can (backend::multishot()) goes on after a read: `on_complete`
/// runs with the operation not idle, and takes `filled` out of it; more reads may follow at once,
/// also after a cancel, until it runs with the operation idle. That last time may bring anything:
/// bytes, the end of the stream, an error. Other backends read once.
struct recv_op : operation {
  socket_ref socket;
  bool multishot = false;                    // in
  buffer_class wanted = buffer_class::small; // a wish: another class is taken when it has run out
  bool expect_data = false;                  // in: the last read left bytes in the socket
  bool socket_nonempty = false;              // out: the socket had more bytes than fit
  buffer* filled = nullptr;                  // out

  // The backend's own while the operation is not idle.
  buffer_class group = buffer_class::small; // the class asked of the kernel
  std::uint64_t turn = 0;                   // in the line of those starved; 0: was never in it
};

/// Sends a prefix of `bytes` (short sends happen; MSG_NOSIGNAL). `bytes` stays valid until
/// complete.
struct send_op : operation {
  socket_ref socket;
  std::span<const std::byte> bytes;
};

/// Connects a non-blocking stream socket; `result` is 0 or -errno.
struct connect_op : operation {
  socket_ref socket;
  sockaddr_storage address{};
  socklen_t address_bytes = 0;
};

/// Takes one connection off a non-blocking listening socket; `result` is its descriptor
/// (non-blocking, close on exec, the submitter's to close) or -errno.
struct accept_op : operation {
  socket_ref socket;
};

/// A first-in, first-out list of operations, linked through operation::next.
class operation_list {
public:
  [[nodiscard]] bool empty() const noexcept { return first_ == nullptr; }

  void push(operation& added) noexcept {
    added.next = nullptr;
    if (last_ != nullptr) {
      last_->next = &added;
    } else {
      first_ = &added;
    }
    last_ = &added;
  }

  /// In front of `before`, which is in the list; nullptr: at the end. Linear.
  void insert(operation& added, operation* before) noexcept {
    if (before == nullptr) {
      push(added);
      return;
    }
    operation** link = &first_;
    while (*link != before) {
      link = &(*link)->next;
    }
    *link = &added;
    added.next = before;
  }

  [[nodiscard]] operation* first() const noexcept { return first_; }

  /// Only when not empty.
  [[nodiscard]] operation& pop() noexcept {
    operation& taken = *first_;
    first_ = taken.next;
    if (first_ == nullptr) {
      last_ = nullptr;
    }
    taken.next = nullptr;
    return taken;
  }

  /// Linear; false if it is not there.
  bool remove(operation& wanted) noexcept {
    operation* before = nullptr;
    for (operation* at = first_; at != nullptr; before = at, at = at->next) {
      if (at != &wanted) {
        continue;
      }
      (before != nullptr ? before->next : first_) = at->next;
      if (last_ == at) {
        last_ = before;
      }
      at->next = nullptr;
      return true;
    }
    return false;
  }

private:
  operation* first_ = nullptr;
  operation* last_ = nullptr;
};

} // namespace sluice::io
