#pragma once

#include "common.hpp"

#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace sluice_bench {

/// A program that runs beside this one and never outlives it.
class child_process {
public:
  /// Starts `arguments[0]` (looked up in PATH). Its standard output can be read line by line when
  /// `keep_output`, else goes nowhere; `silent` sends its standard error nowhere, too. `cpu`
  /// pins it; -1: anywhere. Throws failure when it cannot be started.
  child_process(const std::vector<std::string>& arguments, int cpu, bool keep_output, bool silent);
  child_process(const child_process&) = delete;
  child_process& operator=(const child_process&) = delete;
  /// SIGTERM, and SIGKILL a second later.
  ~child_process();

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }

  /// The next line of its output; nothing when it ended, or was silent for `timeout_ms`.
  [[nodiscard]] std::optional<std::string> read_line(int timeout_ms);

  /// Its exit code once it has ended by itself, nothing while it runs. 128 + n for signal n.
  [[nodiscard]] std::optional<int> exit_status() noexcept;

private:
  pid_t pid_ = -1;
  std::optional<int> status_;
  unique_fd output_;
  std::string pending_;
};

} // namespace sluice_bench
