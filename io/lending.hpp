#pragma once

#include "core/buffer.hpp"
#include "io/block_cache.hpp"
#include "io/mailbox.hpp"

#include <atomic>
#include <cstddef>

namespace sluice::io {

class native_connection;

/// What a connection has lent to the application: counted in whole buffers, because a view of one
/// byte keeps a whole buffer alive. Outlives the connection for as long as something is lent.
class lend_account final : public lender, private mail {
public:
  /// For the connection, which holds one reference. nullptr: no memory.
  [[nodiscard]] static lend_account* create(native_connection& of, std::size_t max_bytes,
                                            mailbox& home) noexcept;
  lend_account(native_connection& of, std::size_t max_bytes, mailbox& home) noexcept;
  lend_account(const lend_account&) = delete;
  lend_account& operator=(const lend_account&) = delete;

  // The loop's thread.

  /// The connection goes away; drops its reference.
  void close() noexcept;
  /// `bytes` are lent; returned() will come for them.
  void lend(std::size_t bytes) noexcept;
  /// True if nothing more may be read; then the connection is told (lending_eased) once it may.
  [[nodiscard]] bool over_limit() noexcept;

  [[nodiscard]] std::size_t lent_bytes() const noexcept {
    return lent_.load(std::memory_order_relaxed);
  }

  void returned(std::size_t bytes) noexcept override; // any thread

private:
  ~lend_account() = default;
  template <typename T> friend void memory::destroy(T*) noexcept;

  void release() noexcept;

  native_connection* of_; // loop's thread
  std::size_t max_;
  mailbox& home_;
  std::atomic<int> references_{1};
  std::atomic<std::size_t> lent_{0};
  std::atomic<bool> waits_{false}; // the connection wants to be told
};

/// One way to name what keeps a held view's bytes: a receive buffer or a block of memory.
[[nodiscard]] void* keeper_of(buffer& kept) noexcept;
[[nodiscard]] void* keeper_of(block& kept) noexcept;

/// Drops a reference to a block that is held; the last one frees it. Any thread.
void release_block(block& used) noexcept;

} // namespace sluice::io
