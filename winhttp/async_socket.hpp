#pragma once

#include "core/frame_writer.hpp"
#include "io/operation.hpp"
#include "io/timer_wheel.hpp"
#include "winhttp/async_loop.hpp"
#include "winhttp/connection.hpp"
#include "winhttp/websocket.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

namespace sluice::winhttp {

/// What makes a WebSocket asynchronous. Calls note what is wanted under the socket's mutex, and its
/// loop thread does the work:
///
///   receiving  The loop thread alone reads from the connection and parses, under the mutex. A
///              Receive only notes its buffer; READ_COMPLETE is raised there (NOT-14,
///              decision X-38). A
///              Receive out of that very callback is seen when the callback returns: no recursion,
///              no system call. Without a Receive the loop reads ahead and answers pings (CTL-03).
///   sending    Whoever has the wire writes: the thread inside Send, Shutdown or Close, without
///              waiting (NOT-13), or the loop, which finishes what the kernel did not take and
///              sends what fell due meanwhile.
///   callbacks  Never under the mutex (NOT-04), after the state has changed (NOT-05). Those of the
///              loop thread come one after the other out of run_events().
///
/// Memory of the application is touched in two places: by the loop under the mutex, and by a call
/// while it has the handle pinned. The kernel sees buffers of our own only. So when the last call
/// on a closed handle has left and no callback runs on the loop, everything that is pending can be
/// reported as cancelled and HANDLE_CLOSING raised at once, on that thread (HND-17, NOT-07). The
/// object itself stays until the kernel has let go of its operations.
class async_socket {
public:
  /// `read_ahead_bytes` are kept without a Receive. The socket is connected and has its
  /// handle.
  async_socket(websocket& of, async_loop& on, connection& parent, DWORD read_ahead_bytes) noexcept;
  ~async_socket();
  async_socket(const async_socket&) = delete;
  async_socket& operator=(const async_socket&) = delete;

  /// Begins to read and to keep the connection alive.
  void start() noexcept;

  // The API, as in websocket: any thread, with the socket pinned.
  [[nodiscard]] DWORD receive(std::span<std::byte> to) noexcept;
  [[nodiscard]] DWORD send(WINHTTP_WEB_SOCKET_BUFFER_TYPE type,
                           std::span<const std::byte> payload) noexcept;
  [[nodiscard]] DWORD shutdown(std::span<const std::byte> payload) noexcept;
  [[nodiscard]] DWORD close(std::span<const std::byte> payload) noexcept;
  void keepalive_changed() noexcept { wake(to_rearm); }

  /// The handle is closed and the last call has left.
  void on_released() noexcept;

private:
  /// One notification.
  struct event {
    DWORD status = 0; // 0 = none
    WINHTTP_WEB_SOCKET_OPERATION operation{};
    DWORD code = 0;                   // of REQUEST_ERROR
    WINHTTP_WEB_SOCKET_STATUS info{}; // of READ_COMPLETE and WRITE_COMPLETE
  };
  enum class write_outcome : std::uint8_t { finished, with_loop, failed };
  enum class input : std::uint8_t { grown, awaited, ended, no_memory };
  enum class frame_kind : std::uint8_t { none, data, pong, close };

  // What the loop thread is asked for.
  static constexpr std::uint32_t to_work = 1;
  static constexpr std::uint32_t to_rearm = 2;
  static constexpr std::uint32_t to_retire = 4;

  // Completions that are decided and not raised yet.
  static constexpr std::uint8_t write_due = 1;
  static constexpr std::uint8_t shutdown_due = 2;

  [[nodiscard]] static event failure_of(WINHTTP_WEB_SOCKET_OPERATION operation,
                                        DWORD code) noexcept;
  [[nodiscard]] event write_event(DWORD code) const noexcept;
  [[nodiscard]] static event shutdown_event(DWORD code) noexcept;
  [[nodiscard]] static event close_event(DWORD code) noexcept;
  void raise(const event& what) const noexcept;
  void raise_in_call(const event& what) const noexcept;

  void wake(std::uint32_t what) noexcept;
  void post(std::uint32_t what) noexcept;
  static void on_command(loop_command& posted) noexcept;
  void retire_or_drop() noexcept;
  void run_events() noexcept;
  void tear_down() noexcept;

