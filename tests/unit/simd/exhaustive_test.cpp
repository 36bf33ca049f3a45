#include "unit/simd/text_calls.hpp"

// All code points, all strings of three bytes, all of four with the leads F0..F4, and random texts
// cut at random places, against the reference decoder.
namespace sluice::test {
namespace {

class exhaustive : public kernel_test {
protected:
  /// Validates and compares everything, without the pages and canaries of text_calls.
  bool agrees(std::span<const std::byte> text, const utf8_verdict& expected) const {
    simd::utf8_state state;
    const simd::utf8_result result = kernel().validate(text.data(), text.size(), state);
    return result.ok == expected.ok && result.error_offset == expected.error_offset &&
           (!expected.ok || same(state, state_of(expected.end)));
  }
};

// Lengths and places of a string in ASCII that take it through the short shapes of a pass.
struct place {
  std::size_t size;
  std::size_t at;
};
constexpr std::array places = {place{3, 0}, place{20, 15}, place{70, 30}};

TEST_P(exhaustive, all_code_points) {
  std::string text;
  std::size_t count = 0;
  for (std::uint32_t code = 0; code < 0x110000; ++code) {
    if (code >= 0xD800 && code < 0xE000)
      continue;
    std::string one;
    append_code_point(one, code);
    const bytes alone = to_bytes(one);
    ASSERT_TRUE(agrees(alone, {true, 0, utf8_expects::character})) << code;
    text += one;
    ++count;
  }
  EXPECT_EQ(count, 1'112'064u);
  // All in one text, at all alignments of characters in a block.
  for (std::size_t shift = 0; shift < 70; shift += full_effort ? 1 : 9) {
    simd::utf8_state state;
    const bytes all = to_bytes(std::string(shift, ' ') + text);
    const simd::utf8_result result = kernel().validate(all.data(), all.size(), state);
    ASSERT_TRUE(result.ok) << shift << " " << result.error_offset;
    ASSERT_EQ(state.due, 0);
  }
}

TEST_P(exhaustive, surrogates_and_what_is_above_10ffff) {
  for (std::uint32_t code = 0xD800; code < 0xE000; ++code) {
    std::string one;
    append_code_point(one, code);
    ASSERT_TRUE(agrees(to_bytes(one), {false, 1, utf8_expects::nothing})) << code;
  }
  for (std::uint32_t code = 0x110000; code < 0x200000; code += 0x101) {
    std::string one;
    append_code_point(one, code);
    ASSERT_TRUE(agrees(to_bytes(one), {false, code < 0x140000 ? 1u : 0u, utf8_expects::nothing}))
        << code;
  }
}

TEST_P(exhaustive, all_three_byte_strings) {
  for (const place& where : places) {
    bytes text(where.size, std::byte{'a'});
    const auto string = std::span(text).subspan(where.at, 3);
    // Everything before the string is ASCII, so the reference looks at the string and one byte
    // more.
    const std::size_t tail = where.at + 3 < where.size ? 1 : 0;
    const auto looked_at = std::span(text).subspan(where.at, 3 + tail);
    for (unsigned first = 0; first < 0x100; ++first) {
      string[0] = static_cast<std::byte>(first);
      for (unsigned second = 0; second < 0x100; ++second) {
        string[1] = static_cast<std::byte>(second);
        for (unsigned third = 0; third < 0x100; third += full_effort ? 1 : 0x0F) {
          string[2] = static_cast<std::byte>(third);
          utf8_verdict expected = decode(looked_at);
          expected.error_offset += expected.ok ? 0 : where.at;
          ASSERT_TRUE(agrees(text, expected))
              << where.size << ": " << first << " " << second << " " << third;
        }
      }
    }
  }
}

// The ends of every range in table 3-7, and their neighbours.
constexpr auto edge_bytes = std::to_array<std::uint8_t>(
    {0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF,
     0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF});

TEST_P(exhaustive, strings_of_edge_bytes_at_every_place_of_a_block) {
  bytes text(1200, std::byte{'a'});
  for (std::size_t at = 0; at + 4 <= 800; at += full_effort ? 1 : 37) {
    const auto string = std::span(text).subspan(at, 3), looked_at = std::span(text).subspan(at, 4);
    for (const std::uint8_t first : edge_bytes) {
      for (const std::uint8_t second : edge_bytes) {
        const std::uint8_t third = edge_bytes[(first + second + at) % edge_bytes.size()];
        string[0] = std::byte{first};
        string[1] = std::byte{second};
        string[2] = std::byte{third};
        utf8_verdict expected = decode(looked_at);
        expected.error_offset += expected.ok ? 0 : at;
        ASSERT_TRUE(agrees(text, expected)) << at << ": " << +first << " " << +second;
      }
    }
    std::fill(string.begin(), string.end(), std::byte{'a'});
  }
}

TEST_P(exhaustive, four_byte_strings_with_leads_f0_to_f4) {
  bytes text(4);
  for (unsigned first = 0xF0; first <= 0xF4; ++first) {
    text[0] = static_cast<std::byte>(first);
    for (unsigned rest = 0; rest < 0x1000000; rest += full_effort ? 1 : 0x1D) {
      text[1] = static_cast<std::byte>(rest >> 16);
      text[2] = static_cast<std::byte>(rest >> 8);
      text[3] = static_cast<std::byte>(rest);
      ASSERT_TRUE(agrees(text, decode(text))) << first << " " << rest;
    }
  }
}

// Ten million texts, valid for the most part, cut in up to four slices; each slice goes through
// another of the four functions, with its own key.
TEST_P(exhaustive, random_splits) {
  std::mt19937_64 random(4);
  const std::string source = mixed_text(random, 1 << 16);
  bytes text, target(2048);
  const std::uint64_t rounds = scaled(10'000'000);
  for (std::uint64_t round = 0; round < rounds; ++round) {
    const std::uint64_t dice = random();
    const std::size_t n = dice % 64 == 0 ? dice / 64 % 2000 : dice / 64 % 100;
    std::size_t begin = dice >> 48;
    begin %= source.size() - 2000;
    while ((static_cast<unsigned char>(source[begin]) & 0xC0) == 0x80)
      ++begin;
    const auto from = std::as_bytes(std::span(source)).subspan(begin, n);
    text.assign(from.begin(), from.end());
    if (dice >> 40 & 1 && n != 0)
      text[random() % n] = static_cast<std::byte>(random());

    const utf8_verdict expected = decode(text);
    simd::utf8_state state;
    std::size_t done = 0;
    bool ok = true;
    while (ok && done < n) {
      const std::uint64_t how = random();
      const std::size_t slice =
          how % 4 == 0 ? n - done : std::min<std::size_t>(how / 4 % 40, n - done);
      const auto key = static_cast<std::uint32_t>(how >> 32);
      std::byte* const at = text.data() + done;
      simd::utf8_result result{};
      switch (how >> 20 & 3) {
      case 0:
        result = kernel().validate(at, slice, state);
        break;
      case 1:
        result = kernel().validate_copy(target.data(), at, slice, state);
        break;
      case 2:
        reference_unmask({at, slice}, key);
        result = kernel().unmask_validate(at, slice, key, state);
        break;
      default:
        reference_unmask({at, slice}, key);
        result = kernel().unmask_validate_copy(target.data(), at, slice, key, state);
        break;
      }
      ok = result.ok;
      done += ok ? slice : result.error_offset;
    }
    ASSERT_EQ(ok, expected.ok) << round;
    ASSERT_EQ(done, ok ? n : expected.error_offset) << round;
    ASSERT_TRUE(!ok || same(state, state_of(expected.end))) << round;
  }
}

SLUICE_TEST_EVERY_KERNEL(exhaustive);

} // namespace
} // namespace sluice::test
