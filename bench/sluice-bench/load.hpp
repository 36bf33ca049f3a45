#pragma once

#include "endpoint.hpp"
#include "histogram.hpp"
#include "process_clock.hpp"
#include "progress.hpp"
#include "stop_request.hpp"
#include "traffic.hpp"

#include <cstddef>
#include <cstdint>

namespace sluice_bench {

/// How a phase is known to be over at the other end.
enum class expectation {
  report, // the text message REPORT is answered with what was counted
  echo,   // every message comes back
  none,   // all bytes were handed to the kernel
};

struct load_settings {
  endpoint server;
  tls_options tls;     // for a secure server
  bool listen = false; // wait for clients instead of connecting to a server
  std::size_t connection_count = 1;
  traffic_settings traffic;
  std::uint64_t messages = 0; // over all connections; 0 = by time
  double run_seconds = 2;
  double warmup_seconds = 0;
  double rate = 0; // messages a second over all connections; 0 = flat out
  bool ping_pong = false;
  bool sleep = false; // ping-pong: sleep until the answer comes instead of spinning
  expectation expect = expectation::report;
  std::size_t turn_bytes = 256 * 1024; // written to one connection before the next has its turn
  std::size_t turn_messages = 0;       // the same in messages; 0 = by bytes
  double stall_seconds = 10;           // without any progress: the measurement has failed
};

/// What one measured phase was. Times run from just before its first byte to the confirmation of
/// its last message.
struct load_result {
  std::uint64_t messages = 0;
  std::uint64_t payload_bytes = 0;
  std::uint64_t wire_bytes = 0;
  std::uint64_t wall_ns = 0;
  std::uint64_t generator_cpu_ns = 0;
  std::uint64_t receiver_cpu_ns = 0; // 0 unless a process was named
  bool receiver_measured = false;
  bool confirmed = false;
  bool interrupted = false;
  histogram round_trip_ns; // ping-pong, and paced traffic that is echoed
};

/// Connects, sends, confirms, closes. `receiver` may be invalid. Throws failure.
[[nodiscard]] load_result run_load(const load_settings& settings, const process_clock& receiver,
                                   const stop_request& stop, progress& shown);

/// "receiver", "generator", "both" or "neither": who had no CPU time left. A generator that spins
/// between messages (paced, ping-pong) is never called saturated.
[[nodiscard]] const char* saturated_side(const load_settings& settings, const load_result& result);

} // namespace sluice_bench
