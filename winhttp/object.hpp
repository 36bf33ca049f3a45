#pragma once

#include "winhttp/websocket_decisions.hpp"

#include <sluice/winhttp.h>

#include <atomic>
#include <cstdint>
#include <utility>

namespace sluice::winhttp {

/// Values of WINHTTP_OPTION_HANDLE_TYPE (OPT-10).
enum class handle_kind : std::uint8_t { session = 1, connection = 2, request = 3, websocket = 5 };

/// What stands behind a handle. Reference-counted: the handle holds one reference, every child
/// object one on its parent (HND-09: children stay usable after their parent's handle is closed),
/// and every call in progress pins the handle, so memory goes when the last of them is done.
class object {
public:
  const handle_kind kind;

  object(const object&) = delete;
  object& operator=(const object&) = delete;

  /// CloseHandle was called: the handle value is already invalid for new calls. Ends blocked calls
  /// of other threads. Runs once, on the closing thread; must not block on them.
  virtual void on_close() noexcept {}

  /// The handle is closed and the last call on it has returned. Runs once, on the thread of that
  /// call or of CloseHandle; the object may live on for its children. Requests and WebSockets raise
  /// HANDLE_CLOSING here, sessions and connections when they are destroyed (HND-12).
  virtual void on_released() noexcept {}

  /// An option that the table in options.cpp gives to this kind and does not answer itself.
  /// `buffer` may be null and `length` anything: the table only chose the kind. set_option returns
  /// a Win32 code; query_option treats `*length` as GET-10 says (see option_value in options.hpp).
  virtual DWORD set_option(DWORD option, const void* buffer, DWORD length) noexcept;
  virtual DWORD query_option(DWORD option, void* buffer, DWORD* length) noexcept;

  /// The parent's handle value for WINHTTP_OPTION_PARENT_HANDLE; nullptr if there is none.
  [[nodiscard]] virtual HINTERNET parent_handle() const noexcept { return nullptr; }

  /// This object's handle value; nullptr before open_handle(). Stays the same after the handle was
  /// closed.
  [[nodiscard]] HINTERNET handle() const noexcept {
    return handle_.load(std::memory_order_relaxed);
  }

  /// Callback, mask and context are copied from parent to child when the child is made and are
  /// independent afterwards (HND-04). Each is atomic by itself; a change while a notification is
  /// under way may or may not be seen by it (GET-11).
  WINHTTP_STATUS_CALLBACK set_callback(WINHTTP_STATUS_CALLBACK wanted, DWORD mask) noexcept {
    mask_.store(mask, std::memory_order_relaxed);
    return callback_.exchange(wanted, std::memory_order_acq_rel);
  }
  [[nodiscard]] WINHTTP_STATUS_CALLBACK callback() const noexcept {
    return callback_.load(std::memory_order_acquire);
  }
  [[nodiscard]] DWORD callback_mask() const noexcept {
    return mask_.load(std::memory_order_relaxed);
  }
  void set_context(DWORD_PTR value) noexcept { context_.store(value, std::memory_order_relaxed); }
  [[nodiscard]] DWORD_PTR context() const noexcept {
    return context_.load(std::memory_order_relaxed);
  }
  void inherit_notification(const object& parent) noexcept {
    set_callback(parent.callback(), parent.callback_mask());
    set_context(parent.context());
  }

  /// Calls the callback on this thread if there is one and the mask lets it pass (NOT-08 to
  /// NOT-10). No lock may be held (NOT-04). `info` is valid during the call only (NOT-01).
  void notify(DWORD status, void* info, DWORD info_bytes) const noexcept {
    const WINHTTP_STATUS_CALLBACK target = callback();
    if (target != nullptr && passes(callback_mask(), status)) {
      target(handle(), context(), status, info, info_bytes);
    }
  }

  /// HANDLE_CREATED for `child`, raised on its parent.
  void notify_created(HINTERNET child) const noexcept {
    notify(WINHTTP_CALLBACK_STATUS_HANDLE_CREATED, &child, sizeof(child));
  }

  /// HANDLE_CLOSING, the last notification of a handle (HND-13); none without a context (HND-14,
  /// decision X-05).
  void notify_closing() const noexcept {
    if (context() != 0) {
      HINTERNET closing = handle();
      notify(WINHTTP_CALLBACK_STATUS_HANDLE_CLOSING, &closing, sizeof(closing));
    }
  }

  void add_ref() noexcept { refs_.fetch_add(1, std::memory_order_relaxed); }
  void drop_ref() noexcept;

  /// NOT-08, and for the two that ALL_COMPLETIONS does not hold, NOT-09.
  [[nodiscard]] static constexpr bool passes(DWORD mask, DWORD status) noexcept {
    constexpr DWORD closing =
        WINHTTP_CALLBACK_STATUS_CLOSE_COMPLETE | WINHTTP_CALLBACK_STATUS_SHUTDOWN_COMPLETE;
    return (mask & status) != 0 ||
           ((status & closing) != 0 &&
            (mask & decision::completions_mask) == decision::completions_mask);
  }

protected:
  /// A derived class is made with memory::create() and has `object` as its first base, so that the
  /// last drop_ref() can give the memory back.
  explicit object(handle_kind of_kind) noexcept : kind(of_kind) {}
  virtual ~object() = default;

private:
  friend HINTERNET open_handle(object& made, DWORD& code) noexcept;

  std::atomic<std::uint32_t> refs_{1};
  std::atomic<DWORD> mask_{0};
  std::atomic<WINHTTP_STATUS_CALLBACK> callback_{nullptr};
  std::atomic<DWORD_PTR> context_{0};
  std::atomic<HINTERNET> handle_{nullptr};
};

/// Owns one reference on an object, or nothing.
template <typename T> class object_ref {
public:
  object_ref() noexcept = default;
  /// Takes an additional reference on `to`.
  explicit object_ref(T& to) noexcept : to_(&to) { to.add_ref(); }
  /// Takes over the initial reference of a new object; nullptr (out of memory) is allowed.
  [[nodiscard]] static object_ref adopt(T* made) noexcept {
    object_ref adopted;
    adopted.to_ = made;
    return adopted;
  }
  object_ref(object_ref&& other) noexcept : to_(std::exchange(other.to_, nullptr)) {}
  object_ref& operator=(object_ref&& other) noexcept {
    if (this != &other) {
      reset();
      to_ = std::exchange(other.to_, nullptr);
    }
    return *this;
  }
  object_ref(const object_ref&) = delete;
  object_ref& operator=(const object_ref&) = delete;
  ~object_ref() { reset(); }

  void reset() noexcept {
    if (T* dropped = std::exchange(to_, nullptr)) {
      dropped->drop_ref();
    }
  }
  [[nodiscard]] T* get() const noexcept { return to_; }
  T* operator->() const noexcept { return to_; }
  T& operator*() const noexcept { return *to_; }
  explicit operator bool() const noexcept { return to_ != nullptr; }

private:
  T* to_ = nullptr;
};

} // namespace sluice::winhttp
