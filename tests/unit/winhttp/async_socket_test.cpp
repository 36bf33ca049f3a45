// The tables of Receive, Send, Shutdown and Close on asynchronous sockets, and the rules of
// notifications.

#include "async_fixture.hpp"

#include "winhttp/handle_table.hpp"
#include "winhttp/websocket.hpp"

#include <sluice/extensions.h>

#include <algorithm>

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

TEST_F(async_socket, RCV_01_RCV_02_SND_01_SND_03_STA_03_refused_calls_say_so_and_raise_nothing) {
  open_peer server([](peer_connection& peer) {
    EXPECT_EQ(peer.read_frame().payload, "after");
    peer.expect_eof();
  });
  async_client client(server.port());
  char byte = 0;
  EXPECT_EQ(post_receive(client.socket(), nullptr, 1), ERROR_INVALID_PARAMETER);
  EXPECT_EQ(post_receive(client.socket(), &byte, 0), ERROR_INVALID_PARAMETER);
  EXPECT_EQ(WinHttpWebSocketSend(client.socket(), binary_message, nullptr, 1),
            ERROR_INVALID_PARAMETER);
  EXPECT_EQ(send(client.socket(), close_type, "x"), ERROR_INVALID_PARAMETER);
  EXPECT_EQ(WinHttpWebSocketShutdown(client.socket(), 1005, &byte, 1), ERROR_INVALID_PARAMETER);
  EXPECT_EQ(WinHttpWebSocketClose(client.socket(), 1006, nullptr, 0), ERROR_INVALID_PARAMETER);
  EXPECT_EQ(client.heard().described(), lines{});
  EXPECT_EQ(send(client.socket(), binary_message, "after"), ERROR_SUCCESS);
  client.heard().wait(WINHTTP_CALLBACK_STATUS_WRITE_COMPLETE);
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
  EXPECT_GE(deepest, 2);
  EXPECT_LE(deepest, 4) << "three in calls, inside one of the loop thread";
}

