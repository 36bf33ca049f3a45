#pragma once

#include "core/error.hpp"
#include "support/loopback.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <functional>
#include <string>
#include <thread>

namespace sluice::test {

/// What a test that cancels reads does with its stream.
struct cancelled_reader {
  std::function<error(int round)> read; // once; what comes is appended to `got`
  std::function<void()> cancel;         // on another thread
  std::function<void()> reset;          // the cancellation is over
};

/// In each of many rounds two bytes arrive and the reads are cancelled, now in this order, now in
/// that. Whoever wins, no byte is lost, and none is invented.
inline void expect_no_byte_lost_to_cancels(const cancelled_reader& reader, int peer_fd,
                                           const std::string& got) {
  constexpr int rounds = 500;
  std::atomic<int> round{-1};
  std::atomic<int> finished{-1};
  std::thread other([&] {
    for (int i = 0; i < rounds; ++i) {
      while (round.load() < i) {
        std::this_thread::yield();
      }
      if (i % 2 == 0) {
        EXPECT_TRUE(send_all(peer_fd, "ab"));
        reader.cancel();
      } else {
        reader.cancel();
        EXPECT_TRUE(send_all(peer_fd, "ab"));
      }
      finished.store(i);
    }
  });
  std::string expected;
  for (int i = 0; i < rounds; ++i) {
    expected += "ab";
    round.store(i);
    error e = error::none;
    while (e == error::none) {
      e = reader.read(i);
    }
    EXPECT_EQ(e, error::cancelled);
    while (finished.load() < i) {
      std::this_thread::yield();
    }
    reader.reset();
  }
  other.join();
  for (error e = error::none; got.size() < expected.size() && e == error::none;) {
    e = reader.read(rounds);
  }
  EXPECT_EQ(got, expected);
}

} // namespace sluice::test
