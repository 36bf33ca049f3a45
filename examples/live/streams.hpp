#pragma once

#include "meter.hpp"

#include <sluice/sluice.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace live {

/// The latest stream of one page, as it arrived. Stays when the stream ends, goes with the page.
struct record {
  std::uint64_t stream = 0; // counts the page's streams
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;
  // Of message n: SHA-256(chain of n - 1, 'T' or 'B', payload); zeros before the first. Stays zero
  // where the page did not ask for it.
  std::uint8_t chain[32] = {};
};

/// Sizes of the frames that a message is cut into, in turn; the last frame takes what is left.
/// Empty: messages are not cut.
using cut_pattern = std::vector<std::size_t>;
inline constexpr std::size_t max_pattern_sizes = 16;
inline constexpr std::size_t max_frame_bytes = std::size_t{1} << 20;
inline constexpr std::size_t max_cut_frames = 4000; // of one message; the rest goes into the last

/// From "1,125,0,4096"; false when it is something else or cuts off nothing.
[[nodiscard]] bool parse_pattern(std::string_view text, cut_pattern& pattern);

/// The WebSocket side of the example:
///
///   /page                              reports, four a second; the first one says who is who
///   /stream?page=ID[&chain=1]          data: is counted and dropped
///   /stream?page=ID[&chain=1]&cut=...  data that goes through a Sluice client, which sends it on
///                                      to /stream in the frames asked for: browsers choose theirs
///                                      themselves
///
/// One object for all connections of the loop.
class streams final : public sluice::connection_handler {
public:
  explicit streams(meter& seen) noexcept : seen_(seen) {}

  /// The loop, which ends before this object does, and the address that the cutting client
  /// connects to.
  void serve(sluice::loop& loop, const char* host, std::uint16_t port) {
    loop_ = &loop;
    host_ = host;
    port_ = port;
  }
  [[nodiscard]] static sluice::connection_settings settings() noexcept;

  /// Whether tick() has something to do, and how often it wants to be called.
  [[nodiscard]] bool busy() const noexcept { return !open_.empty(); }
  static constexpr int tick_ms = 25;
  void tick();

  sluice::upgrade_decision on_upgrade(sluice::connection& asking,
                                      const sluice::upgrade_request& request) noexcept override;

private:
  friend class page;
  friend class stream;
  friend class cutter;

  static constexpr std::size_t max_connections = 256;
  static constexpr std::size_t most_queued_bytes = 8192; // for one page: three seconds of reports
  static constexpr int ticks_of_report = 10;

  [[nodiscard]] sluice::upgrade_decision admit(sluice::connection& asking,
                                               const sluice::upgrade_request& request);

  sluice::loop* loop_ = nullptr;
  meter& seen_;
  std::string host_;
  std::uint16_t port_ = 0;
  std::map<std::string, record, std::less<>> pages_;  // by the page's id
  std::map<std::uint64_t, sluice::connection*> open_; // by connection id; pages and streams
  int ticks_ = 0;
};

} // namespace live
