#pragma once

#include "common.hpp"
#include "stop_request.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

namespace sluice_bench {

/// Receivers that do nothing but take bytes from the kernel: what no WebSocket receiver can beat.
/// They answer the upgrade like a server, count, and look into a stream only as far as it takes to
/// notice a final REPORT message, which they answer with `wire <bytes before it>`.
enum class floor_kind {
  recv,  // blocking recv(2), one connection at a time
  epoll, // epoll_wait(2) and recv(2)
  ring,  // io_uring: multishot receive into a ring of buffers
};

struct floor_settings {
  floor_kind kind = floor_kind::recv;
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;
  std::size_t buffer_bytes = 64 * 1024;
  std::size_t buffer_count = 16; // ring only; a power of two
  bool one_shot = false;         // ring only: one request per receive instead of multishot
  // For ping-pong: after every so many wire bytes one message of so many payload bytes is sent
  // back, ready-made. 0: nothing is sent back.
  std::size_t echo_wire_bytes = 0;
  std::size_t echo_payload_bytes = 0;
};

struct floor_totals {
  std::uint64_t connections = 0;
  std::uint64_t wire_bytes = 0;
};

/// Serve until the stop request. Throw failure (exit_bad_use for a busy port or no io_uring).
floor_totals run_recv_floor(const floor_settings& settings, stop_request& stop);
floor_totals run_epoll_floor(const floor_settings& settings, stop_request& stop);
floor_totals run_ring_floor(const floor_settings& settings, stop_request& stop);

/// One connection of a floor, whatever brings it the bytes.
class floor_peer {
public:
  floor_peer(unique_fd fd, const floor_settings& settings);

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  [[nodiscard]] std::uint64_t wire_bytes() const noexcept {
    return received_ - reports_ * report_bytes;
  }

  /// Counts; false when the connection is of no more use.
  bool on_bytes(std::span<const std::byte> bytes) {
    if (!open_) {
      return on_head(bytes);
    }
    received_ += bytes.size();
    if (echo_wire_bytes_ != 0) {
      return echo(bytes.size());
    }
    // The last bytes of the stream so far, whatever pieces it comes in.
    if (bytes.size() >= report_bytes) {
      std::memcpy(tail_.data(), bytes.data() + (bytes.size() - report_bytes), report_bytes);
    } else {
      std::memmove(tail_.data(), tail_.data() + bytes.size(), report_bytes - bytes.size());
      std::memcpy(tail_.data() + (report_bytes - bytes.size()), bytes.data(), bytes.size());
    }
    return tail_[0] != std::byte{0x81} || tail_[1] != std::byte{0x86} || on_likely_report();
  }

private:
  static constexpr std::size_t report_bytes = 12; // 2 header, 4 key, 6 masked payload

  bool on_head(std::span<const std::byte> bytes);
  bool on_likely_report();
  bool echo(std::size_t bytes);
  bool send_all(std::span<const std::byte> bytes);

  unique_fd fd_;
  bool open_ = false;
  std::array<std::byte, report_bytes> tail_{};
  std::uint64_t received_ = 0;
  std::uint64_t reports_ = 0;
  std::size_t echo_wire_bytes_;
  std::size_t echo_pending_bytes_ = 0;
  std::vector<std::byte> echo_reply_;
  std::string head_;
};

} // namespace sluice_bench
