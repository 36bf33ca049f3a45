// The Nth allocation fails, for every N until one run is left alone. After each run memory,
// descriptors and buffers are back where they were.
#include "io/connector.hpp"
#include "io/stream.hpp"

#include "support/allocations.hpp"
#include "support/each_backend.hpp"
#include "support/loopback.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <string>
#include <vector>

namespace sluice::test {
namespace {

using io::backend_choice;
using io::loop;
using io::no_deadline;
using io::stream;

constexpr std::size_t far_too_many = 200;

void append(slice_queue& from, std::string& to) {
  while (!from.empty()) {
    to.append(reinterpret_cast<const char*>(from.front_bytes()), from.front_size_bytes());
    from.consume(from.front_size_bytes());
  }
}

class fault_on : public each_backend {};
SLUICE_ON_EACH_BACKEND(fault_on);

TEST_P(fault_on, making_a_loop_without_memory_leaves_nothing_behind) {
  on.reset();
  const std::size_t descriptors = open_descriptors();
  counted_memory memory;
  for (std::size_t allowed = 0;; ++allowed) {
    ASSERT_LT(allowed, far_too_many);
    memory.allow(allowed);
    const error e = loop::create(GetParam(), small_settings, on);
    memory.allow_all();
    if (e == error::none) {
      EXPECT_GT(allowed, 2U);
      break;
    }
    EXPECT_EQ(e, error::no_memory) << "allocation " << allowed;
    EXPECT_EQ(on, nullptr);
    EXPECT_EQ(memory.live(), 0U) << "allocation " << allowed;
    EXPECT_EQ(open_descriptors(), descriptors) << "allocation " << allowed;
  }
  on.reset();
  EXPECT_EQ(memory.live(), 0U);
  EXPECT_EQ(open_descriptors(), descriptors);
}

TEST(fault, an_automatic_choice_without_memory_leaves_nothing_behind) {
  const std::size_t descriptors = open_descriptors();
  counted_memory memory;
  for (std::size_t allowed = 0;; ++allowed) {
    ASSERT_LT(allowed, far_too_many);
    memory.allow(allowed);
    memory::unique<loop> made;
    const error e = loop::create(backend_choice::automatic, small_settings, made);
    memory.allow_all();
    made.reset();
    EXPECT_EQ(memory.live(), 0U) << "allocation " << allowed;
    EXPECT_EQ(open_descriptors(), descriptors) << "allocation " << allowed;
    if (e == error::none) {
      return;
    }
    EXPECT_EQ(e, error::no_memory) << "allocation " << allowed;
  }
}

// A read that fails for want of memory has lost nothing: the next one goes on.
TEST_P(fault_on, a_read_without_memory_can_be_made_again) {
  on.reset();
  const std::string payload = pattern(30'000);
  counted_memory memory;
  std::size_t failures = 0;
  for (std::size_t allowed = 0;; ++allowed) {
    ASSERT_LT(allowed, far_too_many);
    loopback pair;
    stream s(pair.ours.release());
    ASSERT_TRUE(send_all(pair.peer.get(), payload));
    pair.peer.reset();
    remake(small_settings);
    std::string got;
    slice_queue inbox;
    memory.allow(allowed);
    bool failed = false;
    for (;;) {
      const error e = s.read(*on, inbox, no_deadline, nullptr);
      if (e == error::no_memory) {
        failed = true;
        memory.allow_all();
        continue;
      }
      if (e != error::none) {
        EXPECT_EQ(e, error::end_of_stream);
        break;
      }
      // (nothing is consumed: the inbox spills to the heap as well)
    }
    memory.allow_all();
    append(inbox, got);
    EXPECT_TRUE(got == payload) << "allocation " << allowed;
    EXPECT_EQ(on->buffers().lent_count(), 0U);
    s.close();
    inbox.clear();
    on.reset();
    failures += failed ? 1U : 0U;
    if (!failed) {
      EXPECT_GT(failures, 0U);
      break;
    }
  }
}

TEST_P(fault_on, a_receive_does_not_wait_for_a_buffer_that_nobody_has) {
  on.reset();
  counted_memory memory;
  remake(small_settings);
  loopback pair;
  ASSERT_TRUE(send_all(pair.peer.get(), "x"));
  io::recv_op op;
  op.socket = {pair.ours.get(), io::next_socket_id()};
  op.on_complete = [](io::operation&) noexcept {};
  memory.allow(0);
  on->io().submit(op);
  const auto patience = io::clock::now() + std::chrono::seconds(30);
  while (!op.idle() && io::clock::now() < patience) {
    ASSERT_EQ(on->io().wait(patience), error::none);
  }
  memory.allow_all();
  EXPECT_TRUE(op.idle()) << "it waits";
  on.reset(); // ends what waits
  EXPECT_EQ(op.result, -ENOMEM);
}

TEST_P(fault_on, bytes_that_found_no_room_in_the_inbox_go_with_the_stream) {
  on.reset();
  counted_memory memory;
  remake(small_settings);
  loopback pair;
  stream s(pair.ours.release());
  slice_queue inbox;
  for (int i = 0; i < 4; ++i) { // as many as fit inline
    ASSERT_TRUE(send_all(pair.peer.get(), "x"));
    ASSERT_EQ(s.read(*on, inbox, no_deadline, nullptr), error::none);
  }
  ASSERT_TRUE(send_all(pair.peer.get(), "y"));
  memory.allow(0);
  EXPECT_EQ(s.read(*on, inbox, no_deadline, nullptr), error::no_memory);
  EXPECT_EQ(s.read(*on, inbox, no_deadline, nullptr), error::no_memory);
  EXPECT_EQ(inbox.size_bytes(), 4U);
  stream moved = std::move(s);
  memory.allow_all();
  EXPECT_EQ(moved.read(*on, inbox, no_deadline, nullptr), error::none);
  EXPECT_EQ(inbox.size_bytes(), 5U);
  inbox.clear();
  moved.close();
  EXPECT_EQ(on->buffers().lent_count(), 0U);
  on.reset();
}

TEST_P(fault_on, connecting_without_memory_leaves_nothing_behind) {
  const listener server;
  on.reset();
  const std::size_t descriptors = open_descriptors();
  counted_memory memory;
  for (std::size_t allowed = 0;; ++allowed) {
    ASSERT_LT(allowed, far_too_many);
    remake(small_settings);
    const std::size_t with_loop = open_descriptors();
    stream connected;
    memory.allow(allowed);
    const error e = io::connect(*on, {"127.0.0.1", server.port}, {}, nullptr, nullptr, connected);
    memory.allow_all();
    if (e != error::none) {
      EXPECT_EQ(e, error::no_memory) << "allocation " << allowed;
      EXPECT_FALSE(connected.is_open());
      EXPECT_EQ(open_descriptors(), with_loop);
    }
    connected.close();
    on.reset();
    EXPECT_EQ(memory.live(), 0U) << "allocation " << allowed;
    EXPECT_EQ(open_descriptors(), descriptors);
    if (e == error::none) {
      EXPECT_GT(allowed, 0U);
      return;
    }
  }
}

TEST_P(fault_on, steady_reading_and_writing_takes_no_memory) {
  on.reset();
  counted_memory memory;
  remake(small_settings);
  loopback pair;
  stream s(pair.ours.release());
  slice_queue inbox;
  const std::string text = pattern(10'000);
  const auto round = [&] {
    ASSERT_EQ(s.write(*on, std::as_bytes(std::span(text)), std::chrono::milliseconds(0), nullptr),
              error::none);
    ASSERT_TRUE(send_all(pair.peer.get(), receive_exactly(pair.peer.get(), text.size())));
    std::size_t got = 0;
    while (got < text.size()) {
      ASSERT_EQ(s.read(*on, inbox, no_deadline, nullptr), error::none);
      got += inbox.size_bytes();
      inbox.clear();
    }
  };
  for (int i = 0; i < 10; ++i) {
    round();
  }
  const std::size_t before = memory.allocations();
  for (int i = 0; i < 200; ++i) {
    round();
  }
  EXPECT_EQ(memory.allocations(), before);
  s.close();
  on.reset();
}

} // namespace
} // namespace sluice::test
