#include "winhttp/async_loop.hpp"

#include "winhttp/async_threads.hpp"
#include "winhttp/error_map.hpp"

#include <time.h>

#include <utility>

namespace sluice::winhttp {
namespace {

// Sockets wait without buffers, so few serve many.
constexpr io::backend_settings loop_settings{
    .queue_entries = 128, .small_posted = 64, .large_posted = 8};

[[gnu::tls_model("initial-exec")]] thread_local constinit const async_loop* current = nullptr;

} // namespace

/// How the thread tells who started it that its loop is there.
struct async_loop::start_up {
  async_loop* made = nullptr;
  std::atomic<int> done{0};
  error failed = error::none;
};

async_loop::async_loop() noexcept : timers_(io::clock::now()) {
  feed_timer_.context = this;
  feed_timer_.on_expiry = [](io::timer& expired) noexcept {
    auto& self = *static_cast<async_loop*>(expired.context);
    self.seen_starved_ = 0;
    self.feed_starved();
  };
  end_.context = this;
  end_.run = [](loop_command& posted) noexcept {
    static_cast<async_loop*>(posted.context)->ending_ = true;
  };
}

DWORD async_loop::start(async_loop*& made) noexcept {
  start_up with;
  with.made = memory::create<async_loop>();
  if (with.made == nullptr) {
    return ERROR_NOT_ENOUGH_MEMORY;
  }
  if (!start_thread(&thread_main, &with)) {
    memory::destroy(with.made);
    return ERROR_NOT_ENOUGH_MEMORY;
  }
  with.done.wait(0, std::memory_order_acquire);
  if (with.failed != error::none) {
    return to_win32(with.failed);
  }
  made = with.made;
  return ERROR_SUCCESS;
}

void* async_loop::thread_main(void* given) noexcept {
  auto& with = *static_cast<start_up*>(given);
  async_loop* const self = with.made;
  // The backend belongs to the thread that makes it.
  const error failed =
      io::loop::create(io::backend_choice_from_environment(), loop_settings, self->loop_);
  with.failed = failed;
  if (failed != error::none) {
    memory::destroy(self);
  }
  // `with` is gone as soon as the other thread sees this.
  with.done.store(1, std::memory_order_release);
  with.done.notify_one();
  if (failed == error::none) {
    current = self;
    self->run();
    current = nullptr;
    memory::destroy(self);
  }
  return nullptr;
}

void async_loop::release() noexcept {
  if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    post(end_);
  }
}

bool async_loop::is_current() const noexcept {
  return current == this;
}

void async_loop::post(loop_command& wanted) noexcept {
  const std::lock_guard guard(lock_);
  wanted.next = nullptr;
  const bool was_empty = first_ == nullptr;
  (was_empty ? first_ : last_->next) = &wanted;
  last_ = &wanted;
  if (was_empty) {
    has_commands_.store(true, std::memory_order_release);
    if (current != this) { // our own thread looks before it sleeps
      loop_->io().wake();
    }
  }
}

void async_loop::run_commands() noexcept {
  loop_command* at = nullptr;
  {
    const std::lock_guard guard(lock_);
    at = std::exchange(first_, nullptr);
    last_ = nullptr;
    has_commands_.store(false, std::memory_order_relaxed);
  }
  while (at != nullptr) {
    loop_command& next = *at;
    at = next.next; // `next` may be posted again while it runs
    next.run(next);
  }
}

// Applications may leave what has arrived in their sockets' inboxes for as long as they like; the
// other sockets must not wait for those buffers.
void async_loop::feed_starved() noexcept {
  const std::uint64_t starved = loop_->io().stats().starved;
  if (starved == seen_starved_) {
    return;
  }
  seen_starved_ = starved;
  io::buffer_pool& buffers = loop_->buffers();
  if (!buffers.drain_returns() && !buffers.has_free(io::buffer_class::small) &&
      !buffers.has_free(io::buffer_class::large) && !buffers.add_over_cap()) {
    timers_.arm(feed_timer_, io::clock::now(), io::timer_wheel::tick); // who frees memory is silent
  }
}

// The kernel has refused the backend for good, and every operation has failed. Later sockets get a
// new one.
void async_loop::replace_loop() noexcept {
  memory::unique<io::loop> fresh;
  if (io::loop::create(io::backend_choice_from_environment(), loop_settings, fresh) !=
      error::none) {
    const timespec pause{0, 10'000'000};
    ::nanosleep(&pause, nullptr);
    return;
  }
  seen_starved_ = 0;
  const std::lock_guard guard(lock_);
  std::swap(loop_, fresh);
}

void async_loop::run() noexcept {
  while (!ending_) {
    const bool busy = has_commands_.load(std::memory_order_acquire);
    if (loop_->io().wait(busy ? io::time_point() : timers_.next()) != error::none) {
      replace_loop();
    }
    feed_starved();
    if (has_commands_.load(std::memory_order_acquire)) {
      run_commands();
    }
    timers_.run(io::clock::now());
  }
}

} // namespace sluice::winhttp
