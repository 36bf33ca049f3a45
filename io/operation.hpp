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
[[nodiscard]] std::uint64_t next_socket_id() noexcept;

/// One request to the kernel. The submitter owns it and keeps it in place from submit_*() until
/// `on_complete` runs, which happens exactly once per submit, inside backend::wait(), also after a
/// cancel. The operation is idle again before `on_complete` is called, so it may be submitted there.
struct operation {
  enum class state : std::uint8_t { idle, armed, starved, cancelling };

  using completion = void (*)(operation& done) noexcept;

  completion on_complete = nullptr;
  void* context = nullptr;
  std::int32_t result = 0; // after completion: bytes >= 0, or -errno; -ECANCELED after a cancel
  state now = state::idle;

  [[nodiscard]] bool idle() const noexcept { return now == state::idle; }
};

/// Size classes of receive buffers.
enum class buffer_class : std::uint8_t { small, large };
inline constexpr std::size_t buffer_class_count = 2;

/// Reads once from a socket into a buffer of the pool. While it waits it holds no buffer (an idle
/// connection keeps none); with `result > 0`, `filled` is the caller's, to be recycled by it.
/// When no buffer is free the operation is `starved`: it stays submitted and goes on when a buffer
/// comes back, first starved first, never by a timer and never as an error.
struct recv_op : operation {
  socket_ref socket;
  buffer_class wanted = buffer_class::small;
  bool expect_data = false;    // in: the last read left bytes in the socket; do not poll first
  bool socket_nonempty = false; // out: the socket had more bytes than fit
  buffer* filled = nullptr;    // out
  recv_op* next_starved = nullptr;
};

/// Sends a prefix of `bytes` (short sends happen; MSG_NOSIGNAL). `bytes` stays valid until complete.
struct send_op : operation {
  socket_ref socket;
  std::span<const std::byte> bytes;
};

struct connect_op : operation {
  socket_ref socket;
  sockaddr_storage address{};
  socklen_t address_bytes = 0;
};

} // namespace sluice::io
