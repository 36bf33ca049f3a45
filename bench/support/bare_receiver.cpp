#include "bench/support/cpu.hpp"
#include "bench/support/receiver.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace sluice::bench {

bare_receiver::bare_receiver(std::uint16_t port) {
  socket_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  constexpr std::string_view request =
      "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
  if (socket_ < 0 ||
      connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      send(socket_, request.data(), request.size(), MSG_NOSIGNAL) !=
          static_cast<ssize_t>(request.size())) {
    throw std::system_error(errno, std::generic_category(), "bare receiver");
  }
  receive_bytes(warm_up_bytes); // the head of the response is among them
}

bare_receiver::~bare_receiver() {
  close(socket_);
}

receive_cost bare_receiver::receive_bytes(std::uint64_t bytes) {
  static thread_local std::vector<char> buffer(receive_buffer_bytes);
  receive_cost cost;
  const auto wall = std::chrono::steady_clock::now();
  const double cpu = thread_cpu_seconds();
  while (cost.bytes < bytes) {
    const ssize_t got = recv(socket_, buffer.data(), buffer.size(), 0);
    if (got <= 0) {
      throw std::system_error(got == 0 ? 0 : errno, std::generic_category(), "recv");
    }
    cost.bytes += static_cast<std::uint64_t>(got);
    ++cost.calls;
  }
  cost.cpu_seconds = thread_cpu_seconds() - cpu;
  cost.wall_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - wall).count();
  return cost;
}

} // namespace sluice::bench
