#include "core/message_views.hpp"

#include "support/frames.hpp"
#include "support/rx_driver.hpp"
#include "support/slices.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

// Views must say what receive() says: the same messages, control frames and ends, however the
// stream is cut, and never a byte outside of the slices.

namespace sluice {
namespace {

using test::bytes;
using test::frame_maker;
using test::heap_buffer_owner;
using test::joined;
using test::pattern;
using test::raw;
using test::to_bytes;

/// What a receiver saw, with the pieces of each message put together.
struct transcript {
  std::vector<std::string> events;
  std::string open; // the message in progress

  void piece(bool text, bool end, const std::byte* from, std::size_t count) {
    open.append(reinterpret_cast<const char*>(from), count);
    if (end) {
      events.push_back((text ? "text " : "binary ") + open);
      open.clear();
    }
  }
  void control(const char* what, std::span<const std::byte> payload) {
    events.push_back(what +
                     std::string(reinterpret_cast<const char*>(payload.data()), payload.size()));
  }
  bool ended(const message_rx& rx, const rx_result& result) {
    if (result.status == rx_status::close) {
      events.push_back("close " + std::to_string(rx.peer_close().status));
    } else if (result.status == rx_status::failed) {
      events.push_back(std::string("failed ") + to_string(result.reason));
    } else {
      return false;
    }
    return true;
  }
};

enum class way { copies, views, whole };

template <role Self> rx_result step(message_rx& rx, way how, transcript& seen, rx_budget budget) {
  auto sink = [&](const rx_view& view) {
    seen.piece(view.text, view.message_end, view.bytes, view.size_bytes);
    return true;
  };
  rx_result result;
  if (how == way::views) {
    return rx.deliver<Self>(sink, budget);
  }
  if (how == way::whole && rx.between_messages()) {
    result = rx.deliver_whole<Self>(sink, budget);
    if (result.status != rx_status::in_pieces) {
      return result;
    }
  }
  std::vector<std::byte> room(300);
  result = rx.receive(room);
  if (result.status == rx_status::piece) {
    seen.piece(result.text, result.message_end, room.data(), result.bytes);
  }
  return result;
}

template <role Self>
transcript run(const bytes& wire, const std::vector<std::size_t>& cuts, way how,
               rx_budget budget = {1u << 20, 1u << 20}, const limits& bounds = {}) {
  heap_buffer_owner owner;
  message_rx rx(Self, bounds);
  rx.report_pongs();
  transcript seen;
  std::size_t begin = 0;
  for (std::size_t i = 0; i <= cuts.size(); ++i) {
    const std::size_t end = i < cuts.size() ? cuts[i] : wire.size();
    EXPECT_TRUE(owner.push(rx.inbox(), {wire.data() + begin, end - begin}, i % 3));
    begin = end;
    for (;;) {
      const rx_result result = step<Self>(rx, how, seen, budget);
      if (seen.ended(rx, result)) {
        return seen;
      }
      if (result.status == rx_status::ping) {
        seen.control("ping ", rx.control_payload());
      } else if (result.status == rx_status::pong) {
        seen.control("pong ", rx.control_payload());
      } else if (result.status == rx_status::need_input) {
        EXPECT_TRUE(rx.inbox().empty());
        break;
      }
    }
  }
  return seen;
}

template <role Self> std::vector<bytes> conversations() {
  const frame_maker make{Self};
  return {
      joined({make.frame(opcode::binary, true, pattern(16)), make.frame(opcode::text, true, "abc"),
              make.frame(opcode::binary, true, ""), make.frame(opcode::ping, true, "p"),
              make.frame(opcode::binary, true, pattern(33)), make.frame(opcode::pong, true, "q"),
              make.frame(opcode::binary, true, pattern(126)), make.close(1000, "bye")}),
      joined({make.frame(opcode::text, false, "\xF0\x9F"), make.frame(opcode::ping, true, "x"),
              make.frame(opcode::continuation, false, ""),
              make.frame(opcode::continuation, true, "\x98\x80"),
              make.frame(opcode::binary, true, pattern(7))}),
      joined({make.frame(opcode::binary, true, pattern(20)),
              make.frame(opcode::text, true, "bad\xFF"),
              make.frame(opcode::binary, true, pattern(20))}),
      joined({make.frame(opcode::text, true, "cut short \xE2\x82"), make.close(1000)}),
      joined({make.frame(opcode::binary, true, pattern(3)),
              make.frame(opcode::continuation, true, "x")}),
      joined({make.frame(opcode::binary, true, pattern(3)), make.frame(0xC2u, pattern(3))}),
      joined({make.frame(opcode::binary, true, pattern(5)),
              frame_maker{Self == role::server ? role::client : role::server}.frame(
                  opcode::binary, true, pattern(5))}),
  };
}

template <role Self> void views_equal_copies() {
  for (const bytes& wire : conversations<Self>()) {
    const transcript wanted = run<Self>(wire, {}, way::copies);
    for (const way how : {way::views, way::whole}) {
      EXPECT_EQ(run<Self>(wire, {}, how).events, wanted.events);
      EXPECT_EQ(run<Self>(wire, {}, how, {1, 1}).events, wanted.events) << "smallest budget";
      EXPECT_EQ(run<Self>(wire, test::cuts_everywhere(wire.size()), how).events, wanted.events);
      for (std::size_t first = 1; first < wire.size(); ++first) {
        EXPECT_EQ(run<Self>(wire, {first}, how).events, wanted.events) << "cut at " << first;
        for (std::size_t second = first + 1; second < wire.size(); second += 5) {
          EXPECT_EQ(run<Self>(wire, {first, second}, how).events, wanted.events)
              << "cut at " << first << " and " << second;
        }
      }
    }
  }
}

TEST(message_views, a_server_sees_the_same_however_the_stream_is_cut) {
  views_equal_copies<role::server>();
}

TEST(message_views, a_client_sees_the_same_however_the_stream_is_cut) {
  views_equal_copies<role::client>();
}

TEST(message_views, every_size_is_unmasked_in_place) {
  const frame_maker make{role::server};
  for (std::size_t count = 0; count <= 300; ++count) {
    const bytes payload = pattern(count, static_cast<unsigned>(count));
    const transcript seen =
        run<role::server>(make.frame(opcode::binary, true, payload), {}, way::views);
    ASSERT_EQ(seen.events.size(), 1u);
    EXPECT_EQ(seen.events[0].substr(7),
              std::string(reinterpret_cast<const char*>(payload.data()), count));
  }
}

TEST(message_views, nothing_is_copied) {
  const frame_maker make{role::server};
  heap_buffer_owner owner;
  message_rx rx(role::server, limits{});
  ASSERT_TRUE(owner.push(rx.inbox(), joined({make.frame(opcode::binary, true, pattern(100)),
                                             make.frame(opcode::text, false, "abc"),
                                             make.frame(opcode::continuation, true, "def")})));
  auto sink = [](const rx_view&) { return true; };
  rx_budget budget{4096, 16};
  EXPECT_EQ(rx.deliver<role::server>(sink, budget).status, rx_status::need_input);
  EXPECT_EQ(rx.stats().messages, 2u);
  EXPECT_EQ(rx.stats().frames, 3u);
  EXPECT_EQ(rx.stats().payload_bytes, 106u);
  EXPECT_EQ(rx.stats().copied_bytes, 0u);
}

TEST(message_views, the_sink_can_take_a_break_after_each_piece) {
  const frame_maker make{role::server};
  heap_buffer_owner owner;
  message_rx rx(role::server, limits{});
  ASSERT_TRUE(owner.push(rx.inbox(), joined({make.frame(opcode::binary, true, pattern(9)),
                                             make.frame(opcode::binary, true, pattern(9)),
                                             make.frame(opcode::binary, true, pattern(9))})));
  std::size_t calls = 0;
  auto sink = [&](const rx_view&) {
    ++calls;
    return false;
  };
  rx_budget budget{4096, 16};
  EXPECT_EQ(rx.deliver<role::server>(sink, budget).status, rx_status::paused);
  EXPECT_EQ(calls, 1u);
  EXPECT_EQ(rx.deliver<role::server>(sink, budget).status, rx_status::paused);
  EXPECT_EQ(rx.deliver<role::server>(sink, budget).status, rx_status::need_input);
  EXPECT_EQ(calls, 3u);
  EXPECT_EQ(budget.frames, 13u);
}

TEST(message_views, limits_hold_in_place_too) {
  const frame_maker make{role::server};
  limits small;
  small.max_message_bytes = 10;
  const transcript seen = run<role::server>(make.frame(opcode::binary, true, pattern(11)), {},
                                            way::views, {4096, 16}, small);
  ASSERT_EQ(seen.events.size(), 1u);
  EXPECT_EQ(seen.events[0], std::string("failed ") + to_string(error::message_too_big));
}

TEST(message_views, a_held_buffer_outlives_its_slice) {
  const frame_maker make{role::server};
  heap_buffer_owner owner;
  message_rx rx(role::server, limits{});
  ASSERT_TRUE(owner.push(rx.inbox(), make.frame(opcode::binary, true, to_bytes("keep me"))));
  buffer* kept = nullptr;
  rx_view seen;
  auto sink = [&](const rx_view& view) {
    kept = &rx.inbox().front_buffer();
    seen = view;
    retain_buffer(*kept);
    retain_buffer(*kept);
    return true;
  };
  rx_budget budget{4096, 16};
  EXPECT_EQ(rx.deliver<role::server>(sink, budget).status, rx_status::need_input);
  EXPECT_EQ(owner.out(), 1u);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(seen.bytes), seen.size_bytes), "keep me");
  release_buffer(*kept);
  EXPECT_EQ(owner.out(), 1u);
  release_buffer(*kept);
  EXPECT_EQ(owner.out(), 0u);
}

} // namespace
} // namespace sluice
