// sluice-bench: WebSocket servers that count or echo, a load generator, and the driver that sets
// receivers side by side. `sluice-bench --help` and `sluice-bench <command> --help` say the rest.

#include "commands.hpp"
#include "common.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

int main(int argc, char** argv) {
  using namespace sluice_bench;
  CLI::App program("Measures WebSocket receivers: what a message and a gigabyte cost them.\n\n"
                   "  sluice-bench run                          Sluice beside the floors, a table\n"
                   "  sluice-bench sink --port 9000             a server that counts\n"
                   "  sluice-bench load --url ws://127.0.0.1:9000 --size 125\n"
                   "                                            one load, one result",
                   "sluice-bench");
  program.set_version_flag("--version", "sluice-bench " SLUICE_BENCH_VERSION);
  program.require_subcommand(1);
  program.get_formatter()->column_width(30);
  program.failure_message(CLI::FailureMessage::simple);
  command chosen;
  add_serve_commands(program, chosen);
  add_load_command(program, chosen);
  add_run_command(program, chosen);
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {
      return program.exit(error); // help or version was asked for
    }
    std::fprintf(stderr, "sluice-bench: %s; sluice-bench --help lists what there is\n",
                 error.what());
    return exit_bad_use;
  }
  try {
    stop_request stop;
    return chosen(stop);
  } catch (const failure& why) {
    std::fprintf(stderr, "sluice-bench: %s\n", why.what());
    return why.code();
  } catch (const std::exception& why) {
    std::fprintf(stderr, "sluice-bench: %s\n", why.what());
    return exit_failed;
  }
}
