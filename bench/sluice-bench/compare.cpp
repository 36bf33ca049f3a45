#include "compare.hpp"

#include "json.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

namespace sluice_bench {
namespace {

double median_of(std::vector<double>& values) {
  if (values.empty()) {
    return std::nan("");
  }
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 != 0 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

void append(cell& to, const load_settings& load, const load_result& result) {
  const double cpu = seconds(result.receiver_cpu_ns);
  const double wall = seconds(result.wall_ns);
  const double messages = static_cast<double>(result.messages);
  const double bytes = static_cast<double>(result.payload_bytes);
  to.cpu_s_per_gb.push_back(cpu * 1e9 / bytes);
  to.cpu_s_per_million.push_back(cpu * 1e6 / messages);
  to.messages_per_s.push_back(messages / wall);
  to.bytes_per_s.push_back(bytes / wall);
  to.saturated.emplace_back(saturated_side(load, result));
  if (load.ping_pong) {
    const auto us = [&result](double share) {
      return static_cast<double>(result.round_trip_ns.percentile(share)) * 1e-3;
    };
    to.p50_us.push_back(us(0.5));
    to.p99_us.push_back(us(0.99));
    to.p99_9_us.push_back(us(0.999));
    to.round_trip_ns.add(result.round_trip_ns);
  }
}

/// What a distribution is drawn from.
constexpr std::pair<const char*, double> distribution[] = {
    {"p0", 0.0},      {"p1", 0.01},     {"p5", 0.05},       {"p10", 0.1},       {"p25", 0.25},
    {"p50", 0.5},     {"p75", 0.75},    {"p90", 0.9},       {"p95", 0.95},      {"p99", 0.99},
    {"p99.5", 0.995}, {"p99.9", 0.999}, {"p99.95", 0.9995}, {"p99.99", 0.9999}, {"p100", 1.0}};

/// The word that most rounds agree on.
std::string most_common(const std::vector<std::string>& words) {
  std::string best;
  std::ptrdiff_t best_count = 0;
  for (const std::string& word : words) {
    const std::ptrdiff_t count = std::count(words.begin(), words.end(), word);
    if (count > best_count) {
      best_count = count;
      best = word;
    }
  }
  return best;
}

/// Three significant digits, at most 7 characters for what comes up here.
std::string short_number(double value) {
  if (!std::isfinite(value)) {
    return "-";
  }
  char text[32];
  const int digits = value >= 99.95 ? 0 : value >= 9.995 ? 1 : value >= 0.9995 ? 2 : 3;
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

void set_ratios(std::vector<cell>& cells, const workload& work) {
  const std::string floor = floor_for(work);
  const auto base = std::find_if(cells.begin(), cells.end(), [&](const cell& c) {
    return c.workload == work.name && c.receiver == floor && !c.cpu_s_per_million.empty();
  });
  if (base == cells.end()) {
    return;
  }
  const double floor_cpu = spread_of(base->cpu_s_per_million).median;
  for (cell& c : cells) {
    if (c.workload == work.name && !c.cpu_s_per_million.empty() && floor_cpu > 0) {
      c.ratio = spread_of(c.cpu_s_per_million).median / floor_cpu;
      c.floor = floor;
    }
  }
}

} // namespace

spread spread_of(std::vector<double> values) {
  spread made;
  made.median = median_of(values);
  for (double& value : values) {
    value = std::fabs(value - made.median);
  }
  made.deviation = median_of(values);
  return made;
}

std::vector<cell> compare(const compare_settings& settings, const stop_request& stop,
                          progress& shown, bool silent) {
  std::vector<cell> cells;
  for (const workload& work : settings.workloads) {
    const std::size_t first = cells.size();
    std::vector<const receiver_spec*> taking_part;
    for (const receiver_spec& spec : settings.receivers) {
      if (suits(spec, work)) {
        taking_part.push_back(&spec);
        cell made;
        made.workload = work.name;
        made.receiver = spec.name;
        made.ping_pong = work.load.ping_pong;
        cells.push_back(std::move(made));
      }
    }
    for (std::size_t round = 0; round < settings.rounds; ++round) {
      for (std::size_t i = 0; i < taking_part.size(); ++i) {
        cell& c = cells[first + i];
        if (!c.error.empty()) {
          continue; // it has failed once; the others need the time
        }
        shown.update(work.name + ", round " + std::to_string(round + 1) + " of " +
                         std::to_string(settings.rounds) + ": " + c.receiver,
                     now_ns());
        try {
          const running_receiver receiver(*taking_part[i], work, settings.receiver_cpu,
                                          settings.verbose);
          load_settings load = work.load;
          load.server = receiver.where();
          load.tls.insecure = true; // we have started it ourselves
          load.run_seconds = settings.run_seconds;
          load.warmup_seconds = settings.warmup_seconds;
          load.messages = settings.messages;
          progress none(true);
          const load_result result = run_load(load, process_clock(receiver.pid()), stop, none);
          if (stop.made()) {
            throw failure("interrupted", exit_interrupted);
          }
          append(c, load, result);
        } catch (const failure& why) {
          if (stop.made()) {
            throw failure("interrupted", exit_interrupted);
          }
          c.error = why.what();
          shown.line(work.name + ", " + c.receiver + ": " + c.error);
        }
      }
    }
    set_ratios(cells, work);
    if (!silent) {
      shown.clear();
      print_workload(cells, work.name);
    }
  }
  return cells;
}

void print_workload(const std::vector<cell>& cells, const std::string& workload) {
  std::printf("\n%-18s %9s %7s %10s %10s %10s %7s", workload.c_str(), "CPU s/GB", "+-",
              "us/message", "messages/s", "MB/s", "x floor");
  const bool ping_pong = std::any_of(cells.begin(), cells.end(), [&](const cell& c) {
    return c.workload == workload && c.ping_pong;
  });
  if (ping_pong) {
    std::printf(" %8s %8s %8s", "p50 us", "p99 us", "p99.9 us");
  }
  std::printf("  saturated\n");
  for (const cell& c : cells) {
    if (c.workload != workload) {
      continue;
    }
    if (c.cpu_s_per_gb.empty()) {
      std::printf("%-18s %s\n", c.receiver.c_str(), c.error.c_str());
      continue;
    }
    const spread per_gb = spread_of(c.cpu_s_per_gb);
    std::printf("%-18s %9s %7s %10s %10.0f %10.1f %7s", c.receiver.c_str(),
                short_number(per_gb.median).c_str(), short_number(per_gb.deviation).c_str(),
                short_number(spread_of(c.cpu_s_per_million).median).c_str(),
                spread_of(c.messages_per_s).median, spread_of(c.bytes_per_s).median * 1e-6,
                c.ratio > 0 ? short_number(c.ratio).c_str() : "-");
    if (ping_pong) {
      std::printf(" %8s %8s %8s", short_number(spread_of(c.p50_us).median).c_str(),
                  short_number(spread_of(c.p99_us).median).c_str(),
                  short_number(spread_of(c.p99_9_us).median).c_str());
    }
    std::printf("  %s%s\n", most_common(c.saturated).c_str(),
                c.error.empty() ? "" : (" (later: " + c.error + ")").c_str());
  }
  std::fflush(stdout);
}

void print_ratios(const compare_settings& settings, const std::vector<cell>& cells) {
  std::printf("\nCPU time, ratio to the floor (bare recv; bare epoll for many connections and for "
              "paced traffic)\n%-18s",
              "");
  for (const workload& work : settings.workloads) {
    std::printf(" %*s", static_cast<int>(std::max<std::size_t>(work.name.size(), 6)),
                work.name.c_str());
  }
  std::printf("\n");
  for (const receiver_spec& spec : settings.receivers) {
    std::printf("%-18s", spec.name.c_str());
    for (const workload& work : settings.workloads) {
      const auto found = std::find_if(cells.begin(), cells.end(), [&](const cell& c) {
        return c.workload == work.name && c.receiver == spec.name;
      });
      const bool known = found != cells.end() && found->ratio > 0;
      std::printf(" %*s", static_cast<int>(std::max<std::size_t>(work.name.size(), 6)),
                  known ? short_number(found->ratio).c_str() : "-");
    }
    std::printf("\n");
  }
  std::fflush(stdout);
}

std::string to_json(const compare_settings& settings, const std::vector<cell>& cells) {
  json_writer out;
  out.begin_object();
  out.member("machine", machine_description());
  out.member("compiler", compiler_description());
  out.member("rounds", std::uint64_t{settings.rounds});
  out.member("run_s", settings.run_seconds);
  out.member("warmup_s", settings.warmup_seconds);
  out.begin_array("results");
  for (const cell& c : cells) {
    out.begin_object();
    out.member("workload", c.workload);
    out.member("receiver", c.receiver);
    const auto figure = [&out](const char* name, const std::vector<double>& values) {
      if (values.empty()) {
        return;
      }
      const spread s = spread_of(values);
      out.begin_object(name);
      out.member("median", s.median);
      out.member("mad", s.deviation);
      out.begin_array("rounds");
      for (const double value : values) {
        out.element(value);
      }
      out.end_array();
      out.end_object();
    };
    figure("cpu_s_per_gb", c.cpu_s_per_gb);
    figure("cpu_s_per_million", c.cpu_s_per_million);
    figure("messages_per_s", c.messages_per_s);
    figure("payload_bytes_per_s", c.bytes_per_s);
    figure("p50_us", c.p50_us);
    figure("p99_us", c.p99_us);
    figure("p99_9_us", c.p99_9_us);
    if (c.round_trip_ns.count() != 0) {
      out.begin_object("round_trip_us");
      for (const auto& [name, share] : distribution) {
        out.member(name, static_cast<double>(c.round_trip_ns.percentile(share)) * 1e-3);
      }
      out.end_object();
    }
    if (!c.saturated.empty()) {
      out.member("saturated", most_common(c.saturated));
    }
    if (!c.floor.empty()) {
      out.member("floor", c.floor);
      out.member("ratio", c.ratio);
    }
    if (!c.error.empty()) {
      out.member("error", c.error);
    }
    out.end_object();
  }
  out.end_array();
  out.end_object();
  return out.text();
}

} // namespace sluice_bench
