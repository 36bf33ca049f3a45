#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace sluice_bench {

/// Counts of durations in log-linear buckets: every power of two is cut into 64 equal parts, so a
/// percentile is off by less than 1.6 % of its value at any magnitude, and recording is a shift
/// and an increment. Values up to 63 are exact; values from 2^40 on share the last bucket.
class histogram {
public:
  void record(std::uint64_t value) noexcept {
    ++buckets_[bucket_of(value)];
    ++count_;
    sum_ += value;
    if (value > largest_) {
      largest_ = value;
    }
  }

  void add(const histogram& other) noexcept {
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
      buckets_[i] += other.buckets_[i];
    }
    count_ += other.count_;
    sum_ += other.sum_;
    if (other.largest_ > largest_) {
      largest_ = other.largest_;
    }
  }

  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  [[nodiscard]] std::uint64_t largest() const noexcept { return largest_; }
  [[nodiscard]] double mean() const noexcept {
    return count_ == 0 ? 0.0 : static_cast<double>(sum_) / static_cast<double>(count_);
  }

  /// The smallest value that at least `share` (0..1) of the recorded ones do not exceed, as the
  /// middle of its bucket; 0 when nothing was recorded.
  [[nodiscard]] std::uint64_t percentile(double share) const noexcept {
    if (count_ == 0) {
      return 0;
    }
    const double exact = share * static_cast<double>(count_);
    std::uint64_t wanted = static_cast<std::uint64_t>(exact);
    if (static_cast<double>(wanted) < exact || wanted == 0) {
      ++wanted;
    }
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
      seen += buckets_[i];
      if (seen >= wanted) {
        const std::uint64_t middle = middle_of(i);
        return middle < largest_ ? middle : largest_;
      }
    }
    return largest_;
  }

private:
  static constexpr unsigned part_bits = 6;
  static constexpr std::size_t part_count = std::size_t{1} << part_bits;
  static constexpr unsigned value_bits = 40;

  [[nodiscard]] static constexpr std::size_t bucket_of(std::uint64_t value) noexcept {
    if (value < part_count) {
      return static_cast<std::size_t>(value);
    }
    if (value >= (std::uint64_t{1} << value_bits)) {
      value = (std::uint64_t{1} << value_bits) - 1;
    }
    const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - 1 - part_bits;
    // value >> shift lies in [64, 128): the leading bit picks the row, the rest the part.
    return (std::size_t{shift} << part_bits) + static_cast<std::size_t>(value >> shift);
  }

  [[nodiscard]] static constexpr std::uint64_t middle_of(std::size_t bucket) noexcept {
    if (bucket < 2 * part_count) {
      return bucket;
    }
    const unsigned shift = static_cast<unsigned>(bucket >> part_bits) - 1;
    const std::uint64_t low = (bucket - (std::size_t{shift} << part_bits)) << shift;
    return low + ((std::uint64_t{1} << shift) >> 1);
  }

  std::array<std::uint64_t, (value_bits - part_bits + 1) * part_count> buckets_{};
  std::uint64_t count_ = 0;
  std::uint64_t sum_ = 0;
  std::uint64_t largest_ = 0;
};

} // namespace sluice_bench
