// Receive and Close on asynchronous sockets, what they hear of the connection, and pings.

#include "async_fixture.hpp"

#include "winhttp/handle_table.hpp"
#include "winhttp/websocket.hpp"

#include <string>
#include <vector>

namespace sluice::test {
namespace {

using lines = std::vector<std::string>;
using async_socket = async_test;

TEST_F(async_socket, RCV_10_RCV_26_NOT_05_X_38_rearmed_in_its_callback_on_the_loop_thread) {
  constexpr std::size_t messages = 1000;
  open_peer server([](peer_connection& peer) {
    std::string all;
    for (std::size_t i = 0; i < messages; ++i) {
      all += make_frame(text_opcode, std::to_string(i));
    }
    peer.send(all);
    peer.expect_eof();
  });
  async_client client(server.port());
  landing<16> to;
  std::vector<std::string> got;
  int depth = 0;
  client.heard().on(WINHTTP_CALLBACK_STATUS_READ_COMPLETE, [&](const notice& done) {
    EXPECT_EQ(++depth, 1) << "no recursion";
    got.push_back(to.first(done.bytes));
    if (got.size() < messages) {
      EXPECT_EQ(to.receive(done.handle), ERROR_SUCCESS);
      EXPECT_EQ(to.receive(done.handle), ERROR_INVALID_OPERATION) << "RCV-13";
    }
    --depth;
  });
  ASSERT_EQ(to.receive(client.socket()), ERROR_SUCCESS);
  client.heard().wait(WINHTTP_CALLBACK_STATUS_READ_COMPLETE, messages);
  ASSERT_EQ(got.size(), messages);
  for (std::size_t i = 0; i < messages; ++i) {
    ASSERT_EQ(got[i], std::to_string(i));
  }
  for (const notice& one : client.heard().all()) {
    EXPECT_FALSE(one.on_test_thread) << "NOT-14, X-38";
    EXPECT_EQ(one.info_bytes, sizeof(WINHTTP_WEB_SOCKET_STATUS));
  }
}

TEST_F(async_socket, RCV_41_RCV_42_RCV_47_pieces_and_empty_messages) {
  open_peer server([](peer_connection& peer) {
    peer.send(make_frame(binary_opcode, std::string(16, 'a')) + make_frame(text_opcode, "") +
              make_frame(text_opcode, "x", false) + make_frame(continuation_opcode, ""));
    peer.expect_eof();
  });
  async_client client(server.port());
  landing<8> to;
  client.heard().on(WINHTTP_CALLBACK_STATUS_READ_COMPLETE,
                    [&](const notice& done) { (void)to.receive(done.handle); });
  ASSERT_EQ(to.receive(client.socket()), ERROR_SUCCESS);
  client.heard().wait(WINHTTP_CALLBACK_STATUS_READ_COMPLETE, 5);
  EXPECT_EQ(client.heard().described(),
            (lines{"socket READ_COMPLETE 8 type 1", "socket READ_COMPLETE 8 type 0",
                   "socket READ_COMPLETE 0 type 2", "socket READ_COMPLETE 1 type 3",
                   "socket READ_COMPLETE 0 type 2"}));
}

// Over TLS, large binary payload is decrypted into the buffer of the pending Receive.
TEST_F(async_socket, RCV_40_RCV_41_RCV_45_large_payload_is_the_same_on_every_way) {
  const std::string payload = pattern_text(150000);
  open_peer server([&](peer_connection& peer) {
    for (int i = 0; i < 20; ++i) {
      peer.send(make_frame(binary_opcode, payload, false) + make_frame(ping_opcode, "p") +
                make_frame(continuation_opcode, "end") + make_frame(text_opcode, "between"));
      EXPECT_EQ(peer.read_frame().opcode, pong_opcode);
    }
    EXPECT_EQ(peer.read_frame().opcode, close_opcode);
    peer.expect_eof();
  });
  async_client client(server.port());
  landing<20000> to;
  std::string message;
  std::size_t messages = 0;
  client.heard().on(WINHTTP_CALLBACK_STATUS_READ_COMPLETE, [&](const notice& done) {
    message += to.first(done.bytes);
    if (done.type == binary_message || done.type == utf8_message) {
      EXPECT_EQ(message, messages % 2 == 0 ? payload + "end" : "between");
      message.clear();
      ++messages;
    }
    if (messages == 40) {
      EXPECT_EQ(shutdown(done.handle), ERROR_SUCCESS);
    } else {
      EXPECT_EQ(to.receive(done.handle), ERROR_SUCCESS);
    }
  });
  ASSERT_EQ(to.receive(client.socket()), ERROR_SUCCESS);
  client.heard().wait(WINHTTP_CALLBACK_STATUS_SHUTDOWN_COMPLETE);
  EXPECT_EQ(messages, 40U);
  const winhttp::pin pinned(client.socket());
  DWORD code = 0;
  const rx_stats& seen = pinned.as<winhttp::websocket>(code)->received();
  EXPECT_EQ(seen.copied_bytes < seen.payload_bytes, tls_is_wanted());
}

TEST_F(async_socket, what_comes_behind_a_flood_of_records_without_data_is_received) {
  if (!tls_is_wanted()) {
    GTEST_SKIP() << "for TLS";
  }
  open_peer server([](peer_connection& peer) {
    const auto flood_and = [&](const std::string& frame) {
      std::string flood;
      for (int i = 0; i < 2000; ++i) {
        flood += peer.tls()->key_update(false);
      }
      peer.send_raw(flood + peer.tls()->seal(frame));
    };
    flood_and(make_frame(text_opcode, "and on"));
    EXPECT_EQ(peer.read_frame().opcode, close_opcode);
    flood_and(make_close(1000));
    peer.expect_eof();
  });
  async_client client(server.port());
  landing<16> to;
  ASSERT_EQ(to.receive(client.socket()), ERROR_SUCCESS);
  client.heard().wait(WINHTTP_CALLBACK_STATUS_READ_COMPLETE);
  EXPECT_EQ(to.first(6), "and on");
  EXPECT_EQ(close(client.socket()), ERROR_SUCCESS);
  client.heard().wait(WINHTTP_CALLBACK_STATUS_CLOSE_COMPLETE);
}

TEST_F(async_socket, RCV_20_RCV_21_SND_29_CLO_28_the_end_of_the_connection) {
  open_peer server([](peer_connection& peer) {
    peer.send(make_frame(text_opcode, "last"));
    peer.close_fin();
    peer.expect_eof();
  });
  async_client client(server.port());
  landing<16> to;
  ASSERT_EQ(to.receive(client.socket()), ERROR_SUCCESS);
  client.heard().wait(WINHTTP_CALLBACK_STATUS_READ_COMPLETE);
  EXPECT_EQ(to.receive(client.socket()), ERROR_SUCCESS);
  client.heard().wait(WINHTTP_CALLBACK_STATUS_REQUEST_ERROR, 1);
  EXPECT_EQ(to.receive(client.socket()), ERROR_SUCCESS);
  client.heard().wait(WINHTTP_CALLBACK_STATUS_REQUEST_ERROR, 2);
  EXPECT_EQ(send(client.socket(), binary_message, "x"), ERROR_SUCCESS);
  client.heard().wait(WINHTTP_CALLBACK_STATUS_REQUEST_ERROR, 3);
  EXPECT_EQ(close(client.socket()), ERROR_WINHTTP_CONNECTION_ERROR);
  EXPECT_EQ(shutdown(client.socket()), ERROR_WINHTTP_CONNECTION_ERROR);
  EXPECT_EQ(query_close_status(client.socket()).code, ERROR_INVALID_OPERATION) << "QCS-12";
  EXPECT_EQ(client.heard().described(),
            (lines{"socket READ_COMPLETE 4 type 2", "socket REQUEST_ERROR 12030 of 1",
                   "socket REQUEST_ERROR 12030 of 1", "socket REQUEST_ERROR 12030 of 0"}));
}

TEST_F(async_socket, RCV_21_what_was_read_before_the_failure_of_a_send_is_delivered_first) {
  event may_reset;
  open_peer server([&](peer_connection& peer) {
    peer.send(make_frame(text_opcode, "first") + make_frame(text_opcode, "second"));
    may_reset.wait();
    peer.close_rst();
  });
  async_client client(server.port());
  landing<16> to;
  ASSERT_EQ(to.receive(client.socket()), ERROR_SUCCESS);
  client.heard().wait(WINHTTP_CALLBACK_STATUS_READ_COMPLETE);
  may_reset.set();
  wait_until([&] {
    (void)send(client.socket(), binary_message, "x");
    return client.heard().count(WINHTTP_CALLBACK_STATUS_REQUEST_ERROR) != 0;
  });
  ASSERT_EQ(to.receive(client.socket()), ERROR_SUCCESS);
  client.heard().wait(WINHTTP_CALLBACK_STATUS_READ_COMPLETE, 2);
  EXPECT_EQ(to.first(6), "second");
  client.heard().clear();
  ASSERT_EQ(to.receive(client.socket()), ERROR_SUCCESS);
  wait_until([&] { return client.heard().count(WINHTTP_CALLBACK_STATUS_REQUEST_ERROR) != 0; });
  EXPECT_EQ(client.heard().described().back(), "socket REQUEST_ERROR 12030 of 1");
}

TEST_F(async_socket, RCV_65_CLO_26_a_fin_behind_the_close_frame_is_no_failure) {
  event ended;
  open_peer server([&](peer_connection& peer) {
    peer.send(make_frame(text_opcode, "last") + make_close(1000));
    peer.close_fin();
    ended.set();
    EXPECT_EQ(peer.read_frame().opcode, close_opcode);
    peer.expect_eof();
  });
  async_client client(server.port());
  ended.wait();
  let_others_run(); // the end is likely to be read while the data is unread
  landing<16> to;
  ASSERT_EQ(to.receive(client.socket()), ERROR_SUCCESS);
  client.heard().wait(WINHTTP_CALLBACK_STATUS_READ_COMPLETE);
  ASSERT_EQ(to.receive(client.socket()), ERROR_SUCCESS);
  client.heard().wait(WINHTTP_CALLBACK_STATUS_READ_COMPLETE, 2);
  EXPECT_EQ(client.heard().all().back().type, static_cast<DWORD>(close_type));
  EXPECT_EQ(close(client.socket()), ERROR_SUCCESS);
  client.heard().wait(WINHTTP_CALLBACK_STATUS_CLOSE_COMPLETE);
}

TEST_F(async_socket, RCV_22_a_reset_while_a_receive_is_pending) {
  event pending;
  open_peer server([&](peer_connection& peer) {
    pending.wait();
    peer.close_rst();
  });
  async_client client(server.port());
  landing<16> to;
  ASSERT_EQ(to.receive(client.socket()), ERROR_SUCCESS);
  pending.set();
  client.heard().wait(WINHTTP_CALLBACK_STATUS_REQUEST_ERROR);
  EXPECT_EQ(client.heard().described(), (lines{"socket REQUEST_ERROR 12030 of 1"}));
}

TEST_F(async_socket, RCV_23_X_19_a_violation_is_reported_and_answered) {
  open_peer server([](peer_connection& peer) {
    peer.send(make_frame(text_opcode, "good") + make_frame(text_opcode, "bad \xFF"));
    const client_frame frame = peer.read_frame();
    EXPECT_EQ(frame.opcode, close_opcode);
    EXPECT_EQ(frame.payload, close_payload_text(1007));
    peer.expect_eof();
  });
  async_client client(server.port());
  landing<16> to;
  client.heard().on(WINHTTP_CALLBACK_STATUS_READ_COMPLETE,
                    [&](const notice& done) { (void)to.receive(done.handle); });
  ASSERT_EQ(to.receive(client.socket()), ERROR_SUCCESS);
  client.heard().wait(WINHTTP_CALLBACK_STATUS_REQUEST_ERROR);
  EXPECT_EQ(send(client.socket(), binary_message, "x"), ERROR_INVALID_OPERATION) << "SND-29";
  EXPECT_EQ(to.receive(client.socket()), ERROR_SUCCESS);
  client.heard().wait(WINHTTP_CALLBACK_STATUS_REQUEST_ERROR, 2);
  EXPECT_EQ(client.heard().described(),
            (lines{"socket READ_COMPLETE 4 type 2", "socket REQUEST_ERROR 12152 of 1",
                   "socket REQUEST_ERROR 12152 of 1"}));
}

TEST_F(async_socket, CTL_01_CTL_03_X_34_pings_are_answered_without_a_receive) {
  event answered;
  open_peer server([&](peer_connection& peer) {
    peer.send(make_frame(ping_opcode, "are you there"));
    const client_frame pong = peer.read_frame();
    EXPECT_EQ(pong.opcode, pong_opcode);
    EXPECT_EQ(pong.payload, "are you there");
    answered.set();
    peer.expect_eof();
  });
  async_client client(server.port());
  answered.wait();
  EXPECT_EQ(client.heard().described(), lines{}) << "CTL-10";
}

TEST_F(async_socket, RCV_17_RCV_60_RCV_62_RCV_63_CLO_26_the_peer_closes_first) {
  open_peer server([](peer_connection& peer) {
    peer.send(make_close(1001, "moving"));
    EXPECT_EQ(peer.read_frame().payload, "still there");
    EXPECT_EQ(peer.read_frame().payload, close_payload_text(1000));
    peer.expect_eof();
  });
  async_client client(server.port());
  landing<16> to;
  ASSERT_EQ(to.receive(client.socket()), ERROR_SUCCESS);
  client.heard().wait(WINHTTP_CALLBACK_STATUS_READ_COMPLETE);
  EXPECT_EQ(to.first(16), std::string(16, '\0')) << "the reason is not put there";
  EXPECT_EQ(query_close_status(client.socket()), (close_status_result{0, 1001, "moving"}));
  EXPECT_EQ(send(client.socket(), utf8_message, "still there"), ERROR_SUCCESS) << "SND-27";
  EXPECT_EQ(close(client.socket()), ERROR_SUCCESS);
  EXPECT_EQ(client.heard().described(),
            (lines{"socket READ_COMPLETE 0 type 4", "socket WRITE_COMPLETE 11 type 2 in-call",
                   "socket CLOSE_COMPLETE in-call"}));
}

TEST_F(async_socket, RCV_19_a_close_frame_without_a_receive_waits_for_one) {
  open_peer server([](peer_connection& peer) {
    peer.send(make_close(1000));
    peer.close_fin();
    EXPECT_EQ(peer.read_frame().opcode, close_opcode);
    peer.expect_eof();
  });
  async_client client(server.port());
  let_others_run();
  landing<16> to;
  ASSERT_EQ(to.receive(client.socket()), ERROR_SUCCESS);
  client.heard().wait(WINHTTP_CALLBACK_STATUS_READ_COMPLETE);
  EXPECT_EQ(close(client.socket()), ERROR_SUCCESS) << "RCV-65";
  EXPECT_EQ(client.heard().described(),
            (lines{"socket READ_COMPLETE 0 type 4", "socket CLOSE_COMPLETE in-call"}));
}

TEST_F(async_socket, CLO_06_TMO_09_X_33_the_close_timer) {
  open_peer server([](peer_connection& peer) {
    EXPECT_EQ(peer.read_frame().opcode, close_opcode);
    peer.expect_eof();
  });
  async_client client(server.port());
  DWORD timeout = 50;
  ASSERT_TRUE(WinHttpSetOption(client.socket(), WINHTTP_OPTION_WEB_SOCKET_CLOSE_TIMEOUT, &timeout,
                               sizeof(timeout)));
  EXPECT_EQ(close(client.socket()), ERROR_SUCCESS);
  client.heard().wait(WINHTTP_CALLBACK_STATUS_REQUEST_ERROR);
  EXPECT_EQ(client.heard().described(), (lines{"socket REQUEST_ERROR 12002 of 2"}));
}

TEST_F(async_socket, CLO_08_CLO_09_a_close_that_fails) {
  for (const bool invalid : {false, true}) {
    open_peer server([&](peer_connection& peer) {
      EXPECT_EQ(peer.read_frame().opcode, close_opcode);
      if (invalid) {
        peer.send(make_frame({.opcode = 0x3}));
      } else {
        peer.close_fin();
      }
      peer.expect_eof();
    });
    async_client client(server.port());
    EXPECT_EQ(close(client.socket()), ERROR_SUCCESS);
    client.heard().wait(WINHTTP_CALLBACK_STATUS_REQUEST_ERROR);
    // In the call, if the peer is that quick (NOT-14).
    const std::string expected =
        invalid ? "socket REQUEST_ERROR 12152 of 2" : "socket REQUEST_ERROR 12030 of 2";
    ASSERT_EQ(client.heard().described().size(), 1u);
    EXPECT_EQ(client.heard().described()[0].substr(0, expected.size()), expected);
  }
}

} // namespace
} // namespace sluice::test
