#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>

namespace sluice::bench {

/// What a blaster sends: unfragmented messages of one kind and one size, back to back.
struct traffic {
  bool text = false; // ASCII text; otherwise binary
  std::size_t message_bytes = 0;
};

/// A WebSocket server on an ephemeral loopback port that sends pre-built frames as fast as the
/// client takes them, until the client goes away; then it takes the next client. One client at a
/// time. It does nothing per message but send(), so that the receiver is what limits the rate.
class blaster {
public:
  /// Starts the sending thread, bound to the `cpu`-th usable CPU. Throws std::system_error.
  blaster(const traffic& what, unsigned cpu);
  ~blaster();
  blaster(const blaster&) = delete;
  blaster& operator=(const blaster&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }

  /// Bytes of frame header that stand before each message.
  [[nodiscard]] std::size_t header_bytes() const { return header_bytes_; }

private:
  void run(unsigned cpu) const;
  void serve(int client) const;

  std::string batch_; // whole frames
  std::size_t header_bytes_ = 0;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

} // namespace sluice::bench
