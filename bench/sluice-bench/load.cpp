#include "load.hpp"

#include "generator.hpp"

#include <algorithm>
#include <array>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>

namespace sluice_bench {
namespace {

// Longer gaps between paced messages are slept through up to this margin, shorter ones spun.
constexpr std::uint64_t spin_margin_ns = 100'000;
constexpr long settle_ns = 200'000;

} // namespace

void generator::flat_out(std::uint64_t deadline) {
  confirming_ = true;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    want_write(i, true);
  }
  bool ending = false;
  while (unfinished_ != 0) {
    (void)poll_events(100);
    const std::uint64_t now = now_ns();
    note_progress(now);
    if (!ending && (now >= deadline || interrupted_)) {
      ending = true;
      stop_at_next_message();
    }
  }
}

void generator::wait_until(std::uint64_t due) {
  while (!interrupted_) {
    const std::uint64_t now = now_ns();
    if (now >= due) {
      return;
    }
    note_progress(now);
    const std::uint64_t left = due - now;
    const std::uint64_t margin = one_cpu_ ? 0 : spin_margin_ns;
    if (left > margin + 1'000'000) {
      last_progress_ns_ = now; // nothing is expected to move while nothing is sent
      (void)poll_events(
          static_cast<int>(std::min<std::uint64_t>((left - margin) / 1'000'000, 100)));
    } else if (timing_echoes_ || left > 20'000) {
      (void)poll_events(0);
    } else if (one_cpu_) {
      sched_yield();
    }
  }
}

void generator::send_whole_message(std::size_t index) {
  load_connection& c = slots_[index].connection;
  const std::uint64_t before = c.position();
  const std::uint64_t target = stream_.end_of(stream_.messages_before(before) + 1);
  c.set_limit(target);
  while (!c.write(target) || c.position() < target) {
    pollfd waiting{c.fd(), POLLIN | POLLOUT, 0};
    (void)poll(&waiting, 1, 100);
    if ((waiting.revents & ~POLLOUT) != 0) {
      read_all(index);
    }
    moved_bytes_ += c.position() - before;
    note_progress(now_ns());
  }
  moved_bytes_ += c.position() - before;
}

void generator::paced(std::uint64_t deadline, std::uint64_t messages) {
  const double interval = 1e9 / settings_.rate;
  const std::uint64_t begin = now_ns();
  timing_echoes_ = settings_.expect == expectation::echo;
  for (slot& s : slots_) {
    s.connection.set_limit(s.connection.position());
  }
  for (std::uint64_t i = 0; messages == 0 || i < messages; ++i) {
    // Lateness is made up for and counted: a message is timed from when it was due.
    const std::uint64_t due = begin + static_cast<std::uint64_t>(static_cast<double>(i) * interval);
    if (due >= deadline) {
      break;
    }
    wait_until(due);
    if (interrupted_) {
      break;
    }
    const std::size_t index = static_cast<std::size_t>(i % slots_.size());
    if (timing_echoes_) {
      slots_[index].sent_at.push_back(due);
    }
    send_whole_message(index);
    if (i % 64 == 63) { // a stream of late messages must not starve what comes back
      (void)poll_events(0);
      note_progress(now_ns());
    }
  }
  confirm();
  timing_echoes_ = false;
}

/// Every connection stands at its limit: collects what is still to come back.
void generator::confirm() {
  confirming_ = true;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    write_turn(i);
    check_finished(i);
  }
  while (unfinished_ != 0) {
    (void)poll_events(100);
    note_progress(now_ns());
  }
}

/// One message under way on each connection; the next one leaves when its echo is complete.
void generator::ping_pong(std::uint64_t deadline) {
  const bool sleep = settings_.sleep || one_cpu_;
  std::vector<std::uint64_t> left(slots_.size(), ~std::uint64_t{0});
  std::size_t active = slots_.size();
  const auto send_next = [&](std::size_t i) {
    slots_[i].sent_at.assign(1, now_ns());
    send_whole_message(i);
  };
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    slot& s = slots_[i];
    if (s.connection.limit() != no_limit) {
      left[i] = stream_.messages_before(s.connection.limit()) -
                stream_.messages_before(s.connection.position());
    }
    s.echoes_before = s.connection.replies().messages();
    if (left[i] == 0) {
      --active;
    } else {
      send_next(i);
    }
  }
  std::uint64_t turns = 0;
  while (active != 0) {
    if (sleep) {
      std::array<epoll_event, 1> event;
      (void)epoll_wait(epoll_.get(), event.data(), 1, 100);
    }
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      slot& s = slots_[i];
      if (left[i] == 0) {
        continue;
      }
      moved_bytes_ += s.connection.read();
      if (s.connection.replies().messages() == s.echoes_before) {
        continue;
      }
      const std::uint64_t now = now_ns();
      round_trip_ns_.record(now - s.sent_at.front());
      s.echoes_before = s.connection.replies().messages();
      if (--left[i] == 0 || now >= deadline || interrupted_) {
        left[i] = 0;
        --active;
        continue;
      }
      send_next(i);
    }
    if (sleep || ++turns % 256 == 0) {
      interrupted_ = interrupted_ || stop_.made();
      if (interrupted_) {
        stall_ns_ = std::min(stall_ns_, interrupted_stall_ns);
      }
      note_progress(now_ns());
    }
  }
  confirm();
}

