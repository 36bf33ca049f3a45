#pragma once

#include "core/error.hpp"
#include "core/memory.hpp"
#include "io/backend.hpp"
#include "io/block_cache.hpp"
#include "io/buffer_pool.hpp"
#include "io/mailbox.hpp"
#include "io/timer_wheel.hpp"
#include "simd/kernels.hpp"
#include "sluice/loop.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

namespace sluice::io {

class native_connection;
class native_listener;

/// Settings of connections that were made alike, shared by them.
struct shared_settings {
  connection_settings values;
  std::uint32_t references = 0;
};

/// Where a connection stands in the lists of its loop.
struct loop_links {
  loop_links* previous = nullptr; // all connections
  loop_links* next = nullptr;
  loop_links* next_ready = nullptr;
  loop_links* next_flush = nullptr;
  loop_links* next_ended = nullptr;
  bool in_ready = false;
  bool in_flush = false;
  bool in_ended = false;
};

/// A first-in, first-out list through one pointer and one mark of its elements; each is in it once.
template <loop_links* loop_links::*Next, bool loop_links::*In> class link_fifo {
public:
  [[nodiscard]] bool empty() const noexcept { return first_ == nullptr; }

  [[nodiscard]] loop_links* first() const noexcept { return first_; }

  void push(loop_links& added) noexcept {
    if (added.*In) {
      return;
    }
    added.*In = true;
    added.*Next = nullptr;
    (first_ != nullptr ? last_->*Next : first_) = &added;
    last_ = &added;
  }
  [[nodiscard]] loop_links& pop() noexcept { // only when not empty
    loop_links& taken = *first_;
    first_ = taken.*Next;
    taken.*Next = nullptr;
    taken.*In = false;
    return taken;
  }
  void remove(loop_links& gone) noexcept { // linear
    if (!(gone.*In)) {
      return;
    }
    loop_links* before = nullptr;
    for (loop_links* at = first_; at != &gone; at = at->*Next) {
      before = at;
    }
    (before != nullptr ? before->*Next : first_) = gone.*Next;
    if (last_ == &gone) {
      last_ = before;
    }
    gone.*Next = nullptr;
    gone.*In = false;
  }
  [[nodiscard]] std::size_t size() const noexcept { // linear
    std::size_t count = 0;
    for (loop_links* at = first_; at != nullptr; at = at->*Next) {
      ++count;
    }
    return count;
  }

private:
  loop_links* first_ = nullptr;
  loop_links* last_ = nullptr;
};

/// What is behind sluice::loop: one thread, its backend, buffers, timers and connections.
///
/// One turn: send what was queued; wait; run completions (a connection delivers what has arrived
/// for it at once, up to its budget); connections that had more than their budget, first come first
/// served; mail from other threads; timers; connections that have ended.
class event_loop {
public:
  [[nodiscard]] static error create(sluice::loop& outer, const loop_settings& settings,
                                    event_loop*& made) noexcept;
  /// The same on a given backend and the pool it uses, both of which it takes over also when it
  /// fails; the counts of posted buffers in `settings` are those of the backend.
  [[nodiscard]] static error create_on(sluice::loop& outer, const loop_settings& settings,
                                       memory::unique<backend> io, buffer_pool& buffers,
                                       event_loop*& made) noexcept;
  static void destroy(event_loop* gone) noexcept;
  event_loop(const event_loop&) = delete;
  event_loop& operator=(const event_loop&) = delete;

  [[nodiscard]] error run() noexcept;
  void stop() noexcept;
  [[nodiscard]] int run_ready(std::size_t budget) noexcept;
  [[nodiscard]] error post(void (*task)(void*) noexcept, void* context) noexcept;
  [[nodiscard]] error listen(const listen_settings& settings, connection_handler& handler,
                             listener*& made) noexcept;
  [[nodiscard]] error adopt(int fd, std::span<const std::byte> already_read,
                            const connection_settings& settings, connection_handler& handler,
                            connection*& made) noexcept;
  [[nodiscard]] error connect(const connect_settings& to, connection_handler& handler,
                              connection*& made) noexcept;
  void stats(loop_stats& to) const noexcept;

