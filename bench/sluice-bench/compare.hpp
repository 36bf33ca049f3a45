#pragma once

#include "histogram.hpp"
#include "load.hpp"
#include "progress.hpp"
#include "receiver.hpp"
#include "stop_request.hpp"
#include "workload.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace sluice_bench {

struct compare_settings {
  std::vector<workload> workloads;
  std::vector<receiver_spec> receivers;
  std::size_t rounds = 5;
  double run_seconds = 1.2;
  double warmup_seconds = 0.3;
  std::uint64_t messages = 0; // per measurement instead of run_seconds; 0 = by time
  int receiver_cpu = -1;
  int generator_cpu = -1;
  bool verbose = false;
};

/// One figure over the rounds: its median and the median distance from it.
struct spread {
  double median = 0;
  double deviation = 0;
};
[[nodiscard]] spread spread_of(std::vector<double> values);

/// One receiver under one workload.
struct cell {
  std::string workload;
  std::string receiver;
  bool ping_pong = false;
  std::vector<double> cpu_s_per_gb; // one element a round, here and below
  std::vector<double> cpu_s_per_million;
  std::vector<double> messages_per_s;
  std::vector<double> bytes_per_s;
  std::vector<double> p50_us;
  std::vector<double> p99_us;
  std::vector<double> p99_9_us;
  histogram round_trip_ns; // all rounds together
  std::vector<std::string> saturated;
  std::string error; // why there are fewer rounds than asked for; empty = all there
  double ratio = 0;  // of the CPU time to the floor's; 0 = no floor was measured
  std::string floor;
};

/// Measures every receiver under every workload, receiver after receiver within a round so that
/// what the machine does meanwhile hits all of them alike. Prints each workload's table when it is
/// done, unless `silent`. Throws failure on interruption only; a receiver that fails is in `error`.
[[nodiscard]] std::vector<cell> compare(const compare_settings& settings, const stop_request& stop,
                                        progress& shown, bool silent);

void print_workload(const std::vector<cell>& cells, const std::string& workload);
/// Receivers by workloads: the ratio to the floor.
void print_ratios(const compare_settings& settings, const std::vector<cell>& cells);
[[nodiscard]] std::string to_json(const compare_settings& settings, const std::vector<cell>& cells);

} // namespace sluice_bench
