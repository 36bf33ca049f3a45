// A Receive that certainly sleeps in the kernel, and what ends it: Close goes on with the same
// connection, CloseHandle and a failed Send do not.

#include "care_fixture.hpp"
#include "support/asleep.hpp"
#include "support/full_table.hpp"

#include <optional>
#include <string>

namespace sluice::test {
namespace {

using websocket_cancel = websocket_test;

/// A socket with a Receive on another thread, which is asleep once the socket is made. Looked
/// after, as a program's are: the Receive has nothing to do at any time.
class sleeping_receive {
public:
  explicit sleeping_receive(const pair_settings& how = {})
      : pair_(looked_after(usual_read_ahead, how)) {
    std::atomic<pid_t> thread{0};
    receiver_.emplace([this, &thread, handle = pair_.handle()] {
      thread = this_thread_id();
      got_ = receive(handle);
    });
    wait_until([&] { return thread != 0; });
    wait_until_asleep(thread);
  }

  [[nodiscard]] socket_pair& pair() noexcept { return pair_; }
  [[nodiscard]] peer_connection& peer() noexcept { return pair_.peer(); }
  [[nodiscard]] received result() {
    receiver_.reset();
    return got_;
  }

private:
  socket_pair pair_;
  received got_;
  std::optional<background> receiver_;
};

/// The same with a Close, which has ended the Receive and waits for the peer.
class waiting_close : public sleeping_receive {
public:
  explicit waiting_close(DWORD limit_ms = 60000) {
    EXPECT_TRUE(WinHttpSetOption(pair().handle(), WINHTTP_OPTION_WEB_SOCKET_CLOSE_TIMEOUT,
                                 &limit_ms, sizeof(limit_ms)));
    closer_.emplace([this, handle = pair().handle()] { code_ = close(handle, 1000, "bye"); });
    EXPECT_EQ(result().code, ERROR_WINHTTP_OPERATION_CANCELLED) << "RCV-15";
    const client_frame frame = peer().read_frame();
    EXPECT_EQ(frame.opcode, close_opcode);
    EXPECT_EQ(frame.payload, close_payload_text(1000, "bye"));
  }

