#include "core/memory.hpp"

#include <atomic>
#include <cstdlib>

namespace sluice::memory {
namespace {

void* default_allocate(std::size_t bytes) noexcept {
  return std::malloc(bytes);
}
void default_release(void* memory) noexcept {
  std::free(memory);
}

constexpr hooks default_hooks{&default_allocate, &default_release};

// Atomic for threads that still end when the next test sets its hooks.
constinit std::atomic<const hooks*> active_hooks{&default_hooks};

} // namespace

void set_hooks(const hooks* replacement) noexcept {
  active_hooks.store(replacement != nullptr ? replacement : &default_hooks,
                     std::memory_order_release);
}

void* allocate(std::size_t bytes) noexcept {
  return active_hooks.load(std::memory_order_acquire)->allocate(bytes == 0 ? 1 : bytes);
}

void release(void* memory) noexcept {
  if (memory != nullptr) {
    active_hooks.load(std::memory_order_acquire)->release(memory);
  }
}

} // namespace sluice::memory
