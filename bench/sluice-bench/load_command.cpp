#include "commands.hpp"
#include "json.hpp"
#include "load.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>
#include <memory>

namespace sluice_bench {
namespace {

struct load_options {
  load_settings settings;
  std::string url;
  std::string host = "127.0.0.1";
  int port = -1;
  std::string kind = "binary";
  std::string expect = "report";
  bool unmasked = false;
  bool tls = false;
  int cpu = -1;
  int pid = 0;
  bool json = false;
  bool quiet = false;
};

void print_json(const load_options& options, const load_result& result) {
  const load_settings& settings = options.settings;
  const double wall = seconds(result.wall_ns);
  const double cpu = seconds(result.receiver_cpu_ns);
  json_writer out;
  out.begin_object();
  out.member("machine", machine_description());
  out.member("compiler", compiler_description());
  out.member("connections", std::uint64_t{settings.connection_count});
  out.member("kind", to_string(settings.traffic.kind));
  out.begin_array("message_bytes");
  for (const std::size_t bytes : settings.traffic.message_bytes) {
    out.element(static_cast<double>(bytes));
  }
  out.end_array();
  out.member("masked", settings.traffic.masked);
  out.member("tls", settings.server.secure);
  out.member("messages", result.messages);
  out.member("payload_bytes", result.payload_bytes);
  out.member("wire_bytes", result.wire_bytes);
  out.member("wall_s", wall);
  out.member("messages_per_s", static_cast<double>(result.messages) / wall);
  out.member("payload_bytes_per_s", static_cast<double>(result.payload_bytes) / wall);
  out.member("generator_cpu_s", seconds(result.generator_cpu_ns));
  if (result.receiver_measured) {
    out.member("receiver_cpu_s", cpu);
    out.member("receiver_cpu_s_per_gb", cpu * 1e9 / static_cast<double>(result.payload_bytes));
    out.member("receiver_cpu_s_per_million", cpu * 1e6 / static_cast<double>(result.messages));
  }
  out.member("saturated", saturated_side(settings, result));
  out.member("confirmed", result.confirmed);
  if (result.round_trip_ns.count() != 0) {
    out.begin_object("round_trip_us");
    out.member("count", result.round_trip_ns.count());
    out.member("mean", result.round_trip_ns.mean() * 1e-3);
    out.member("p50", static_cast<double>(result.round_trip_ns.percentile(0.5)) * 1e-3);
    out.member("p99", static_cast<double>(result.round_trip_ns.percentile(0.99)) * 1e-3);
    out.member("p99_9", static_cast<double>(result.round_trip_ns.percentile(0.999)) * 1e-3);
    out.member("max", static_cast<double>(result.round_trip_ns.largest()) * 1e-3);
    out.end_object();
  }
  out.end_object();
  std::printf("%s\n", out.text().c_str());
}

void print_text(const load_options& options, const load_result& result) {
  const load_settings& settings = options.settings;
  const double wall = seconds(result.wall_ns);
  const double messages = static_cast<double>(result.messages);
  const double payload = static_cast<double>(result.payload_bytes);
  std::printf("messages   %llu (%s)\n", static_cast<unsigned long long>(result.messages),
              !result.confirmed ? "not confirmed"
              : settings.expect == expectation::echo || settings.ping_pong
                  ? "all echoed"
                  : "confirmed by the receiver");
  std::printf("payload    %llu bytes\n", static_cast<unsigned long long>(result.payload_bytes));
  std::printf("time       %.3f s\n", wall);
  std::printf("rate       %.0f messages/s, %.1f MB/s\n", messages / wall, payload / wall * 1e-6);
  std::printf("generator  %.3f CPU s (%.0f %%)\n", seconds(result.generator_cpu_ns),
              seconds(result.generator_cpu_ns) / wall * 100);
  if (result.receiver_measured) {
    const double cpu = seconds(result.receiver_cpu_ns);
    std::printf("receiver   %.3f CPU s (%.0f %%), %.3f CPU s/GB, %.3f CPU s per million messages\n",
                cpu, cpu / wall * 100, cpu * 1e9 / payload, cpu * 1e6 / messages);
    std::printf("saturated  %s\n", saturated_side(settings, result));
  }
  if (const histogram& rtt = result.round_trip_ns; rtt.count() != 0) {
    const auto us = [&rtt](double share) {
      return static_cast<double>(rtt.percentile(share)) * 1e-3;
    };
    std::printf("round trip p50 %.2f us, p99 %.2f us, p99.9 %.2f us, max %.2f us\n", us(0.5),
                us(0.99), us(0.999), static_cast<double>(rtt.largest()) * 1e-3);
  }
}

int run(load_options& options, stop_request& stop) {
  load_settings& settings = options.settings;
  if (!options.url.empty()) {
    settings.server = parse_url(options.url);
  } else if (options.port < 0 || (options.port == 0 && !settings.listen)) {
    throw failure("say where the receiver is: --url ws://host:port or --port", exit_bad_use);
  } else {
    settings.server.host = options.host;
    settings.server.port = static_cast<std::uint16_t>(options.port);
    settings.server.secure = options.tls;
  }
  const tls_options& tls = settings.tls;
  if (options.tls && !settings.server.secure) {
    throw failure("--tls and a ws:// URL contradict each other; give a wss:// URL", exit_bad_use);
  }
  if (settings.server.secure && settings.listen) {
    throw failure("--listen serves without TLS only", exit_bad_use);
  }
  if (!settings.server.secure &&
      (tls.insecure || tls.tls1_2_only || !tls.ca_file.empty() || !tls.name.empty())) {
    throw failure("--ca, --insecure, --tls-name and --tls12 need a wss:// URL or --tls",
                  exit_bad_use);
  }
  settings.traffic.kind = *payload_kind_named(options.kind);
  settings.traffic.masked = !options.unmasked && !settings.listen; // RFC 6455 section 5.1
  settings.expect = options.expect == "echo"     ? expectation::echo
                    : options.expect == "report" ? expectation::report
                                                 : expectation::none;
  if (settings.ping_pong) {
    if (settings.rate > 0) {
      throw failure("--ping-pong sends when the answer has come; it cannot be paced by --rate",
                    exit_bad_use);
    }
    settings.expect = expectation::echo;
  }
  pin_to_cpu(options.cpu);
  const process_clock receiver = options.pid != 0 ? process_clock(options.pid) : process_clock();
  progress shown(options.quiet);
  const load_result result = run_load(settings, receiver, stop, shown);
  if (options.json) {
    print_json(options, result);
  } else {
    print_text(options, result);
  }
  return result.interrupted ? exit_interrupted : exit_ok;
}

} // namespace

void add_load_command(CLI::App& program, command& chosen) {
  const auto options = std::make_shared<load_options>();
  load_settings& s = options->settings;
  CLI::App* const load = program.add_subcommand(
      "load", "Sends pre-built frames to a receiver as fast as it takes them, paced, or one at a "
              "time, and says what came of it.");
  load->footer("Examples:\n"
               "  sluice-bench load --port 9000 --size 125 --connections 64 --turn-messages 32\n"
               "  sluice-bench load --port 9000 --size 16,1K,64K --kind mixed --fragment 4K\n"
               "  sluice-bench load --port 9000 --size 125 --rate 100000 --pid $(pgrep my-server)\n"
               "  sluice-bench load --port 9001 --size 64 --ping-pong --json     (an echo server)\n"
               "  sluice-bench load --url wss://localhost:9000 --ca authority.pem --size 16K");
  load->add_option("--url", options->url, "The receiver, ws://host:port/path or wss://...");
  load->add_option("--host", options->host, "The receiver's host, without --url")
      ->capture_default_str();
  load->add_option("--port", options->port, "The receiver's port, without --url")
      ->check(CLI::Range(0, 65535));
  load->add_flag("--tls", options->tls, "Speak TLS, as with a wss:// URL");
  CLI::Option* const insecure =
      load->add_flag("--insecure", s.tls.insecure, "TLS: take any certificate");
  load->add_option("--ca", s.tls.ca_file,
                   "TLS: PEM file of authorities to trust instead of the system's")
      ->check(CLI::ExistingFile)
      ->excludes(insecure);
  load->add_option("--tls-name", s.tls.name, "TLS: whom the certificate must name, if not the host")
      ->excludes(insecure);
  load->add_flag("--tls12", s.tls.tls1_2_only, "TLS: version 1.2 only");
  load->add_flag("--listen", s.listen,
                 "Be the server: wait for --connections clients on --port, then send to them");
  load->add_option("--connections", s.connection_count, "Connections")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  load->add_option(
          "--size", s.traffic.message_bytes,
          "Payload bytes of a message; several, with commas, are sent in turn (16K is 16384)")
      ->delimiter(',')
      ->transform(CLI::AsSizeValue(false))
      ->default_str("1024");
  load->add_option("--kind", options->kind, "What payloads are made of")
      ->check(CLI::IsMember({"binary", "ascii", "latin", "cjk", "emoji", "mixed"}))
      ->capture_default_str();
  load->add_option("--fragment", s.traffic.fragment_bytes,
                   "Cut messages into frames of at most so many payload bytes")
      ->transform(CLI::AsSizeValue(false));
  load->add_option("--ping-every", s.traffic.ping_every, "A ping before every n-th message");
  load->add_flag("--unmasked", options->unmasked,
                 "Do not mask; servers must refuse that (with --listen it is the rule)");
  load->add_option("--messages", s.messages, "Stop after so many messages instead of by time");
  load->add_option("--seconds", s.run_seconds, "How long to send")
      ->check(CLI::Range(0.01, 1e6))
      ->capture_default_str();
  load->add_option("--warmup", s.warmup_seconds, "Seconds to send before the measurement")
      ->check(CLI::Range(0.0, 1e6));
  load->add_option("--rate", s.rate, "Messages a second over all connections; without it: flat out")
      ->check(CLI::Range(0.001, 1e9));
  load->add_flag("--ping-pong", s.ping_pong,
                 "Send the next message when the last one has been echoed; measures round trips");
  load->add_flag("--sleep", s.sleep, "With --ping-pong: sleep for the answer instead of spinning");
  load->add_option("--expect", options->expect,
                   "How the end is confirmed: by the answer to REPORT, by counting echoes, or not")
      ->check(CLI::IsMember({"report", "echo", "none"}))
      ->capture_default_str();
  load->add_option("--turn-bytes", s.turn_bytes, "Most to write to a connection at a time")
      ->transform(CLI::AsSizeValue(false))
      ->check(CLI::PositiveNumber)
      ->default_str("262144");
  load->add_option("--turn-messages", s.turn_messages, "The same in messages")
      ->check(CLI::PositiveNumber);
  load->add_option("--stall", s.stall_seconds, "Give up after so many seconds without progress")
      ->check(CLI::Range(0.1, 1e6))
      ->capture_default_str();
  load->add_option("--pid", options->pid, "The receiver's process, to measure its CPU time")
      ->check(CLI::PositiveNumber);
  load->add_option("--cpu", options->cpu, "Run on this CPU only")->check(CLI::NonNegativeNumber);
  load->add_flag("--json", options->json, "Print the result as JSON");
  load->add_flag("--quiet", options->quiet, "No progress on standard error");
  load->callback([options, &chosen] {
    chosen = [options](stop_request& stop) { return run(*options, stop); };
  });
}

} // namespace sluice_bench
