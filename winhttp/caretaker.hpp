#pragma once

#include <sluice/winhttp.h>

#include <chrono>

namespace sluice::winhttp {

class websocket;

/// A synchronous socket's place among those that the caretaker looks after.
struct care_link {
  websocket* of = nullptr; // nullptr: not looked after
  care_link* previous = nullptr;
  care_link* next = nullptr;
};

// The caretaker is a thread of the process that looks after synchronous sockets between the calls
// of the application: once a period it comes by those that were left alone since its last round,
// reads ahead, answers pings and sends keep-alives (CTL-03, CTL-08; websocket::look_after). Pongs
// that found no room when a Receive or Send tried go out in its rounds, too. It is started with the
// first such socket and ends in the first round that finds none, at most a period after the last.
// It calls nothing of the application.
//
// In the child of a fork() it is not there: sockets from before the fork are the parent's, and only
// those the child opens are looked after. From exit() on no socket is touched any more.

/// From now on `socket` is looked after, until leave_alone(). ERROR_NOT_ENOUGH_MEMORY: no thread to
/// be had.
[[nodiscard]] DWORD look_after(websocket& socket, care_link& link) noexcept;

/// Returns when the caretaker has left the socket, which takes as long as one visit, and does not
/// come back. Harmless for one that is not looked after.
void leave_alone(care_link& link) noexcept;

// For tests.

/// How often it comes by; decision::care_period unless set. Returns when the round in progress is
/// over; the next one begins a period from now.
void set_care_period(std::chrono::milliseconds period) noexcept;
/// True while the thread is there.
[[nodiscard]] bool is_caretaker_running() noexcept;

} // namespace sluice::winhttp
