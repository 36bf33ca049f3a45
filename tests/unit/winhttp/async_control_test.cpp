// Pings and keep-alives on asynchronous handles (section 15).

#include "async_fixture.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace sluice::test {
namespace {

using async_control = async_test;
using namespace std::chrono_literals;

void expect_pong(const client_frame& frame, std::string_view payload) {
  EXPECT_EQ(frame.opcode, pong_opcode);
  EXPECT_TRUE(frame.fin);
  EXPECT_TRUE(frame.masked);
  EXPECT_EQ(frame.payload, payload);
}

TEST_F(async_control, CTL_02_CTL_10_pongs_are_ignored) {
  open_peer server([](peer_connection& peer) {
    peer.send(make_frame(pong_opcode, "unasked") + make_frame(text_opcode, "a", false) +
              make_frame(pong_opcode, "") + make_frame(continuation_opcode, "b"));
    peer.expect_eof();
  });
  async_client client(server.port());
  landing<16> to;
  ASSERT_EQ(to.receive(client.socket()), ERROR_SUCCESS);
  client.heard().wait(WINHTTP_CALLBACK_STATUS_READ_COMPLETE);
  ASSERT_EQ(to.receive(client.socket()), ERROR_SUCCESS);
  client.heard().wait(WINHTTP_CALLBACK_STATUS_READ_COMPLETE, 2);
  EXPECT_EQ(client.heard().described(), (std::vector<std::string>{
                                            "socket READ_COMPLETE 1 type 3",
                                            "socket READ_COMPLETE 1 type 2",
                                        }));
}

TEST_F(async_control, CTL_04_the_latest_of_several_pings_is_answered) {
  const std::string big = pattern_text(std::size_t{8} << 20);
  event may_ping;
  event may_read;
  event answered;
  open_peer server(
      [&](peer_connection& peer) {
        may_ping.wait();
        peer.send(make_frame(ping_opcode, "first") + make_frame(ping_opcode, "second") +
                  make_frame(ping_opcode, "third") + make_frame(text_opcode, "x"));
        may_read.wait();
        EXPECT_EQ(peer.read_frame().payload, big);
        expect_pong(peer.read_frame(), "third");
        answered.set();
        peer.expect_eof();
      },
      {.receive_buffer_bytes = 16384});
  async_client client(server.port());
  landing<16> to;
  ASSERT_EQ(to.receive(client.socket()), ERROR_SUCCESS);
  ASSERT_EQ(send(client.socket(), binary_message, big), ERROR_SUCCESS);
  ASSERT_EQ(client.heard().count(WINHTTP_CALLBACK_STATUS_WRITE_COMPLETE), 0u) << "SND-21";
  may_ping.set();
  client.heard().wait(WINHTTP_CALLBACK_STATUS_READ_COMPLETE); // so all the pings are there
  may_read.set();
  answered.wait();
}

TEST_F(async_control, SND_21_SND_32_a_send_behind_a_pong_that_the_peer_does_not_read) {
  event may_ping;
  event may_read;
  open_peer server(
      [&](peer_connection& peer) {
        may_ping.wait();
        for (int i = 0; i < flood_pings; ++i) {
          peer.send(flood_of_pings(1));
          std::this_thread::sleep_for(500us); // each has its pong, as long as there is room
        }
        peer.send(make_frame(text_opcode, "x"));
        may_read.wait();
        client_frame frame = peer.read_frame();
        while (frame.opcode == pong_opcode) {
          frame = peer.read_frame();
        }
        EXPECT_EQ(frame.payload, "between two pongs");
        while (!peer.read_some().empty()) {
        }
      },
      {.receive_buffer_bytes = 4096});
  async_client client(server.port());
  shrink_send_buffer(server.port(), 4096);
  may_ping.set();
  landing<16> to;
  ASSERT_EQ(to.receive(client.socket()), ERROR_SUCCESS);
  client.heard().wait(WINHTTP_CALLBACK_STATUS_READ_COMPLETE);
  ASSERT_EQ(send(client.socket(), utf8_message, "between two pongs"), ERROR_SUCCESS);
  may_read.set();
  client.heard().wait(WINHTTP_CALLBACK_STATUS_WRITE_COMPLETE);
  EXPECT_EQ(client.heard().all().back().bytes, 17u);
  EXPECT_EQ(client.heard().all().back().type, static_cast<DWORD>(utf8_message));
}

TEST_F(async_control, CTL_06_CTL_08_keep_alives_without_a_receive) {
  event enough;
  open_peer server([&](peer_connection& peer) {
    for (int i = 0; i < 5; ++i) {
      expect_pong(peer.read_frame(), "");
    }
    enough.set();
    while (!peer.read_some().empty()) {
    }
  });
  async_client client(server.port());
  set_keepalive(client.socket(), 1ms);
  enough.wait();
  EXPECT_EQ(client.heard().all().size(), 0u) << "CTL-10";
}

TEST_F(async_control, CTL_07_no_keep_alive_behind_our_close_frame) {
  event begun;
  open_peer closed_one([&](peer_connection& peer) {
    client_frame frame = peer.read_frame();
    begun.set();
    while (frame.opcode == pong_opcode) {
      frame = peer.read_frame();
    }
    EXPECT_EQ(frame.opcode, close_opcode);
    peer.expect_eof();
  });
  event many;
  open_peer open_one([&](peer_connection& peer) {
    for (int i = 0; i < 20; ++i) {
      expect_pong(peer.read_frame(), "");
    }
    many.set();
    while (!peer.read_some().empty()) {
    }
  });
  async_client closed(closed_one.port());
  set_keepalive(closed.socket(), 1ms);
  begun.wait();
  EXPECT_EQ(shutdown(closed.socket()), ERROR_SUCCESS);
  // So many intervals have passed when another socket has had as many.
  async_client open(open_one.port());
  set_keepalive(open.socket(), 1ms);
  many.wait();
}

} // namespace
} // namespace sluice::test
