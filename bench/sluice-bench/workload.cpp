#include "workload.hpp"

#include <charconv>
#include <optional>

namespace sluice_bench {
namespace {

constexpr double paced_rate = 100'000;
// Messages written to one of many connections before the next has its turn: what arrives together
// decides what a receive costs, so the figure belongs to the workload.
constexpr std::size_t shared_turn_messages = 32;

std::optional<std::uint64_t> number(std::string_view text, std::uint64_t kilo) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || value > (std::uint64_t{1} << 40)) {
    return std::nullopt;
  }
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  if (unit.empty()) {
    return value;
  }
  if (unit == "k") {
    return value * kilo;
  }
  if (unit == "m") {
    return value * kilo * kilo;
  }
  return std::nullopt;
}

bool apply(std::string_view part, load_settings& load) {
  if (part == "bin") {
    load.traffic.kind = payload_kind::binary;
  } else if (const auto kind = payload_kind_named(part)) {
    load.traffic.kind = *kind;
  } else if (part == "pp") {
    load.ping_pong = true;
    load.expect = expectation::echo;
  } else if (part == "paced") {
    load.rate = paced_rate;
  } else if (const auto size = number(part, 1024)) {
    load.traffic.message_bytes = {static_cast<std::size_t>(*size)};
  } else if (part.empty()) {
    return false;
  } else {
    const auto value = number(part.substr(1), part[0] == 'f' ? 1024 : 1000);
    if (!value || *value == 0) {
      return false;
    }
    if (part[0] == 'c') {
      load.connection_count = static_cast<std::size_t>(*value);
    } else if (part[0] == 'f') {
      load.traffic.fragment_bytes = static_cast<std::size_t>(*value);
    } else if (part[0] == 'r') {
      load.rate = static_cast<double>(*value);
    } else if (part[0] == 't') {
      load.turn_messages = static_cast<std::size_t>(*value);
    } else {
      return false;
    }
  }
  return true;
}

} // namespace

workload workload_named(std::string_view name) {
  workload made;
  made.name = name;
  made.load.traffic.message_bytes = {125};
  std::string_view left = name;
  while (true) {
    const std::size_t dash = left.find('-');
    const std::string_view part = left.substr(0, dash);
    if (!apply(part, made.load)) {
      throw failure("the workload '" + std::string(name) + "' has a part that means nothing: '" +
                        std::string(part) + "'; sluice-bench run --help shows the names",
                    exit_bad_use);
    }
    if (dash == std::string_view::npos) {
      break;
    }
    left.remove_prefix(dash + 1);
  }
  if (made.load.ping_pong && made.load.rate > 0) {
    throw failure("the workload '" + std::string(name) + "' is both paced and ping-pong",
                  exit_bad_use);
  }
  if (made.load.connection_count > 1 && made.load.turn_messages == 0) {
    made.load.turn_messages = shared_turn_messages;
  }
  return made;
}

std::vector<std::string> standard_workloads() {
  return {"bin-16",    "bin-125",     "bin-1k",       "bin-16k", "bin-64k",   "bin-1m", "ascii-1k",
          "ascii-64k", "mixed-1k",    "mixed-64k",    "125-c64", "125-c1000", "1k-c64", "1k-c1000",
          "paced-c1",  "paced-c1000", "paced-1k-c64", "pp-64",   "pp-1k"};
}

std::vector<std::string> quick_workloads() {
  return {"bin-125", "bin-64k", "mixed-1k", "125-c64", "pp-64"};
}

} // namespace sluice_bench
