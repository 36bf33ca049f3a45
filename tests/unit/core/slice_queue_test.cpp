#include "core/slice_queue.hpp"

#include "support/allocations.hpp"
#include "support/frames.hpp"
#include "support/slices.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <random>

namespace sluice {
namespace {

using test::bytes;
using test::counted_memory;
using test::heap_buffer_owner;
using test::lent_buffer_owner;
using test::pattern;

bytes read_all(slice_queue& queue, std::size_t step) {
  bytes read;
  while (!queue.empty()) {
    const std::size_t count = std::min(step, queue.front_size_bytes());
    read.insert(read.end(), queue.front_bytes(), queue.front_bytes() + count);
    queue.consume(count);
  }
  return read;
}

TEST(slice_queue, starts_empty) {
  const slice_queue queue;
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.size_bytes(), 0u);
  EXPECT_EQ(queue.slice_count(), 0u);
  EXPECT_EQ(queue.front_size_bytes(), 0u);
}

TEST(slice_queue, gives_bytes_in_order_whatever_the_slices_and_steps) {
  const bytes all = pattern(997);
  for (const std::size_t slice_bytes : {1u, 2u, 7u, 100u, 500u, 997u}) {
    for (const std::size_t step : {1u, 3u, 64u, 1000u}) {
      heap_buffer_owner owner;
      slice_queue queue;
      for (std::size_t at = 0; at < all.size(); at += slice_bytes) {
        const std::size_t count = std::min(slice_bytes, all.size() - at);
        ASSERT_TRUE(owner.push(queue, {all.data() + at, count}, at % 5));
      }
      EXPECT_EQ(queue.size_bytes(), all.size());
      EXPECT_EQ(read_all(queue, step), all);
      EXPECT_EQ(queue.size_bytes(), 0u);
      EXPECT_EQ(queue.slice_count(), 0u);
      EXPECT_EQ(owner.out(), 0u);
    }
  }
}

TEST(slice_queue, an_empty_slice_goes_straight_back) {
  heap_buffer_owner owner;
  slice_queue queue;
  EXPECT_TRUE(queue.push(owner.make({})));
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(owner.returned(), 1u);
}

TEST(slice_queue, a_buffer_goes_back_with_its_last_byte_and_not_before) {
  heap_buffer_owner owner;
  slice_queue queue;
  const bytes two = pattern(2);
  ASSERT_TRUE(owner.push(queue, two));
  queue.consume(0);
  queue.consume(1);
  EXPECT_EQ(owner.out(), 1u);
  queue.consume(1);
  EXPECT_EQ(owner.out(), 0u);
  queue.consume(0); // of nothing
  EXPECT_TRUE(queue.empty());
}

TEST(slice_queue, take_front_hands_over_the_unread_rest) {
  heap_buffer_owner owner;
  slice_queue queue;
  const bytes ten = pattern(10);
  const bytes three = pattern(3, 77);
  ASSERT_TRUE(owner.push(queue, ten, 4));
  ASSERT_TRUE(owner.push(queue, three));
  queue.consume(6);
  const slice front = queue.take_front();
  EXPECT_EQ(front.offset, 10u);
  EXPECT_EQ(front.size_bytes, 4u);
  EXPECT_EQ(bytes(front.from->bytes + front.offset, front.from->bytes + front.offset + 4),
            bytes(ten.begin() + 6, ten.end()));
  EXPECT_EQ(queue.size_bytes(), 3u);
  EXPECT_EQ(queue.slice_count(), 1u);
  EXPECT_EQ(owner.out(), 2u);
  owner.recycle(*front.from);
  EXPECT_EQ(read_all(queue, 3), three);
}

TEST(slice_queue, clear_and_destruction_return_everything) {
  heap_buffer_owner owner;
  {
    slice_queue queue;
    for (int i = 0; i < 9; ++i) {
      ASSERT_TRUE(owner.push(queue, pattern(5)));
    }
    queue.consume(3);
    queue.clear();
    EXPECT_TRUE(queue.empty());
    EXPECT_EQ(queue.size_bytes(), 0u);
    EXPECT_EQ(owner.out(), 0u);
    for (int i = 0; i < 9; ++i) {
      ASSERT_TRUE(owner.push(queue, pattern(5)));
    }
  }
  EXPECT_EQ(owner.out(), 0u);
}

TEST(slice_queue, four_slices_need_no_memory) {
  const counted_memory memory;
  heap_buffer_owner owner;
  slice_queue queue;
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < 4; ++i) {
      ASSERT_TRUE(owner.push(queue, pattern(3)));
    }
    queue.clear();
  }
  EXPECT_EQ(memory.allocations(), 0u);
}

