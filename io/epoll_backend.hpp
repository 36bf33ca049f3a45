#pragma once

#include "io/backend.hpp"
#include "io/wake_signal.hpp"

#include <cstdint>

namespace sluice::io {

/// The backend for kernels without a usable io_uring. Sockets are registered edge-triggered, once
/// per socket and thread, and only when a call has said EAGAIN; afterwards readiness is cached, so
/// that there is no epoll_ctl per operation and no epoll_wait while data is there. Operations are
/// tried when they are submitted and complete in the next wait(); a receive is tried only there,
/// just before its completion runs, so that one buffer that is given back at once serves all
/// sockets and stays in the cache.
class epoll_backend final : public backend {
public:
  /// Returns none, no_memory, out_of_descriptors or system.
  [[nodiscard]] static error create(buffer_pool& buffers, memory::unique<backend>& made) noexcept;

  epoll_backend(buffer_pool& buffers, int epoll_fd, wake_signal& waker) noexcept;
  ~epoll_backend() override;

  [[nodiscard]] backend_kind kind() const noexcept override { return backend_kind::epoll; }
  void submit(recv_op& op) noexcept override;
  void submit(send_op& op) noexcept override;
  void submit(connect_op& op) noexcept override;
  void submit(accept_op& op) noexcept override;
  void cancel(operation& op) noexcept override;
  error wait(time_point deadline) noexcept override;
  [[nodiscard]] bool has_pending() const noexcept override {
    return !completed_.empty() || !ready_.empty();
  }
  void forget(const socket_ref& socket) noexcept override;
  void wake() noexcept override { waker_->raise(); }
  [[nodiscard]] int descriptor() const noexcept override { return epoll_fd_; }
  void drop_after_fork() noexcept override;

private:
  /// What this thread knows about a descriptor. A table entry is found by fd and is good only for
  /// the socket with that id; a successor on the same fd takes it over.
  struct entry {
    int fd = -1;
    std::uint32_t interest = 0; // registered events; 0: not registered
    std::uint64_t id = 0;
    operation* reader = nullptr; // armed recv or accept
    operation* writer = nullptr; // armed send or connect
    bool readable = true;        // false after EAGAIN, until an event says otherwise
    bool writable = true;
    bool hung_up = false; // RDHUP, HUP or ERR was seen: there will be no more edges to wait for
    bool urgent = false;  // PRI was seen, and no EAGAIN since
    std::uint8_t unasked_events = 0;
  };

  [[nodiscard]] entry* find(const socket_ref& socket) noexcept;
  [[nodiscard]] entry* find_fd(int fd) noexcept;
  [[nodiscard]] bool reserve_entry() noexcept;
  [[nodiscard]] int watch(entry& at, std::uint32_t events) noexcept;
  void unwatch(entry& at) noexcept;

  void try_recv(recv_op& op, entry& at) noexcept;
  void try_send(send_op& op, entry& at) noexcept;
  void try_accept(accept_op& op, entry& at) noexcept;
  void finish_connect(connect_op& op) noexcept;
  void start_recv(recv_op& op, bool at_once) noexcept;
  void try_ready(recv_op& op) noexcept;
  void complete(operation& op, std::int32_t result) noexcept;
  void arm_reader(operation& op, entry& at) noexcept;
  void arm_writer(operation& op, entry& at) noexcept;
  void dispatch(std::uint64_t key, std::uint32_t events) noexcept;
  void resume_starved() noexcept;
  bool run_completed(std::uint32_t at_most) noexcept;
  void turn(time_point deadline) noexcept;
  void fail_everything() noexcept;

  buffer_pool& buffers_;
  wake_signal* waker_;
  int epoll_fd_;
  operation_list completed_;
  operation_list ready_; // receives to try, armed
  operation_list starved_;
  // Open addressing by fd, a power of two of places, at most half full; entries are never removed.
  entry* entries_ = nullptr;
  std::size_t entry_places_ = 0;
  std::size_t used_entries_ = 0;
  std::uint32_t completions_without_poll_ = 0;
};

} // namespace sluice::io
