#include "steps_fixture.hpp"

#include <thread>

namespace sluice::test {

intruder::intruder(place where, std::size_t at, std::function<void()> call)
    : where_(where), wanted_(at), call_(std::move(call)) {
  if (where_ == place::other_thread) {
    thread_.emplace([this] {
      std::unique_lock guard(lock_);
      changed_.wait(guard, [this] { return asked_ || ended_; });
      if (asked_) {
        guard.unlock();
        call_();
        guard.lock();
        done_ = true;
        changed_.notify_all();
      }
    });
  }
  watch_steps(this);
}

intruder::~intruder() {
  end();
}

void intruder::begin() noexcept {
  counts_.store(true);
}

bool intruder::end() {
  counts_.store(false);
  watch_steps(nullptr);
  if (thread_.has_value()) {
    {
      const std::lock_guard guard(lock_);
      ended_ = true;
      changed_.notify_all();
    }
    thread_.reset();
  }
  return reached_.load();
}

void intruder::at(step what, bool loops_own) noexcept {
  // A loop's thread may hold the mutex of a socket in these; other threads do not.
  const bool locked = loops_own && (what == step::submit || what == step::write);
  if (where_ == place::other_thread && is_next()) {
    ask(!locked);
  }
}

void intruder::in_callback() {
  if (is_next()) {
    if (where_ == place::in_callbacks) {
      call_();
    } else {
      ask(true);
    }
  }
}

bool intruder::is_next() noexcept {
  const bool here = counts_.load() && seen_.fetch_add(1) == wanted_;
  if (here) {
    reached_.store(true);
  }
  return here;
}

void intruder::ask(bool may_wait) {
  std::unique_lock guard(lock_);
  asked_ = true;
  changed_.notify_all();
  if (may_wait && !changed_.wait_for(guard, step_patience, [this] { return done_; })) {
    ADD_FAILURE() << "the call does not return at step " << wanted_;
  }
  guard.unlock();
  std::this_thread::yield();
}

} // namespace sluice::test
