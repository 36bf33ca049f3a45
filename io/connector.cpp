#include "io/connector.hpp"

#include "core/memory.hpp"
#include "io/address_order.hpp"
#include "io/resolver.hpp"
#include "io/system_error.hpp"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace sluice::io {
namespace {

struct attempt {
  connect_op op;
  time_point give_up = no_deadline;
  bool gave_up = false;

  [[nodiscard]] bool started() const noexcept { return op.socket.fd >= 0; }
};

void close_socket(attempt& of) noexcept {
  if (of.started()) {
    ::close(of.op.socket.fd);
    of.op.socket = {};
  }
}

struct address_text {
  char text[NI_MAXHOST] = {};

  explicit address_text(const connect_op& op) noexcept {
    if (::getnameinfo(reinterpret_cast<const sockaddr*>(&op.address), op.address_bytes, text,
                      sizeof text, nullptr, 0, NI_NUMERICHOST) != 0) {
      text[0] = '\0';
    }
  }
};

/// Races the addresses of one host. Attempts are numbered in the order in which they start.
class race {
public:
  race(loop& on, std::chrono::milliseconds timeout, const connect_observer* observer) noexcept
      : on_(on), timeout_(timeout), observer_(observer) {}
  ~race() { call_off(); }
  race(const race&) = delete;
  race& operator=(const race&) = delete;

  [[nodiscard]] bool add_addresses(const addrinfo* first) noexcept;
  [[nodiscard]] const attempt* first() const noexcept {
    return count_ > 0 ? &attempts_[0] : nullptr;
  }
  [[nodiscard]] error run(cancel_source* cancel, stream& connected) noexcept;

private:
  static bool turn_over(void* self) noexcept;

  void start_next() noexcept;
  void settle(attempt& ended) noexcept;
  void give_up_late_ones(time_point now) noexcept;
  [[nodiscard]] time_point next_deadline() const noexcept;
  void note(error failed) noexcept;
  void call_off() noexcept;

