#include "winhttp/websocket.hpp"

#include <algorithm>

// What happens to a synchronous socket between the calls of the application (CTL-03, CTL-08).

namespace sluice::winhttp {
namespace {

// So much for one socket, then it is the next one's turn: a peer that sends without end must not
// keep the caretaker.
constexpr int reads_per_visit = 16;

} // namespace

DWORD websocket::begin_care(DWORD read_ahead_bytes) noexcept {
  read_ahead_bytes_ = read_ahead_bytes;
  return winhttp::look_after(*this, care_);
}

void websocket::look_after(io::buffer_pool& buffers) noexcept {
  if (!connected_.load(std::memory_order_acquire)) {
    return;
  }
  const bool idle = !used_.load(std::memory_order_relaxed);
  used_.store(false, std::memory_order_relaxed);
  if (link_.failure() != 0) {
    return;
  }
  if (idle && !gate_.is_refused() && gate_.try_visit()) { // else whoever is inside reads
    read_ahead(buffers);
    gate_.end_visit();
  }
  keep_alive();
}

// As a Receive would do, up to the next piece of a message: what the application is to see of it
// waits for its Receive.
void websocket::read_ahead(io::buffer_pool& buffers) noexcept {
  slice_queue& inbox = rx_.inbox();
  for (int reads = 0; !input_ended_ && !gate_.is_awaited();) {
    const rx_result got = rx_.control_next() ? rx_.receive({}) : rx_result{};
    switch (got.status) {
    case rx_status::ping: // CTL-01
      wire_.post_pong(rx_.control_payload());
      wire_.send_due_now();
      break;
    case rx_status::close: // RCV-19: it is the next Receive's; nothing is read behind it
      return;
    case rx_status::failed: // RCV-23: all data before it has been received
      (void)fail_protocol(got.reason);
      return;
    case rx_status::need_input: {
      if (reads++ == reads_per_visit ||
          !decision::may_read_ahead(inbox.size_bytes(), inbox.slice_count(), read_ahead_bytes_)) {
        return;
      }
      const std::size_t room = std::max<std::size_t>(read_ahead_bytes_, 1);
      const error failed =
          link_.stream().read_now(buffers, inbox, room - std::min(room - 1, inbox.size_bytes()));
      if (failed == error::would_block || failed == error::no_memory) {
        return;
      }
      if (failed != error::none) {
        input_ended_ = true;
        if (inbox.empty()) { // else data comes first (RCV-21)
          (void)end_of_input();
        }
      }
      break;
    }
    default: // a pong (CTL-02)
      break;
    }
  }
}

// When our last keep-alive, or what postpones it, was an interval ago.
io::time_point websocket::keepalive_due() const noexcept {
  io::clock::rep from = last_keepalive_.load(std::memory_order_relaxed);
  if (decision::own_data_postpones_keepalive) {
    from = std::max(from, last_data_sent_.load(std::memory_order_relaxed));
  }
  return io::time_point(io::clock::duration(from)) +
         std::chrono::milliseconds(keepalive_ms_.load(std::memory_order_relaxed));
}

// Also while a Receive waits, which has no timer.
void websocket::keep_alive() noexcept {
  const io::time_point now = io::clock::now();
  if (keepalive_due() <= now) {
    last_keepalive_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
    wire_.post_keepalive();
  }
  wire_.send_due_now(); // also what an earlier visit, or a Receive, could not send
}

} // namespace sluice::winhttp
