#pragma once

#include "load.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace sluice_bench {

/// A kind of traffic with a name that says all of it, so that tables of different days compare.
///
///   name      = part *("-" part), in any order
///   part      = "bin" / "ascii" / "latin" / "cjk" / "emoji" / "mixed"   payload; default bin
///             / number ["k" / "m"]     payload bytes of a message; default 125
///             / "c" number             connections; default 1
///             / "f" number ["k"]       payload bytes of a frame at most; default: not cut
///             / "paced"                100,000 messages a second over all connections
///             / "r" number ["k"]       messages a second (here k is 1,000)
///             / "pp"                   ping-pong: the next message leaves when the last came back
struct workload {
  std::string name;
  load_settings load;
};

/// Throws failure(exit_bad_use) when the name does not parse.
[[nodiscard]] workload workload_named(std::string_view name);

/// The workloads that a full comparison consists of, and the handful that a quick one does.
[[nodiscard]] std::vector<std::string> standard_workloads();
[[nodiscard]] std::vector<std::string> quick_workloads();

} // namespace sluice_bench
