// Sections 10.1 to 10.3 of the contract, where the exact pieces and codes matter.

#include "websocket_fixture.hpp"

#include "core/limits.hpp"

#include <array>
#include <vector>

namespace sluice::test {
namespace {

using websocket_receive = websocket_test;

constexpr auto no_type = static_cast<WINHTTP_WEB_SOCKET_BUFFER_TYPE>(7);

// 10.1: parameters

TEST_F(websocket_receive, RCV_01_null_buffer_is_refused) {
  socket_pair pair;
  pair.peer().send(make_frame(text_opcode, "kept"));
  for (const DWORD length : {0u, 1u, 4096u, 0xFFFFFFFFu}) {
    DWORD count = 77;
    auto type = no_type;
    EXPECT_EQ(WinHttpWebSocketReceive(pair.handle(), nullptr, length, &count, &type),
              ERROR_INVALID_PARAMETER);
    EXPECT_EQ(count, 77u);
    EXPECT_EQ(type, no_type);
  }
  EXPECT_EQ(receive(pair.handle()), (received{0, utf8_message, "kept"}));
}

TEST_F(websocket_receive, RCV_02_zero_length_is_refused) {
  socket_pair pair;
  pair.peer().send(make_frame(text_opcode, ""));
  char byte = 'c';
  DWORD count = 77;
  auto type = no_type;
  EXPECT_EQ(WinHttpWebSocketReceive(pair.handle(), &byte, 0, &count, &type),
            ERROR_INVALID_PARAMETER);
  EXPECT_EQ(count, 77u);
  EXPECT_EQ(type, no_type);
  EXPECT_EQ(receive(pair.handle()), (received{0, utf8_message, ""}));
}

TEST_F(websocket_receive, RCV_03_missing_out_pointers_consume_nothing) {
  socket_pair pair;
  pair.peer().send(make_frame(binary_opcode, "kept"));
  std::array<char, 16> room{};
  DWORD count = 77;
  auto type = no_type;
  EXPECT_EQ(WinHttpWebSocketReceive(pair.handle(), room.data(), 16, nullptr, &type),
            ERROR_INVALID_PARAMETER);
  EXPECT_EQ(WinHttpWebSocketReceive(pair.handle(), room.data(), 16, &count, nullptr),
            ERROR_INVALID_PARAMETER);
  EXPECT_EQ(WinHttpWebSocketReceive(pair.handle(), room.data(), 16, nullptr, nullptr),
            ERROR_INVALID_PARAMETER);
  EXPECT_EQ(count, 77u);
  EXPECT_EQ(type, no_type);
  EXPECT_EQ(receive(pair.handle()), (received{0, binary_message, "kept"}));
}

TEST_F(websocket_receive, RCV_05_HND_01_stale_and_foreign_handles) {
  HINTERNET stale = nullptr;
  {
    socket_pair pair;
    stale = pair.handle();
  }
  for (const HINTERNET bad :
       {static_cast<HINTERNET>(nullptr), stale, reinterpret_cast<HINTERNET>(std::intptr_t{-1}),
        reinterpret_cast<HINTERNET>(std::uintptr_t{0x12345678}), static_cast<HINTERNET>(&stale)}) {
    EXPECT_EQ(receive(bad).code, ERROR_INVALID_HANDLE);
    EXPECT_EQ(send(bad, binary_message, "x"), ERROR_INVALID_HANDLE);
    EXPECT_EQ(shutdown(bad), ERROR_INVALID_HANDLE);
    EXPECT_EQ(close(bad), ERROR_INVALID_HANDLE);
    EXPECT_EQ(query_close_status(bad).code, ERROR_INVALID_HANDLE); // QCS-14
  }
}

TEST_F(websocket_receive, RCV_05_HND_01_handles_of_another_kind) {
  const HINTERNET session = WinHttpOpen(L"t", WINHTTP_ACCESS_TYPE_NO_PROXY, nullptr, nullptr, 0);
  const HINTERNET connection = WinHttpConnect(session, L"localhost", 80, 0);
  const HINTERNET request =
      WinHttpOpenRequest(connection, nullptr, nullptr, nullptr, nullptr, nullptr, 0);
  ASSERT_NE(request, nullptr);
  for (const HINTERNET other : {session, connection, request}) {
    EXPECT_EQ(receive(other).code, ERROR_WINHTTP_INCORRECT_HANDLE_TYPE);
    EXPECT_EQ(send(other, binary_message, "x"), ERROR_WINHTTP_INCORRECT_HANDLE_TYPE);
    EXPECT_EQ(shutdown(other), ERROR_WINHTTP_INCORRECT_HANDLE_TYPE);
    EXPECT_EQ(close(other), ERROR_WINHTTP_INCORRECT_HANDLE_TYPE);
    EXPECT_EQ(query_close_status(other).code, ERROR_WINHTTP_INCORRECT_HANDLE_TYPE); // QCS-14
    WinHttpCloseHandle(other);
  }
}

TEST_F(websocket_receive, STA_04_parameters_are_checked_before_the_handle) {
  char byte = 0;
  DWORD count = 0;
  auto type = no_type;
  EXPECT_EQ(WinHttpWebSocketReceive(nullptr, nullptr, 1, &count, &type), ERROR_INVALID_PARAMETER);
  EXPECT_EQ(WinHttpWebSocketReceive(nullptr, &byte, 0, &count, &type), ERROR_INVALID_PARAMETER);
  EXPECT_EQ(WinHttpWebSocketSend(nullptr, binary_message, nullptr, 1), ERROR_INVALID_PARAMETER);
  EXPECT_EQ(WinHttpWebSocketShutdown(nullptr, 1000, nullptr, 1), ERROR_INVALID_PARAMETER);
  EXPECT_EQ(WinHttpWebSocketClose(nullptr, 1000, nullptr, 1), ERROR_INVALID_PARAMETER);
}

TEST_F(websocket_receive, X_03_the_last_error_is_left_alone) {
  socket_pair pair;
  SetLastError(4711);
  EXPECT_EQ(send(pair.handle(), binary_message, "x"), ERROR_SUCCESS);
  EXPECT_EQ(send(pair.handle(), close_type, "x"), ERROR_INVALID_PARAMETER);
  pair.peer().send(make_frame(text_opcode, "x"));
  EXPECT_EQ(receive(pair.handle()).code, ERROR_SUCCESS);
  EXPECT_EQ(query_close_status(pair.handle()).code, ERROR_INVALID_OPERATION);
  EXPECT_EQ(shutdown(pair.handle()), ERROR_SUCCESS);
  pair.peer().send(make_close(1000));
  EXPECT_EQ(close(pair.handle()), ERROR_SUCCESS);
  EXPECT_EQ(GetLastError(), 4711u);
}

// 10.2: states

TEST_F(websocket_receive, RCV_10_returns_what_is_there) {
  socket_pair pair;
  pair.peer().send(make_frame(binary_opcode, "now"));
  EXPECT_EQ(receive(pair.handle()), (received{0, binary_message, "now"}));
}

TEST_F(websocket_receive, RCV_11_blocks_until_there_is_something) {
  socket_pair pair;
  std::atomic<bool> returned{false};
  received got;
  background receiver([&] {
    got = receive(pair.handle());
    returned = true;
  });
  let_others_run();
  EXPECT_FALSE(returned);
  pair.peer().send(make_frame(text_opcode, "later"));
  receiver.join();
  EXPECT_EQ(got, (received{0, utf8_message, "later"}));
}

TEST_F(websocket_receive, RCV_12_a_send_in_flight_does_not_matter) {
  pair_settings small;
  small.client_send_buffer_bytes = 4096;
  small.peer_receive_buffer_bytes = small_receive_buffer_bytes;
  socket_pair pair(small);
  const std::string big = pattern_text(4u << 20);
  DWORD sent = 77;
  background sender([&] { sent = send(pair.handle(), binary_message, big); });
  let_others_run(); // the peer does not read: the Send blocks
  pair.peer().send(make_frame(text_opcode, "meanwhile"));
  EXPECT_EQ(receive(pair.handle()), (received{0, utf8_message, "meanwhile"}));
  EXPECT_EQ(pair.peer().read_frame().payload, big);
  sender.join();
  EXPECT_EQ(sent, ERROR_SUCCESS);
}

TEST_F(websocket_receive, RCV_13_STA_02_X_17_a_second_receive_is_refused) {
  socket_pair pair;
  // Of many threads exactly one gets in; the others are refused and change nothing.
  constexpr int threads = 4;
  std::array<received, threads> got;
  std::atomic<int> refusals{0};
  std::vector<std::unique_ptr<background>> receivers;
  for (received& result : got) {
    receivers.push_back(std::make_unique<background>([&] {
      result = receive(pair.handle());
      refusals += result.code == ERROR_INVALID_OPERATION ? 1 : 0;
    }));
  }
  wait_until([&] { return refusals == threads - 1; });
  pair.peer().send(make_frame(text_opcode, "one"));
  receivers.clear();
  int successes = 0;
  for (const received& result : got) {
    successes += result == received{0, utf8_message, "one"} ? 1 : 0;
  }
  EXPECT_EQ(successes, 1);
}

TEST_F(websocket_receive, RCV_14_data_after_own_shutdown_is_delivered) {
  socket_pair pair;
  ASSERT_EQ(shutdown(pair.handle(), 1000), ERROR_SUCCESS);
  pair.peer().send(make_frame(text_opcode, "on its way") + make_frame(binary_opcode, "more") +
                   make_close(1000));
  EXPECT_EQ(receive(pair.handle()), (received{0, utf8_message, "on its way"}));
  EXPECT_EQ(receive(pair.handle()), (received{0, binary_message, "more"}));
  EXPECT_EQ(receive(pair.handle()), (received{0, close_type, ""}));
}

TEST_F(websocket_receive, RCV_16_after_close_it_is_refused) {
  socket_pair pair;
  pair.peer().send(make_frame(text_opcode, "discarded") + make_close(1000));
  ASSERT_EQ(close(pair.handle()), ERROR_SUCCESS);
  EXPECT_EQ(receive(pair.handle()).code, ERROR_INVALID_OPERATION);
}

TEST_F(websocket_receive, RCV_17_a_blocked_receive_gets_the_close) {
  socket_pair pair;
  received got;
  background receiver([&] { got = receive(pair.handle()); });
  let_others_run();
  pair.peer().send(make_close(1001, "gone"));
  receiver.join();
  EXPECT_EQ(got, (received{0, close_type, ""}));
  EXPECT_EQ(query_close_status(pair.handle()), (close_status_result{0, 1001, "gone"}));
}

TEST_F(websocket_receive, RCV_18_after_the_close_it_is_refused) {
  socket_pair pair;
  pair.peer().send(make_close(1000));
  EXPECT_EQ(receive(pair.handle()), (received{0, close_type, ""}));
  EXPECT_EQ(receive(pair.handle()).code, ERROR_INVALID_OPERATION);
  EXPECT_EQ(receive(pair.handle()).code, ERROR_INVALID_OPERATION);
}

TEST_F(websocket_receive, RCV_19_a_close_waits_behind_earlier_data) {
  socket_pair pair;
  pair.peer().send(make_frame(text_opcode, "data") + make_close(1000));
  EXPECT_EQ(receive(pair.handle(), 2), (received{0, utf8_fragment, "da"}));
  EXPECT_EQ(receive(pair.handle(), 2), (received{0, utf8_message, "ta"}));
  EXPECT_EQ(receive(pair.handle(), 2), (received{0, close_type, ""}));
}

TEST_F(websocket_receive, RCV_20_a_blocked_receive_gets_the_fin) {
  socket_pair pair;
  received got;
  background receiver([&] { got = receive(pair.handle()); });
  let_others_run();
  pair.peer().close_fin();
  receiver.join();
  EXPECT_EQ(got.code, ERROR_WINHTTP_CONNECTION_ERROR);
}

TEST_F(websocket_receive, RCV_21_data_from_before_a_broken_send_is_delivered_first) {
  socket_pair pair;
  pair.peer().send(make_frame(text_opcode, "one") + make_frame(text_opcode, "two") +
                   make_close(1001));
  EXPECT_EQ(receive(pair.handle()), (received{0, utf8_message, "one"}));
  pair.peer().close_rst();
  // The reset is noticed by a Send; what had arrived is still delivered.
  DWORD sent = ERROR_SUCCESS;
  wait_until([&] {
    sent = send(pair.handle(), binary_message, "x");
    return sent != ERROR_SUCCESS;
  });
  EXPECT_EQ(sent, ERROR_WINHTTP_CONNECTION_ERROR);
  EXPECT_EQ(receive(pair.handle()), (received{0, utf8_message, "two"}));
  EXPECT_EQ(receive(pair.handle()), (received{0, close_type, ""}));
}

TEST_F(websocket_receive, RCV_21_what_the_kernel_has_is_read_before_the_failure_of_a_send) {
  socket_pair pair;
  pair.peer().send(make_frame(text_opcode, "one"));
  pair.peer().close_rst();
  wait_until([&] { return send(pair.handle(), binary_message, "x") != ERROR_SUCCESS; });
  EXPECT_EQ(receive(pair.handle()), (received{0, utf8_message, "one"}));
  EXPECT_EQ(receive(pair.handle()).code, ERROR_WINHTTP_CONNECTION_ERROR);
}

TEST_F(websocket_receive, RCV_22_reset) {
  socket_pair pair;
  received got;
  background receiver([&] { got = receive(pair.handle()); });
  let_others_run();
  pair.peer().close_rst();
  receiver.join();
  EXPECT_EQ(got.code, ERROR_WINHTTP_CONNECTION_ERROR);
  EXPECT_EQ(receive(pair.handle()).code, ERROR_WINHTTP_CONNECTION_ERROR); // latched
}

TEST_F(websocket_receive, RCV_22_reset_inside_a_message) {
  socket_pair pair;
  pair.peer().send(make_frame(binary_opcode, "cut off").substr(0, 5));
  EXPECT_EQ(receive(pair.handle()), (received{0, binary_fragment, "cut"}));
  pair.peer().close_rst();
  EXPECT_EQ(receive(pair.handle()).code, ERROR_WINHTTP_CONNECTION_ERROR);
}

TEST_F(websocket_receive, RCV_23_X_18_a_violation_is_repeated_by_every_call) {
  socket_pair pair;
  pair.peer().send(make_frame(0x3, "x"));
  EXPECT_EQ(receive(pair.handle()).code, ERROR_WINHTTP_INVALID_SERVER_RESPONSE);
  EXPECT_EQ(receive(pair.handle()).code, ERROR_WINHTTP_INVALID_SERVER_RESPONSE);
  EXPECT_EQ(send(pair.handle(), binary_message, "x"), ERROR_INVALID_OPERATION); // SND-29
  EXPECT_EQ(shutdown(pair.handle()), ERROR_WINHTTP_INVALID_SERVER_RESPONSE);
  EXPECT_EQ(close(pair.handle()), ERROR_WINHTTP_INVALID_SERVER_RESPONSE); // CLO-28
  EXPECT_EQ(receive(pair.handle()).code, ERROR_WINHTTP_INVALID_SERVER_RESPONSE);
}

TEST_F(websocket_receive, RCV_25_a_closed_handle_is_invalid) {
  socket_pair pair;
  const HINTERNET handle = pair.handle();
  EXPECT_TRUE(pair.close_handle());
  EXPECT_EQ(receive(handle).code, ERROR_INVALID_HANDLE);
}

TEST_F(websocket_receive, X_45_TMO_04_an_idle_receive_outlives_the_send_time_out) {
  pair_settings quick;
  quick.send_timeout = std::chrono::milliseconds(1);
  socket_pair pair(quick);
  received got;
  background receiver([&] { got = receive(pair.handle()); });
  std::this_thread::sleep_for(std::chrono::milliseconds(20)); // many times the time-out
  pair.peer().send(make_frame(text_opcode, "x"));
  receiver.join();
  EXPECT_EQ(got, (received{0, utf8_message, "x"}));
}

// 10.3: pieces

TEST_F(websocket_receive, RCV_42_exact_fit_needs_no_extra_piece) {
  socket_pair pair;
  const std::string payload = pattern_text(256);
  pair.peer().send(make_frame(binary_opcode, payload));
  EXPECT_EQ(receive(pair.handle(), 128), (received{0, binary_fragment, payload.substr(0, 128)}));
  EXPECT_EQ(receive(pair.handle(), 128), (received{0, binary_message, payload.substr(128)}));
}

TEST_F(websocket_receive, RCV_06_RCV_42_every_small_buffer) {
  const std::string payload(61, 't');
  for (std::size_t room = 1; room <= payload.size() + 1; ++room) {
    socket_pair pair;
    pair.peer().send(make_frame(text_opcode, payload));
    for (std::size_t at = 0; at < payload.size(); at += room) {
      const std::string piece = payload.substr(at, room);
      const bool last = at + room >= payload.size();
      ASSERT_EQ(receive(pair.handle(), room),
                (received{0, last ? utf8_message : utf8_fragment, piece}));
    }
  }
}

TEST_F(websocket_receive, RCV_43_does_not_wait_to_fill_the_buffer) {
  socket_pair pair;
  const std::string frame = make_frame(binary_opcode, "0123456789");
  pair.peer().send(frame.substr(0, 6));
  EXPECT_EQ(receive(pair.handle()), (received{0, binary_fragment, "0123"}));
  pair.peer().send(frame.substr(6));
  EXPECT_EQ(receive(pair.handle()), (received{0, binary_message, "456789"}));
}

TEST_F(websocket_receive, RCV_44_a_piece_never_spans_messages) {
  socket_pair pair;
  std::string wire;
  for (int i = 0; i < 50; ++i) {
    wire += make_frame(i % 2 != 0 ? text_opcode : binary_opcode, std::to_string(i));
  }
  pair.peer().send(wire);
  for (int i = 0; i < 50; ++i) {
    ASSERT_EQ(receive(pair.handle()),
              (received{0, i % 2 != 0 ? utf8_message : binary_message, std::to_string(i)}));
  }
}

TEST_F(websocket_receive, RCV_45_X_20_a_piece_never_spans_frames) {
  socket_pair pair;
  pair.peer().send(make_frame(binary_opcode, "ab", false) +
                   make_frame(continuation_opcode, "cd", false) +
                   make_frame(continuation_opcode, "ef"));
  EXPECT_EQ(receive(pair.handle()), (received{0, binary_fragment, "ab"}));
  EXPECT_EQ(receive(pair.handle()), (received{0, binary_fragment, "cd"}));
  EXPECT_EQ(receive(pair.handle()), (received{0, binary_message, "ef"}));
}

TEST_F(websocket_receive, RCV_46_an_empty_piece_ends_the_message) {
  socket_pair pair;
  pair.peer().send(make_frame(text_opcode, "data", false) + make_frame(continuation_opcode, ""));
  EXPECT_EQ(receive(pair.handle()), (received{0, utf8_fragment, "data"}));
  EXPECT_EQ(receive(pair.handle()), (received{0, utf8_message, ""}));
}

TEST_F(websocket_receive, RCV_48_X_21_empty_fragments_are_reported) {
  socket_pair pair;
  pair.peer().send(make_frame(binary_opcode, "", false) +
                   make_frame(continuation_opcode, "", false) +
                   make_frame(continuation_opcode, ""));
  EXPECT_EQ(receive(pair.handle()), (received{0, binary_fragment, ""}));
  EXPECT_EQ(receive(pair.handle()), (received{0, binary_fragment, ""}));
  EXPECT_EQ(receive(pair.handle()), (received{0, binary_message, ""}));
}

TEST_F(websocket_receive, RCV_50_a_message_of_several_mebibytes_is_streamed) {
  socket_pair pair;
  const std::string payload = pattern_text((5u << 20) + 123);
  background feeder([&] { pair.peer().send(make_frame(binary_opcode, payload)); });
  EXPECT_EQ(receive_message(pair.handle(), 100000), (received{0, binary_message, payload}));
}

TEST_F(websocket_receive, RCV_50_a_frame_over_4_gib_is_streamed_piece_by_piece) {
  socket_pair pair;
  const std::string header{static_cast<char>(0x82), 127, 0, 0, 0, 1, 0, 0, 0, 9}; // 2^32 + 9
  pair.peer().send(header + "start");
  EXPECT_EQ(receive(pair.handle()), (received{0, binary_fragment, "start"}));
  pair.peer().send("further");
  EXPECT_EQ(receive(pair.handle()), (received{0, binary_fragment, "further"}));
}

// Over TLS, large binary payload is decrypted into the caller's buffer: whatever the sizes of
// frames, records and buffers are, and whatever comes between, nobody sees a difference.
TEST_F(websocket_receive, RCV_40_RCV_41_RCV_45_large_payload_is_the_same_on_every_way) {
  const std::vector<std::size_t> sizes{8191, 8192, 8193, 16384, 16390, 40000, 200000};
  std::string wire;
  for (const std::size_t size : sizes) {
    wire += make_frame(binary_opcode, pattern_text(size));
    wire += make_frame(binary_opcode, pattern_text(size), false) + make_frame(ping_opcode, "p") +
            make_frame(continuation_opcode, pattern_text(size / 2), false) +
            make_frame(continuation_opcode, "");
    wire += make_frame(text_opcode, std::string(size, 't'));
  }
  for (const std::size_t room : {5000u, 8192u, 16384u, 65536u, 1u << 20}) {
    for (const std::size_t portion : {std::size_t{5000}, std::size_t{100000}, wire.size()}) {
      socket_pair pair;
      background feeder([&] {
        for (std::size_t at = 0; at < wire.size(); at += portion) {
          pair.peer().send(wire.substr(at, portion));
        }
      });
      const auto expect_frame = [&](WINHTTP_WEB_SOCKET_BUFFER_TYPE part,
                                    WINHTTP_WEB_SOCKET_BUFFER_TYPE end,
                                    const std::string& payload) {
        std::string all;
        do {
          const received piece = receive(pair.handle(), room);
          ASSERT_EQ(piece.code, ERROR_SUCCESS);
          all += piece.bytes;
          ASSERT_EQ(piece.type, all.size() < payload.size() ? part : end);
        } while (all.size() < payload.size());
        ASSERT_EQ(all, payload);
      };
      for (const std::size_t size : sizes) {
        expect_frame(binary_fragment, binary_message, pattern_text(size));
        expect_frame(binary_fragment, binary_fragment, pattern_text(size));
        expect_frame(binary_fragment, binary_fragment, pattern_text(size / 2));
        expect_frame(binary_fragment, binary_message, "");
        expect_frame(utf8_fragment, utf8_message, std::string(size, 't'));
      }
      ASSERT_FALSE(HasFailure()) << room << " bytes of room, " << portion << " at a time";
      const rx_stats& seen = pair.object().received();
      EXPECT_EQ(seen.copied_bytes < seen.payload_bytes, tls_is_wanted() && room >= 8192);
      for (std::size_t i = 0; i < sizes.size(); ++i) {
        EXPECT_EQ(pair.peer().read_frame().opcode, pong_opcode);
      }
    }
  }
}

TEST_F(websocket_receive, RCV_22_what_came_of_a_large_frame_is_delivered_before_its_end) {
  socket_pair pair;
  const std::string frame = make_frame(binary_opcode, pattern_text(100000));
  background feeder([&] {
    pair.peer().send(frame.substr(0, 90000));
    pair.peer().close_fin();
  });
  std::string all;
  received piece;
  while ((piece = receive(pair.handle(), 20000)).code == ERROR_SUCCESS) {
    EXPECT_EQ(piece.type, binary_fragment);
    all += piece.bytes;
  }
  EXPECT_EQ(piece.code, ERROR_WINHTTP_CONNECTION_ERROR);
  EXPECT_EQ(all, frame.substr(10, 90000 - 10));
}

// The native API has limits for what it collects, a WinHTTP socket collects nothing.
TEST_F(websocket_receive, RCV_51_no_message_is_too_long_in_bytes_or_fragments) {
  socket_pair pair;
  const limits of_native_connections;
  const std::string part = pattern_text(std::size_t{1} << 20);
  std::uint64_t got_bytes = 0;
  std::uint64_t got_fragments = 0;
  const auto receive_one = [&](unsigned opcode, const std::string& payload, bool last) {
    // The rest of the message is not there yet when this fragment is received.
    const background feeder([&] { pair.peer().send(make_frame(opcode, payload, last)); });
    for (std::size_t left = payload.size(); left != 0;) {
      const received piece = receive(pair.handle());
      ASSERT_EQ(piece.code, ERROR_SUCCESS);
      ASSERT_EQ(piece.type, last && piece.bytes.size() == left ? binary_message : binary_fragment);
      left -= piece.bytes.size();
    }
    got_bytes += payload.size();
    ++got_fragments;
  };
  receive_one(binary_opcode, part, false);
  while (got_bytes <= of_native_connections.max_message_bytes && !HasFailure()) {
    receive_one(continuation_opcode, part, false);
  }
  std::string small;
  for (; got_fragments <= of_native_connections.max_fragments; ++got_fragments) {
    small += make_frame(continuation_opcode, "x", false);
  }
  const background feeder([&] { pair.peer().send(small); });
  for (std::size_t i = small.size() / make_frame(continuation_opcode, "x").size(); i > 0; --i) {
    ASSERT_EQ(receive(pair.handle()), (received{0, binary_fragment, "x"}));
  }
  receive_one(continuation_opcode, "last", true);
}

TEST_F(websocket_receive, RCV_52_X_22_a_code_point_is_split_between_buffers) {
  socket_pair pair;
  const std::string clef = "\xF0\x9D\x84\x9E";
  pair.peer().send(make_frame(text_opcode, clef));
  for (std::size_t i = 0; i < clef.size(); ++i) {
    EXPECT_EQ(receive(pair.handle(), 1),
              (received{0, i == 3 ? utf8_message : utf8_fragment, clef.substr(i, 1)}));
  }
}

TEST_F(websocket_receive, X_25_the_piece_with_the_first_bad_byte_is_not_delivered) {
  socket_pair pair;
  pair.peer().send(make_frame(text_opcode, "good", false) +
                   make_frame(continuation_opcode, "ba\xFF"));
  EXPECT_EQ(receive(pair.handle()), (received{0, utf8_fragment, "good"}));
  EXPECT_EQ(receive(pair.handle()).code, ERROR_WINHTTP_INVALID_SERVER_RESPONSE);
}

} // namespace
} // namespace sluice::test
