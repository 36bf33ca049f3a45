#include "io/crypto.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::test {
namespace {

template <std::size_t N> std::string text_of(const std::array<char, N>& from) {
  return {from.data(), N};
}

TEST(crypto, accept_of_the_example_in_RFC_6455_section_1_3) {
  handshake_key key{};
  constexpr std::string_view example = "dGhlIHNhbXBsZSBub25jZQ==";
  std::copy(example.begin(), example.end(), key.key.begin());
  ASSERT_TRUE(io::make_handshake_accept(key));
  EXPECT_EQ(text_of(key.accept), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST(crypto, keys_are_16_bytes_in_base64_and_never_the_same) {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    handshake_key key{};
    ASSERT_TRUE(io::make_handshake_key(key));
    const std::string text = text_of(key.key);
    EXPECT_EQ(text.substr(22), "==");
    EXPECT_EQ(text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                     "0123456789+/"),
              22U);
    EXPECT_EQ(key.accept.back(), '=');
    EXPECT_TRUE(seen.insert(text).second);
    handshake_key again = key;
    again.accept = {};
    ASSERT_TRUE(io::make_handshake_accept(again));
    EXPECT_EQ(text_of(again.accept), text_of(key.accept));
  }
}

TEST(crypto, random_bytes_fills_exactly_what_it_is_given) {
  std::array<std::byte, 64> room{};
  EXPECT_TRUE(io::random_bytes({}));
  EXPECT_TRUE(io::random_bytes(std::span(room).subspan(8, 48)));
  EXPECT_TRUE(
      std::all_of(room.begin(), room.begin() + 8, [](std::byte b) { return b == std::byte{}; }));
  EXPECT_TRUE(
      std::all_of(room.end() - 8, room.end(), [](std::byte b) { return b == std::byte{}; }));
  // 48 zero bytes out of a working generator: once in 2^384.
  EXPECT_FALSE(
      std::all_of(room.begin() + 8, room.end() - 8, [](std::byte b) { return b == std::byte{}; }));
}

TEST(crypto, random_bytes_also_fills_more_than_a_megabyte) {
  std::vector<std::byte> room((std::size_t{3} << 20) + 5);
  ASSERT_TRUE(io::random_bytes(room));
  std::array<std::size_t, 256> counts{};
  for (const std::byte value : room) {
    ++counts[static_cast<std::size_t>(value)];
  }
  // Chi-square with 255 degrees of freedom: over 400 happens once in 10^8 runs.
  const double expected = static_cast<double>(room.size()) / 256;
  double chi_square = 0;
  for (const std::size_t count : counts) {
    const double off = static_cast<double>(count) - expected;
    chi_square += off * off / expected;
  }
  EXPECT_LT(chi_square, 400);
  EXPECT_FALSE(
      std::all_of(room.end() - 16, room.end(), [](std::byte b) { return b == std::byte{}; }));
}

} // namespace
} // namespace sluice::test
