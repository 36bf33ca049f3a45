#include "io/native_listener.hpp"

#include "io/system_error.hpp"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

namespace sluice::io {
namespace {

constexpr std::chrono::milliseconds retry_after{100};

bool is_shortage(int number) noexcept {
  return number == EMFILE || number == ENFILE || number == ENOMEM || number == ENOBUFS;
}

error listen_error(int number) noexcept {
  switch (number) {
  case EADDRINUSE:
  case EADDRNOTAVAIL:
  case EACCES:
    return error::cannot_listen;
  default:
    return error_from_errno(number);
  }
}

std::uint16_t port_of(const sockaddr_storage& bound) noexcept {
  if (bound.ss_family == AF_INET6) {
    return ntohs(reinterpret_cast<const sockaddr_in6&>(bound).sin6_port);
  }
  return ntohs(reinterpret_cast<const sockaddr_in&>(bound).sin_port);
}

} // namespace

error native_listener::open(event_loop& home, const listen_settings& settings,
                            connection_handler& handler, native_listener*& made) noexcept {
  char service[6] = {};
  std::to_chars(service, service + sizeof service - 1, settings.port);
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (settings.address == nullptr || settings.backlog < 1 ||
      ::getaddrinfo(settings.address, service, &hints, &found) != 0) {
    return error::invalid_argument;
  }
  sockaddr_storage address{};
  const socklen_t address_bytes = found->ai_addrlen;
  const int family = found->ai_family;
  std::memcpy(&address, found->ai_addr, std::min<std::size_t>(address_bytes, sizeof address));
  ::freeaddrinfo(found);

  const int fd = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) {
    return error_from_errno(errno);
  }
  const int on = 1;
  const int off = 0;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (family == AF_INET6) {
    ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  }
  socklen_t bound_bytes = sizeof address;
  error failed = error::none;
  if ((settings.reuse_port && ::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) ||
      ::bind(fd, reinterpret_cast<const sockaddr*>(&address), address_bytes) != 0 ||
      ::listen(fd, settings.backlog) != 0 ||
      ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &bound_bytes) != 0) {
    failed = listen_error(errno);
  }
  shared_settings* const shared = failed == error::none ? home.share(settings.connection) : nullptr;
  if (shared != nullptr) {
    made = memory::create<native_listener>(home, fd, port_of(address), *shared, handler);
    if (made != nullptr) {
      return error::none;
    }
    home.unshare(*shared);
  }
  ::close(fd);
  return failed != error::none ? failed : error::no_memory;
}

native_listener::native_listener(event_loop& home, int fd, std::uint16_t port,
                                 shared_settings& settings, connection_handler& handler) noexcept
    : home_(home), settings_(&settings), handler_(handler), port_(port) {
  accept_.socket = {fd, next_socket_id()};
  accept_.context = this;
  accept_.on_complete = [](operation& done) noexcept {
    static_cast<native_listener*>(done.context)->accepted();
  };
  retry_.context = this;
  retry_.on_expiry = [](timer& due) noexcept {
    static_cast<native_listener*>(due.context)->start();
  };
  home_.add(*this);
}

native_listener::~native_listener() {
  home_.timers().cancel(retry_);
  home_.remove(*this);
  home_.unshare(*settings_);
  ::close(accept_.socket.fd);
}

void native_listener::start() noexcept {
  if (!stopping_ && accept_.idle()) {
    home_.io().submit(accept_);
  }
}

void native_listener::stop() noexcept {
  if (stopping_) {
    return;
  }
  stopping_ = true;
  ::shutdown(accept_.socket.fd, SHUT_RD); // nobody new while the accept is being cancelled
  if (!accept_.idle()) {
    home_.io().cancel(accept_);
  }
  home_.note_stopped_listener();
}

error native_listener::replace_tls(const tls_config& replacement) noexcept {
  if (!replacement || !replacement.is_server()) {
    return error::invalid_argument;
  }
  if (stopping_ || !settings_->values.tls) {
    return error::invalid_state;
  }
  connection_settings changed = settings_->values;
  changed.tls = replacement;
  shared_settings* const shared = home_.share(changed);
  if (shared == nullptr) {
    return error::no_memory;
  }
  home_.unshare(*settings_);
  settings_ = shared;
  return error::none;
}

void native_listener::accepted() noexcept {
  if (accept_.result >= 0) {
    connection* made = nullptr;
    if (stopping_ ||
        home_.start_server(accept_.result, {}, *settings_, handler_, made) != error::none) {
      ::close(accept_.result);
    } else {
      ++home_.counters().connections_accepted;
    }
  } else if (is_shortage(-accept_.result) && !stopping_) {
    home_.log(log_level::warning, "cannot accept", 0, error_from_errno(-accept_.result));
    home_.timers().arm(retry_, home_.now(), retry_after);
    return;
  }
  // Anything else was about the connection that is gone (ECONNABORTED and the like).
  if (stopping_) {
    home_.note_stopped_listener();
  } else {
    start();
  }
}

} // namespace sluice::io
