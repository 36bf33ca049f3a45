#include "support/failing_memory.hpp"

#include "core/memory.hpp"
#include "io/buffer_pool.hpp"

#include <atomic>
#include <cstdlib>

namespace sluice::test {
namespace {

std::atomic<std::size_t> one_in{0}; // 0: none fails
std::atomic<std::size_t> least{0};
std::atomic<std::size_t> most{SIZE_MAX};
std::atomic<std::size_t> asked{0};
std::atomic<std::size_t> failures{0};

void* failing_allocate(std::size_t bytes) noexcept {
  const std::size_t count = one_in;
  if (count != 0 && bytes >= least && bytes <= most && ++asked % count == 0) {
    ++failures;
    return nullptr;
  }
  return std::malloc(bytes);
}

void plain_release(void* memory) noexcept {
  std::free(memory);
}

constexpr memory::hooks failing_hooks{&failing_allocate, &plain_release};

} // namespace

failing_memory::failing_memory() noexcept {
  refuse_none();
  failures = 0;
  memory::set_hooks(&failing_hooks);
}

failing_memory::~failing_memory() {
  refuse_none();
  memory::set_hooks(nullptr);
}

void failing_memory::refuse_one_in(std::size_t count, std::size_t least_bytes,
                                   std::size_t most_bytes) noexcept {
  least = least_bytes;
  most = most_bytes;
  one_in = count;
}

void failing_memory::refuse_buffers() noexcept {
  refuse_one_in(1, io::buffer_class_bytes[0]);
}

void failing_memory::refuse_none() noexcept {
  one_in = 0;
}

std::size_t failing_memory::refused() const noexcept {
  return failures;
}

} // namespace sluice::test
