#include "native_server.hpp"

#include "common.hpp"
#include "endpoint.hpp"

#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <exception>
#include <mutex>
#include <optional>
#include <poll.h>
#include <thread>
#include <vector>

namespace sluice_bench {
namespace {

failure explain_open(sluice::error e, const server_settings& settings) {
  if (e == sluice::error::backend_unavailable) {
    return failure(
        settings.backend == sluice::io_backend::uring
            ? "io_uring cannot be used here (Linux 6.1 or later is needed, and "
              "containers often forbid it); use --backend epoll"
            : "SLUICE_BACKEND or SLUICE_FORCE_KERNEL asks for what this machine cannot do",
        exit_bad_use);
  }
  return failure(std::string("the event loop cannot start: ") + sluice::to_string(e));
}

failure explain_listen(sluice::error e, const std::string& where) {
  if (e == sluice::error::cannot_listen) {
    return failure(where + " is in use or not an address of this machine; choose another --port, "
                           "or 0 for a free one",
                   exit_bad_use);
  }
  if (e == sluice::error::invalid_argument) {
    return failure("--host wants a numeric address, not '" + where + "'", exit_bad_use);
  }
  return failure("cannot listen on " + where + ": " + sluice::to_string(e), exit_bad_use);
}

/// One loop on its thread.
class server_thread {
public:
  server_thread(const server_settings& settings, acceptor::make_handler make, std::uint16_t port)
      : settings_(settings), handler_(settings, make), port_(port), thread_([this] { serve(); }) {
    std::unique_lock lock(mutex_);
    started_changed_.wait(lock, [this] { return started_; });
    if (problem_) {
      lock.unlock();
      thread_.join();
      std::rethrow_exception(problem_);
    }
  }
  server_thread(const server_thread&) = delete;
  server_thread& operator=(const server_thread&) = delete;
  ~server_thread() {
    if (thread_.joinable()) {
      stop_loop();
      thread_.join();
    }
  }

  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  [[nodiscard]] const sluice::loop_stats& stats() const noexcept { return stats_; }

  [[nodiscard]] const sluice::loop_stats& stats_at_end() const noexcept { return at_end_; }

  /// Ends the loop; the connections are aborted. Throws what it ended with.
  server_totals finish() {
    stop_loop();
    thread_.join();
    if (problem_) {
      std::rethrow_exception(problem_);
    }
    return handler_.totals();
  }

private:
  void serve() noexcept {
    try {
      listen();
      announce();
      const sluice::error ended = loop_->run();
      loop_->stats(at_end_);
      if (ended != sluice::error::none) {
        throw failure(std::string("the event loop has ended: ") + sluice::to_string(ended));
      }
    } catch (const failure&) {
      problem_ = std::current_exception();
      announce();
    }
    const std::lock_guard lock(mutex_);
    loop_.reset(); // on the thread that opened it
  }

  void stop_loop() noexcept {
    const std::lock_guard lock(mutex_);
    if (loop_) {
      loop_->stop();
    }
  }

  void listen() {
    sluice::loop_settings loop;
    loop.backend = settings_.backend;
    loop.busy_poll_us = settings_.busy_poll_us;
    loop.multishot_receives = !settings_.one_shot;
    loop.small_buffers_posted = settings_.small_buffers;
    loop.large_buffers_posted = settings_.large_buffers;
    sluice::error e = loop_->open(loop);
    if (e != sluice::error::none) {
      throw explain_open(e, settings_);
    }
    sluice::listen_settings where;
    where.address = settings_.host.c_str();
    where.port = port_;
    where.backlog = 4096;
    where.reuse_port = settings_.thread_count > 1;
    where.connection.max_message_bytes = settings_.max_message_bytes;
    where.connection.tls = settings_.tls;
    where.connection.take = settings_.take == take_kind::view   ? sluice::delivery::slices
                            : settings_.take == take_kind::copy ? sluice::delivery::buffers
                                                                : sluice::delivery::messages;
    sluice::listener* made = nullptr;
    e = loop_->listen(where, handler_, made);
    if (e != sluice::error::none) {
      throw explain_listen(e, settings_.host + ":" + std::to_string(port_));
    }
    port_ = made->port();
    loop_->stats(stats_);
  }

  void announce() noexcept {
    const std::lock_guard lock(mutex_);
    started_ = true;
    started_changed_.notify_one();
  }

  const server_settings& settings_;
  acceptor handler_;
  std::uint16_t port_;
  std::optional<sluice::loop> loop_{std::in_place};
  sluice::loop_stats stats_;  // when it started
  sluice::loop_stats at_end_; // when it stopped; valid after finish()
  std::exception_ptr problem_;
  std::mutex mutex_;
  std::condition_variable started_changed_;
  bool started_ = false;
  std::thread thread_; // last: it uses all of the above
};

} // namespace

server_totals run_native_server(const server_settings& settings, acceptor::make_handler make,
                                stop_request& stop) {
  // Signals are for this thread; the loops are never interrupted by one.
  sigset_t blocked;
  sigset_t before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGINT);
  sigaddset(&blocked, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &blocked, &before);
  std::vector<std::unique_ptr<server_thread>> threads;
  std::uint16_t port = settings.port;
  for (unsigned i = 0; i < settings.thread_count; ++i) {
    threads.push_back(std::make_unique<server_thread>(settings, make, port));
    port = threads.front()->port();
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  announce_listening(settings.host, port);
  const sluice::loop_stats& with = threads.front()->stats();
  std::printf("backend %s, kernels %s, %u thread%s\n", with.backend, with.kernels,
              settings.thread_count, settings.thread_count == 1 ? "" : "s");
  std::fflush(stdout);
  while (!stop.made()) {
    pollfd waiting{stop.fd(), POLLIN, 0};
    (void)poll(&waiting, 1, -1);
  }
  server_totals totals;
  sluice::loop_stats work;
  for (const auto& thread : threads) {
    const server_totals part = thread->finish();
    const sluice::loop_stats& did = thread->stats_at_end();
    work.ticks += did.ticks;
    work.system_calls += did.system_calls;
    work.receives += did.receives;
    work.receives_starved += did.receives_starved;
    work.turns_over_budget += did.turns_over_budget;
    work.payload_copied_bytes += did.payload_copied_bytes;
    work.allocations += did.allocations;
    work.pool_bytes += did.pool_bytes;
    totals.connections += part.connections;
    totals.messages += part.messages;
    totals.payload_bytes += part.payload_bytes;
  }
  const auto number = [](std::uint64_t n) { return static_cast<unsigned long long>(n); };
  std::printf("%llu loop turns, %llu system calls, %llu receives (%llu had to wait for a buffer), "
              "%llu turns over budget, %llu payload bytes copied, %llu allocations, %llu bytes of "
              "receive buffers\n",
              number(work.ticks), number(work.system_calls), number(work.receives),
              number(work.receives_starved), number(work.turns_over_budget),
              number(work.payload_copied_bytes), number(work.allocations), number(work.pool_bytes));
  return totals;
}

} // namespace sluice_bench
