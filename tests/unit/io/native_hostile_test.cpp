#include "native_fixture.hpp"

#include <string>
#include <vector>

// Peers that break the rules, or keep them only to do harm.

namespace sluice {
namespace {

using test::bytes;
using test::joined;
using test::pattern;
using test::raw;
using test::to_bytes;

class native_hostile : public test::native_test {
protected:
  /// What the connection is closed with after `wire`.
  void expect_close(const bytes& wire, unsigned status, error cause) {
    const std::size_t before = handler_.endings.size();
    raw_client peer = connected();
    peer.send(wire);
    EXPECT_EQ(peer.read_close(), status);
    EXPECT_TRUE(peer.at_end());
    peer.close();
    EXPECT_TRUE(pump([&] { return handler_.endings.size() == before + 1; }));
    EXPECT_EQ(handler_.endings.back().cause, cause);
    EXPECT_FALSE(handler_.endings.back().clean);
  }
};

TEST_P(native_hostile, violations_are_closed_with_their_status) {
  serve();
  const test::frame_maker unmasked{role::client};
  expect_close(unmasked.frame(opcode::text, true, "a"), 1002, error::unmasked_frame);
  expect_close(make_.frame(0xC1u, to_bytes("a")), 1002, error::reserved_bits);
  expect_close(make_.frame(0x83u, to_bytes("a")), 1002, error::unknown_opcode);
  expect_close(make_.frame(opcode::continuation, true, "a"), 1002, error::unexpected_continuation);
  expect_close(make_.frame(opcode::text, true, "\xC0\x80"), 1007, error::text_utf8);
  expect_close(make_.frame(opcode::text, true, "\xE2\x82"), 1007, error::text_utf8);
  expect_close(make_.close(1005), 1002, error::close_status_code);
}

TEST_P(native_hostile, a_length_of_2_to_the_63_minus_1_costs_no_memory) {
  connection_settings settings;
  settings.take = delivery::messages;
  serve(settings);
  loop_stats before;
  on_.stats(before);
  expect_close(joined({raw({0x82, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}),
                       raw({1, 2, 3, 4, 5, 6, 7, 8})}),
               1009, error::message_too_big);
  loop_stats after;
  on_.stats(after);
  EXPECT_LE(after.cached_bytes, before.cached_bytes + 16384);
}

TEST_P(native_hostile, a_promise_of_16_MiB_is_not_memory_before_it_is_kept) {
  connection_settings settings;
  settings.take = delivery::messages;
  serve(settings);
  raw_client peer = connected();
  peer.send(joined({make_.header(0x82, 16u << 20), pattern(100)}));
  EXPECT_TRUE(pump([&] {
    loop_stats now;
    on_.stats(now);
    return now.payload_received_bytes == 100;
  }));
  peer.close();
  EXPECT_TRUE(pump([&] { return handler_.endings.size() == 1; }));
  loop_stats now;
  on_.stats(now);
  EXPECT_LE(now.cached_bytes, 256u * 1024);
}

TEST_P(native_hostile, a_flood_of_fragments_ends_with_1008) {
  connection_settings settings;
  settings.max_fragments = 100;
  serve(settings);
  bytes flood = make_.frame(opcode::text, false, "");
  for (int i = 0; i < 100; ++i) {
    test::append(flood, make_.frame(opcode::continuation, false, ""));
  }
  expect_close(flood, 1008, error::too_many_fragments);
}

TEST_P(native_hostile, pings_of_a_peer_that_never_reads_stop_at_the_queue_limit) {
  connection_settings settings;
  settings.max_send_queue_bytes = 16384;
  serve(settings);
  raw_client peer = connected();
  bytes pings;
  for (int i = 0; i < 500; ++i) {
    test::append(pings, make_.frame(opcode::ping, true, std::string(125, 'p')));
  }
  std::size_t most_queued = 0;
  handler_.ping = [&](connection& c, std::span<const std::byte>) {
    most_queued = std::max(most_queued, c.send_queue_bytes());
  };
  std::size_t at = 0; // in `pings`, which is sent round and round
  std::size_t turns_without_room = 0;
  EXPECT_TRUE(pump([&] {
    const std::size_t sent = peer.try_send(std::span(pings).subspan(at));
    at = (at + sent) % pings.size();
    turns_without_room = sent != 0 ? 0 : turns_without_room + 1;
    return turns_without_room == 100;
  }));
  EXPECT_GE(most_queued, settings.max_send_queue_bytes);
  EXPECT_LE(most_queued, settings.max_send_queue_bytes + 127);
}

TEST_P(native_hostile, a_peer_that_never_reads_meets_back_pressure_and_not_memory) {
  connection_settings settings;
  settings.max_send_queue_bytes = 65536;
  bool writable = false;
  handler_.writable = [&](connection&) { writable = true; };
  serve(settings);
  raw_client peer = connected();
  EXPECT_TRUE(pump([&] { return handler_.last != nullptr; }));
  connection& to = *handler_.last;
  const bytes payload = pattern(1000);
  std::size_t taken = 0;
  error said = error::none;
  for (int idle = 0; idle < 5;) {
    while ((said = to.send_binary(payload)) == error::none) {
      ++taken;
      idle = 0;
    }
    ASSERT_EQ(said, error::would_block);
    EXPECT_LE(to.send_queue_bytes(), settings.max_send_queue_bytes + 4);
    on_.run_ready();
    idle = to.send_queue_bytes() + 1004 > settings.max_send_queue_bytes ? idle + 1 : 0;
  }
  EXPECT_EQ(to.ping(), error::none); // smaller than what is left
  writable = false;
  EXPECT_EQ(to.send_binary(bytes(70000)), error::would_block);
  std::size_t got = 0;
  while (got < taken) {
    const auto frame = peer.read_frame();
    ASSERT_TRUE(frame.has_value());
    if (frame->first == 0x82u) {
      ASSERT_EQ(to_bytes(frame->payload), payload);
      ++got;
    }
  }
  EXPECT_TRUE(pump([&] { return writable; }));
  EXPECT_TRUE(pump([&] { return to.send_queue_bytes() == 0; }));
  EXPECT_EQ(to.send_binary(bytes(70000)), error::none) << "a frame over the limit, queue empty";
  EXPECT_EQ(to.send_binary(payload), error::would_block);
}

TEST_P(native_hostile, a_blaster_does_not_starve_a_quiet_connection) {
  std::size_t heavy = 0;
  bool quiet_served = false;
  std::size_t heavy_when_served = 0;
  handler_.slice = [&](connection&, const view& v) {
    if (v.is_text()) {
      quiet_served = true;
      heavy_when_served = heavy;
    } else {
      ++heavy;
    }
  };
  serve();
  raw_client blaster = connected();
  raw_client quiet = connected();
  bytes flood;
  while (flood.size() < 1u << 20) {
    test::append(flood, make_.frame(opcode::binary, true, pattern(16)));
  }
  blaster.try_send(flood);
  quiet.send(make_.frame(opcode::text, true, "me too"));
  EXPECT_TRUE(pump([&] { return quiet_served; }));
  loop_stats now;
  on_.stats(now);
  // One turn of the loop is at most 16 budgets of 256 frames, before and after the wait.
  EXPECT_LE(heavy_when_served, 64u * 256);
  EXPECT_GT(now.turns_over_budget, 0u);
}

SLUICE_ON_BOTH_BACKENDS(native_hostile);

} // namespace
} // namespace sluice