TEST_F(async_socket, CLO_26_RCV_63_SND_27_the_peer_closes_first) {
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
  EXPECT_EQ(query_close_status(client.socket()), (close_status_result{0, 1001, "moving"}));
  EXPECT_EQ(send(client.socket(), utf8_message, "still there"), ERROR_SUCCESS);
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

TEST_F(async_socket, NOT_08_NOT_09_X_37_masks) {
  constexpr DWORD reads = WINHTTP_CALLBACK_FLAG_READ_COMPLETE;
  constexpr DWORD writes = WINHTTP_CALLBACK_FLAG_WRITE_COMPLETE;
  constexpr DWORD shutdowns = WINHTTP_CALLBACK_FLAG_SHUTDOWN_COMPLETE;
  const std::string written = "socket WRITE_COMPLETE 1 type 0 in-call";
  const std::string shut = "socket SHUTDOWN_COMPLETE in-call";
  const std::pair<DWORD, lines> rows[] = {
      {WINHTTP_CALLBACK_FLAG_ALL_COMPLETIONS, {written, shut}},
      {reads | writes, {written, shut}},
      {writes, {written}}, // one of the two is not enough
      {reads, {}},
      {shutdowns, {shut}},
  };
  for (const auto& [mask, wanted] : rows) {
    open_peer server([](peer_connection& peer) {
      EXPECT_EQ(peer.read_frame().payload, "x");
      EXPECT_EQ(peer.read_frame().opcode, close_opcode);
      peer.expect_eof();
    });
    async_client client(server.port(), mask | WINHTTP_CALLBACK_FLAG_HANDLES);
    EXPECT_EQ(send(client.socket(), binary_message, "x"), ERROR_SUCCESS);
    EXPECT_EQ(shutdown(client.socket()), ERROR_SUCCESS);
    EXPECT_EQ(client.heard().described(), wanted) << mask;
  }
}

TEST_F(async_socket, NOT_08_errors_need_their_bit_too) {
  open_peer server([](peer_connection& peer) { peer.close_fin(); });
  async_client client(server.port(), WINHTTP_CALLBACK_FLAG_READ_COMPLETE |
                                         WINHTTP_CALLBACK_FLAG_WRITE_COMPLETE |
                                         WINHTTP_CALLBACK_FLAG_HANDLES);
  landing<16> to;
  EXPECT_EQ(to.receive(client.socket()), ERROR_SUCCESS);
  // A Send that is never accepted says whether the link has failed: its type comes last (STA-04).
  wait_until([&] { return send(client.socket(), close_type, "") != ERROR_INVALID_PARAMETER; });
  client.close_handle();
  for (const notice& one : client.heard().all()) {
    EXPECT_EQ(one.status, DWORD{WINHTTP_CALLBACK_STATUS_HANDLE_CLOSING});
  }
}

TEST_F(async_socket, NOT_10_NOT_11_HND_14_X_05_no_callback_and_no_context) {
  open_peer server([](peer_connection& peer) {
    EXPECT_EQ(peer.read_frame().payload, "silent");
    peer.expect_eof();
  });
  async_client client(server.port());
  EXPECT_EQ(WinHttpSetStatusCallback(client.socket(), nullptr,
                                     WINHTTP_CALLBACK_FLAG_ALL_NOTIFICATIONS, 0),
            &recorder::callback);
  landing<16> to;
  EXPECT_EQ(to.receive(client.socket()), ERROR_SUCCESS);
  EXPECT_EQ(send(client.socket(), binary_message, "silent"), ERROR_SUCCESS);
  EXPECT_EQ(client.heard().described(), lines{});
  WinHttpSetStatusCallback(client.socket(), &recorder::callback,
                           WINHTTP_CALLBACK_FLAG_ALL_NOTIFICATIONS, 0);
}

// What each callback may do to its own handle (HND-20, NOT-04).
TEST_F(async_socket, HND_20_NOT_04_HND_13_close_handle_inside_each_callback) {
  for (const DWORD inside :
       {WINHTTP_CALLBACK_STATUS_READ_COMPLETE, WINHTTP_CALLBACK_STATUS_WRITE_COMPLETE,
        WINHTTP_CALLBACK_STATUS_SHUTDOWN_COMPLETE, WINHTTP_CALLBACK_STATUS_CLOSE_COMPLETE,
        WINHTTP_CALLBACK_STATUS_REQUEST_ERROR}) {
    open_peer server([&](peer_connection& peer) {
      peer.send(make_frame(text_opcode, "hello"));
      if (inside == WINHTTP_CALLBACK_STATUS_CLOSE_COMPLETE) {
        peer.send(make_close(1000));
      }
      while (!peer.read_some().empty()) {
      }
    });
    recorder before;
    recorder heard;
    HINTERNET socket = nullptr;
    bool finished = false;
    heard.on(inside, [&](const notice& done) {
      if (!finished) {
        finished = true;
        EXPECT_TRUE(WinHttpCloseHandle(done.handle));
        EXPECT_EQ(heard.count(WINHTTP_CALLBACK_STATUS_HANDLE_CLOSING), 0u);
      }
    });
    async_handles handles(before, server.port());
    socket = handles.open_socket();
    DWORD_PTR context = heard.context();
    WinHttpSetOption(socket, WINHTTP_OPTION_CONTEXT_VALUE, &context, sizeof(context));
    // The parents get their HANDLE_CLOSING after the socket's, in a recorder that may be gone then.
    WinHttpSetStatusCallback(handles.session, nullptr, 0, 0);
    WinHttpSetStatusCallback(handles.connection, nullptr, 0, 0);
    WinHttpCloseHandle(std::exchange(handles.connection, nullptr));
    WinHttpCloseHandle(std::exchange(handles.session, nullptr));
    landing<16> to;
    EXPECT_EQ(to.receive(socket), ERROR_SUCCESS);
    switch (inside) {
    case WINHTTP_CALLBACK_STATUS_WRITE_COMPLETE:
      (void)send(socket, binary_message, "x");
      break;
    case WINHTTP_CALLBACK_STATUS_SHUTDOWN_COMPLETE:
      (void)shutdown(socket);
      break;
    case WINHTTP_CALLBACK_STATUS_CLOSE_COMPLETE:
      (void)close(socket);
      break;
    case WINHTTP_CALLBACK_STATUS_REQUEST_ERROR:
      heard.wait(WINHTTP_CALLBACK_STATUS_READ_COMPLETE);
      (void)to.receive(socket);
      (void)close(socket);
      break;
    default:
      break;
    }
    heard.wait_closed(socket);
    EXPECT_EQ(heard.all().back().status, DWORD{WINHTTP_CALLBACK_STATUS_HANDLE_CLOSING});
  }
}

TEST_F(async_socket, HND_12_parents_that_were_closed_first_close_after_their_last_child) {
  open_peer server([](peer_connection& peer) { peer.expect_eof(); });
  recorder heard;
  async_handles handles(heard, server.port());
  const HINTERNET socket = handles.open_socket();
  heard.clear();
  const HINTERNET session = std::exchange(handles.session, nullptr);
  const HINTERNET connection = std::exchange(handles.connection, nullptr);
  const HINTERNET request = std::exchange(handles.request, nullptr);
  EXPECT_TRUE(WinHttpCloseHandle(session));
  EXPECT_TRUE(WinHttpCloseHandle(connection));
  EXPECT_TRUE(WinHttpCloseHandle(request)); // the socket does not delay it
  heard.wait_closed(request);
  EXPECT_TRUE(WinHttpCloseHandle(socket));
  heard.wait_closed(session);
  std::vector<HINTERNET> order;
  for (const notice& one : heard.all()) {
    EXPECT_EQ(one.status, DWORD{WINHTTP_CALLBACK_STATUS_HANDLE_CLOSING});
    order.push_back(one.handle);
  }
  EXPECT_EQ(order, (std::vector<HINTERNET>{request, socket, connection, session}));
}

TEST_F(async_socket, loop_threads_serve_the_sockets_in_turn) {
  scripted_peer server([](scripted_peer& self) {
    std::vector<peer_connection> clients;
    for (int i = 0; i < 3; ++i) {
      clients.push_back(self.accept());
      clients.back().handshake({}, make_frame(text_opcode, "hello"));
    }
    for (peer_connection& client : clients) {
      client.expect_eof();
    }
  });
  recorder heard;
  async_handles handles(heard, server.port());
  const auto set = [&](DWORD threads, DWORD bytes = sizeof(DWORD)) {
    return WinHttpSetOption(handles.session, SLUICE_OPTION_LOOP_THREADS, &threads, bytes) != FALSE
               ? DWORD{ERROR_SUCCESS}
               : GetLastError();
  };
  EXPECT_EQ(set(0), ERROR_INVALID_PARAMETER);
  EXPECT_EQ(set(SLUICE_MAX_LOOP_THREADS + 1), ERROR_INVALID_PARAMETER);
  EXPECT_EQ(set(2, 2), ERROR_INSUFFICIENT_BUFFER);
  EXPECT_EQ(set(2), ERROR_SUCCESS);
  DWORD threads = 0;
  DWORD bytes = sizeof(threads);
  EXPECT_TRUE(WinHttpQueryOption(handles.session, SLUICE_OPTION_LOOP_THREADS, &threads, &bytes));
  EXPECT_EQ(threads, 2u);
  std::vector<std::thread::id> served(3);
  std::vector<HINTERNET> sockets;
  std::mutex lock;
  heard.on(WINHTTP_CALLBACK_STATUS_READ_COMPLETE, [&](const notice& done) {
    const std::lock_guard guard(lock);
    const auto at = std::find(sockets.begin(), sockets.end(), done.handle);
    served[static_cast<std::size_t>(at - sockets.begin())] = std::this_thread::get_id();
  });
  landing<16> to[3];
  for (std::size_t i = 0; i < 3; ++i) {
    const HINTERNET made = handles.open_socket();
    {
      const std::lock_guard guard(lock);
      sockets.push_back(made);
    }
    ASSERT_EQ(to[i].receive(made), ERROR_SUCCESS);
    heard.wait(WINHTTP_CALLBACK_STATUS_READ_COMPLETE, i + 1);
    heard.forget(WINHTTP_CALLBACK_STATUS_SENDREQUEST_COMPLETE);
    heard.forget(WINHTTP_CALLBACK_STATUS_HEADERS_AVAILABLE);
  }
  EXPECT_NE(served[0], served[1]);
  EXPECT_EQ(served[0], served[2]);
  for (const HINTERNET socket : sockets) {
    EXPECT_TRUE(WinHttpCloseHandle(socket));
    heard.wait_closed(socket);
  }
}

} // namespace
} // namespace sluice::test
