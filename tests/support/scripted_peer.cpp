#include "support/scripted_peer.hpp"

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

namespace sluice::test {
namespace {

using steady = std::chrono::steady_clock;

[[noreturn]] void fail(const std::string& what) {
  throw peer_failure("peer: " + what);
}

[[noreturn]] void fail_errno(const std::string& what) {
  fail(what + ": " + std::strerror(errno));
}

// Waits until poll() reports `events` on fd; false after `limit`.
bool wait_for(int fd, short events, std::chrono::milliseconds limit) {
  const steady::time_point end = steady::now() + limit;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - steady::now());
    pollfd waiting{fd, events, 0};
    const int ready = ::poll(&waiting, 1, left.count() > 0 ? static_cast<int>(left.count()) : 0);
    if (ready > 0) {
      return true;
    }
    if (ready == 0) {
      return false;
    }
    if (errno != EINTR) {
      fail_errno("poll");
    }
  }
}

std::pair<int, std::uint16_t> bind_loopback() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    fail_errno("socket");
  }
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    ::close(fd);
    fail_errno("bind");
  }
  return {fd, ntohs(address.sin_port)};
}

} // namespace

// peer_connection

peer_connection::~peer_connection() {
  close();
}

peer_connection::peer_connection(peer_connection&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), tls_(std::move(other.tls_)),
      unread_(std::move(other.unread_)), request_(std::move(other.request_)) {}

peer_connection& peer_connection::operator=(peer_connection&& other) noexcept {
  if (this != &other) {
    close();
    fd_ = std::exchange(other.fd_, -1);
    tls_ = std::move(other.tls_);
    unread_ = std::move(other.unread_);
    request_ = std::move(other.request_);
  }
  return *this;
}

void peer_connection::start_tls(const tls_server_settings& how) {
  auto fresh = std::make_unique<tls_peer_end>(how);
  std::string received;
  for (;;) {
    bool done = false;
    try {
      done = fresh->shake(received);
    } catch (const tls_broken&) {
      send_raw(fresh->take_output()); // the alert
      throw;
    }
    send_raw(fresh->take_output());
    if (done) {
      break;
    }
    received = read_raw();
    if (received.empty()) {
      fail("the client ended inside the TLS handshake");
    }
  }
  unread_ = fresh->open({}); // what came with the end of the handshake
  tls_ = std::move(fresh);
}

std::string peer_connection::read_raw() {
  bool reset = false;
  std::string got;
  return receive(got, reset) ? got : std::string();
}

bool peer_connection::fill(bool& reset) {
  for (;;) {
    std::string got;
    if (!receive(got, reset)) {
      return false;
    }
    if (tls_ != nullptr) {
      try {
        got = tls_->open(got);
      } catch (const tls_broken& broken) {
        fail(broken.what());
      }
      if (tls_->saw_close_notify() && got.empty()) {
        return false;
      }
    }
    if (!got.empty()) {
      unread_.append(got);
      return true;
    }
  }
}

bool peer_connection::receive(std::string& to, bool& reset) {
  if (!wait_for(fd_, POLLIN, peer_patience)) {
    fail("nothing came from the client");
  }
  to.resize(65536);
  for (;;) {
    const ssize_t got = ::recv(fd_, to.data(), to.size(), 0);
    if (got > 0) {
      to.resize(static_cast<std::size_t>(got));
      return true;
    }
    if (got == 0) {
      return false;
    }
    if (errno == ECONNRESET || errno == EPIPE) {
      reset = true;
      return false;
    }
    if (errno != EINTR) {
      fail_errno("recv");
    }
  }
}

std::string peer_connection::read_request() {
  for (;;) {
    const std::size_t end = unread_.find("\r\n\r\n");
    if (end != std::string::npos) {
      request_ = unread_.substr(0, end + 4);
      unread_.erase(0, end + 4);
      return request_;
    }
    bool reset = false;
    if (!fill(reset)) {
      fail("the client ended inside a request head: " + unread_);
    }
  }
}

std::string peer_connection::read_exact(std::size_t count) {
  while (unread_.size() < count) {
    bool reset = false;
    if (!fill(reset)) {
      fail("the client ended after " + std::to_string(unread_.size()) + " of " +
           std::to_string(count) + " bytes");
    }
  }
  std::string out = unread_.substr(0, count);
  unread_.erase(0, count);
  return out;
}

std::string peer_connection::read_some() {
  bool reset = false;
  if (unread_.empty() && !fill(reset)) {
    return {};
  }
  return std::exchange(unread_, {});
}

client_frame peer_connection::read_frame() {
  client_frame frame;
  const std::string head = read_exact(2);
  const auto first = static_cast<unsigned char>(head[0]);
  const auto second = static_cast<unsigned char>(head[1]);
  frame.fin = (first & 0x80u) != 0;
  frame.reserved = (first >> 4) & 7u;
  frame.opcode = first & 0xFu;
  frame.masked = (second & 0x80u) != 0;
  std::uint64_t size = second & 0x7Fu;
  frame.length_bytes = size < 126 ? 1 : size == 126 ? 2 : 8;
  if (frame.length_bytes != 1) {
    size = 0;
    for (const char byte : read_exact(frame.length_bytes)) {
      size = (size << 8) | static_cast<unsigned char>(byte);
    }
  }
  std::string key;
  if (frame.masked) {
    key = read_exact(4);
    for (unsigned i = 0; i < 4; ++i) {
      frame.key |= static_cast<std::uint32_t>(static_cast<unsigned char>(key[i])) << (8 * i);
    }
  }
  frame.payload = read_exact(size);
  if (frame.masked) {
    for (std::size_t i = 0; i < frame.payload.size(); ++i) {
      frame.payload[i] = static_cast<char>(frame.payload[i] ^ key[i % 4]);
    }
  }
  return frame;
}

