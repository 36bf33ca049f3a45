#include "commands.hpp"
#include "compare.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>

namespace sluice_bench {
namespace {

struct run_options {
  compare_settings settings;
  std::vector<std::string> workloads{"quick"};
  std::vector<std::string> receivers{"all"};
  std::vector<std::string> peers;
  std::string target;
  std::string target_name = "target";
  std::string certificate;
  std::string key;
  int pid = 0;
  bool json = false;
  bool quiet = false;
};

constexpr const char* all_receivers[] = {"uring-view", "uring-copy", "uring-message",
                                         "epoll-view", "epoll-copy", "epoll-message",
                                         "bare-recv",  "bare-epoll", "bare-ring"};

std::vector<workload> chosen_workloads(const std::vector<std::string>& names) {
  std::vector<workload> made;
  for (const std::string& name : names) {
    const std::vector<std::string> group = name == "all"     ? standard_workloads()
                                           : name == "quick" ? quick_workloads()
                                                             : std::vector<std::string>{name};
    for (const std::string& each : group) {
      made.push_back(workload_named(each));
    }
  }
  return made;
}

std::vector<receiver_spec> chosen_receivers(const run_options& options) {
  std::vector<receiver_spec> made;
  const auto add = [&made](receiver_spec spec) {
    const bool known = std::any_of(made.begin(), made.end(), [&](const receiver_spec& other) {
      return other.name == spec.name;
    });
    if (!known) {
      made.push_back(std::move(spec));
    }
  };
  for (const std::string& name : options.receivers) {
    for (const char* each : all_receivers) {
      const bool floor = std::string_view(each).rfind("bare-", 0) == 0;
      if (name == "all" || name == (floor ? "floors" : "sluice")) {
        add(receiver_named(each));
      }
    }
    if (name != "all" && name != "floors" && name != "sluice") {
      add(receiver_named(name));
    }
  }
  for (const std::string& peer : options.peers) {
    add(peer_receiver(peer));
  }
  if (!options.target.empty()) {
    receiver_spec spec;
    spec.name = options.target_name;
    spec.running = parse_host_port(options.target);
    spec.running_pid = options.pid;
    add(std::move(spec));
  }
  return made;
}

/// `wanted`, or where that is negative a CPU that is not `other`; -1 when there is but one.
int cpu_beside(int other, int wanted) {
  for (int n = 0; wanted < 0 && n < usable_cpu_count() && usable_cpu_count() > 1; ++n) {
    wanted = usable_cpu(n) == other ? -1 : usable_cpu(n);
  }
  return wanted;
}

int run(run_options& options, stop_request& stop) {
  compare_settings& settings = options.settings;
  settings.workloads = chosen_workloads(options.workloads);
  if (options.target.empty() != (options.pid == 0)) {
    throw failure("--target and --pid go together: the address to load and the process to measure",
                  exit_bad_use);
  }
  settings.receivers = chosen_receivers(options);
  for (receiver_spec& spec : settings.receivers) {
    if (spec.secure && options.certificate.empty()) {
      throw failure(spec.name + " needs --certificate and --key", exit_bad_use);
    }
    spec.certificate = options.certificate;
    spec.key = options.key;
  }
  if (options.pid != 0) {
    (void)process_clock(options.pid); // says now what would fail later
  }
  settings.receiver_cpu = cpu_beside(settings.generator_cpu, settings.receiver_cpu);
  settings.generator_cpu = cpu_beside(settings.receiver_cpu, settings.generator_cpu);
  pin_to_cpu(settings.generator_cpu);
  progress shown(options.quiet);
  if (!options.json) {
    std::printf("%s; %s\n", machine_description().c_str(), compiler_description().c_str());
    if (settings.receiver_cpu >= 0 && settings.generator_cpu >= 0) {
      std::printf("receiver on CPU %d, generator on CPU %d; ", settings.receiver_cpu,
                  settings.generator_cpu);
    } else {
      std::printf("receiver and generator are not kept apart; ");
    }
    std::printf("medians of %zu interleaved rounds\n", settings.rounds);
    std::fflush(stdout);
  }
  const std::vector<cell> cells = compare(settings, stop, shown, options.json);
  shown.clear();
  if (options.json) {
    std::printf("%s\n", to_json(settings, cells).c_str());
  } else if (settings.workloads.size() > 1) {
    print_ratios(settings, cells);
  }
  return std::any_of(cells.begin(), cells.end(), [](const cell& c) { return !c.error.empty(); })
             ? exit_failed
             : exit_ok;
}

} // namespace

void add_run_command(CLI::App& program, command& chosen) {
  const auto options = std::make_shared<run_options>();
  compare_settings& s = options->settings;
  CLI::App* const run_app = program.add_subcommand(
      "run",
      "Loads receivers one after the other, round after round, and compares what they cost.");
  run_app->alias("compare");
  run_app->footer(
      "Examples:\n"
      "  sluice-bench run --workloads all --json > results.json\n"
      "  sluice-bench run --receivers uring-view,floors --workloads bin-16,16-c100,1k-c1000\n"
      "  sluice-bench run --receivers uring-view,uring-view@50,bare-recv --workloads pp-64\n"
      "  sluice-bench run --receivers uring-view,bare-recv --peer 'other=./other-{mode} {port}'\n"
      "  sluice-bench run --receivers bare-recv --target 127.0.0.1:9000 --pid 1234");
  run_app
      ->add_option(
          "--workloads", options->workloads,
          "What to send: quick, all, or names such as bin-125, mixed-64k, 125-c64, "
          "paced-c1000, pp-1k, made of a payload kind (bin, ascii, latin, cjk, emoji, "
          "mixed), a message size (16, 1k, 1m), c and a connection count, f and a frame "
          "size, t and the messages written to one of many connections at a time (32), paced "
          "(100,000 messages a second) or r and a rate, pp for ping-pong")
      ->delimiter(',')
      ->default_str("quick");
  run_app
      ->add_option("--receivers", options->receivers,
                   "What to measure: all, sluice, floors, or names: uring-view, uring-copy, "
                   "uring-message, epoll-view, epoll-copy, epoll-message, auto-view and so on for "
                   "the backend that a loop picks, oneshot-view and so on for io_uring with a "
                   "request for every receive (with @50: busy-polling for 50 us; with +tls at the "
                   "end, as in uring-view+tls: over TLS), bare-recv, bare-epoll, bare-ring, "
                   "bare-ring-oneshot")
      ->delimiter(',')
      ->default_str("all");
  CLI::Option* const certificate =
      run_app->add_option("--certificate", options->certificate,
                          "For receivers over TLS: PEM file of the certificate and its chain; the "
                          "generator takes any");
  CLI::Option* const key =
      run_app->add_option("--key", options->key, "PEM file of its private key");
  certificate->needs(key)->check(CLI::ExistingFile);
  key->needs(certificate)->check(CLI::ExistingFile);
  run_app->add_option("--peer", options->peers,
                      "Measure another program too, as NAME=COMMAND; {port} becomes a free port, "
                      "{mode} sink or echo. It must answer REPORT as sluice-bench sink does");
  run_app->add_option("--target", options->target,
                      "Measure a server that is running already, at host:port");
  run_app->add_option("--pid", options->pid, "The process of --target")->check(CLI::PositiveNumber);
  run_app->add_option("--name", options->target_name, "What to call --target in the table")
      ->capture_default_str();
  run_app->add_option("--rounds", s.rounds, "Rounds")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  run_app->add_option("--seconds", s.run_seconds, "How long to measure in each round")
      ->check(CLI::Range(0.01, 1e6))
      ->capture_default_str();
  run_app->add_option("--warmup", s.warmup_seconds, "How long to send before that")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  run_app->add_option("--messages", s.messages, "So many messages instead of --seconds");
  run_app->add_option("--receiver-cpu", s.receiver_cpu, "The receiver's CPU; default: the first")
      ->check(CLI::NonNegativeNumber);
  run_app->add_option("--generator-cpu", s.generator_cpu, "The generator's; default: the second")
      ->check(CLI::NonNegativeNumber);
  run_app->add_flag("--json", options->json, "Print the results as JSON, with every round");
  run_app->add_flag("--quiet", options->quiet, "No progress on standard error");
  run_app->add_flag("--verbose", s.verbose, "Show what peers print on standard error");
  run_app->callback([options, &chosen] {
    chosen = [options](stop_request& stop) { return run(*options, stop); };
  });
}

} // namespace sluice_bench
