#include "winhttp/caretaker.hpp"

#include "io/buffer_pool.hpp"
#include "winhttp/async_threads.hpp"
#include "winhttp/websocket.hpp"

#include <pthread.h>
#include <time.h>

#include <cstdlib>
#include <thread>

namespace sluice::winhttp {
namespace {

// What it reads ahead for all sockets together is bounded by its pool; beyond that the bytes stay
// with the kernel, and TCP slows the peers down.
constexpr std::size_t max_pool_bytes = std::size_t{16} << 20;

// Nothing of this is ever destroyed: the caretaker may be asleep while the process ends.
pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // held during a visit
pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
care_link* first = nullptr;
care_link* next_to_visit = nullptr; // of the round in progress
bool running = false;
bool exiting = false;
std::chrono::milliseconds period = decision::care_period;
pthread_once_t prepared = PTHREAD_ONCE_INIT;

class locked {
public:
  locked() noexcept { ::pthread_mutex_lock(&lock); }
  ~locked() { ::pthread_mutex_unlock(&lock); }
  locked(const locked&) = delete;
  locked& operator=(const locked&) = delete;
};

void unlink(care_link& gone) noexcept {
  if (next_to_visit == &gone) {
    next_to_visit = gone.next;
  }
  (gone.previous != nullptr ? gone.previous->next : first) = gone.next;
  if (gone.next != nullptr) {
    gone.next->previous = gone.previous;
  }
  gone = {};
}

// The parent's connections must not be read from in the child.
void forget_everything() noexcept {
  while (first != nullptr) {
    unlink(*first);
  }
  running = false;
  changed = PTHREAD_COND_INITIALIZER;
  ::pthread_mutex_unlock(&lock);
}

void prepare() noexcept {
  (void)::pthread_atfork([] { ::pthread_mutex_lock(&lock); }, [] { ::pthread_mutex_unlock(&lock); },
                         &forget_everything);
  // Registered later than what OpenSSL does at exit, which it did for the handshake, so it runs
  // earlier.
  (void)std::atexit([] {
    const locked now;
    exiting = true;
  });
}

[[nodiscard]] timespec after(std::chrono::milliseconds time) noexcept {
  timespec at{};
  ::clock_gettime(CLOCK_MONOTONIC, &at);
  const std::int64_t nanoseconds = at.tv_nsec + time.count() % 1000 * 1'000'000;
  at.tv_sec += time.count() / 1000 + nanoseconds / 1'000'000'000;
  at.tv_nsec = nanoseconds % 1'000'000'000;
  return at;
}

// With the lock, which others get between two visits.
void visit_all(io::buffer_pool& buffers) noexcept {
  next_to_visit = first;
  while (next_to_visit != nullptr && !exiting) {
    websocket& visited = *next_to_visit->of;
    next_to_visit = next_to_visit->next;
    visited.look_after(buffers);
    ::pthread_mutex_unlock(&lock);
    ::pthread_mutex_lock(&lock);
  }
  next_to_visit = nullptr;
}

void* take_care(void*) noexcept {
  const locked now;
  io::buffer_pool* buffers = nullptr;
  while (first != nullptr && !exiting) {
    const std::chrono::milliseconds waited = period;
    const timespec next_round = after(waited);
    // A period that ends while another is set does not begin a round any more.
    if (::pthread_cond_clockwait(&changed, &lock, CLOCK_MONOTONIC, &next_round) == 0 ||
        waited != period) {
      continue;
    }
    if (buffers == nullptr) {
      buffers = io::buffer_pool::create(max_pool_bytes);
    }
    if (buffers != nullptr) { // else perhaps next time
      buffers->drain_returns();
      visit_all(*buffers);
    }
  }
  if (buffers != nullptr) {
    buffers->abandon(); // what is still in inboxes takes it along
  }
  running = false;
  return nullptr;
}

} // namespace

DWORD look_after(websocket& socket, care_link& link) noexcept {
  ::pthread_once(&prepared, &prepare);
  const locked now;
  if (exiting) {
    return ERROR_SUCCESS;
  }
  if (!running) {
    running = start_thread(&take_care, nullptr);
    if (!running) {
      return ERROR_NOT_ENOUGH_MEMORY;
    }
  }
  link = {&socket, nullptr, first};
  if (first != nullptr) {
    first->previous = &link;
  }
  first = &link;
  return ERROR_SUCCESS;
}

void leave_alone(care_link& link) noexcept {
  if (link.of != nullptr) { // set by the thread that made the socket, before anybody knew it
    const locked now;
    if (link.of != nullptr) {
      unlink(link);
    }
  }
}

void set_care_period(std::chrono::milliseconds wanted) noexcept {
  const locked now;
  period = wanted;
  ::pthread_cond_signal(&changed);
  while (next_to_visit != nullptr) {
    ::pthread_mutex_unlock(&lock);
    std::this_thread::yield();
    ::pthread_mutex_lock(&lock);
  }
}

bool is_caretaker_running() noexcept {
  const locked now;
  return running;
}

} // namespace sluice::winhttp
