#pragma once

namespace sluice_bench {

/// SIGINT and SIGTERM as something that loops can wait for. One per process; from its making on,
/// the first signal makes fd() readable and shuts down the sockets that were named, so that no
/// blocking call survives it; the second signal ends the process at once.
class stop_request {
public:
  stop_request();
  stop_request(const stop_request&) = delete;
  stop_request& operator=(const stop_request&) = delete;
  ~stop_request();

  [[nodiscard]] bool made() const noexcept;
  /// Readable once the request was made; never read it.
  [[nodiscard]] int fd() const noexcept;

  /// Names one of the two sockets that a blocking server sleeps on; -1 to take the name back.
  void shut_down_listener(int fd) noexcept;
  void shut_down_connection(int fd) noexcept;
};

/// stop_request::fd() for those who have none at hand; -1, which poll(2) ignores, without one.
[[nodiscard]] int stop_descriptor() noexcept;

} // namespace sluice_bench
