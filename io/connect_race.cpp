#include "io/connect_race.hpp"

#include "core/memory.hpp"
#include "io/event_loop.hpp"
#include "io/native_connection.hpp"
#include "io/system_error.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace sluice::io {

bool connect_race::start(event_loop& home, native_connection& asker, addrinfo* addresses) noexcept {
  connect_race* const made = memory::create<connect_race>(home, asker, addresses);
  if (made == nullptr) {
    return false;
  }
  asker.racing(made);
  made->start_next();
  return true;
}

connect_race::connect_race(event_loop& home, native_connection& asker, addrinfo* addresses) noexcept
    : home_(home), asker_(&asker), addresses_(addresses), order_(addresses) {
  stagger_.context = this;
  stagger_.on_expiry = [](timer& due) noexcept {
    static_cast<connect_race*>(due.context)->start_next();
  };
}

connect_race::~connect_race() {
  ::freeaddrinfo(addresses_);
}

error connect_race::start_attempt(const addrinfo& to) noexcept {
  const int fd = ::socket(to.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, to.ai_protocol);
  if (fd < 0) {
    return connect_error_from_errno(errno);
  }
  attempt* const made = memory::create<attempt>();
  if (made == nullptr) {
    ::close(fd);
    return error::no_memory;
  }
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  // A backend knows a socket by fd and id, and this one may get the descriptor of a former one.
  made->op.socket = {fd, next_socket_id()};
  std::memcpy(&made->op.address, to.ai_addr, to.ai_addrlen);
  made->op.address_bytes = to.ai_addrlen;
  made->op.context = this;
  made->op.on_complete = [](operation& done) noexcept {
    auto& self = *static_cast<connect_race*>(done.context);
    attempt* ended = self.attempts_;
    while (&ended->op != &done) {
      ended = ended->next;
    }
    self.settle(*ended);
  };
  made->next = std::exchange(attempts_, made);
  home_.io().submit(made->op);
  return error::none;
}

void connect_race::start_next() noexcept {
  home_.timers().cancel(stagger_);
  while (const addrinfo* const to = order_.next()) {
    const error failed = start_attempt(*to);
    if (failed == error::none) {
      home_.timers().arm(stagger_, home_.now(), connect_stagger);
      return;
    }
    failed_ = failed;
  }
  if (attempts_ == nullptr) {
    tell_failure();
  }
}

void connect_race::settle(attempt& ended) noexcept {
  attempt** link = &attempts_;
  while (*link != &ended) {
    link = &(*link)->next;
  }
  *link = ended.next;
  const std::int32_t result = ended.op.result;
  const socket_ref socket = ended.op.socket;
  memory::destroy(&ended);
  if (result != 0 || asker_ == nullptr) {
    ::close(socket.fd);
  }
  if (asker_ == nullptr) {
    if (attempts_ == nullptr) {
      memory::destroy(this);
    }
  } else if (result == 0) {
    native_connection& asker = *asker_;
    call_off(); // the others; may be the end of this object
    asker.connected(socket);
  } else {
    failed_ = connect_error_from_errno(-result);
    start_next(); // RFC 8305 section 5: do not wait after a failure
  }
}

void connect_race::call_off() noexcept {
  asker_ = nullptr;
  home_.timers().cancel(stagger_);
  for (attempt* at = attempts_; at != nullptr; at = at->next) {
    home_.io().cancel(at->op);
  }
  if (attempts_ == nullptr) {
    memory::destroy(this);
  }
}

void connect_race::tell_failure() noexcept {
  native_connection& asker = *asker_;
  const error failed = failed_;
  call_off();
  asker.not_connected(failed);
}

} // namespace sluice::io
