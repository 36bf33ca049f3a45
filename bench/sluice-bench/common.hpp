#pragma once

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <stdexcept>
#include <string>
#include <unistd.h>
#include <utility>

namespace sluice_bench {

/// What the program returns to the shell.
enum exit_code : int {
  exit_ok = 0,
  exit_failed = 1,       // the measurement failed: a lost connection, counts that differ
  exit_bad_use = 2,      // options that cannot work here, or a busy port
  exit_interrupted = 130 // SIGINT or SIGTERM
};

/// Ends the program with one sentence that says what happened and what to do about it.
class failure : public std::runtime_error {
public:
  explicit failure(const std::string& sentence, int code = exit_failed)
      : std::runtime_error(sentence), code_(code) {}
  [[nodiscard]] int code() const noexcept { return code_; }

private:
  int code_;
};

/// `what`, a colon and the text of `error_number` (errno when not given).
[[nodiscard]] inline failure system_failure(const std::string& what, int error_number = errno,
                                            int code = exit_failed) {
  return failure(what + ": " + std::strerror(error_number), code);
}

/// A file descriptor that closes itself.
class unique_fd {
public:
  unique_fd() noexcept = default;
  explicit unique_fd(int fd) noexcept : fd_(fd) {}
  unique_fd(unique_fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  unique_fd& operator=(unique_fd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  unique_fd(const unique_fd&) = delete;
  unique_fd& operator=(const unique_fd&) = delete;
  ~unique_fd() { reset(); }

  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] explicit operator bool() const noexcept { return fd_ >= 0; }
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
  void reset() noexcept {
    if (fd_ >= 0) {
      ::close(std::exchange(fd_, -1));
    }
  }

private:
  int fd_ = -1;
};

/// Monotonic nanoseconds.
[[nodiscard]] inline std::uint64_t now_ns() noexcept {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000u +
         static_cast<std::uint64_t>(t.tv_nsec);
}

[[nodiscard]] inline double seconds(std::uint64_t nanoseconds) noexcept {
  return static_cast<double>(nanoseconds) * 1e-9;
}

} // namespace sluice_bench
