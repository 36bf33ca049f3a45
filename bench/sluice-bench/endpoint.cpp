#include "endpoint.hpp"

#include "wire.hpp"

#include <array>
#include <charconv>
#include <cstdio>
#include <fcntl.h>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

namespace sluice_bench {
namespace {

constexpr std::size_t max_head_bytes = 16 * 1024;
constexpr int handshake_timeout_s = 10;
constexpr int handshake_timeout_ms = handshake_timeout_s * 1000;

std::uint16_t parse_port(std::string_view text, std::string_view whole) {
  unsigned port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || port == 0 || port > 65535) {
    throw failure("'" + std::string(whole) + "' has no port between 1 and 65535", exit_bad_use);
  }
  return static_cast<std::uint16_t>(port);
}

/// Splits host[:port], brackets around an IPv6 address removed.
void split_authority(std::string_view text, std::string_view whole, endpoint& into) {
  std::string_view host = text;
  std::string_view port;
  if (!text.empty() && text.front() == '[') {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) {
      throw failure("'" + std::string(whole) + "' has a bracket that does not end", exit_bad_use);
    }
    host = text.substr(1, close - 1);
    port = text.substr(close + 1);
  } else if (const std::size_t colon = text.rfind(':'); colon != std::string_view::npos) {
    host = text.substr(0, colon);
    port = text.substr(colon);
  }
  if (host.empty()) {
    throw failure("'" + std::string(whole) + "' names no host", exit_bad_use);
  }
  into.host = host;
  if (!port.empty()) {
    into.port = parse_port(port.front() == ':' ? port.substr(1) : std::string_view{}, whole);
  }
}

struct address_list_free {
  void operator()(addrinfo* list) const noexcept { freeaddrinfo(list); }
};
using address_list = std::unique_ptr<addrinfo, address_list_free>;

address_list resolve(const std::string& host, std::uint16_t port, int flags) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* list = nullptr;
  const int status = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list);
  if (status != 0) {
    throw failure("cannot resolve the host name '" + host + "': " + gai_strerror(status),
                  exit_bad_use);
  }
  return address_list(list);
}

void set_timeouts(int fd, int timeout_s) {
  const timeval limit{timeout_s, 0};
  (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

void send_all(byte_stream& with, std::string_view text) {
  while (!text.empty()) {
    const std::span<const std::byte> part = std::as_bytes(std::span(text));
    const ssize_t sent = with.write(std::span(&part, 1));
    if (sent < 0 && errno == EINTR) {
      continue;
    }
    if (sent < 0) { // a head that does not fit into an empty send buffer is lost, too
      throw system_failure("the peer left during the handshake");
    }
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
}

/// Reads up to the empty line that ends an HTTP head; what follows goes to `rest`.
std::string read_head(byte_stream& from, leftover& rest) {
  std::string head;
  while (true) {
    char chunk[4096];
    const ssize_t got = from.read(std::as_writable_bytes(std::span(chunk)));
    if (got < 0 && errno == EAGAIN) {
      wait_for_peer(from.fd(), handshake_timeout_ms);
      continue;
    }
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      throw system_failure("the peer left during the handshake");
    }
    if (got == 0) {
      throw failure(
          "the peer closed the connection during the handshake; is it a WebSocket server?");
    }
    head.append(chunk, static_cast<std::size_t>(got));
    const std::size_t end = head.find("\r\n\r\n");
    if (end != std::string::npos) {
      const auto bytes = std::as_bytes(std::span(head)).subspan(end + 4);
      rest.assign(bytes.begin(), bytes.end());
      head.resize(end + 2); // the last line keeps its end
      return head;
    }
    if (head.size() > max_head_bytes) {
      throw failure("the peer's handshake is over 16 KiB; is it a WebSocket server?");
    }
  }
}

} // namespace

std::string endpoint::authority() const {
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

endpoint parse_url(std::string_view url) {
  const bool secure = url.substr(0, 6) == "wss://";
  const std::string_view scheme = secure ? "wss://" : "ws://";
  if (url.substr(0, scheme.size()) != scheme) {
    throw failure("'" + std::string(url) + "' is not a ws:// or wss:// URL", exit_bad_use);
  }
  endpoint made;
  made.secure = secure;
  made.port = secure ? 443 : 80;
  const std::string_view rest = url.substr(scheme.size());
  const std::size_t slash = rest.find('/');
  split_authority(rest.substr(0, slash), url, made);
  if (slash != std::string_view::npos) {
    made.path = rest.substr(slash);
  }
  return made;
}

endpoint parse_host_port(std::string_view text) {
  endpoint made;
  split_authority(text, text, made);
  if (made.port == 0) {
    throw failure("'" + std::string(text) + "' must be host:port", exit_bad_use);
  }
  return made;
}

unique_fd listen_on(const std::string& host, std::uint16_t port) {
  const address_list addresses = resolve(host, port, AI_PASSIVE);
  int error_number = EADDRNOTAVAIL;
  for (const addrinfo* a = addresses.get(); a != nullptr; a = a->ai_next) {
    unique_fd fd(::socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol));
    const int on = 1;
    if (fd && ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        ::bind(fd.get(), a->ai_addr, a->ai_addrlen) == 0 && ::listen(fd.get(), 4096) == 0) {
      return fd;
    }
    error_number = errno;
  }
  const std::string where = host + ":" + std::to_string(port);
  if (error_number == EADDRINUSE) {
    throw failure(where + " is in use; choose another --port, or 0 for a free one", exit_bad_use);
  }
  throw system_failure("cannot listen on " + where, error_number, exit_bad_use);
}

std::uint16_t local_port(int fd) {
  sockaddr_storage address{};
  socklen_t bytes = sizeof address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &bytes) != 0) {
    throw system_failure("getsockname");
  }
  return ntohs(address.ss_family == AF_INET6
                   ? reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port
                   : reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
}

