#include "core/message_rx.hpp"

#include "core/close_codes.hpp"
#include "support/rx_driver.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {
namespace {

using test::answer;
using test::bytes;
using test::frame_maker;
using test::joined;
using test::letters;
using test::pattern;
using test::raw;
using test::rx_under_test;
using test::to_bytes;

using kind = answer::kind;

answer piece(const bytes& payload, bool text, bool message_end) {
  answer made;
  made.what = kind::piece;
  made.text = text;
  made.message_end = message_end;
  made.bytes = payload;
  return made;
}
answer text_piece(std::string_view payload, bool message_end) {
  return piece(to_bytes(payload), true, message_end);
}
answer binary_piece(const bytes& payload, bool message_end) {
  return piece(payload, false, message_end);
}
answer ping(std::string_view payload) {
  answer made;
  made.what = kind::ping;
  made.bytes = to_bytes(payload);
  return made;
}
answer close(std::uint16_t status, std::string_view reason) {
  answer made;
  made.what = kind::close;
  made.close_status = status;
  made.bytes = to_bytes(reason);
  return made;
}
answer failed(error reason) {
  answer made;
  made.what = kind::failed;
  made.reason = reason;
  return made;
}
const answer need_input{};

class receive : public testing::TestWithParam<role> {
protected:
  frame_maker make{GetParam()};
  rx_under_test rx{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(message_rx, receive, testing::Values(role::client, role::server),
                         [](const auto& tested) {
                           return tested.param == role::client ? "client" : "server";
                         });

TEST_P(receive, RCV_40_type_comes_from_the_opcode_that_started_the_message) {
  rx.push(joined(
      {make.frame(opcode::text, false, "one"), make.frame(opcode::continuation, true, "two"),
       make.frame(opcode::binary, false, "three"), make.frame(opcode::continuation, true, "four"),
       make.frame(opcode::text, true, "five")}));
  EXPECT_EQ(rx.receive(), text_piece("one", false));
  EXPECT_EQ(rx.receive(), text_piece("two", true));
  EXPECT_EQ(rx.receive(), binary_piece(to_bytes("three"), false));
  EXPECT_EQ(rx.receive(), binary_piece(to_bytes("four"), true));
  EXPECT_EQ(rx.receive(), text_piece("five", true));
  EXPECT_EQ(rx.receive(), need_input);
}

TEST_P(receive, RCV_42_exact_fit_needs_no_extra_piece) {
  const bytes payload = pattern(256);
  rx.push(
      joined({make.frame(opcode::binary, true, payload), make.frame(opcode::text, true, "next")}));
  EXPECT_EQ(rx.receive(128), binary_piece(bytes(payload.begin(), payload.begin() + 128), false));
  EXPECT_EQ(rx.receive(128), binary_piece(bytes(payload.begin() + 128, payload.end()), true));
  EXPECT_EQ(rx.receive(128), text_piece("next", true));
}

TEST_P(receive, RCV_42_one_byte_of_room_gives_one_byte_pieces) {
  const bytes payload = letters(20);
  rx.push(make.frame(opcode::text, true, payload));
  for (std::size_t i = 0; i < payload.size(); ++i) {
    EXPECT_EQ(rx.receive(1), piece({payload[i]}, true, i + 1 == payload.size()));
  }
}

// What direct_room() offers may be filled instead of the inbox: with as many bytes as there are.
TEST_P(receive, RCV_41_RCV_43_payload_may_go_to_the_room_directly) {
  const bytes payload = pattern(100000);
  const bytes wire = joined({make.frame(opcode::binary, false, payload),
                             make.frame(opcode::continuation, true, payload)});
  std::vector<std::byte> room(30000);
  EXPECT_TRUE(rx.rx.direct_room(room).empty()) << "a header comes first";
  const std::size_t header = make.header(0x02, payload.size()).size();
  rx.push(wire.data(), header + 1);
  EXPECT_TRUE(rx.rx.direct_room(room).empty()) << "the inbox comes first";
  EXPECT_EQ(rx.receive(), binary_piece({payload[0]}, false));
  if (GetParam() == role::server) {
    EXPECT_TRUE(rx.rx.direct_room(room).empty()) << "masked";
    return;
  }
  for (std::size_t left = payload.size() - 1; left != 0;) {
    const std::span<std::byte> to = rx.rx.direct_room(room);
    if (to.empty()) {
      EXPECT_LT(left, 10000U) << "as little as that had better come with what follows";
      break;
    }
    ASSERT_EQ(to.data(), room.data());
    ASSERT_EQ(to.size(), std::min(left, room.size()));
    const std::size_t count = to.size() - to.size() / 3;
    const rx_result got = rx.rx.took(count);
    left -= count;
    EXPECT_EQ(got.status, rx_status::piece);
    EXPECT_EQ(got.bytes, count);
    EXPECT_FALSE(got.text);
    EXPECT_FALSE(got.message_end);
    EXPECT_EQ(rx.rx.frame_left_bytes(), left);
  }
  EXPECT_EQ(rx.rx.stats().copied_bytes, 1U);
  const std::size_t taken = payload.size() - rx.rx.frame_left_bytes();
  EXPECT_EQ(rx.rx.stats().payload_bytes, taken);
  rx.push(wire.data() + header + taken, payload.size() - taken + header + 1);
  EXPECT_EQ(rx.receive(),
            binary_piece(bytes(payload.begin() + static_cast<std::ptrdiff_t>(taken), payload.end()),
                         false));
  EXPECT_EQ(rx.receive(), binary_piece({payload[0]}, false));
  room.resize(payload.size());
  EXPECT_EQ(rx.rx.direct_room(room).size(), payload.size() - 1);
  EXPECT_TRUE(rx.rx.took(payload.size() - 1).message_end);
  EXPECT_TRUE(rx.rx.between_messages());
}

TEST_P(receive, text_never_goes_to_the_room_directly) {
  const bytes wire = make.frame(opcode::text, true, letters(100000));
  rx.push(wire.data(), 50000);
  EXPECT_EQ(rx.receive().bytes.size(), 50000 - (wire.size() - 100000));
  std::vector<std::byte> room(30000);
  EXPECT_TRUE(rx.rx.direct_room(room).empty());
}

TEST_P(receive, RCV_43_completes_with_what_has_arrived) {
  const bytes wire = make.frame(opcode::binary, true, pattern(1000));
  const bytes payload = pattern(1000);
  const std::size_t header = wire.size() - payload.size();
  rx.push(wire.data(), header);
  EXPECT_EQ(rx.receive(), need_input); // a header alone is not a piece
  rx.push(wire.data() + header, 1);
  EXPECT_EQ(rx.receive(), binary_piece({payload[0]}, false));
  EXPECT_EQ(rx.receive(), need_input);
  rx.push(wire.data() + header + 1, 9);
  rx.push(wire.data() + header + 10, 90);
  EXPECT_EQ(rx.receive(), binary_piece(bytes(payload.begin() + 1, payload.begin() + 100), false));
  rx.push(wire.data() + header + 100, 900);
  EXPECT_EQ(rx.receive(), binary_piece(bytes(payload.begin() + 100, payload.end()), true));
}

TEST_P(receive, RCV_44_a_piece_never_spans_two_messages) {
  rx.push(
      joined({make.frame(opcode::text, true, "first"), make.frame(opcode::text, true, "second")}));
  EXPECT_EQ(rx.receive(), text_piece("first", true));
  EXPECT_EQ(rx.receive(), text_piece("second", true));
}

TEST_P(receive, RCV_45_X_20_a_piece_never_spans_two_frames) {
  rx.push(joined({make.frame(opcode::binary, false, "ab"),
                  make.frame(opcode::continuation, false, "cd"),
                  make.frame(opcode::continuation, true, "ef")}));
  EXPECT_EQ(rx.receive(), binary_piece(to_bytes("ab"), false));
  EXPECT_EQ(rx.receive(), binary_piece(to_bytes("cd"), false));
  EXPECT_EQ(rx.receive(), binary_piece(to_bytes("ef"), true));
}

TEST_P(receive, RCV_46_an_empty_final_frame_ends_the_message_with_an_empty_piece) {
  rx.push(make.frame(opcode::text, false, "all of it"));
  EXPECT_EQ(rx.receive(), text_piece("all of it", false));
  EXPECT_EQ(rx.receive(), need_input);
  rx.push(make.frame(opcode::continuation, true, ""));
  EXPECT_EQ(rx.receive(), text_piece("", true));
}

TEST_P(receive, RCV_47_an_empty_message_is_a_piece) {
  rx.push(joined({make.frame(opcode::text, true, ""), make.frame(opcode::binary, true, "")}));
  EXPECT_EQ(rx.receive(), text_piece("", true));
  EXPECT_EQ(rx.receive(), binary_piece({}, true));
  EXPECT_EQ(rx.receive(), need_input);
  EXPECT_EQ(rx.rx.stats().messages, 2u);
}

TEST_P(receive, RCV_48_X_21_an_empty_frame_inside_a_message_is_a_piece) {
  rx.push(joined(
      {make.frame(opcode::binary, false, ""), make.frame(opcode::continuation, false, ""),
       make.frame(opcode::continuation, false, "x"), make.frame(opcode::continuation, true, "")}));
  EXPECT_EQ(rx.receive(), binary_piece({}, false));
  EXPECT_EQ(rx.receive(), binary_piece({}, false));
  EXPECT_EQ(rx.receive(), binary_piece(to_bytes("x"), false));
  EXPECT_EQ(rx.receive(), binary_piece({}, true));
}

TEST_P(receive, RCV_49_control_frames_between_fragments_leave_the_message_alone) {
  rx.push(
      joined({make.frame(opcode::text, false, "a"), make.frame(opcode::pong, true, "zz"),
              make.frame(opcode::ping, true, "p"), make.frame(opcode::continuation, true, "b")}));
  EXPECT_EQ(rx.receive(), text_piece("a", false));
  EXPECT_EQ(rx.receive(), ping("p"));
  EXPECT_EQ(rx.receive(), text_piece("b", true));
}

// A frame longer than 2^32 is streamed: nothing is counted in 32 bits and nothing is reserved.
TEST_P(receive, RCV_50_a_frame_over_4_GiB_is_streamed) {
  limits bounds;
  bounds.max_message_bytes = unlimited;
  message_rx rx64(GetParam(), bounds);
  bytes block(std::size_t{1} << 22);
  test::lent_buffer_owner owner(block);
  const std::uint64_t total = (std::uint64_t{1} << 32) + 5;
  bytes header = make.header(0x82, total);
  test::lent_buffer_owner header_owner(header);
  ASSERT_TRUE(rx64.inbox().push(header_owner.lend()));
  bytes to(block.size());
  std::uint64_t received = 0;
  while (received < total) {
    ASSERT_TRUE(rx64.inbox().push(owner.lend(
        0, static_cast<std::size_t>(std::min<std::uint64_t>(block.size(), total - received)))));
    const rx_result result = rx64.receive(to);
    ASSERT_EQ(result.status, rx_status::piece);
    received += result.bytes;
    ASSERT_EQ(result.message_end, received == total);
  }
  EXPECT_EQ(rx64.receive(to).status, rx_status::need_input);
  EXPECT_EQ(rx64.stats().payload_bytes, total);
}

TEST_P(receive, RCV_52_X_22_code_points_may_be_split_anywhere) {
  const bytes text = to_bytes("a\xC3\xA9z\xE2\x82\xAC\xF0\x9F\x98\x80!");
  for (std::size_t cut = 1; cut < text.size(); ++cut) { // between frames, and between buffers
    rx.push(joined({make.frame(opcode::text, false,
                               bytes(text.begin(), text.begin() + static_cast<long>(cut))),
                    make.frame(opcode::continuation, true,
                               bytes(text.begin() + static_cast<long>(cut), text.end()))}));
    bytes received;
    for (;;) {
      const answer part = rx.receive(cut);
      ASSERT_EQ(part.what, kind::piece);
      test::append(received, part.bytes);
      if (part.message_end) {
        break;
      }
    }
    EXPECT_EQ(received, text);
  }
}

TEST_P(receive, CTL_01_a_ping_between_two_halves_of_a_code_point) {
  rx.push(joined({make.frame(opcode::text, false, "\xE2\x82"),
                  make.frame(opcode::ping, true, "\xFF\x80"),
                  make.frame(opcode::continuation, true, "\xAC")}));
  EXPECT_EQ(rx.receive(), text_piece("\xE2\x82", false));
  EXPECT_EQ(rx.receive(), ping("\xFF\x80"));
  EXPECT_EQ(rx.receive(), text_piece("\xAC", true));
}

TEST_P(receive, CTL_01_ping_payloads_of_every_size_come_back_whole) {
  for (std::size_t size = 0; size <= max_control_payload_bytes; ++size) {
    const bytes payload = pattern(size, 9);
    answer wanted;
    wanted.what = kind::ping;
    wanted.bytes = payload;
    rx.push(make.frame(opcode::ping, true, payload));
    EXPECT_EQ(rx.receive(), wanted);
    rx.push_one_by_one(make.frame(opcode::ping, true, payload));
    EXPECT_EQ(rx.receive(), wanted);
  }
  EXPECT_EQ(rx.rx.stats().pings, 2 * (max_control_payload_bytes + 1));
}

TEST_P(receive, CTL_02_pongs_are_skipped) {
  for (int i = 0; i < 1000; ++i) {
    rx.push(make.frame(opcode::pong, true, "ignored"));
  }
  rx.push(make.frame(opcode::text, true, "seen"));
  EXPECT_EQ(rx.receive(), text_piece("seen", true));
  EXPECT_EQ(rx.rx.stats().pongs, 1000u);
  EXPECT_EQ(rx.rx.stats().frames, 1001u);
}

TEST_P(receive, CTL_04_every_ping_is_reported_in_order) {
  rx.push(joined({make.frame(opcode::ping, true, "1"), make.frame(opcode::ping, true, "2")}));
  EXPECT_EQ(rx.receive(), ping("1"));
  EXPECT_EQ(rx.receive(), ping("2"));
}

TEST_P(receive, RCV_60_close_with_status_and_reason) {
  rx.push(joined({make.frame(opcode::text, true, "last"), make.close(1001, "going \xC3\xA9")}));
  EXPECT_EQ(rx.receive(), text_piece("last", true));
  EXPECT_EQ(rx.receive(), close(1001, "going \xC3\xA9"));
  EXPECT_EQ(rx.receive(), close(1001, "going \xC3\xA9")); // sticky
}

TEST_P(receive, RCV_60_close_reason_of_123_bytes_and_of_none) {
  const std::string longest(max_close_reason_bytes, 'r');
  rx.push_one_by_one(make.close(4999, longest));
  EXPECT_EQ(rx.receive(), close(4999, longest));
  rx_under_test other(GetParam());
  other.push(make.close(3000));
  EXPECT_EQ(other.receive(), close(3000, ""));
}

TEST_P(receive, QCS_10_close_without_payload_is_1005) {
  rx.push(make.frame(opcode::close, true, ""));
  EXPECT_EQ(rx.receive(), close(close_status::empty, ""));
}

TEST_P(receive, RCV_60_close_inside_a_message) {
  rx.push(joined({make.frame(opcode::binary, false, "half"), make.close(1000)}));
  EXPECT_EQ(rx.receive(), binary_piece(to_bytes("half"), false));
  EXPECT_EQ(rx.receive(), close(1000, ""));
}

TEST_P(receive, RCV_64_X_23_what_follows_the_close_frame_is_dropped) {
  rx.push(
      joined({make.close(1000), make.frame(opcode::text, true, "late"), raw({0xFF, 0xFF, 0xFF})}));
  EXPECT_EQ(rx.receive(), close(1000, ""));
  EXPECT_EQ(rx.owner.out(), 0u);
  rx.push(make.frame(opcode::text, true, "later"));
  EXPECT_EQ(rx.receive(), close(1000, ""));
  EXPECT_EQ(rx.owner.out(), 0u);
}

TEST_P(receive, RCV_70_reserved_bits) {
  for (const unsigned bits : {0x10u, 0x20u, 0x40u, 0x70u}) {
    rx_under_test fresh(GetParam());
    fresh.push(make.frame(0x80u | bits | 0x1u, to_bytes("x")));
    EXPECT_EQ(fresh.receive(), failed(error::reserved_bits));
  }
}

TEST_P(receive, RCV_71_masking_must_fit_the_role) {
  const role other = GetParam() == role::client ? role::server : role::client;
  rx.push(frame_maker{other}.frame(opcode::text, true, "x"));
  EXPECT_EQ(rx.receive(),
            failed(GetParam() == role::client ? error::masked_frame : error::unmasked_frame));
}

TEST_P(receive, RCV_72_unknown_opcodes) {
  for (const unsigned op : {3u, 4u, 5u, 6u, 7u, 0xBu, 0xCu, 0xDu, 0xEu, 0xFu}) {
    rx_under_test fresh(GetParam());
    fresh.push(make.frame(0x80u | op, to_bytes("x")));
    EXPECT_EQ(fresh.receive(), failed(error::unknown_opcode));
  }
}

TEST_P(receive, RCV_73_continuation_without_a_message) {
  rx.push(joined(
      {make.frame(opcode::text, true, "done"), make.frame(opcode::continuation, true, "x")}));
  EXPECT_EQ(rx.receive(), text_piece("done", true));
  EXPECT_EQ(rx.receive(), failed(error::unexpected_continuation));
}

TEST_P(receive, RCV_74_new_message_inside_a_message) {
  for (const opcode op : {opcode::text, opcode::binary}) {
    rx_under_test fresh(GetParam());
    fresh.push(joined({make.frame(opcode::text, false, "open"), make.frame(op, true, "x")}));
    EXPECT_EQ(fresh.receive(), text_piece("open", false));
    EXPECT_EQ(fresh.receive(), failed(error::expected_continuation));
  }
}

TEST_P(receive, RCV_75_control_frames_without_fin_or_over_125_bytes) {
  for (const opcode op : {opcode::close, opcode::ping, opcode::pong}) {
    rx_under_test fresh(GetParam());
    fresh.push(make.frame(op, false, "xy"));
    EXPECT_EQ(fresh.receive(), failed(error::control_fragmented));
    rx_under_test another(GetParam());
    another.push(make.frame(op, true, pattern(126)));
    EXPECT_EQ(another.receive(), failed(error::control_too_long));
  }
}

TEST_P(receive, RCV_76_close_payload_of_one_byte) {
  rx.push(make.frame(opcode::close, true, "x"));
  EXPECT_EQ(rx.receive(), failed(error::close_payload_length));
}

TEST_P(receive, RCV_77_X_24_close_statuses_that_must_not_be_sent) {
  for (const unsigned status : {0u, 1u, 999u, 1004u, 1005u, 1006u, 1015u, 5000u, 0xFFFFu}) {
    rx_under_test fresh(GetParam());
    fresh.push(make.close(status, "why"));
    EXPECT_EQ(fresh.receive(), failed(error::close_status_code)) << status;
  }
}

TEST_P(receive, RCV_78_X_24_close_reason_not_utf8) {
  for (const std::string_view reason : {"\xFF", "ok\xC0\x80", "cut \xE2\x82", "\xED\xA0\x80"}) {
    rx_under_test fresh(GetParam());
    fresh.push(make.close(1000, reason));
    EXPECT_EQ(fresh.receive(), failed(error::close_reason_utf8));
    rx_under_test slow(GetParam());
    slow.push_one_by_one(make.close(1000, reason));
    EXPECT_EQ(slow.receive(), failed(error::close_reason_utf8));
  }
}

TEST_P(receive, RCV_79_bad_text_is_refused_in_the_slice_that_holds_it) {
  const bytes wire = make.frame(opcode::text, true, "good\xF8 never");
  const std::size_t header = wire.size() - 11;
  rx.push(wire.data(), header + 4);
  EXPECT_EQ(rx.receive(), text_piece("good", false)); // pieces before the bad byte are delivered
  rx.push(wire.data() + header + 4, 1);               // the rest of the frame is not waited for
  EXPECT_EQ(rx.receive(), failed(error::text_utf8));
  EXPECT_EQ(rx.receive(), failed(error::text_utf8));
}

// A prefix that no byte can save is refused without its last byte.
TEST_P(receive, RCV_79_an_impossible_prefix_is_refused_at_once) {
  for (const std::string_view prefix :
       {"\xC0", "\xC1", "\xF5", "\xFF", "\x80", "\xE0\x80", "\xED\xA0", "\xF0\x8F", "\xF4\x90"}) {
    rx_under_test fresh(GetParam());
    const bytes wire = make.frame(opcode::text, true, std::string(prefix) + std::string(10, 'x'));
    fresh.push(wire.data(), wire.size() - 10);
    EXPECT_EQ(fresh.receive(), failed(error::text_utf8));
  }
}

TEST_P(receive, RCV_79_a_sequence_cut_by_the_end_of_the_message) {
  for (const std::string_view text : {"\xC3", "a\xE2\x82", "a\xF0\x9F\x98"}) {
    rx_under_test whole(GetParam());
    whole.push(make.frame(opcode::text, true, text));
    EXPECT_EQ(whole.receive(), failed(error::text_utf8));

    rx_under_test in_pieces(GetParam());
    in_pieces.push(make.frame(opcode::text, true, text));
    for (std::size_t i = 0; i + 1 < text.size(); ++i) {
      EXPECT_EQ(in_pieces.receive(1), text_piece(text.substr(i, 1), false));
    }
    EXPECT_EQ(in_pieces.receive(1), failed(error::text_utf8));

    rx_under_test empty_end(GetParam());
    empty_end.push(joined(
        {make.frame(opcode::text, false, text), make.frame(opcode::continuation, true, "")}));
    EXPECT_EQ(empty_end.receive(), text_piece(text, false));
    EXPECT_EQ(empty_end.receive(), failed(error::text_utf8));
  }
}

TEST_P(receive, RCV_79_the_check_starts_anew_with_every_message) {
  rx.push(joined({make.frame(opcode::binary, false, "\xE2\x82"),
                  make.frame(opcode::continuation, true, "\xC3"),
                  make.frame(opcode::text, true, "fine"), make.frame(opcode::text, true, "\xAC")}));
  EXPECT_EQ(rx.receive(), binary_piece(to_bytes("\xE2\x82"), false));
  EXPECT_EQ(rx.receive(), binary_piece(to_bytes("\xC3"), true));
  EXPECT_EQ(rx.receive(), text_piece("fine", true));
  EXPECT_EQ(rx.receive(), failed(error::text_utf8));
}

TEST_P(receive, RCV_80_X_26_lengths_not_in_their_shortest_form) {
  const unsigned mask_bit = GetParam() == role::server ? 0x80 : 0;
  rx.push(joined({raw({0x82, mask_bit | 126u, 0, 125}), pattern(140)}));
  EXPECT_EQ(rx.receive(), failed(error::non_minimal_length));
  rx_under_test other(GetParam());
  other.push(joined({raw({0x82, mask_bit | 127u, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF}), pattern(100)}));
  EXPECT_EQ(other.receive(), failed(error::non_minimal_length));
}

TEST_P(receive, RCV_23_a_failure_is_latched_and_frees_what_was_received) {
  rx.push(joined({make.frame(opcode::text, true, "good"), raw({0xF0}), pattern(50)}));
  rx.push(pattern(50));
  EXPECT_EQ(rx.receive(), text_piece("good", true)); // complete pieces before it are delivered
  EXPECT_EQ(rx.receive(), failed(error::reserved_bits));
  EXPECT_EQ(rx.owner.out(), 0u);
  rx.push(make.frame(opcode::text, true, "more"));
  EXPECT_EQ(rx.receive(), failed(error::reserved_bits));
  EXPECT_EQ(rx.owner.out(), 0u);
}

TEST_P(receive, HSK_30_the_first_bytes_may_be_there_before_the_first_call) {
  rx.push_one_by_one(make.frame(opcode::text, true, "Request served by x"));
  EXPECT_EQ(rx.receive(), text_piece("Request served by x", true));
}

TEST_P(receive, pieces_span_slices_and_give_their_buffers_back) {
  const bytes payload = pattern(5000);
  const bytes wire = make.frame(opcode::binary, true, payload);
  for (std::size_t at = 0; at < wire.size(); at += 700) {
    rx.push(wire.data() + at, std::min<std::size_t>(700, wire.size() - at));
  }
  EXPECT_EQ(rx.receive(), binary_piece(payload, true));
  EXPECT_EQ(rx.owner.out(), 0u);
}

TEST_P(receive, CLO_02_discard_drops_messages_and_reports_control_frames) {
  rx.push(joined({make.frame(opcode::text, true, "whole"), make.frame(opcode::text, false, "a\xFF"),
                  make.frame(opcode::ping, true, "p"), make.frame(opcode::continuation, true, ""),
                  make.frame(opcode::binary, true, pattern(70000)), make.close(1000, "bye")}));
  EXPECT_EQ(rx.receive(2), text_piece("wh", false)); // in mid-frame
  EXPECT_EQ(rx.rx.discard().status, rx_status::ping);
  EXPECT_EQ(rx.rx.control_payload().size(), 1u);
  EXPECT_EQ(rx.rx.discard().status, rx_status::close);
  EXPECT_EQ(rx.rx.peer_close().status, 1000);
  EXPECT_EQ(rx.rx.discard().status, rx_status::close);
  EXPECT_EQ(rx.rx.stats().payload_bytes, 2u);
  EXPECT_EQ(rx.rx.stats().copied_bytes, 2u);
  EXPECT_EQ(rx.rx.stats().messages, 0u);
  EXPECT_EQ(rx.owner.out(), 0u);
}

TEST_P(receive, CLO_09_discard_still_refuses_bad_frames) {
  rx.push_one_by_one(joined({make.frame(opcode::binary, true, pattern(300)), raw({0x83})}));
  EXPECT_EQ(rx.rx.discard().status, rx_status::failed);
  EXPECT_EQ(rx.rx.discard().reason, error::unknown_opcode);
}

TEST_P(receive, CLO_02_discard_at_every_cut) {
  const bytes wire = joined({make.frame(opcode::text, false, "some\xFFthing"),
                             make.frame(opcode::continuation, true, ""),
                             make.frame(opcode::binary, true, pattern(200)), make.close(1000)});
  for (std::size_t cut = 0; cut <= wire.size(); ++cut) {
    rx_under_test fresh(GetParam());
    fresh.push(wire.data(), cut);
    const rx_status first = fresh.rx.discard().status;
    EXPECT_EQ(first, cut == wire.size() ? rx_status::close : rx_status::need_input);
    EXPECT_EQ(fresh.owner.out(), 0u);
    fresh.push(wire.data() + cut, wire.size() - cut);
    EXPECT_EQ(fresh.rx.discard().status, rx_status::close);
  }
}

TEST(message_rx, counts_what_it_delivers) {
  const frame_maker make{role::client};
  rx_under_test rx(role::client);
  rx.push(joined({make.frame(opcode::text, false, "abc"), make.frame(opcode::ping, true, "x"),
                  make.frame(opcode::continuation, true, "de"), make.frame(opcode::pong, true, ""),
                  make.frame(opcode::binary, true, pattern(1000)), make.close(1000)}));
  while (rx.receive(100).what != kind::close) {
  }
  const rx_stats& stats = rx.rx.stats();
  EXPECT_EQ(stats.messages, 2u);
  EXPECT_EQ(stats.frames, 6u);
  EXPECT_EQ(stats.payload_bytes, 1005u);
  EXPECT_EQ(stats.copied_bytes, 1005u);
  EXPECT_EQ(stats.pings, 1u);
  EXPECT_EQ(stats.pongs, 1u);
}

// What the receiver writes stays inside the room, and nothing else is written for a piece.
TEST(message_rx, writes_nothing_behind_the_piece) {
  for (const simd::kernel_table* kernels : simd::supported_kernels()) {
    for (const role self : {role::client, role::server}) {
      for (const opcode op : {opcode::text, opcode::binary}) {
        for (std::size_t size = 0; size <= 300; ++size) {
          rx_under_test rx(self, {}, *kernels);
          rx.push(frame_maker{self}.frame(op, true, letters(size)));
          bytes to(size + 64, std::byte{0xEE});
          const rx_result result = rx.rx.receive(to);
          ASSERT_EQ(result.bytes, size);
          ASSERT_EQ(bytes(to.begin(), to.begin() + static_cast<long>(size)), letters(size));
          ASSERT_EQ(bytes(to.begin() + static_cast<long>(size), to.end()),
                    bytes(64, std::byte{0xEE}))
              << kernels->name << ' ' << size;
        }
      }
    }
  }
}

} // namespace
} // namespace sluice
