#pragma once

#include "sluice/sluice.hpp"

#include <cstdint>
#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace interop {

/// A server of the native API on a thread of its own, for clients of another make. Paths:
///
///   /echo, /slices, /buffers  sends everything back; the three ways to take data
///   /goodbye                  says "goodbye", then closes with 4001
///   /report                   what a client without a standard output has to tell, line by line
///   anything else             refused with 403
///
/// Chooses the subprotocol chat.v2 where it is offered, and pings each connection once.
class native_server {
public:
  /// With TLS if `tls` is not empty.
  explicit native_server(const sluice::tls_config& tls);
  ~native_server();
  native_server(const native_server&) = delete;
  native_server& operator=(const native_server&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }

  /// What has happened on the connections of one path: "got <description>" for a message,
  /// "pong <payload>", "closed <status> clean|dirty <reason>"; of /report "said <line>", too.
  [[nodiscard]] std::vector<std::string> log_of(const std::string& path) const;

  /// Ends the loop; its counters.
  [[nodiscard]] sluice::loop_stats finish();

private:
  class session;
  class acceptor;

  void note(const std::string& path, const std::string& line);

  mutable std::mutex mutex_;
  std::vector<std::pair<std::string, std::string>> log_; // path and line
  std::uint16_t port_ = 0;
  sluice::error failed_ = sluice::error::none;
  sluice::loop_stats stats_;
  sluice::loop* loop_ = nullptr; // the thread's; gone when it has ended
  std::promise<void> stopped_;
  std::thread thread_;
};

} // namespace interop
