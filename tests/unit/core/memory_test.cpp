#include "core/memory.hpp"

#include "support/allocations.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

namespace sluice {
namespace {

using test::counted_memory;

struct tracked {
  explicit tracked(int& destroyed) noexcept : destroyed_(&destroyed) {}
  ~tracked() { ++*destroyed_; }
  int* destroyed_;
};

TEST(memory, make_unique_destroys_and_releases) {
  const counted_memory memory;
  int destroyed = 0;
  {
    const memory::unique<tracked> one = memory::make_unique<tracked>(destroyed);
    ASSERT_NE(one, nullptr);
    EXPECT_EQ(memory.live(), 1u);
  }
  EXPECT_EQ(destroyed, 1);
  EXPECT_EQ(memory.live(), 0u);
}

TEST(memory, failed_creation_runs_no_constructor) {
  counted_memory memory;
  memory.allow(0);
  int destroyed = 0;
  EXPECT_EQ(memory::make_unique<tracked>(destroyed), nullptr);
  EXPECT_EQ(destroyed, 0);
  EXPECT_EQ(memory.failures(), 1u);
}

TEST(memory, allocating_nothing_gives_a_pointer) {
  void* const nothing = memory::allocate(0);
  EXPECT_NE(nothing, nullptr);
  memory::release(nothing);
  memory::release(nullptr);
  memory::destroy(static_cast<int*>(nullptr));
}

TEST(growable, appends_across_growth) {
  const counted_memory memory;
  memory::growable<char> text;
  std::string expected;
  for (int i = 0; i < 1000; ++i) {
    const std::string part(static_cast<std::size_t>(i % 17), static_cast<char>('a' + i % 26));
    ASSERT_TRUE(text.append(part));
    expected += part;
    ASSERT_TRUE(text.append('.'));
    expected += '.';
  }
  EXPECT_EQ(text.view(), expected);
  EXPECT_LE(memory.bytes(), 4 * expected.size()); // doubling, not one growth per append
  text.remove_prefix(500);
  EXPECT_EQ(text.view(), std::string_view(expected).substr(500));
  text.resize_down(3);
  EXPECT_EQ(text.view(), std::string_view(expected).substr(500, 3));
}

TEST(growable, failed_growth_is_sticky_and_keeps_the_prefix) {
  counted_memory memory;
  memory::growable<std::uint32_t> numbers;
  memory.allow(1);
  std::uint32_t next = 0;
  while (numbers.append(next)) {
    ++next;
  }
  EXPECT_FALSE(numbers.ok());
  EXPECT_EQ(numbers.size(), next);
  memory.allow_all();
  EXPECT_FALSE(numbers.append(7u)); // still failed: what was appended is a prefix of what was meant
  EXPECT_EQ(numbers.size(), next);
  for (std::uint32_t i = 0; i < next; ++i) {
    EXPECT_EQ(numbers[i], i);
  }
  numbers.clear();
  EXPECT_TRUE(numbers.append(7u));
  EXPECT_EQ(numbers.size(), 1u);
}

TEST(growable, moving_empties_the_source) {
  const counted_memory memory;
  memory::growable<char> from;
  ASSERT_TRUE(from.append("abc"));
  memory::growable<char> to(std::move(from));
  EXPECT_EQ(to.view(), "abc");
  memory::growable<char> third;
  ASSERT_TRUE(third.append("old"));
  third = std::move(to);
  EXPECT_EQ(third.view(), "abc");
  EXPECT_EQ(memory.live(), 1u);
}

TEST(growable, a_capacity_that_overflows_is_refused) {
  memory::growable<std::uint64_t> numbers;
  EXPECT_FALSE(numbers.reserve(SIZE_MAX / 4));
  EXPECT_FALSE(numbers.ok());
}

} // namespace
} // namespace sluice
