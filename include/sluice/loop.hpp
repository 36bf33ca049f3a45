#pragma once

#include "sluice/connection.hpp"
#include "sluice/error.hpp"
#include "sluice/export.h"
#include "sluice/handler.hpp"
#include "sluice/listener.hpp"
#include "sluice/settings.hpp"
#include "sluice/stats.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace sluice {

namespace io {
class event_loop;
}

/// Where a client connects to. The strings are copied by loop::connect.
struct connect_settings {
  const char* host = nullptr;         // name or numeric address; IPv6 without brackets
  std::uint16_t port = 0;             // 0: the usual one, 80, or 443 with TLS
  const char* target = "/";           // path and query
  const char* host_header = nullptr;  // nullptr: made from host and port
  const char* origin = nullptr;       // nullptr: no Origin
  const char* subprotocols = nullptr; // offered, separated by commas, best first; nullptr: none
  const char* header_lines = nullptr; // further header lines, each "Name: value\r\n"
  const char* tls_name = nullptr;     // whom the certificate must name; nullptr: the host
  connection_settings connection;     // handshake_timeout covers resolving and connecting, too
};

/// One thread's event loop: sockets, receive buffers, timers and connections.
///
///     sluice::loop loop;
///     if (loop.open() != sluice::error::none) ...
///     loop.listen(settings, handler, listener);
///     loop.run();
///
/// Everything but stop() and post() belongs to the thread that called open(); close it there, too.
class SLUICE_EXPORT loop {
public:
  loop() noexcept = default;
  loop(const loop&) = delete;
  loop& operator=(const loop&) = delete;
  /// Aborts what is open, with on_close for each connection, and closes. Held views stay valid.
  ~loop();

  /// @return none; backend_unavailable (the backend asked for, or the kernel named by
  ///         SLUICE_FORCE_KERNEL, cannot work here); no_memory; out_of_descriptors;
  ///         invalid_argument; invalid_state when open already; system.
  error open(const loop_settings& settings = {}) noexcept;
  [[nodiscard]] bool is_open() const noexcept { return self_ != nullptr; }

  // ---- running
  // -----------------------------------------------------------------------------------

  /// Runs until stop(). Returns none, or system when the kernel refuses to go on.
  error run() noexcept;

  /// Makes run() return after the turn it is in; if it is not running, the next run() returns after
  /// one turn. Any thread; async-signal-safe. The loop must be there until stop() has returned, and
  /// run() may return before it: a thread that closes the loop waits for the one that stopped it.
  void stop() noexcept;

  /// For a program with a loop of its own: polls readable (level-triggered) when run_ready() has
  /// something to do; -1 when the system has no descriptor left for it. Stays the same while the
  /// loop is open; do not read from it or close it.
  [[nodiscard]] int descriptor() const noexcept;

  /// Does what there is to do and never sleeps: at most `budget` turns of the loop, each bounded
  /// by the fairness settings.
  /// @return how long the program may wait for descriptor() before it has to call again, in
  ///         milliseconds: 0 when there is more to do at once, -1 when only the descriptor counts.
  int run_ready(std::size_t budget = 16) noexcept;

  /// Runs `task(context)` on the loop's thread, in one of its next turns, in the order of the calls
  /// of each thread. Any thread, the loop's own included (then also not before the call returns).
  /// Tasks that have not run when the loop closes are dropped.
  /// @return none, no_memory, or invalid_state when the loop is not open.
  error post(void (*task)(void* context) noexcept, void* context) noexcept;

  // ---- connections
  // -------------------------------------------------------------------------------

  /// Starts to accept. `handler` serves the connections that come in. `made` lives until it is
  /// closed or the loop is; may be ignored.
  /// @return none; invalid_argument (address); cannot_listen (in use, not ours, not allowed);
  ///         out_of_descriptors; no_memory; system.
  error listen(const listen_settings& settings, connection_handler& handler,
               listener*& made) noexcept;

  /// Takes over a connected stream socket that somebody else has accepted, and plays the server on
  /// it. `already_read`: what has been read from it so far (copied), from the first byte of the
  /// request on; may hold the whole request and frames behind it. Owns `fd` from here on if it
  /// returns none. The handshake time-out starts now. Callbacks start in the next turn.
  /// `made` is for what is set before them (user_data, handler): a handshake that fails, or that
  /// on_upgrade refuses, ends it without a callback.
  /// @return none; invalid_argument (not a stream socket); no_memory; system.
  error adopt(int fd, std::span<const std::byte> already_read, const connection_settings& settings,
              connection_handler& handler, connection*& made) noexcept;

  /// Starts to connect as a client. on_open or on_close tells how it went, not before the next
  /// turn. Name resolution runs on a thread of its own.
  /// @return none; invalid_argument (host, target or header syntax); no_memory;
  ///         out_of_descriptors; random_failed; system.
  error connect(const connect_settings& to, connection_handler& handler,
                connection*& made) noexcept;

  // ---- about it
  // ----------------------------------------------------------------------------------

  void stats(loop_stats& to) const noexcept;

private:
  io::event_loop* self_ = nullptr;
};

} // namespace sluice
