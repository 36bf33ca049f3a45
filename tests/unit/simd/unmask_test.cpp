#include "unit/simd/kernel_test.hpp"

#include "support/guarded_pages.hpp"

#include <algorithm>

namespace sluice::test {
namespace {

constexpr std::uint32_t key_of_the_rfc = 0x3D21FA37; // 37 FA 21 3D, RFC 6455 section 5.7
constexpr std::size_t longest = 256;

class unmask : public kernel_test {
protected:
  unmask() {
    std::mt19937_64 random(1);
    for (std::byte& byte : noise_)
      byte = static_cast<std::byte>(random());
  }

  /// Puts `range` of the pages through `call`, with noise in and around it, and looks at every byte
  /// from 64 before it to 64 after it, as far as there are pages.
  template <class Call>
  bool only_unmasks(const guarded_pages& pages, std::span<std::byte> range, std::uint32_t key,
                    Call call) const {
    const std::span<std::byte> all = pages.all();
    const auto at = static_cast<std::size_t>(range.data() - all.data());
    const std::size_t begin = at - std::min<std::size_t>(at, 64);
    const std::size_t end = std::min(at + range.size() + 64, all.size());
    const auto seen = all.subspan(begin, end - begin);
    std::copy_n(noise_.begin(), seen.size(), seen.begin());
    bytes expected(noise_.begin(), noise_.begin() + static_cast<std::ptrdiff_t>(seen.size()));
    reference_unmask(std::span(expected).subspan(at - begin, range.size()), key);
    call();
    return std::equal(seen.begin(), seen.end(), expected.begin());
  }

  bytes noise_ = bytes(4096);
};

TEST_P(unmask, example_of_rfc_6455) {
  bytes hello = {std::byte{0x7F}, std::byte{0x9F}, std::byte{0x4D}, std::byte{0x51},
                 std::byte{0x58}};
  kernel().unmask(hello.data(), hello.size(), key_of_the_rfc);
  EXPECT_EQ(hello, to_bytes("Hello"));
}

TEST_P(unmask, every_offset_length_and_phase_in_place_between_guard_pages) {
  const guarded_pages pages(4096);
  for (std::size_t offset = 0; offset < 64; ++offset) {
    for (std::size_t n = 0; n <= longest; ++n) {
      for (std::size_t phase = 0; phase < 4; ++phase) {
        const std::uint32_t key = simd::rotate_key(key_of_the_rfc, phase);
        for (const auto range : {pages.at_start(offset, n), pages.at_end(offset, n)})
          ASSERT_TRUE(only_unmasks(pages, range, key,
                                   [&] { kernel().unmask(range.data(), range.size(), key); }))
              << offset << " " << n << " " << phase;
      }
    }
  }
}

TEST_P(unmask, every_length_up_to_2000_ends_at_a_guard_page) {
  const guarded_pages pages(4096);
  for (std::size_t n = 0; n <= 2000; ++n) {
    const auto range = pages.at_end(0, n);
    ASSERT_TRUE(only_unmasks(pages, range, key_of_the_rfc, [&] {
      kernel().unmask(range.data(), range.size(), key_of_the_rfc);
    })) << n;
  }
}

TEST_P(unmask, copies_every_offset_length_and_phase_between_guard_pages) {
  const guarded_pages from(4096), to(4096);
  for (std::size_t offset = 0; offset < 64; ++offset) {
    for (std::size_t n = 0; n <= longest; ++n) {
      const auto target = (n + offset) % 2 == 0 ? to.at_start(offset, n) : to.at_end(offset, n);
      // The same noise that only_unmasks() puts around the target.
      const auto at = static_cast<std::size_t>(target.data() - to.all().data());
      const auto skipped = static_cast<std::ptrdiff_t>(std::min<std::size_t>(at, 64));
      for (std::size_t phase = 0; phase < 4; ++phase) {
        // Source and destination differ in alignment by all distances in turn.
        const auto source = from.at_end((offset * 7 + n + 16 * phase) % 64, n);
        const std::uint32_t key = simd::rotate_key(key_of_the_rfc, phase);
        std::copy_n(noise_.begin() + skipped, n, source.begin());
        ASSERT_TRUE(only_unmasks(
            to, target, key, [&] { kernel().unmask_copy(target.data(), source.data(), n, key); }))
            << offset << " " << n << " " << phase;
      }
    }
  }
}

TEST_P(unmask, copies_onto_itself) {
  const guarded_pages pages(4096);
  for (std::size_t n = 0; n <= 4 * longest; ++n) {
    const auto range = pages.at_end(n % 64, n);
    ASSERT_TRUE(only_unmasks(pages, range, key_of_the_rfc, [&] {
      kernel().unmask_copy(range.data(), range.data(), n, key_of_the_rfc);
    })) << n;
  }
}

// A payload that arrives in slices, each with the key rotated by what came before.
TEST_P(unmask, slices_give_the_same_as_the_whole) {
  const bytes whole(noise_.begin(), noise_.begin() + 700);
  bytes expected = whole;
  reference_unmask(expected, key_of_the_rfc);
  for (std::size_t cut = 0; cut <= whole.size(); ++cut) {
    bytes sliced = whole;
    kernel().unmask(sliced.data(), cut, key_of_the_rfc);
    kernel().unmask(sliced.data() + cut, sliced.size() - cut,
                    simd::rotate_key(key_of_the_rfc, cut));
    ASSERT_EQ(sliced, expected) << cut;
  }
}

TEST_P(unmask, long_ranges_at_every_alignment) {
  const guarded_pages from(200'000), to(200'000);
  std::mt19937_64 random(2);
  for (std::byte& byte : from.all())
    byte = static_cast<std::byte>(random());
  for (std::size_t offset = 0; offset < 64; ++offset) {
    const std::size_t n = 3 * 65'536 - 700 + offset * 11;
    const auto source = from.at_end(offset, n), target = to.at_start(63 - offset, n);
    kernel().unmask_copy(target.data(), source.data(), n, key_of_the_rfc);
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < n; ++i)
      wrong += target[i] != (source[i] ^ key_byte(key_of_the_rfc, i));
    ASSERT_EQ(wrong, 0u) << offset;
    kernel().unmask(target.data(), n, key_of_the_rfc);
    ASSERT_TRUE(std::equal(target.begin(), target.end(), source.begin())) << offset;
  }
}

TEST(rotate_key, moves_the_first_wire_byte_behind_the_last) {
  EXPECT_EQ(simd::rotate_key(0x44332211, 0), 0x44332211u);
  EXPECT_EQ(simd::rotate_key(0x44332211, 1), 0x11443322u);
  EXPECT_EQ(simd::rotate_key(0x44332211, 2), 0x22114433u);
  EXPECT_EQ(simd::rotate_key(0x44332211, 3), 0x33221144u);
  EXPECT_EQ(simd::rotate_key(0x44332211, 4'000'000'001), 0x11443322u);
}

SLUICE_TEST_EVERY_KERNEL(unmask);

} // namespace
} // namespace sluice::test
