#include "native_fixture.hpp"

#include "support/allocations.hpp"

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

// Views that are kept, and what keeping them costs; what an idle and a busy connection cost.

namespace sluice {
namespace {

using test::bytes;
using test::joined;
using test::letters;
using test::pattern;
using test::text_of;
using test::to_bytes;

class native_lending : public test::native_test {
protected:
  [[nodiscard]] loop_stats stats() const {
    loop_stats now;
    on_.stats(now);
    return now;
  }
};

TEST_P(native_lending, a_held_view_outlives_callback_connection_and_loop) {
  std::vector<held_view> kept;
  {
    loop inner;
    loop_settings settings;
    settings.backend = GetParam().backend;
    settings.multishot_receives = GetParam().multishot;
    if (inner.open(settings) == error::backend_unavailable) {
      GTEST_SKIP();
    }
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    test::scripted_handler handler;
    handler.slice = [&](connection& c, const view& v) {
      kept.push_back(v.hold());
      kept.push_back(v.hold()); // twice is fine
      if (v.message_end()) {
        c.abort();
      }
    };
    const bytes all =
        joined({to_bytes(raw_client::request()), make_.frame(opcode::text, false, "keep "),
                make_.frame(opcode::continuation, false, ""),
                make_.frame(opcode::continuation, true, "me")});
    connection* made = nullptr;
    ASSERT_EQ(inner.adopt(ends[0], all, {}, handler, made), error::none);
    while (handler.endings.empty()) {
      inner.run_ready();
    }
    ::close(ends[1]);
  }
  ASSERT_EQ(kept.size(), 6u);
  for (const held_view& one : kept) {
    EXPECT_TRUE(one);
    EXPECT_TRUE(one.is_text());
  }
  EXPECT_EQ(kept[0].text(), "keep ");
  EXPECT_EQ(kept[1].text(), "keep ");
  EXPECT_EQ(kept[2].text(), "");
  EXPECT_EQ(kept[4].text(), "me");
  EXPECT_TRUE(kept[4].message_end());
  std::thread elsewhere([moved = std::move(kept[0])]() mutable { moved.release(); });
  elsewhere.join();
  kept.clear();
}

TEST_P(native_lending, holding_too_much_stops_that_connection_alone_until_views_come_back) {
  connection_settings settings;
  settings.max_lent_bytes = 128 * 1024;
  std::vector<held_view> hoard;
  std::size_t hoarded_bytes = 0;
  connection* hoarder = nullptr;
  std::size_t quick = 0;
  bool keeping = true;
  handler_.slice = [&](connection& c, const view& v) {
    if (v.is_text()) {
      ++quick;
      return;
    }
    hoarder = &c;
    hoarded_bytes += v.size();
    if (keeping) {
      hoard.push_back(v.hold());
      EXPECT_TRUE(hoard.back());
    }
  };
  listen_settings listening;
  listening.connection = settings;
  serve(listening);
  raw_client greedy = connected();
  raw_client other = connected();
  const bytes flood = make_.frame(opcode::binary, true, pattern(4u << 20));
  std::size_t sent = 0;
  EXPECT_TRUE(pump([&] {
    sent += greedy.try_send(std::span(flood).subspan(sent));
    return stats().reads_paused_by_lending != 0;
  }));
  const std::size_t stopped_at = hoarded_bytes;
  connection_stats lent;
  hoarder->stats(lent);
  EXPECT_GT(lent.lent_bytes, settings.max_lent_bytes);
  EXPECT_LE(lent.lent_bytes, settings.max_lent_bytes + 65536); // the last buffer
  EXPECT_EQ(stats().lent_bytes, lent.lent_bytes);
  other.send(make_.frame(opcode::text, true, "still served"));
  EXPECT_TRUE(pump([&] { return quick == 1; }));
  EXPECT_EQ(hoarded_bytes, stopped_at);

  keeping = false;
  std::thread elsewhere([moved = std::move(hoard)]() mutable { moved.clear(); });
  EXPECT_TRUE(pump([&] {
    if (sent < flood.size()) {
      sent += greedy.try_send(std::span(flood).subspan(sent));
    }
    return hoarded_bytes == 4u << 20;
  }));
  elsewhere.join();
  EXPECT_EQ(stats().lent_bytes, 0u);
}

TEST_P(native_lending, a_pool_that_is_mostly_lent_copies_instead_of_starving_others) {
  connection_settings settings;
  settings.max_lent_bytes = std::size_t{64} << 20;
  loop_settings_.max_pool_bytes = std::size_t{2} << 20;
  loop_settings_.small_buffers_posted = 8;
  loop_settings_.large_buffers_posted = 4;
  std::vector<held_view> hoard;
  std::size_t hoarded_bytes = 0;
  std::size_t quick = 0;
  handler_.slice = [&](connection&, const view& v) {
    if (v.is_text()) {
      ++quick;
      return;
    }
    hoarded_bytes += v.size();
    hoard.push_back(v.hold());
    EXPECT_TRUE(hoard.back());
  };
  listen_settings listening;
  listening.connection = settings;
  serve(listening);
  raw_client greedy = connected();
  raw_client other = connected();
  const bytes payload = pattern(8u << 20);
  greedy.send(make_.frame(opcode::binary, true, payload));
  EXPECT_TRUE(pump([&] { return hoarded_bytes == payload.size(); }));
  EXPECT_LE(stats().pool_bytes, loop_settings_.max_pool_bytes);
  EXPECT_GT(stats().payload_copied_bytes, 0u);
  other.send(make_.frame(opcode::text, true, "still served"));
  EXPECT_TRUE(pump([&] { return quick == 1; }));
  bytes together;
  for (const held_view& one : hoard) {
    together.insert(together.end(), one.bytes().begin(), one.bytes().end());
  }
  EXPECT_EQ(together, payload);
}

TEST_P(native_lending, a_collected_message_can_be_held_too) {
  connection_settings settings;
  settings.take = delivery::messages;
  settings.max_lent_bytes = 4u << 20;
  std::vector<held_view> kept;
  handler_.message = [&](connection&, const view& v) { kept.push_back(v.hold()); };
  serve(settings);
  raw_client peer = connected();
  const bytes large = letters(200000);
  peer.send(joined({make_.frame(opcode::binary, true, large), make_.frame(opcode::text, true, "x"),
                    make_.frame(opcode::binary, true, large)}));
  ASSERT_TRUE(pump([&] { return kept.size() == 3; }));
  EXPECT_EQ(bytes(kept[0].bytes().begin(), kept[0].bytes().end()), large);
  EXPECT_EQ(kept[1].text(), "x");
  EXPECT_EQ(bytes(kept[2].bytes().begin(), kept[2].bytes().end()), large);
  EXPECT_GE(stats().lent_bytes, 2 * large.size());
  kept.clear();
  EXPECT_EQ(stats().lent_bytes, 0u);
}

TEST_P(native_lending, views_cost_no_allocation_and_no_copy) {
  test::counted_memory& memory = count_memory();
  std::size_t messages = 0;
  handler_.slice = [&](connection&, const view& v) { messages += v.message_end() ? 1u : 0u; };
  serve();
  {
    raw_client peer = connected();
    bytes batch;
    for (int i = 0; i < 200; ++i) {
      test::append(batch, make_.frame(opcode::binary, true, pattern(16)));
      test::append(batch, make_.frame(opcode::text, true, letters(125)));
    }
    std::size_t wanted = 0;
    const auto round = [&] {
      wanted += 400;
      peer.send(batch);
      EXPECT_TRUE(pump([&] { return messages == wanted; }));
    };
    for (int i = 0; i < 20; ++i) {
      round(); // until the pool and the class of buffers have settled
    }
    const std::size_t before = memory.allocations();
    for (int i = 0; i < 50; ++i) {
      round();
    }
    EXPECT_EQ(memory.allocations(), before);
    EXPECT_EQ(stats().payload_copied_bytes, 0u);
    EXPECT_EQ(stats().messages_received, wanted);
  }
  EXPECT_TRUE(pump([&] { return handler_.endings.size() == 1; }));
  handler_.slice = nullptr;
}

TEST_P(native_lending, echoing_costs_no_allocation_once_warm) {
  connection_settings settings;
  settings.take = delivery::messages;
  handler_.message = [](connection& c, const view& v) {
    EXPECT_EQ(c.send(v.type(), v.bytes()), error::none);
  };
  test::counted_memory& memory = count_memory();
  serve(settings);
  {
    raw_client peer = connected();
    const auto round = [&] {
      for (const std::size_t count : {16u, 5000u, 100000u}) {
        peer.send(make_.frame(opcode::binary, true, pattern(count)));
        const auto back = peer.read_frame();
        ASSERT_TRUE(back.has_value());
        EXPECT_EQ(back->payload.size(), count);
      }
    };
    for (int i = 0; i < 10; ++i) {
      round();
    }
    const std::size_t before = memory.allocations();
    for (int i = 0; i < 20; ++i) {
      round();
    }
    EXPECT_EQ(memory.allocations(), before);
  }
  EXPECT_TRUE(pump([&] { return handler_.endings.size() == 1; }));
}

TEST_P(native_lending, an_idle_connection_costs_less_than_1_KiB_and_no_buffer) {
  // Over TLS the rest is OpenSSL's: see tls_memory_test.cpp.
  const std::size_t most = test::tls_is_wanted() ? 1536 : 1024;
  constexpr std::size_t count = 300;
  test::counted_memory& memory = count_memory();
  serve();
  {
    std::vector<std::unique_ptr<raw_client>> peers;
    const auto add = [&] {
      peers.push_back(std::make_unique<raw_client>(*this));
      peers.back()->handshake();
    };
    for (int i = 0; i < 20; ++i) {
      add();
    }
    EXPECT_TRUE(pump([&] { return handler_.opens == 20; }));
    const std::size_t before = memory.live_bytes();
    for (std::size_t i = 0; i < count; ++i) {
      add();
    }
    EXPECT_TRUE(pump([&] { return handler_.opens == 20 + count; }));
    EXPECT_LE((memory.live_bytes() - before) / count, most);
    EXPECT_EQ(stats().connections_open, 20 + count);
  }
  EXPECT_TRUE(pump([&] { return handler_.endings.size() == 20 + count; }));
}

SLUICE_ON_BOTH_BACKENDS(native_lending);

} // namespace
} // namespace sluice
