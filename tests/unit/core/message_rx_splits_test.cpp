#include "core/message_rx.hpp"

#include "support/rx_driver.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <utility>
#include <vector>

// Conversations, cut into slices in every way that matters, against the reference model.

namespace sluice {
namespace {

using test::answer;
using test::any_differs_from_model;
using test::bytes;
using test::cuts_everywhere;
using test::differs_from_model;
using test::frame_maker;
using test::joined;
using test::letters;
using test::pattern;
using test::raw;
using test::to_bytes;

const std::string mixed_text = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80z";

// Short ones: cut at every pair of places.
std::vector<bytes> short_conversations(const frame_maker& make) {
  const unsigned mask_bit = make.receiver == role::server ? 0x80 : 0;
  return {
      joined({make.frame(opcode::text, true, "hello"), make.frame(opcode::binary, true, "world"),
              make.close(1000, "done")}),
      // one code point over three frames, with a ping, a pong and an empty frame inside
      joined({make.frame(opcode::text, false, "\xF0\x9F"), make.frame(opcode::ping, true, "\xFFp"),
              make.frame(opcode::continuation, false, "\x98"), make.frame(opcode::pong, true, "zz"),
              make.frame(opcode::continuation, false, ""),
              make.frame(opcode::continuation, true, "\x80")}),
      joined({make.frame(opcode::text, true, mixed_text),
              make.frame(opcode::text, false, mixed_text),
              make.frame(opcode::continuation, true, "")}),
      joined({make.frame(opcode::binary, true, ""), make.frame(opcode::text, true, ""),
              make.frame(opcode::ping, true, ""), make.frame(opcode::close, true, "")}),
      // text that is bad in the middle, that ends too early, and that ends too early over frames
      make.frame(opcode::text, true, "good\xED\xA0\x80never"),
      make.frame(opcode::text, true, "short\xE2\x82"),
      joined({make.frame(opcode::text, false, "short\xE2"), make.frame(opcode::ping, true, "x"),
              make.frame(opcode::continuation, true, "")}),
      // each violation behind a good message
      joined({make.frame(opcode::text, true, "ok"), make.frame(0xC1, to_bytes("rsv"))}),
      joined({make.frame(opcode::text, true, "ok"), make.frame(0x83, to_bytes("op"))}),
      joined({make.frame(opcode::text, true, "ok"), make.frame(opcode::continuation, true, "no")}),
      joined({make.frame(opcode::text, false, "ok"), make.frame(opcode::text, true, "no")}),
      joined({make.frame(opcode::text, true, "ok"), make.frame(opcode::ping, false, "no")}),
      joined(
          {make.frame(opcode::text, true, "ok"), raw({0x81, mask_bit ^ 0x82u, 1, 2, 3, 4, 5, 6})}),
      joined(
          {make.frame(opcode::text, true, "ok"), raw({0x89, mask_bit | 126u, 1, 2, 3, 4, 5, 6})}),
      joined({make.frame(opcode::text, true, "ok"), make.frame(opcode::close, true, "1")}),
      joined({make.frame(opcode::text, true, "ok"), make.close(1005, "no")}),
      joined({make.frame(opcode::text, true, "ok"), make.close(1000, "no\xC0")}),
      joined({make.frame(opcode::text, true, "ok"),
              raw({0x82, mask_bit | 127u, 0, 0, 0, 0, 0, 0, 1, 0, 1, 2, 3, 4})}),
      joined({make.frame(opcode::text, true, "ok"),
              raw({0x82, mask_bit | 127u, 0x80, 0, 0, 0, 0, 0, 1, 0, 1, 2, 3, 4})}),
      joined(
          {make.frame(opcode::text, true, "ok"), raw({0x82, mask_bit | 126u, 0, 125, 1, 2, 3, 4})}),
      // data behind the close frame
      joined({make.close(3000), make.frame(opcode::text, true, "late"), raw({0xFF})}),
  };
}

// Longer ones, with every form of length: cut at every single place and near the headers.
std::vector<bytes> long_conversations(const frame_maker& make) {
  const bytes sixteen_bit = joined({make.frame(opcode::binary, false, pattern(126)),
                                    make.frame(opcode::ping, true, pattern(125)),
                                    make.frame(opcode::continuation, true, pattern(300))});
  std::string text;
  while (text.size() < 700) {
    text += mixed_text;
  }
  return {
      sixteen_bit,
      joined({make.frame(opcode::text, true, letters(125)),
              make.frame(opcode::text, true, letters(126)),
              make.frame(opcode::text, true, letters(127))}),
      joined({make.frame(opcode::text, false, text.substr(0, 333)),
              make.frame(opcode::continuation, false, text.substr(333, 1)),
              make.frame(opcode::continuation, true, text.substr(334)), make.close(1000, "end")}),
  };
}

class splits : public testing::TestWithParam<role> {
protected:
  frame_maker make{GetParam()};
  const limits bounds{};
};

INSTANTIATE_TEST_SUITE_P(message_rx, splits, testing::Values(role::client, role::server),
                         [](const auto& tested) {
                           return tested.param == role::client ? "client" : "server";
                         });

// Long conversations get bigger rooms: the model's work grows with the square of their number.
TEST_P(splits, every_place_and_every_room) {
  using room_list = std::vector<std::size_t>;
  const std::vector<room_list> small = {{65536}, {1, 3}, {2, 64, 5}};
  const std::vector<room_list> big = {{65536}, {97, 400, 31}};
  const std::vector<bytes> shorts = short_conversations(make);
  const std::vector<bytes> longs = long_conversations(make);
  for (const auto& [conversations, room_lists] :
       {std::pair{shorts, small}, std::pair{longs, big}}) {
    for (const bytes& wire : conversations) {
      for (std::size_t cut = 0; cut <= wire.size(); ++cut) {
        for (const room_list& rooms : room_lists) {
          for (const bool all_first : {false, true}) {
            const auto difference =
                any_differs_from_model(GetParam(), bounds, wire, {cut}, rooms, all_first);
            ASSERT_FALSE(difference.has_value()) << "cut at " << cut << ": " << *difference;
          }
        }
      }
    }
  }
}

TEST_P(splits, every_pair_of_places) {
  for (const bytes& wire : short_conversations(make)) {
    for (std::size_t first = 0; first <= wire.size(); ++first) {
      for (std::size_t second = first; second <= wire.size(); ++second) {
        const auto difference =
            differs_from_model(GetParam(), bounds, simd::active_kernels(), wire, {first, second},
                               {7, 65536}, (first + second) % 2 == 0);
        ASSERT_FALSE(difference.has_value()) << first << ' ' << second << ": " << *difference;
      }
    }
  }
}

TEST_P(splits, one_byte_feed_is_like_the_model) {
  for (const auto& conversations : {short_conversations(make), long_conversations(make)}) {
    for (const bytes& wire : conversations) {
      for (const std::size_t room : {1u, 2u, 65536u}) {
        for (const bool all_first : {false, true}) {
          const auto difference = any_differs_from_model(
              GetParam(), bounds, wire, cuts_everywhere(wire.size()), {room}, all_first);
          ASSERT_FALSE(difference.has_value()) << *difference;
        }
      }
    }
  }
}

// Joins the pieces of each message, so that feeds can be compared that give other pieces.
struct gathered {
  std::vector<bytes> messages;    // complete ones, and the started one last
  std::vector<answer> others;     // pings, close, failed
  std::vector<std::size_t> order; // for each of these: payload bytes delivered before it
  std::vector<bool> text;

