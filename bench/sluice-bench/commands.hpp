#pragma once

#include "stop_request.hpp"

#include <functional>

namespace CLI {
class App;
}

namespace sluice_bench {

/// What the command line asks for, ready to run; returns the exit code or throws failure.
using command = std::function<int(stop_request& stop)>;

/// Each adds its subcommands to the program; `chosen` is set when one of them is given.
void add_serve_commands(CLI::App& program, command& chosen); // sink, echo, floor
void add_load_command(CLI::App& program, command& chosen);
void add_run_command(CLI::App& program, command& chosen);

} // namespace sluice_bench