  // Under the mutex.
  [[nodiscard]] event next_event() noexcept;
  [[nodiscard]] event take_due() noexcept;
  [[nodiscard]] event read_event() noexcept;
  [[nodiscard]] event fail_protocol(error reason) noexcept;
  [[nodiscard]] event read_complete(const rx_result& piece) noexcept;
  [[nodiscard]] event end_receive(DWORD code) noexcept;
  [[nodiscard]] event close_progress() noexcept;
  [[nodiscard]] input read_more(std::span<std::byte> to, std::size_t& direct_bytes) noexcept;
  [[nodiscard]] bool advance_close(DWORD& code) noexcept;
  void finish_close(DWORD code) noexcept;
  void post_pong(std::span<const std::byte> payload, bool replace) noexcept;
  void keep_close_payload(std::span<const std::byte> payload) noexcept;
  void release_wire() noexcept;
  [[nodiscard]] bool settle_close_frame(write_outcome outcome, DWORD code) noexcept;
  void pump_writes() noexcept;
  void finish_frame() noexcept;
  [[nodiscard]] bool start_next_frame() noexcept;
  void fail_writes(DWORD code) noexcept;
  void drop_staging() noexcept;
  void arm_keepalive() noexcept;

  // Without it, by who has the wire.
  [[nodiscard]] write_outcome write_in_call(opcode op, bool fin, std::span<const std::byte> payload,
                                            DWORD& code) noexcept;

  static void on_read(io::operation& done) noexcept;
  static void on_retry_timer(io::timer& expired) noexcept;
  static void on_sent(io::operation& done) noexcept;
  static void on_send_timer(io::timer& expired) noexcept;
  void watch_progress() noexcept;
  void arm_send_timer() noexcept;
  static void on_close_timer(io::timer& expired) noexcept;
  static void on_keepalive_timer(io::timer& expired) noexcept;

  websocket& of_;
  async_loop& loop_;
  object_ref<connection> parent_; // HND-12: our parents' HANDLE_CLOSING comes after ours
  const DWORD read_ahead_bytes_;
  std::atomic<std::uint32_t> wanted_{0};
  loop_command command_;
  bool started_ = false;
  bool working_ = false; // the loop thread is inside run_events()

  // Under the mutex: receiving and closing.
  bool receiving_ = false;    // R.busy
  bool closed_input_ = false; // R.closed
  bool peer_closed_ = false;  // the close frame has been read
  bool input_ended_ = false;  // nothing more can be read
  bool lacks_memory_ = false; // the last read found no buffer
  bool violated_ = false;
  bool close_pending_ = false; // C.pending
  bool close_started_ = false; // and what Close cancels has been reported
  bool frame_closed_ = false;  // our close frame is with the kernel
  bool in_callback_ = false;   // of the loop thread
  bool tear_down_due_ = false;
  bool release_waits_ = false; // for the end of that callback
  bool dead_ = false;          // HANDLE_CLOSING was raised or is about to be
  bool torn_down_ = false;     // it was: the loop may let go
  std::span<std::byte> receive_to_;

  // Under the mutex: sending.
  bool wire_taken_ = false;
  bool wire_on_loop_ = false;
  bool shutdown_pending_ = false;
  bool data_due_ = false;
  bool close_due_ = false;
  bool no_more_pongs_ = false; // CTL-05
  bool pong_due_ = false;
  std::uint8_t looks_without_progress_ = 0;
  std::uint8_t due_ = 0;
  std::uint8_t pong_bytes_ = 0;
  std::uint8_t close_bytes_ = 0;
  DWORD write_code_ = 0;
  DWORD shutdown_code_ = 0;
  DWORD send_bytes_ = 0;
  int unacknowledged_bytes_ = 0; // of the operation in send_, when it was last looked at
  WINHTTP_WEB_SOCKET_BUFFER_TYPE send_type_{};
  opcode send_op_ = opcode::binary;
  std::span<const std::byte> send_payload_;
  std::array<std::byte, max_control_payload_bytes> pong_;
  std::array<std::byte, max_control_payload_bytes> close_;

  // For who has the wire.
  frame_kind current_ = frame_kind::none;
  frame_writer frame_;
  std::span<const std::byte> out_; // masked and not sent, in control_ or staged_
  std::byte* staged_ = nullptr;
  std::size_t staged_bytes_ = 0;
  const std::span<std::byte> control_; // of_'s, as keys_
  masking_keys& keys_;

  // The loop thread's.
  io::recv_op recv_;
  io::send_op send_;
  io::timer send_timer_;
  io::timer close_timer_;
  io::timer keepalive_timer_;
  io::timer retry_timer_; // of a read that found no memory
};

static_assert(sizeof(async_socket) <= 832, "one per asynchronous socket, idle ones included");

} // namespace sluice::winhttp
