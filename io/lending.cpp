#include "io/lending.hpp"

#include "core/memory.hpp"
#include "io/native_connection.hpp"
#include "sluice/view.hpp"

#include <bit>
#include <cstdint>

namespace sluice::io {
namespace {

// Both kinds are aligned, so that the lowest bit is free to tell them apart.
constexpr std::uintptr_t block_bit = 1;
static_assert(alignof(buffer) > 1 && alignof(block) > 1);

} // namespace

void release_block(block& used) noexcept {
  const std::atomic_ref<std::uint32_t> holds(used.holds);
  if (holds.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    if (used.lent_by != nullptr) {
      used.lent_by->returned(used.capacity_bytes);
    }
    block_cache::destroy(used);
  }
}

lend_account* lend_account::create(native_connection& of, std::size_t max_bytes,
                                   mailbox& home) noexcept {
  return memory::create<lend_account>(of, max_bytes, home);
}

lend_account::lend_account(native_connection& of, std::size_t max_bytes, mailbox& home) noexcept
    : of_(&of), max_(max_bytes), home_(home) {
  home_.retain();
  deliver = [](mail& arrived, bool dropped) noexcept {
    auto& self = static_cast<lend_account&>(arrived);
    if (!dropped && self.of_ != nullptr) {
      self.of_->lending_eased();
    }
    self.release();
  };
}

void lend_account::release() noexcept {
  if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    mailbox& home = home_;
    memory::destroy(this);
    home.release();
  }
}

void lend_account::close() noexcept {
  of_ = nullptr;
  release();
}

void lend_account::lend(std::size_t bytes) noexcept {
  references_.fetch_add(1, std::memory_order_relaxed);
  lent_.fetch_add(bytes, std::memory_order_relaxed);
  home_.lent_bytes.fetch_add(bytes, std::memory_order_relaxed);
}

bool lend_account::over_limit() noexcept {
  if (lent_.load(std::memory_order_relaxed) <= max_) {
    return false;
  }
  // Either the thread that returns the last byte too many sees the flag, or we see its return.
  waits_.store(true);
  if (lent_.load() <= max_ && waits_.exchange(false)) {
    return false;
  }
  return true;
}

void lend_account::returned(std::size_t bytes) noexcept {
  const std::size_t left = lent_.fetch_sub(bytes) - bytes;
  home_.lent_bytes.fetch_sub(bytes, std::memory_order_relaxed);
  if (left <= max_ && waits_.load() && waits_.exchange(false)) {
    home_.post(*this); // with the reference of what came back
    return;
  }
  release();
}

void* keeper_of(buffer& kept) noexcept {
  return &kept;
}

void* keeper_of(block& kept) noexcept {
  return std::bit_cast<void*>(std::bit_cast<std::uintptr_t>(&kept) | block_bit);
}

} // namespace sluice::io

namespace sluice {

void held_view::give_back(void* keeper) noexcept {
  const auto bits = std::bit_cast<std::uintptr_t>(keeper);
  if ((bits & io::block_bit) != 0) {
    io::release_block(*std::bit_cast<io::block*>(bits & ~io::block_bit));
  } else {
    release_buffer(*static_cast<buffer*>(keeper));
  }
}

} // namespace sluice