  loop& on_;
  std::chrono::milliseconds timeout_;
  const connect_observer* observer_;
  attempt* attempts_ = nullptr;
  std::size_t count_ = 0;
  std::size_t started_ = 0;
  std::size_t settled_ = 0;
  attempt* winner_ = nullptr;
  time_point start_next_at_ = no_deadline;
  error failed_ = error::none;
};

bool race::add_addresses(const addrinfo* first) noexcept {
  std::size_t room = 0;
  for (const addrinfo* at = first; at != nullptr && room < max_connect_addresses;
       at = at->ai_next) {
    ++room;
  }
  attempts_ = static_cast<attempt*>(memory::allocate(room * sizeof(attempt)));
  if (attempts_ == nullptr) {
    return false;
  }
  address_order ordered(first);
  while (const addrinfo* const at = ordered.next()) {
    attempt* const made = ::new (static_cast<void*>(&attempts_[count_])) attempt;
    std::memcpy(&made->op.address, at->ai_addr, at->ai_addrlen);
    made->op.address_bytes = at->ai_addrlen;
    ++count_;
  }
  return true;
}

void race::note(error failed) noexcept {
  // What stops us is told before what stopped the network, and a refusal before silence.
  const auto weight = [](error e) noexcept {
    switch (e) {
    case error::none:
      return 0;
    case error::timed_out:
      return 1;
    case error::cannot_connect:
      return 2;
    default:
      return 3;
    }
  };
  if (weight(failed) > weight(failed_)) {
    failed_ = failed;
  }
}

void race::settle(attempt& ended) noexcept {
  ++settled_;
  if (ended.op.result == 0 && winner_ == nullptr) {
    winner_ = &ended;
    return;
  }
  if (ended.op.result != 0) {
    note(ended.gave_up ? error::timed_out : connect_error_from_errno(-ended.op.result));
  }
  close_socket(ended);
  start_next_at_ = time_point::min(); // RFC 8305 section 5: do not wait after a failure
}

void race::start_next() noexcept {
  // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): called while started_ < count_
  attempt& next = attempts_[started_++];
  const time_point now = on_.io().now();
  start_next_at_ = now + connect_stagger;
  const int fd =
      ::socket(next.op.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
  if (fd < 0) {
    next.op.result = -errno;
    settle(next);
    return;
  }
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  next.op.socket = {fd, next_socket_id()};
  next.give_up = timeout_.count() > 0 ? now + timeout_ : no_deadline;
  next.op.context = this;
  next.op.on_complete = [](operation& done) noexcept {
    auto& self = *static_cast<race*>(done.context);
    auto& op = static_cast<connect_op&>(done);
    for (std::size_t i = 0; i < self.started_; ++i) {
      if (&self.attempts_[i].op == &op) {
        self.settle(self.attempts_[i]);
      }
    }
  };
  if (observer_ != nullptr && observer_->connecting != nullptr) {
    observer_->connecting(observer_->context, address_text(next.op).text);
  }
  on_.io().submit(next.op);
}

void race::give_up_late_ones(time_point now) noexcept {
  for (std::size_t i = 0; i < started_; ++i) {
    // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): started_ <= count_
    attempt& late = attempts_[i];
    if (!late.op.idle() && !late.gave_up && now >= late.give_up) {
      late.gave_up = true;
      on_.io().cancel(late.op);
    }
  }
}

time_point race::next_deadline() const noexcept {
  time_point next = started_ < count_ ? start_next_at_ : no_deadline;
  for (std::size_t i = 0; i < started_; ++i) {
    if (!attempts_[i].op.idle() && !attempts_[i].gave_up) {
      next = std::min(next, attempts_[i].give_up);
    }
  }
  return next;
}

bool race::turn_over(void* self) noexcept {
  const race& of = *static_cast<race*>(self);
  return of.winner_ != nullptr || of.settled_ == of.count_ ||
         (of.started_ < of.count_ && of.start_next_at_ == time_point::min());
}

error race::run(cancel_source* cancel, stream& connected) noexcept {
  start_next_at_ = time_point::min();
  while (winner_ == nullptr && settled_ < count_) {
    const time_point now = on_.io().now();
    if (started_ < count_ && now >= start_next_at_) {
      start_next();
      continue;
    }
    give_up_late_ones(now);
    const error ended = on_.run_until(&turn_over, this, next_deadline(), cancel);
    if (ended != error::none && ended != error::timed_out) {
      return ended;
    }
  }
  if (winner_ == nullptr) {
    return failed_ != error::none ? failed_ : error::cannot_connect;
  }
  if (observer_ != nullptr && observer_->connected != nullptr) {
    observer_->connected(observer_->context, address_text(winner_->op).text);
  }
  connected = stream(std::exchange(winner_->op.socket, {}).fd);
  return error::none;
}

void race::call_off() noexcept {
  for (std::size_t i = 0; i < started_; ++i) {
    if (!attempts_[i].op.idle()) {
      on_.io().cancel(attempts_[i].op);
    }
  }
  for (std::size_t i = 0; i < started_; ++i) {
    // Cancelled above: this only waits for the kernel to let go of it.
    [[maybe_unused]] const error ended = on_.run_until_idle(attempts_[i].op, no_deadline, nullptr);
    close_socket(attempts_[i]);
  }
  memory::release(attempts_);
}

} // namespace

error connect(loop& on, const connect_target& target, const connect_timeouts& timeouts,
              cancel_source* cancel, const connect_observer* observer, stream& connected) noexcept {
  if (observer != nullptr && observer->resolving != nullptr) {
    observer->resolving(observer->context, target.host != nullptr ? target.host : "");
  }
  const time_point deadline =
      timeouts.resolve.count() > 0 ? on.io().now() + timeouts.resolve : no_deadline;
  resolved_addresses addresses;
  if (const error e = resolve(on, target.host, target.port, deadline, cancel, addresses);
      e != error::none) {
    return e;
  }
  return connect_to_first(on, addresses.first(), timeouts, cancel, observer, connected);
}

error connect_to_first(loop& on, const addrinfo* addresses, const connect_timeouts& timeouts,
                       cancel_source* cancel, const connect_observer* observer,
                       stream& connected) noexcept {
  race contest(on, timeouts.connect, observer);
  if (!contest.add_addresses(addresses)) {
    return error::no_memory;
  }
  if (contest.first() != nullptr && observer != nullptr && observer->resolved != nullptr) {
    observer->resolved(observer->context, address_text(contest.first()->op).text);
  }
  return contest.run(cancel, connected);
}

} // namespace sluice::io