  // For connections and listeners of this loop.
  [[nodiscard]] sluice::loop& outer() noexcept { return outer_; }
  [[nodiscard]] backend& io() noexcept { return *io_; }
  [[nodiscard]] buffer_pool& buffers() noexcept { return *buffers_; }
  [[nodiscard]] block_cache& blocks() noexcept { return blocks_; }
  [[nodiscard]] timer_wheel& timers() noexcept { return timers_; }
  [[nodiscard]] mailbox& box() noexcept { return *mail_; }
  [[nodiscard]] const loop_settings& settings() const noexcept { return settings_; }
  [[nodiscard]] const simd::kernel_table& kernels() const noexcept { return kernels_; }
  [[nodiscard]] time_point now() const noexcept { return now_; }
  /// `now()` for members of 32 bits, in units of 16 ms; wraps after two years.
  [[nodiscard]] std::uint32_t now_16ms() const noexcept { return now_16ms_; }
  [[nodiscard]] loop_stats& counters() noexcept { return counters_; }

  void add(native_connection& made) noexcept;
  void remove(native_connection& gone) noexcept;
  void add(native_listener& made) noexcept;
  void remove(native_listener& gone) noexcept;
  void queue_ready(native_connection& has_more) noexcept;
  void queue_flush(native_connection& has_queued) noexcept;
  void queue_ended(native_connection& ended) noexcept;
  void note_stopped_listener() noexcept { listener_stopped_ = true; }
  /// Starts a server connection on an accepted or adopted socket, which it owns if it returns none.
  [[nodiscard]] error start_server(int fd, std::span<const std::byte> already_read,
                                   shared_settings& settings, connection_handler& handler,
                                   connection*& made) noexcept;

  /// Whether a view of `bytes` in a buffer of `kept_bytes` is better copied than kept where it is:
  /// an eighth of the pool is never lent, and small views do not keep large buffers in a pool that
  /// is half lent.
  [[nodiscard]] bool short_of_buffers(std::size_t bytes, std::size_t kept_bytes) const noexcept;

  [[nodiscard]] shared_settings* share(const connection_settings& values) noexcept;
  void unshare(shared_settings& used) noexcept;

  /// One load when there is no hook.
  [[nodiscard]] bool logs(log_level at) const noexcept {
    return settings_.log.write != nullptr && at <= settings_.log.up_to;
  }
  void log(log_level at, const char* what, std::uint64_t connection_id, error reason) noexcept {
    if (logs(at)) [[unlikely]] {
      write_log(at, what, connection_id, reason);
    }
  }

private:
  event_loop(sluice::loop& outer, const loop_settings& settings, memory::unique<backend> io,
             buffer_pool& buffers, mailbox& mail) noexcept;
  ~event_loop();
  template <typename T, typename... Args> friend T* memory::create(Args&&...) noexcept;
  template <typename T> friend void memory::destroy(T*) noexcept;

  [[nodiscard]] error turn(bool may_sleep) noexcept;
  [[nodiscard]] error wait(bool may_sleep) noexcept;
  void flush_all() noexcept;
  void run_ready_list() noexcept;
  void finish_ended() noexcept;
  [[nodiscard]] bool has_work() const noexcept;
  void update_clock() noexcept;
  void write_log(log_level at, const char* what, std::uint64_t connection_id,
                 error reason) noexcept;

  sluice::loop& outer_;
  loop_settings settings_;
  const simd::kernel_table& kernels_;
  memory::unique<backend> io_;
  buffer_pool* buffers_;
  mailbox* mail_;
  time_point now_;
  std::uint32_t now_16ms_ = 0;
  timer_wheel timers_;
  block_cache blocks_;
  std::atomic<bool> stop_{false};

  loop_links* connections_ = nullptr;
  link_fifo<&loop_links::next_ready, &loop_links::in_ready> ready_;
  link_fifo<&loop_links::next_flush, &loop_links::in_flush> to_flush_;
  link_fifo<&loop_links::next_ended, &loop_links::in_ended> ended_;
  native_listener* listeners_ = nullptr;
  bool listener_stopped_ = false; // one of them may be destroyed
  shared_settings* last_shared_ = nullptr;
  loop_stats counters_{}; // those of open connections not included
};

} // namespace sluice::io
