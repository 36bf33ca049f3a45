#include "io/block_cache.hpp"

#include "core/memory.hpp"

#include <bit>
#include <new>

namespace sluice::io {

block* block_cache::make(std::size_t bytes) noexcept {
  if (bytes > SIZE_MAX - sizeof(block)) {
    return nullptr;
  }
  void* const memory = memory::allocate(sizeof(block) + bytes);
  if (memory == nullptr) {
    return nullptr;
  }
  block* const made = ::new (memory) block;
  made->capacity_bytes = bytes;
  made->size_class = classes;
  return made;
}

void block_cache::destroy(block& unused) noexcept {
  memory::destroy(&unused);
}

block* block_cache::take(std::size_t bytes) noexcept {
  const std::size_t rounded = bytes <= smallest_bytes ? smallest_bytes : std::bit_ceil(bytes);
  const auto of =
      static_cast<std::size_t>(std::countr_zero(rounded) - std::countr_zero(smallest_bytes));
  if (of < classes && free_[of] != nullptr) {
    block* const taken = free_[of];
    free_[of] = taken->next;
    cached_bytes_ -= taken->capacity_bytes;
    taken->next = nullptr;
    taken->begin = 0;
    taken->end = 0;
    return taken;
  }
  block* const made = make(of < classes ? rounded : bytes);
  if (made != nullptr) {
    ++allocations_;
    made->size_class = static_cast<std::uint32_t>(of < classes ? of : classes);
  }
  return made;
}

void block_cache::put(block& unused) noexcept {
  if (unused.size_class >= classes || unused.capacity_bytes > max_cached_bytes_ - cached_bytes_) {
    destroy(unused);
    return;
  }
  unused.next = free_[unused.size_class];
  free_[unused.size_class] = &unused;
  cached_bytes_ += unused.capacity_bytes;
}

void block_cache::trim() noexcept {
  for (block*& first : free_) {
    while (first != nullptr) {
      block* const gone = first;
      first = gone->next;
      destroy(*gone);
    }
  }
  cached_bytes_ = 0;
}

} // namespace sluice::io
