#include "unit/simd/text_calls.hpp"

// The four text functions at every place, length and alignment, and their states between slices.
namespace sluice::test {
namespace {

class text : public kernel_test {
protected:
  text_calls calls_{kernel()};
  std::mt19937_64 random_{3};
};

// The whole product for each of the four functions; source and destination lie at the same distance
// from their guard pages in two phases and at different ones in the others. Three texts: ASCII, the
// same with a character of four bytes, or its first bytes, at the end, and mixed.
TEST_P(text, every_offset_length_and_phase_between_guard_pages) {
  const bytes mixed = to_bytes(mixed_text(random_, 9000));
  const std::string smiley = "\xF0\x9F\x98\x80";
  for (std::size_t n = 0; n <= 256; ++n) {
    const std::string cut = smiley.substr(0, std::min(1 + n % 4, n));
    const auto place = mixed.begin() + static_cast<std::ptrdiff_t>(n * 31);
    const std::array slices = {bytes(n, std::byte{'a'}),
                               to_bytes(std::string(n - cut.size(), 'a') + cut),
                               bytes(place, place + static_cast<std::ptrdiff_t>(n))};
    for (const bytes& slice : slices) {
      utf8_expects start = utf8_expects::character;
      for (const utf8_expects one : every_start) // a cut may begin inside a character
        if (!decode(slice, start).ok && decode(slice, one).ok)
          start = one;
      const utf8_verdict expected = decode(slice, start);
      for (std::size_t offset = 0; offset < 64; ++offset)
        for (std::size_t phase = 0; phase < 4; ++phase)
          ASSERT_TRUE(calls_.agree({slice, start, simd::rotate_key(0x3D21FA37, phase)}, expected,
                                   offset, phase % 2 == 0 ? offset : 63 - offset));
    }
  }
}

// The first byte that is not ASCII stands right before the end: what comes before it was unmasked
// by another pass, and must not be unmasked again.
TEST_P(text, one_character_at_the_end_of_ascii_of_every_length) {
  for (const char* character : {"\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"}) {
    for (std::size_t ascii = 0; ascii <= 1100; ++ascii) {
      for (std::size_t behind = 0; behind <= (full_effort ? 70u : 20u); behind += 1 + behind / 24) {
        const std::string slice = std::string(ascii, 'a') + character + std::string(behind, 'b');
        ASSERT_TRUE(calls_.agree({to_bytes(slice)}, ascii % 64, behind % 61));
      }
    }
  }
}

TEST_P(text, source_and_destination_begin_at_a_guard_page) {
  constexpr std::uint32_t key = 0x3D21FA37;
  const guarded_pages from(4096), to(4096);
  const bytes mixed = to_bytes(mixed_text(random_, 1200));
  for (std::size_t n = 0; n <= 1100; ++n) {
    const auto source = from.at_start(0, n), target = to.at_start(0, n);
    for (const utf8_expects start : every_start) {
      const utf8_verdict expected = decode(std::span(mixed).first(n), start);
      for (unsigned function = 0; function < 4; ++function) {
        std::copy_n(mixed.begin(), n, source.begin());
        if (function >= 2)
          reference_unmask(source, key);
        simd::utf8_state state = state_of(start);
        const simd::utf8_result result =
            function == 0   ? kernel().validate(source.data(), n, state)
            : function == 1 ? kernel().validate_copy(target.data(), source.data(), n, state)
            : function == 2
                ? kernel().unmask_validate(source.data(), n, key, state)
                : kernel().unmask_validate_copy(target.data(), source.data(), n, key, state);
        ASSERT_EQ(result.ok, expected.ok) << n << " " << function;
        ASSERT_EQ(result.error_offset, expected.error_offset) << n << " " << function;
      }
    }
  }
}

TEST_P(text, every_length_up_to_2100_from_every_start) {
  std::string valid = mixed_text(random_, 2200);
  for (std::size_t n = 0; n <= 2100; n += step_at(n)) {
    for (const utf8_expects start : every_start) {
      // Begin with what the start still needs, so that the rest is valid.
      const simd::utf8_state needs = state_of(start);
      std::string slice;
      for (unsigned i = 0; i < needs.due; ++i)
        slice.push_back(static_cast<char>(i == 0 ? needs.low : 0xBF));
      slice += valid;
      slice.resize(n);
      ASSERT_TRUE(calls_.agree({to_bytes(slice), start}, n % 64, n % 61));
    }
  }
}

// An error that a kernel overlooks, or finds a byte too late, at every place of every length.
TEST_P(text, one_wrong_byte_at_every_place) {
  const std::string valid = mixed_text(random_, 800);
  constexpr std::array<std::size_t, 27> lengths = {1,   2,   3,   4,   7,   8,   15,  16,  17,
                                                   31,  32,  33,  47,  63,  64,  65,  100, 125,
                                                   128, 129, 200, 256, 257, 300, 512, 600, 700};
  for (const std::size_t n : lengths) {
    for (std::size_t place = 0; place < n; ++place) {
      bytes slice = to_bytes(valid.substr(0, n));
      slice[place] = static_cast<std::byte>(0x80 + random_() % 0x80);
      ASSERT_TRUE(calls_.agree({slice}, place % 64, n % 61));
      slice[place] = static_cast<std::byte>(random_() % 0x80);
      ASSERT_TRUE(calls_.agree({slice}, place % 61, n % 64));
    }
  }
}

// The last byte of a slice is seen as a first byte only: C0, C1 and F5..FF must fail there and
// then, and not when the next slice comes.
TEST_P(text, byte_that_starts_nothing_fails_as_the_last_of_a_slice) {
  for (std::size_t n = 1; n <= 600; n += step_at(n)) {
    for (unsigned last = 0x80; last < 0x100; ++last) {
      bytes slice(n, std::byte{'a'});
      slice[n - 1] = static_cast<std::byte>(last);
      ASSERT_TRUE(calls_.agree({slice}, n % 64, 0)) << last;
    }
  }
}

// E0 80, ED A0, F0 80 and F4 90 cannot become valid whatever follows.
TEST_P(text, invalid_prefix_fails_before_its_third_byte) {
  for (const char* prefix : {"\xE0\x80", "\xED\xA0", "\xF0\x80", "\xF4\x90", "\xE0\x9F", "\xED\xBF",
                             "\xF0\x8F", "\xF4\xBF"}) {
    for (std::size_t n = 2; n <= 600; n += step_at(n)) {
      std::string slice(n - 2, 'a');
      slice += prefix;
      const utf8_verdict expected = {false, n - 1, utf8_expects::nothing};
      ASSERT_TRUE(calls_.agree({to_bytes(slice)}, expected, n % 64, n % 61)) << n;
    }
  }
}

TEST_P(text, empty_slices_keep_the_state) {
  for (const utf8_expects start : every_start) {
    simd::utf8_state state = state_of(start);
    std::byte nothing{};
    EXPECT_TRUE(kernel().validate(nullptr, 0, state).ok);
    EXPECT_TRUE(kernel().validate_copy(nullptr, nullptr, 0, state).ok);
    EXPECT_TRUE(kernel().unmask_validate(&nothing, 0, 7, state).ok);
    EXPECT_TRUE(kernel().unmask_validate_copy(&nothing, nullptr, 0, 7, state).ok);
    EXPECT_TRUE(same(state, state_of(start)));
  }
}

// Errors are looked for once in a stretch of blocks: the offset must be exact all the same.
TEST_P(text, error_offset_in_long_texts) {
  constexpr std::size_t n = 40'000;
  text_calls calls(kernel(), n + 4096);
  std::string valid;
  while (valid.size() < n)
    valid += mixed_text(random_, 500) + std::string(random_() % 3000, 'a');
  const bytes slice = to_bytes(valid).empty() ? bytes{} : to_bytes(valid.substr(0, n));
  for (std::size_t i = 0; i < (full_effort ? 400 : 40); ++i) {
    bytes wrong = slice;
    wrong[random_() % n] = static_cast<std::byte>(random_());
    ASSERT_TRUE(calls.agree({wrong}, i % 64, i % 61));
  }
}

// A character that ends in the first bytes of an ASCII block, and one that never ends.
TEST_P(text, ascii_block_after_an_unfinished_character) {
  text_calls calls(kernel(), 16'384);
  for (const char* cut : {"\xC3", "\xE2", "\xE2\x82", "\xF0", "\xF0\x9F", "\xF0\x9F\x98",
                          "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"}) {
    for (std::size_t place = 0; place < 2600; place += full_effort ? 1 : 7) {
      std::string slice(place, 'a');
      slice += cut;
      slice.resize(3000, 'b');
      ASSERT_TRUE(calls.agree({to_bytes(slice)}, place % 64, place % 61)) << place;
    }
  }
}

TEST_P(text, a_copy_of_the_state_is_a_place_to_come_back_to) {
  const bytes start = to_bytes("caf\xC3"), end = to_bytes("\xA9!"), wrong = to_bytes("!");
  simd::utf8_state state;
  ASSERT_TRUE(kernel().validate(start.data(), start.size(), state).ok);
  simd::utf8_state copy = state;
  EXPECT_FALSE(kernel().validate(wrong.data(), wrong.size(), copy).ok);
  EXPECT_TRUE(same(copy, state)); // unchanged by the error
  EXPECT_TRUE(kernel().validate(end.data(), end.size(), state).ok);
  EXPECT_EQ(state.due, 0);
}

SLUICE_TEST_EVERY_KERNEL(text);

} // namespace
} // namespace sluice::test
