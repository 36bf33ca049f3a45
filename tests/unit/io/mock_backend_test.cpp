// The mock's own rules: each breach is noticed. And what streams make of scripted kernels.
#include "io/mock_backend.hpp"

#include "io/stream.hpp"
#include "support/loopback.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <random>
#include <string>
#include <vector>

namespace sluice::test {
namespace {

using io::cancel_source;
using io::mock_loop;
using io::no_deadline;
using io::recv_op;
using io::send_op;
using io::stream;
using std::chrono::milliseconds;

int any_descriptor() {
  return ::open("/dev/null", O_RDWR | O_CLOEXEC);
}

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

class mocked : public testing::Test {
protected:
  void TearDown() override {
    if (loop.on != nullptr) {
      loop.mock->report_to(found);
      loop.on.reset();
    }
    EXPECT_EQ(found, expected);
  }

  [[nodiscard]] recv_op receive_on(int fd) const {
    recv_op op;
    op.socket = {fd, io::next_socket_id()};
    return op;
  }

  void turn() { ASSERT_EQ(loop.on->io().wait(loop.on->io().now()), error::none); }

  /// Ends the loop now, so that operations of the test's own may go first.
  void end_loop() {
    loop.mock->report_to(found);
    loop.on.reset();
  }

  mock_loop loop;
  std::vector<std::string> found;
  std::vector<std::string> expected; // breaches
};

// The rules --------------------------------------------------------------------------------------

using mock_rules = mocked;

TEST_F(mock_rules, an_operation_is_submitted_idle) {
  const unique_fd fd(any_descriptor());
  recv_op op = receive_on(fd.get());
  loop.on->io().submit(op);
  loop.on->io().submit(op);
  loop.mock->socket(fd.get()).ends();
  turn();
  EXPECT_TRUE(op.idle());
  expected = {"a receive submitted that was not idle"};
}

TEST_F(mock_rules, one_receive_at_a_time_per_socket) {
  const unique_fd fd(any_descriptor());
  recv_op first = receive_on(fd.get());
  recv_op second = first;
  loop.on->io().submit(first);
  loop.on->io().submit(second);
  loop.mock->socket(fd.get()).ends();
  turn();
  expected = {"a second receive armed on one socket"};
}

TEST_F(mock_rules, an_operation_stays_unchanged_while_armed) {
  const unique_fd fd(any_descriptor());
  const std::string text = "hello";
  send_op op;
  op.socket = {fd.get(), io::next_socket_id()};
  op.bytes = bytes_of(text);
  loop.on->io().submit(op);
  op.bytes = op.bytes.first(2);
  turn();
  expected = {"a send changed while it was armed"};
}

TEST_F(mock_rules, nothing_is_submitted_to_a_closed_descriptor) {
  unique_fd fd(any_descriptor());
  recv_op op = receive_on(fd.get());
  fd.reset();
  loop.on->io().submit(op);
  turn();
  EXPECT_EQ(op.result, -EBADF);
  expected = {"a receive submitted to a closed descriptor"};
}

TEST_F(mock_rules, no_descriptor_is_closed_while_armed) {
  unique_fd fd(any_descriptor());
  recv_op op = receive_on(fd.get());
  loop.mock->socket(fd.get()).later(milliseconds(1)).ends();
  loop.on->io().submit(op);
  fd.reset();
  ASSERT_EQ(loop.on->io().wait(no_deadline), error::none);
  EXPECT_TRUE(op.idle());
  EXPECT_FALSE(loop.mock->violations().empty());
  expected.assign(loop.mock->violations().size(),
                  "a descriptor closed while a receive was armed on it");
}

TEST_F(mock_rules, no_operation_is_left_armed) {
  const unique_fd fd(any_descriptor());
  recv_op op = receive_on(fd.get());
  loop.on->io().submit(op);
  end_loop();
  EXPECT_TRUE(op.idle());
  expected = {"backend destroyed while a receive was armed"};
}

TEST_F(mock_rules, a_buffer_comes_back_exactly_once) {
  const unique_fd fd(any_descriptor());
  loop.mock->socket(fd.get()).arrives("once").arrives("never");
  recv_op op = receive_on(fd.get());
  loop.on->io().submit(op);
  turn();
  buffer* const first = op.filled;
  first->owner->recycle(*first);
  first->owner->recycle(*first);
  loop.on->io().submit(op);
  turn();
  EXPECT_EQ(loop.mock->buffers_out(), 1U);
  loop.mock->report_to(found);
  expected = {"buffer 0 came back twice", "buffer 1 never came back"};
}

TEST(mock_memory, a_receive_does_not_wait_for_a_buffer_that_nobody_has) {
  const mock_loop without(1); // room for no buffer at all
  const unique_fd fd(any_descriptor());
  recv_op op;
  op.socket = {fd.get(), io::next_socket_id()};
  without.mock->socket(fd.get()).arrives("x");
  without.on->io().submit(op);
  ASSERT_EQ(without.on->io().wait(without.on->io().now()), error::none);
  EXPECT_TRUE(op.idle());
  EXPECT_EQ(op.result, -ENOMEM);
}

TEST_F(mock_rules, no_buffer_is_handed_out_twice) {
  const unique_fd fds[] = {unique_fd(any_descriptor()), unique_fd(any_descriptor())};
  io::buffer_pool& pool = loop.on->buffers();
  buffer* const hottest = pool.take(io::buffer_class::small);
  pool.recycle(*hottest); // the next one out
  recv_op ops[] = {receive_on(fds[0].get()), receive_on(fds[1].get())};
  for (recv_op& op : ops) {
    loop.mock->socket(op.socket.fd).arrives("x");
    loop.on->io().submit(op);
    turn();
    ASSERT_EQ(op.filled->bytes, hottest->bytes);
    pool.recycle(*hottest); // behind the mock's back, while the receive has it
  }
  // The pool counts what comes back: so often it has to have given it.
  for (recv_op& op : ops) {
    ASSERT_EQ(pool.take(io::buffer_class::small), hottest);
    op.filled->owner->recycle(*op.filled);
  }
  expected = {"buffer handed out twice"};
}

TEST_F(mock_rules, a_wait_for_nothing_is_noticed_instead_of_hanging) {
  const unique_fd fd(any_descriptor());
  recv_op op = receive_on(fd.get());
  loop.on->io().submit(op);
  EXPECT_EQ(loop.on->io().wait(no_deadline), error::system);
  EXPECT_TRUE(op.idle());
  expected = {"wait() for nothing: the loop would hang"};
}

TEST_F(mock_rules, a_wake_ends_a_wait_and_is_used_up) {
  loop.on->io().wake();
  EXPECT_EQ(loop.on->io().wait(no_deadline), error::none);
  EXPECT_EQ(loop.on->io().wait(no_deadline), error::system);
  expected = {"wait() for nothing: the loop would hang"};
}

// Streams over scripts ---------------------------------------------------------------------------

class scripted_stream : public mocked {
protected:
  scripted_stream() : s(any_descriptor()) {}
  void TearDown() override {
    inbox.clear();
    EXPECT_EQ(loop.mock->buffers_out(), 0U);
    EXPECT_EQ(loop.mock->operations_armed(), 0U);
    s.close();
    mocked::TearDown();
  }

