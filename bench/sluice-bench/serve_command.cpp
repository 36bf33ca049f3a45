#include "commands.hpp"
#include "floor.hpp"
#include "native_server.hpp"
#include "process_clock.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>
#include <memory>

namespace sluice_bench {
namespace {

struct floor_options {
  floor_settings settings;
  std::string kind = "recv";
  int cpu = -1;
};

int run_floor(floor_options& options, stop_request& stop) {
  floor_settings& settings = options.settings;
  pin_to_cpu(options.cpu);
  allow_open_files(64);
  floor_totals totals;
  if (options.kind == "recv") {
    totals = run_recv_floor(settings, stop);
  } else if (options.kind == "epoll") {
    totals = run_epoll_floor(settings, stop);
  } else {
    totals = run_ring_floor(settings, stop);
  }
  std::printf("%llu connections, %llu wire bytes\n",
              static_cast<unsigned long long>(totals.connections),
              static_cast<unsigned long long>(totals.wire_bytes));
  return exit_ok;
}

void add_floor(CLI::App& program, command& chosen) {
  const auto options = std::make_shared<floor_options>();
  floor_settings& s = options->settings;
  CLI::App* const floor = program.add_subcommand(
      "floor", "A receiver that only counts bytes: the cost that no WebSocket receiver can avoid. "
               "Answers REPORT with 'wire <bytes>'.");
  floor->add_option("--kind", options->kind, "blocking recv, epoll and recv, or io_uring")
      ->check(CLI::IsMember({"recv", "epoll", "ring"}))
      ->capture_default_str();
  floor->add_option("--host", s.host, "Address to listen on")->capture_default_str();
  floor->add_option("--port", s.port, "Port to listen on; 0 picks a free one")
      ->required()
      ->check(CLI::Range(0, 65535));
  floor->add_option("--buffer-bytes", s.buffer_bytes, "Bytes of a receive buffer")
      ->transform(CLI::AsSizeValue(false))
      ->check(CLI::Range(16, 1 << 30))
      ->default_str("65536");
  floor->add_option("--buffer-count", s.buffer_count, "Buffers of the ring, a power of two")
      ->check(CLI::Range(1, 32768))
      ->capture_default_str();
  floor->add_flag("--one-shot", s.one_shot, "Ring: a request for every receive, no multishot");
  floor->add_option("--echo-wire-bytes", s.echo_wire_bytes,
                    "Send a message back after every so many wire bytes, instead of REPORT");
  floor->add_option("--echo-payload-bytes", s.echo_payload_bytes, "Payload bytes of that message");
  floor->add_option("--cpu", options->cpu, "Run on this CPU only")->check(CLI::NonNegativeNumber);
  floor->callback([options, &chosen] {
    chosen = [options](stop_request& stop) { return run_floor(*options, stop); };
  });
}

struct server_options {
  server_settings settings;
  std::string backend = "auto";
  std::string take = "view";
  std::string certificate; // empty: no TLS
  std::string key;
  int cpu = -1;
};

int run_server(server_options& options, acceptor::make_handler make, stop_request& stop) {
  server_settings& settings = options.settings;
  settings.backend = options.backend == "uring"   ? sluice::io_backend::uring
                     : options.backend == "epoll" ? sluice::io_backend::epoll
                                                  : sluice::io_backend::automatic;
  settings.take = options.take == "view"   ? take_kind::view
                  : options.take == "copy" ? take_kind::copy
                                           : take_kind::message;
  if (!options.certificate.empty()) {
    sluice::tls_settings files;
    files.certificate_file = options.certificate.c_str();
    files.private_key_file = options.key.c_str();
    if (const sluice::error failed = sluice::tls_config::make_server(files, settings.tls);
        failed != sluice::error::none) {
      throw failure(options.certificate + ": " + sluice::to_string(failed), exit_bad_use);
    }
  }
  pin_to_cpu(options.cpu);
  allow_open_files(64);
  const server_totals totals = run_native_server(settings, make, stop);
  std::printf("%llu connections, %llu messages, %llu payload bytes\n",
              static_cast<unsigned long long>(totals.connections),
              static_cast<unsigned long long>(totals.messages),
              static_cast<unsigned long long>(totals.payload_bytes));
  return exit_ok;
}

void add_server(CLI::App& program, command& chosen, const char* name, const char* description,
                acceptor::make_handler make) {
  const auto options = std::make_shared<server_options>();
  server_settings& s = options->settings;
  CLI::App* const server = program.add_subcommand(name, description);
  server->add_option("--host", s.host, "Numeric address to listen on")->capture_default_str();
  server->add_option("--port", s.port, "Port to listen on; 0 picks a free one")
      ->required()
      ->check(CLI::Range(0, 65535));
  server->add_option("--backend", options->backend, "How to ask the kernel for data")
      ->check(CLI::IsMember({"auto", "uring", "epoll"}))
      ->capture_default_str();
  server
      ->add_option("--take", options->take,
                   "How the data is taken: as views into the receive buffers, copied into a buffer "
                   "of the program, or as whole messages")
      ->check(CLI::IsMember({"view", "copy", "message"}))
      ->capture_default_str();
  server->add_option("--threads", s.thread_count, "Event loops, one a thread, sharing the port")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  server
      ->add_option("--busy-poll", s.busy_poll_us,
                   "Look for data so many microseconds before sleeping")
      ->check(CLI::Range(0, 1'000'000));
  server->add_flag("--one-shot", s.one_shot, "io_uring: a request for every receive, no multishot");
  server
      ->add_option("--small-buffers", s.small_buffers,
                   "Receive buffers of 4 KiB lent to the kernel; 0: as many as suit the cache")
      ->check(CLI::Range(0, 32768));
  server->add_option("--large-buffers", s.large_buffers, "The same of 64 KiB")
      ->check(CLI::Range(0, 4096));
  server->add_option("--buffer-bytes", s.copy_buffer_bytes, "The buffer of --take copy")
      ->transform(CLI::AsSizeValue(false))
      ->check(CLI::Range(1, 1 << 30))
      ->default_str("65536");
  server->add_option("--max-message", s.max_message_bytes, "Largest message to accept")
      ->transform(CLI::AsSizeValue(false))
      ->default_str("1073741824");
  CLI::Option* const certificate =
      server->add_option("--certificate", options->certificate,
                         "Speak TLS: PEM file of the certificate and its chain");
  CLI::Option* const key = server->add_option("--key", options->key, "PEM file of its private key");
  certificate->needs(key)->check(CLI::ExistingFile);
  key->needs(certificate)->check(CLI::ExistingFile);
  server->add_option("--cpu", options->cpu, "Run on this CPU only")->check(CLI::NonNegativeNumber);
  server->callback([options, make, &chosen] {
    chosen = [options, make](stop_request& stop) { return run_server(*options, make, stop); };
  });
}

} // namespace

void add_serve_commands(CLI::App& program, command& chosen) {
  add_server(program, chosen, "sink",
             "A Sluice server that counts. The text message REPORT is answered with '<messages> "
             "<payload bytes>' of its connection, itself not counted.",
             make_sink);
  add_server(program, chosen, "echo", "A Sluice server that sends everything back.", make_echo);
  add_floor(program, chosen);
}

} // namespace sluice_bench
