#pragma once

#include "core/error.hpp"
#include "core/memory.hpp"
#include "io/address_order.hpp"
#include "io/operation.hpp"
#include "io/timer_wheel.hpp"

#include <netdb.h>

namespace sluice::io {

class event_loop;
class native_connection;

/// How a client of an event loop gets its socket: the addresses of a host race, both families in
/// turn, one started after the other (io/address_order.hpp); the first that answers wins. Lives
/// until the kernel is done with its last attempt, which may be after the connection that asked and
/// is at the latest when the backend of the loop goes.
class connect_race {
public:
  /// Takes over `addresses`, which is not empty. The asker is told by connected() or
  /// not_connected(), at once if no attempt can be started. False when out of memory: the addresses
  /// stay the caller's.
  [[nodiscard]] static bool start(event_loop& home, native_connection& asker,
                                  addrinfo* addresses) noexcept;
  /// The asker does not want it any more, and is not told anything.
  void call_off() noexcept;

  connect_race(event_loop& home, native_connection& asker, addrinfo* addresses) noexcept;
  connect_race(const connect_race&) = delete;
  connect_race& operator=(const connect_race&) = delete;

private:
  struct attempt {
    connect_op op;
    attempt* next = nullptr;
  };

  ~connect_race();
  template <typename T> friend void memory::destroy(T*) noexcept;

  [[nodiscard]] error start_attempt(const addrinfo& to) noexcept;
  void start_next() noexcept;
  void settle(attempt& ended) noexcept;
  void tell_failure() noexcept;

  event_loop& home_;
  native_connection* asker_; // nullptr: told, or called off
  addrinfo* addresses_;
  address_order order_;
  attempt* attempts_ = nullptr; // the kernel's
  error failed_ = error::cannot_connect;
  timer stagger_;
};

} // namespace sluice::io
