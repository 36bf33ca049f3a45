#include "support/allocations.hpp"

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <new>

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
std::mutex lock; // guards `seen`

// Each block carries its size in front.
constexpr std::size_t prefix_bytes = alignof(std::max_align_t);
static_assert(prefix_bytes >= sizeof(std::size_t));

void* counting_allocate(std::size_t bytes) noexcept {
  const std::lock_guard guard(lock);
  if (seen.allowed == 0) {
    ++seen.failures;
    return nullptr;
  }
  --seen.allowed;
  auto* block = static_cast<unsigned char*>(std::malloc(bytes + prefix_bytes));
  if (block == nullptr) {
    return nullptr;
  }
  ::new (static_cast<void*>(block)) std::size_t(bytes);
  ++seen.allocations;
  ++seen.live;
  seen.bytes += bytes;
  seen.live_bytes += bytes;
  if (seen.live_bytes > seen.peak_bytes) {
    seen.peak_bytes = seen.live_bytes;
  }
  return block + prefix_bytes;
}

void counting_release(void* memory) noexcept {
  const std::lock_guard guard(lock);
  auto* block = static_cast<unsigned char*>(memory) - prefix_bytes;
  --seen.live;
  seen.live_bytes -= *reinterpret_cast<std::size_t*>(block);
  std::free(block);
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
  seen = {};
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
