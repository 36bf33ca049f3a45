#include "winhttp/handle_table.hpp"

#include "core/memory.hpp"

#include <mutex>
#include <new>

namespace sluice::winhttp {
namespace detail {
namespace {

// The first chunk is static, so that a program with few handles needs no memory for the table.
constinit slot first_chunk[slots_per_chunk]{};

// Guards the free list and the growth of the table; taken when handles come and go, never by calls.
constinit std::mutex table_lock;
constinit slot* free_head = nullptr; // taken here, freed longest ago
constinit slot* free_tail = nullptr;
constinit std::uint32_t free_count = 0;
constinit std::uint32_t chunk_count = 0;

// A slot rests in the list for at least this many closes before it is used again, so that a stale
// value meets its old generation for long (HND-02) even where few handles exist.
constexpr std::uint32_t resting_count = 64;

void append_free(slot& freed) noexcept {
  freed.next_free = nullptr;
  if (free_tail == nullptr) {
    free_head = &freed;
  } else {
    free_tail->next_free = &freed;
  }
  free_tail = &freed;
  ++free_count;
}

// One more chunk of slots; false when out of memory or at the limit. Chunks are never given back:
// a stale handle value may be looked up at any time.
bool add_chunk(DWORD& code) noexcept {
  if (chunk_count == max_chunks) {
    code = ERROR_WINHTTP_OUT_OF_HANDLES;
    return false;
  }
  slot* chunk = first_chunk;
  if (chunk_count != 0) {
    void* raw = memory::allocate(sizeof(slot) * slots_per_chunk + alignof(slot));
    if (raw == nullptr) {
      code = ERROR_NOT_ENOUGH_MEMORY;
      return false;
    }
    const auto address = reinterpret_cast<std::uintptr_t>(raw);
    const std::size_t skip = (alignof(slot) - address % alignof(slot)) % alignof(slot);
    chunk = reinterpret_cast<slot*>(static_cast<std::byte*>(raw) + skip);
    for (std::uint32_t i = 0; i < slots_per_chunk; ++i) {
      ::new (static_cast<void*>(chunk + i)) slot;
    }
  }
  for (std::uint32_t i = 0; i < slots_per_chunk; ++i) {
    chunk[i].index = chunk_count * slots_per_chunk + i;
    append_free(chunk[i]);
  }
  chunks[chunk_count].store(chunk, std::memory_order_release);
  ++chunk_count;
  return true;
}

slot* take_free(DWORD& code) noexcept {
  const std::lock_guard guard(table_lock);
  DWORD growth = ERROR_SUCCESS;
  if (free_count <= resting_count && !add_chunk(growth) && free_head == nullptr) {
    code = growth; // a slot that has not rested is better than none
    return nullptr;
  }
  slot* taken = free_head;
  free_head = taken->next_free;
  if (free_head == nullptr) {
    free_tail = nullptr;
  }
  --free_count;
  return taken;
}

[[nodiscard]] HINTERNET value_of(const slot& of, std::uint64_t word) noexcept {
  const std::uint64_t low = (std::uint64_t{of.index} << tag_bits) | tag;
  return reinterpret_cast<HINTERNET>( // NOLINT(performance-no-int-to-ptr): a number, by contract
      static_cast<std::uintptr_t>((word & ~pins_mask) | low));
}

} // namespace

constinit std::atomic<slot*> chunks[max_chunks]{};

void release_if_last(slot& of) noexcept {
  // Another pin may have come and gone since, or still be there: then it is its business. Only one
  // thread moves a slot out of closing.
  std::uint64_t seen = of.word.load(std::memory_order_relaxed);
  do {
    if ((seen & closing_bit) == 0 || (seen & pins_mask) != 0) {
      return;
    }
  } while (!of.word.compare_exchange_weak(seen, seen & ~closing_bit, std::memory_order_acq_rel,
                                          std::memory_order_relaxed));
  object* released = of.held;
  of.held = nullptr;
  {
    const std::lock_guard guard(table_lock);
    append_free(of);
  }
  released->on_released();
  released->drop_ref();
}

} // namespace detail

HINTERNET open_handle(object& made, DWORD& code) noexcept {
  detail::slot* taken = detail::take_free(code);
  if (taken == nullptr) {
    return nullptr;
  }
  taken->held = &made;
  // Stale values may hold pins on a free slot for a moment, hence an addition and no store. The
  // generation wraps around at the top of the word; 0 is skipped by nobody and harms nobody, since
  // the open bit keeps every value away from NULL.
  const std::uint64_t word = (taken->word.load(std::memory_order_relaxed) & ~detail::pins_mask) +
                             detail::one_generation + detail::open_bit;
  const HINTERNET handle = detail::value_of(*taken, word);
  made.handle_.store(handle, std::memory_order_relaxed);
  taken->word.fetch_add(detail::one_generation + detail::open_bit + detail::one_pin,
                        std::memory_order_release);
  return handle;
}

HINTERNET open_handle(object& made) noexcept {
  DWORD ignored = ERROR_SUCCESS;
  return open_handle(made, ignored);
}

DWORD close_handle(HINTERNET handle) noexcept {
  detail::slot* found = detail::find_slot(handle);
  if (found == nullptr) {
    return ERROR_INVALID_HANDLE;
  }
  const std::uint64_t wanted = reinterpret_cast<std::uintptr_t>(handle) >> 32;
  std::uint64_t seen = found->word.load(std::memory_order_relaxed);
  do {
    if ((seen >> 32) != wanted || (seen & detail::open_bit) == 0) {
      return ERROR_INVALID_HANDLE;
    }
  } while (!found->word.compare_exchange_weak(seen, seen - detail::open_bit + detail::closing_bit,
                                              std::memory_order_acq_rel,
                                              std::memory_order_relaxed));
  // The handle's own pin is still there, so the object is too.
  found->held->on_close();
  detail::unpin(*found);
  return ERROR_SUCCESS;
}

bool is_open(HINTERNET handle) noexcept {
  return pin(handle).get() != nullptr;
}

} // namespace sluice::winhttp
