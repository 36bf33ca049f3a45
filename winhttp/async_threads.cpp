#include "winhttp/async_threads.hpp"

#include <pthread.h>
#include <signal.h>
#include <time.h>

#include <utility>

namespace sluice::winhttp {
namespace {

constexpr time_t idle_seconds = 5;

// Nothing of this is ever destroyed: workers may be waiting while the process ends.
pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t arrived = PTHREAD_COND_INITIALIZER;
async_job* first = nullptr;
async_job* last = nullptr;
unsigned waiting = 0; // workers without a job, minus jobs in the list
pthread_once_t fork_handled = PTHREAD_ONCE_INIT;

// The child of a fork() has none of these threads, and nobody serves what the parent queued.
void handle_forks() noexcept {
  (void)::pthread_atfork([] { ::pthread_mutex_lock(&lock); }, [] { ::pthread_mutex_unlock(&lock); },
                         [] {
                           first = last = nullptr;
                           waiting = 0;
                           arrived = PTHREAD_COND_INITIALIZER;
                           ::pthread_mutex_unlock(&lock);
                         });
}

void append(async_job& wanted) noexcept {
  wanted.next = nullptr;
  (first == nullptr ? first : last->next) = &wanted;
  last = &wanted;
}

void* work(void* given) noexcept {
  auto* job = static_cast<async_job*>(given);
  while (job != nullptr) {
    job->run(*job);
    timespec until{};
    ::clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += idle_seconds;
    ::pthread_mutex_lock(&lock);
    ++waiting;
    bool expired = false;
    while (first == nullptr && !expired) {
      expired = ::pthread_cond_clockwait(&arrived, &lock, CLOCK_MONOTONIC, &until) != 0;
    }
    job = first;
    if (job != nullptr) {
      first = job->next; // whoever queued it has taken one off `waiting`
    } else {
      --waiting;
    }
    ::pthread_mutex_unlock(&lock);
  }
  return nullptr;
}

} // namespace

thread_local constinit int in_call_depth::depth_ = 0;

bool start_thread(void* (*main)(void* given) noexcept, void* given) noexcept {
  pthread_attr_t attributes;
  if (::pthread_attr_init(&attributes) != 0) {
    return false;
  }
  ::pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before); // the thread inherits it
  pthread_t ignored{};
  const bool started = ::pthread_create(&ignored, &attributes, main, given) == 0;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ::pthread_attr_destroy(&attributes);
  return started;
}

DWORD run_on_worker(async_job& wanted) noexcept {
  ::pthread_once(&fork_handled, &handle_forks);
  ::pthread_mutex_lock(&lock);
  const bool taken = waiting != 0;
  if (taken) {
    --waiting;
    append(wanted);
    ::pthread_cond_signal(&arrived);
  }
  ::pthread_mutex_unlock(&lock);
  return taken || start_thread(&work, &wanted) ? ERROR_SUCCESS : ERROR_NOT_ENOUGH_MEMORY;
}

} // namespace sluice::winhttp