load_result generator::run_phase(double run_seconds, std::uint64_t messages) {
  unfinished_ = slots_.size();
  confirming_ = false;
  round_trip_ns_ = histogram{};
  std::uint64_t begin_messages = 0;
  std::uint64_t begin_payload = 0;
  phase_begin_bytes_ = 0;
  const auto total = [this](std::uint64_t& sent, std::uint64_t& payload, std::uint64_t& wire) {
    for (const slot& s : slots_) {
      const std::uint64_t count = stream_.messages_before(s.connection.position());
      sent += count;
      payload += stream_.payload_of(count);
      wire += s.connection.position();
    }
  };
  total(begin_messages, begin_payload, phase_begin_bytes_);
  for (slot& s : slots_) {
    s.finished = false;
    s.report_queued = false;
    s.echoes_before = s.connection.replies().messages();
    s.sent_at.clear();
    s.connection.set_limit(no_limit);
  }
  if (messages != 0) {
    set_limits(messages);
  }
  const process_clock self = process_clock::of_this_process();
  load_result result;
  const std::uint64_t receiver_begin = receiver_.read_ns();
  const std::uint64_t self_begin = self.read_ns();
  phase_begin_ns_ = last_progress_ns_ = now_ns();
  const std::uint64_t deadline =
      messages != 0 ? no_limit : phase_begin_ns_ + static_cast<std::uint64_t>(run_seconds * 1e9);
  if (settings_.ping_pong) {
    ping_pong(deadline);
  } else if (settings_.rate > 0) {
    paced(deadline, messages);
  } else {
    flat_out(deadline);
  }
  result.wall_ns = now_ns() - phase_begin_ns_;
  result.generator_cpu_ns = self.read_ns() - self_begin;
  if (receiver_.valid()) {
    // The kernel books the time of a running process at its next tick, and when it goes to sleep.
    const timespec asleep_by_then{0, settle_ns};
    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &asleep_by_then, nullptr);
  }
  result.receiver_cpu_ns = receiver_.read_ns() - receiver_begin;
  result.receiver_measured = receiver_.valid();
  result.confirmed = settings_.expect != expectation::none;
  result.interrupted = interrupted_;
  total(result.messages, result.payload_bytes, result.wire_bytes);
  result.messages -= begin_messages;
  result.payload_bytes -= begin_payload;
  result.wire_bytes -= phase_begin_bytes_;
  result.round_trip_ns = round_trip_ns_;
  return result;
}

load_result run_load(const load_settings& settings, const process_clock& receiver,
                     const stop_request& stop, progress& shown) {
  generator sender(settings, receiver, stop, shown);
  sender.open();
  if (settings.warmup_seconds > 0) {
    (void)sender.run_phase(settings.warmup_seconds, 0);
  }
  if (sender.interrupted()) {
    throw failure("interrupted", exit_interrupted);
  }
  load_result result = sender.run_phase(settings.run_seconds, settings.messages);
  shown.clear();
  sender.close();
  return result;
}

const char* saturated_side(const load_settings& settings, const load_result& result) {
  constexpr double full = 0.95; // of one CPU
  const double wall = static_cast<double>(result.wall_ns);
  const bool receiver =
      result.receiver_measured && static_cast<double>(result.receiver_cpu_ns) >= full * wall;
  const bool spins = settings.ping_pong || settings.rate > 0;
  const bool sender = !spins && static_cast<double>(result.generator_cpu_ns) >= full * wall;
  return receiver ? (sender ? "both" : "receiver") : sender ? "generator" : "neither";
}

} // namespace sluice_bench
