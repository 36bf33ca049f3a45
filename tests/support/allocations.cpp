#include "support/allocations.hpp"

#include <atomic>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <new>
#include <unordered_map>
#include <utility>

namespace {

std::atomic<std::size_t> news{0};

struct counters {
  std::size_t allocations = 0;
  std::size_t failures = 0;
  std::size_t bytes = 0;
  std::size_t live = 0;
  std::size_t live_bytes = 0;
  std::size_t peak_bytes = 0;
  std::size_t allowed = SIZE_MAX;
};
counters seen;
std::mutex lock; // guards `seen` and `blocks`

/// Past the operators below.
template <typename T> struct uncounted {
  using value_type = T;
  uncounted() = default;
  template <typename U> explicit uncounted(const uncounted<U>&) noexcept {}
  T* allocate(std::size_t count) {
    void* const memory = std::malloc(count * sizeof(T));
    return memory != nullptr ? static_cast<T*>(memory) : throw std::bad_alloc();
  }
  void deallocate(T* memory, std::size_t) noexcept { std::free(memory); }
  bool operator==(const uncounted&) const noexcept { return true; }
};

// The sizes of what was counted. Not in the blocks themselves: a thread of an earlier test that
// ends now releases what was never counted, and one that ends later what was.
std::unordered_map<void*, std::size_t, std::hash<void*>, std::equal_to<>,
                   uncounted<std::pair<void* const, std::size_t>>>
    blocks;

void* counting_allocate(std::size_t bytes) noexcept {
  const std::lock_guard guard(lock);
  if (seen.allowed == 0) {
    ++seen.failures;
    return nullptr;
  }
  --seen.allowed;
  void* const block = std::malloc(bytes);
  if (block == nullptr) {
    return nullptr;
  }
  blocks[block] = bytes;
  ++seen.allocations;
  ++seen.live;
  seen.bytes += bytes;
  seen.live_bytes += bytes;
  if (seen.live_bytes > seen.peak_bytes) {
    seen.peak_bytes = seen.live_bytes;
  }
  return block;
}

void counting_release(void* memory) noexcept {
  const std::lock_guard guard(lock);
  if (const auto found = blocks.find(memory); found != blocks.end()) {
    --seen.live;
    seen.live_bytes -= found->second;
    blocks.erase(found);
  }
  std::free(memory);
}

std::size_t read(std::size_t counters::*which) noexcept {
  const std::lock_guard guard(lock);
  return seen.*which;
}

constexpr sluice::memory::hooks counting_hooks{&counting_allocate, &counting_release};

void* counted_new(std::size_t bytes) noexcept {
  news.fetch_add(1, std::memory_order_relaxed);
  return std::malloc(bytes == 0 ? 1 : bytes);
}

void* counted_new(std::size_t bytes, std::size_t alignment) noexcept {
  news.fetch_add(1, std::memory_order_relaxed);
  return std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
}

void* or_throw(void* memory) {
  if (memory == nullptr) {
    throw std::bad_alloc();
  }
  return memory;
}

} // namespace

namespace sluice::test {

counted_memory::counted_memory() noexcept {
  {
    const std::lock_guard guard(lock);
    seen = {};
    blocks.clear();
  }
  memory::set_hooks(&counting_hooks);
}
counted_memory::~counted_memory() {
  memory::set_hooks(nullptr);
}

void counted_memory::allow(std::size_t count) noexcept {
  const std::lock_guard guard(lock);
  seen.allowed = count;
}
void counted_memory::allow_all() noexcept {
  allow(SIZE_MAX);
}
std::size_t counted_memory::allocations() const noexcept {
  return read(&counters::allocations);
}
std::size_t counted_memory::failures() const noexcept {
  return read(&counters::failures);
}
std::size_t counted_memory::bytes() const noexcept {
  return read(&counters::bytes);
}
std::size_t counted_memory::live() const noexcept {
  return read(&counters::live);
}
std::size_t counted_memory::live_bytes() const noexcept {
  return read(&counters::live_bytes);
}
std::size_t counted_memory::peak_bytes() const noexcept {
  return read(&counters::peak_bytes);
}

std::size_t operator_new_count() noexcept {
  return news.load(std::memory_order_relaxed);
}

} // namespace sluice::test

void* operator new(std::size_t bytes) {
  return or_throw(counted_new(bytes));
}
void* operator new[](std::size_t bytes) {
  return or_throw(counted_new(bytes));
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  return counted_new(bytes);
}
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept {
  return counted_new(bytes);
}
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return or_throw(counted_new(bytes, static_cast<std::size_t>(alignment)));
}
void* operator new[](std::size_t bytes, std::align_val_t alignment) {
  return or_throw(counted_new(bytes, static_cast<std::size_t>(alignment)));
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete[](void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, const std::nothrow_t&) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, const std::nothrow_t&) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}
