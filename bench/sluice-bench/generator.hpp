#pragma once

#include "load.hpp"
#include "load_connection.hpp"

#include <deque>
#include <optional>
#include <vector>

namespace sluice_bench {

/// All connections of one generator and the loops that drive them.
class generator {
public:
  /// All four must outlive it.
  generator(const load_settings& settings, const process_clock& receiver, const stop_request& stop,
            progress& shown);

  void open();
  load_result run_phase(double run_seconds, std::uint64_t messages);
  void close();
  [[nodiscard]] bool interrupted() const noexcept { return interrupted_; }

private:
  static constexpr std::uint64_t stop_index = ~std::uint64_t{0};
  static constexpr std::uint64_t interrupted_stall_ns = 400'000'000;

  struct slot {
    load_connection connection;
    std::uint64_t echoes_before = 0; // replies seen when last looked at
    bool writing = false;            // EPOLLOUT is asked for
    bool finished = false;           // this phase is confirmed
    bool report_queued = false;
    std::deque<std::uint64_t> sent_at; // paced echo: when each unanswered message was due
  };

  void add(byte_stream peer, const leftover& rest);
  void want_write(std::size_t index, bool wanted);
  void set_limits(std::uint64_t messages);
  void stop_at_next_message();
  void write_turn(std::size_t index);
  void read_all(std::size_t index);
  void check_finished(std::size_t index);
  void check_report(slot& s, const std::string& text);
  bool poll_events(int timeout_ms);
  void note_progress(std::uint64_t now);
  void flat_out(std::uint64_t deadline);
  void paced(std::uint64_t deadline, std::uint64_t messages);
  void wait_until(std::uint64_t due);
  void send_whole_message(std::size_t index);
  void ping_pong(std::uint64_t deadline);
  void confirm();

  load_settings settings_;
  traffic stream_;
  process_clock receiver_;
  const stop_request& stop_;
  progress& shown_;
  std::vector<std::byte> report_;
  std::uint64_t stall_ns_;
  bool one_cpu_;
  bool interrupted_ = false;
  std::optional<tls_client> tls_;
  unique_fd epoll_;
  std::vector<slot> slots_;
  std::size_t unfinished_ = 0;
  bool confirming_ = false; // a connection at its limit is there to stay
  bool timing_echoes_ = false;
  std::uint64_t phase_begin_ns_ = 0;
  std::uint64_t phase_begin_bytes_ = 0;
  std::uint64_t last_progress_ns_ = 0;
  std::uint64_t moved_bytes_ = 0; // read and written, to see a stall
  std::uint64_t moved_seen_ = 0;
  histogram round_trip_ns_;
};

} // namespace sluice_bench
