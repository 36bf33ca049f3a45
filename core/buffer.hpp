#pragma once

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

/// Describes one block of received bytes. The header lives apart from the bytes, in a table of its
/// owner, so that a pool of 64 KiB blocks does not put headers into the cache lines of payload.
struct buffer {
  std::byte* bytes = nullptr;
  std::uint32_t capacity_bytes = 0;
  std::uint16_t size_class = 0; // the owner's business
  std::uint16_t id = 0;         // the owner's business: buffer id within its class
  buffer_owner* owner = nullptr;
};

/// A piece of a buffer: bytes [offset, offset + size) of `from`. Whoever holds a slice owns the
/// buffer until it recycles it; a buffer is in at most one slice_queue, once.
struct slice {
  buffer* from = nullptr;
  std::uint32_t offset = 0;
  std::uint32_t size_bytes = 0;
};
static_assert(sizeof(slice) == 16);

} // namespace sluice