void announce_listening(const std::string& host, std::uint16_t port) {
  endpoint here;
  here.host = host;
  here.port = port;
  std::printf("listening on %s\n", here.authority().c_str());
  std::fflush(stdout);
}

byte_stream connect_websocket(const endpoint& server, const tls_client* tls, leftover& rest) {
  const address_list addresses = resolve(server.host, server.port, 0);
  unique_fd fd;
  int error_number = ECONNREFUSED;
  for (const addrinfo* a = addresses.get(); a != nullptr && !fd; a = a->ai_next) {
    unique_fd attempt(::socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol));
    if (!attempt) {
      error_number = errno;
      continue;
    }
    set_timeouts(attempt.get(), handshake_timeout_s);
    if (::connect(attempt.get(), a->ai_addr, a->ai_addrlen) == 0) {
      fd = std::move(attempt);
    } else {
      error_number = errno == EINPROGRESS ? ETIMEDOUT : errno;
    }
  }
  if (!fd) {
    throw system_failure("cannot connect to " + server.authority() +
                             (error_number == ECONNREFUSED ? " (start the server first)" : ""),
                         error_number);
  }
  byte_stream to(std::move(fd));
  if (server.secure) {
    to.start_tls(*tls, server.host, handshake_timeout_ms);
  }
  const std::string key = fresh_key();
  send_all(to, "GET " + server.path + " HTTP/1.1\r\nHost: " + server.authority() +
                   "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: " + key +
                   "\r\nSec-WebSocket-Version: 13\r\n\r\n");
  const std::string head = read_head(to, rest);
  if (head.rfind("HTTP/1.1 101", 0) != 0) {
    throw failure(server.authority() +
                  " refused the upgrade: " + head.substr(0, head.find("\r\n")));
  }
  if (header_value(head, "Sec-WebSocket-Accept") != accept_for(key)) {
    throw failure(server.authority() + " answered the upgrade with a wrong Sec-WebSocket-Accept");
  }
  return to;
}

void answer_upgrade(byte_stream& with, leftover& rest) {
  set_timeouts(with.fd(), handshake_timeout_s);
  const std::string answer = upgrade_answer(read_head(with, rest));
  if (answer.empty()) {
    send_all(with, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    throw failure("a client connected that does not ask for a WebSocket");
  }
  send_all(with, answer);
}

void make_fast_and_nonblocking(int fd) {
  const int on = 1;
  (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
    throw system_failure("fcntl");
  }
}

} // namespace sluice_bench
