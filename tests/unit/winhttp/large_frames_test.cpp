// Large binary frames, which over TLS are decrypted into the caller's buffer: any frames through
// any records into any buffers, and calls in the middle of one.

#include "large_frames_fixture.hpp"
#include "random_frames.hpp"

#include "support/test_effort.hpp"

#include <atomic>
#include <random>

namespace sluice::test {
namespace {

INSTANTIATE_TEST_SUITE_P(every_kind, large_frames, every_kind, kind_name); // of all the files

TEST_P(large_frames, RCV_40_RCV_41_RCV_42_RCV_44_RCV_45_any_frames_through_any_records) {
  constexpr unsigned rounds = full_effort ? 150 : 25;
  std::mt19937 random(20260607);
  const std::vector<std::vector<data_frame>> streams = random_streams(rounds, random);
  open_peer peer([&](peer_connection& to) {
    std::mt19937 cuts(1);
    for (const std::vector<data_frame>& frames : streams) {
      send_somehow(to, on_the_wire(frames, &cuts), cuts);
      // Nothing more, until all of it is there: nobody may wait for another segment.
      unsigned opcode = pong_opcode;
      while (opcode == pong_opcode) {
        opcode = to.read_frame().opcode;
      }
      if (opcode != binary_opcode) {
        return;
      }
    }
    read_to_the_end(to);
  });
  any_socket socket(peer.port(), GetParam());
  for (unsigned round = 0; round < rounds; ++round) {
    SCOPED_TRACE(testing::Message() << "round " << round);
    frame_check check(streams[round]);
    const auto next_room = [&]() -> std::size_t {
      if (random() % 16 == 0) {
        let_others_run(); // who reads ahead may do so now
      }
      constexpr std::size_t interesting[] = {8191, 8192, 8193, 16384, 65536, 300000};
      return random() % 2 == 0 ? interesting[random() % std::size(interesting)]
                               : 1 + any_size(random, 17);
    };
    bool good = true;
    socket.run(next_room(), [&](const received& piece) {
      good = check.take(piece);
      return good && !check.is_done() ? next_room() : std::size_t{0};
    });
    ASSERT_TRUE(good);
    ASSERT_EQ(send(socket.handle(), binary_message, "all"), 0u);
    if (socket.is_asynchronous()) {
      socket.asynchronous().heard().wait(WINHTTP_CALLBACK_STATUS_WRITE_COMPLETE, round + 1);
    }
  }
}

// Calls in mid-frame

// Sends a frame whose end it holds back until the client has closed or gone.
void stream_large_frame(peer_connection& to) {
  try {
    const std::string frame = make_frame(binary_opcode, pattern_text(400000));
    const std::size_t first = 100000 + (reinterpret_cast<std::uintptr_t>(&to) >> 4) % 5000;
    to.send(std::string_view(frame).substr(0, first));
    to.send(std::string_view(frame).substr(first, 200000));
    client_frame got = to.read_frame();
    EXPECT_EQ(got.opcode, close_opcode);
    to.send(frame.substr(first + 200000) + make_close(1000));
  } catch (const peer_failure&) { // the client is gone
  }
  read_to_the_end(to);
}

TEST_P(large_frames, RCV_13_RCV_15_CLO_02_CLO_21_close_in_mid_frame_discards_the_rest) {
  constexpr int rounds = full_effort ? 40 : 12;
  scripted_peer server([&](scripted_peer& on) {
    for (int i = 0; i < rounds; ++i) {
      peer_connection to = on.accept();
      to.handshake();
      stream_large_frame(to);
    }
  });
  for (int round = 0; round < rounds; ++round) {
    any_socket socket(server.port(), GetParam());
    std::atomic<std::size_t> got_bytes{0};
    std::string all;
    DWORD ended = 0;
    background receiver([&] {
      socket.run(20000, [&](const received& piece) -> std::size_t {
        ended = piece.code;
        all += piece.bytes;
        got_bytes = all.size();
        return piece.code == 0 ? 20000 : 0;
      });
    });
    const std::size_t wanted = static_cast<std::size_t>(round) * 300000 / rounds;
    wait_until([&] { return got_bytes >= wanted; });
    EXPECT_EQ(close(socket.handle()), 0u);
    if (socket.is_asynchronous()) {
      socket.asynchronous().heard().wait(WINHTTP_CALLBACK_STATUS_CLOSE_COMPLETE);
    }
    receiver.join();
    // Called in vain after the Close, or cancelled by it.
    EXPECT_TRUE(ended == ERROR_WINHTTP_OPERATION_CANCELLED || ended == ERROR_INVALID_OPERATION)
        << ended;
    EXPECT_TRUE(all == pattern_text(400000).substr(0, all.size()));
    EXPECT_EQ(query_close_status(socket.handle()), (close_status_result{0, 1000, ""}));
  }
}

TEST_P(large_frames, RCV_24_HND_12_a_handle_closed_in_mid_frame_leaves_the_buffer_alone) {
  constexpr int rounds = full_effort ? 40 : 12;
  scripted_peer server([&](scripted_peer& on) {
    for (int i = 0; i < rounds; ++i) {
      peer_connection to = on.accept();
      to.handshake();
      stream_large_frame(to);
    }
  });
  for (int round = 0; round < rounds; ++round) {
    const std::size_t wanted = static_cast<std::size_t>(round) * 250000 / rounds;
    if (GetParam() == receiving::posted || GetParam() == receiving::in_callback) {
      async_client client(server.port());
      auto room = std::make_unique<char[]>(20000);
      std::atomic<std::size_t> got_bytes{0};
      client.heard().on(WINHTTP_CALLBACK_STATUS_READ_COMPLETE, [&](const notice& done) {
        got_bytes += done.bytes;
        (void)post_receive(done.handle, room.get(), 20000);
      });
      ASSERT_EQ(post_receive(client.socket(), room.get(), 20000), 0u);
      wait_until([&] { return got_bytes >= wanted; });
      client.close_handle(); // HANDLE_CLOSING has come
      room.reset();
      continue;
    }
    const auto client = std::make_unique<any_socket>(server.port(), GetParam());
    std::atomic<std::size_t> got_bytes{0};
    DWORD ended = 0;
    background receiver([&] {
      client->run(20000, [&](const received& piece) -> std::size_t {
        ended = piece.code;
        got_bytes += piece.bytes.size();
        return piece.code == 0 ? 20000 : 0;
      });
    });
    wait_until([&] { return got_bytes >= wanted; });
    EXPECT_TRUE(WinHttpCloseHandle(client->handle()));
    receiver.join();
    EXPECT_TRUE(ended == ERROR_WINHTTP_OPERATION_CANCELLED || ended == ERROR_INVALID_HANDLE)
        << ended;
  }
}

TEST_F(websocket_test, RCV_13_a_second_receive_in_mid_frame_touches_nothing) {
  event go_on;
  const std::string payload = pattern_text(100000);
  open_peer peer([&](peer_connection& to) {
    const std::string frame = make_frame(binary_opcode, payload);
    to.send(std::string_view(frame).substr(0, 10));
    go_on.wait();
    to.send(frame.substr(10) + make_close(1000));
    read_to_the_end(to);
  });
  async_client client(peer.port());
  landing<30000> first;
  landing<30000> second;
  std::string all;
  client.heard().on(WINHTTP_CALLBACK_STATUS_READ_COMPLETE, [&](const notice& done) {
    all += first.first(done.bytes);
    if (done.type != close_type) {
      EXPECT_EQ(first.receive(done.handle), 0u);
      EXPECT_EQ(second.receive(done.handle), DWORD{ERROR_INVALID_OPERATION});
    }
  });
  ASSERT_EQ(first.receive(client.socket()), 0u);
  ASSERT_EQ(second.receive(client.socket()), DWORD{ERROR_INVALID_OPERATION});
  go_on.set();
  wait_until([&] { return query_close_status(client.socket()).code == 0; });
  client.close_handle();
  EXPECT_TRUE(all == payload);
  EXPECT_EQ(second.first(30000), std::string(30000, '\0'));
}

TEST_P(large_frames, SHD_a_shutdown_in_mid_frame_lets_the_rest_come) {
  const std::string payload = pattern_text(400000);
  open_peer peer([&](peer_connection& to) { stream_large_frame(to); });
  any_socket socket(peer.port(), GetParam());
  std::string all;
  while (all.size() < 50000) {
    const received piece = socket.receive(9000);
    ASSERT_EQ(piece.code, 0u);
    all += piece.bytes;
  }
  ASSERT_EQ(shutdown(socket.handle()), 0u);
  const received_stream rest = receive_to_the_end(socket, 30000);
  EXPECT_EQ(rest.code, 0u);
  EXPECT_TRUE(all + rest.bytes == payload);
  EXPECT_EQ(rest.types.back(), close_type);
}

} // namespace
} // namespace sluice::test
