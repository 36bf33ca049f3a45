#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

namespace sluice::memory {

/// The one seam through which the library takes heap memory, so that tests can count allocations
/// and make the Nth one fail. Both functions must be thread-safe; `allocate` returns nullptr when
/// there is none, and memory aligned for std::max_align_t otherwise.
struct hooks {
  void* (*allocate)(std::size_t bytes) noexcept;
  void (*release)(void* memory) noexcept;
};

/// Replaces the seam; nullptr restores malloc and free. For tests: call while no other thread
/// uses the library, and restore before memory taken under other hooks is released, unless both
/// hand out malloc memory.
void set_hooks(const hooks* replacement) noexcept;

[[nodiscard]] void* allocate(std::size_t bytes) noexcept;
void release(void* memory) noexcept;

/// `new T(args...)` through the seam; nullptr when out of memory. The constructor must not throw.
template <typename T, typename... Args> [[nodiscard]] T* create(Args&&... args) noexcept {
  static_assert(alignof(T) <= alignof(std::max_align_t));
  void* memory = allocate(sizeof(T));
  return memory == nullptr ? nullptr : ::new (memory) T(std::forward<Args>(args)...);
}

template <typename T> void destroy(T* object) noexcept {
  if (object != nullptr) {
    object->~T();
    release(static_cast<void*>(object));
  }
}

struct deleter {
  template <typename T> void operator()(T* object) const noexcept { destroy(object); }
};

template <typename T> using unique = std::unique_ptr<T, deleter>;

template <typename T, typename... Args>
[[nodiscard]] unique<T> make_unique(Args&&... args) noexcept {
  return unique<T>(create<T>(std::forward<Args>(args)...));
}

/// A growing array of trivially copyable elements that never throws. A failed growth is sticky:
/// `ok()` turns false, later appends do nothing, and the caller checks once at the end.
template <typename T> class growable {
  static_assert(std::is_trivially_copyable_v<T>);
  // NOLINTNEXTLINE(bugprone-sizeof-expression): T may well be a pointer
  static constexpr std::size_t element_bytes = sizeof(T);

public:
  growable() noexcept = default;
  growable(growable&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), count_(std::exchange(other.count_, 0)),
        capacity_(std::exchange(other.capacity_, 0)), ok_(std::exchange(other.ok_, true)) {}
  growable& operator=(growable&& other) noexcept {
    if (this != &other) {
      release(data_);
      data_ = std::exchange(other.data_, nullptr);
      count_ = std::exchange(other.count_, 0);
      capacity_ = std::exchange(other.capacity_, 0);
      ok_ = std::exchange(other.ok_, true);
    }
    return *this;
  }
  growable(const growable&) = delete;
  growable& operator=(const growable&) = delete;
  ~growable() { release(data_); }

  /// False after an allocation failed; the content is then a prefix of what was appended.
  [[nodiscard]] bool ok() const noexcept { return ok_; }
  [[nodiscard]] std::size_t size() const noexcept { return count_; }
  [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
  [[nodiscard]] T* data() noexcept { return data_; }
  [[nodiscard]] const T* data() const noexcept { return data_; }
  [[nodiscard]] T& operator[](std::size_t i) noexcept { return data_[i]; }
  [[nodiscard]] const T& operator[](std::size_t i) const noexcept { return data_[i]; }
  [[nodiscard]] T* begin() noexcept { return data_; }
  [[nodiscard]] T* end() noexcept { return data_ + count_; }
  [[nodiscard]] const T* begin() const noexcept { return data_; }
  [[nodiscard]] const T* end() const noexcept { return data_ + count_; }

  bool reserve(std::size_t capacity) noexcept {
    if (capacity <= capacity_) {
      return ok_;
    }
    if (!ok_ || capacity > SIZE_MAX / element_bytes) {
      ok_ = false;
      return false;
    }
    T* grown = static_cast<T*>(allocate(capacity * element_bytes));
    if (grown == nullptr) {
      ok_ = false;
      return false;
    }
    if (count_ != 0) {
      std::memcpy(static_cast<void*>(grown), data_, count_ * element_bytes);
    }
    release(data_);
    data_ = grown;
    capacity_ = capacity;
    return true;
  }

  bool append(const T* values, std::size_t count) noexcept {
    if (!ok_ || (count > capacity_ - count_ && !reserve(grown_capacity(count)))) {
      return false;
    }
    if (count != 0) {
      std::memcpy(static_cast<void*>(data_ + count_), values, count * element_bytes);
      count_ += count;
    }
    return true;
  }
  bool append(std::basic_string_view<T> text) noexcept { return append(text.data(), text.size()); }
  bool append(T value) noexcept { return append(&value, 1); }

  /// Drops `count` elements from the front; cost linear in what remains.
  void remove_prefix(std::size_t count) noexcept {
    count_ -= count;
    std::memmove(static_cast<void*>(data_), data_ + count, count_ * element_bytes);
  }
  void resize_down(std::size_t count) noexcept { count_ = count; }
  void clear() noexcept {
    count_ = 0;
    ok_ = true;
  }
  [[nodiscard]] std::basic_string_view<T> view() const noexcept { return {data_, count_}; }

private:
  [[nodiscard]] std::size_t grown_capacity(std::size_t more) const noexcept {
    const std::size_t doubled = capacity_ < SIZE_MAX / 2 ? capacity_ * 2 : SIZE_MAX;
    const std::size_t needed = more <= SIZE_MAX - count_ ? count_ + more : SIZE_MAX;
    const std::size_t smallest = 16;
    return doubled > needed ? (doubled > smallest ? doubled : smallest)
                            : (needed > smallest ? needed : smallest);
  }

  T* data_ = nullptr;
  std::size_t count_ = 0;
  std::size_t capacity_ = 0;
  bool ok_ = true;
};

} // namespace sluice::memory
