// Receives that find no buffer: they wait in line for one, and nothing is lost.
#include "io/loop.hpp"
#include "io/stream.hpp"

#include "support/asleep.hpp"
#include "support/each_backend.hpp"
#include "support/loopback.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace sluice::test {
namespace {

using io::buffer_class_bytes;
using io::no_deadline;
using io::stream;
using io::time_point;

std::string drained(slice_queue& inbox) {
  std::string all;
  while (!inbox.empty()) {
    all.append(reinterpret_cast<const char*>(inbox.front_bytes()), inbox.front_size_bytes());
    inbox.consume(inbox.front_size_bytes());
  }
  return all;
}

class starving_loop_on : public each_backend {
protected:
  static constexpr std::size_t connections = 6;

  void SetUp() override {
    each_backend::SetUp();
    if (IsSkipped()) {
      return;
    }
    io::backend_settings scarce = small_settings;
    scarce.small_posted = 2;
    scarce.max_pool_bytes = 2 * buffer_class_bytes[0];
    remake(scarce);
    for (std::size_t i = 0; i < connections; ++i) {
      ops[i].socket = {pairs[i].ours.get(), io::next_socket_id()};
      ops[i].context = this;
      ops[i].on_complete = [](io::operation& done) noexcept {
        auto& self = *static_cast<starving_loop_on*>(done.context);
        self.completed.push_back(
            static_cast<std::size_t>(static_cast<io::recv_op*>(&done) - self.ops.data()));
      };
    }
  }

  void submit_all() {
    for (std::size_t i = 0; i < connections; ++i) {
      ASSERT_TRUE(send_all(pairs[i].peer.get(), std::to_string(i)));
    }
    for (io::recv_op& op : ops) {
      on->io().submit(op);
    }
  }

  /// Turns the loop until that many receives have completed.
  void turn_until(std::size_t count) {
    while (completed.size() < count) {
      ASSERT_EQ(on->io().wait(no_deadline), error::none);
    }
  }