  friend bool operator==(const gathered&, const gathered&) = default;
};

gathered gather(const std::vector<answer>& answers) {
  gathered all;
  bool open = false;
  std::size_t delivered = 0;
  for (const answer& one : answers) {
    if (one.what != answer::kind::piece) {
      all.others.push_back(one);
      all.order.push_back(delivered);
      continue;
    }
    if (!open) {
      all.messages.emplace_back();
      all.text.push_back(one.text);
    }
    test::append(all.messages.back(), one.bytes);
    delivered += one.bytes.size();
    open = !one.message_end;
  }
  return all;
}

TEST_P(splits, one_byte_feed_equals_whole_feed) {
  for (const auto& conversations : {short_conversations(make), long_conversations(make)}) {
    for (const bytes& wire : conversations) {
      std::vector<answer> whole;
      std::vector<answer> bytewise;
      ASSERT_FALSE(differs_from_model(GetParam(), bounds, simd::active_kernels(), wire, {}, {65536},
                                      false, &whole));
      ASSERT_FALSE(differs_from_model(GetParam(), bounds, simd::active_kernels(), wire,
                                      cuts_everywhere(wire.size()), {65536}, false, &bytewise));
      const gathered from_whole = gather(whole);
      const gathered from_bytes = gather(bytewise);
      const bool bad_text = !whole.empty() && whole.back().what == answer::kind::failed &&
                            whole.back().reason == error::text_utf8;
      if (!bad_text) {
        EXPECT_EQ(from_whole, from_bytes);
        continue;
      }
      // the piece with the first bad byte is not delivered; a whole feed has bigger pieces.
      EXPECT_EQ(from_whole.others, from_bytes.others);
      for (std::size_t i = 0; i < from_whole.messages.size(); ++i) {
        const bytes& shorter = from_whole.messages[i];
        const bytes& longer = from_bytes.messages[i];
        ASSERT_LE(shorter.size(), longer.size());
        EXPECT_TRUE(std::equal(shorter.begin(), shorter.end(), longer.begin()));
      }
    }
  }
}

// Frames of 65535 and 65536 bytes, with the cuts around their headers and at odd places inside.
TEST_P(splits, frames_around_64_KiB) {
  const bytes wire = joined({make.frame(opcode::binary, true, pattern(65535)),
                             make.frame(opcode::text, true, letters(65536)),
                             make.frame(opcode::binary, true, "end")});
  limits wide;
  wide.max_message_bytes = unlimited;
  const std::size_t second = make.frame(opcode::binary, true, pattern(65535)).size();
  const std::size_t third = second + make.frame(opcode::text, true, letters(65536)).size();
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i <= 15; ++i) {
    places.insert(places.end(), {i, second - 1 + i, third - 8 + i});
  }
  places.push_back(40001);
  for (const std::size_t cut : places) {
    for (const std::size_t room : {4096u, 65535u, 100000u}) {
      const auto difference =
          any_differs_from_model(GetParam(), wide, wire, {std::min(cut, wire.size())}, {room});
      ASSERT_FALSE(difference.has_value()) << cut << ": " << *difference;
    }
  }
}

// Random conversations, valid and not, in random slices. The seed is printed by a failure.
TEST_P(splits, random_conversations_in_random_slices) {
  for (unsigned seed = 0; seed < 3000; ++seed) {
    std::mt19937 generator(seed);
    const auto random = [&] { return static_cast<unsigned>(generator()); };
    bytes wire;
    bool open = false;
    for (unsigned frames = 1 + random() % 12; frames > 0; --frames) {
      const unsigned what = random() % 100;
      if (what < 60) {
        const bool fin = random() % 2 == 0;
        const bool text = random() % 2 == 0;
        const std::size_t size = random() % 8 == 0 ? random() % 400 : random() % 20;
        bytes payload = text ? letters(size) : pattern(size, seed);
        if (text && random() % 4 == 0) {
          payload = to_bytes(mixed_text);
        }
        wire = joined(
            {wire, make.frame(open ? opcode::continuation : (text ? opcode::text : opcode::binary),
                              fin, payload)});
        open = !fin;
      } else if (what < 90) {
        test::append(wire, make.frame(random() % 2 == 0 ? opcode::ping : opcode::pong, true,
                                      pattern(random() % 126, seed)));
      } else if (what < 95) {
        test::append(wire, make.close(1000 + random() % 20, "reason"));
      } else {
        const bytes frame = make.frame(random() % 256, pattern(random() % 30));
        test::append(wire, frame);
      }
    }
    std::vector<std::size_t> cuts;
    for (unsigned i = random() % 10; i > 0; --i) {
      cuts.push_back(random() % (wire.size() + 1));
    }
    std::sort(cuts.begin(), cuts.end());
    const std::vector<std::size_t> rooms = {1 + random() % 64, 1 + random() % 500};
    limits tight;
    tight.max_message_bytes = random() % 4 == 0 ? random() % 300 : unlimited;
    tight.max_fragments = random() % 4 == 0 ? random() % 6 : unlimited;
    const auto difference =
        any_differs_from_model(GetParam(), tight, wire, cuts, rooms, random() % 2 == 0);
    ASSERT_FALSE(difference.has_value()) << "seed " << seed << ": " << *difference;
  }
}

} // namespace
} // namespace sluice
