#pragma once

#include <cstdint>
#include <string>

#include <sys/types.h>

namespace interop {

/// A peer server in a process of its own; it ends with this object, or with the test program.
class peer_process {
public:
  /// Starts a command line (words divided by blanks) and waits for its line "port <number>". Ends
  /// the test program with exit code 77 when the peer says that a package is missing.
  explicit peer_process(const std::string& command);
  ~peer_process();
  peer_process(const peer_process&) = delete;
  peer_process& operator=(const peer_process&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }

  /// The next line that the peer prints, without its end; throws after 30 seconds of silence.
  [[nodiscard]] std::string next_line();

private:
  pid_t process_ = -1;
  int output_ = -1;
  std::uint16_t port_ = 0;
  std::string unread_;
};

} // namespace interop
