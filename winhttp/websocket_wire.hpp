#pragma once

#include "core/frame.hpp"
#include "core/frame_writer.hpp"
#include "core/stats.hpp"
#include "io/cancel.hpp"
#include "io/loop.hpp"
#include "winhttp/websocket_link.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>

namespace sluice::winhttp {

/// The outgoing bytes of a socket: whole masked frames, one after the other, whichever threads they
/// come from (CTL-01: a pong never lands inside another frame).
///
/// Whoever writes holds the wire. A thread that sends a frame of the application blocks until its
/// frame is with the kernel. The receiving thread must not block on a pong, because a peer that
/// does not read may be waiting for us to read: it sends what the kernel takes at once. What could
/// not be sent stays as a leftover that the next holder sends first: the next Send, the Receive
/// before its next wait, or the caretaker. If another thread holds the wire, that thread sends the
/// pong after its frame.
///
/// One pong is kept: a newer ping replaces the answer to an older one (CTL-04), so that memory
/// stays flat under a flood of pings.
class websocket_wire {
public:
  explicit websocket_wire(websocket_link& link) noexcept;

  /// Sends one frame of any size: waits for the wire, writes the frame in pieces through a bounded
  /// buffer, then a pong that fell due meanwhile. A close frame ends the pongs (CTL-05).
  /// `progress_timeout` bounds the wait for the wire and each time in which the kernel takes not
  /// one byte; zero = none. Returns 0, or
  ///   ERROR_WINHTTP_INTERNAL_ERROR  no random masking key; nothing was sent, the link is up
  ///   ERROR_NOT_ENOUGH_MEMORY       likewise
  ///   ERROR_WINHTTP_CONNECTION_ERROR, _TIMEOUT, _OPERATION_CANCELLED
  ///                                 part of the frame may be out, so the link has failed
  [[nodiscard]] DWORD send_frame(io::loop& on, opcode op, bool fin,
                                 std::span<const std::byte> payload,
                                 std::chrono::milliseconds progress_timeout) noexcept;

  /// Waits until no other thread holds the wire. 0, ERROR_WINHTTP_TIMEOUT (the link is left alone)
  /// or ERROR_WINHTTP_OPERATION_CANCELLED.
  [[nodiscard]] DWORD wait_until_free(io::time_point deadline) noexcept;

  // For the receiving thread, and the caretaker.

  /// Notes that a pong is due; send_due_now() sends it. At most max_control_payload_bytes.
  void post_pong(std::span<const std::byte> payload) noexcept;
  /// Notes that an empty pong is due unless one is due anyway (CTL-06).
  void post_keepalive() noexcept;
  /// Notes that a close frame without reason is due, unless one went out before. No pong
  /// follows.
  void post_close(std::uint16_t status) noexcept;
  /// Sends what is due as far as the kernel takes it at once, unless another thread holds the wire
  /// and will do it; needs no loop.
  void send_due_now() noexcept;
  /// Something is due. A moment later that may no longer be so.
  [[nodiscard]] bool is_due() const noexcept { return due_.load(std::memory_order_relaxed); }

  // Any thread.

  /// Ends blocked senders with ERROR_WINHTTP_OPERATION_CANCELLED, for good (CloseHandle). True:
  /// there is none, and nothing is sent any more.
  [[nodiscard]] bool cancel() noexcept;
  /// Only while no other thread sends.
  [[nodiscard]] const tx_stats& stats() const noexcept { return stats_; }

  // For an asynchronous socket, which sends by itself instead, while it has the wire.

  [[nodiscard]] masking_keys& keys() noexcept { return keys_; }
  /// Memory for one control frame.
  [[nodiscard]] std::span<std::byte> control_room() noexcept { return control_; }

private:
  [[nodiscard]] error take(io::time_point deadline) noexcept;
  [[nodiscard]] bool try_take() noexcept; // not after cancel()
  [[nodiscard]] bool release() noexcept;
  void hand_over() noexcept;
  [[nodiscard]] DWORD fail(error why) noexcept;
  [[nodiscard]] error write_frame(io::loop& on, opcode op, bool fin,
                                  std::span<const std::byte> payload,
                                  std::chrono::milliseconds progress_timeout) noexcept;
  [[nodiscard]] error write_due(io::loop& on, std::chrono::milliseconds progress_timeout) noexcept;
  [[nodiscard]] error write_leftover(io::loop& on,
                                     std::chrono::milliseconds progress_timeout) noexcept;
  void post(std::span<const std::byte> payload, bool replace) noexcept;
  [[nodiscard]] bool prepare_due() noexcept;

  // Over TLS what is left of a frame may be ciphertext, which the stream has.
  [[nodiscard]] bool has_leftover() noexcept {
    return control_begin_ != control_end_ || link_.stream().has_unsent();
  }
  websocket_link& link_;
  io::cancel_source cancel_;
  std::atomic<bool> due_{false}; // a pong or close is due, or a leftover is there

  // Under mutex_.
  std::mutex mutex_;
  std::condition_variable freed_;
  bool taken_ = false;
  bool cancelled_ = false;
  bool closed_ = false; // our close frame is on its way: neither pong nor second close frame
  bool pong_due_ = false;
  std::uint8_t pong_bytes_ = 0;
  std::uint16_t close_due_ = 0; // status; 0 = none
  std::uint32_t waiting_ = 0;   // threads in freed_
  std::array<std::byte, max_control_payload_bytes> pong_;

  // For the holder of the wire.
  std::uint8_t control_begin_ = 0; // [begin, end) of control_ is the leftover
  std::uint8_t control_end_ = 0;
  std::array<std::byte, max_frame_header_bytes + max_control_payload_bytes> control_;
  masking_keys keys_;
  tx_stats stats_;
};

} // namespace sluice::winhttp