  [[nodiscard]] io::mock_socket& kernel() { return loop.mock->socket(s.descriptor()); }

  error read(io::time_point deadline = no_deadline, cancel_source* cancel = nullptr) {
    const error e = s.read(*loop.on, inbox, deadline, cancel);
    while (!inbox.empty()) {
      got.append(reinterpret_cast<const char*>(inbox.front_bytes()), inbox.front_size_bytes());
      inbox.consume(inbox.front_size_bytes());
    }
    return e;
  }

  stream s;
  slice_queue inbox;
  std::string got;
};

TEST_F(scripted_stream, short_reads_arrive_in_order) {
  kernel().arrives("a").arrives("bc").later(milliseconds(7)).arrives("def").ends();
  EXPECT_EQ(read(), error::none);
  EXPECT_EQ(got, "a");
  EXPECT_EQ(read(), error::none);
  EXPECT_EQ(got, "abc");
  EXPECT_EQ(read(), error::none);
  EXPECT_EQ(got, "abcdef");
  EXPECT_EQ(loop.mock->elapsed(), milliseconds(7));
  EXPECT_EQ(read(), error::end_of_stream);
  EXPECT_EQ(read(), error::end_of_stream);
}

TEST_F(scripted_stream, interruptions_are_not_seen) {
  kernel().interrupts().interrupts().arrives("x");
  loop.mock->interrupt_waits(3);
  EXPECT_EQ(read(), error::none);
  EXPECT_EQ(got, "x");
}

TEST_F(scripted_stream, a_lack_of_buffers_is_no_error_and_no_loss) {
  kernel().has_no_buffer().has_no_buffer().arrives("late").has_no_buffer().ends();
  EXPECT_EQ(read(), error::none);
  EXPECT_EQ(got, "late");
  EXPECT_EQ(read(), error::end_of_stream);
  EXPECT_EQ(loop.mock->stats().starved, 2U) << "in line once per receive, not once per try";
}

TEST_F(scripted_stream, a_reset_in_mid_frame_keeps_what_came_before) {
  kernel().arrives("\x82\x7e\x01").fails(ECONNRESET);
  EXPECT_EQ(read(), error::none);
  EXPECT_EQ(read(), error::connection_lost);
  EXPECT_EQ(got.size(), 3U);
}

TEST_F(scripted_stream, errors_of_a_receive_have_their_names) {
  const std::pair<int, error> table[] = {{ECONNRESET, error::connection_lost},
                                         {ETIMEDOUT, error::connection_lost},
                                         {EPIPE, error::connection_lost},
                                         {EHOSTUNREACH, error::connection_lost},
                                         {ENOTCONN, error::connection_lost},
                                         {ENOMEM, error::no_memory},
                                         {EIO, error::system},
                                         {EBADMSG, error::system}};
  for (const auto& [number, meaning] : table) {
    kernel().fails(number);
    EXPECT_EQ(read(), meaning) << number;
  }
}

TEST_F(scripted_stream, a_deadline_comes_exactly_when_it_is_due) {
  kernel().later(milliseconds(50)).arrives("x");
  EXPECT_EQ(read(loop.on->io().now() + milliseconds(20)), error::timed_out);
  EXPECT_EQ(loop.mock->elapsed(), milliseconds(20));
  EXPECT_EQ(read(loop.on->io().now() + milliseconds(30)), error::none);
  EXPECT_EQ(loop.mock->elapsed(), milliseconds(50));
}

TEST_F(scripted_stream, a_receive_that_outruns_the_deadlines_cancel_counts) {
  kernel().outruns_cancel().arrives("close call");
  EXPECT_EQ(read(loop.on->io().now() + milliseconds(5)), error::none);
  EXPECT_EQ(got, "close call");
}

TEST_F(scripted_stream, a_reset_that_outruns_the_cancel_counts_too) {
  kernel().outruns_cancel().fails(ECONNRESET);
  EXPECT_EQ(read(loop.on->io().now() + milliseconds(5)), error::connection_lost);
}

/// Requests the cancel from inside the wait, when `trigger` gets its byte.
class cancelled_stream : public scripted_stream {
protected:
  void SetUp() override {
    trigger = receive_on(trigger_fd.get());
    trigger.context = this;
    trigger.on_complete = [](io::operation& done) noexcept {
      static_cast<cancelled_stream*>(done.context)->cancel.request();
    };
    loop.mock->socket(trigger_fd.get()).later(milliseconds(3)).ends();
    loop.on->io().submit(trigger);
  }

