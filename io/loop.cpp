#include "io/loop.hpp"

#include <pthread.h>

#include <mutex>
#include <utility>

namespace sluice::io {
namespace {

// One blocking call at a time needs a short queue and few buffers: one that fills while the other
// is consumed. What a thread cycles through stays in its cache.
constexpr backend_settings synchronous_settings{
    .queue_entries = 16, .small_posted = 4, .large_posted = 2};

struct thread_state {
  loop* on = nullptr;
  buffer_pool* buffers = nullptr; // of `on` if there is one
};

[[gnu::tls_model("initial-exec")]] thread_local constinit thread_state this_thread;

pthread_key_t exit_key;
constinit bool process_is_prepared = false; // false for ever: no memory, or no key left

void clear_this_thread() noexcept {
  const thread_state gone = std::exchange(this_thread, {});
  if (gone.on != nullptr) {
    memory::destroy(gone.on);
  } else if (gone.buffers != nullptr) {
    gone.buffers->abandon();
  }
}

// False: no thread-specific storage left.
bool clears_at_thread_exit() noexcept {
  return ::pthread_setspecific(exit_key, &this_thread) == 0;
}

} // namespace

/// Every loop of the process. fork() copies the memory of the loops but not the threads they belong
/// to, and their descriptors still lead to the parent's rings: the child must not touch those.
struct loop_registry {
  static void add(loop& made) noexcept {
    const std::lock_guard guard(lock);
    made.next_ = first;
    if (first != nullptr) {
      first->previous_ = &made;
    }
    first = &made;
  }

  static void remove(loop& gone) noexcept {
    const std::lock_guard guard(lock);
    (gone.previous_ != nullptr ? gone.previous_->next_ : first) = gone.next_;
    if (gone.next_ != nullptr) {
      gone.next_->previous_ = gone.previous_;
    }
  }

  static void before_fork() noexcept { lock.lock(); }
  static void in_parent() noexcept { lock.unlock(); }
  static void in_child() noexcept {
    // The loops' memory stays: streams may still hold buffers of it, and other threads may have
    // been in the middle of changing it. Only the descriptors go.
    for (loop* at = first; at != nullptr; at = at->next_) {
      at->io_->drop_after_fork();
    }
    first = nullptr;
    this_thread = {};
    if (process_is_prepared) {
      ::pthread_setspecific(exit_key, nullptr);
    }
    lock.unlock();
  }

