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

  [[nodiscard]] bool empty() const noexcept { return cursor_ == end_; }
  [[nodiscard]] std::size_t size_bytes() const noexcept {
    return behind_bytes_ + front_size_bytes();
  }
  [[nodiscard]] std::size_t slice_count() const noexcept { return count_; }

  /// Takes over `added` (and its buffer). Returns false when there is no memory to spill to: the
  /// caller still owns the slice then. An empty slice is recycled at once.
  [[nodiscard]] bool push(slice added) noexcept;

  /// The unread rest of the oldest slice; nullptr and 0 when the queue is empty. Good until the
  /// next consume, take_front or clear.
  [[nodiscard]] std::byte* front_bytes() const noexcept { return cursor_; }
  [[nodiscard]] std::size_t front_size_bytes() const noexcept {
    return static_cast<std::size_t>(end_ - cursor_);
  }

  /// The buffer that the oldest slice lies in; only when not empty.
  [[nodiscard]] buffer& front_buffer() const noexcept { return *slots_[head_].from; }

  /// Drops `count` bytes, at most front_size_bytes(), from the oldest slice and recycles its
  /// buffer once it is used up.
  void consume(std::size_t count) noexcept {
    cursor_ += count;
    if (cursor_ == end_ && count != 0) [[unlikely]] {
      finish_front();
    }
  }

  /// Takes the unread rest of the oldest slice out, without recycling it; only when not empty.
  [[nodiscard]] slice take_front() noexcept;

  /// Recycles everything.
  void clear() noexcept;

private:
  void finish_front() noexcept;
  void drop_front_slot() noexcept;
  void open_front() noexcept;
  [[nodiscard]] bool grow() noexcept;
  void release_spill() noexcept;

  static constexpr std::uint32_t inline_slices = 4;
  // A burst that needed more slots than this gives them back when the queue runs empty, so that an
  // idle connection does not remember it; a smaller spill stays, so that steady traffic does not
  // allocate.
  static constexpr std::uint32_t kept_slices = 64;

  // The unread part of the front slice. Only these two are touched per frame; the slot of the
  // front slice is stale until it is taken out.
  std::byte* cursor_ = nullptr;
  std::byte* end_ = nullptr;
  std::size_t behind_bytes_ = 0; // in the slices behind the front one

  slice* slots_ = inline_; // a ring of capacity_ slots; a power of two
  std::uint32_t capacity_ = inline_slices;
  std::uint32_t head_ = 0;
  std::uint32_t count_ = 0;
  slice inline_[inline_slices];
};

static_assert(sizeof(slice_queue) <= 112, "lies inside every connection");

} // namespace sluice
