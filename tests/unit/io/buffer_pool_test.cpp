#include "io/buffer_pool.hpp"

#include "support/allocations.hpp"
#include "support/loopback.hpp"

#include <gtest/gtest.h>
#include <poll.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define HAS_POISON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#define HAS_POISON 1
#endif
#endif

namespace sluice::test {
namespace {

using io::buffer_class;
using io::buffer_class_bytes;
using io::buffer_pool;
using io::wake_signal;

constexpr std::size_t megabyte = std::size_t{1} << 20;

/// Owns a pool the way a loop does.
struct pool_holder {
  explicit pool_holder(std::size_t max_bytes = 16 * megabyte)
      : pool(buffer_pool::create(max_bytes)) {}
  ~pool_holder() {
    if (pool != nullptr) {
      pool->abandon();
    }
  }
  pool_holder(const pool_holder&) = delete;
  pool_holder& operator=(const pool_holder&) = delete;
  buffer_pool* operator->() const { return pool; }

  buffer_pool* pool;
};

bool raised(const wake_signal& signal) {
  pollfd at{signal.descriptor(), POLLIN, 0};
  return ::poll(&at, 1, 0) == 1;
}

TEST(buffer_pool, buffers_have_the_size_of_their_class_and_lie_on_pages) {
  const pool_holder pool;
  std::vector<buffer*> out;
  for (const buffer_class of : {buffer_class::small, buffer_class::large}) {
    for (int i = 0; i < 40; ++i) {
      buffer* const taken = pool->take(of);
      ASSERT_NE(taken, nullptr);
      EXPECT_EQ(taken->capacity_bytes, buffer_class_bytes[static_cast<std::size_t>(of)]);
      EXPECT_EQ(taken->size_class, static_cast<std::uint16_t>(of));
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(taken->bytes) % 4096, 0U);
      std::memset(taken->bytes, 0x5a, taken->capacity_bytes);
      out.push_back(taken);
    }
  }
  for (buffer* one : out) {
    one->owner->recycle(*one);
  }
}

TEST(buffer_pool, no_buffer_is_handed_out_twice) {
  const pool_holder pool(2 * megabyte);
  std::set<const std::byte*> seen;
  std::vector<buffer*> out;
  for (const buffer_class of : {buffer_class::small, buffer_class::large}) {
    while (buffer* const taken = out.size() < 300 ? pool->take(of) : nullptr) {
      EXPECT_TRUE(seen.insert(taken->bytes).second);
      out.push_back(taken);
    }
  }
  // Nor do two of them overlap.
  const std::byte* end = nullptr;
  std::set<std::pair<const std::byte*, std::size_t>> ranges;
  for (const buffer* one : out) {
    ranges.insert({one->bytes, one->capacity_bytes});
  }
  for (const auto& [begin, size] : ranges) {
    EXPECT_GE(begin, end);
    end = begin + size;
  }
  EXPECT_EQ(pool->lent_count(), out.size());
  for (buffer* one : out) {
    one->owner->recycle(*one);
  }
  EXPECT_EQ(pool->lent_count(), 0U);
}

TEST(buffer_pool, the_last_one_returned_is_the_next_one_out) {
  const pool_holder pool;
  buffer* const first = pool->take(buffer_class::small);
  buffer* const second = pool->take(buffer_class::small);
  pool->recycle(*first);
  pool->recycle(*second);
  EXPECT_EQ(pool->take(buffer_class::small), second);
  EXPECT_EQ(pool->take(buffer_class::small), first);
  pool->recycle(*first);
  pool->recycle(*second);
}

TEST(buffer_pool, memory_grows_by_slabs_up_to_the_cap) {
  const pool_holder pool(megabyte);
  EXPECT_EQ(pool->reserved_bytes(), 0U);
  std::vector<buffer*> out;
  std::size_t steps = 0;
  std::size_t before = 0;
  while (buffer* const taken = pool->take(buffer_class::large)) {
    out.push_back(taken);
    steps += pool->reserved_bytes() != before ? 1U : 0U;
    before = pool->reserved_bytes();
    ASSERT_LE(before, megabyte);
  }
  EXPECT_EQ(out.size(), megabyte / buffer_class_bytes[1]);
  EXPECT_LE(steps, 3U);
  EXPECT_EQ(pool->take(buffer_class::small), nullptr) << "one cap for both classes";
  for (buffer* one : out) {
    pool->recycle(*one);
  }
  EXPECT_EQ(pool->reserved_bytes(), megabyte);
}

TEST(buffer_pool, steady_use_allocates_nothing) {
  const counted_memory memory;
  const pool_holder pool;
  pool->recycle(*pool->take(buffer_class::small));
  pool->recycle(*pool->take(buffer_class::large));
  const std::size_t before = memory.allocations();
  for (int i = 0; i < 1000; ++i) {
    pool->recycle(*pool->take(buffer_class::small));
    pool->recycle(*pool->take(buffer_class::large));
  }
  EXPECT_EQ(memory.allocations(), before);
}

TEST(buffer_pool, posted_buffers_are_neither_free_nor_lent) {
  const pool_holder pool(2 * buffer_class_bytes[0]);
  buffer* const posted = pool->post(buffer_class::small);
  ASSERT_NE(posted, nullptr);
  EXPECT_EQ(pool->posted_count(), 1U);
  EXPECT_EQ(pool->lent_count(), 0U);
  buffer* const taken = pool->take(buffer_class::small);
  ASSERT_NE(taken, nullptr);
  EXPECT_NE(taken, posted);
  EXPECT_EQ(pool->take(buffer_class::small), nullptr);
  pool->unpost(*posted, 10);
  EXPECT_EQ(pool->posted_count(), 0U);
  EXPECT_EQ(pool->lent_count(), 2U);
  std::memset(posted->bytes, 1, 10); // what the kernel filled may be read and written
  pool->recycle(*posted);
  pool->recycle(*taken);
}

TEST(buffer_pool, over_the_cap_once_for_each_request) {
  const counted_memory memory;
  {
    const pool_holder pool(buffer_class_bytes[0]);
    buffer* const regular = pool->take(buffer_class::small);
    ASSERT_EQ(pool->take(buffer_class::small), nullptr);
    const std::size_t live = memory.live();
    ASSERT_TRUE(pool->add_over_cap());
    buffer* const extra = pool->take(buffer_class::small);
    ASSERT_NE(extra, nullptr);
    EXPECT_EQ(extra->capacity_bytes, buffer_class_bytes[0]);
    EXPECT_EQ(pool->take(buffer_class::small), nullptr);
    EXPECT_EQ(pool->lent_count(), 2U);
    pool->recycle(*extra);
    EXPECT_EQ(memory.live(), live) << "its memory goes when it comes back";
    pool->recycle(*regular);
    ASSERT_TRUE(pool->add_over_cap()); // never used: goes with the pool
  }
  EXPECT_EQ(memory.live(), 0U);
}

TEST(buffer_pool, without_memory_there_is_no_buffer_and_no_harm) {
  counted_memory memory;
  for (std::size_t allowed = 0;; ++allowed) {
    memory.allow(allowed);
    buffer_pool* const pool = buffer_pool::create(megabyte);
    buffer* const small = pool != nullptr ? pool->take(buffer_class::small) : nullptr;
    buffer* const large = pool != nullptr ? pool->take(buffer_class::large) : nullptr;
    const bool over = pool != nullptr && pool->add_over_cap();
    memory.allow_all();
    const bool complete = small != nullptr && large != nullptr && over;
    if (pool != nullptr) {
      // What failed works once there is memory again.
      for (buffer* one : {small != nullptr ? small : pool->take(buffer_class::small),
                          large != nullptr ? large : pool->take(buffer_class::large)}) {
        ASSERT_NE(one, nullptr);
        pool->recycle(*one);
      }
      pool->abandon();
    }
    EXPECT_EQ(memory.live(), 0U);
    if (complete) {
      EXPECT_GT(allowed, 4U);
      return;
    }
    ASSERT_LT(allowed, 100U);
  }
}

TEST(buffer_pool, another_threads_return_is_seen_after_a_drain) {
  const pool_holder pool;
  buffer* const taken = pool->take(buffer_class::small);
  EXPECT_FALSE(pool->drain_returns());
  std::thread([&] { taken->owner->recycle(*taken); }).join();
  EXPECT_EQ(pool->lent_count(), 1U);
  EXPECT_TRUE(pool->drain_returns());
  EXPECT_EQ(pool->lent_count(), 0U);
  EXPECT_FALSE(pool->drain_returns());
  EXPECT_EQ(pool->take(buffer_class::small), taken);
  pool->recycle(*taken);
}

TEST(buffer_pool, a_return_wakes_the_hungry_and_nobody_else) {
  wake_signal* signal = nullptr;
  ASSERT_EQ(wake_signal::create(signal), error::none);
  {
    const pool_holder pool;
    pool->wake_on_return(*signal);
    buffer* const first = pool->take(buffer_class::small);
    buffer* const second = pool->take(buffer_class::small);
    buffer* const third = pool->take(buffer_class::small);

    std::thread([&] { pool->recycle(*first); }).join();
    EXPECT_FALSE(raised(*signal)) << "nobody sleeps for it";
    EXPECT_FALSE(pool->announce_hunger()) << "there is a buffer to drain";
    EXPECT_TRUE(pool->drain_returns());

    EXPECT_TRUE(pool->announce_hunger());
    EXPECT_TRUE(pool->announce_hunger());
    EXPECT_FALSE(pool->drain_returns());
    EXPECT_TRUE(pool->announce_hunger());
    std::thread([&] { pool->recycle(*second); }).join();
    EXPECT_TRUE(raised(*signal));
    signal->clear();
    std::thread([&] { pool->recycle(*third); }).join();
    EXPECT_FALSE(raised(*signal)) << "one wake is enough";
    EXPECT_TRUE(pool->drain_returns());
    EXPECT_EQ(pool->lent_count(), 0U);
  }
  signal->release();
}

TEST(buffer_pool, buffers_outlive_the_loop_and_the_last_one_takes_the_pool_along) {
  const counted_memory memory;
  std::vector<buffer*> out;
  {
    const pool_holder pool;
    for (int i = 0; i < 20; ++i) {
      out.push_back(pool->take(buffer_class::small));
      std::memset(out.back()->bytes, i, out.back()->capacity_bytes);
    }
    pool->recycle(*out.back());
    out.pop_back();
  }
  EXPECT_GT(memory.live(), 0U);
  for (std::size_t i = 0; i < out.size(); ++i) {
    EXPECT_EQ(static_cast<std::size_t>(out[i]->bytes[4095]), i);
    out[i]->owner->recycle(*out[i]);
  }
  EXPECT_EQ(memory.live(), 0U);
}

TEST(buffer_pool, an_unused_pool_goes_at_once) {
  const counted_memory memory;
  { const pool_holder pool; }
  {
    const pool_holder pool;
    (void)pool->announce_hunger();
  }
  EXPECT_EQ(memory.live(), 0U);
}

// Threads hand buffers on and return them while the owner takes, drains, sleeps hungry, and at last
// leaves: what the thread sanitizer and the address sanitizer are to judge.
TEST(buffer_pool, returns_race_with_the_owner_and_with_its_end) {
  constexpr int rounds = 30;
  constexpr int per_round = 400;
  for (int round = 0; round < rounds; ++round) {
    std::mutex lock;
    std::vector<buffer*> shared;
    std::atomic<bool> owner_gone{false};
    std::vector<std::thread> returners;
    for (int i = 0; i < 3; ++i) {
      returners.emplace_back([&] {
        for (;;) {
          buffer* mine = nullptr;
          const bool last = owner_gone.load();
          {
            const std::lock_guard guard(lock);
            if (!shared.empty()) {
              mine = shared.back();
              shared.pop_back();
            }
          }
          if (mine != nullptr) {
            mine->owner->recycle(*mine);
          } else if (last) {
            return;
          } else {
            std::this_thread::yield();
          }
        }
      });
    }
    {
      const pool_holder pool(64 * buffer_class_bytes[0]);
      for (int given = 0; given < per_round;) {
        buffer* const taken = pool->take(buffer_class::small);
        if (taken == nullptr) {
          if (!pool->drain_returns() && !pool->announce_hunger()) {
            pool->drain_returns();
          }
          std::this_thread::yield();
          continue;
        }
        taken->bytes[0] = std::byte{1};
        const std::lock_guard guard(lock);
        shared.push_back(taken);
        ++given;
      }
    }
    owner_gone.store(true);
    for (std::thread& one : returners) {
      one.join();
    }
  }
}

// A new thread may live where the owner lived (same thread-local storage): it is a stranger still.
TEST(buffer_pool, a_later_thread_is_not_taken_for_the_owner) {
  for (int i = 0; i < 50; ++i) {
    buffer* left = nullptr;
    buffer* other = nullptr;
    std::thread([&] {
      const pool_holder pool;
      left = pool->take(buffer_class::small);
      other = pool->take(buffer_class::small);
    }).join();
    std::thread([&] { left->owner->recycle(*left); }).join();
    std::thread([&] { other->owner->recycle(*other); }).join();
  }
}

#ifdef HAS_POISON
TEST(buffer_pool, free_and_posted_bytes_are_poisoned) {
  const pool_holder pool;
  buffer* const taken = pool->take(buffer_class::small);
  EXPECT_EQ(__asan_region_is_poisoned(taken->bytes, taken->capacity_bytes), nullptr);
  pool->recycle(*taken);
  EXPECT_NE(__asan_address_is_poisoned(taken->bytes), 0);
  EXPECT_NE(__asan_address_is_poisoned(taken->bytes + taken->capacity_bytes - 1), 0);
  buffer* const posted = pool->post(buffer_class::small);
  EXPECT_NE(__asan_address_is_poisoned(posted->bytes), 0);
  pool->unpost(*posted, 100);
  EXPECT_EQ(__asan_region_is_poisoned(posted->bytes, 96), nullptr);
  EXPECT_NE(__asan_address_is_poisoned(posted->bytes + 104), 0) << "the kernel wrote 100 bytes";
  pool->recycle(*posted);
}

TEST(buffer_pool, another_threads_return_poisons_at_once) {
  const pool_holder pool;
  buffer* const taken = pool->take(buffer_class::small);
  std::thread([&] { taken->owner->recycle(*taken); }).join();
  EXPECT_NE(__asan_address_is_poisoned(taken->bytes), 0);
}
#elif !defined(NDEBUG)
TEST(buffer_pool, debug_builds_overwrite_what_comes_back) {
  const pool_holder pool;
  buffer* const taken = pool->take(buffer_class::small);
  std::memset(taken->bytes, 0x11, taken->capacity_bytes);
  std::byte* const bytes = taken->bytes;
  pool->recycle(*taken);
  EXPECT_EQ(bytes[0], std::byte{0xdb});
  EXPECT_EQ(bytes[4095], std::byte{0xdb});
}
#endif

} // namespace
} // namespace sluice::test
