// Section 15 of the contract: pings, pongs and the keep-alive.

#include "websocket_fixture.hpp"

#include <sys/socket.h>

namespace sluice::test {
namespace {

using websocket_control = websocket_test;

void expect_frame(const client_frame& frame, unsigned opcode, std::string_view payload) {
  EXPECT_EQ(frame.opcode, opcode);
  EXPECT_EQ(frame.payload, payload);
  EXPECT_TRUE(frame.fin);
  EXPECT_TRUE(frame.masked);
  EXPECT_EQ(frame.reserved, 0u);
}

TEST_F(websocket_control, CTL_01_a_pong_carries_the_payload_of_the_ping) {
  socket_pair pair;
  for (std::size_t size = 0; size <= 125; ++size) {
    const std::string payload = pattern_text(size);
    pair.peer().send(make_frame(ping_opcode, payload) + make_frame(text_opcode, "x"));
    ASSERT_EQ(receive(pair.handle()), (received{0, utf8_message, "x"}));
    expect_frame(pair.peer().read_frame(), pong_opcode, payload);
  }
  EXPECT_FALSE(pair.peer().has_input());
}

TEST_F(websocket_control, CTL_01_a_blocked_receive_answers_pings) {
  socket_pair pair;
  received got;
  background receiver([&] { got = receive(pair.handle()); });
  for (int i = 0; i < 20; ++i) {
    pair.peer().send(make_frame(ping_opcode, std::to_string(i)));
    expect_frame(pair.peer().read_frame(), pong_opcode, std::to_string(i));
  }
  pair.peer().send(make_frame(binary_opcode, "end"));
  receiver.join();
  EXPECT_EQ(got, (received{0, binary_message, "end"}));
}

TEST_F(websocket_control, CTL_01_a_ping_between_fragments_of_one_code_point) {
  socket_pair pair;
  pair.peer().send(make_frame(text_opcode, "\xE2\x82", false) + make_frame(ping_opcode, "mid") +
                   make_frame(continuation_opcode, "\xAC"));
  EXPECT_EQ(receive(pair.handle()), (received{0, utf8_fragment, "\xE2\x82"}));
  EXPECT_EQ(receive(pair.handle()), (received{0, utf8_message, "\xAC"}));
  expect_frame(pair.peer().read_frame(), pong_opcode, "mid");
}

TEST_F(websocket_control, CTL_01_every_pong_has_a_key_of_its_own) {
  socket_pair pair;
  std::vector<std::uint32_t> keys;
  for (int i = 0; i < 64; ++i) {
    pair.peer().send(make_frame(ping_opcode, "k") + make_frame(text_opcode, "x"));
    ASSERT_EQ(receive(pair.handle()).code, ERROR_SUCCESS);
    keys.push_back(pair.peer().read_frame().key);
  }
  std::sort(keys.begin(), keys.end());
  // Two equal ones among 64 random 32-bit numbers: one run in two million.
  EXPECT_EQ(std::adjacent_find(keys.begin(), keys.end()), keys.end());
}

TEST_F(websocket_control, CTL_01_never_inside_a_frame_of_a_blocked_send) {
  pair_settings small;
  small.client_send_buffer_bytes = 4096;
  small.peer_receive_buffer_bytes = small_receive_buffer_bytes;
  socket_pair pair(small);
  const std::string big = pattern_text(4u << 20);
  DWORD sent = 77;
  background sender([&] { sent = send(pair.handle(), binary_message, big); });
  let_others_run();
  // The Send is blocked in the middle of its frame while pings are received.
  for (int i = 0; i < 10; ++i) {
    pair.peer().send(make_frame(ping_opcode, "ping " + std::to_string(i)) +
                     make_frame(text_opcode, "x"));
    ASSERT_EQ(receive(pair.handle()), (received{0, utf8_message, "x"}));
  }
  // The frame is whole, and pongs follow it, the last one for the last ping (CTL-04).
  client_frame frame = pair.peer().read_frame();
  while (frame.opcode == pong_opcode) { // the Send had not begun yet
    frame = pair.peer().read_frame();
  }
  expect_frame(frame, binary_opcode, big);
  sender.join();
  EXPECT_EQ(sent, ERROR_SUCCESS);
  EXPECT_EQ(send(pair.handle(), utf8_message, "after"), ERROR_SUCCESS);
  frame = pair.peer().read_frame();
  if (frame.opcode == pong_opcode) {
    expect_frame(frame, pong_opcode, "ping 9");
    frame = pair.peer().read_frame();
  }
  expect_frame(frame, text_opcode, "after");
}

TEST_F(websocket_control, CTL_02_pongs_are_ignored) {
  socket_pair pair;
  pair.peer().send(make_frame(pong_opcode, "") + make_frame(pong_opcode, std::string(125, 'p')) +
                   make_frame(text_opcode, "x"));
  EXPECT_EQ(receive(pair.handle()), (received{0, utf8_message, "x"}));
  EXPECT_FALSE(pair.peer().has_input());
  EXPECT_EQ(pair.object().received().pongs, 2u);
}

// No type of Receive names a control frame, and none of Send's 256 makes one.
TEST_F(websocket_control, CTL_10_applications_neither_see_nor_send_pings) {
  socket_pair pair;
  pair.peer().send(make_frame(ping_opcode, "p") + make_frame(pong_opcode, "q") +
                   make_frame(binary_opcode, "data"));
  EXPECT_EQ(receive(pair.handle()), (received{0, binary_message, "data"}));
  EXPECT_EQ(pair.peer().read_frame().opcode, pong_opcode);
  for (int type = close_type; type < 256; ++type) {
    EXPECT_EQ(send(pair.handle(), static_cast<WINHTTP_WEB_SOCKET_BUFFER_TYPE>(type), "x"),
              ERROR_INVALID_PARAMETER);
  }
  EXPECT_FALSE(pair.peer().has_input());
}

// The peer sends pings without end and reads nothing: our pongs fill both kernel buffers. Receive
// must neither hang nor keep pongs, and the messages between the pings arrive.
TEST_F(websocket_control, CTL_04_a_flood_of_pings_from_a_peer_that_does_not_read) {
  pair_settings small;
  small.client_send_buffer_bytes = 4096;
  small.peer_receive_buffer_bytes = 4096;
  socket_pair pair(small);
  constexpr int rounds = 10;
  const std::string flood = flood_of_pings(flood_pings / rounds);
  background feeder([&] {
    for (int i = 0; i < rounds; ++i) {
      pair.peer().send(flood + make_frame(text_opcode, std::to_string(i)));
    }
  });
  for (int i = 0; i < rounds; ++i) {
    ASSERT_EQ(receive(pair.handle()), (received{0, utf8_message, std::to_string(i)}));
  }
  feeder.join();
  EXPECT_EQ(pair.object().received().pings, unsigned{flood_pings});
  EXPECT_LT(pair.object().sent().pongs, unsigned{flood_pings}) << "the buffers were not full";
  // What is on the wire is whole frames still. A Send brings out the leftover first.
  background sender([&] { EXPECT_EQ(send(pair.handle(), binary_message, "end"), ERROR_SUCCESS); });
  client_frame frame = pair.peer().read_frame();
  while (frame.opcode == pong_opcode) {
    ASSERT_EQ(frame.payload, std::string(125, 'f'));
    frame = pair.peer().read_frame();
  }
  expect_frame(frame, binary_opcode, "end");
}

// Where no caretaker is, as in a forked child, the Receive that waits tries again.
TEST_F(websocket_control, CTL_01_CTL_04_a_half_sent_pong_without_the_caretaker) {
  pair_settings small;
  small.client_send_buffer_bytes = 4096;
  small.peer_receive_buffer_bytes = 4096;
  socket_pair pair(small);
  received got;
  background receiver([&] { got = receive(pair.handle()); });
  pair.peer().send(flood_of_pings() + make_frame(ping_opcode, "last"));
  client_frame frame = pair.peer().read_frame();
  while (frame.payload != "last") {
    ASSERT_EQ(frame.opcode, pong_opcode);
    frame = pair.peer().read_frame();
  }
  pair.peer().send(make_close(1000));
  receiver.join();
  EXPECT_EQ(got, (received{0, close_type, ""}));
}

TEST_F(websocket_control, CTL_04_pings_that_are_read_together_are_answered_once) {
  socket_pair pair;
  std::string wire;
  for (int i = 0; i < 300; ++i) { // they fit one buffer, and one record
    wire += make_frame(ping_opcode, "ping");
  }
  pair.peer().send(wire + make_frame(ping_opcode, "last") + make_frame(text_opcode, "x"));
  EXPECT_EQ(receive(pair.handle()), (received{0, utf8_message, "x"}));
  client_frame frame = pair.peer().read_frame();
  while (frame.payload != "last") {
    frame = pair.peer().read_frame();
  }
  EXPECT_EQ(pair.object().received().pings, 301U);
  EXPECT_LT(pair.object().sent().pongs, 10U) << "one for each segment, if it comes in many";
}

TEST_F(websocket_control, CTL_05_no_pong_after_our_close_frame) {
  socket_pair pair;
  ASSERT_EQ(shutdown(pair.handle()), ERROR_SUCCESS);
  expect_frame(pair.peer().read_frame(), close_opcode, close_payload_text(1000));
  pair.peer().send(make_frame(ping_opcode, "late") + make_frame(text_opcode, "x"));
  EXPECT_EQ(receive(pair.handle()), (received{0, utf8_message, "x"}));
  EXPECT_TRUE(pair.close_handle());
  pair.peer().expect_eof();
}

TEST_F(websocket_control, CLO_10_close_does_not_answer_pings) {
  socket_pair pair;
  pair.peer().send(make_frame(ping_opcode, "unanswered") + make_frame(pong_opcode, "") +
                   make_close(1000));
  EXPECT_EQ(close(pair.handle()), ERROR_SUCCESS);
  expect_frame(pair.peer().read_frame(), close_opcode, close_payload_text(1000));
  EXPECT_TRUE(pair.close_handle());
  pair.peer().expect_eof();
}

TEST_F(websocket_control, CTL_07_X_35_own_data_postpones_the_keep_alive) {
  socket_pair pair;
  pair.object().set_keepalive(std::chrono::hours(1));
  EXPECT_EQ(send(pair.handle(), utf8_message, "x"), ERROR_SUCCESS);
  const auto sent = io::clock::now();
  EXPECT_GT(pair.object().keepalive_due(), sent + std::chrono::minutes(59));
  EXPECT_LE(pair.object().keepalive_due(), sent + std::chrono::hours(1));
}

TEST(websocket_keepalive_default, CTL_06_CTL_11_X_36_from_the_environment) {
  using winhttp::decision::keepalive_ms_from;
  EXPECT_EQ(keepalive_ms_from(nullptr), 30000u);
  EXPECT_EQ(keepalive_ms_from(""), 30000u);
  EXPECT_EQ(keepalive_ms_from("45000"), 45000u);
  EXPECT_EQ(keepalive_ms_from("15000"), 15000u);
  EXPECT_EQ(keepalive_ms_from("14999"), 15000u); // OPT-05: the minimum
  EXPECT_EQ(keepalive_ms_from("0"), 15000u);
  EXPECT_EQ(keepalive_ms_from("4294967295"), 4294967295u);
  EXPECT_EQ(keepalive_ms_from("4294967296"), 30000u);
  EXPECT_EQ(keepalive_ms_from("99999999999999999999999999"), 30000u);
  for (const char* text : {"-1", "+20000", " 20000", "20000 ", "20s", "0x5000", "twenty"}) {
    EXPECT_EQ(keepalive_ms_from(text), 30000u) << text;
  }
}

// what goes out after a violation.

struct violation_row {
  const char* name;
  std::string wire;
  unsigned status;
};

TEST_F(websocket_control, X_19_a_violation_is_answered_with_one_close_frame_and_the_end) {
  const violation_row rows[] = {
      {"RCV_70", std::string("\xC1\x00", 2), 1002},
      {"RCV_72", make_frame(0x3, ""), 1002},
      {"RCV_73", make_frame(continuation_opcode, ""), 1002},
      {"RCV_75", make_frame(ping_opcode, std::string(126, 'x')), 1002},
      {"RCV_76", make_frame(close_opcode, "x"), 1002},
      {"RCV_77", make_close(1005), 1002},
      {"RCV_78", make_close(1000, "\xFF"), 1007},
      {"RCV_79", make_frame(text_opcode, "\xFF"), 1007},
      {"RCV_80", std::string("\x82\x7E\x00\x01x", 5), 1002},
  };
  for (const violation_row& row : rows) {
    SCOPED_TRACE(row.name);
    socket_pair pair;
    pair.peer().send(row.wire);
    EXPECT_EQ(receive(pair.handle()).code, ERROR_WINHTTP_INVALID_SERVER_RESPONSE);
    EXPECT_EQ(receive(pair.handle()).code, ERROR_WINHTTP_INVALID_SERVER_RESPONSE);
    expect_frame(pair.peer().read_frame(), close_opcode, close_payload_text(row.status));
    pair.peer().expect_eof();
  }
}

TEST_F(websocket_control, X_19_no_second_close_frame_after_a_shutdown) {
  socket_pair pair;
  ASSERT_EQ(shutdown(pair.handle(), 1001), ERROR_SUCCESS);
  pair.peer().send(make_frame(0x3, ""));
  EXPECT_EQ(receive(pair.handle()).code, ERROR_WINHTTP_INVALID_SERVER_RESPONSE);
  expect_frame(pair.peer().read_frame(), close_opcode, close_payload_text(1001));
  pair.peer().expect_eof();
}

TEST_F(websocket_control, X_19_does_not_wait_for_a_peer_that_does_not_read) {
  pair_settings small;
  small.client_send_buffer_bytes = 4096;
  small.peer_receive_buffer_bytes = 4096;
  socket_pair pair(small);
  background feeder([&] { pair.peer().send(flood_of_pings() + make_frame(0x3, "")); });
  EXPECT_EQ(receive(pair.handle()).code, ERROR_WINHTTP_INVALID_SERVER_RESPONSE);
}

} // namespace
} // namespace sluice::test
