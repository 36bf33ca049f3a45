#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice::test {

/// While it lives, can refuse memory to the library. Unlike counted_memory it keeps no books on the
/// blocks, so it may come and go while some are in use. One at a time; all threads count.
class failing_memory {
public:
  failing_memory() noexcept;
  ~failing_memory();
  failing_memory(const failing_memory&) = delete;
  failing_memory& operator=(const failing_memory&) = delete;

  /// One in so many of the allocations of that size fails; all others work.
  void refuse_one_in(std::size_t count, std::size_t least_bytes = 0,
                     std::size_t most_bytes = SIZE_MAX) noexcept;
  /// No receive buffer can be made; what is smaller than one can.
  void refuse_buffers() noexcept;
  void refuse_none() noexcept;

  [[nodiscard]] std::size_t refused() const noexcept; // since it was made
};

} // namespace sluice::test
