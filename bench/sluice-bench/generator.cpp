#include "generator.hpp"

#include "wire.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

namespace sluice_bench {
namespace {

constexpr std::uint64_t close_timeout_ns = 1'000'000'000;

/// The text message REPORT. Its masking key is not all zero, so that nobody gets away with not
/// unmasking it.
std::vector<std::byte> report_frame(bool masked) {
  return text_frame("REPORT", masked, 0x3d2c1b0au);
}

} // namespace

generator::generator(const load_settings& settings, const process_clock& receiver,
                     const stop_request& stop, progress& shown)
    : settings_(settings), stream_(settings.traffic), receiver_(receiver), stop_(stop),
      shown_(shown), report_(report_frame(settings.traffic.masked)),
      stall_ns_(static_cast<std::uint64_t>(settings.stall_seconds * 1e9)),
      one_cpu_(online_cpu_count() < 2) {
  epoll_ = unique_fd(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_) {
    throw system_failure("epoll_create1");
  }
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = stop_index;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, stop_.fd(), &event) != 0) {
    throw system_failure("epoll_ctl");
  }
}

void generator::open() {
  allow_open_files(settings_.connection_count + 64);
  slots_.reserve(settings_.connection_count);
  if (settings_.server.secure) {
    tls_.emplace(settings_.tls);
  }
  unique_fd listener;
  if (settings_.listen) {
    listener = listen_on(settings_.server.host, settings_.server.port);
    announce_listening(settings_.server.host, local_port(listener.get()));
  }
  while (slots_.size() < settings_.connection_count) {
    leftover rest;
    byte_stream peer;
    if (settings_.listen) {
      std::array<pollfd, 2> waiting{{{listener.get(), POLLIN, 0}, {stop_.fd(), POLLIN, 0}}};
      if (poll(waiting.data(), waiting.size(), -1) < 0 && errno != EINTR) {
        throw system_failure("poll");
      }
      if (stop_.made()) {
        throw failure("interrupted", exit_interrupted);
      }
      unique_fd fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!fd) {
        continue;
      }
      peer = byte_stream(std::move(fd));
      answer_upgrade(peer, rest);
    } else {
      peer = connect_websocket(settings_.server, tls_ ? &*tls_ : nullptr, rest);
    }
    if (stop_.made()) {
      throw failure("interrupted", exit_interrupted);
    }
    add(std::move(peer), rest);
  }
}

void generator::add(byte_stream peer, const leftover& rest) {
  make_fast_and_nonblocking(peer.fd());
  slots_.push_back(
      slot{load_connection(std::move(peer), slots_.size(), stream_, settings_.traffic.masked),
           0,
           false,
           false,
           false,
           {}});
  slots_.back().connection.take(rest);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = slots_.size() - 1;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, slots_.back().connection.fd(), &event) != 0) {
    throw system_failure("epoll_ctl");
  }
}

void generator::want_write(std::size_t index, bool wanted) {
  slot& s = slots_[index];
  if (s.writing == wanted) {
    return;
  }
  s.writing = wanted;
  epoll_event event{};
  event.events = wanted ? EPOLLIN | EPOLLOUT : EPOLLIN;
  event.data.u64 = index;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, s.connection.fd(), &event) != 0) {
    throw system_failure("epoll_ctl");
  }
}

/// Splits `messages` over the connections; the first ones get one more where it does not divide.
void generator::set_limits(std::uint64_t messages) {
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    load_connection& c = slots_[i].connection;
    const std::uint64_t share = messages / slots_.size() + (i < messages % slots_.size() ? 1u : 0u);
    c.set_limit(stream_.end_of(stream_.messages_before(c.position()) + share));
  }
}

void generator::stop_at_next_message() {
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    load_connection& c = slots_[i].connection;
    c.set_limit(std::min(c.limit(), stream_.message_end_at_or_after(c.position())));
    write_turn(i);
    check_finished(i);
  }
}

void generator::write_turn(std::size_t index) {
  slot& s = slots_[index];
  load_connection& c = s.connection;
  const std::uint64_t before = c.position();
  std::uint64_t target = no_limit;
  if (settings_.turn_messages != 0) {
    target = stream_.end_of(stream_.messages_before(before) + settings_.turn_messages);
  } else if (before <= no_limit - settings_.turn_bytes) {
    target = before + settings_.turn_bytes;
  }
  (void)c.write(target);
  if (c.position() == c.limit() && !s.report_queued && settings_.expect == expectation::report &&
      !settings_.ping_pong) {
    s.report_queued = true;
    c.queue(report_);
    (void)c.write(target);
  }
  moved_bytes_ += c.position() - before;
  want_write(index, c.wants_to_write());
}

