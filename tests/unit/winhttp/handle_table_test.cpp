// The table behind HINTERNET: HND-01, HND-02, HND-09 to HND-11, and threads that pin and close.

#include "winhttp/handle_table.hpp"

#include "core/memory.hpp"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <set>
#include <thread>
#include <vector>

namespace sluice::winhttp {
namespace {

struct tally {
  std::atomic<int> alive{0};
  std::atomic<int> closes{0};
  std::atomic<int> releases{0};
};

class probe final : public object {
public:
  static constexpr handle_kind of_kind = handle_kind::session;

  explicit probe(tally& counts) noexcept : object(of_kind), counts_(counts) { ++counts_.alive; }
  ~probe() override { --counts_.alive; }

  void on_close() noexcept override {
    closed.store(true);
    ++counts_.closes;
  }
  void on_released() noexcept override { ++counts_.releases; }

  std::atomic<bool> closed{false};
  std::atomic<std::uint64_t> canary{0x5AFEull};

private:
  tally& counts_;
};

class other final : public object {
public:
  static constexpr handle_kind of_kind = handle_kind::request;
};

HINTERNET make(tally& counts) {
  probe* made = memory::create<probe>(counts);
  return made == nullptr ? nullptr : open_handle(*made);
}

HINTERNET value(std::uint64_t number) {
  return reinterpret_cast<HINTERNET>(static_cast<std::uintptr_t>(number));
}

TEST(handle_table, HND_01_a_handle_finds_its_object_and_its_kind) {
  tally counts;
  const HINTERNET handle = make(counts);
  ASSERT_NE(handle, nullptr);
  {
    const pin pinned(handle);
    ASSERT_NE(pinned.get(), nullptr);
    EXPECT_EQ(pinned.get()->handle(), handle);
    DWORD code = 0;
    EXPECT_EQ(pinned.as<probe>(code), pinned.get());
    EXPECT_EQ(code, 0u);
    EXPECT_EQ(pinned.as<other>(code), nullptr);
    EXPECT_EQ(code, static_cast<DWORD>(ERROR_WINHTTP_INCORRECT_HANDLE_TYPE));
  }
  EXPECT_TRUE(is_open(handle));
  EXPECT_EQ(close_handle(handle), 0u);
  EXPECT_EQ(counts.alive, 0);
}

TEST(handle_table, HND_02_HND_11_a_closed_value_stays_invalid_when_its_slot_is_used_again) {
  tally counts;
  const HINTERNET stale = make(counts);
  EXPECT_EQ(close_handle(stale), 0u);
  std::set<HINTERNET> seen{stale};
  for (int i = 0; i < 5000; ++i) {
    const HINTERNET next = make(counts);
    ASSERT_TRUE(seen.insert(next).second) << "a value was handed out twice";
    DWORD code = 0;
    const pin pinned(stale);
    ASSERT_EQ(pinned.as<probe>(code), nullptr);
    ASSERT_EQ(code, static_cast<DWORD>(ERROR_INVALID_HANDLE));
    ASSERT_EQ(close_handle(stale), static_cast<DWORD>(ERROR_INVALID_HANDLE));
    ASSERT_EQ(close_handle(next), 0u);
  }
  EXPECT_EQ(counts.alive, 0);
  EXPECT_EQ(counts.closes, 5001);
  EXPECT_EQ(counts.releases, 5001);
}

TEST(handle_table, HND_02_a_slot_rests_also_where_most_are_in_use) {
  tally counts;
  const auto slot_of = [](HINTERNET handle) {
    return static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(handle));
  };
  // Whatever the table's size is, at some of these counts few slots are free.
  std::vector<HINTERNET> in_use;
  for (int held = 0; held < 600; ++held) {
    in_use.push_back(make(counts));
    const HINTERNET stale = make(counts);
    EXPECT_EQ(close_handle(stale), 0u);
    for (int i = 0; i < 32; ++i) {
      const HINTERNET next = make(counts);
      ASSERT_NE(slot_of(next), slot_of(stale)) << "after " << i << ", with " << held << " in use";
      EXPECT_EQ(close_handle(next), 0u);
    }
  }
  for (const HINTERNET handle : in_use) {
    EXPECT_EQ(close_handle(handle), 0u);
  }
  EXPECT_EQ(counts.alive, 0);
}

TEST(handle_table, HND_02_invented_values_are_invalid) {
  tally counts;
  const HINTERNET handle = make(counts);
  const auto number = static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(handle));
  int on_stack = 0;
  std::vector<std::uint64_t> invented = {
      0,
      1,
      8,
      0x18,
      ~0ull,
      ~0ull - 1,
      0x7FFFFFFFFFFFFFF8ull,
      0xFFFFFFFF00000008ull,
      static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(&on_stack)),
      static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(&counts))};
  for (unsigned bit = 0; bit < 64; ++bit) {
    invented.push_back(number ^ (1ull << bit));
  }
  for (const std::uint64_t guess : invented) {
    EXPECT_FALSE(is_open(value(guess))) << guess;
    EXPECT_EQ(close_handle(value(guess)), static_cast<DWORD>(ERROR_INVALID_HANDLE)) << guess;
  }
  EXPECT_TRUE(is_open(handle));
  EXPECT_EQ(close_handle(handle), 0u);
  EXPECT_EQ(counts.alive, 0);
}

