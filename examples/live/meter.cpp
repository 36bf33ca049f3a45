#include "meter.hpp"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <ctime>
#include <string_view>

namespace live {
namespace {

std::uint64_t clock_ns(clockid_t which) noexcept {
  timespec t{};
  ::clock_gettime(which, &t);
  return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000u +
         static_cast<std::uint64_t>(t.tv_nsec);
}

constexpr double first_round_trip_s = 31.25e-6;

template <typename... Values> void add(std::string& to, const char* format, Values... values) {
  if constexpr (sizeof...(values) == 0) {
    to.append(format);
  } else {
    char text[256];
    const int count = std::snprintf(text, sizeof text, format, values...);
    to.append(text, std::min(static_cast<std::size_t>(std::max(count, 0)), sizeof text - 1));
  }
}

void add_number(std::string& to, const char* name, std::uint64_t value) {
  add(to, ",\"%s\":%llu", name, static_cast<unsigned long long>(value));
}

template <std::size_t Count>
void add_differences(std::string& to, const char* name,
                     const std::array<std::uint64_t, Count>& after,
                     const std::array<std::uint64_t, Count>& before) {
  add(to, ",\"%s\":[", name);
  for (std::size_t i = 0; i < Count; ++i) {
    add(to, "%s%llu", i == 0 ? "" : ",", static_cast<unsigned long long>(after[i] - before[i]));
  }
  to += ']';
}

void add_metric(std::string& to, const char* name, const char* type, const char* help,
                double value) {
  add(to, "# HELP %s %s\n", name, help);
  add(to, "# TYPE %s %s\n%s %.17g\n", name, type, name, value);
}

} // namespace

std::uint64_t now_ns() noexcept {
  return clock_ns(CLOCK_MONOTONIC);
}
std::uint64_t thread_cpu_ns() noexcept {
  return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

void meter::saw(const sluice::view& slice) noexcept {
  const std::size_t size_class =
      std::min<std::size_t>(std::bit_width(slice.size()), size_classes - 1);
  ++now_.sizes[size_class];
  const bool end = slice.message_end();
  ++now_.pieces[slice.is_text() ? (end ? utf8_message : utf8_fragment)
                                : (end ? binary_message : binary_fragment)];
  now_.messages += end ? 1u : 0u;
  now_.bytes += slice.size();
}

void meter::saw_round_trip(std::uint64_t nanoseconds) noexcept {
  const double in_firsts = static_cast<double>(nanoseconds) * 1e-9 / first_round_trip_s;
  std::size_t at = 0;
  for (double limit = 1; at < round_trip_classes && in_firsts > limit; limit *= 2) {
    ++at;
  }
  if (at < round_trip_classes) {
    ++round_trip_counts_[at];
  }
  ++round_trips_;
  round_trip_ns_ += nanoseconds;
  if (recent_ns_.size() < round_trips_kept) {
    recent_ns_.push_back(nanoseconds);
  }
}

std::string meter::interval(const sluice::loop& of) {
  sluice::loop_stats loop;
  of.stats(loop);
  now_.starved = loop.receives_starved;
  now_.system_calls = loop.system_calls;
  now_.at_ns = now_ns();
  now_.cpu_ns = thread_cpu_ns();
  const auto since = [this](std::uint64_t totals::*what) { return now_.*what - before_.*what; };

  std::string line = "{\"kind\":\"interval\"";
  const double wall_s = before_.at_ns == 0 ? 0 : static_cast<double>(since(&totals::at_ns)) * 1e-9;
  add(line, ",\"seconds\":%.6f", wall_s);
  add(line, ",\"cpu_seconds\":%.6f", static_cast<double>(since(&totals::cpu_ns)) * 1e-9);
  add_number(line, "messages", since(&totals::messages));
  add_number(line, "bytes", since(&totals::bytes));
  add_differences(line, "slice_sizes", now_.sizes, before_.sizes);
  add_differences(line, "pieces", now_.pieces, before_.pieces);
  std::sort(recent_ns_.begin(), recent_ns_.end());
  line += ",\"rtt_ms\":[";
  for (const double share : {0.5, 0.9, 0.99}) {
    if (!recent_ns_.empty()) {
      const auto at = static_cast<std::size_t>(share * static_cast<double>(recent_ns_.size() - 1));
      add(line, "%s%.4f", share == 0.5 ? "" : ",", static_cast<double>(recent_ns_[at]) * 1e-6);
    }
  }
  line += ']';
  recent_ns_.clear();
  add_number(line, "starved", since(&totals::starved));
  add_number(line, "system_calls", since(&totals::system_calls));
  add_number(line, "buffers_posted", loop.buffers_posted);
  add_number(line, "buffers_lent", loop.buffers_lent);
  add_number(line, "pages", pages_open);
  add_number(line, "streams", streams_open);
  before_ = now_;
  return line;
}

std::string meter::exposition(const sluice::loop& of) const {
  sluice::loop_stats loop;
  of.stats(loop);
  std::string text;

  struct row {
    std::uint64_t sluice::loop_stats::*member;
    const char* name;
    const char* type;
    const char* help;
  };
  constexpr const char* counter = "counter";
  constexpr const char* gauge = "gauge";
  using s = sluice::loop_stats;
  // clang-format off
  static constexpr row rows[] = {
      {&s::connections_open, "sluice_connections_open", gauge, "Connections that are open, handshakes included."},
      {&s::connections_accepted, "sluice_connections_accepted_total", counter, "Connections accepted by listeners of the library."},
      {&s::connections_adopted, "sluice_connections_adopted_total", counter, "Connections handed over by the program."},
      {&s::connections_made, "sluice_connections_made_total", counter, "Connections made as a client."},
      {&s::handshakes_done, "sluice_handshakes_done_total", counter, "Opening handshakes that succeeded."},
      {&s::handshakes_failed, "sluice_handshakes_failed_total", counter, "Opening handshakes that failed."},
      {&s::closes_clean, "sluice_closes_clean_total", counter, "Connections ended by close frames in both directions."},
      {&s::closes_dirty, "sluice_closes_dirty_total", counter, "Connections ended in any other way."},
      {&s::ticks, "sluice_loop_turns_total", counter, "Turns of the event loop."},
      {&s::system_calls, "sluice_system_calls_total", counter, "System calls made by the backend."},
      {&s::completions, "sluice_completions_total", counter, "Operations completed by the backend."},
      {&s::receives, "sluice_receives_total", counter, "Receive operations that brought bytes."},
      {&s::received_bytes, "sluice_received_bytes_total", counter, "Bytes read from sockets, frame headers included."},
      {&s::receives_starved, "sluice_receives_starved_total", counter, "Receive operations that had to wait for a buffer."},
      {&s::sends, "sluice_sends_total", counter, "Send operations."},
      {&s::sent_bytes, "sluice_sent_bytes_total", counter, "Bytes written to sockets, frame headers included."},
      {&s::messages_received, "sluice_messages_received_total", counter, "Whole messages received."},
      {&s::frames_received, "sluice_frames_received_total", counter, "Frames received, of any opcode."},
      {&s::payload_received_bytes, "sluice_payload_received_bytes_total", counter, "Payload of received data frames in bytes."},
      {&s::payload_copied_bytes, "sluice_payload_copied_bytes_total", counter, "Received payload copied in user space in bytes."},
      {&s::frames_sent, "sluice_frames_sent_total", counter, "Frames sent, of any opcode."},
      {&s::payload_sent_bytes, "sluice_payload_sent_bytes_total", counter, "Payload of sent data frames in bytes."},
      {&s::views_held, "sluice_views_held_total", counter, "Views kept beyond their callback."},
      {&s::lent_bytes, "sluice_lent_bytes", gauge, "Receive memory kept alive by held views in bytes."},
      {&s::reads_paused_by_lending, "sluice_reads_paused_by_lending_total", counter, "Times that a connection was not read because its views kept too much."},
      {&s::turns_over_budget, "sluice_turns_over_budget_total", counter, "Times that a connection went to the back of the queue with work left."},
      {&s::pool_bytes, "sluice_pool_bytes", gauge, "Receive buffers reserved in bytes."},
      {&s::cached_bytes, "sluice_cached_bytes", gauge, "Blocks kept for reuse in bytes."},
      {&s::allocations, "sluice_allocations_total", counter, "Heap blocks taken by the loop and its connections."},
      {&s::buffers_posted, "sluice_buffers_posted", gauge, "Receive buffers that the kernel may fill (io_uring)."},
      {&s::buffers_lent, "sluice_buffers_lent", gauge, "Receive buffers with bytes not used up, or held by views."},
  };
  // clang-format on
  for (const row& each : rows) {
    add_metric(text, each.name, each.type, each.help, static_cast<double>(loop.*each.member));
  }
  add(text,
      "# HELP sluice_info What serves the connections.\n# TYPE sluice_info gauge\n"
      "sluice_info{backend=\"%s\",kernels=\"%s\"} 1\n",
      loop.backend, loop.kernels);

  add_metric(text, "sluice_live_loop_cpu_seconds_total", counter,
             "CPU time of the loop's thread in seconds.",
             static_cast<double>(thread_cpu_ns()) * 1e-9);
  add_metric(text, "sluice_live_pages_open", gauge, "Pages that watch.",
             static_cast<double>(pages_open));
  add_metric(text, "sluice_live_streams_open", gauge, "Streams that are open.",
             static_cast<double>(streams_open));
  add_metric(text, "sluice_live_reports_dropped_total", counter,
             "Reports not sent because a page did not read.", static_cast<double>(reports_dropped));
  add_metric(text, "sluice_live_messages_total", counter, "Messages received from streams.",
             static_cast<double>(now_.messages));

  add(text,
      "# HELP sluice_live_pieces_total Slices of streams by the type that WinHTTP gives them.\n"
      "# TYPE sluice_live_pieces_total counter\n");
  static constexpr const char* names[piece_types] = {"binary_message", "binary_fragment",
                                                     "utf8_message", "utf8_fragment"};
  for (std::size_t i = 0; i < piece_types; ++i) {
    add(text, "sluice_live_pieces_total{type=\"%s\"} %llu\n", names[i],
        static_cast<unsigned long long>(now_.pieces[i]));
  }

  add(text, "# HELP sluice_live_slice_bytes Sizes of the slices of streams in bytes.\n"
            "# TYPE sluice_live_slice_bytes histogram\n");
  std::uint64_t so_far = 0;
  for (std::size_t i = 0; i < size_classes; ++i) {
    so_far += now_.sizes[i];
    add(text, "sluice_live_slice_bytes_bucket{le=\"%llu\"} %llu\n", (1ull << i) - 1,
        static_cast<unsigned long long>(so_far));
  }
  add(text, "sluice_live_slice_bytes_bucket{le=\"+Inf\"} %llu\n",
      static_cast<unsigned long long>(so_far));
  add(text, "sluice_live_slice_bytes_sum %llu\nsluice_live_slice_bytes_count %llu\n",
      static_cast<unsigned long long>(now_.bytes), static_cast<unsigned long long>(so_far));

  add(text, "# HELP sluice_live_round_trip_seconds From a ping to its pong in seconds.\n"
            "# TYPE sluice_live_round_trip_seconds histogram\n");
  so_far = 0;
  double limit = first_round_trip_s;
  for (const std::uint64_t count : round_trip_counts_) {
    so_far += count;
    add(text, "sluice_live_round_trip_seconds_bucket{le=\"%.8g\"} %llu\n", limit,
        static_cast<unsigned long long>(so_far));
    limit *= 2;
  }
  add(text,
      "sluice_live_round_trip_seconds_bucket{le=\"+Inf\"} %llu\n"
      "sluice_live_round_trip_seconds_sum %.9g\nsluice_live_round_trip_seconds_count %llu\n",
      static_cast<unsigned long long>(round_trips_), static_cast<double>(round_trip_ns_) * 1e-9,
      static_cast<unsigned long long>(round_trips_));
  return text;
}

} // namespace live