TEST(slice_queue, a_failed_spill_leaves_the_slice_with_the_caller) {
  for (std::size_t allowed = 0; allowed < 4; ++allowed) {
    counted_memory memory;
    heap_buffer_owner owner;
    slice_queue queue;
    memory.allow(allowed);
    bytes expected;
    unsigned pushed = 0;
    while (owner.push(queue, pattern(2, pushed))) {
      test::append(expected, pattern(2, pushed));
      ++pushed;
      ASSERT_LE(pushed, 1000u);
    }
    EXPECT_EQ(pushed, 4u << allowed);
    EXPECT_EQ(memory.failures(), 1u);
    EXPECT_EQ(owner.out(), pushed);
    memory.allow_all();
    ASSERT_TRUE(owner.push(queue, pattern(2, pushed))); // works again
    test::append(expected, pattern(2, pushed));
    EXPECT_EQ(read_all(queue, 2), expected);
    queue.clear();
    EXPECT_EQ(memory.live(), 0u);
  }
}

TEST(slice_queue, a_small_spill_stays_and_a_big_one_goes) {
  const counted_memory memory;
  heap_buffer_owner owner;
  slice_queue queue;
  const auto burst = [&](int slices) {
    for (int i = 0; i < slices; ++i) {
      ASSERT_TRUE(owner.push(queue, pattern(1)));
    }
    (void)read_all(queue, 1);
  };
  burst(30);
  const std::size_t first = memory.allocations();
  for (int i = 0; i < 100; ++i) {
    burst(30);
  }
  EXPECT_EQ(memory.allocations(), first); // steady traffic does not allocate
  burst(3000);
  EXPECT_EQ(memory.live(), 0u); // and an idle connection does not keep a burst's memory
}

// The queue against a deque, at random; the ring wraps, grows and shrinks.
TEST(slice_queue, behaves_like_a_deque_of_bytes) {
  std::mt19937 random(20);
  heap_buffer_owner owner;
  slice_queue queue;
  std::deque<std::byte> model;
  unsigned seed = 0;
  for (int i = 0; i < 200000; ++i) {
    const unsigned what = random() % 16;
    if (what < 8) {
      const bytes more = pattern(random() % 9, ++seed);
      ASSERT_TRUE(owner.push(queue, more));
      model.insert(model.end(), more.begin(), more.end());
    } else if (what < 15) {
      for (unsigned turns = random() % 4; turns > 0 && !queue.empty(); --turns) {
        const std::size_t count = 1 + random() % queue.front_size_bytes();
        for (std::size_t at = 0; at < count; ++at) {
          ASSERT_EQ(queue.front_bytes()[at], model.front());
          model.pop_front();
        }
        queue.consume(count);
      }
    } else if (!queue.empty()) {
      const slice front = queue.take_front();
      model.erase(model.begin(), model.begin() + front.size_bytes);
      owner.recycle(*front.from);
    }
    ASSERT_EQ(queue.size_bytes(), model.size());
    ASSERT_EQ(queue.slice_count(), owner.out());
    ASSERT_EQ(queue.empty(), model.empty());
  }
}

} // namespace
} // namespace sluice
