#pragma once

#include "core/memory.hpp"

#include <cstddef>
#include <cstdint>

namespace sluice::test {

/// While it lives, counts what goes through sluice::memory and can make an allocation fail. One at
/// a time; all threads count.
class counted_memory {
public:
  counted_memory() noexcept;
  ~counted_memory();
  counted_memory(const counted_memory&) = delete;
  counted_memory& operator=(const counted_memory&) = delete;

  /// The next `count` allocations work, later ones return nullptr.
  void allow(std::size_t count) noexcept;
  void allow_all() noexcept;

  [[nodiscard]] std::size_t allocations() const noexcept; // that worked
  [[nodiscard]] std::size_t failures() const noexcept;    // that were made to fail
  [[nodiscard]] std::size_t bytes() const noexcept;       // asked for in all, by those that worked
  [[nodiscard]] std::size_t live() const noexcept;        // blocks not released yet
  [[nodiscard]] std::size_t live_bytes() const noexcept;
  [[nodiscard]] std::size_t peak_bytes() const noexcept; // highest live_bytes()
};

/// How often any operator new of the program has run. Needs allocations.cpp in the program, which
/// replaces the global operators.
[[nodiscard]] std::size_t operator_new_count() noexcept;

} // namespace sluice::test
