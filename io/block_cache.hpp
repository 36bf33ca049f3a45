#pragma once

#include "core/buffer.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace sluice::io {

/// A block of plain memory for bytes on their way out, for a message that is being collected, or
/// for the copy of a view; the bytes follow the header.
struct block {
  block* next = nullptr;
  std::size_t capacity_bytes = 0;
  std::size_t begin = 0; // what is in use, for the owner
  std::size_t end = 0;
  std::uint32_t holds = 0; // as buffer::holds
  std::uint32_t size_class = 0;
  lender* lent_by = nullptr;

  [[nodiscard]] std::byte* bytes() noexcept { return reinterpret_cast<std::byte*>(this + 1); }
  [[nodiscard]] std::size_t size_bytes() const noexcept { return end - begin; }
  [[nodiscard]] std::size_t room_bytes() const noexcept { return capacity_bytes - end; }
};

/// Blocks of one loop, kept for reuse by size class (powers of two), up to a limit: in steady state
/// sending and collecting messages takes no memory from the heap, and an idle connection has none.
/// Not thread-safe.
class block_cache {
public:
  explicit block_cache(std::size_t max_cached_bytes) noexcept
      : max_cached_bytes_(max_cached_bytes) {}
  block_cache(const block_cache&) = delete;
  block_cache& operator=(const block_cache&) = delete;
  ~block_cache() { trim(); }

  /// An empty block with room for at least `bytes`; nullptr when out of memory.
  [[nodiscard]] block* take(std::size_t bytes) noexcept;
  /// Takes a block back that nobody holds.
  void put(block& unused) noexcept;
  /// Frees what is cached.
  void trim() noexcept;

  /// A block outside of any cache. nullptr when out of memory.
  [[nodiscard]] static block* make(std::size_t bytes) noexcept;
  static void destroy(block& unused) noexcept;

  [[nodiscard]] std::size_t cached_bytes() const noexcept { return cached_bytes_; }
  [[nodiscard]] std::uint64_t allocations() const noexcept { return allocations_; }

private:
  static constexpr std::size_t smallest_bytes = 4096;
  static constexpr std::size_t classes = 16; // up to 128 MiB; larger blocks are not kept

  std::size_t max_cached_bytes_;
  std::size_t cached_bytes_ = 0;
  std::uint64_t allocations_ = 0;
  std::array<block*, classes> free_{};
};

} // namespace sluice::io
