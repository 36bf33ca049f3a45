#pragma once

#include "sluice/tls.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace sluice {

/// How a connection hands over what it receives. May be changed at any time between two callbacks
/// or inside one (connection::set_delivery); a change inside a message acts from its next slice,
/// except that a message that on_message has begun to collect is finished that way.
enum class delivery : std::uint8_t {
  slices,   // connection_handler::on_slice: views into the receive buffer, as bytes come
  messages, // connection_handler::on_message: whole messages, collected only if they came in pieces
  buffers,  // connection::receive_into and on_received: copied into the caller's memory
};

/// Everything that bounds one connection. The defaults suit a server on the open internet; nothing
/// is off unless its comment says how to turn it off. Copied by the call that takes it.
struct connection_settings {
  // What a peer may make us do.
  std::uint64_t max_message_bytes = std::uint64_t{16} << 20; // over it: close 1009. 0 counts as 1
  std::uint32_t max_fragments = 4096;                        // frames of one message; close 1008
  std::uint32_t max_head_bytes = 16 * 1024;                  // HTTP head of the handshake; 431
  std::uint32_t max_headers = 100;                           // header fields in that head; 431

  // Time, in milliseconds; 0 turns a limit off. Kept to within 128 ms, never early.
  std::chrono::milliseconds handshake_timeout{10'000}; // from accept (or connect) to on_open
  std::chrono::milliseconds ping_interval{30'000};     // silence after which a ping is sent
  std::chrono::milliseconds dead_after{60'000};        // silence after which the peer is dead
  std::chrono::milliseconds close_timeout{10'000}; // for the peer's close frame and the last bytes

  // Memory.
  std::size_t max_send_queue_bytes = std::size_t{1} << 20; // see connection::send
  std::size_t max_lent_bytes = std::size_t{256}
                               << 10; // see view::hold; receive buffers count whole

  delivery take = delivery::slices;

  // Empty: plain TCP. A server's for listen and adopt, a client's for connect; the other one is
  // error::invalid_argument. The TLS handshake counts in handshake_timeout.
  tls_config tls;

  [[nodiscard]] friend bool operator==(const connection_settings&,
                                       const connection_settings&) noexcept = default;
};

/// What the loop asks the kernel with.
enum class io_backend : std::uint8_t {
  automatic, // io_uring where it works here, else epoll
  uring,     // or error::backend_unavailable
  epoll,
};

enum class log_level : std::uint8_t { warning, info, debug };

/// Receives one line about something that happened: refused handshakes, protocol errors, starved
/// pools, dead peers. `line` is ASCII without a line end and lives for the call. Called on the
/// loop's thread, which it must not block. With no hook a log point costs one load.
struct log_hook {
  void (*write)(void* context, log_level level, const char* line) noexcept = nullptr;
  void* context = nullptr;
  log_level up_to = log_level::info;
};

/// One loop, one thread. The environment variables SLUICE_BACKEND (uring, epoll) and
/// SLUICE_FORCE_KERNEL (scalar, avx2, ...) win over the choices made here and by the CPU.
struct loop_settings {
  io_backend backend = io_backend::automatic;

  // Receive buffers. Small ones have 4 KiB, large ones 64 KiB; both counts are rounded up to powers
  // of two of at most 32768. 0: as many as fill a quarter of the L2 cache each, because buffers
  // that stay in that cache make receiving about a quarter cheaper.
  std::uint32_t small_buffers_posted = 0;
  std::uint32_t large_buffers_posted = 0;
  std::size_t max_pool_bytes = std::size_t{16}
                               << 20; // receive buffers in all, posted ones included

  // Blocks for sending and for collecting messages that are kept for reuse, in bytes.
  std::size_t max_cached_bytes = std::size_t{8} << 20;

  // Fairness: what one connection may do before it is another one's turn.
  std::size_t turn_bytes = std::size_t{64} << 10;
  std::uint32_t turn_frames = 256;

  // How long to look for events without sleeping before each sleep, in microseconds; 0: sleep at
  // once. Takes a CPU for itself in exchange for a few microseconds of latency. Where io_uring can
  // (Linux 6.9), the network devices that the sockets are fed by are polled as well.
  std::uint32_t busy_poll_us = 0;

  // io_uring only: one request to the kernel stays for many receives of a connection, instead of a
  // request for each. A connection that does not keep up, or may not read, is held back by a
  // cancel. Without effect on epoll, over TLS, and where the kernel fails the test for it
  // (loop_stats::multishot says). perf-notes.md section 5.5 has what it costs and gains.
  bool multishot_receives = true;

  log_hook log;
};

} // namespace sluice