  static constinit std::mutex lock;
  static constinit loop* first;
};

constinit std::mutex loop_registry::lock;
constinit loop* loop_registry::first = nullptr;

namespace {

// What is made once per process. Before main() and every other constructor, or while the shared
// library is loaded: a lock around it might be held by a thread that a forked child does not have.
//
// A pthread key and not a destructor of a thread_local: it runs after those of the application's
// own thread_locals, which may still close handles.
[[gnu::constructor(101)]] void prepare_process() noexcept {
  process_is_prepared = ::pthread_atfork(&loop_registry::before_fork, &loop_registry::in_parent,
                                         &loop_registry::in_child) == 0 &&
                        ::pthread_key_create(&exit_key, [](void*) { clear_this_thread(); }) == 0;
}

} // namespace

loop::loop(memory::unique<backend> io, buffer_pool& buffers) noexcept
    : io_(std::move(io)), buffers_(buffers) {
  loop_registry::add(*this);
}

loop::~loop() {
  loop_registry::remove(*this);
  io_.reset(); // gives back what is posted to the kernel
  buffers_.abandon();
}

error loop::create(backend_choice choice, const backend_settings& settings,
                   memory::unique<loop>& made) noexcept {
  buffer_pool* const buffers =
      process_is_prepared ? buffer_pool::create(settings.max_pool_bytes) : nullptr;
  if (buffers == nullptr) {
    return error::no_memory;
  }
  const error failed = create(choice, settings, *buffers, made);
  if (failed != error::none) {
    buffers->abandon();
  }
  return failed;
}

error loop::create(backend_choice choice, const backend_settings& settings, buffer_pool& buffers,
                   memory::unique<loop>& made) noexcept {
  memory::unique<backend> io;
  if (const error failed = make_backend(choice, settings, buffers, io); failed != error::none) {
    return failed;
  }
  made = memory::make_unique<loop>(std::move(io), buffers);
  return made != nullptr ? error::none : error::no_memory;
}

void loop::adopt_for_this_thread(memory::unique<loop> given) noexcept {
  clear_this_thread();
  if (clears_at_thread_exit()) {
    this_thread = {given.get(), &given->buffers()};
    (void)given.release();
  }
}

buffer_pool* loop::buffers_for_this_thread() noexcept {
  if (this_thread.buffers == nullptr && process_is_prepared && clears_at_thread_exit())
      [[unlikely]] {
    this_thread.buffers = buffer_pool::create(synchronous_settings.max_pool_bytes);
  }
  return this_thread.buffers;
}

loop* loop::existing_for_this_thread() noexcept {
  return this_thread.on;
}

error loop::for_this_thread(loop*& found) noexcept {
  if (this_thread.on != nullptr && !this_thread.on->broken_) [[likely]] {
    found = this_thread.on;
    return error::none;
  }
  if (this_thread.on != nullptr) {
    clear_this_thread();
  }
  buffer_pool* const buffers = buffers_for_this_thread();
  if (buffers == nullptr) {
    return error::no_memory;
  }
  memory::unique<loop> made;
  if (const error failed =
          create(backend_choice_from_environment(), synchronous_settings, *buffers, made);
      failed != error::none) {
    return failed;
  }
  found = this_thread.on = made.release();
  return error::none;
}

bool loop::feed_starved() noexcept {
  return buffers_.drain_returns() || buffers_.has_free(buffer_class::small) ||
         buffers_.has_free(buffer_class::large) || buffers_.add_over_cap();
}

error loop::run_until_idle(operation& op, time_point deadline, cancel_source* cancel) noexcept {
  error ended = error::none; // why we cancelled
  if (cancel != nullptr && !cancel->begin_wait(*this)) {
    ended = error::cancelled;
    io_->cancel(op);
  }
  while (!op.idle()) {
    if (op.now == operation::state::starved && !feed_starved()) {
      ended = error::no_memory;
      io_->cancel(op);
    }
    const bool timed = deadline != no_deadline && ended == error::none;
    if (io_->wait(timed ? deadline : no_deadline) != error::none) {
      broken_ = true;
      ended = error::system;
      break;
    }
    if (op.idle() || ended != error::none) {
      continue;
    }
    if (cancel != nullptr && cancel->requested()) {
      ended = error::cancelled;
      io_->cancel(op);
    } else if (timed && io_->now() >= deadline) {
      ended = error::timed_out;
      io_->cancel(op);
    }
  }
  if (cancel != nullptr) {
    cancel->end_wait();
  }
  return op.result == -ECANCELED || ended == error::system ? ended : error::none;
}

error loop::run_until(bool (*done)(void* context) noexcept, void* context, time_point deadline,
                      cancel_source* cancel) noexcept {
  error ended = error::none;
  if (cancel != nullptr && !cancel->begin_wait(*this)) {
    ended = error::cancelled;
  }
  while (ended == error::none && !done(context)) {
    if (io_->wait(deadline) != error::none) {
      broken_ = true;
      ended = error::system;
    } else if (cancel != nullptr && cancel->requested()) {
      ended = error::cancelled;
    } else if (deadline != no_deadline && io_->now() >= deadline) {
      ended = done(context) ? error::none : error::timed_out;
      break;
    }
  }
  if (cancel != nullptr) {
    cancel->end_wait();
  }
  return ended;
}

} // namespace sluice::io
