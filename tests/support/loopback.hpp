#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace sluice::test {

/// Owns a descriptor.
class unique_fd {
public:
  unique_fd() noexcept = default;
  explicit unique_fd(int fd) noexcept : fd_(fd) {}
  unique_fd(unique_fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  unique_fd& operator=(unique_fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~unique_fd() { reset(); }

  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
  void reset() noexcept;

private:
  int fd_ = -1;
};

/// A listening socket on an ephemeral port of `address`.
struct listener {
  explicit listener(const char* address = "127.0.0.1", std::uint16_t port = 0, int backlog = 16);

  [[nodiscard]] unique_fd accept() const;

  unique_fd socket;
  std::uint16_t port = 0;
  bool ok = false;
};

/// A blocking connection to it over 127.0.0.1, not accepted yet.
[[nodiscard]] unique_fd connect_to(const listener& server);

/// Two ends of a TCP connection over 127.0.0.1; both are blocking sockets.
struct loopback {
  loopback();

  unique_fd ours;
  unique_fd peer;
};

/// A port on which a SYN gets no answer: a listener whose queue is full.
class silent_port {
public:
  explicit silent_port(const char* address = "127.0.0.1", std::uint16_t port = 0);
  ~silent_port();
  [[nodiscard]] std::uint16_t port() const noexcept { return listener_.port; }

private:
  listener listener_;
  int waiting_[4] = {-1, -1, -1, -1};
};

/// The blocking calls of a peer; they return false when the connection ends first.
bool send_all(int fd, std::string_view bytes);
[[nodiscard]] std::string receive_all(int fd);                        // until FIN or error
[[nodiscard]] std::string receive_exactly(int fd, std::size_t count); // shorter at the end
/// Ends the connection by RST.
void reset_connection(unique_fd& fd);
/// Puts `count` more bytes than the two sockets can buffer out of reach: fills ours until EAGAIN.
std::size_t fill_send_buffer(int fd);
/// A smaller send buffer, so that it fills soon.
void shrink_send_buffer(int fd, int bytes);

/// Bytes in which every position is telling.
[[nodiscard]] std::string pattern(std::size_t count, unsigned seed = 1);

[[nodiscard]] std::size_t open_descriptors();
[[nodiscard]] bool becomes_readable(int fd, int within_ms);

/// Runs `body` in a forked child and returns its exit code, or 1000 + the signal that ended it.
int in_child(const std::function<int()>& body);

} // namespace sluice::test
