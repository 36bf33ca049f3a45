#pragma once

#include <chrono>
#include <string>
#include <vector>

#include <sys/types.h>

namespace interop {

/// A client in a process of its own, and of a process group of its own; killed with this object and
/// with the test program.
class client_process {
public:
  /// Runs the words as a command. `environment`: NAME=value, added to ours. What it says on
  /// standard error goes nowhere if `quiet`.
  client_process(std::vector<std::string> words, const std::vector<std::string>& environment,
                 bool quiet);
  ~client_process();
  client_process(const client_process&) = delete;
  client_process& operator=(const client_process&) = delete;

  /// Reads its output until it closes it. False when that takes longer than `patience`.
  [[nodiscard]] bool read_to_end(std::chrono::seconds patience);
  [[nodiscard]] const std::string& output() const { return output_; }
  /// The same, line by line.
  [[nodiscard]] std::vector<std::string> lines() const;
  /// After read_to_end(): waits for it; its exit code, 128 and the signal if one ended it.
  [[nodiscard]] int exit_code();
  [[nodiscard]] bool has_ended();

private:
  pid_t process_ = -1;
  int pipe_ = -1;
  int exit_code_ = -1;
  std::string output_;
};

/// The full path of the first of these programs that there is, or "".
[[nodiscard]] std::string find_program(const std::vector<std::string>& names);

} // namespace interop
