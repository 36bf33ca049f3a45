// Send and Shutdown on asynchronous sockets.

#include "async_fixture.hpp"

#include <algorithm>
#include <atomic>
#include <string>
#include <vector>

namespace sluice::test {
namespace {

using lines = std::vector<std::string>;
using async_socket = async_test;

TEST_F(async_socket, SND_21_SND_22_SHD_06_CLO_23_a_peer_that_does_not_read) {
  event may_read;
  const std::string big = pattern_text(std::size_t{8} << 20);
  open_peer server(
      [&](peer_connection& peer) {
        may_read.wait();
        EXPECT_EQ(peer.read_frame().payload, big);
        const client_frame close_frame = peer.read_frame();
        EXPECT_EQ(close_frame.opcode, close_opcode);
        EXPECT_EQ(close_frame.payload, close_payload_text(1001, "bye"));
        peer.expect_eof();
      },
      {.receive_buffer_bytes = 16384});
  async_client client(server.port());
  EXPECT_EQ(send(client.socket(), binary_message, big), ERROR_SUCCESS);
  EXPECT_EQ(client.heard().described(), lines{});
  EXPECT_EQ(send(client.socket(), binary_message, "second"), ERROR_INVALID_OPERATION);
  EXPECT_EQ(close(client.socket()), ERROR_INVALID_OPERATION);
  EXPECT_EQ(shutdown(client.socket(), 1001, "bye"), ERROR_SUCCESS);
  EXPECT_EQ(send(client.socket(), binary_message, "third"), ERROR_INVALID_OPERATION);
  may_read.set();
  client.heard().wait(WINHTTP_CALLBACK_STATUS_SHUTDOWN_COMPLETE);
  EXPECT_EQ(client.heard().described(),
            (lines{"socket WRITE_COMPLETE " + std::to_string(big.size()) + " type 0",
                   "socket SHUTDOWN_COMPLETE"}));
}

TEST_F(async_socket, CLO_23_STA_03_a_close_that_is_refused_cancels_nothing) {
  event may_read;
  const std::string big = pattern_text(std::size_t{8} << 20);
  open_peer server(
      [&](peer_connection& peer) {
        may_read.wait();
        peer.send(make_frame(text_opcode, "still"));
        EXPECT_EQ(peer.read_frame().payload, big);
        peer.expect_eof();
      },
      {.receive_buffer_bytes = 16384});
  async_client client(server.port());
  landing<16> to;
  EXPECT_EQ(to.receive(client.socket()), ERROR_SUCCESS);
  EXPECT_EQ(send(client.socket(), binary_message, big), ERROR_SUCCESS);
  EXPECT_EQ(close(client.socket()), ERROR_INVALID_OPERATION);
  EXPECT_EQ(client.heard().described(), lines{});
  may_read.set();
  client.heard().wait(WINHTTP_CALLBACK_STATUS_READ_COMPLETE);
  client.heard().wait(WINHTTP_CALLBACK_STATUS_WRITE_COMPLETE);
  EXPECT_EQ(to.first(5), "still");
  EXPECT_EQ(client.heard().count(WINHTTP_CALLBACK_STATUS_REQUEST_ERROR), 0u);
}

TEST_F(async_socket, SND_31_NOT_07_close_handle_with_everything_pending) {
  event done;
  const std::string big = pattern_text(std::size_t{8} << 20);
  open_peer server([&](peer_connection&) { done.wait(); }, {.receive_buffer_bytes = 16384});
  async_client client(server.port());
  landing<16> to;
  EXPECT_EQ(to.receive(client.socket()), ERROR_SUCCESS);
  EXPECT_EQ(send(client.socket(), binary_message, big), ERROR_SUCCESS);
  EXPECT_EQ(shutdown(client.socket()), ERROR_SUCCESS);
  client.close_handle();
  done.set();
  lines got = client.heard().described();
  ASSERT_EQ(got.size(), 4u);
  EXPECT_EQ(got[0].substr(0, 31), "socket REQUEST_ERROR 12017 of 1");
  EXPECT_EQ(got[1].substr(0, 31), "socket REQUEST_ERROR 12017 of 0");
  EXPECT_EQ(got[2].substr(0, 31), "socket REQUEST_ERROR 12017 of 3");
  EXPECT_EQ(got[3].substr(0, 21), "socket HANDLE_CLOSING");
}

TEST_F(async_socket, SND_23_NOT_12_sends_inside_their_completion_nest_three_deep) {
  constexpr int sends = 40;
  open_peer server([](peer_connection& peer) {
    for (int i = 0; i < sends; ++i) {
      EXPECT_EQ(peer.read_frame().payload, std::to_string(i));
    }
    peer.expect_eof();
  });
  async_client client(server.port());
  std::atomic<int> next{1};
  static thread_local int depth;
  depth = 0;
  std::atomic<int> deepest{0};
  client.heard().on(WINHTTP_CALLBACK_STATUS_WRITE_COMPLETE, [&](const notice& done) {
    if (++depth > deepest) {
      deepest = depth;
    }
    if (next < sends) {
      EXPECT_EQ(send(done.handle, utf8_message, std::to_string(next++)), ERROR_SUCCESS);
    }
    --depth;
  });
  EXPECT_EQ(send(client.socket(), utf8_message, "0"), ERROR_SUCCESS);
  client.heard().wait(WINHTTP_CALLBACK_STATUS_WRITE_COMPLETE, sends);
  EXPECT_EQ(deepest, 4) << "three in calls, inside one of the loop thread";
  const std::vector<notice> all = client.heard().all();
  EXPECT_EQ(
      std::count_if(all.begin(), all.end(), [](const notice& one) { return one.on_test_thread; }),
      3);
}

} // namespace
} // namespace sluice::test
