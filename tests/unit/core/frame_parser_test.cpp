#include "core/frame_parser.hpp"

#include "reference/frame_model.hpp"
#include "support/frames.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <memory>

namespace sluice {
namespace {

using test::bytes;
using test::frame_maker;
using test::raw;

constexpr std::array both_roles = {role::client, role::server};

frame_parser parser_for(role self, bool message_open) {
  frame_parser parser(self);
  if (message_open) {
    frame_head head;
    const bytes opening = frame_maker{self}.frame(opcode::text, false, "");
    EXPECT_EQ(parser.parse(opening, head).status, parse_status::head);
    EXPECT_TRUE(parser.message_open());
  }
  return parser;
}

struct outcome {
  parse_status status = parse_status::need_input;
  error reason = error::none;
  std::size_t consumed = 0; // in all calls
  frame_head head;
};

// Feeds input[0, cut) and, if the parser wants more, the rest. Copies each part to a heap block of
// its exact size.
outcome parse_in_two(frame_parser& parser, std::span<const std::byte> input, std::size_t cut) {
  outcome seen;
  for (const auto part : {input.first(cut), input.subspan(cut)}) {
    const std::unique_ptr<std::byte[]> exact(new std::byte[part.size()]);
    std::copy(part.begin(), part.end(), exact.get());
    const parse_result result = parser.parse({exact.get(), part.size()}, seen.head);
    seen.status = result.status;
    seen.reason = result.reason;
    seen.consumed += result.consumed_bytes;
    EXPECT_LE(result.consumed_bytes, part.size());
    if (result.status != parse_status::need_input) {
      break;
    }
    EXPECT_EQ(result.consumed_bytes, part.size());
  }
  return seen;
}

// What the parser says about `input`, cut anywhere, is what the model says. The model also tells
// after how many bytes a refusal is due: not one later.
void expect_like_model(role self, bool message_open, std::span<const std::byte> input) {
  const reference::header wanted =
      reference::read_header(self, message_open, input.data(), input.size());
  for (std::size_t cut = 0; cut <= input.size(); ++cut) {
    frame_parser parser = parser_for(self, message_open);
    const outcome seen = parse_in_two(parser, input, cut);
    if (wanted.reason != error::none) {
      ASSERT_EQ(seen.status, parse_status::failed);
      ASSERT_EQ(seen.reason, wanted.reason) << to_string(seen.reason);
    } else if (!wanted.complete) {
      ASSERT_EQ(seen.status, parse_status::need_input);
      ASSERT_EQ(seen.consumed, input.size());
    } else {
      ASSERT_EQ(seen.status, parse_status::head);
      ASSERT_EQ(seen.consumed, wanted.size);
      ASSERT_EQ(static_cast<unsigned>(seen.head.op), wanted.op);
      ASSERT_EQ(seen.head.fin, wanted.fin);
      ASSERT_EQ(seen.head.payload_bytes, wanted.payload_bytes);
      std::uint32_t key = 0;
      if (!wanted.key.empty()) {
        std::memcpy(&key, wanted.key.data(), sizeof key);
      }
      ASSERT_EQ(seen.head.masking_key, key);
      ASSERT_EQ(parser.message_open(), is_control(seen.head.op) ? message_open : !seen.head.fin);
      ASSERT_FALSE(parser.mid_header());
    }
  }
  // Byte by byte: the answer comes with the first byte that decides it.
  frame_parser parser = parser_for(self, message_open);
  const bool decided = wanted.complete || wanted.reason != error::none;
  for (std::size_t i = 0; i < (decided ? wanted.size : input.size()); ++i) {
    frame_head head;
    const parse_result result = parser.parse(input.subspan(i, 1), head);
    if (decided && i + 1 == wanted.size) {
      ASSERT_EQ(result.status, wanted.complete ? parse_status::head : parse_status::failed);
      ASSERT_EQ(result.reason, wanted.reason);
    } else {
      ASSERT_EQ(result.status, parse_status::need_input) << "at byte " << i;
      ASSERT_EQ(result.consumed_bytes, 1u);
      ASSERT_TRUE(parser.mid_header());
    }
  }
}

class all_first_two_bytes : public testing::TestWithParam<role> {};

// RCV-70 to RCV-75 and RCV-80, every first and second byte there is.
TEST_P(all_first_two_bytes, RCV_70_to_RCV_80_like_the_model) {
  const bytes rests[] = {
      raw({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}),    // lengths in their shortest form
      raw({0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 9, 8, 7, 6}), // 64-bit form of 65535
      raw({0, 0, 0, 0, 0, 1, 0, 0, 9, 8, 7, 6}),       // and of 65536
      raw({0, 125, 0, 0, 1, 0, 0, 0, 9, 8, 7, 6}),     // 16-bit form of 125
      raw({0x80, 0, 0, 0, 0, 0, 0, 0, 9, 8, 7, 6}),    // top bit
  };
  for (const bytes& rest : rests) {
    for (unsigned first = 0; first < 256; ++first) {
      for (unsigned second = 0; second < 256; ++second) {
        bytes input = raw({first, second});
        test::append(input, rest);
        for (const bool message_open : {false, true}) {
          const reference::header wanted =
              reference::read_header(GetParam(), message_open, input.data(), input.size());
          for (const std::size_t cut : {0u, 1u, 2u, 3u}) {
            frame_parser parser = [&] {
              frame_parser made(GetParam());
              frame_head head;
              const std::byte opening[] = {
                  std::byte{1}, static_cast<std::byte>(GetParam() == role::server ? 0x80 : 0),
                  {},           {},
                  {},           {}};
              if (message_open) {
                (void)made.parse({opening, GetParam() == role::server ? 6u : 2u}, head);
              }
              return made;
            }();
            frame_head head;
            parse_result result = parser.parse(std::span(input).first(cut), head);
            std::size_t consumed = result.consumed_bytes;
            if (result.status == parse_status::need_input) {
              result = parser.parse(std::span(input).subspan(cut), head);
              consumed += result.consumed_bytes;
            }
            ASSERT_EQ(result.reason, wanted.reason) << first << ' ' << second << ' ' << cut;
            ASSERT_EQ(result.status == parse_status::head, wanted.complete);
            if (wanted.complete) {
              ASSERT_EQ(consumed, wanted.size);
              ASSERT_EQ(head.payload_bytes, wanted.payload_bytes);
              ASSERT_EQ(static_cast<unsigned>(head.op), wanted.op);
              ASSERT_EQ(head.fin, wanted.fin);
            }
          }
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(frame_parser, all_first_two_bytes, testing::ValuesIn(both_roles),
                         [](const auto& tested) {
                           return tested.param == role::client ? "client" : "server";
                         });

// Each boundary in each form that can carry it, with every opcode, cut at every byte.
TEST(frame_parser, RCV_80_boundary_lengths_in_every_form_and_cut) {
  constexpr std::uint64_t one = 1;
  const std::uint64_t lengths[] = {0,         1,
                                   125,       126,
                                   127,       65535,
                                   65536,     (one << 31) - 1,
                                   one << 31, (one << 32) - 1,
                                   one << 32, (one << 63) - 1,
                                   one << 63, UINT64_MAX};
  for (const role self : both_roles) {
    for (const std::uint64_t length : lengths) {
      for (const unsigned form : {7u, 16u, 64u}) {
        if ((form == 7 && length > 125) || (form == 16 && length > 0xFFFF)) {
          continue;
        }
        for (unsigned first = 0; first < 256; first += first == 0x0F ? 0x71u : 1u) {
          const unsigned mask_bit = self == role::server ? 0x80 : 0;
          bytes input = raw({first});
          if (form == 7) {
            input.push_back(static_cast<std::byte>(mask_bit | length));
          } else {
            input.push_back(static_cast<std::byte>(mask_bit | (form == 16 ? 126u : 127u)));
            for (unsigned i = form / 8; i > 0; --i) {
              input.push_back(static_cast<std::byte>(length >> (8 * (i - 1)) & 0xFFu));
            }
          }
          if (self == role::server) {
            test::append(input, raw({0xDE, 0xAD, 0xBE, 0xEF}));
          }
          for (const bool message_open : {false, true}) {
            expect_like_model(self, message_open, input); // to the byte
            if (HasFatalFailure()) {
              return;
            }
          }
          test::append(input, bytes(20, std::byte{0x41})); // and with payload behind it
          expect_like_model(self, false, input);
          if (HasFatalFailure()) {
            return;
          }
        }
      }
    }
  }
}

// 81 7F FF FF FF FF FF FF FF FF 41: length arithmetic that wraps would take it for a tiny frame.
TEST(frame_parser, RCV_80_length_of_all_ones_is_refused) {
  frame_parser parser(role::client);
  frame_head head;
  const bytes input =
      raw({0x81, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x41, 0, 0, 0, 0});
  const parse_result result = parser.parse(input, head);
  EXPECT_EQ(result.status, parse_status::failed);
  EXPECT_EQ(result.reason, error::length_too_big);
}

TEST(frame_parser, RCV_76_close_payload_of_one_byte_is_refused_by_its_header) {
  for (const role self : both_roles) {
    frame_parser parser(self);
    frame_head head;
    const bytes input = raw({0x88, self == role::server ? 0x81u : 0x01u});
    EXPECT_EQ(parser.parse(input, head).reason, error::close_payload_length);
  }
}

TEST(frame_parser, nothing_in_nothing_out) {
  for (const role self : both_roles) {
    frame_parser parser(self);
    frame_head head;
    const parse_result result = parser.parse({}, head);
    EXPECT_EQ(result.status, parse_status::need_input);
    EXPECT_EQ(result.consumed_bytes, 0u);
    EXPECT_FALSE(parser.mid_header());
  }
}

TEST(frame_parser, control_frames_do_not_end_a_message) {
  for (const role self : both_roles) {
    frame_parser parser = parser_for(self, true);
    frame_head head;
    for (const opcode op : {opcode::ping, opcode::pong, opcode::close}) {
      EXPECT_EQ(parser.parse(frame_maker{self}.frame(op, true, ""), head).status,
                parse_status::head);
      EXPECT_TRUE(parser.message_open());
    }
    EXPECT_EQ(parser.parse(frame_maker{self}.frame(opcode::continuation, true, ""), head).status,
              parse_status::head);
    EXPECT_FALSE(parser.message_open());
  }
}

} // namespace
} // namespace sluice