  unique_fd trigger_fd{any_descriptor()};
  recv_op trigger;
  cancel_source cancel;
};

TEST_F(cancelled_stream, a_cancel_that_wins_leaves_the_bytes_in_the_socket) {
  kernel().later(milliseconds(10)).arrives("later");
  EXPECT_EQ(read(no_deadline, &cancel), error::cancelled);
  EXPECT_EQ(got, "");
  EXPECT_EQ(loop.mock->elapsed(), milliseconds(3));
  EXPECT_EQ(read(no_deadline, &cancel), error::cancelled) << "sticks";
  cancel.reset();
  EXPECT_EQ(read(no_deadline, &cancel), error::none);
  EXPECT_EQ(got, "later");
}

TEST_F(cancelled_stream, a_cancel_that_loses_leaves_the_bytes_in_the_inbox) {
  kernel().outruns_cancel().arrives("already here");
  EXPECT_EQ(read(no_deadline, &cancel), error::cancelled);
  EXPECT_EQ(got, "already here");
}

TEST_F(cancelled_stream, a_cancel_that_loses_to_fin_does_not_lose_the_fin) {
  kernel().outruns_cancel().ends();
  const error first = read(no_deadline, &cancel);
  EXPECT_TRUE(first == error::end_of_stream || first == error::cancelled);
  cancel.reset();
  EXPECT_EQ(read(no_deadline, &cancel), error::end_of_stream);
}

TEST_F(cancelled_stream, a_write_that_waits_is_cancelled) {
  kernel().takes(2).takes_later(milliseconds(100));
  EXPECT_EQ(s.write(*loop.on, bytes_of("hello"), milliseconds(0), &cancel), error::cancelled);
  EXPECT_EQ(kernel().sent(), "he");
}

TEST_F(scripted_stream, short_sends_are_continued) {
  kernel().takes(1).takes(2).takes_later(milliseconds(4)).takes(3);
  EXPECT_EQ(s.write(*loop.on, bytes_of("0123456789"), milliseconds(0), nullptr), error::none);
  EXPECT_EQ(kernel().sent(), "0123456789");
  EXPECT_EQ(loop.mock->elapsed(), milliseconds(4));
}

TEST_F(scripted_stream, TMO_05_the_write_timeout_counts_from_the_last_progress) {
  kernel().takes_later(milliseconds(9)).takes(4).takes_later(milliseconds(9)).takes(1);
  kernel().takes_later(milliseconds(11));
  EXPECT_EQ(s.write(*loop.on, bytes_of("0123456789"), milliseconds(10), nullptr), error::timed_out);
  EXPECT_EQ(kernel().sent(), "01234");
  EXPECT_EQ(loop.mock->elapsed(), milliseconds(28));
}

TEST_F(scripted_stream, a_failed_send_says_how_it_failed) {
  kernel().takes(3).send_fails(EPIPE);
  EXPECT_EQ(s.write(*loop.on, bytes_of("hello"), milliseconds(0), nullptr), error::connection_lost);
  EXPECT_EQ(kernel().sent(), "hel");
}

TEST_F(scripted_stream, a_backend_that_breaks_down_ends_the_call) {
  loop.mock->break_down();
  EXPECT_EQ(read(), error::system);
}

TEST_F(scripted_stream, more_than_a_buffer_holds_comes_in_pieces_of_growing_size) {
  const std::string payload = pattern(300'000);
  kernel().arrives(payload).ends();
  std::size_t reads = 0;
  while (read() == error::none) {
    ++reads;
  }
  EXPECT_TRUE(got == payload);
  EXPECT_EQ(reads, 2U + (300'000 - 8192 + 65535) / 65536) << "two small ones, then large ones";
}

// Whatever the kernel does: the same bytes, in order, every buffer back, and an end.
TEST_F(scripted_stream, random_scripts_deliver_every_byte) {
  std::mt19937 random(20'240'601);
  for (int round = 0; round < 300; ++round) {
    mock_loop fresh(std::size_t{64} << 10);
    stream one(any_descriptor());
    std::vector<std::byte> script(random() % 60);
    for (std::byte& step : script) {
      step = static_cast<std::byte>(random());
    }
    const std::string payload = pattern(random() % 20'000, static_cast<unsigned>(round));
    fresh.mock->socket(one.descriptor()).plays(script, bytes_of(payload)).ends();
    std::string arrived;
    slice_queue held;
    error e = error::none;
    while ((e = one.read(*fresh.on, held, no_deadline, nullptr)) == error::none) {
      if (held.slice_count() > random() % 4) { // sometimes several are kept
        while (!held.empty()) {
          const std::size_t part =
              std::min<std::size_t>(held.front_size_bytes(), 1 + random() % 999);
          arrived.append(reinterpret_cast<const char*>(held.front_bytes()), part);
          held.consume(part);
        }
      }
    }
    while (!held.empty()) {
      arrived.append(reinterpret_cast<const char*>(held.front_bytes()), held.front_size_bytes());
      held.consume(held.front_size_bytes());
    }
    ASSERT_EQ(e, error::end_of_stream);
    ASSERT_TRUE(arrived == payload) << "round " << round;
    ASSERT_EQ(fresh.mock->buffers_out(), 0U);
    ASSERT_EQ(fresh.mock->violations(), std::vector<std::string>{});
    one.close();
  }
}

// The Nth operation fails, for every N until one round is left alone.
TEST_F(scripted_stream, each_operation_may_fail) {
  for (std::size_t failing = 0;; ++failing) {
    ASSERT_LT(failing, 100U);
    mock_loop fresh;
    stream one(any_descriptor());
    fresh.mock->socket(one.descriptor()).arrives("a").arrives("b").arrives("c").ends();
    fresh.mock->fail_operation(failing, ECONNRESET);
    slice_queue held;
    error e = error::none;
    std::size_t steps = 0;
    while (e == error::none) {
      e = one.write(*fresh.on, bytes_of("ping"), milliseconds(0), nullptr);
      if (e == error::none) {
        e = one.read(*fresh.on, held, no_deadline, nullptr);
      }
      steps += e == error::none ? 2U : 0U;
    }
    held.clear();
    ASSERT_EQ(fresh.mock->buffers_out(), 0U);
    ASSERT_EQ(fresh.mock->operations_armed(), 0U);
    ASSERT_EQ(fresh.mock->violations(), std::vector<std::string>{});
    one.close();
    if (e == error::end_of_stream) {
      EXPECT_EQ(failing, 8U);
      return;
    }
    EXPECT_EQ(e, error::connection_lost);
    EXPECT_EQ(steps, failing / 2 * 2);
  }
}

} // namespace
} // namespace sluice::test
