#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice {

/// Counters of one loop; they only grow unless their comment says "now". Later versions add members
/// at the end: `size_bytes` says how much the caller has room for, the library fills no more.
struct loop_stats {
  std::size_t size_bytes = sizeof(loop_stats);

  std::uint64_t connections_open = 0; // now, handshakes included
  std::uint64_t connections_accepted = 0;
  std::uint64_t connections_adopted = 0;
  std::uint64_t connections_made = 0; // as client, TCP established
  std::uint64_t handshakes_done = 0;
  std::uint64_t handshakes_failed = 0;
  std::uint64_t closes_clean = 0; // close frames went both ways
  std::uint64_t closes_dirty = 0;

  std::uint64_t ticks = 0;        // turns of the loop
  std::uint64_t system_calls = 0; // made by the backend
  std::uint64_t completions = 0;
  std::uint64_t receives = 0;       // completed with bytes
  std::uint64_t received_bytes = 0; // from the sockets, headers included
  // Had to wait for a buffer; with multishot_receives a burst of one connection is enough for that.
  std::uint64_t receives_starved = 0;
  std::uint64_t sends = 0;
  std::uint64_t sent_bytes = 0; // to the sockets, headers included

  std::uint64_t messages_received = 0; // of connections that have ended and of open ones
  std::uint64_t frames_received = 0;   // of any opcode
  std::uint64_t payload_received_bytes = 0;
  std::uint64_t payload_copied_bytes = 0; // received payload that was copied in user space
  std::uint64_t frames_sent = 0;
  std::uint64_t payload_sent_bytes = 0;

  std::uint64_t views_held = 0; // calls of view::hold that gave a view
  std::uint64_t lent_bytes = 0; // now: receive memory kept alive by held views
  std::uint64_t reads_paused_by_lending = 0;
  std::uint64_t turns_over_budget = 0; // a connection had more to do and went to the back
  std::uint64_t pool_bytes = 0;        // now: receive buffers reserved
  std::uint64_t cached_bytes = 0;      // now: blocks kept for reuse
  std::uint64_t allocations = 0;       // heap blocks taken by the loop and its connections

  const char* backend = ""; // "uring" or "epoll"; static storage
  const char* kernels = ""; // "avx2", ...; static storage
  // 1: the kernel polls the network devices of our sockets while busy_poll_us looks for events.
  std::uint64_t polls_devices = 0;

  std::uint64_t buffers_posted = 0; // now: receive buffers that the kernel may fill (io_uring)
  std::uint64_t buffers_lent = 0;   // now: receive buffers with bytes not used up, or held by views

  std::uint64_t tls_handshakes = 0; // done, of both roles
  std::uint64_t tls_resumed = 0;    // those of them that took up an earlier session

  std::uint64_t multishot = 0;    // 1: loop_settings::multishot_receives is in effect
  std::uint64_t reads_braked = 0; // a multishot receive was cancelled to hold a connection back
};

/// Counters of one connection; the rules of loop_stats apply.
struct connection_stats {
  std::size_t size_bytes = sizeof(connection_stats);

  std::uint64_t messages_received = 0;
  std::uint64_t frames_received = 0;
  std::uint64_t payload_received_bytes = 0;
  std::uint64_t payload_copied_bytes = 0;
  std::uint64_t pings_received = 0;
  std::uint64_t pongs_received = 0;
  std::uint64_t frames_sent = 0;
  std::uint64_t payload_sent_bytes = 0;
  std::uint64_t send_queue_bytes = 0; // now
  std::uint64_t lent_bytes = 0;       // now
};

} // namespace sluice
