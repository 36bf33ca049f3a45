#pragma once

#include "byte_stream.hpp"
#include "common.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sluice_bench {

/// Where a WebSocket server is.
struct endpoint {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;
  std::string path = "/";
  bool secure = false; // wss

  [[nodiscard]] std::string authority() const; // host:port, IPv6 in brackets
};

/// From ws://host[:port][/path] or wss://...; throws failure(exit_bad_use) with what is wrong.
[[nodiscard]] endpoint parse_url(std::string_view url);
/// From host:port; throws failure(exit_bad_use).
[[nodiscard]] endpoint parse_host_port(std::string_view text);

/// A socket that listens; port 0 picks a free one. Throws failure(exit_bad_use) when the port is
/// taken or the address is not ours.
[[nodiscard]] unique_fd listen_on(const std::string& host, std::uint16_t port);
/// The local port of a socket.
[[nodiscard]] std::uint16_t local_port(int fd);
/// Prints the line that scripts wait for, and flushes it.
void announce_listening(const std::string& host, std::uint16_t port);

/// Bytes that a peer sent right behind its half of the handshake.
using leftover = std::vector<std::byte>;

/// Connects and upgrades; blocking, at most 10 s a step. `tls` is looked at for a secure endpoint.
/// Throws failure.
[[nodiscard]] byte_stream connect_websocket(const endpoint& server, const tls_client* tls,
                                            leftover& rest);
/// Answers the upgrade request of a client that has just been accepted; throws failure.
void answer_upgrade(byte_stream& with, leftover& rest);

/// No delay before small segments, and never a blocking call from now on.
void make_fast_and_nonblocking(int fd);

} // namespace sluice_bench
