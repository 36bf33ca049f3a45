#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace sluice {

struct buffer;

/// Who a buffer goes back to. The owner outlives every buffer that is out.
class buffer_owner {
public:
  /// Takes `returned` back. Any thread; does not block; must not be called twice for one lending.
  virtual void recycle(buffer& returned) noexcept = 0;

protected:
  ~buffer_owner() = default;
};

/// Who is told when memory that was lent to the application has come back.
class lender {
public:
  /// `bytes` of memory are not lent any more. Any thread; does not block.
  virtual void returned(std::size_t bytes) noexcept = 0;

protected:
  ~lender() = default;
};

/// Describes one block of received bytes. The header lives apart from the bytes, in a table of its
/// owner, so that a pool of 64 KiB blocks does not put headers into the cache lines of payload.
struct buffer {
  std::byte* bytes = nullptr;
  std::uint32_t capacity_bytes = 0;
  std::uint16_t size_class = 0; // the owner's business
  std::uint16_t id = 0;         // the owner's business: buffer id within its class
  buffer_owner* owner = nullptr;

  // Set while views into the buffer are held beyond their callback; see retain_buffer().
  std::uint32_t holds = 0; // 0: the stream alone; else all references, the stream's included
  lender* lent_by = nullptr;
};

/// Adds a reference to a buffer that the stream still owns. On the stream's thread.
inline void retain_buffer(buffer& shared) noexcept {
  const std::atomic_ref<std::uint32_t> holds(shared.holds);
  if (holds.load(std::memory_order_relaxed) == 0) {
    holds.store(2, std::memory_order_relaxed); // the stream's own and the new one
  } else {
    holds.fetch_add(1, std::memory_order_relaxed);
  }
}

/// Drops a reference; the last one recycles the buffer. Any thread for references that
/// retain_buffer() made.
inline void release_buffer(buffer& used) noexcept {
  const std::atomic_ref<std::uint32_t> holds(used.holds);
  if (holds.load(std::memory_order_acquire) != 0) [[unlikely]] {
    if (holds.fetch_sub(1, std::memory_order_acq_rel) != 1) {
      return;
    }
    if (lender* const by = used.lent_by; by != nullptr) {
      used.lent_by = nullptr;
      by->returned(used.capacity_bytes);
    }
  }
  used.owner->recycle(used);
}

/// A piece of a buffer: bytes [offset, offset + size) of `from`. Whoever holds a slice owns the
/// buffer until it recycles it; a buffer is in at most one slice_queue, once.
struct slice {
  buffer* from = nullptr;
  std::uint32_t offset = 0;
  std::uint32_t size_bytes = 0;
};
static_assert(sizeof(slice) == 16);

} // namespace sluice
