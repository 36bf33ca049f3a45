// Sections 12, 13 and 14 of the contract.

#include "websocket_fixture.hpp"

#include <sys/ioctl.h>

#include <array>
#include <memory>
#include <string>

namespace sluice::test {
namespace {

using websocket_shutdown = websocket_test;
using websocket_close = websocket_test;
using websocket_close_status = websocket_test;

void expect_close(const client_frame& frame, std::string_view payload) {
  EXPECT_EQ(frame.opcode, close_opcode);
  EXPECT_EQ(frame.payload, payload);
  EXPECT_TRUE(frame.fin);
  EXPECT_TRUE(frame.masked);
}

// The statuses that an application may not give (SHD-12, X-32).
constexpr std::array<USHORT, 9> forbidden_statuses = {0,    1,    999,   1004, 1006,
                                                      1015, 5000, 32768, 65535};

constexpr std::array<USHORT, 11> sendable_statuses = {1000, 1001, 1002, 1003, 1007, 1008,
                                                      1009, 1010, 1011, 3000, 4999};

void set_close_timeout(socket_pair& pair, DWORD milliseconds) {
  ASSERT_EQ(pair.object().set_option(WINHTTP_OPTION_WEB_SOCKET_CLOSE_TIMEOUT, &milliseconds,
                                     sizeof(milliseconds)),
            ERROR_SUCCESS);
}

// 12

TEST_F(websocket_shutdown, SHD_01_sends_one_close_frame_and_receiving_goes_on) {
  socket_pair pair;
  EXPECT_EQ(shutdown(pair.handle(), 1000, "done"), ERROR_SUCCESS);
  expect_close(pair.peer().read_frame(), close_payload_text(1000, "done"));
  pair.peer().send(make_frame(text_opcode, "still here") + make_close(1000));
  EXPECT_EQ(receive(pair.handle()), (received{0, utf8_message, "still here"}));
  EXPECT_EQ(receive(pair.handle()), (received{0, close_type, ""}));
  EXPECT_FALSE(pair.peer().has_input());
}

TEST_F(websocket_shutdown, SHD_02_bad_reasons_leave_the_socket_open) {
  socket_pair pair;
  std::string reason(124, 'r');
  EXPECT_EQ(WinHttpWebSocketShutdown(pair.handle(), 1000, nullptr, 1), ERROR_INVALID_PARAMETER);
  EXPECT_EQ(WinHttpWebSocketShutdown(pair.handle(), 1000, nullptr, 124), ERROR_INVALID_PARAMETER);
  EXPECT_EQ(shutdown(pair.handle(), 1000, reason), ERROR_INVALID_PARAMETER);
  EXPECT_EQ(send(pair.handle(), binary_message, "open"), ERROR_SUCCESS);
  EXPECT_EQ(pair.peer().read_frame().payload, "open");
  EXPECT_EQ(shutdown(pair.handle(), 1000, reason.substr(1)), ERROR_SUCCESS);
  expect_close(pair.peer().read_frame(), close_payload_text(1000, reason.substr(1)));
}

TEST_F(websocket_shutdown, SHD_03_X_28_the_reason_is_bytes) {
  for (const std::string& reason :
       {std::string(), std::string("success", 8), std::string("\xFF\0\xC0", 3)}) {
    socket_pair pair;
    EXPECT_EQ(shutdown(pair.handle(), 1000, reason), ERROR_SUCCESS);
    expect_close(pair.peer().read_frame(), close_payload_text(1000, reason));
  }
}

TEST_F(websocket_shutdown, SHD_06_X_31_waits_for_a_send_in_flight) {
  pair_settings small;
  small.client_send_buffer_bytes = 4096;
  small.peer_receive_buffer_bytes = small_receive_buffer_bytes;
  socket_pair pair(small);
  const std::string big = pattern_text(4u << 20);
  background sender([&] { EXPECT_EQ(send(pair.handle(), binary_message, big), ERROR_SUCCESS); });
  // The Send is under way when a byte of it has come.
  const std::string first = pair.peer().read_exact(1);
  background shutter([&] { EXPECT_EQ(shutdown(pair.handle(), 1001), ERROR_SUCCESS); });
  // Further Sends are refused at once, by the Send in flight or by the Shutdown.
  EXPECT_EQ(send(pair.handle(), binary_message, "x"), ERROR_INVALID_OPERATION);
  const std::string header = first + pair.peer().read_exact(13);
  EXPECT_EQ(static_cast<unsigned char>(header[0]), 0x82);
  (void)pair.peer().read_exact(big.size());
  expect_close(pair.peer().read_frame(), close_payload_text(1001));
}

TEST_F(websocket_shutdown, SHD_07_a_blocked_receive_goes_on) {
  socket_pair pair;
  received got;
  background receiver([&] { got = receive(pair.handle()); });
  let_others_run();
  EXPECT_EQ(shutdown(pair.handle()), ERROR_SUCCESS);
  pair.peer().send(make_close(1000));
  receiver.join();
  EXPECT_EQ(got, (received{0, close_type, ""}));
}

TEST_F(websocket_shutdown, SHD_08_a_second_one_is_refused) {
  socket_pair pair;
  EXPECT_EQ(shutdown(pair.handle(), 1000), ERROR_SUCCESS);
  EXPECT_EQ(shutdown(pair.handle(), 1001), ERROR_INVALID_OPERATION);
  expect_close(pair.peer().read_frame(), close_payload_text(1000));
  EXPECT_FALSE(pair.peer().has_input());
}

TEST_F(websocket_shutdown, SHD_08_after_close_it_is_refused) {
  socket_pair pair;
  pair.peer().send(make_close(1000));
  ASSERT_EQ(close(pair.handle()), ERROR_SUCCESS);
  EXPECT_EQ(shutdown(pair.handle()), ERROR_INVALID_OPERATION);
}

TEST_F(websocket_shutdown, SHD_09_answers_the_peers_close) {
  socket_pair pair;
  pair.peer().send(make_close(1001, "bye"));
  ASSERT_EQ(receive(pair.handle()), (received{0, close_type, ""}));
  EXPECT_EQ(shutdown(pair.handle(), 1001), ERROR_SUCCESS);
  expect_close(pair.peer().read_frame(), close_payload_text(1001));
}

TEST_F(websocket_shutdown, SHD_10_a_message_may_stay_unfinished) {
  socket_pair pair;
  ASSERT_EQ(send(pair.handle(), utf8_fragment, "open"), ERROR_SUCCESS);
  EXPECT_EQ(shutdown(pair.handle()), ERROR_SUCCESS);
  EXPECT_FALSE(pair.peer().read_frame().fin);
  expect_close(pair.peer().read_frame(), close_payload_text(1000));
}

TEST_F(websocket_shutdown, SHD_11_X_32_1005_is_an_empty_close_frame) {
  socket_pair pair;
  EXPECT_EQ(shutdown(pair.handle(), 1005, "r"), ERROR_INVALID_PARAMETER);
  EXPECT_EQ(shutdown(pair.handle(), 1005), ERROR_SUCCESS);
  expect_close(pair.peer().read_frame(), "");
}

TEST_F(websocket_shutdown, SHD_12_X_32_statuses) {
  for (const USHORT status : forbidden_statuses) {
    socket_pair pair;
    EXPECT_EQ(shutdown(pair.handle(), status), ERROR_INVALID_PARAMETER) << status;
    EXPECT_FALSE(pair.peer().has_input());
    EXPECT_EQ(send(pair.handle(), binary_message, "open"), ERROR_SUCCESS);
  }
  for (const USHORT status : sendable_statuses) {
    socket_pair pair;
    EXPECT_EQ(shutdown(pair.handle(), status), ERROR_SUCCESS) << status;
    expect_close(pair.peer().read_frame(), close_payload_text(status));
  }
}

TEST_F(websocket_shutdown, SHD_04_the_reason_is_copied_during_the_call) {
  socket_pair pair;
  auto reason = std::make_unique<std::string>(123, 'r');
  EXPECT_EQ(shutdown(pair.handle(), 4000, *reason), ERROR_SUCCESS);
  reason->assign(123, 'x');
  reason.reset();
  expect_close(pair.peer().read_frame(), close_payload_text(4000, std::string(123, 'r')));
}

TEST_F(websocket_shutdown, SHD_13_a_peer_that_never_reads) {
  pair_settings stuck;
  stuck.send_timeout = std::chrono::milliseconds(20);
  stuck.client_send_buffer_bytes = 4096;
  stuck.peer_receive_buffer_bytes = 4096;
  socket_pair pair(stuck);
  // Whole frames until nothing more fits; the last one times out in the middle.
  while (send(pair.handle(), binary_message, pattern_text(1000)) == ERROR_SUCCESS) {
  }
  EXPECT_EQ(shutdown(pair.handle()), ERROR_WINHTTP_TIMEOUT);
}

TEST_F(websocket_shutdown, SHD_13_a_broken_link) {
  socket_pair pair;
  pair.peer().close_rst();
  ASSERT_EQ(receive(pair.handle()).code, ERROR_WINHTTP_CONNECTION_ERROR);
  EXPECT_EQ(shutdown(pair.handle()), ERROR_WINHTTP_CONNECTION_ERROR);
}

TEST_F(websocket_shutdown, RCV_62_only_the_application_answers_a_close) {
  socket_pair pair;
  pair.peer().send(make_close(1001, "going"));
  ASSERT_EQ(receive(pair.handle()).type, WINHTTP_WEB_SOCKET_CLOSE_BUFFER_TYPE);
  ASSERT_EQ(send(pair.handle(), binary_message, "first"), ERROR_SUCCESS);
  EXPECT_EQ(pair.peer().read_frame().payload, "first"); // no close frame before it
  ASSERT_EQ(shutdown(pair.handle()), ERROR_SUCCESS);
  expect_close(pair.peer().read_frame(), close_payload_text(1000));
}

// 13

TEST_F(websocket_close, CLO_01_bad_parameters_leave_everything_as_it_was) {
  socket_pair pair;
  EXPECT_EQ(WinHttpWebSocketClose(pair.handle(), 1000, nullptr, 1), ERROR_INVALID_PARAMETER);
  EXPECT_EQ(close(pair.handle(), 1000, std::string(124, 'r')), ERROR_INVALID_PARAMETER);
  EXPECT_EQ(close(pair.handle(), 1005, "r"), ERROR_INVALID_PARAMETER);
  for (const USHORT status : forbidden_statuses) {
    EXPECT_EQ(close(pair.handle(), status), ERROR_INVALID_PARAMETER) << status;
  }
  EXPECT_FALSE(pair.peer().has_input());
  pair.peer().send(make_frame(text_opcode, "alive"));
  EXPECT_EQ(receive(pair.handle()), (received{0, utf8_message, "alive"}));
  pair.peer().send(make_close(1000));
  EXPECT_EQ(close(pair.handle(), 1000, std::string(123, 'r')), ERROR_SUCCESS);
  expect_close(pair.peer().read_frame(), close_payload_text(1000, std::string(123, 'r')));
}

TEST_F(websocket_close, CLO_02_CLO_20_discards_data_until_the_peers_close) {
  socket_pair pair;
  background closer([&] { EXPECT_EQ(close(pair.handle(), 1000, "bye"), ERROR_SUCCESS); });
  expect_close(pair.peer().read_frame(), close_payload_text(1000, "bye"));
  // Data, valid text or not, fragments, an unfinished message: all dropped.
  pair.peer().send(make_frame(binary_opcode, pattern_text(300000)));
  pair.peer().send(make_frame(text_opcode, "\xFF", false) + make_frame(ping_opcode, "p") +
                   make_frame(continuation_opcode, "x", false) + make_close(3001, "last"));
  closer.join();
  EXPECT_EQ(query_close_status(pair.handle()), (close_status_result{0, 3001, "last"})); // CLO-12
}

TEST_F(websocket_close, CLO_02_from_the_middle_of_a_message) {
  socket_pair pair;
  pair.peer().send(make_frame(binary_opcode, pattern_text(5000)) + make_close(1000));
  EXPECT_EQ(receive(pair.handle(), 10).type, binary_fragment);
  EXPECT_EQ(close(pair.handle()), ERROR_SUCCESS);
}

TEST_F(websocket_close, CLO_03_CLO_24_after_shutdown_nothing_is_sent_twice) {
  socket_pair pair;
  ASSERT_EQ(shutdown(pair.handle(), 1001, "mine"), ERROR_SUCCESS);
  background closer([&] { EXPECT_EQ(close(pair.handle(), 1000, "ignored"), ERROR_SUCCESS); });
  expect_close(pair.peer().read_frame(), close_payload_text(1001, "mine"));
  pair.peer().send(make_close(1001, "mine"));
  closer.join();
  EXPECT_TRUE(pair.close_handle());
  pair.peer().expect_eof();
}

TEST_F(websocket_close, CLO_04_CLO_26_does_not_wait_when_the_peers_close_was_delivered) {
  socket_pair pair;
  pair.peer().send(make_close(1001, "first"));
  ASSERT_EQ(receive(pair.handle()), (received{0, close_type, ""}));
  EXPECT_EQ(close(pair.handle(), 1000), ERROR_SUCCESS);
  expect_close(pair.peer().read_frame(), close_payload_text(1000));
  EXPECT_EQ(query_close_status(pair.handle()), (close_status_result{0, 1001, "first"}));
}

TEST_F(websocket_close, CLO_05_the_handle_stays_open) {
  socket_pair pair;
  pair.peer().send(make_close(1000));
  ASSERT_EQ(close(pair.handle()), ERROR_SUCCESS);
  EXPECT_EQ(query_close_status(pair.handle()).code, ERROR_SUCCESS);
  EXPECT_TRUE(pair.close_handle());
}

TEST_F(websocket_close, CLO_06_CLO_07_TMO_06_X_33_the_timer) {
  socket_pair pair;
  set_close_timeout(pair, 20);
  EXPECT_EQ(close(pair.handle()), ERROR_WINHTTP_TIMEOUT);
  EXPECT_EQ(close(pair.handle()), ERROR_INVALID_OPERATION);                   // CLO-27
  EXPECT_EQ(query_close_status(pair.handle()).code, ERROR_INVALID_OPERATION); // QCS-12
  expect_close(pair.peer().read_frame(), close_payload_text(1000));
  pair.peer().expect_eof(); // aborted
}

// Frames so small that taking them off costs more than sending them: whoever reads finds more, and
// gets to the close frame behind them long after the timer.
TEST_F(websocket_close, CLO_06_the_timer_runs_while_data_keeps_coming) {
  socket_pair pair;
  set_close_timeout(pair, 1);
  const background feeder([&] {
    const std::string empty = make_frame(binary_opcode, "");
    std::string wire;
    while (wire.size() < std::size_t{16} << 20) {
      wire += empty;
    }
    (void)pair.peer().try_send(wire + make_close(1000));
  });
  wait_until([&] {
    int unread_bytes = 0;
    return ::ioctl(pair.client_fd(), FIONREAD, &unread_bytes) == 0 && unread_bytes > 32768;
  });
  EXPECT_EQ(close(pair.handle()), ERROR_WINHTTP_TIMEOUT);
}

TEST_F(websocket_close, CLO_06_the_timer_covers_our_own_frame) {
  pair_settings stuck;
  stuck.client_send_buffer_bytes = 4096;
  stuck.peer_receive_buffer_bytes = 4096;
  socket_pair pair(stuck);
  set_close_timeout(pair, 20);
  // Pongs fill the way to the peer without failing the link.
  background feeder([&] { pair.peer().send(flood_of_pings() + make_frame(text_opcode, "x")); });
  ASSERT_EQ(receive(pair.handle()).code, ERROR_SUCCESS);
  feeder.join();
  EXPECT_EQ(close(pair.handle()), ERROR_WINHTTP_TIMEOUT);
}

TEST_F(websocket_close, X_40_no_limit) {
  for (const DWORD unlimited : {0u, 0xFFFFFFFFu}) {
    socket_pair pair;
    set_close_timeout(pair, unlimited);
    background closer([&] { EXPECT_EQ(close(pair.handle()), ERROR_SUCCESS); });
    expect_close(pair.peer().read_frame(), close_payload_text(1000));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    pair.peer().send(make_close(1000));
  }
}

TEST_F(websocket_close, CLO_08_fin_instead_of_a_close) {
  socket_pair pair;
  background closer([&] { EXPECT_EQ(close(pair.handle()), ERROR_WINHTTP_CONNECTION_ERROR); });
  expect_close(pair.peer().read_frame(), close_payload_text(1000));
  pair.peer().close_fin();
}

TEST_F(websocket_close, CLO_08_reset_instead_of_a_close) {
  socket_pair pair;
  background closer([&] { EXPECT_EQ(close(pair.handle()), ERROR_WINHTTP_CONNECTION_ERROR); });
  expect_close(pair.peer().read_frame(), close_payload_text(1000));
  pair.peer().close_rst();
}

TEST_F(websocket_close, CLO_09_invalid_frames_while_waiting) {
  for (const std::string& wire : {make_frame(0x3, ""), make_frame(continuation_opcode, ""),
                                  make_frame(ping_opcode, std::string(126, 'x'))}) {
    socket_pair pair;
    pair.peer().send(wire);
    EXPECT_EQ(close(pair.handle()), ERROR_WINHTTP_INVALID_SERVER_RESPONSE);
    expect_close(pair.peer().read_frame(), close_payload_text(1000)); // and no second one
    pair.peer().expect_eof();
  }
}

TEST_F(websocket_close, CLO_11_does_not_wait_for_the_fin) {
  socket_pair pair;
  pair.peer().send(make_close(1000));
  EXPECT_EQ(close(pair.handle()), ERROR_SUCCESS); // the peer's side is open
}

TEST_F(websocket_close, CLO_23_a_send_in_flight) {
  pair_settings small;
  small.client_send_buffer_bytes = 4096;
  small.peer_receive_buffer_bytes = small_receive_buffer_bytes;
  socket_pair pair(small);
  const std::string big = pattern_text(4u << 20);
  background sender([&] { EXPECT_EQ(send(pair.handle(), binary_message, big), ERROR_SUCCESS); });
  const std::string first = pair.peer().read_exact(1); // so the Send is under way
  EXPECT_EQ(close(pair.handle()), ERROR_INVALID_OPERATION);
  (void)pair.peer().read_exact(13 + big.size());
  sender.join();
  pair.peer().send(make_frame(text_opcode, "nothing was cancelled"));
  EXPECT_EQ(receive(pair.handle()), (received{0, utf8_message, "nothing was cancelled"}));
}

TEST_F(websocket_close, CLO_25_after_shutdown_and_the_peers_close) {
  socket_pair pair;
  ASSERT_EQ(shutdown(pair.handle()), ERROR_SUCCESS);
  pair.peer().send(make_close(1000, "ok"));
  ASSERT_EQ(receive(pair.handle()), (received{0, close_type, ""}));
  pair.peer().close_fin();
  EXPECT_EQ(close(pair.handle()), ERROR_SUCCESS);
  EXPECT_EQ(query_close_status(pair.handle()), (close_status_result{0, 1000, "ok"}));
}

TEST_F(websocket_close, CLO_28_a_failed_link) {
  socket_pair pair;
  pair.peer().close_fin();
  ASSERT_EQ(receive(pair.handle()).code, ERROR_WINHTTP_CONNECTION_ERROR);
  EXPECT_EQ(close(pair.handle()), ERROR_WINHTTP_CONNECTION_ERROR);
}

TEST_F(websocket_close, CLO_04_simultaneous_close) {
  socket_pair pair;
  pair.peer().send(make_close(1001));
  EXPECT_EQ(close(pair.handle(), 1000), ERROR_SUCCESS);
  expect_close(pair.peer().read_frame(), close_payload_text(1000));
  EXPECT_EQ(query_close_status(pair.handle()), (close_status_result{0, 1001, ""}));
}

// 14

TEST_F(websocket_close_status, QCS_01_QCS_02_QCS_15_parameters) {
  socket_pair pair;
  pair.peer().send(make_close(1000, "r"));
  ASSERT_EQ(receive(pair.handle()).type, close_type);
  USHORT status = 77;
  DWORD count = 77;
  std::array<char, 8> reason{};
  EXPECT_EQ(WinHttpWebSocketQueryCloseStatus(pair.handle(), nullptr, reason.data(), 8, &count),
            ERROR_INVALID_PARAMETER);
  EXPECT_EQ(WinHttpWebSocketQueryCloseStatus(pair.handle(), &status, reason.data(), 8, nullptr),
            ERROR_INVALID_PARAMETER);
  EXPECT_EQ(WinHttpWebSocketQueryCloseStatus(pair.handle(), &status, nullptr, 8, &count),
            ERROR_INVALID_PARAMETER);
  EXPECT_EQ(WinHttpWebSocketQueryCloseStatus(nullptr, nullptr, nullptr, 0, nullptr),
            ERROR_INVALID_PARAMETER); // before the handle
  EXPECT_EQ(status, 77u);
  EXPECT_EQ(count, 77u);
}

TEST_F(websocket_close_status, QCS_03_without_a_reason_no_buffer_is_needed) {
  socket_pair pair;
  pair.peer().send(make_close(1000));
  ASSERT_EQ(receive(pair.handle()).type, close_type);
  USHORT status = 77;
  DWORD count = 77;
  EXPECT_EQ(WinHttpWebSocketQueryCloseStatus(pair.handle(), &status, nullptr, 0, &count),
            ERROR_SUCCESS);
  EXPECT_EQ(status, 1000u);
  EXPECT_EQ(count, 0u);
}

TEST_F(websocket_close_status, QCS_04_QCS_05_QCS_06_sizes) {
  socket_pair pair;
  const std::string reason(123, 'r');
  pair.peer().send(make_close(4999, reason));
  ASSERT_EQ(receive(pair.handle()).type, close_type);
  for (const DWORD room : {0u, 1u, 122u}) {
    USHORT status = 77;
    DWORD count = 77;
    std::string buffer(200, 'c');
    EXPECT_EQ(WinHttpWebSocketQueryCloseStatus(pair.handle(), &status,
                                               room == 0 ? nullptr : buffer.data(), room, &count),
              ERROR_INSUFFICIENT_BUFFER);
    EXPECT_EQ(status, 4999u);
    EXPECT_EQ(count, 123u);
    EXPECT_EQ(buffer, std::string(200, 'c')) << "untouched";
  }
  for (const DWORD room : {123u, 124u, 200u}) {
    USHORT status = 77;
    DWORD count = 77;
    std::string buffer(200, 'c');
    EXPECT_EQ(WinHttpWebSocketQueryCloseStatus(pair.handle(), &status, buffer.data(), room, &count),
              ERROR_SUCCESS);
    EXPECT_EQ(status, 4999u);
    EXPECT_EQ(count, 123u);
    EXPECT_EQ(buffer, reason + std::string(77, 'c')) << "no terminator";
  }
}

TEST_F(websocket_close_status, QCS_07_not_before_the_close_was_delivered) {
  socket_pair pair;
  EXPECT_EQ(query_close_status(pair.handle()).code, ERROR_INVALID_OPERATION);
  ASSERT_EQ(shutdown(pair.handle()), ERROR_SUCCESS);
  EXPECT_EQ(query_close_status(pair.handle()).code, ERROR_INVALID_OPERATION);
  pair.peer().send(make_frame(text_opcode, "first") + make_close(1000));
  ASSERT_EQ(receive(pair.handle()).type, utf8_message); // the close frame is in the inbox
  EXPECT_EQ(query_close_status(pair.handle()).code, ERROR_INVALID_OPERATION);
  ASSERT_EQ(receive(pair.handle()).type, close_type);
  EXPECT_EQ(query_close_status(pair.handle()), (close_status_result{0, 1000, ""}));
}

TEST_F(websocket_close_status, QCS_08_QCS_11_repeatable_and_lasting) {
  socket_pair pair;
  pair.peer().send(make_close(1003, "their words"));
  ASSERT_EQ(receive(pair.handle()).type, close_type);
  const close_status_result theirs{0, 1003, "their words"};
  EXPECT_EQ(query_close_status(pair.handle()), theirs);
  EXPECT_EQ(query_close_status(pair.handle()), theirs);
  ASSERT_EQ(shutdown(pair.handle(), 1000, "ours"), ERROR_SUCCESS);
  EXPECT_EQ(query_close_status(pair.handle()), theirs);
  ASSERT_EQ(close(pair.handle(), 1001, "ours again"), ERROR_SUCCESS);
  EXPECT_EQ(query_close_status(pair.handle()), theirs);
}

TEST_F(websocket_close_status, QCS_10_an_empty_close_frame_is_1005) {
  socket_pair pair;
  pair.peer().send(make_close(0));
  ASSERT_EQ(receive(pair.handle()).type, close_type);
  EXPECT_EQ(query_close_status(pair.handle()), (close_status_result{0, 1005, ""}));
}

TEST_F(websocket_close_status, QCS_12_a_connection_that_failed) {
  socket_pair pair;
  pair.peer().close_fin();
  ASSERT_EQ(receive(pair.handle()).code, ERROR_WINHTTP_CONNECTION_ERROR);
  EXPECT_EQ(query_close_status(pair.handle()).code, ERROR_INVALID_OPERATION);
}

TEST_F(websocket_close_status, QCS_13_an_invalid_close_frame) {
  for (const std::string& wire :
       {make_frame(close_opcode, "x"), make_close(1006), make_close(1000, "\xFF")}) {
    {
      socket_pair pair;
      pair.peer().send(wire);
      ASSERT_EQ(receive(pair.handle()).code, ERROR_WINHTTP_INVALID_SERVER_RESPONSE);
      EXPECT_EQ(query_close_status(pair.handle()).code, ERROR_WINHTTP_INVALID_SERVER_RESPONSE);
    }
    {
      socket_pair pair;
      pair.peer().send(wire);
      ASSERT_EQ(close(pair.handle()), ERROR_WINHTTP_INVALID_SERVER_RESPONSE); // CLO-09
      EXPECT_EQ(query_close_status(pair.handle()).code, ERROR_WINHTTP_INVALID_SERVER_RESPONSE);
    }
  }
  socket_pair pair;
  pair.peer().send(make_frame(0x3, "")); // another violation is none of the close frame
  ASSERT_EQ(receive(pair.handle()).code, ERROR_WINHTTP_INVALID_SERVER_RESPONSE);
  EXPECT_EQ(query_close_status(pair.handle()).code, ERROR_INVALID_OPERATION);
}

} // namespace
} // namespace sluice::test
