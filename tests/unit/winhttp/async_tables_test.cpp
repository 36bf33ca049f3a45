// The rows of sections 11 to 14 that are the same for both kinds of handles, on asynchronous ones;
// those that differ are in async_receive_test.cpp, async_send_test.cpp, async_sequences_test.cpp.

#include "async_fixture.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <set>

namespace sluice::test {
namespace {

using lines = std::vector<std::string>;
using async_tables = async_test;

constexpr DWORD wrong = ERROR_INVALID_PARAMETER;

void expect_frame(const client_frame& frame, unsigned opcode, bool fin, std::string_view payload) {
  EXPECT_EQ(frame.opcode, opcode);
  EXPECT_EQ(frame.fin, fin);
  EXPECT_TRUE(frame.masked);
  EXPECT_TRUE(frame.payload == payload);
}

// Waits until the peer's close frame has been delivered.
void receive_close(async_client& client) {
  landing<8> to;
  ASSERT_EQ(to.receive(client.socket()), ERROR_SUCCESS);
  client.heard().wait(WINHTTP_CALLBACK_STATUS_READ_COMPLETE);
  ASSERT_EQ(client.heard().all().back().type, static_cast<DWORD>(close_type));
}

// 11

TEST_F(async_tables, SND_02_SND_05_SND_06_SND_07_SND_08_SND_11_messages_and_their_types) {
  open_peer server([](peer_connection& peer) {
    expect_frame(peer.read_frame(), text_opcode, false, "\xFF");
    expect_frame(peer.read_frame(), continuation_opcode, false, "");
    expect_frame(peer.read_frame(), continuation_opcode, true, "\xC0");
    expect_frame(peer.read_frame(), binary_opcode, false, "b");
    expect_frame(peer.read_frame(), continuation_opcode, true, "");
    expect_frame(peer.read_frame(), binary_opcode, true, "");
    expect_frame(peer.read_frame(), text_opcode, true, "end");
    peer.expect_eof();
  });
  async_client client(server.port());
  const HINTERNET socket = client.socket();
  EXPECT_EQ(send(socket, utf8_fragment, "\xFF"), ERROR_SUCCESS);
  EXPECT_EQ(send(socket, binary_fragment, "x"), wrong);
  EXPECT_EQ(send(socket, binary_message, "x"), wrong);
  EXPECT_EQ(WinHttpWebSocketSend(socket, utf8_fragment, nullptr, 0), ERROR_SUCCESS);
  EXPECT_EQ(send(socket, utf8_message, "\xC0"), ERROR_SUCCESS);
  EXPECT_EQ(send(socket, binary_fragment, "b"), ERROR_SUCCESS);
  EXPECT_EQ(send(socket, utf8_message, "x"), wrong);
  EXPECT_EQ(send(socket, utf8_fragment, "x"), wrong);
  EXPECT_EQ(send(socket, binary_message, ""), ERROR_SUCCESS);
  EXPECT_EQ(WinHttpWebSocketSend(socket, binary_message, nullptr, 0), ERROR_SUCCESS);
  for (const int type : {5, -1, 100}) { // SND-04
    EXPECT_EQ(send(socket, static_cast<WINHTTP_WEB_SOCKET_BUFFER_TYPE>(type), "x"), wrong);
  }
  EXPECT_EQ(send(socket, utf8_message, "end"), ERROR_SUCCESS);
  EXPECT_EQ(client.heard().count(WINHTTP_CALLBACK_STATUS_WRITE_COMPLETE), 7u) << "SND-20";
  EXPECT_EQ(client.heard().count(WINHTTP_CALLBACK_STATUS_REQUEST_ERROR), 0u) << "STA-03";
}

TEST_F(async_tables, SND_09_SND_12_SND_13_one_send_is_one_frame_of_any_size) {
  const std::vector<std::size_t> sizes = {
      0, 1, 125, 126, 4082, 65535, 65536, 131070, std::size_t{3} << 20};
  open_peer server([&](peer_connection& peer) {
    for (const std::size_t size : sizes) {
      expect_frame(peer.read_frame(), binary_opcode, true, pattern_text(size));
    }
    peer.expect_eof();
  });
  async_client client(server.port());
  std::size_t sent = 0;
  for (const std::size_t size : sizes) {
    const std::string before = pattern_text(size);
    std::string payload = before;
    ASSERT_EQ(send(client.socket(), binary_message, payload), ERROR_SUCCESS);
    client.heard().wait(WINHTTP_CALLBACK_STATUS_WRITE_COMPLETE, ++sent);
    EXPECT_TRUE(payload == before) << "SND-13";
    EXPECT_EQ(client.heard().all().back().bytes, size) << "SND-32";
  }
}

TEST_F(async_tables, SND_10_every_frame_has_a_fresh_key) {
  constexpr std::size_t frames = 100;
  std::set<std::uint32_t> keys;
  {
    open_peer server([&](peer_connection& peer) {
      for (std::size_t i = 0; i < frames; ++i) {
        keys.insert(peer.read_frame().key);
      }
      peer.expect_eof();
    });
    async_client client(server.port());
    for (std::size_t i = 0; i < frames; ++i) {
      ASSERT_EQ(send(client.socket(), binary_message, "k"), ERROR_SUCCESS);
      client.heard().wait(WINHTTP_CALLBACK_STATUS_WRITE_COMPLETE, i + 1);
    }
  }
  EXPECT_GE(keys.size(), frames - 1); // a collision of random keys is not worth a failure
}

TEST_F(async_tables, SND_24_a_pending_receive_does_not_matter) {
  open_peer server([](peer_connection& peer) {
    EXPECT_EQ(peer.read_frame().payload, "question");
    peer.send(make_frame(text_opcode, "answer"));
    peer.expect_eof();
  });
  async_client client(server.port());
  landing<16> to;
  ASSERT_EQ(to.receive(client.socket()), ERROR_SUCCESS);
  EXPECT_EQ(send(client.socket(), utf8_message, "question"), ERROR_SUCCESS);
  client.heard().wait(WINHTTP_CALLBACK_STATUS_READ_COMPLETE);
  EXPECT_EQ(to.first(6), "answer");
}

TEST_F(async_tables, SND_28_SHD_13_SHD_14_STA_06_a_reset_while_both_are_pending) {
  event pending;
  open_peer server(
      [&](peer_connection& peer) {
        pending.wait();
        peer.close_rst();
      },
      {.receive_buffer_bytes = 16384});
  async_client client(server.port());
  const std::string big = pattern_text(std::size_t{8} << 20);
  ASSERT_EQ(send(client.socket(), binary_message, big), ERROR_SUCCESS);
  ASSERT_EQ(shutdown(client.socket()), ERROR_SUCCESS);
  pending.set();
  client.heard().wait(WINHTTP_CALLBACK_STATUS_REQUEST_ERROR, 2);
  EXPECT_EQ(client.heard().described(),
            (lines{"socket REQUEST_ERROR 12030 of 0", "socket REQUEST_ERROR 12030 of 3"}));
}

TEST_F(async_tables, SND_30_X_30_TMO_05_a_peer_that_never_reads) {
  event over;
  open_peer server([&](peer_connection&) { over.wait(); }, {.receive_buffer_bytes = 16384});
  recorder heard;
  async_handles handles(heard, server.port());
  ASSERT_TRUE(WinHttpSetTimeouts(handles.request, 0, 60000, 60, 30000));
  const HINTERNET socket = handles.open_socket();
  heard.clear();
  const std::string big = pattern_text(std::size_t{8} << 20);
  ASSERT_EQ(send(socket, binary_message, big), ERROR_SUCCESS);
  heard.wait(WINHTTP_CALLBACK_STATUS_REQUEST_ERROR);
  EXPECT_EQ(heard.described(), (lines{"socket REQUEST_ERROR 12002 of 0"}));
  EXPECT_EQ(close(socket), ERROR_WINHTTP_TIMEOUT) << "CLO-28: latched";
  over.set();
  EXPECT_TRUE(WinHttpCloseHandle(socket));
  heard.wait_closed(socket);
}

TEST_F(async_tables, X_30_TMO_05_slow_progress_is_progress) {
  const std::string big = pattern_text(std::size_t{8} << 20);
  std::atomic<bool> written{false};
  open_peer server(
      [&](peer_connection& peer) {
        const std::size_t frame_bytes = big.size() + 14;
        std::size_t read_bytes = 0;
        while (!written && read_bytes < frame_bytes) {
          const std::size_t next = std::min<std::size_t>(26000, frame_bytes - read_bytes);
          read_bytes += peer.read_exact(next).size();
          std::this_thread::sleep_for(std::chrono::milliseconds(20)); // its pace
        }
        while (!peer.read_some().empty()) {
        }
      },
      {.receive_buffer_bytes = small_receive_buffer_bytes});
  recorder heard;
  async_handles handles(heard, server.port());
  ASSERT_TRUE(WinHttpSetTimeouts(handles.request, 0, 60000, 500, 30000));
  const HINTERNET socket = handles.open_socket();
  heard.clear();
  heard.on(WINHTTP_CALLBACK_STATUS_REQUEST_ERROR, [&](const notice&) { written = true; });
  ASSERT_EQ(send(socket, binary_message, big), ERROR_SUCCESS);
  wait_until([&] { return written || heard.count(WINHTTP_CALLBACK_STATUS_WRITE_COMPLETE) != 0; });
  written = true;
  EXPECT_EQ(heard.described(),
            (lines{"socket WRITE_COMPLETE " + std::to_string(big.size()) + " type 0"}));
  EXPECT_TRUE(WinHttpCloseHandle(socket));
  heard.wait_closed(socket);
}

// 12

TEST_F(async_tables, SHD_01_SHD_03_SHD_04_SHD_10_SHD_15_one_close_frame_and_receiving_goes_on) {
  const std::string reason("with a NUL\0 and \xFF", 17);
  open_peer server([&](peer_connection& peer) {
    expect_frame(peer.read_frame(), binary_opcode, false, "unfinished");
    expect_frame(peer.read_frame(), close_opcode, true, close_payload_text(4000, reason));
    peer.send(make_frame(text_opcode, "late") + make_close(4000));
    peer.expect_eof();
  });
  async_client client(server.port());
  EXPECT_EQ(send(client.socket(), binary_fragment, "unfinished"), ERROR_SUCCESS);
  auto given = std::make_unique<std::string>(reason);
  EXPECT_EQ(shutdown(client.socket(), 4000, *given), ERROR_SUCCESS);
  given->assign(given->size(), 'x');
  given.reset();
  landing<16> to;
  ASSERT_EQ(to.receive(client.socket()), ERROR_SUCCESS);
  client.heard().wait(WINHTTP_CALLBACK_STATUS_READ_COMPLETE, 1);
  EXPECT_EQ(to.first(4), "late");
  ASSERT_EQ(to.receive(client.socket()), ERROR_SUCCESS);
  client.heard().wait(WINHTTP_CALLBACK_STATUS_READ_COMPLETE, 2);
  EXPECT_EQ(query_close_status(client.socket()).status, 4000u);
}

TEST_F(async_tables, SHD_02_SHD_11_SHD_12_CLO_01_bad_parameters_leave_everything_as_it_was) {
  open_peer server([](peer_connection& peer) {
    expect_frame(peer.read_frame(), binary_opcode, true, "still open");
    expect_frame(peer.read_frame(), close_opcode, true, ""); // SHD-11
    peer.expect_eof();
  });
  async_client client(server.port());
  const HINTERNET socket = client.socket();
  std::string long_reason(124, 'r');
  const auto each = [&](USHORT status, void* reason, DWORD length) {
    EXPECT_EQ(WinHttpWebSocketShutdown(socket, status, reason, length), wrong) << status;
    EXPECT_EQ(WinHttpWebSocketClose(socket, status, reason, length), wrong) << status;
  };
  each(1000, nullptr, 1);
  each(1000, long_reason.data(), 124);
  each(1005, long_reason.data(), 1);
  for (const USHORT status : std::initializer_list<USHORT>{0, 999, 1004, 1006, 1015, 5000, 65535}) {
    each(status, nullptr, 0);
  }
  EXPECT_EQ(client.heard().described(), lines{}) << "STA-03";
  EXPECT_EQ(send(socket, binary_message, "still open"), ERROR_SUCCESS);
  EXPECT_EQ(shutdown(socket, 1005), ERROR_SUCCESS);
}

TEST_F(async_tables, SHD_09_CLO_04_CLO_05_CLO_11_the_answer_to_the_peers_close) {
  event may_end;
  open_peer server([&](peer_connection& peer) {
    peer.send(make_close(1001, "theirs"));
    expect_frame(peer.read_frame(), close_opcode, true, close_payload_text(1000, "ours"));
    may_end.wait(); // no FIN before the client is done
    peer.expect_eof();
  });
  async_client client(server.port());
  receive_close(client);
  EXPECT_EQ(shutdown(client.socket(), 1000, "ours"), ERROR_SUCCESS);
  EXPECT_EQ(close(client.socket(), 1000, "ignored"), ERROR_SUCCESS) << "CLO-03";
  EXPECT_EQ(client.heard().described(),
            (lines{"socket READ_COMPLETE 0 type 4", "socket SHUTDOWN_COMPLETE in-call",
                   "socket CLOSE_COMPLETE in-call"}));
  // CLO-05: the handle is still there. QCS-11: and tells of the peer's close, not of ours.
  EXPECT_EQ(query_close_status(client.socket()), (close_status_result{0, 1001, "theirs"}));
  may_end.set();
}

// 13

TEST_F(async_tables, CLO_02_CLO_10_CLO_12_data_and_control_frames_are_discarded_until_the_close) {
  open_peer server([](peer_connection& peer) {
    peer.send(make_frame(text_opcode, "the first half", false));
    expect_frame(peer.read_frame(), close_opcode, true, close_payload_text(1000, "bye"));
    peer.send(make_frame(continuation_opcode, pattern_text(100000)) + make_frame(ping_opcode, "?") +
              make_frame(pong_opcode, "!") + make_frame(binary_opcode, "") +
              make_close(4001, "as they like"));
    peer.expect_eof(); // CTL-05: and no pong behind our close frame
  });
  async_client client(server.port());
  EXPECT_EQ(close(client.socket(), 1000, "bye"), ERROR_SUCCESS);
  client.heard().wait(WINHTTP_CALLBACK_STATUS_CLOSE_COMPLETE);
  EXPECT_EQ(client.heard().all().size(), 1u);
  EXPECT_EQ(query_close_status(client.socket()), (close_status_result{0, 4001, "as they like"}));
}

TEST_F(async_tables, CLO_03_CLO_24_after_shutdown_nothing_is_sent_twice) {
  open_peer server([](peer_connection& peer) {
    expect_frame(peer.read_frame(), close_opcode, true, close_payload_text(1000, "first"));
    peer.send(make_close(1000));
    peer.expect_eof();
  });
  async_client client(server.port());
  EXPECT_EQ(shutdown(client.socket(), 1000, "first"), ERROR_SUCCESS);
  EXPECT_EQ(close(client.socket(), 1001, "second"), ERROR_SUCCESS);
  client.heard().wait(WINHTTP_CALLBACK_STATUS_CLOSE_COMPLETE);
  EXPECT_EQ(close(client.socket()), ERROR_INVALID_OPERATION) << "CLO-27";
}

TEST_F(async_tables, CTL_05_no_pong_after_shutdown) {
  open_peer server([](peer_connection& peer) {
    EXPECT_EQ(peer.read_frame().opcode, close_opcode);
    peer.send(make_frame(ping_opcode, "?") + make_frame(text_opcode, "still there") +
              make_frame(ping_opcode, "?") + make_close(1000));
    peer.expect_eof();
  });
  async_client client(server.port());
  EXPECT_EQ(shutdown(client.socket()), ERROR_SUCCESS);
  landing<32> to;
  EXPECT_EQ(to.receive(client.socket()), ERROR_SUCCESS);
  client.heard().wait(WINHTTP_CALLBACK_STATUS_READ_COMPLETE);
  EXPECT_EQ(to.first(11), "still there");
  EXPECT_EQ(to.receive(client.socket()), ERROR_SUCCESS);
  client.heard().wait(WINHTTP_CALLBACK_STATUS_READ_COMPLETE, 2);
  EXPECT_EQ(client.heard().all().back().type, static_cast<DWORD>(close_type));
}

TEST_F(async_tables, CLO_07_a_close_that_fails_ends_the_connection) {
  event closed;
  open_peer server([&](peer_connection& peer) {
    EXPECT_EQ(peer.read_frame().opcode, close_opcode);
    peer.close_rst();
    closed.set();
  });
  async_client client(server.port());
  EXPECT_EQ(close(client.socket()), ERROR_SUCCESS);
  client.heard().wait(WINHTTP_CALLBACK_STATUS_REQUEST_ERROR);
  const std::vector<notice> heard = client.heard().all(); // on whatever thread (NOT-14)
  ASSERT_EQ(heard.size(), 1u);
  EXPECT_EQ(heard[0].code, static_cast<DWORD>(ERROR_WINHTTP_CONNECTION_ERROR));
  EXPECT_EQ(heard[0].call, static_cast<DWORD_PTR>(WINHTTP_WEB_SOCKET_CLOSE_OPERATION));
  EXPECT_EQ(query_close_status(client.socket()).code, ERROR_INVALID_OPERATION) << "QCS-12";
  EXPECT_EQ(send(client.socket(), binary_message, "x"), ERROR_INVALID_OPERATION) << "SND-26";
}

TEST_F(async_tables, CLO_07_CLO_09_QCS_13_an_invalid_close_frame_ends_a_close_and_the_connection) {
  for (const std::string& wire :
       {make_frame(close_opcode, "x"), make_close(1006), make_close(1000, "\xFF")}) {
    event closed;
    open_peer server([&](peer_connection& peer) {
      EXPECT_EQ(peer.read_frame().opcode, close_opcode);
      peer.send(wire);
      peer.expect_eof();
      closed.set();
    });
    async_client client(server.port());
    EXPECT_EQ(close(client.socket()), ERROR_SUCCESS);
    client.heard().wait(WINHTTP_CALLBACK_STATUS_REQUEST_ERROR);
    EXPECT_EQ(client.heard().all().back().code,
              static_cast<DWORD>(ERROR_WINHTTP_INVALID_SERVER_RESPONSE));
    EXPECT_EQ(query_close_status(client.socket()).code, ERROR_WINHTTP_INVALID_SERVER_RESPONSE);
    closed.wait(); // with the handle still open
  }
}

// 14

TEST_F(async_tables, QCS_01_QCS_02_QCS_04_QCS_05_QCS_06_QCS_11_QCS_14_QCS_15_parameters_and_sizes) {
  open_peer server([](peer_connection& peer) {
    peer.send(make_close(4999, std::string(123, 'r')));
    EXPECT_EQ(peer.read_frame().opcode, close_opcode);
    peer.expect_eof();
  });
  async_client client(server.port());
  receive_close(client);
  USHORT status = 77;
  DWORD count = 77;
  std::array<char, 200> reason{};
  const auto query = [&](HINTERNET handle, USHORT* to, void* buffer, DWORD room, DWORD* used) {
    return WinHttpWebSocketQueryCloseStatus(handle, to, buffer, room, used);
  };
  EXPECT_EQ(query(client.socket(), nullptr, reason.data(), 200, &count), wrong);
  EXPECT_EQ(query(client.socket(), &status, reason.data(), 200, nullptr), wrong);
  EXPECT_EQ(query(client.socket(), &status, nullptr, 1, &count), wrong);
  EXPECT_EQ(query(nullptr, nullptr, nullptr, 0, nullptr), wrong) << "before the handle";
  EXPECT_EQ(query(nullptr, &status, nullptr, 0, &count), ERROR_INVALID_HANDLE);
  EXPECT_EQ(status, 77u);
  EXPECT_EQ(count, 77u);
  EXPECT_EQ(query(client.socket(), &status, nullptr, 0, &count), ERROR_INSUFFICIENT_BUFFER);
  EXPECT_EQ(query(client.socket(), &status, reason.data(), 122, &count), ERROR_INSUFFICIENT_BUFFER);
  EXPECT_EQ(reason[0], '\0');
  EXPECT_EQ(query(client.socket(), &status, reason.data(), 123, &count), ERROR_SUCCESS);
  EXPECT_EQ(std::string(reason.data()), std::string(123, 'r')) << "and no terminator is needed";
  EXPECT_EQ(close(client.socket(), 1000, "ours"), ERROR_SUCCESS);
  client.heard().wait(WINHTTP_CALLBACK_STATUS_CLOSE_COMPLETE);
  EXPECT_EQ(query_close_status(client.socket()),
            (close_status_result{0, 4999, std::string(123, 'r')}));
}

TEST_F(async_tables, QCS_03_QCS_09_QCS_10_inside_the_callbacks) {
  open_peer server([](peer_connection& peer) {
    peer.send(make_close(0));
    EXPECT_EQ(peer.read_frame().opcode, close_opcode);
    peer.expect_eof();
  });
  async_client client(server.port());
  int asked = 0;
  const auto ask = [&](const notice& done) {
    USHORT status = 77;
    DWORD count = 77;
    EXPECT_EQ(WinHttpWebSocketQueryCloseStatus(done.handle, &status, nullptr, 0, &count),
              ERROR_SUCCESS);
    EXPECT_EQ(status, 1005u);
    EXPECT_EQ(count, 0u);
    ++asked;
  };
  client.heard().on(WINHTTP_CALLBACK_STATUS_READ_COMPLETE, ask);
  client.heard().on(WINHTTP_CALLBACK_STATUS_CLOSE_COMPLETE, ask);
  receive_close(client);
  EXPECT_EQ(close(client.socket()), ERROR_SUCCESS);
  client.heard().wait(WINHTTP_CALLBACK_STATUS_CLOSE_COMPLETE);
  EXPECT_EQ(asked, 2);
}

TEST_F(async_tables, QCS_09_inside_close_complete_where_no_receive_delivered_the_close) {
  open_peer server([](peer_connection& peer) {
    EXPECT_EQ(peer.read_frame().opcode, close_opcode);
    peer.send(make_close(1001, "away"));
    peer.expect_eof();
  });
  async_client client(server.port());
  close_status_result inside;
  client.heard().on(WINHTTP_CALLBACK_STATUS_CLOSE_COMPLETE,
                    [&](const notice& done) { inside = query_close_status(done.handle); });
  EXPECT_EQ(close(client.socket()), ERROR_SUCCESS);
  client.heard().wait(WINHTTP_CALLBACK_STATUS_CLOSE_COMPLETE);
  EXPECT_EQ(inside, (close_status_result{0, 1001, "away"}));
}

TEST_F(async_tables, QCS_13_an_invalid_close_frame) {
  for (const std::string& wire :
       {make_frame(close_opcode, "x"), make_close(1006), make_close(1000, "\xFF")}) {
    open_peer server([&](peer_connection& peer) {
      peer.send(wire);
      while (!peer.read_some().empty()) {
      }
    });
    async_client client(server.port());
    landing<8> to;
    ASSERT_EQ(to.receive(client.socket()), ERROR_SUCCESS);
    client.heard().wait(WINHTTP_CALLBACK_STATUS_REQUEST_ERROR);
    EXPECT_EQ(client.heard().described(), (lines{"socket REQUEST_ERROR 12152 of 1"}));
    EXPECT_EQ(query_close_status(client.socket()).code, ERROR_WINHTTP_INVALID_SERVER_RESPONSE);
  }
}

} // namespace
} // namespace sluice::test
