#include "unit/simd/kernel_test.hpp"

#include "sluice/simd.hpp"

#include <cstdlib>

// Which kernels there are, which is active, and the public face of it.
namespace sluice::test {
namespace {

TEST(kernels, scalar_comes_first_and_every_name_once) {
  const auto names = kernels().names();
  ASSERT_FALSE(names.empty());
  EXPECT_STREQ(names[0], "scalar");
  for (std::size_t i = 0; i < names.size(); ++i) {
    EXPECT_EQ(simd::supported_kernels()[i]->name, names[i]);
    for (std::size_t j = 0; j < i; ++j)
      EXPECT_STRNE(names[i], names[j]);
  }
#if defined(__aarch64__)
  EXPECT_STREQ(names.back(), "neon");
#endif
}

// Run once more per kernel with SLUICE_FORCE_KERNEL set (see CMakeLists.txt).
TEST(kernels, environment_picks_the_active_one) {
  const char* forced = std::getenv("SLUICE_FORCE_KERNEL");
  const std::string_view name = forced == nullptr ? "" : forced;
  if (name.empty()) {
    EXPECT_TRUE(simd::forced_kernel_ok());
    EXPECT_STREQ(kernels().active(), kernels().names().back());
  } else if (simd::find_kernels(name) != nullptr) {
    EXPECT_TRUE(simd::forced_kernel_ok());
    EXPECT_EQ(kernels().active(), name);
  } else {
    EXPECT_FALSE(simd::forced_kernel_ok());
    EXPECT_STREQ(kernels().active(), "scalar");
  }
}

TEST(kernels, force_changes_what_later_calls_use) {
  const std::string before = kernels().active();
  for (const char* name : kernels().names()) {
    EXPECT_TRUE(kernels().force(name));
    EXPECT_STREQ(kernels().active(), name);
    EXPECT_STREQ(simd::active_kernels().name, name);
  }
  const std::string last = kernels().active();
  for (const char* unknown : {"", "AVX2", "avx", "avx2 ", "sse9"}) {
    EXPECT_FALSE(kernels().force(unknown));
    EXPECT_EQ(kernels().active(), last);
  }
  EXPECT_TRUE(kernels().force(before));
}

class public_functions : public kernel_test {
protected:
  public_functions() : before_(kernels().active()) { EXPECT_TRUE(kernels().force(kernel().name)); }
  ~public_functions() override { kernels().force(before_); }

private:
  std::string before_;
};

TEST_P(public_functions, receive_a_masked_text_in_slices) {
  const bytes plain = to_bytes("\xE2\x82\xAC 5, caf\xC3\xA9 \xF0\x9F\x98\x80, and some more text");
  constexpr std::uint32_t key = 0x3D21FA37;
  bytes masked = plain;
  reference_unmask(masked, key);
  for (std::size_t cut = 0; cut <= plain.size(); ++cut) {
    const auto first = std::span(masked).first(cut), second = std::span(masked).subspan(cut);
    const std::uint32_t second_key = simd::rotate_key(key, cut);
    bytes copy(plain.size());
    const auto first_copy = std::span(copy).first(cut), second_copy = std::span(copy).subspan(cut);

    simd::utf8_state state;
    ASSERT_TRUE(simd::unmask_validate_copy(first_copy, first, key, state).ok);
    ASSERT_TRUE(simd::unmask_validate_copy(second_copy, second, second_key, state).ok);
    EXPECT_EQ(copy, plain);
    EXPECT_EQ(state.due, 0);

    std::fill(copy.begin(), copy.end(), std::byte{});
    simd::unmask_copy(first_copy, first, key);
    simd::unmask_copy(second_copy, second, second_key);
    EXPECT_EQ(copy, plain);
    EXPECT_TRUE(simd::validate(first_copy, state).ok);
    EXPECT_TRUE(simd::validate(second_copy, state).ok);

    bytes in_place = masked;
    const auto rest = std::span(in_place).subspan(cut);
    simd::unmask(std::span(in_place).first(cut), key);
    EXPECT_TRUE(simd::validate(std::span(in_place).first(cut), state).ok);
    EXPECT_TRUE(simd::unmask_validate(rest, second_key, state).ok);
    EXPECT_EQ(in_place, plain);

    bytes again(plain.size());
    EXPECT_TRUE(simd::validate_copy(again, plain, state).ok);
    EXPECT_EQ(again, plain);
  }
}

TEST_P(public_functions, handle_as_much_as_fits) {
  const bytes from = to_bytes("abc\xFF");
  bytes to(6, std::byte{'.'});
  simd::utf8_state state;
  EXPECT_TRUE(simd::validate_copy(std::span(to).first(3), from, state).ok);
  EXPECT_EQ(to, to_bytes("abc..."));
  EXPECT_TRUE(simd::validate_copy(to, std::span(from).first(2), state).ok);
  EXPECT_EQ(to, to_bytes("abc..."));
  simd::unmask_copy(std::span(to).last(2), from, 0);
  EXPECT_EQ(to, to_bytes("abc.ab"));
  const simd::utf8_result wrong = simd::unmask_validate_copy(to, from, 0, state);
  EXPECT_FALSE(wrong.ok);
  EXPECT_EQ(wrong.error_offset, 3u);
}

SLUICE_TEST_EVERY_KERNEL(public_functions);

} // namespace
} // namespace sluice::test