void peer_connection::send(std::string_view bytes) {
  const std::lock_guard lock(sending_);
  tls_ != nullptr ? send_raw(tls_->seal(bytes)) : send_raw(bytes);
}

bool peer_connection::try_send(std::string_view bytes) {
  const std::lock_guard lock(sending_);
  const std::string sealed = tls_ != nullptr ? tls_->seal(bytes) : std::string(bytes);
  std::string_view rest = sealed;
  while (!rest.empty()) {
    const ssize_t sent = ::send(fd_, rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno != EINTR) {
      return false;
    }
    rest.remove_prefix(sent > 0 ? static_cast<std::size_t>(sent) : 0);
  }
  return true;
}

void peer_connection::send_raw(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    } else if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      if (!wait_for(fd_, POLLOUT, peer_patience)) {
        fail("the client does not read");
      }
    } else if (sent < 0 && errno != EINTR) {
      fail_errno("send");
    }
  }
}

void peer_connection::send_bytewise(std::string_view bytes) {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    send(bytes.substr(i, 1));
  }
}

std::size_t peer_connection::send_until_blocked(std::string_view block) {
  if (tls_ != nullptr) {
    fail("send_until_blocked is for plain connections");
  }
  std::size_t total = 0;
  while (wait_for(fd_, POLLOUT, std::chrono::milliseconds(100))) {
    const ssize_t sent = ::send(fd_, block.data(), block.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
      fail_errno("send");
    }
    total += sent > 0 ? static_cast<std::size_t>(sent) : 0;
  }
  return total;
}

std::string peer_connection::response_101(std::string_view extra) const {
  std::string out = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                    "Connection: Upgrade\r\nSec-WebSocket-Accept: ";
  out += accept_for(header_of(request_, "Sec-WebSocket-Key").value_or(""));
  out += "\r\n";
  out += extra;
  out += "\r\n";
  return out;
}

void peer_connection::send_101(std::string_view extra, std::string_view behind) {
  send(response_101(extra).append(behind));
}

void peer_connection::send_response(std::string_view status_line, std::string_view fields,
                                    std::string_view body) {
  std::string out(status_line);
  out += "\r\n";
  out += fields;
  out += "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n";
  out += body;
  send(out);
}

std::string peer_connection::handshake(std::string_view extra, std::string_view behind) {
  std::string head = read_request();
  send_101(extra, behind);
  return head;
}

void peer_connection::expect_eof() {
  bool reset = false;
  if (!unread_.empty() || fill(reset)) {
    fail("expected the end of the stream, the client sent " + std::to_string(unread_.size()) +
         " bytes");
  }
}

bool peer_connection::has_input() const {
  return !unread_.empty() || wait_for(fd_, POLLIN, std::chrono::milliseconds(0));
}

void peer_connection::truncate() {
  if (::shutdown(fd_, SHUT_WR) != 0 && errno != ENOTCONN) {
    fail_errno("shutdown");
  }
}

void peer_connection::close_fin() {
  if (tls_ != nullptr) {
    const std::lock_guard lock(sending_);
    const std::string goodbye = tls_->close_notify();
    (void)!::send(fd_, goodbye.data(), goodbye.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  }
  truncate();
}

void peer_connection::close_rst() {
  const linger at_once{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
  ::close(std::exchange(fd_, -1));
}

void peer_connection::close() {
  if (fd_ < 0) {
    return;
  }
  if (tls_ != nullptr) {
    const std::string goodbye = tls_->close_notify();
    (void)!::send(fd_, goodbye.data(), goodbye.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  }
  // Unread input would turn the FIN into an RST.
  std::array<char, 4096> block{};
  while (::recv(fd_, block.data(), block.size(), MSG_DONTWAIT) > 0) {
  }
  ::close(std::exchange(fd_, -1));
}

// scripted_peer

scripted_peer::scripted_peer(std::function<void(scripted_peer&)> script, const settings& how) {
  std::tie(fd_, port_) = bind_loopback();
  if (how.receive_buffer_bytes != 0) {
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &how.receive_buffer_bytes, sizeof(int));
  }
  if (how.send_buffer_bytes != 0) {
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDBUF, &how.send_buffer_bytes, sizeof(int));
  }
  if (::listen(fd_, how.backlog) != 0) {
    fail_errno("listen");
  }
  thread_ = std::thread([this, run = std::move(script)] {
    try {
      run(*this);
    } catch (const std::exception& thrown) {
      failure_ = thrown.what();
    }
    // The client must not wait for an answer that no script will send.
    ::close(std::exchange(fd_, -1));
  });
}

scripted_peer::~scripted_peer() {
  join();
}

void scripted_peer::join() {
  if (thread_.joinable()) {
    thread_.join();
    if (!failure_.empty()) {
      ADD_FAILURE() << failure_;
    }
  }
}

peer_connection scripted_peer::accept() {
  peer_connection accepted = accept_plain();
  if (tls_is_wanted()) {
    accepted.start_tls();
  }
  return accepted;
}

peer_connection scripted_peer::accept_plain() {
  if (!wait_for(fd_, POLLIN, peer_patience)) {
    fail("no client connected");
  }
  const int fd = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
  if (fd < 0) {
    fail_errno("accept");
  }
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  return peer_connection(fd);
}

// ports

refusing_port::refusing_port() {
  std::tie(fd_, port_) = bind_loopback();
}

refusing_port::~refusing_port() {
  ::close(fd_);
}

} // namespace sluice::test
