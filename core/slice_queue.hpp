#pragma once

#include "core/buffer.hpp"

#include <cstddef>
#include <cstdint>

namespace sluice {

/// The inbox of a connection: received slices in order, oldest first. Four slices are inline, more
/// spill to the heap. Empty slices are never stored. Destruction recycles what is left.
/// Not thread-safe: one receiver at a time.
class slice_queue {
public:
  slice_queue() noexcept = default;
  slice_queue(const slice_queue&) = delete;
  slice_queue& operator=(const slice_queue&) = delete;
  ~slice_queue() { clear(); }

  [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
  [[nodiscard]] std::size_t size_bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::size_t slice_count() const noexcept { return count_; }

  /// Takes over `added` (and its buffer). Returns false when there is no memory to spill to: the
  /// caller still owns the slice then. An empty slice is recycled at once.
  [[nodiscard]] bool push(slice added) noexcept;

  /// The oldest slice; only when not empty. The pointer is good until the next push or consume.
  [[nodiscard]] const slice& front() const noexcept { return slots_[head_]; }
  [[nodiscard]] std::byte* front_bytes() const noexcept {
    return slots_[head_].from->bytes + slots_[head_].offset;
  }
  [[nodiscard]] std::size_t front_size_bytes() const noexcept { return slots_[head_].size_bytes; }

  /// Drops `count` bytes, at most front_size_bytes(), from the oldest slice and recycles its
  /// buffer once it is used up.
  void consume(std::size_t count) noexcept {
    slice& first = slots_[head_];
    first.offset += static_cast<std::uint32_t>(count);
    first.size_bytes -= static_cast<std::uint32_t>(count);
    bytes_ -= count;
    if (first.size_bytes == 0) {
      pop();
    }
  }

  /// Takes the oldest slice out, without recycling it; only when not empty.
  [[nodiscard]] slice take_front() noexcept;

  /// Recycles everything.
  void clear() noexcept;

private:
  void pop() noexcept;

  static constexpr std::uint32_t inline_slices = 4;

  slice inline_[inline_slices];
  slice* slots_ = inline_; // a ring of capacity_ slots; a power of two
  std::uint32_t capacity_ = inline_slices;
  std::uint32_t head_ = 0;
  std::uint32_t count_ = 0;
  std::size_t bytes_ = 0;
};

} // namespace sluice