  [[nodiscard]] DWORD code() {
    closer_.reset();
    return code_;
  }

private:
  DWORD code_ = 77;
  std::optional<background> closer_;
};

TEST_F(websocket_cancel, RCV_24_HND_18_close_handle_ends_it) {
  for (int round = 0; round < 50; ++round) {
    sleeping_receive client;
    EXPECT_TRUE(client.pair().close_handle());
    EXPECT_EQ(client.result().code, ERROR_WINHTTP_OPERATION_CANCELLED);
    client.peer().expect_eof(); // no close frame
  }
}

TEST_F(websocket_cancel, CTL_01_TMO_04_pings_do_not_end_it) {
  sleeping_receive client;
  for (int i = 0; i < 10; ++i) {
    client.peer().send_bytewise(make_frame(ping_opcode, std::to_string(i)));
    EXPECT_EQ(client.peer().read_frame().payload, std::to_string(i));
  }
  client.peer().send(make_frame(text_opcode, "x"));
  EXPECT_EQ(client.result(), (received{0, utf8_message, "x"}));
}

TEST_F(websocket_cancel, X_30_RCV_21_a_send_that_times_out_ends_it) {
  pair_settings stuck;
  stuck.send_timeout = std::chrono::milliseconds(50);
  stuck.client_send_buffer_bytes = 4096;
  stuck.peer_receive_buffer_bytes = 4096;
  sleeping_receive client(stuck);
  EXPECT_EQ(send(client.pair().handle(), binary_message, pattern_text(4u << 20)),
            ERROR_WINHTTP_TIMEOUT);
  EXPECT_EQ(client.result().code, ERROR_WINHTTP_TIMEOUT);
}

// With each way that a Send can be waiting at that moment.
TEST_F(websocket_cancel, SND_31_RCV_24_close_handle_beside_a_send_that_waits) {
  pair_settings stuck;
  stuck.send_timeout = std::chrono::milliseconds(0); // nothing else ends it
  stuck.client_send_buffer_bytes = 4096;
  stuck.peer_receive_buffer_bytes = 4096;
  const std::string big = pattern_text(1u << 20);
  for (int round = 0; round < 60; ++round) {
    sleeping_receive client(stuck);
    DWORD sent = 77;
    background sender(
        [&, handle = client.pair().handle()] { sent = send(handle, binary_message, big); });
    (void)client.peer().read_exact(1); // it is under way
    std::this_thread::sleep_for(std::chrono::microseconds(round * 40));
    EXPECT_TRUE(client.pair().close_handle());
    EXPECT_EQ(client.result().code, ERROR_WINHTTP_OPERATION_CANCELLED);
    sender.join();
    EXPECT_EQ(sent, ERROR_WINHTTP_OPERATION_CANCELLED);
  }
}

TEST_F(websocket_cancel, RCV_20_RCV_22_the_end_of_the_connection_ends_it) {
  sleeping_receive finished;
  finished.peer().close_fin();
  EXPECT_EQ(finished.result().code, ERROR_WINHTTP_CONNECTION_ERROR);
  sleeping_receive reset;
  reset.peer().close_rst();
  EXPECT_EQ(reset.result().code, ERROR_WINHTTP_CONNECTION_ERROR);
}

TEST_F(websocket_cancel, RCV_15_CLO_31_CLO_02_close_reads_on_until_the_peers_close_frame) {
  waiting_close client;
  client.peer().send(make_frame(text_opcode, "discarded") + make_frame(ping_opcode, "unanswered"));
  client.peer().send(make_frame(binary_opcode, pattern_text(8u << 20)));
  client.peer().send_bytewise(make_close(1001, "late"));
  EXPECT_EQ(client.code(), ERROR_SUCCESS);
  EXPECT_EQ(query_close_status(client.pair().handle()), (close_status_result{0, 1001, "late"}));
  EXPECT_TRUE(client.pair().close_handle());
  client.peer().expect_eof(); // CLO-10: no pong
}

TEST_F(websocket_cancel, CLO_23_CLO_01_a_close_that_is_refused_leaves_it_asleep) {
  pair_settings small;
  small.client_send_buffer_bytes = 4096;
  small.peer_receive_buffer_bytes = small_receive_buffer_bytes;
  sleeping_receive client(small);
  const HINTERNET handle = client.pair().handle();
  const std::string big = pattern_text(4u << 20);
  background sender([&] { EXPECT_EQ(send(handle, binary_message, big), ERROR_SUCCESS); });
  const std::string first = client.peer().read_exact(1); // the Send is under way
  EXPECT_EQ(close(handle), ERROR_INVALID_OPERATION);
  EXPECT_EQ(close(handle, 1000, std::string(124, 'x')), ERROR_INVALID_PARAMETER);
  (void)client.peer().read_exact(2 + 8 + 4 + big.size() - first.size());
  client.peer().send(make_frame(text_opcode, "undisturbed"));
  EXPECT_EQ(client.result(), (received{0, utf8_message, "undisturbed"}));
}

TEST_F(websocket_cancel, CLO_21_CLO_04_a_close_frame_and_a_fin) {
  for (int round = 0; round < 50; ++round) {
    waiting_close client;
    client.peer().send(make_close(1000));
    client.peer().close_fin();
    EXPECT_EQ(client.code(), ERROR_SUCCESS);
  }
}

TEST_F(websocket_cancel, CLO_21_CLO_08_the_connection_ends_instead) {
  waiting_close finished;
  finished.peer().send(make_frame(text_opcode, "discarded"));
  finished.peer().close_fin();
  EXPECT_EQ(finished.code(), ERROR_WINHTTP_CONNECTION_ERROR);
  waiting_close reset;
  reset.peer().close_rst();
  EXPECT_EQ(reset.code(), ERROR_WINHTTP_CONNECTION_ERROR);
}

TEST_F(websocket_cancel, CLO_20_CLO_21_no_descriptor_is_needed) {
  for (const bool beside_a_receive : {false, true}) {
    std::optional<socket_pair> alone;
    std::optional<sleeping_receive> busy;
    socket_pair& pair = beside_a_receive ? busy.emplace().pair() : alone.emplace();
    ASSERT_EQ(send(pair.handle(), binary_message, ""), ERROR_SUCCESS); // this thread has its loop
    EXPECT_EQ(pair.peer().read_frame().opcode, binary_opcode);
    background peer([&] {
      EXPECT_EQ(pair.peer().read_frame().opcode, close_opcode);
      std::this_thread::sleep_for(std::chrono::milliseconds(3));
      pair.peer().send(make_close(1000));
    });
    const full_table none_left;
    EXPECT_EQ(close(pair.handle()), ERROR_SUCCESS);
  }
}

TEST_F(websocket_cancel, RCV_10_a_receive_on_a_new_thread_needs_no_descriptor) {
  socket_pair pair;
  pair.peer().send(make_frame(text_opcode, "one") + make_frame(text_opcode, "two"));
  const full_table none_left;
  background([&] { EXPECT_EQ(receive(pair.handle()), (received{0, utf8_message, "one"})); }).join();
  EXPECT_EQ(receive(pair.handle()), (received{0, utf8_message, "two"}));
}

TEST_F(websocket_cancel, CLO_21_CLO_09_an_invalid_frame) {
  waiting_close client;
  client.peer().send(make_frame(0xB, "bad"));
  EXPECT_EQ(client.code(), ERROR_WINHTTP_INVALID_SERVER_RESPONSE);
}

TEST_F(websocket_cancel, CLO_21_CLO_06_CLO_07_the_timer) {
  waiting_close client(20);
  EXPECT_EQ(client.code(), ERROR_WINHTTP_TIMEOUT);
  client.peer().expect_eof(); // aborted
}

TEST_F(websocket_cancel, CLO_21_CLO_29_close_handle_ends_that_close) {
  for (int round = 0; round < 50; ++round) {
    waiting_close client(round % 2 == 0 ? 0 : 60000);
    if (round % 4 < 2) {
      let_others_run();
    }
    EXPECT_TRUE(client.pair().close_handle());
    EXPECT_EQ(client.code(), ERROR_WINHTTP_OPERATION_CANCELLED);
  }
}

} // namespace
} // namespace sluice::test
