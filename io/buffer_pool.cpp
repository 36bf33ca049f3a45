#include "io/buffer_pool.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#define SLUICE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLUICE_ASAN 1
#endif
#endif
#ifdef SLUICE_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace sluice::io {
namespace {

constexpr std::size_t page_bytes = 4096;
constexpr std::size_t max_slab_bytes = std::size_t{1} << 20;

// Its address tells threads apart while they live. initial-exec: one load, also in a shared
// library.
[[gnu::tls_model("initial-exec")]] thread_local constinit char thread_mark = 0;

void poison([[maybe_unused]] const buffer& of) noexcept {
#ifdef SLUICE_ASAN
  ASAN_POISON_MEMORY_REGION(of.bytes, of.capacity_bytes);
#endif
}

void unpoison([[maybe_unused]] const std::byte* bytes,
              [[maybe_unused]] std::size_t count) noexcept {
#ifdef SLUICE_ASAN
  ASAN_UNPOISON_MEMORY_REGION(bytes, count);
#endif
}

std::byte* page_aligned(void* memory) noexcept {
  auto* const bytes = static_cast<std::byte*>(memory);
  const std::size_t past = std::bit_cast<std::uintptr_t>(bytes) % page_bytes;
  return past == 0 ? bytes : bytes + (page_bytes - past);
}

} // namespace

constinit buffer_pool::pool_buffer buffer_pool::closed_mark{};
constinit buffer_pool::pool_buffer buffer_pool::hungry_mark{};

buffer_pool::buffer_pool(std::size_t max_bytes) noexcept
    : max_bytes_(max_bytes), owner_thread_(&thread_mark) {}

buffer_pool::~buffer_pool() {
  for (pool_buffer* head : free_) {
    while (head != nullptr) {
      pool_buffer* const next = head->next;
      if (head->own_memory != nullptr) {
        release_over_cap(*head);
      }
      head = next;
    }
  }
  while (slabs_ != nullptr) {
    slab* const gone = slabs_;
    slabs_ = gone->next;
    unpoison(gone->bytes, gone->size_bytes);
    memory::release(gone->memory);
    memory::release(gone);
  }
  if (waker_ != nullptr) {
    waker_->release();
  }
}

buffer_pool* buffer_pool::create(std::size_t max_bytes) noexcept {
  return memory::create<buffer_pool>(max_bytes);
}

void buffer_pool::wake_on_return(wake_signal& signal) noexcept {
  signal.retain();
  if (waker_ != nullptr) {
    waker_->release();
  }
  waker_ = &signal;
}

bool buffer_pool::add_slab(buffer_class wanted, std::size_t count) noexcept {
  const std::size_t cls = index_of(wanted);
  const std::size_t each = buffer_class_bytes[cls];
  void* const head = memory::allocate(sizeof(slab) + count * sizeof(pool_buffer));
  if (head == nullptr) {
    return false;
  }
  void* const block = memory::allocate(count * each + page_bytes);
  if (block == nullptr) {
    memory::release(head);
    return false;
  }
  slab* const added = ::new (head) slab{slabs_, block, page_aligned(block), count * each};
  slabs_ = added;
  reserved_bytes_ += count * each;
  std::byte* const headers = static_cast<std::byte*>(head) + sizeof(slab);
  // Last to first, so that the free list starts with the lowest address.
  for (std::size_t i = count; i-- > 0;) {
    void* const place = headers + i * sizeof(pool_buffer);
    pool_buffer* const made = ::new (place) pool_buffer;
    made->bytes = added->bytes + i * each;
    adopt(*made, wanted);
  }
  return true;
}

void buffer_pool::adopt(pool_buffer& made, buffer_class as) noexcept {
  const std::size_t cls = index_of(as);
  made.capacity_bytes = static_cast<std::uint32_t>(buffer_class_bytes[cls]);
  made.size_class = static_cast<std::uint16_t>(cls);
  made.id = next_id_[cls]++;
  made.owner = this;
  made.next = free_[cls];
  free_[cls] = &made;
  poison(made);
}

bool buffer_pool::grow(buffer_class wanted) noexcept {
  const std::size_t cls = index_of(wanted);
  const std::size_t each = buffer_class_bytes[cls];
  const std::size_t room_bytes = max_bytes_ > reserved_bytes_ ? max_bytes_ - reserved_bytes_ : 0;
  const std::size_t count = std::min(next_slab_count_[cls], room_bytes / each);
  if (count == 0) {
    return false;
  }
  if (add_slab(wanted, count)) {
    next_slab_count_[cls] = std::min(next_slab_count_[cls] * 2, max_slab_bytes / each);
    return true;
  }
  return count > 1 && add_slab(wanted, 1);
}

bool buffer_pool::add_over_cap() noexcept {
  void* const block =
      memory::allocate(buffer_class_bytes[index_of(buffer_class::small)] + page_bytes);
  if (block == nullptr) {
    return false;
  }
  pool_buffer* const made = memory::create<pool_buffer>();
  if (made == nullptr) {
    memory::release(block);
    return false;
  }
  made->bytes = page_aligned(block);
  made->own_memory = block;
  adopt(*made, buffer_class::small);
  return true;
}

