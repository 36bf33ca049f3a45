#include "native_fixture.hpp"

#include <array>
#include <string>
#include <vector>

// A server connection from the first byte of its request to its last callback.

namespace sluice {
namespace {

using test::bytes;
using test::joined;
using test::letters;
using test::pattern;
using test::raw;
using test::text_of;
using test::to_bytes;

class native_server : public test::native_test {
protected:
  void echo_messages() {
    handler_.message = [](connection& c, const view& v) { (void)c.send(v.type(), v.bytes()); };
  }
  [[nodiscard]] static connection_settings taking(delivery how) {
    connection_settings settings;
    settings.take = how;
    return settings;
  }
};

// ---- the opening handshake ----

TEST_P(native_server, answers_a_good_request) {
  serve();
  raw_client peer(*this);
  peer.connect();
  peer.send(raw_client::request());
  const std::string head = peer.read_head();
  EXPECT_NE(head.find("HTTP/1.1 101 "), std::string::npos);
  EXPECT_NE(head.find("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"),
            std::string::npos); // the example of RFC 6455 section 1.3
  EXPECT_TRUE(pump([&] { return handler_.opens == 1; }));
}

TEST_P(native_server, takes_a_request_byte_by_byte_and_frames_glued_behind_it) {
  serve();
  std::vector<std::string> seen;
  handler_.slice = [&](connection&, const view& v) { seen.push_back(text_of(v)); };
  raw_client peer(*this);
  peer.connect();
  const std::string request = raw_client::request();
  for (std::size_t i = 0; i + 1 < request.size(); ++i) {
    peer.send(request.substr(i, 1));
    on_.run_ready(1);
  }
  peer.send(
      joined({to_bytes(request.substr(request.size() - 1)), make_.frame(opcode::text, true, "one"),
              make_.frame(opcode::text, true, "two")}));
  EXPECT_TRUE(pump([&] { return seen.size() == 2; }));
  EXPECT_EQ(seen, (std::vector<std::string>{"one", "two"}));
}

TEST_P(native_server, the_program_sees_the_request_and_picks_a_subprotocol) {
  std::string target;
  std::string origin;
  handler_.upgrade = [&](connection& c, const upgrade_request& r) {
    target = r.target();
    origin = r.origin();
    EXPECT_EQ(c.state(), connection_state::upgrading);
    EXPECT_TRUE(r.offers("chat"));
    EXPECT_EQ(r.subprotocol(1), "v2");
    EXPECT_EQ(r.find("x-more"), "yes");
    return upgrade_decision::accept(r.subprotocol(1));
  };
  std::string agreed;
  handler_.open = [&](connection&, std::string_view protocol) { agreed = protocol; };
  serve();
  raw_client peer(*this);
  peer.connect();
  peer.send(raw_client::request("Origin: https://a.test\r\nX-More: yes\r\n"
                                "Sec-WebSocket-Protocol: chat, v2\r\n",
                                "/room?id=7"));
  const std::string head = peer.read_head();
  EXPECT_NE(head.find("Sec-WebSocket-Protocol: v2\r\n"), std::string::npos);
  EXPECT_EQ(target, "/room?id=7");
  EXPECT_EQ(origin, "https://a.test");
  EXPECT_EQ(agreed, "v2");
}

TEST_P(native_server, refusals_have_a_status_and_end_the_connection) {
  handler_.upgrade = [](connection&, const upgrade_request& r) {
    if (r.target() == "/protocol") {
      return upgrade_decision::accept("never offered");
    }
    if (r.target() == "/lines") {
      return upgrade_decision{403, {}, "X: a\r\n\r\nsplit"};
    }
    return upgrade_decision::refuse(403);
  };
  connection_settings bounds;
  bounds.max_head_bytes = 1024;
  bounds.max_headers = 10;
  serve(bounds);
  std::string many;
  for (int i = 0; i < 20; ++i) {
    many += "A: b\r\n";
  }
  const struct {
    std::string request;
    std::string status;
  } cases[] = {
      {raw_client::request(), "403"},
      {raw_client::request({}, "/protocol"), "500"},
      {raw_client::request({}, "/lines"), "500"},
      {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "426"},
      {"nonsense\r\n\r\n", "400"},
      {"GET /" + std::string(2000, 'a') + " HTTP/1.1\r\n", "431"},
      {raw_client::request(many), "431"},
  };
  for (const auto& one : cases) {
    raw_client peer(*this);
    peer.connect();
    peer.send(one.request);
    EXPECT_EQ(peer.read_head().substr(0, 12), "HTTP/1.1 " + one.status);
    EXPECT_TRUE(peer.at_end());
  }
  EXPECT_EQ(handler_.opens, 0u);
  EXPECT_TRUE(handler_.endings.empty()) << "on_close only for what was let in";
}

TEST_P(native_server, a_slow_request_runs_into_the_deadline_however_it_trickles) {
  connection_settings bounds;
  bounds.handshake_timeout = std::chrono::milliseconds{200};
  serve(bounds);
  raw_client peer(*this);
  peer.connect();
  const std::string request = raw_client::request();
  for (std::size_t sent = 0; sent < request.size() / 2; ++sent) {
    peer.send(request.substr(sent, 1));
    on_.run_ready();
  }
  EXPECT_EQ(peer.read_head().rfind("HTTP/1.1 408 ", 0), 0u); // RFC 9110 section 15.5.9
  EXPECT_TRUE(peer.at_end());
  peer.close();
  loop_stats now;
  EXPECT_TRUE(pump([&] {
    on_.stats(now);
    return now.handshakes_failed == 1;
  }));
  EXPECT_EQ(now.connections_open, 0u);
}

TEST_P(native_server, a_client_that_asks_for_nothing_is_dropped_without_an_answer) {
  connection_settings bounds;
  bounds.handshake_timeout = std::chrono::milliseconds{100};
  serve(bounds);
  raw_client peer(*this);
  peer.connect();
  EXPECT_TRUE(peer.at_end());
  loop_stats now;
  on_.stats(now);
  EXPECT_EQ(now.handshakes_failed, 1u);
}

TEST_P(native_server, a_refused_client_that_stays_is_dropped_after_close_timeout) {
  connection_settings bounds;
  bounds.handshake_timeout = std::chrono::milliseconds{0};
  bounds.close_timeout = std::chrono::milliseconds{100};
  serve(bounds);
  raw_client peer(*this);
  peer.connect();
  peer.send("GET / HTTP/1.1\r\n\r\n");
  EXPECT_EQ(peer.read_head().rfind("HTTP/1.1 4", 0), 0u);
  loop_stats now;
  EXPECT_TRUE(pump([&] { // the peer's socket is open all the time
    on_.stats(now);
    return now.handshakes_failed == 1;
  }));
  EXPECT_EQ(now.connections_open, 0u);
}

// ---- control frames while nobody asks for data ----

TEST_P(native_server, pings_are_answered_while_no_buffer_is_offered) {
  std::string got;
  std::array<std::byte, 100> room;
  handler_.got = [&](connection&, const received& r) {
    got.assign(reinterpret_cast<const char*>(r.bytes.data()), r.bytes.size());
  };
  serve(taking(delivery::buffers));
  raw_client peer = connected();
  bytes wire = make_.frame(opcode::ping, true, to_bytes("one"));
  test::append(wire, make_.frame(opcode::pong, true, to_bytes("unasked")));
  test::append(wire, make_.frame(opcode::ping, true, to_bytes("two")));
  test::append(wire, make_.frame(opcode::binary, true, to_bytes("data")));
  test::append(wire, make_.frame(opcode::ping, true, to_bytes("behind data")));
  for (const std::byte b : wire) { // cut at every byte
    peer.send(bytes{b});
    on_.run_ready();
  }
  for (const char* payload : {"one", "two"}) {
    const auto pong = peer.read_frame();
    ASSERT_TRUE(pong.has_value());
    EXPECT_EQ(pong->first, 0x8Au);
    EXPECT_EQ(pong->payload, payload);
  }
  EXPECT_EQ(got, "");
  connection_stats seen;
  handler_.last->stats(seen);
  EXPECT_EQ(seen.pings_received, 2u); // what stands behind the data has to wait for it
  ASSERT_EQ(handler_.last->receive_into(room), error::none);
  EXPECT_TRUE(pump([&] { return !got.empty(); }));
  EXPECT_EQ(got, "data");
  EXPECT_EQ(peer.read_frame().value_or(raw_client::frame{}).payload, "behind data");
  peer.send(make_.close(1000)); // nor does the peer's close frame wait for a buffer
  EXPECT_EQ(peer.read_close(), 1000u);
}

// ---- three ways to take data ----

TEST_P(native_server, messages_of_every_size_come_back) {
  echo_messages();
  serve(taking(delivery::messages));
  raw_client peer = connected();
  for (const std::size_t count : {0u, 1u, 16u, 125u, 126u, 4095u, 4096u, 65535u, 65536u, 300000u}) {
    const bytes payload = letters(count);
    for (const opcode op : {opcode::binary, opcode::text}) {
      peer.send(make_.frame(op, true, payload));
      const auto got = peer.read_frame();
      ASSERT_TRUE(got.has_value());
      EXPECT_EQ(got->first, 0x80u | static_cast<unsigned>(op));
      EXPECT_EQ(to_bytes(got->payload), payload);
    }
  }
}

TEST_P(native_server, a_fragmented_message_is_one_message) {
  echo_messages();
  serve(taking(delivery::messages));
  raw_client peer = connected();
  peer.send(
      joined({make_.frame(opcode::text, false, "a\xC3"), make_.frame(opcode::ping, true, "between"),
              make_.frame(opcode::continuation, false, ""),
              make_.frame(opcode::continuation, true, "\xA9z")}));
  auto got = peer.read_frame();
  ASSERT_TRUE(got.has_value());
  EXPECT_EQ(got->first, 0x8Au);
  EXPECT_EQ(got->payload, "between");
  got = peer.read_frame();
  ASSERT_TRUE(got.has_value());
  EXPECT_EQ(got->first, 0x81u);
  EXPECT_EQ(got->payload, "a\xC3\xA9z");
}

TEST_P(native_server, slices_carry_type_ends_and_what_is_left_of_the_frame) {
  struct piece {
    std::string text;
    bool is_text, frame_end, message_end;
  };
  std::vector<piece> seen;
  std::uint64_t total = 0;
  bool left_counts_down = true;
  std::uint64_t expected_left = 0;
  handler_.slice = [&](connection&, const view& v) {
    if (v.type() == message_type::binary) {
      if (expected_left != 0) {
        left_counts_down &= v.frame_left_bytes() + v.size() == expected_left;
      }
      expected_left = v.frame_left_bytes();
      total += v.size();
      return;
    }
    seen.push_back({text_of(v), v.is_text(), v.frame_end(), v.message_end()});
  };
  serve();
  raw_client peer = connected();
  peer.send(
      joined({make_.frame(opcode::text, false, "ab"), make_.frame(opcode::continuation, false, ""),
              make_.frame(opcode::continuation, true, "c")}));
  EXPECT_TRUE(pump([&] { return seen.size() == 3; }));
  EXPECT_EQ(seen[0].text, "ab");
  EXPECT_TRUE(seen[0].is_text && seen[0].frame_end && !seen[0].message_end);
  EXPECT_TRUE(seen[1].text.empty() && !seen[1].message_end);
  EXPECT_TRUE(seen[2].text == "c" && seen[2].message_end && seen[2].is_text);
  peer.send(make_.frame(opcode::binary, true, pattern(500000)));
  EXPECT_TRUE(pump([&] { return total == 500000; }));
  EXPECT_TRUE(left_counts_down);
}

TEST_P(native_server, the_callers_buffer_is_filled_piece_by_piece) {
  std::vector<std::byte> room(7);
  std::string all;
  std::vector<bool> ends;
  handler_.open = [&](connection& c, std::string_view) {
    EXPECT_EQ(c.receive_into({}), error::invalid_argument);
    EXPECT_EQ(c.receive_into(room), error::none);
    EXPECT_EQ(c.receive_into(room), error::invalid_state);
  };
  handler_.got = [&](connection& c, const received& r) {
    all.append(reinterpret_cast<const char*>(r.bytes.data()), r.bytes.size());
    ends.push_back(r.message_end);
    EXPECT_EQ(r.type, message_type::text);
    EXPECT_EQ(c.receive_into(room), error::none);
  };
  serve(taking(delivery::buffers));
  raw_client peer = connected();
  peer.send(make_.frame(opcode::text, true, "0123456789abcdef"));
  EXPECT_TRUE(pump([&] { return all.size() == 16; }));
  EXPECT_EQ(all, "0123456789abcdef");
  EXPECT_EQ(ends, (std::vector<bool>{false, false, true}));
}

TEST_P(native_server, the_delivery_can_change_inside_a_message) {
  std::string slices;
  std::string messages;
  handler_.slice = [&](connection& c, const view& v) {
    slices += text_of(v);
    c.set_delivery(delivery::messages);
  };
  handler_.message = [&](connection&, const view& v) { messages += text_of(v); };
  serve();
  raw_client peer = connected();
  peer.send(joined({make_.frame(opcode::text, false, "one"),
                    make_.frame(opcode::continuation, true, "two"),
                    make_.frame(opcode::text, true, "three")}));
  EXPECT_TRUE(pump([&] { return messages == "twothree"; }));
  EXPECT_EQ(slices, "one");
}

TEST_P(native_server, pausing_stops_delivery_and_reading_until_resumed) {
  std::size_t seen = 0;
  handler_.slice = [&](connection& c, const view&) {
    ++seen;
    c.pause_reading();
  };
  serve();
  raw_client peer = connected();
  peer.send(joined({make_.frame(opcode::text, true, "1"), make_.frame(opcode::text, true, "2")}));
  EXPECT_TRUE(pump([&] { return seen == 1; }));
  for (int i = 0; i < 20; ++i) {
    on_.run_ready();
  }
  EXPECT_EQ(seen, 1u);
  handler_.last->resume_reading();
  EXPECT_TRUE(pump([&] { return seen == 2; }));
}

// ---- control frames and the closing handshake ----

TEST_P(native_server, pings_are_answered_and_pongs_reported) {
  std::string pong;
  handler_.open = [](connection& c, std::string_view) {
    EXPECT_EQ(c.ping(to_bytes("are you there")), error::none);
    EXPECT_EQ(c.ping(bytes(126)), error::invalid_argument);
  };
  handler_.pong = [&](connection&, std::span<const std::byte> p) {
    pong.assign(reinterpret_cast<const char*>(p.data()), p.size());
  };
  serve();
  raw_client peer = connected();
  const auto ping = peer.read_frame();
  ASSERT_TRUE(ping.has_value());
  EXPECT_EQ(ping->first, 0x89u);
  peer.send(make_.frame(opcode::pong, true, ping->payload));
  EXPECT_TRUE(pump([&] { return pong == "are you there"; }));
}

TEST_P(native_server, the_peers_close_is_answered_and_the_server_closes_first) {
  serve();
  raw_client peer = connected();
  peer.send(make_.close(4321, "see you"));
  EXPECT_EQ(peer.read_close(), 4321u);
  EXPECT_TRUE(peer.at_end());
  EXPECT_TRUE(pump([&] { return handler_.endings.size() == 1; }));
  EXPECT_TRUE(handler_.endings[0].clean);
  EXPECT_EQ(handler_.endings[0].status, 4321u);
  EXPECT_EQ(handler_.endings[0].reason, "see you");
  EXPECT_EQ(handler_.endings[0].cause, error::none);
}

TEST_P(native_server, our_close_waits_for_the_peers_and_drops_data_meanwhile) {
  std::size_t slices = 0;
  handler_.slice = [&](connection& c, const view&) {
    ++slices;
    EXPECT_EQ(c.close(1006), error::invalid_argument);
    EXPECT_EQ(c.close(1000, std::string(124, 'x')), error::invalid_argument);
    EXPECT_EQ(c.close(1000, "\xFF"), error::invalid_argument);
    EXPECT_EQ(c.close(1001, "maintenance"), error::none);
    EXPECT_EQ(c.close(1001), error::none);
    EXPECT_EQ(c.send_text("late"), error::invalid_state);
  };
  serve();
  raw_client peer = connected();
  peer.send(joined({make_.frame(opcode::text, true, "a"), make_.frame(opcode::text, true, "b")}));
  EXPECT_EQ(peer.read_close(), 1001u);
  peer.send(joined({make_.frame(opcode::binary, true, pattern(100000)), make_.close(1001)}));
  EXPECT_TRUE(peer.at_end());
  EXPECT_TRUE(pump([&] { return handler_.endings.size() == 1; }));
  EXPECT_TRUE(handler_.endings[0].clean);
  EXPECT_EQ(slices, 1u);
}

TEST_P(native_server, a_peer_that_ignores_our_close_is_dropped_in_time) {
  connection_settings bounds;
  bounds.close_timeout = std::chrono::milliseconds{100};
  handler_.open = [](connection& c, std::string_view) { EXPECT_EQ(c.close(), error::none); };
  serve(bounds);
  raw_client peer = connected();
  EXPECT_EQ(peer.read_close(), 1000u);
  EXPECT_TRUE(pump([&] { return handler_.endings.size() == 1; }));
  EXPECT_FALSE(handler_.endings[0].clean);
  EXPECT_EQ(handler_.endings[0].cause, error::timed_out);
}

TEST_P(native_server, a_lost_peer_is_reported_once) {
  serve();
  {
    raw_client peer = connected();
    EXPECT_TRUE(pump([&] { return handler_.opens == 1; }));
  }
  EXPECT_TRUE(pump([&] { return handler_.endings.size() == 1; }));
  EXPECT_EQ(handler_.endings[0].cause, error::end_of_stream);
  EXPECT_EQ(handler_.endings[0].status, 1006u);
  EXPECT_TRUE(handler_.endings[0].opened);
}

TEST_P(native_server, abort_ends_without_a_close_frame) {
  handler_.slice = [](connection& c, const view&) { c.abort(); };
  serve();
  raw_client peer = connected();
  peer.send(joined({make_.frame(opcode::text, true, "a"), make_.frame(opcode::text, true, "b")}));
  EXPECT_TRUE(peer.at_end());
  EXPECT_TRUE(pump([&] { return handler_.endings.size() == 1; }));
  EXPECT_EQ(handler_.endings[0].cause, error::cancelled);
}

TEST_P(native_server, a_silent_peer_gets_a_ping_and_is_dropped) {
  connection_settings bounds;
  bounds.ping_interval = std::chrono::milliseconds{100};
  bounds.dead_after = std::chrono::milliseconds{400};
  serve(bounds);
  raw_client peer = connected();
  const auto ping = peer.read_frame();
  ASSERT_TRUE(ping.has_value());
  EXPECT_EQ(ping->first, 0x89u);
  peer.send(make_.frame(opcode::pong, true, ""));
  const auto again = peer.read_frame();
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->first, 0x89u);
  EXPECT_TRUE(peer.at_end());
  EXPECT_TRUE(pump([&] { return handler_.endings.size() == 1; }));
  EXPECT_EQ(handler_.endings[0].cause, error::timed_out);
}

SLUICE_ON_BOTH_BACKENDS(native_server);

} // namespace
} // namespace sluice
