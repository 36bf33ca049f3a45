// Section 11 of the contract.

#include "websocket_fixture.hpp"

#include <algorithm>
#include <array>
#include <set>

namespace sluice::test {
namespace {

using websocket_send = websocket_test;

void expect_data(const client_frame& frame, unsigned opcode, bool fin, std::string_view payload) {
  EXPECT_EQ(frame.opcode, opcode);
  EXPECT_EQ(frame.fin, fin);
  EXPECT_EQ(frame.reserved, 0u);
  EXPECT_TRUE(frame.masked);
  ASSERT_EQ(frame.payload.size(), payload.size());
  EXPECT_TRUE(frame.payload == payload);
}

// 11.1

TEST_F(websocket_send, SND_01_null_buffer_with_a_length) {
  socket_pair pair;
  EXPECT_EQ(WinHttpWebSocketSend(pair.handle(), binary_message, nullptr, 1),
            ERROR_INVALID_PARAMETER);
  EXPECT_FALSE(pair.peer().has_input());
  EXPECT_EQ(send(pair.handle(), binary_message, "ok"), ERROR_SUCCESS);
}

TEST_F(websocket_send, SND_02_null_buffer_without_a_length_is_an_empty_frame) {
  socket_pair pair;
  EXPECT_EQ(WinHttpWebSocketSend(pair.handle(), utf8_message, nullptr, 0), ERROR_SUCCESS);
  expect_data(pair.peer().read_frame(), text_opcode, true, "");
}

TEST_F(websocket_send, SND_03_SND_04_X_27_other_types_are_refused) {
  socket_pair pair;
  EXPECT_EQ(send(pair.handle(), close_type, "x"), ERROR_INVALID_PARAMETER);
  EXPECT_EQ(send(pair.handle(), static_cast<WINHTTP_WEB_SOCKET_BUFFER_TYPE>(5), "x"),
            ERROR_INVALID_PARAMETER);
  EXPECT_EQ(send(pair.handle(), static_cast<WINHTTP_WEB_SOCKET_BUFFER_TYPE>(7), "x"),
            ERROR_INVALID_PARAMETER);
  EXPECT_FALSE(pair.peer().has_input());
  EXPECT_EQ(send(pair.handle(), binary_message, "ok"), ERROR_SUCCESS);
  expect_data(pair.peer().read_frame(), binary_opcode, true, "ok");
}

TEST_F(websocket_send, STA_04_the_state_is_checked_before_the_type) {
  socket_pair pair;
  ASSERT_EQ(shutdown(pair.handle()), ERROR_SUCCESS);
  EXPECT_EQ(send(pair.handle(), close_type, "x"), ERROR_INVALID_OPERATION);
}

TEST_F(websocket_send, SND_05_SND_08_SND_20_each_type_starts_and_ends_messages) {
  socket_pair pair;
  const HINTERNET socket = pair.handle();
  peer_connection& peer = pair.peer();
  EXPECT_EQ(send(socket, binary_message, "b"), ERROR_SUCCESS);
  expect_data(peer.read_frame(), binary_opcode, true, "b");
  EXPECT_EQ(send(socket, utf8_message, "t"), ERROR_SUCCESS);
  expect_data(peer.read_frame(), text_opcode, true, "t");
  EXPECT_EQ(send(socket, binary_fragment, "1"), ERROR_SUCCESS);
  expect_data(peer.read_frame(), binary_opcode, false, "1");
  EXPECT_EQ(send(socket, binary_fragment, "2"), ERROR_SUCCESS);
  expect_data(peer.read_frame(), continuation_opcode, false, "2");
  EXPECT_EQ(send(socket, binary_message, ""), ERROR_SUCCESS);
  expect_data(peer.read_frame(), continuation_opcode, true, "");
  EXPECT_EQ(send(socket, utf8_fragment, ""), ERROR_SUCCESS);
  expect_data(peer.read_frame(), text_opcode, false, "");
  EXPECT_EQ(send(socket, utf8_message, "end"), ERROR_SUCCESS);
  expect_data(peer.read_frame(), continuation_opcode, true, "end");
  EXPECT_EQ(send(socket, utf8_message, "next"), ERROR_SUCCESS);
  expect_data(peer.read_frame(), text_opcode, true, "next");
}

TEST_F(websocket_send, SND_06_SND_07_the_other_type_is_refused_and_the_message_stays_open) {
  const std::array<std::array<WINHTTP_WEB_SOCKET_BUFFER_TYPE, 4>, 2> both = {
      {{binary_fragment, binary_message, utf8_fragment, utf8_message},
       {utf8_fragment, utf8_message, binary_fragment, binary_message}}};
  for (const auto& [fragment, message, other_fragment, other_message] : both) {
    socket_pair pair;
    EXPECT_EQ(send(pair.handle(), fragment, "open"), ERROR_SUCCESS);
    EXPECT_EQ(pair.peer().read_frame().payload, "open");
    EXPECT_EQ(send(pair.handle(), other_fragment, "no"), ERROR_INVALID_PARAMETER);
    EXPECT_EQ(send(pair.handle(), other_message, "no"), ERROR_INVALID_PARAMETER);
    EXPECT_EQ(send(pair.handle(), close_type, "no"), ERROR_INVALID_PARAMETER);
    EXPECT_FALSE(pair.peer().has_input());
    EXPECT_EQ(send(pair.handle(), message, "end"), ERROR_SUCCESS);
    expect_data(pair.peer().read_frame(), continuation_opcode, true, "end");
    EXPECT_EQ(send(pair.handle(), other_message, "fresh"), ERROR_SUCCESS);
    EXPECT_NE(pair.peer().read_frame().opcode, continuation_opcode);
  }
}

TEST_F(websocket_send, SND_09_SND_12_one_send_is_one_frame_of_any_size) {
  socket_pair pair;
  for (const std::size_t size : {0u,     1u,     125u,    126u,    4081u,   4082u,    4083u,
                                 4096u,  32767u, 32768u,  65521u,  65522u,  65523u,   65535u,
                                 65536u, 65537u, 131069u, 131070u, 131072u, 1000001u, 6u << 20}) {
    SCOPED_TRACE(size);
    const std::string payload = pattern_text(size);
    DWORD sent = 77;
    background sender([&] { sent = send(pair.handle(), binary_message, payload); });
    const client_frame frame = pair.peer().read_frame();
    sender.join();
    EXPECT_EQ(sent, ERROR_SUCCESS);
    expect_data(frame, binary_opcode, true, payload);
    EXPECT_EQ(frame.length_bytes, size < 126 ? 1u : size < 65536 ? 2u : 8u);
  }
}

TEST_F(websocket_send, SND_10_every_frame_has_a_fresh_key) {
  socket_pair pair;
  std::set<std::uint32_t> keys;
  constexpr int frames = 200;
  for (int i = 0; i < frames; ++i) {
    ASSERT_EQ(send(pair.handle(), binary_message, "k"), ERROR_SUCCESS);
    keys.insert(pair.peer().read_frame().key);
  }
  EXPECT_GE(keys.size(), frames - 1u); // a collision of random keys is not worth a failure
  EXPECT_EQ(keys.count(0), 0u);
}

TEST_F(websocket_send, SND_11_X_28_text_is_sent_as_given) {
  socket_pair pair;
  EXPECT_EQ(send(pair.handle(), utf8_message, "\xFF\xC0"), ERROR_SUCCESS);
  expect_data(pair.peer().read_frame(), text_opcode, true, "\xFF\xC0");
}

TEST_F(websocket_send, SND_13_the_callers_buffer_is_not_modified) {
  socket_pair pair;
  const std::string before = pattern_text(100000);
  std::string payload = before;
  background drain([&] { (void)pair.peer().read_frame(); });
  EXPECT_EQ(send(pair.handle(), binary_message, payload), ERROR_SUCCESS);
  EXPECT_TRUE(payload == before);
}

// 11.2

TEST_F(websocket_send, SND_21_blocks_until_the_peer_reads) {
  pair_settings small;
  small.client_send_buffer_bytes = 4096;
  small.peer_receive_buffer_bytes = small_receive_buffer_bytes;
  socket_pair pair(small);
  const std::string big = pattern_text(4u << 20);
  std::atomic<bool> returned{false};
  DWORD sent = 77;
  background sender([&] {
    sent = send(pair.handle(), binary_message, big);
    returned = true;
  });
  let_others_run();
  EXPECT_FALSE(returned) << "4 MiB do not fit into the kernel's buffers";
  expect_data(pair.peer().read_frame(), binary_opcode, true, big);
  sender.join();
  EXPECT_EQ(sent, ERROR_SUCCESS);
}

TEST_F(websocket_send, SND_22_STA_02_X_17_a_second_send_is_refused) {
  pair_settings small;
  small.client_send_buffer_bytes = 4096;
  small.peer_receive_buffer_bytes = small_receive_buffer_bytes;
  socket_pair pair(small);
  const std::string big = pattern_text(4u << 20);
  std::array<DWORD, 2> codes{77, 77};
  std::atomic<int> refused{0};
  auto blocked = [&](DWORD& code) {
    code = send(pair.handle(), binary_message, big);
    refused += code == ERROR_INVALID_OPERATION ? 1 : 0;
  };
  background first([&] { blocked(codes[0]); });
  background second([&] { blocked(codes[1]); });
  wait_until([&] { return refused == 1; });
  expect_data(pair.peer().read_frame(), binary_opcode, true, big);
  first.join();
  second.join();
  std::sort(codes.begin(), codes.end());
  EXPECT_EQ(codes, (std::array<DWORD, 2>{ERROR_SUCCESS, ERROR_INVALID_OPERATION}));
  EXPECT_FALSE(pair.peer().has_input());
}

TEST_F(websocket_send, SND_24_a_blocked_receive_does_not_matter) {
  socket_pair pair;
  received got;
  background receiver([&] { got = receive(pair.handle()); });
  let_others_run();
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(send(pair.handle(), binary_message, std::to_string(i)), ERROR_SUCCESS);
    ASSERT_EQ(pair.peer().read_frame().payload, std::to_string(i));
  }
  pair.peer().send(make_frame(text_opcode, "x"));
  receiver.join();
  EXPECT_EQ(got, (received{0, utf8_message, "x"}));
}

TEST_F(websocket_send, SND_25_after_shutdown_it_is_refused) {
  socket_pair pair;
  ASSERT_EQ(shutdown(pair.handle()), ERROR_SUCCESS);
  EXPECT_EQ(send(pair.handle(), binary_message, "x"), ERROR_INVALID_OPERATION);
  EXPECT_EQ(pair.peer().read_frame().opcode, close_opcode);
  EXPECT_FALSE(pair.peer().has_input());
}

TEST_F(websocket_send, SND_26_after_close_it_is_refused) {
  socket_pair pair;
  pair.peer().send(make_close(1000));
  ASSERT_EQ(close(pair.handle()), ERROR_SUCCESS);
  EXPECT_EQ(send(pair.handle(), binary_message, "x"), ERROR_INVALID_OPERATION);
}

TEST_F(websocket_send, SND_26_while_close_waits_it_is_refused) {
  socket_pair pair;
  background closer([&] { EXPECT_EQ(close(pair.handle()), ERROR_SUCCESS); });
  EXPECT_EQ(pair.peer().read_frame().opcode, close_opcode); // so Close is under way
  EXPECT_EQ(send(pair.handle(), binary_message, "x"), ERROR_INVALID_OPERATION);
  EXPECT_EQ(shutdown(pair.handle()), ERROR_INVALID_OPERATION);                // SHD-08
  EXPECT_EQ(close(pair.handle()), ERROR_INVALID_OPERATION);                   // CLO-27
  EXPECT_EQ(receive(pair.handle()).code, ERROR_INVALID_OPERATION);            // RCV-16
  EXPECT_EQ(query_close_status(pair.handle()).code, ERROR_INVALID_OPERATION); // CLO-22, QCS-07
  pair.peer().send(make_close(1000));
}

TEST_F(websocket_send, SND_27_RCV_63_after_the_peers_close_it_works) {
  socket_pair pair;
  pair.peer().send(make_close(1000));
  ASSERT_EQ(receive(pair.handle()), (received{0, close_type, ""}));
  EXPECT_EQ(send(pair.handle(), utf8_message, "last words"), ERROR_SUCCESS);
  expect_data(pair.peer().read_frame(), text_opcode, true, "last words");
  EXPECT_EQ(close(pair.handle(), 1000), ERROR_SUCCESS);
  EXPECT_EQ(pair.peer().read_frame().opcode, close_opcode);
}

TEST_F(websocket_send, SND_28_SND_29_a_broken_link) {
  socket_pair pair;
  pair.peer().close_rst();
  DWORD code = ERROR_SUCCESS;
  wait_until([&] {
    code = send(pair.handle(), binary_message, "x");
    return code != ERROR_SUCCESS;
  });
  EXPECT_EQ(code, ERROR_WINHTTP_CONNECTION_ERROR);
  EXPECT_EQ(send(pair.handle(), binary_message, "x"), ERROR_WINHTTP_CONNECTION_ERROR);
  EXPECT_EQ(receive(pair.handle()).code, ERROR_WINHTTP_CONNECTION_ERROR);
  EXPECT_EQ(close(pair.handle()), ERROR_WINHTTP_CONNECTION_ERROR); // CLO-28
}

TEST_F(websocket_send, SND_29_after_a_fin_was_received) {
  socket_pair pair;
  pair.peer().close_fin();
  EXPECT_EQ(receive(pair.handle()).code, ERROR_WINHTTP_CONNECTION_ERROR);
  EXPECT_EQ(send(pair.handle(), binary_message, "x"), ERROR_WINHTTP_CONNECTION_ERROR);
}

TEST_F(websocket_send, SND_30_X_30_a_peer_that_never_reads) {
  pair_settings stuck;
  stuck.send_timeout = std::chrono::milliseconds(20);
  stuck.client_send_buffer_bytes = 4096;
  stuck.peer_receive_buffer_bytes = 4096;
  socket_pair pair(stuck);
  const std::string big = pattern_text(4u << 20);
  received got;
  background receiver([&] { got = receive(pair.handle()); });
  let_others_run();
  EXPECT_EQ(send(pair.handle(), binary_message, big), ERROR_WINHTTP_TIMEOUT);
  receiver.join(); // the link has failed for it, too
  EXPECT_EQ(got.code, ERROR_WINHTTP_TIMEOUT);
  EXPECT_EQ(send(pair.handle(), binary_message, "x"), ERROR_INVALID_OPERATION); // SND-29
  EXPECT_EQ(receive(pair.handle()).code, ERROR_WINHTTP_TIMEOUT);                // RCV-21
  EXPECT_EQ(shutdown(pair.handle()), ERROR_WINHTTP_TIMEOUT);
  EXPECT_EQ(close(pair.handle()), ERROR_WINHTTP_TIMEOUT); // CLO-28
}

TEST_F(websocket_send, X_30_slow_progress_is_progress) {
  pair_settings slow;
  slow.send_timeout = std::chrono::milliseconds(4000);
  slow.client_send_buffer_bytes = 4096;
  slow.peer_receive_buffer_bytes = small_receive_buffer_bytes;
  socket_pair pair(slow);
  const std::string big = pattern_text(300000);
  DWORD sent = 77;
  background sender([&] { sent = send(pair.handle(), binary_message, big); });
  let_others_run();
  // Read in small portions, 4.5 s of pauses in all, longer than the timeout: each makes room for
  // more.
  std::string wire;
  while (wire.size() < big.size() + 14) {
    wire += pair.peer().read_exact(std::min<std::size_t>(1000, big.size() + 14 - wire.size()));
    std::this_thread::sleep_for(std::chrono::milliseconds(15)); // its pace
  }
  sender.join();
  EXPECT_EQ(sent, ERROR_SUCCESS);
}

// With a send buffer of megabytes the kernel takes more only when a third of it is free, which
// takes this peer twice the timeout.
TEST_F(websocket_send, X_30_TMO_05_slow_progress_behind_a_full_send_buffer_is_progress) {
  pair_settings slow;
  slow.send_timeout = std::chrono::milliseconds(500);
  slow.peer_receive_buffer_bytes = small_receive_buffer_bytes;
  socket_pair pair(slow);
  const std::string big = pattern_text(8u << 20);
  std::atomic<bool> returned{false};
  DWORD sent = 77;
  background sender([&] {
    sent = send(pair.handle(), binary_message, big);
    returned = true;
  });
  const std::size_t frame_bytes = big.size() + 14;
  std::string wire;
  while (!returned && wire.size() < frame_bytes) {
    wire += pair.peer().read_exact(std::min<std::size_t>(26000, frame_bytes - wire.size()));
    std::this_thread::sleep_for(std::chrono::milliseconds(20)); // its pace
  }
  sender.join();
  EXPECT_EQ(sent, ERROR_SUCCESS);
}

} // namespace
} // namespace sluice::test
