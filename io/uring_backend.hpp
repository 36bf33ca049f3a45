#pragma once

#include "io/backend.hpp"
#include "io/wake_signal.hpp"

#include <liburing.h>

#include <array>
#include <cstdint>

namespace sluice::io {

/// The io_uring backend (kernel 6.1 and later: DEFER_TASKRUN and provided buffer rings). Receives
/// are one-shot unless recv_op::multishot says otherwise, and select a buffer from one of two
/// registered rings only when data is there, so a waiting receive holds none. One system call
/// submits and waits. A send is tried directly first and goes to the ring when the socket is full:
/// that is one system call too, and a cheaper one.
class uring_backend final : public backend {
public:
  /// backend_unavailable: this kernel, or a filter in front of it, does not do what we need. Else
  /// none, no_memory, out_of_descriptors or system.
  [[nodiscard]] static error create(const backend_settings& settings, buffer_pool& buffers,
                                    memory::unique<backend>& made) noexcept;

  explicit uring_backend(buffer_pool& buffers) noexcept;
  ~uring_backend() override;

  [[nodiscard]] backend_kind kind() const noexcept override { return backend_kind::uring; }
  void submit(recv_op& op) noexcept override;
  void submit(send_op& op) noexcept override;
  void submit(connect_op& op) noexcept override;
  void submit(accept_op& op) noexcept override;
  void cancel(operation& op) noexcept override;
  error wait(time_point deadline) noexcept override;
  [[nodiscard]] bool has_pending() const noexcept override;
  void wake() noexcept override { waker_->raise(); }
  [[nodiscard]] int descriptor() const noexcept override;
  void quiet_descriptor() noexcept override;
  bool poll_devices(std::uint32_t microseconds) noexcept override;
  [[nodiscard]] bool multishot() const noexcept override { return multishot_; }
  void drop_after_fork() noexcept override;

private:
  /// The buffers of one class that the kernel may pick from. The id under which it knows a buffer
  /// is the buffer's place in the ring.
  struct posted_ring {
    io_uring_buf_ring* shared = nullptr;
    buffer** places = nullptr; // nullptr: not the kernel's
    std::uint32_t entries = 0;
    std::uint32_t posted = 0;
    std::uint32_t next = 0; // running number of the next buffer to post
  };

  [[nodiscard]] error set_up(const backend_settings& settings) noexcept;
  [[nodiscard]] error set_up_buffers(buffer_class of, std::uint32_t entries) noexcept;
  [[nodiscard]] io_uring_sqe* get_sqe() noexcept;
  [[nodiscard]] bool watch_waker() noexcept;
  [[nodiscard]] io_uring_sqe* arm(operation& op) noexcept;
  void disarm(operation& op) noexcept;
  void complete(operation& op, std::int32_t result) noexcept;

  void refill(buffer_class of) noexcept;
  [[nodiscard]] std::uint32_t posted_count() const noexcept {
    return posted_[0].posted + posted_[1].posted;
  }
  [[nodiscard]] bool choose_group(recv_op& op) noexcept;
  void start_recv(recv_op& op) noexcept;
  void start_send(send_op& op) noexcept;
  void submit_cancel(operation& op) noexcept;
  void repeat_missed_cancels() noexcept;
  void starve(recv_op& op) noexcept;
  void resume_starved() noexcept;

  [[nodiscard]] int enter(time_point deadline, bool sleep) noexcept;
  void reap() noexcept;
  void finish(operation& op, std::int32_t result, std::uint32_t flags) noexcept;
  void take_filled(recv_op& op, std::int32_t result, std::uint32_t flags) noexcept;
  void finish_recv(recv_op& op, std::int32_t result, std::uint32_t flags) noexcept;
  void bring(recv_op& op, std::int32_t result, std::uint32_t flags) noexcept;
  void run_completed() noexcept;
  void tear_down() noexcept;
  void fail_everything() noexcept;

  buffer_pool& buffers_;
  wake_signal* waker_ = nullptr;
  io_uring ring_{};
  // What the ring signals when it has news, once descriptor() was asked for. The ring's own
  // descriptor does not do: with DEFER_TASKRUN nobody who polls it is woken before the work has
  // been run.
  mutable int event_fd_ = -1;
  bool ring_open_ = false;
  bool waker_watched_ = false;
  bool multishot_ = false;
  std::array<posted_ring, buffer_class_count> posted_{};
  operation_list completed_; // results known, on_complete not called yet
  operation_list starved_;   // receives without a buffer, by recv_op::turn
  std::uint64_t last_turn_ = 0;
  memory::growable<operation*> in_kernel_;   // operation::slot is the index
  time_point cancel_again_at_ = no_deadline; // a cancel has found nothing
};

} // namespace sluice::io