TEST(handle_table, a_pin_keeps_the_object_until_the_call_is_over) {
  tally counts;
  const HINTERNET handle = make(counts);
  {
    const pin call(handle);
    EXPECT_EQ(close_handle(handle), 0u);
    EXPECT_EQ(counts.closes, 1);   // at once, so that the call can be ended
    EXPECT_EQ(counts.releases, 0); // the call is still there
    EXPECT_EQ(counts.alive, 1);
    EXPECT_FALSE(is_open(handle));
    EXPECT_EQ(close_handle(handle), static_cast<DWORD>(ERROR_INVALID_HANDLE));
  }
  EXPECT_EQ(counts.releases, 1);
  EXPECT_EQ(counts.alive, 0);
}

TEST(handle_table, HND_09_a_reference_outlives_the_handle) {
  tally counts;
  probe* made = memory::create<probe>(counts);
  object_ref<probe> child(*made);
  EXPECT_EQ(close_handle(open_handle(*made)), 0u);
  EXPECT_EQ(counts.releases, 1);
  EXPECT_EQ(counts.alive, 1);
  child.reset();
  EXPECT_EQ(counts.alive, 0);
}

TEST(handle_table, thousands_of_handles_live_at_once) {
  tally counts;
  std::vector<HINTERNET> handles;
  for (int i = 0; i < 3000; ++i) {
    handles.push_back(make(counts));
    ASSERT_NE(handles.back(), nullptr);
  }
  EXPECT_EQ(std::set<HINTERNET>(handles.begin(), handles.end()).size(), handles.size());
  for (const HINTERNET handle : handles) {
    EXPECT_TRUE(is_open(handle));
  }
  for (const HINTERNET handle : handles) {
    EXPECT_EQ(close_handle(handle), 0u);
  }
  EXPECT_EQ(counts.alive, 0);
}

// The most that the table takes, and that it recovers from being full.
TEST(handle_table, running_out_of_handles_is_an_error_code) {
  tally counts;
  std::vector<HINTERNET> handles;
  DWORD code = 0;
  for (;;) {
    probe* made = memory::create<probe>(counts);
    ASSERT_NE(made, nullptr);
    const HINTERNET handle = open_handle(*made, code);
    if (handle == nullptr) {
      made->drop_ref();
      break;
    }
    handles.push_back(handle);
  }
  EXPECT_EQ(code, static_cast<DWORD>(ERROR_WINHTTP_OUT_OF_HANDLES));
  EXPECT_EQ(handles.size(), std::size_t{detail::slots_per_chunk} * detail::max_chunks);
  for (const HINTERNET handle : handles) {
    ASSERT_EQ(close_handle(handle), 0u);
  }
  EXPECT_EQ(counts.alive, 0);
  const HINTERNET again = make(counts);
  EXPECT_NE(again, nullptr);
  EXPECT_EQ(close_handle(again), 0u);
}

// Threads pin, close and reopen the handles of a small set all at once, with values that go stale
// under their hands. Every object is destroyed once, after its last pin; a successful pin never
// shows an object that is gone.
TEST(handle_table, stress_of_pins_and_closes) {
  constexpr int slot_count = 8;
  constexpr int thread_count = 4;
  constexpr int rounds = 100000;
  tally counts;
  std::atomic<int> opened{0};
  std::atomic<int> closed{0};
  std::atomic<int> pinned_open{0};
  std::atomic<int> waiting{thread_count};
  std::array<std::atomic<HINTERNET>, slot_count> shared{};
  for (auto& slot : shared) {
    slot = make(counts);
    ++opened;
  }
  std::vector<std::thread> threads;
  for (int t = 0; t < thread_count; ++t) {
    threads.emplace_back([&, t] {
      --waiting;
      while (waiting != 0) { // all at once
        std::this_thread::yield();
      }
      std::uint32_t random = 2463534242u + static_cast<std::uint32_t>(t) * 7919u;
      for (int i = 0; i < rounds; ++i) {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        auto& slot = shared[random % slot_count];
        const HINTERNET handle = slot.load();
        if ((random >> 8) % 4 != 0) {
          const pin call(handle);
          DWORD code = 0;
          if (probe* found = call.as<probe>(code)) {
            ASSERT_EQ(found->canary.load(), 0x5AFEull);
            ASSERT_EQ(found->handle(), handle);
            ++pinned_open;
          } else {
            ASSERT_EQ(code, static_cast<DWORD>(ERROR_INVALID_HANDLE));
          }
        } else if (close_handle(handle) == 0) {
          ++closed;
          const HINTERNET next = make(counts);
          ASSERT_NE(next, nullptr);
          ++opened;
          slot = next;
        }
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_GT(pinned_open, 0);
  EXPECT_GT(closed, 0);
  for (auto& slot : shared) {
    closed += close_handle(slot) == 0 ? 1 : 0;
  }
  EXPECT_EQ(closed, opened);
  EXPECT_EQ(counts.alive, 0);
  EXPECT_EQ(counts.closes, opened);
  EXPECT_EQ(counts.releases, opened);
}

} // namespace
} // namespace sluice::winhttp