void buffer_pool::release_over_cap(pool_buffer& gone) noexcept {
  unpoison(gone.bytes, gone.capacity_bytes);
  memory::release(gone.own_memory);
  memory::destroy(&gone);
}

buffer_pool::pool_buffer* buffer_pool::pop(buffer_class wanted) noexcept {
  pool_buffer*& head = free_[index_of(wanted)];
  if (head == nullptr && !grow(wanted)) {
    return nullptr;
  }
  pool_buffer* const taken = head;
  head = taken->next;
  return taken;
}

buffer* buffer_pool::take(buffer_class wanted) noexcept {
  pool_buffer* const taken = pop(wanted);
  if (taken != nullptr) {
    ++lent_;
    unpoison(taken->bytes, taken->capacity_bytes);
  }
  return taken;
}

buffer* buffer_pool::take_or_grow(buffer_class wanted) noexcept {
  buffer* taken = take(wanted);
  if (taken == nullptr) {
    taken = take(other(wanted));
  }
  if (taken == nullptr && (drain_returns() || add_over_cap())) {
    taken = take(buffer_class::small);
    if (taken == nullptr) {
      taken = take(buffer_class::large);
    }
  }
  return taken;
}

buffer* buffer_pool::post(buffer_class wanted) noexcept {
  pool_buffer* const taken = pop(wanted);
  if (taken != nullptr) {
    ++posted_;
  }
  return taken;
}

void buffer_pool::unpost(buffer& posted, std::size_t filled_bytes) noexcept {
  --posted_;
  ++lent_;
  unpoison(posted.bytes, filled_bytes);
}

void buffer_pool::scrub(pool_buffer& returned) noexcept {
#ifndef NDEBUG
  unpoison(returned.bytes, returned.capacity_bytes);
  std::memset(returned.bytes, 0xdb, returned.capacity_bytes);
#endif
  poison(returned);
}

void buffer_pool::put_back(pool_buffer& returned) noexcept {
  --lent_;
  if (returned.own_memory != nullptr) {
    release_over_cap(returned);
    return;
  }
  pool_buffer*& head = free_[returned.size_class];
  returned.next = head;
  head = &returned;
}

void buffer_pool::recycle(buffer& returned) noexcept {
  auto& back = static_cast<pool_buffer&>(returned);
  scrub(back);
  if (owner_thread_.load(std::memory_order_relaxed) == &thread_mark) {
    put_back(back);
  } else {
    return_from_elsewhere(back);
  }
}

void buffer_pool::return_from_elsewhere(pool_buffer& returned) noexcept {
  // Once the buffer is on the stack the pool may be gone, so everything needed afterwards is taken
  // before.
  wake_signal* to_wake = nullptr;
  pool_buffer* head = returned_.load(std::memory_order_acquire);
  do {
    if (head == &closed_mark) {
      if (to_wake != nullptr) {
        to_wake->release();
      }
      if (returned.own_memory != nullptr) {
        release_over_cap(returned);
      }
      if (orphans_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        memory::destroy(this);
      }
      return;
    }
    if (head == &hungry_mark && to_wake == nullptr && waker_ != nullptr) {
      to_wake = waker_;
      to_wake->retain();
    }
    returned.next = head == &hungry_mark ? nullptr : head;
  } while (!returned_.compare_exchange_weak(head, &returned, std::memory_order_acq_rel,
                                            std::memory_order_acquire));
  if (to_wake != nullptr) {
    to_wake->raise();
    to_wake->release();
  }
}

bool buffer_pool::drain_returns() noexcept {
  if (returned_.load(std::memory_order_relaxed) == nullptr) {
    return false;
  }
  pool_buffer* head = returned_.exchange(nullptr, std::memory_order_acq_rel);
  if (head == &hungry_mark || head == nullptr) {
    return false;
  }
  while (head != nullptr) {
    pool_buffer* const next = head->next;
    put_back(*head);
    head = next;
  }
  return true;
}

bool buffer_pool::announce_hunger() noexcept {
  pool_buffer* head = nullptr;
  return returned_.compare_exchange_strong(head, &hungry_mark, std::memory_order_acq_rel,
                                           std::memory_order_acquire) ||
         head == &hungry_mark;
}

void buffer_pool::abandon() noexcept {
  // From here on even this thread returns buffers like a stranger.
  owner_thread_.store(nullptr, std::memory_order_relaxed);
  pool_buffer* head = returned_.exchange(&closed_mark, std::memory_order_acq_rel);
  while (head != nullptr && head != &hungry_mark) {
    pool_buffer* const next = head->next;
    put_back(*head);
    head = next;
  }
  const auto out = static_cast<std::ptrdiff_t>(lent_);
  if (orphans_.fetch_add(out, std::memory_order_acq_rel) + out == 0) {
    memory::destroy(this);
  }
}

} // namespace sluice::io
