#pragma once

#include "winhttp/object.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace sluice::winhttp {

/// Handle values are {generation, slot index}, never pointers: a stale, foreign or invented value
/// is ERROR_INVALID_HANDLE, never a crash (HND-02, decision X-04). Slots are reused late (the one
/// that was freed longest ago first) and with a new generation. Everything here may be called from
/// any thread.
///
/// Gives `made` a handle, which takes over its initial reference. On failure nullptr: the caller
/// keeps the reference, and `code` is ERROR_NOT_ENOUGH_MEMORY or ERROR_WINHTTP_OUT_OF_HANDLES.
[[nodiscard]] HINTERNET open_handle(object& made) noexcept;
[[nodiscard]] HINTERNET open_handle(object& made, DWORD& code) noexcept;

/// Makes the value invalid for new calls, calls on_close(), and drops the handle's reference once
/// the last pin is gone. ERROR_INVALID_HANDLE if it already was (HND-11).
[[nodiscard]] DWORD close_handle(HINTERNET handle) noexcept;

/// True if the value is the handle of a living object at this moment.
[[nodiscard]] bool is_open(HINTERNET handle) noexcept;

namespace detail {

/// One word says everything that calls need to know, so that a pin is one addition and one
/// comparison:
///
///     63            34 33        32     31           0
///     generation (30)  closing   open   pins
///
/// free: neither bit. open: the handle itself counts as one pin. closing: CloseHandle came, the
/// last pin to go moves the slot to free and drops the reference. Calls with a stale value add and
/// subtract a pin of a slot that is not theirs; that is harmless in every state.
struct alignas(64) slot {
  std::atomic<std::uint64_t> word{0};
  object* held = nullptr; // written while free, by whoever took the slot off the free list
  slot* next_free = nullptr;
  std::uint32_t index = 0;
};
static_assert(sizeof(slot) == 64, "one cache line each: calls on different handles do not collide");

inline constexpr std::uint64_t one_pin = 1;
inline constexpr std::uint64_t pins_mask = 0xFFFFFFFFu;
inline constexpr std::uint64_t open_bit = std::uint64_t{1} << 32;
inline constexpr std::uint64_t closing_bit = std::uint64_t{1} << 33;
inline constexpr std::uint64_t one_generation = std::uint64_t{1} << 34;

static_assert(sizeof(HINTERNET) == sizeof(std::uint64_t), "a handle holds generation and index");

// A handle value: the upper half of the slot's word while open, then the index, then a fixed tag.
inline constexpr unsigned tag_bits = 4;
inline constexpr std::uint32_t tag = 0x8;
inline constexpr std::uint32_t slots_per_chunk = 256;
inline constexpr std::uint32_t max_chunks = 4096; // 1,048,576 handles

extern std::atomic<slot*> chunks[max_chunks];

/// The slot a value points at, or nullptr if no such slot exists.
[[nodiscard]] inline slot* find_slot(HINTERNET handle) noexcept {
  const auto low = static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(handle));
  const std::uint32_t index = low >> tag_bits;
  if ((low & ((1u << tag_bits) - 1)) != tag || index >= slots_per_chunk * max_chunks) {
    return nullptr;
  }
  slot* chunk = chunks[index / slots_per_chunk].load(std::memory_order_acquire);
  return chunk == nullptr ? nullptr : chunk + index % slots_per_chunk;
}

/// The last pin of a closed handle went.
void release_if_last(slot& of) noexcept;

inline void unpin(slot& of) noexcept {
  const std::uint64_t before = of.word.fetch_sub(one_pin, std::memory_order_acq_rel);
  if ((before & (pins_mask | closing_bit)) == (one_pin | closing_bit)) {
    release_if_last(of);
  }
}

} // namespace detail

/// Keeps the object of a valid handle alive during a call; two atomic read-modify-writes in all.
class pin {
public:
  explicit pin(HINTERNET handle) noexcept {
    detail::slot* found = detail::find_slot(handle);
    if (found == nullptr) [[unlikely]] {
      return;
    }
    const std::uint64_t before = found->word.fetch_add(detail::one_pin, std::memory_order_acquire);
    if ((before >> 32) != (reinterpret_cast<std::uintptr_t>(handle) >> 32) ||
        (before & detail::open_bit) == 0) [[unlikely]] {
      detail::unpin(*found);
      return;
    }
    slot_ = found;
  }
  ~pin() {
    if (slot_ != nullptr) {
      detail::unpin(*slot_);
    }
  }
  pin(const pin&) = delete;
  pin& operator=(const pin&) = delete;

  /// nullptr for an invalid handle (ERROR_INVALID_HANDLE).
  [[nodiscard]] object* get() const noexcept { return slot_ != nullptr ? slot_->held : nullptr; }

  /// The object if it is of that kind. Otherwise nullptr and `code` is ERROR_INVALID_HANDLE or
  /// ERROR_WINHTTP_INCORRECT_HANDLE_TYPE (HND-01).
  template <typename T> [[nodiscard]] T* as(DWORD& code) const noexcept {
    if (slot_ == nullptr) {
      code = ERROR_INVALID_HANDLE;
      return nullptr;
    }
    if (slot_->held->kind != T::of_kind) {
      code = ERROR_WINHTTP_INCORRECT_HANDLE_TYPE;
      return nullptr;
    }
    return static_cast<T*>(slot_->held);
  }

private:
  detail::slot* slot_ = nullptr;
};

} // namespace sluice::winhttp
