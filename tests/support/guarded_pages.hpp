#pragma once

#include <cstddef>
#include <cstdlib>
#include <span>

#include <sys/mman.h>
#include <unistd.h>

namespace sluice::test {

/// Readable and writable pages between two that fault at the first touch.
class guarded_pages {
public:
  explicit guarded_pages(std::size_t at_least) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    size_ = (at_least + page - 1) / page * page;
    mapped_ = size_ + 2 * page;
    void* base = mmap(nullptr, mapped_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED)
      std::abort();
    base_ = static_cast<std::byte*>(base);
    first_ = base_ + page;
    if (mprotect(first_, size_, PROT_READ | PROT_WRITE) != 0)
      std::abort();
  }
  guarded_pages(const guarded_pages&) = delete;
  guarded_pages& operator=(const guarded_pages&) = delete;
  ~guarded_pages() { munmap(base_, mapped_); }

  /// All bytes between the guards.
  [[nodiscard]] std::span<std::byte> all() const noexcept { return {first_, size_}; }
  /// `count` bytes, `offset` bytes behind the first guard.
  [[nodiscard]] std::span<std::byte> at_start(std::size_t offset, std::size_t count) const {
    return all().subspan(offset, count);
  }
  /// `count` bytes that end `offset` bytes before the second guard.
  [[nodiscard]] std::span<std::byte> at_end(std::size_t offset, std::size_t count) const {
    return all().subspan(size_ - offset - count, count);
  }

private:
  std::byte* base_;
  std::byte* first_;
  std::size_t size_;
  std::size_t mapped_;
};

} // namespace sluice::test
