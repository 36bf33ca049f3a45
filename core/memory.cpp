#include "core/memory.hpp"

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

constinit const hooks* active_hooks = &default_hooks;

} // namespace

void set_hooks(const hooks* replacement) noexcept {
  active_hooks = replacement != nullptr ? replacement : &default_hooks;
}

void* allocate(std::size_t bytes) noexcept {
  return active_hooks->allocate(bytes == 0 ? 1 : bytes);
}

void release(void* memory) noexcept {
  if (memory != nullptr) {
    active_hooks->release(memory);
  }
}

} // namespace sluice::memory
