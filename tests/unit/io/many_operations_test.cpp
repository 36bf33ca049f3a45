// Many operations on one loop: fairness, queues that overflow, cancels of everything at once.
#include "io/loop.hpp"
#include "io/stream.hpp"

#include "support/each_backend.hpp"
#include "support/loopback.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace sluice::test {
namespace {

using io::no_deadline;
using io::time_point;

/// A connection whose receives count themselves and are submitted again while `repeat` holds.
struct receiver {
  explicit receiver(io::loop& loop) : on(&loop) {
    op.socket = {pair.ours.get(), io::next_socket_id()};
    op.context = this;
    op.on_complete = &completed;
  }

  static void completed(io::operation& done) noexcept {
    receiver& self = *static_cast<receiver*>(done.context);
    ++self.completions;
    if (done.result > 0) {
      self.bytes += static_cast<std::size_t>(done.result);
      self.on->buffers().recycle(*self.op.filled);
      if (self.repeat) {
        self.on->io().submit(self.op);
      }
    }
  }

  loopback pair;
  io::loop* on;
  io::recv_op op;
  bool repeat = false;
  std::size_t completions = 0;
  std::size_t bytes = 0;
};

class many_on : public each_backend {};
SLUICE_ON_EACH_BACKEND(many_on);

TEST_P(many_on, a_busy_socket_does_not_starve_a_quiet_one) {
  receiver busy(*on);
  receiver quiet(*on);
  std::thread blaster([&] {
    const std::string block(65536, 'x');
    while (send_all(busy.pair.peer.get(), block)) {
    }
  });
  busy.repeat = true;
  on->io().submit(busy.op);
  on->io().submit(quiet.op);
  for (int round = 0; round < 50; ++round) {
    ASSERT_EQ(on->io().wait(no_deadline), error::none);
    ASSERT_TRUE(send_all(quiet.pair.peer.get(), "x"));
    const std::size_t begun = busy.completions;
    while (!quiet.op.idle()) {
      ASSERT_EQ(on->io().wait(no_deadline), error::none);
      ASSERT_LT(busy.completions - begun, 1000U) << "the quiet socket is kept waiting";
    }
    on->io().submit(quiet.op);
  }
  busy.repeat = false;
  on->io().cancel(quiet.op);
  while (!busy.op.idle() || !quiet.op.idle()) {
    ASSERT_EQ(on->io().wait(no_deadline), error::none);
  }
  reset_connection(busy.pair.ours);
  blaster.join();
  EXPECT_EQ(on->buffers().lent_count(), 0U);
}

// 100 at once through a queue of 16 entries and 64 completions.
TEST_P(many_on, more_operations_than_the_queues_hold) {
  std::vector<std::unique_ptr<receiver>> all;
  for (int i = 0; i < 100; ++i) {
    all.push_back(std::make_unique<receiver>(*on));
  }
  for (int round = 0; round < 5; ++round) {
    for (const auto& one : all) {
      on->io().submit(one->op);
    }
    if (round % 2 == 0) {
      ASSERT_EQ(on->io().wait(time_point::min()), error::none);
    }
    for (const auto& one : all) {
      ASSERT_TRUE(send_all(one->pair.peer.get(), "0123456789"));
    }
    for (const auto& one : all) {
      while (!one->op.idle()) {
        ASSERT_EQ(on->io().wait(no_deadline), error::none);
      }
      ASSERT_EQ(one->op.result, 10);
    }
  }
  EXPECT_EQ(on->buffers().lent_count(), 0U);
  EXPECT_EQ(on->io().stats().received_bytes, 5U * 100 * 10);
}

TEST_P(many_on, everything_can_be_cancelled_at_once_and_twice) {
  std::vector<std::unique_ptr<receiver>> all;
  for (int i = 0; i < 100; ++i) {
    all.push_back(std::make_unique<receiver>(*on));
    on->io().submit(all.back()->op);
    if (i % 10 == 0) {
      ASSERT_TRUE(send_all(all.back()->pair.peer.get(), "x"));
    }
  }
  ASSERT_EQ(on->io().wait(time_point::min()), error::none);
  for (int twice = 0; twice < 2; ++twice) {
    for (const auto& one : all) {
      on->io().cancel(one->op);
    }
  }
  for (const auto& one : all) {
    while (!one->op.idle()) {
      ASSERT_EQ(on->io().wait(no_deadline), error::none);
    }
    EXPECT_EQ(one->completions, 1U);
    EXPECT_TRUE(one->op.result == -ECANCELED || one->op.result == 1);
  }
  EXPECT_EQ(on->buffers().lent_count(), 0U);
}

TEST_P(many_on, a_descriptor_that_is_none_fails_the_operation_alone) {
  receiver good(*on);
  io::recv_op bad;
  bad.socket = {1 << 20, io::next_socket_id()};
  io::send_op bad_send;
  bad_send.socket = bad.socket;
  const std::string text = "x";
  bad_send.bytes = std::as_bytes(std::span(text));
  on->io().submit(bad);
  on->io().submit(bad_send);
  on->io().submit(good.op);
  ASSERT_TRUE(send_all(good.pair.peer.get(), "x"));
  while (!bad.idle() || !bad_send.idle() || !good.op.idle()) {
    ASSERT_EQ(on->io().wait(no_deadline), error::none);
  }
  EXPECT_EQ(bad.result, -EBADF);
  EXPECT_EQ(bad_send.result, -EBADF);
  EXPECT_EQ(good.op.result, 1);
}

TEST_P(many_on, accepts_complete_with_a_descriptor_or_are_cancelled) {
  const listener server;
  ASSERT_EQ(::fcntl(server.socket.get(), F_SETFL, O_NONBLOCK), 0);
  io::accept_op op;
  op.socket = {server.socket.get(), io::next_socket_id()};
  on->io().submit(op);
  ASSERT_EQ(on->io().wait(time_point::min()), error::none);
  EXPECT_FALSE(op.idle());
  on->io().cancel(op);
  while (!op.idle()) {
    ASSERT_EQ(on->io().wait(no_deadline), error::none);
  }
  EXPECT_EQ(op.result, -ECANCELED);
  on->io().submit(op);
  const unique_fd client = connect_to(server);
  while (!op.idle()) {
    ASSERT_EQ(on->io().wait(no_deadline), error::none);
  }
  ASSERT_GE(op.result, 0);
  io::stream accepted(op.result);
  EXPECT_NE(::fcntl(accepted.descriptor(), F_GETFD) & FD_CLOEXEC, 0);
  ASSERT_TRUE(send_all(client.get(), "hello"));
  slice_queue inbox;
  EXPECT_EQ(accepted.read(*on, inbox, no_deadline, nullptr), error::none);
  EXPECT_EQ(inbox.size_bytes(), 5U);
}

} // namespace
} // namespace sluice::test
