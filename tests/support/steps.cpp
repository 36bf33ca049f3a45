#include "support/steps.hpp"

#include "io/backend.hpp"

#include <sys/socket.h>

#include <atomic>
#include <map>
#include <utility>

// The linker's --wrap: the library calls what is named __wrap_ here, and __real_ is what it would
// have called.
namespace sluice::io {

error real_make_backend(backend_choice choice, const backend_settings& settings,
                        buffer_pool& buffers, memory::unique<backend>& made) noexcept
    asm("__real_" SLUICE_TEST_MAKE_BACKEND);
error stepped_make_backend(backend_choice choice, const backend_settings& settings,
                           buffer_pool& buffers, memory::unique<backend>& made) noexcept
    asm("__wrap_" SLUICE_TEST_MAKE_BACKEND);

} // namespace sluice::io

namespace sluice::test {

ssize_t real_send(int fd, const void* bytes, size_t count, int flags) asm("__real_send");
ssize_t stepped_send(int fd, const void* bytes, size_t count, int flags) asm("__wrap_send");

namespace {

// The loops of synchronous callers are made with less (io/loop.cpp, winhttp/async_loop.cpp).
constexpr std::uint32_t most_synchronous_entries = 16;

std::atomic<step_watcher*> watcher{nullptr};
std::atomic<std::size_t> living{0};
std::atomic<std::size_t> untidy{0};
thread_local bool ignored = false;
thread_local bool loops_own = false;

void report(step what) noexcept {
  if (step_watcher* const told = watcher.load(std::memory_order_acquire);
      told != nullptr && !ignored) {
    told->at(what, loops_own);
  }
}

/// A real backend that says what goes in and out.
class stepped_backend final : public io::backend {
public:
  stepped_backend(memory::unique<io::backend> inner, bool async) noexcept
      : inner_(std::move(inner)), async_(async) {
    if (async_) {
      loops_own = true;
      ++living;
    }
  }

  ~stepped_backend() override {
    untidy += async_ && !owners_.empty() ? 1 : 0;
    inner_.reset();
    if (async_) {
      loops_own = false;
      --living;
    }
  }

  [[nodiscard]] io::backend_kind kind() const noexcept override { return inner_->kind(); }
  void submit(io::recv_op& op) noexcept override { pass_on(op); }
  void submit(io::send_op& op) noexcept override { pass_on(op); }
  void submit(io::connect_op& op) noexcept override { pass_on(op); }
  void submit(io::accept_op& op) noexcept override { pass_on(op); }
  void cancel(io::operation& op) noexcept override { inner_->cancel(op); }
  error wait(io::time_point deadline) noexcept override {
    const error failed = inner_->wait(deadline);
    stats_ = inner_->stats();
    report(step::turn);
    return failed;
  }
  [[nodiscard]] bool has_pending() const noexcept override { return inner_->has_pending(); }
  void wake() noexcept override { inner_->wake(); }
  [[nodiscard]] io::time_point now() const noexcept override { return inner_->now(); }
  [[nodiscard]] int descriptor() const noexcept override { return inner_->descriptor(); }
  void quiet_descriptor() noexcept override { inner_->quiet_descriptor(); }
  [[nodiscard]] bool multishot() const noexcept override { return inner_->multishot(); }
  void drop_after_fork() noexcept override { inner_->drop_after_fork(); }

private:
  struct owner {
    stepped_backend* by = nullptr;
    io::operation::completion on_complete = nullptr;
    void* context = nullptr;
  };

  template <typename Operation> void pass_on(Operation& op) noexcept {
    report(step::submit);
    owner& kept = owners_[&op];
    kept = {this, op.on_complete, op.context};
    op.on_complete = &on_complete;
    op.context = &kept;
    inner_->submit(op);
  }

  static void on_complete(io::operation& done) noexcept {
    const owner kept = *static_cast<owner*>(done.context);
    done.on_complete = kept.on_complete;
    done.context = kept.context;
    kept.by->owners_.erase(&done);
    report(step::completion);
    if (done.on_complete != nullptr) {
      done.on_complete(done);
    }
  }

  memory::unique<io::backend> inner_;
  const bool async_;
  std::map<io::operation*, owner> owners_; // of the operations that are with the kernel
};

} // namespace

void watch_steps(step_watcher* by) noexcept {
  watcher.store(by, std::memory_order_release);
}

void ignore_steps_of_this_thread() noexcept {
  ignored = true;
}

std::size_t living_async_loops() noexcept {
  return living.load();
}

std::size_t untidy_loops() noexcept {
  return untidy.load();
}

ssize_t stepped_send(int fd, const void* bytes, size_t count, int flags) {
  report(step::write);
  return real_send(fd, bytes, count, flags);
}

} // namespace sluice::test

namespace sluice::io {

error stepped_make_backend(backend_choice choice, const backend_settings& settings,
                           buffer_pool& buffers, memory::unique<backend>& made) noexcept {
  memory::unique<backend> inner;
  const error failed = real_make_backend(choice, settings, buffers, inner);
  if (failed == error::none) {
    made = memory::make_unique<test::stepped_backend>(
        std::move(inner), settings.queue_entries > test::most_synchronous_entries);
  }
  return failed;
}

} // namespace sluice::io
