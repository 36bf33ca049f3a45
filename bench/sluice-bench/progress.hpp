#pragma once

#include "common.hpp"

#include <cstdio>
#include <string>

namespace sluice_bench {

/// What happens, on standard error: one line rewritten in place on a terminal, a line now and
/// then in a log. Results never come this way.
class progress {
public:
  explicit progress(bool quiet) noexcept
      : quiet_(quiet), terminal_(isatty(STDERR_FILENO) == 1), last_ns_(now_ns()) {}
  progress(const progress&) = delete;
  progress& operator=(const progress&) = delete;
  ~progress() { clear(); }

  /// True when another update is wanted; cheap enough to ask a few thousand times a second.
  [[nodiscard]] bool due(std::uint64_t now) const noexcept {
    return !quiet_ && now - last_ns_ >= (terminal_ ? 200'000'000u : 5'000'000'000u);
  }

  /// Shows passing state.
  void update(const std::string& text, std::uint64_t now) {
    last_ns_ = now;
    if (quiet_) {
      return;
    }
    if (terminal_) {
      std::fprintf(stderr, "\r\033[K%s", text.c_str());
      shown_ = true;
    } else {
      std::fprintf(stderr, "%s\n", text.c_str());
    }
    std::fflush(stderr);
  }

  /// A line that stays, on a terminal too.
  void line(const std::string& text) {
    if (!quiet_) {
      clear();
      std::fprintf(stderr, "%s\n", text.c_str());
      std::fflush(stderr);
    }
  }

  void clear() noexcept {
    if (shown_) {
      std::fputs("\r\033[K", stderr);
      std::fflush(stderr);
      shown_ = false;
    }
  }

private:
  bool quiet_;
  bool terminal_;
  bool shown_ = false;
  std::uint64_t last_ns_;
};

} // namespace sluice_bench
