#pragma once

#include "core/buffer.hpp"
#include "core/slice_queue.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>

namespace sluice::test {

/// Makes a heap block of exactly the right size for every slice, so that an address sanitizer sees
/// any byte read outside it, and overwrites and frees a block the moment it comes back, so that a
/// late read is seen too. Ends the program if a block is returned twice or never. One thread.
class heap_buffer_owner final : public buffer_owner {
public:
  heap_buffer_owner() = default;
  heap_buffer_owner(const heap_buffer_owner&) = delete;
  heap_buffer_owner& operator=(const heap_buffer_owner&) = delete;
  ~heap_buffer_owner() {
    if (out_ != 0) {
      std::fprintf(stderr, "heap_buffer_owner: %zu buffers were never returned\n", out_);
      std::abort();
    }
  }

  /// A slice that holds a copy of `content`, at `offset` in its buffer.
  [[nodiscard]] slice make(std::span<const std::byte> content, std::size_t offset = 0) {
    auto* made = new block;
    made->capacity_bytes = static_cast<std::uint32_t>(offset + content.size());
    made->bytes = new std::byte[made->capacity_bytes];
    made->owner = this;
    if (!content.empty()) {
      std::memcpy(made->bytes + offset, content.data(), content.size());
    }
    ++out_;
    return {made, static_cast<std::uint32_t>(offset), static_cast<std::uint32_t>(content.size())};
  }

  /// make() and push(); gives the block back if the queue does not take it.
  bool push(slice_queue& queue, std::span<const std::byte> content, std::size_t offset = 0) {
    const slice made = make(content, offset);
    if (!queue.push(made)) {
      recycle(*made.from);
      return false;
    }
    return true;
  }

  void recycle(buffer& returned) noexcept override {
    auto& known = static_cast<block&>(returned);
    if (known.owner != this || known.magic != block_magic || out_ == 0) {
      std::fprintf(stderr, "heap_buffer_owner: a buffer was returned twice or to a stranger\n");
      std::abort();
    }
    known.magic = 0;
    std::memset(known.bytes, 0xDD, known.capacity_bytes);
    delete[] known.bytes;
    delete &known;
    --out_;
    ++returned_;
  }

  [[nodiscard]] std::size_t out() const noexcept { return out_; }
  [[nodiscard]] std::size_t returned() const noexcept { return returned_; }

private:
  static constexpr std::uint64_t block_magic = 0x736c696365626c6b;
  struct block : buffer {
    std::uint64_t magic = block_magic;
  };

  std::size_t out_ = 0;
  std::size_t returned_ = 0;
};

/// Lends one block of memory again and again without allocating: for tests that count allocations
/// and for benchmarks. The block is not touched when it comes back.
class lent_buffer_owner final : public buffer_owner {
public:
  explicit lent_buffer_owner(std::span<std::byte> memory) noexcept {
    lent_.bytes = memory.data();
    lent_.capacity_bytes = static_cast<std::uint32_t>(memory.size());
    lent_.owner = this;
  }
  lent_buffer_owner(const lent_buffer_owner&) = delete;
  lent_buffer_owner& operator=(const lent_buffer_owner&) = delete;

  /// The first `size_bytes` of the memory from `offset`; may be out several times at once.
  [[nodiscard]] slice lend(std::size_t offset, std::size_t size_bytes) noexcept {
    ++lendings_;
    return {&lent_, static_cast<std::uint32_t>(offset), static_cast<std::uint32_t>(size_bytes)};
  }
  [[nodiscard]] slice lend() noexcept { return lend(0, lent_.capacity_bytes); }

  void recycle(buffer&) noexcept override { ++returns_; }

  [[nodiscard]] std::size_t out() const noexcept { return lendings_ - returns_; }

private:
  buffer lent_;
  std::size_t lendings_ = 0;
  std::size_t returns_ = 0;
};

} // namespace sluice::test
