#pragma once

#include <sluice/sluice.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace live {

/// Monotonic nanoseconds, and those that this thread has spent on a CPU.
[[nodiscard]] std::uint64_t now_ns() noexcept;
[[nodiscard]] std::uint64_t thread_cpu_ns() noexcept;

/// What the receive path saw, over all streams; the loop's thread alone writes and reads it.
class meter {
public:
  /// Slices by size: [0] empty ones, [n] those of 2^(n-1) to 2^n - 1 bytes. A slice is a part of a
  /// receive buffer, so none is larger than 64 KiB.
  static constexpr std::size_t size_classes = 18;

  /// The types that WinHttpWebSocketReceive would give the slices.
  enum piece : std::uint8_t { binary_message, binary_fragment, utf8_message, utf8_fragment };
  static constexpr std::size_t piece_types = 4;

  void saw(const sluice::view& slice) noexcept;
  void saw_round_trip(std::uint64_t nanoseconds) noexcept;

  /// One line of JSON without its closing brace: what happened since the call before.
  [[nodiscard]] std::string interval(const sluice::loop& of);
  /// Everything since the start in the Prometheus text format, version 0.0.4.
  [[nodiscard]] std::string exposition(const sluice::loop& of) const;

  std::uint64_t pages_open = 0;
  std::uint64_t streams_open = 0;
  std::uint64_t reports_dropped = 0; // a page's queue was full

  [[nodiscard]] std::uint64_t messages() const noexcept { return now_.messages; }
  [[nodiscard]] std::uint64_t bytes() const noexcept { return now_.bytes; }

private:
  struct totals {
    std::uint64_t messages = 0;
    std::uint64_t bytes = 0;
    std::array<std::uint64_t, size_classes> sizes{};
    std::array<std::uint64_t, piece_types> pieces{};
    std::uint64_t starved = 0;
    std::uint64_t system_calls = 0;
    std::uint64_t at_ns = 0;
    std::uint64_t cpu_ns = 0;
  };
  static constexpr std::size_t round_trip_classes = 16;
  static constexpr std::size_t round_trips_kept =
      1024; // of one interval; more change no percentile

  totals now_;
  totals before_;
  std::array<std::uint64_t, round_trip_classes> round_trip_counts_{}; // by doubling, from 31.25 us
  std::uint64_t round_trips_ = 0;
  std::uint64_t round_trip_ns_ = 0;
  std::vector<std::uint64_t> recent_ns_;
};

} // namespace live
