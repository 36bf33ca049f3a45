#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice::bench {

/// What receiving took, counted by the receiving thread between two points of the stream.
struct receive_cost {
  std::uint64_t messages = 0; // zero for a receiver that does not look
  std::uint64_t bytes = 0;    // payload; for the bare receiver whatever the socket gave
  std::uint64_t calls = 0;    // Receive or recv calls
  double cpu_seconds = 0;     // user and system, CLOCK_THREAD_CPUTIME_ID
  double wall_seconds = 0;

  [[nodiscard]] double cpu_seconds_per_gb() const {
    return bytes == 0 ? 0 : cpu_seconds * 1e9 / static_cast<double>(bytes);
  }
};

/// A client of a blaster. Connecting and the first `warm_up_bytes` are not counted; afterwards
/// receive() may be called again and again on the same thread. All errors are std::runtime_error
/// with the failing call and its code.
class receiver {
public:
  virtual ~receiver() = default;
  receiver() = default;
  receiver(const receiver&) = delete;
  receiver& operator=(const receiver&) = delete;

  /// Receives `bytes` more bytes, or a little more to reach the end of a piece.
  virtual receive_cost receive_bytes(std::uint64_t bytes) = 0;
};

constexpr std::size_t receive_buffer_bytes = std::size_t{64} << 10;
constexpr std::uint64_t warm_up_bytes = std::uint64_t{32} << 20;

/// The floor: blocking recv() into one 64 KiB buffer, which looks at nothing.
class bare_receiver final : public receiver {
public:
  explicit bare_receiver(std::uint16_t port);
  ~bare_receiver() override;
  receive_cost receive_bytes(std::uint64_t bytes) override;

private:
  int socket_ = -1;
};

/// WinHttpWebSocketReceive into one 64 KiB buffer. Every message must have `message_bytes` bytes.
class winhttp_receiver final : public receiver {
public:
  winhttp_receiver(std::uint16_t port, std::size_t message_bytes);
  ~winhttp_receiver() override;
  receive_cost receive_bytes(std::uint64_t bytes) override;
  receive_cost receive_messages(std::uint64_t messages);

private:
  template <typename Enough> receive_cost receive_until(Enough enough);

  void* session_ = nullptr;
  void* connection_ = nullptr;
  void* socket_ = nullptr;
  std::size_t message_bytes_;
  std::size_t message_received_bytes_ = 0; // of the open message
};

} // namespace sluice::bench