  std::array<loopback, connections> pairs;
  std::array<io::recv_op, connections> ops;
  std::vector<std::size_t> completed;
};
SLUICE_ON_EACH_BACKEND(starving_loop_on);

TEST_P(starving_loop_on, receives_wait_for_a_buffer_and_go_on_in_order) {
  submit_all();
  turn_until(2);
  ASSERT_EQ(on->io().wait(time_point::min()), error::none);
  EXPECT_EQ(completed.size(), 2U) << "there are two buffers";
  EXPECT_EQ(on->buffers().lent_count(), 2U);
  EXPECT_GE(on->io().stats().starved, 1U);
  for (std::size_t next = 0; next < connections; ++next) {
    turn_until(next + 1);
    io::recv_op& op = ops[completed[next]];
    ASSERT_EQ(op.result, 1);
    EXPECT_EQ(static_cast<char>(op.filled->bytes[0]), static_cast<char>('0' + completed[next]));
    on->buffers().recycle(*op.filled);
  }
  EXPECT_EQ(completed, (std::vector<std::size_t>{0, 1, 2, 3, 4, 5})) << "first starved, first fed";
  EXPECT_EQ(on->buffers().lent_count(), 0U);
}

TEST_P(starving_loop_on, a_buffer_returned_by_another_thread_wakes_the_loop) {
  submit_all();
  turn_until(2);
  const pid_t sleeper = this_thread_id();
  for (std::size_t next = 0; next + 2 < connections; ++next) {
    std::thread returner([&] {
      wait_until_asleep(sleeper);
      on->buffers().recycle(*ops[completed[next]].filled);
    });
    turn_until(next + 3);
    returner.join();
  }
  on->buffers().recycle(*ops[completed[connections - 2]].filled);
  on->buffers().recycle(*ops[completed[connections - 1]].filled);
  on->buffers().drain_returns();
  EXPECT_EQ(on->buffers().lent_count(), 0U);
}

TEST_P(starving_loop_on, a_starved_receive_can_be_cancelled) {
  submit_all();
  turn_until(2);
  ASSERT_EQ(on->io().wait(time_point::min()), error::none);
  for (io::recv_op& op : ops) {
    on->io().cancel(op);
  }
  turn_until(connections);
  std::size_t cancelled = 0;
  for (io::recv_op& op : ops) {
    cancelled += op.result == -ECANCELED ? 1U : 0U;
    if (op.filled != nullptr) {
      on->buffers().recycle(*op.filled);
    }
  }
  EXPECT_EQ(cancelled, connections - 2);
  EXPECT_EQ(on->buffers().lent_count(), 0U);
}

TEST_P(starving_loop_on, a_blocking_read_does_not_wait_for_its_own_thread) {
  // Every buffer lies unread in the inboxes of one thread; its next read must not hang.
  std::vector<stream> streams;
  std::array<slice_queue, connections> inboxes;
  for (std::size_t i = 0; i < connections; ++i) {
    streams.emplace_back(pairs[i].ours.release());
    ASSERT_TRUE(send_all(pairs[i].peer.get(), std::to_string(i)));
    ASSERT_EQ(streams[i].read(*on, inboxes[i], no_deadline, nullptr), error::none);
  }
  EXPECT_EQ(on->buffers().lent_count(), connections);
  EXPECT_LE(on->buffers().reserved_bytes(), 2 * buffer_class_bytes[0]);
  for (std::size_t i = 0; i < connections; ++i) {
    EXPECT_EQ(drained(inboxes[i]), std::to_string(i));
  }
  EXPECT_EQ(on->buffers().lent_count(), 0U);
}

// A buffer over the pool's cap goes back to the system: nobody in line gets it.
TEST_P(starving_loop_on, a_line_for_a_buffer_that_is_gone_ends) {
  io::backend_settings none = small_settings;
  none.max_pool_bytes = 1;
  remake(none);
  buffer* const last = on->buffers().take_or_grow(io::buffer_class::small);
  ASSERT_NE(last, nullptr);
  ASSERT_TRUE(send_all(pairs[0].peer.get(), "x"));
  on->io().submit(ops[0]);
  ASSERT_EQ(on->io().wait(on->io().now()), error::none);
  EXPECT_EQ(ops[0].now, io::operation::state::starved);
  last->owner->recycle(*last);
  turn_until(1);
  EXPECT_EQ(ops[0].result, -ENOMEM);
}

TEST_P(starving_loop_on, the_other_class_is_taken_when_one_has_run_out) {
  io::backend_settings one_each = small_settings;
  one_each.small_posted = 2;
  one_each.max_pool_bytes = buffer_class_bytes[0] + buffer_class_bytes[1];
  remake(one_each);
  // The cap has room for one large buffer, which stays free, and then for one small one.
  buffer* const large = on->buffers().take(io::buffer_class::large);
  buffer* const small = on->buffers().take(io::buffer_class::small);
  ASSERT_NE(large, nullptr);
  ASSERT_NE(small, nullptr);
  on->buffers().recycle(*large);
  ASSERT_TRUE(send_all(pairs[0].peer.get(), "x"));
  stream s(pairs[0].ours.release());
  slice_queue inbox;
  EXPECT_EQ(s.read(*on, inbox, no_deadline, nullptr), error::none);
  const slice got = inbox.take_front();
  EXPECT_EQ(got.from, large);
  on->buffers().recycle(*large);
  on->buffers().recycle(*small);
}

// Every byte arrives, in order, on 32 busy connections that share two buffers.
TEST_P(starving_loop_on, two_buffers_serve_many_connections) {
  constexpr std::size_t many = 32;
  constexpr std::size_t each_bytes = 200'000;
  struct connection {
    loopback pair;
    io::recv_op op;
    std::string got;
    io::loop* on = nullptr;
    std::size_t* open = nullptr;
  };
  std::vector<connection> all(many);
  std::size_t open = many;
  for (connection& c : all) {
    c.on = on.get();
    c.open = &open;
    c.op.socket = {c.pair.ours.get(), io::next_socket_id()};
    c.op.context = &c;
    c.op.on_complete = [](io::operation& done) noexcept {
      auto& self = *static_cast<connection*>(done.context);
      if (done.result <= 0) {
        --*self.open;
        return;
      }
      self.got.append(reinterpret_cast<const char*>(self.op.filled->bytes),
                      static_cast<std::size_t>(done.result));
      self.on->buffers().recycle(*self.op.filled);
      self.on->io().submit(self.op);
    };
    on->io().submit(c.op);
  }
  std::thread sender([&] {
    std::vector<std::string> payloads;
    for (std::size_t i = 0; i < many; ++i) {
      payloads.push_back(pattern(each_bytes, static_cast<unsigned>(i)));
    }
    for (std::size_t at = 0; at < each_bytes; at += 1000) {
      for (std::size_t i = 0; i < many; ++i) {
        send_all(all[i].pair.peer.get(), std::string_view(payloads[i]).substr(at, 1000));
      }
    }
    for (connection& c : all) {
      ::shutdown(c.pair.peer.get(), SHUT_WR);
    }
  });
  while (open != 0) {
    ASSERT_EQ(on->io().wait(no_deadline), error::none);
  }
  sender.join();
  for (std::size_t i = 0; i < many; ++i) {
    EXPECT_TRUE(all[i].got == pattern(each_bytes, static_cast<unsigned>(i))) << i;
  }
  EXPECT_EQ(on->buffers().lent_count(), 0U);
}

} // namespace
} // namespace sluice::test
