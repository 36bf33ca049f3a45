#include "core/message_rx.hpp"

#include "support/rx_driver.hpp"

#include <gtest/gtest.h>

namespace sluice {
namespace {

using test::answer;
using test::bytes;
using test::frame_maker;
using test::joined;
using test::pattern;
using test::rx_under_test;

using kind = answer::kind;

limits with(std::uint64_t max_message_bytes, std::uint64_t max_fragments = 4096) {
  limits made;
  made.max_message_bytes = max_message_bytes;
  made.max_fragments = max_fragments;
  return made;
}

class bounded : public testing::TestWithParam<role> {
protected:
  frame_maker make{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(limits, bounded, testing::Values(role::client, role::server),
                         [](const auto& tested) {
                           return tested.param == role::client ? "client" : "server";
                         });

TEST_P(bounded, message_of_exactly_the_limit_passes_and_one_more_byte_does_not) {
  for (const std::size_t limit : {0u, 1u, 125u, 126u, 1000u, 65535u, 65536u}) {
    rx_under_test rx(GetParam(), with(limit));
    rx.push(make.frame(opcode::binary, true, pattern(limit)));
    const answer fits = rx.receive(limit + 1);
    EXPECT_EQ(fits.what, kind::piece);
    EXPECT_TRUE(fits.message_end);
    rx.push(make.frame(opcode::binary, true, pattern(limit + 1)));
    const answer over = rx.receive(limit + 2);
    EXPECT_EQ(over.what, kind::failed);
    EXPECT_EQ(over.reason, error::message_too_big);
  }
}

// The sum counts, not the frame, and the header that crosses the limit is enough.
TEST_P(bounded, fragments_below_the_limit_add_up) {
  rx_under_test rx(GetParam(), with(100));
  rx.push(joined({make.frame(opcode::binary, false, pattern(60)),
                  make.frame(opcode::ping, true, pattern(125)), // control payload does not count
                  make.frame(opcode::continuation, false, pattern(40)),
                  make.frame(opcode::continuation, false, "")}));
  EXPECT_EQ(rx.receive().bytes.size(), 60u);
  EXPECT_EQ(rx.receive().what, kind::ping);
  EXPECT_EQ(rx.receive().bytes.size(), 40u);
  EXPECT_EQ(rx.receive().what, kind::piece);
  rx.push(make.header(0x00, 1)); // no payload yet
  EXPECT_EQ(rx.receive().reason, error::message_too_big);
}

TEST_P(bounded, the_limit_starts_anew_with_every_message) {
  rx_under_test rx(GetParam(), with(10, 2));
  for (int i = 0; i < 20; ++i) {
    rx.push(joined({make.frame(opcode::binary, false, pattern(9)),
                    make.frame(opcode::continuation, true, pattern(1)),
                    make.frame(opcode::binary, true, pattern(10))}));
    EXPECT_EQ(rx.receive().what, kind::piece);
    EXPECT_TRUE(rx.receive().message_end);
    EXPECT_TRUE(rx.receive().message_end);
  }
}

TEST_P(bounded, a_declared_length_over_the_limit_is_refused_by_its_header) {
  for (const std::uint64_t declared :
       {std::uint64_t{101}, std::uint64_t{1} << 40, (std::uint64_t{1} << 63) - 1}) {
    rx_under_test rx(GetParam(), with(100));
    rx.push_one_by_one(make.header(0x82, declared));
    EXPECT_EQ(rx.receive().reason, error::message_too_big);
  }
}

// Lengths whose sum wraps around 2^64 are still too big.
TEST_P(bounded, the_sum_of_declared_lengths_cannot_wrap) {
  rx_under_test rx(GetParam(), with((std::uint64_t{1} << 63) - 1));
  rx.push(joined({make.frame(opcode::binary, false, pattern(2)),
                  make.header(0x00, (std::uint64_t{1} << 63) - 1)}));
  EXPECT_EQ(rx.receive().what, kind::piece);
  EXPECT_EQ(rx.receive().reason, error::message_too_big);
}

TEST_P(bounded, fragments_up_to_the_limit_pass_and_one_more_does_not) {
  for (const std::uint64_t limit : {1u, 2u, 3u, 100u}) {
    rx_under_test rx(GetParam(), with(unlimited, limit));
    for (std::uint64_t i = 0; i < limit; ++i) {
      rx.push(make.frame(i == 0 ? opcode::binary : opcode::continuation, false, "x"));
      EXPECT_EQ(rx.receive().what, kind::piece);
    }
    rx.push(make.header(0x80, 5));
    EXPECT_EQ(rx.receive().reason, error::too_many_fragments);
  }
}

TEST_P(bounded, a_fragment_limit_of_0_counts_as_1) {
  rx_under_test rx(GetParam(), with(unlimited, 0));
  rx.push(
      joined({make.frame(opcode::text, true, "short"), make.frame(opcode::text, true, pattern(200)),
              make.frame(opcode::text, false, "x"), make.frame(opcode::continuation, true, "y")}));
  EXPECT_TRUE(rx.receive().message_end);
  EXPECT_EQ(rx.receive().what, kind::failed); // the pattern is no text
  rx_under_test other(GetParam(), with(unlimited, 0));
  other.push(
      joined({make.frame(opcode::text, false, "x"), make.frame(opcode::continuation, true, "y")}));
  EXPECT_EQ(other.receive().what, kind::piece);
  EXPECT_EQ(other.receive().reason, error::too_many_fragments);
}

// The default limits (GHSA-96hv-2xvq-fx4p): a message of very many tiny or empty frames is ended.
TEST_P(bounded, a_flood_of_fragments_ends_at_the_default_limit) {
  for (const char* const payload : {"x", ""}) {
    rx_under_test rx(GetParam());
    rx.push(make.frame(opcode::binary, false, payload));
    EXPECT_EQ(rx.receive().what, kind::piece);
    std::uint64_t fragments = 1;
    for (;;) {
      rx.push(make.frame(opcode::continuation, false, payload));
      const answer seen = rx.receive();
      if (seen.what == kind::failed) {
        EXPECT_EQ(seen.reason, error::too_many_fragments);
        break;
      }
      ++fragments;
      ASSERT_LE(fragments, limits{}.max_fragments);
    }
    EXPECT_EQ(fragments, limits{}.max_fragments);
  }
}

TEST_P(bounded, discard_has_the_same_limits) {
  rx_under_test rx(GetParam(), with(100, 2));
  rx.push(joined({make.frame(opcode::binary, true, pattern(100)), make.header(0x82, 101)}));
  EXPECT_EQ(rx.rx.discard().reason, error::message_too_big);
  rx_under_test other(GetParam(), with(100, 2));
  other.push(
      joined({make.frame(opcode::binary, false, ""), make.frame(opcode::continuation, false, ""),
              make.frame(opcode::continuation, true, "")}));
  EXPECT_EQ(other.rx.discard().reason, error::too_many_fragments);
}

} // namespace
} // namespace sluice
