#pragma once

#include <sluice/winhttp.h>

#include <atomic>
#include <cstdint>

namespace sluice::winhttp {

/// Values of WINHTTP_OPTION_HANDLE_TYPE (OPT-10).
enum class handle_kind : std::uint8_t { session = 1, connection = 2, request = 3, websocket = 5 };

/// What stands behind a handle. Reference-counted: the handle holds one reference, every child
/// object one on its parent (HND-09: children stay usable after their parent's handle is closed),
/// and every call in progress pins the handle, so memory goes when the last of them is done.
class object {
public:
  const handle_kind kind;

  /// CloseHandle was called: the handle value is already invalid for new calls. Ends blocked calls of
  /// other threads. Runs once, on the closing thread; must not block on them.
  virtual void on_close() noexcept {}

  void add_ref() noexcept { refs_.fetch_add(1, std::memory_order_relaxed); }
  void drop_ref() noexcept;

protected:
  explicit object(handle_kind of_kind) noexcept : kind(of_kind) {}
  virtual ~object() = default;

private:
  std::atomic<std::uint32_t> refs_{1};
};

/// Handle values are {generation, slot index}, never pointers: a stale, foreign or invented value
/// is ERROR_INVALID_HANDLE, never a crash (HND-02, X-04). Slots are reused late and with a new
/// generation. Everything here may be called from any thread.
///
/// Gives `made` (with its initial reference) a handle; nullptr when out of memory or handles.
[[nodiscard]] HINTERNET open_handle(object& made) noexcept;

/// Makes the value invalid for new calls, calls on_close(), and drops the handle's reference once
/// the last pin is gone. ERROR_INVALID_HANDLE if it already was (HND-11).
[[nodiscard]] DWORD close_handle(HINTERNET handle) noexcept;

/// Keeps the object of a valid handle alive during a call; two atomic read-modify-writes in all.
class pin {
public:
  explicit pin(HINTERNET handle) noexcept;
  ~pin();
  pin(const pin&) = delete;
  pin& operator=(const pin&) = delete;

  /// nullptr for an invalid handle (ERROR_INVALID_HANDLE).
  [[nodiscard]] object* get() const noexcept { return object_; }

  /// The object if it is of that kind. Otherwise nullptr and `code` is ERROR_INVALID_HANDLE or
  /// ERROR_WINHTTP_INCORRECT_HANDLE_TYPE (HND-01).
  template <typename T> [[nodiscard]] T* as(DWORD& code) const noexcept {
    if (object_ == nullptr) {
      code = ERROR_INVALID_HANDLE;
      return nullptr;
    }
    if (object_->kind != T::of_kind) {
      code = ERROR_WINHTTP_INCORRECT_HANDLE_TYPE;
      return nullptr;
    }
    return static_cast<T*>(object_);
  }

private:
  object* object_ = nullptr;
  void* slot_ = nullptr;
};

} // namespace sluice::winhttp
