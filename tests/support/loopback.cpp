#include "support/loopback.hpp"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace sluice::test {
namespace {

// A test that cannot have a socket cannot say anything.
void require(bool holds, const char* what) {
  if (!holds) {
    std::perror(what);
    std::abort();
  }
}

struct any_address {
  sockaddr_storage storage{};
  socklen_t size = 0;

  any_address(const char* text, std::uint16_t port) {
    auto* const v4 = reinterpret_cast<sockaddr_in*>(&storage);
    auto* const v6 = reinterpret_cast<sockaddr_in6*>(&storage);
    if (::inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
      v4->sin_family = AF_INET;
      v4->sin_port = htons(port);
      size = sizeof *v4;
    } else {
      require(::inet_pton(AF_INET6, text, &v6->sin6_addr) == 1, "inet_pton");
      v6->sin6_family = AF_INET6;
      v6->sin6_port = htons(port);
      size = sizeof *v6;
    }
  }
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

} // namespace

void unique_fd::reset() noexcept {
  if (fd_ >= 0) {
    ::close(std::exchange(fd_, -1));
  }
}

listener::listener(const char* address, std::uint16_t wanted_port, int backlog) {
  const any_address at(address, wanted_port);
  socket = unique_fd(::socket(at.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (socket.get() < 0 || ::bind(socket.get(), at.get(), at.size) != 0 ||
      ::listen(socket.get(), backlog) != 0) {
    return; // no such address or family here
  }
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  require(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&bound), &size) == 0,
          "getsockname");
  port = ntohs(bound.ss_family == AF_INET ? reinterpret_cast<sockaddr_in&>(bound).sin_port
                                          : reinterpret_cast<sockaddr_in6&>(bound).sin6_port);
  ok = true;
}

unique_fd listener::accept() const {
  unique_fd accepted(::accept4(socket.get(), nullptr, nullptr, SOCK_CLOEXEC));
  require(accepted.get() >= 0, "accept");
  const int on = 1;
  ::setsockopt(accepted.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return accepted;
}

unique_fd connect_to(const listener& server) {
  unique_fd made(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const any_address to("127.0.0.1", server.port);
  require(::connect(made.get(), to.get(), to.size) == 0, "connect");
  const int on = 1;
  ::setsockopt(made.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return made;
}

loopback::loopback() {
  const listener at;
  require(at.ok, "listen");
  ours = connect_to(at);
  peer = at.accept();
}

silent_port::silent_port(const char* address, std::uint16_t port) : listener_(address, port, 0) {
  const any_address to(address, listener_.port);
  for (int& fd : waiting_) {
    fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    (void)::connect(fd, to.get(), to.size);
  }
  // The first ones fill the queue; SYNs are answered in order, so the last one never is.
  pollfd first{waiting_[0], POLLOUT, 0};
  require(::poll(&first, 1, 10'000) == 1, "poll");
}

silent_port::~silent_port() {
  for (const int fd : waiting_) {
    ::close(fd);
  }
}

bool send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t taken = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (taken < 0 && errno == EINTR) {
      continue;
    }
    if (taken <= 0) {
      return false;
    }
    bytes.remove_prefix(static_cast<std::size_t>(taken));
  }
  return true;
}

std::string receive_exactly(int fd, std::size_t count) {
  std::string all(count, '\0');
  std::size_t got = 0;
  while (got < count) {
    const ssize_t more = ::recv(fd, all.data() + got, count - got, 0);
    if (more < 0 && errno == EINTR) {
      continue;
    }
    if (more <= 0) {
      break;
    }
    got += static_cast<std::size_t>(more);
  }
  all.resize(got);
  return all;
}

std::string receive_all(int fd) {
  std::string all;
  for (;;) {
    const std::string more = receive_exactly(fd, 65536);
    all += more;
    if (more.size() < 65536) {
      return all;
    }
  }
}

void reset_connection(unique_fd& fd) {
  const linger at_once{1, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  fd.reset();
}

void shrink_send_buffer(int fd, int bytes) {
  ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

std::size_t fill_send_buffer(int fd) {
  const std::string block(65536, 'x');
  std::size_t sent = 0;
  for (;;) {
    const ssize_t taken = ::send(fd, block.data(), block.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (taken <= 0) {
      pollfd at{fd, POLLOUT, 0};
      if (::poll(&at, 1, 0) == 0) {
        return sent;
      }
      continue;
    }
    sent += static_cast<std::size_t>(taken);
  }
}

std::string pattern(std::size_t count, unsigned seed) {
  std::string bytes(count, '\0');
  std::uint32_t state = seed * 2654435761U + 1;
  for (char& byte : bytes) {
    state = state * 1664525U + 1013904223U;
    byte = static_cast<char>(state >> 24);
  }
  return bytes;
}

std::size_t open_descriptors() {
  DIR* const list = ::opendir("/proc/self/fd");
  require(list != nullptr, "/proc/self/fd");
  std::size_t count = 0;
  while (const dirent* const entry = ::readdir(list)) {
    count += entry->d_name[0] != '.' ? 1 : 0;
  }
  ::closedir(list);
  return count - 1; // without that of the list
}

bool becomes_readable(int fd, int within_ms) {
  pollfd at{fd, POLLIN, 0};
  return ::poll(&at, 1, within_ms) == 1;
}

int in_child(const std::function<int()>& body) {
  const pid_t child = ::fork();
  require(child >= 0, "fork");
  if (child == 0) {
    ::signal(SIGALRM, SIG_DFL);
    ::alarm(30); // a child that hangs fails the test and outlives nobody
    ::_exit(body());
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

} // namespace sluice::test