void generator::read_all(std::size_t index) {
  slot& s = slots_[index];
  while (const std::size_t got = s.connection.read()) {
    moved_bytes_ += got;
    if (got < 64 * 1024) {
      break;
    }
  }
  if (timing_echoes_) {
    const std::uint64_t now = now_ns();
    for (; s.echoes_before < s.connection.replies().messages(); ++s.echoes_before) {
      if (!s.sent_at.empty()) {
        round_trip_ns_.record(now - s.sent_at.front());
        s.sent_at.pop_front();
      }
    }
  }
  if (s.connection.wants_to_write()) { // a pong
    want_write(index, true);
  }
}

void generator::check_report(slot& s, const std::string& text) {
  const load_connection& c = s.connection;
  const std::uint64_t messages = stream_.messages_before(c.position());
  const std::uint64_t payload = stream_.payload_of(messages);
  // Receivers that do not parse count wire bytes and say so.
  const std::string wanted = std::to_string(messages) + " " + std::to_string(payload);
  const std::string wanted_wire = "wire " + std::to_string(c.position());
  if (text != wanted && text != wanted_wire) {
    throw failure("counts differ: sent '" + wanted +
                  "' (messages, payload bytes), the receiver "
                  "reports '" +
                  text + "'");
  }
}

void generator::check_finished(std::size_t index) {
  slot& s = slots_[index];
  if (!confirming_ || s.finished || s.connection.limit() == no_limit ||
      s.connection.wants_to_write() || s.connection.position() < s.connection.limit()) {
    return;
  }
  switch (settings_.expect) {
  case expectation::report:
    if (!s.connection.replies().has_text()) {
      return;
    }
    check_report(s, s.connection.replies().take_text());
    break;
  case expectation::echo: {
    const reply_reader& replies = s.connection.replies();
    const std::uint64_t messages = stream_.messages_before(s.connection.position());
    if (replies.messages() < messages) {
      return;
    }
    if (replies.messages() > messages || replies.payload_bytes() != stream_.payload_of(messages)) {
      throw failure("echoes differ from what was sent: " + std::to_string(replies.messages()) +
                    " messages of " + std::to_string(replies.payload_bytes()) +
                    " bytes came back, not " + std::to_string(messages) + " of " +
                    std::to_string(stream_.payload_of(messages)));
    }
    break;
  }
  case expectation::none:
    break;
  }
  s.finished = true;
  --unfinished_;
}

/// Serves what epoll has; false when there was nothing.
bool generator::poll_events(int timeout_ms) {
  std::array<epoll_event, 256> events;
  const int count =
      epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), timeout_ms);
  if (count < 0) {
    if (errno != EINTR) {
      throw system_failure("epoll_wait");
    }
    return false;
  }
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
    if (events[i].data.u64 == stop_index) {
      // From here on the phase ends as if its time were up, but with little patience.
      interrupted_ = true;
      stall_ns_ = std::min(stall_ns_, interrupted_stall_ns);
      (void)epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, stop_.fd(), nullptr);
      continue;
    }
    const std::size_t index = static_cast<std::size_t>(events[i].data.u64);
    if ((events[i].events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0) {
      read_all(index);
    }
    if ((events[i].events & EPOLLOUT) != 0) {
      write_turn(index);
    }
    check_finished(index);
  }
  return count != 0;
}

void generator::note_progress(std::uint64_t now) {
  if (moved_bytes_ != moved_seen_) {
    moved_seen_ = moved_bytes_;
    last_progress_ns_ = now;
  } else if (now - last_progress_ns_ > stall_ns_) {
    if (interrupted_) {
      throw failure("interrupted", exit_interrupted);
    }
    throw failure("nothing moved for " + std::to_string(stall_ns_ / 1'000'000'000) +
                  " s: the receiver does not read, or does not answer");
  }
  if (shown_.due(now)) {
    std::uint64_t messages = 0;
    std::uint64_t bytes = 0;
    for (const slot& s : slots_) {
      messages += stream_.messages_before(s.connection.position());
      bytes += s.connection.position();
    }
    const double elapsed = seconds(now - phase_begin_ns_);
    char text[128];
    std::snprintf(text, sizeof text, "%.1f s: %llu messages sent, %.0f MB/s", elapsed,
                  static_cast<unsigned long long>(messages),
                  static_cast<double>(bytes - phase_begin_bytes_) * 1e-6 /
                      (elapsed > 0 ? elapsed : 1));
    shown_.update(text, now);
  }
}

void generator::close() {
  std::vector<pollfd> open;
  for (slot& s : slots_) {
    s.connection.begin_close();
    open.push_back({s.connection.fd(), POLLIN, 0});
  }
  const std::uint64_t deadline = now_ns() + close_timeout_ns;
  std::size_t left = slots_.size();
  while (left != 0 && now_ns() < deadline && !stop_.made()) {
    if (poll(open.data(), open.size(), 100) < 0) {
      break;
    }
    for (std::size_t i = 0; i < open.size(); ++i) {
      if (open[i].fd >= 0 && open[i].revents != 0 && slots_[i].connection.read_to_end()) {
        open[i].fd = -1;
        --left;
      }
    }
  }
}

} // namespace sluice_bench
