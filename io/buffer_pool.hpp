#pragma once

#include "core/buffer.hpp"
#include "io/operation.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace sluice::io {

inline constexpr std::size_t buffer_class_bytes[buffer_class_count] = {4096, 65536};

/// Receive buffers of one loop, in two size classes, each a LIFO so that the hottest memory is used
/// first. take() belongs to the loop's thread; recycle() to any thread: from elsewhere it goes over
/// a lock-free return stack that the owner drains. Reference-counted: the pool lives until its loop
/// is gone and the last buffer has come back.
class buffer_pool final : public buffer_owner {
public:
  [[nodiscard]] static buffer_pool* create(std::size_t max_bytes) noexcept; // nullptr: no memory

  /// A buffer of that class, or nullptr when the pool is at its cap or out of memory.
  [[nodiscard]] buffer* take(buffer_class wanted) noexcept;

  void recycle(buffer& returned) noexcept override;

  /// Moves buffers that other threads returned to the free lists; true if there were any.
  bool drain_returns() noexcept;

  /// The loop is done with it. Buffers that are out stay valid until recycled.
  void abandon() noexcept;

  /// Buffers that are neither free nor posted to the kernel.
  [[nodiscard]] std::size_t lent_count() const noexcept;
};

} // namespace sluice::io
