#pragma once

#include "child_process.hpp"
#include "endpoint.hpp"
#include "workload.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice_bench {

/// Something that a comparison measures.
///
///   uring-view, uring-copy, uring-message, epoll-view, epoll-copy, epoll-message, auto-view, ...,
///   oneshot-view, ... (uring with a request for every receive)
///                       Sluice by backend and by how the data is taken; with @N: busy-polls N us;
///                       with +tls at the end: over TLS
///   bare-recv           blocking recv, one connection only
///   bare-epoll          epoll and recv
///   bare-ring           io_uring, multishot; bare-ring-oneshot: a request per receive
///   NAME=COMMAND        another program: {port} in the command is replaced by a free port, {mode}
///                       by sink or echo
struct receiver_spec {
  std::string name;
  std::vector<std::string> peer_command; // empty: this program serves
  std::optional<endpoint> running;       // serves already, as process running_pid
  pid_t running_pid = 0;
  bool secure = false; // it shows the certificate and uses the key
  std::string certificate;
  std::string key;

  [[nodiscard]] bool is_floor() const noexcept { return name.rfind("bare-", 0) == 0; }
};

/// Throw failure(exit_bad_use) when there is no such receiver.
[[nodiscard]] receiver_spec receiver_named(std::string_view name);
[[nodiscard]] receiver_spec peer_receiver(std::string_view name_and_command);

/// Whether it can take part: blocking recv serves one connection, and a program that is running
/// already either counts or echoes, which only the user knows.
[[nodiscard]] bool suits(const receiver_spec& spec, const workload& work) noexcept;

/// The floor that a workload is compared with: blocking recv for one connection, epoll and recv
/// for many and for paced traffic, where a receiver sleeps between messages.
[[nodiscard]] const char* floor_for(const workload& work) noexcept;

/// A receiver that serves, fresh for one measurement (unless it was running before).
class running_receiver {
public:
  /// Starts it pinned to `cpu` and waits until it listens. Throws failure.
  running_receiver(const receiver_spec& spec, const workload& work, int cpu, bool verbose);

  [[nodiscard]] const endpoint& where() const noexcept { return where_; }
  [[nodiscard]] pid_t pid() const noexcept { return pid_; }

private:
  std::unique_ptr<child_process> process_;
  endpoint where_;
  pid_t pid_ = 0;
};

} // namespace sluice_bench
