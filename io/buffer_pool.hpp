#pragma once

#include "core/buffer.hpp"
#include "core/memory.hpp"
#include "io/operation.hpp"
#include "io/wake_signal.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace sluice::io {

inline constexpr std::size_t buffer_class_bytes[buffer_class_count] = {4096, 65536};

/// Receive buffers of one thread, in two size classes, each a LIFO so that the hottest memory is
/// used first. recycle() belongs to any thread: from elsewhere than the owner's it goes over a
/// lock-free return stack that the owner drains. Everything else belongs to the thread that made
/// the pool. The pool lives until its thread has abandoned it and the last buffer has come back.
///
/// Bytes are page-aligned, taken in slabs that double from 64 KiB (small) or 256 KiB (large) to
/// 1 MiB. In ASan builds the bytes of free and posted buffers are poisoned; in debug builds they
/// are overwritten when a buffer is recycled.
class buffer_pool final : public buffer_owner {
public:
  /// `max_bytes` bounds the payload memory of both classes. nullptr: no memory.
  [[nodiscard]] static buffer_pool* create(std::size_t max_bytes) noexcept;

  buffer_pool(const buffer_pool&) = delete;
  buffer_pool& operator=(const buffer_pool&) = delete;

  /// A buffer of that class, or nullptr when the pool is at its cap or out of memory.
  [[nodiscard]] buffer* take(buffer_class wanted) noexcept;

  /// As take(); if there is none, one of the other class, or one over the cap, because who decrypts
  /// on the thread that reads cannot rely on anybody to return one. nullptr: no memory.
  [[nodiscard]] buffer* take_or_grow(buffer_class wanted) noexcept;

  /// As take(), and counted as the kernel's: it stays poisoned until unpost().
  [[nodiscard]] buffer* post(buffer_class wanted) noexcept;
  /// The kernel is done with a posted buffer and has filled `filled_bytes` of it: it is lent now.
  void unpost(buffer& posted, std::size_t filled_bytes) noexcept;

  /// Adds one small buffer over the cap, so that a thread that would wait for buffers which only it
  /// can return makes progress. Its memory is released when it comes back. False: no memory.
  [[nodiscard]] bool add_over_cap() noexcept;

  void recycle(buffer& returned) noexcept override;

  /// Moves buffers that other threads returned to the free lists; true if there were any.
  bool drain_returns() noexcept;

  /// Before sleeping for want of a buffer: the next recycle() by another thread raises the signal
  /// given to wake_on_return(). False when buffers have come back already: drain, do not sleep.
  [[nodiscard]] bool announce_hunger() noexcept;
  void wake_on_return(wake_signal& signal) noexcept;

  /// The loop is done with it and no buffer is posted. Buffers that are out stay valid until
  /// recycled; the last one takes the pool with it.
  void abandon() noexcept;

  /// Buffers that are neither free nor posted to the kernel (nor known to have come back).
  [[nodiscard]] std::size_t lent_count() const noexcept { return lent_; }
  [[nodiscard]] std::size_t posted_count() const noexcept { return posted_; }
  /// None is lent or posted: whoever finds none free waits for nobody.
  [[nodiscard]] bool none_out() const noexcept { return lent_ == 0 && posted_ == 0; }
  /// True if the next take() of that class needs no memory from the system.
  [[nodiscard]] bool has_free(buffer_class of) const noexcept {
    return free_[static_cast<std::size_t>(of)] != nullptr;
  }
  [[nodiscard]] std::size_t reserved_bytes() const noexcept { return reserved_bytes_; }

private:
  struct pool_buffer final : buffer {
    pool_buffer* next = nullptr; // in a free list or on the return stack
    void* own_memory = nullptr;  // of a buffer over the cap; nullptr: part of a slab
  };
  struct slab {
    slab* next = nullptr;
    void* memory = nullptr;
    std::byte* bytes = nullptr;
    std::size_t size_bytes = 0;
  };

  explicit buffer_pool(std::size_t max_bytes) noexcept;
  ~buffer_pool();
  template <typename T, typename... Args> friend T* memory::create(Args&&...) noexcept;
  template <typename T> friend void memory::destroy(T*) noexcept;

  [[nodiscard]] pool_buffer* pop(buffer_class wanted) noexcept;
  [[nodiscard]] bool grow(buffer_class wanted) noexcept;
  [[nodiscard]] bool add_slab(buffer_class wanted, std::size_t count) noexcept;
  void adopt(pool_buffer& made, buffer_class as) noexcept;
  void put_back(pool_buffer& returned) noexcept;
  static void release_over_cap(pool_buffer& gone) noexcept;
  static void scrub(pool_buffer& returned) noexcept;
  void return_from_elsewhere(pool_buffer& returned) noexcept;

  // Heads of the return stack that are not buffers.
  static pool_buffer closed_mark;
  static pool_buffer hungry_mark;

  std::array<pool_buffer*, buffer_class_count> free_{};
  std::size_t lent_ = 0;
  std::size_t posted_ = 0;
  std::size_t reserved_bytes_ = 0;
  std::size_t max_bytes_;
  std::array<std::size_t, buffer_class_count> next_slab_count_{16, 4};
  std::array<std::uint16_t, buffer_class_count> next_id_{};
  slab* slabs_ = nullptr;
  wake_signal* waker_ = nullptr;

  // Which thread may use the free lists; nullptr once abandoned.
  std::atomic<const void*> owner_thread_;

  std::atomic<pool_buffer*> returned_{nullptr};
  // Buffers still out after abandon(), minus those returned while abandon() counted.
  std::atomic<std::ptrdiff_t> orphans_{0};
};

} // namespace sluice::io
