// Reads that sleep in recv() itself, and what wakes them (stream::read_blocking, wake_reader,
// hang_up).

#include "io/stream.hpp"

#include "support/asleep.hpp"
#include "support/cancel_race.hpp"
#include "support/counted_recv.hpp"
#include "support/each_backend.hpp"
#include "support/full_table.hpp"
#include "support/loopback.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstddef>
#include <functional>
#include <string>
#include <thread>

namespace sluice::test {
namespace {

using io::cancel_source;
using io::clock;
using io::no_deadline;
using io::stream;
using io::time_point;

class blocking_reads : public ::testing::Test {
protected:
  blocking_reads() : s(pair.ours.release()) {}
  ~blocking_reads() override {
    inbox.clear();
    s.close();
    buffers.abandon();
  }

  /// One read; what it brought is in `got`.
  error read(time_point deadline = no_deadline) {
    io::read_target to{inbox};
    const error e = s.read_blocking(buffers, to, deadline, cancel);
    while (!inbox.empty()) {
      got.append(reinterpret_cast<const char*>(inbox.front_bytes()), inbox.front_size_bytes());
      inbox.consume(inbox.front_size_bytes());
    }
    return e;
  }

  error read_bytes(std::size_t count, time_point deadline = no_deadline) {
    while (got.size() < count) {
      if (const error e = read(deadline); e != error::none) {
        return e;
      }
    }
    return error::none;
  }

  /// The same while `other` runs on another thread, from when this one sleeps.
  error read_while(const std::function<void()>& other, time_point deadline = no_deadline) {
    const pid_t reader = this_thread_id();
    std::thread beside([&] {
      wait_until_asleep(reader);
      other();
    });
    const error e = read(deadline);
    beside.join();
    return e;
  }

  void stop() {
    cancel.request();
    s.wake_reader();
  }

  /// As after a Receive that was ended: the reading side of the socket is shut down.
  void wake_once() {
    EXPECT_EQ(read_while([&] { stop(); }), error::cancelled);
    cancel.reset();
  }

  [[nodiscard]] static time_point soon() { return clock::now() + std::chrono::milliseconds(3); }
  [[nodiscard]] static time_point late() { return clock::now() + std::chrono::seconds(60); }

  io::buffer_pool& buffers = *io::buffer_pool::create(std::size_t{16} << 20);
  loopback pair;
  stream s;
  slice_queue inbox;
  cancel_source cancel;
  std::string got;
};

TEST_F(blocking_reads, one_system_call_per_read) {
  const std::uint64_t before = recv_calls();
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(send_all(pair.peer.get(), "b"));
    ASSERT_EQ(read(), error::none);
  }
  EXPECT_EQ(recv_calls() - before, 10U);
  EXPECT_EQ(buffers.lent_count(), 0U);
}

TEST_F(blocking_reads, a_descriptor_that_does_not_block_is_made_to) {
  ASSERT_EQ(::fcntl(s.descriptor(), F_SETFL, O_RDWR | O_NONBLOCK), 0);
  EXPECT_EQ(read_while([&] { ASSERT_TRUE(send_all(pair.peer.get(), "later")); }), error::none);
  EXPECT_EQ(got, "later");
  EXPECT_EQ(::fcntl(s.descriptor(), F_GETFL) & O_NONBLOCK, 0);
}

TEST_F(blocking_reads, the_end_is_the_end_in_every_order) {
  ASSERT_TRUE(send_all(pair.peer.get(), "last"));
  EXPECT_EQ(read_bytes(4), error::none);
  EXPECT_EQ(read_while([&] { pair.peer.reset(); }), error::end_of_stream);
  EXPECT_EQ(read(), error::end_of_stream);
  EXPECT_EQ(read(late()), error::end_of_stream);
  EXPECT_EQ(buffers.lent_count(), 0U);
}

TEST_F(blocking_reads, bytes_before_a_fin_come_first) {
  ASSERT_TRUE(send_all(pair.peer.get(), "last"));
  pair.peer.reset();
  EXPECT_EQ(read(), error::none);
  EXPECT_EQ(got, "last");
  EXPECT_EQ(read(), error::end_of_stream);
}

TEST_F(blocking_reads, a_reset_is_connection_lost) {
  EXPECT_EQ(read_while([&] { reset_connection(pair.peer); }), error::connection_lost);
  EXPECT_NE(read(), error::none);
  EXPECT_EQ(buffers.lent_count(), 0U);
}

TEST_F(blocking_reads, an_end_by_our_own_side_wakes_it) {
  EXPECT_EQ(read_while([&] { s.shutdown(false); }), error::end_of_stream);
}

TEST_F(blocking_reads, an_abort_by_our_own_side_wakes_it) {
  EXPECT_EQ(read_while([&] { s.shutdown(true); }), error::connection_lost);
  char byte = 0;
  EXPECT_LT(::recv(pair.peer.get(), &byte, 1, 0), 0) << "an RST, not a FIN";
}

TEST_F(blocking_reads, a_deadline_ends_the_read_and_harms_nothing) {
  EXPECT_EQ(read(soon()), error::timed_out);
  EXPECT_EQ(read(time_point::min()), error::timed_out);
  ASSERT_TRUE(send_all(pair.peer.get(), "still here"));
  EXPECT_EQ(read(time_point::min()), error::none) << "what is there comes first";
  EXPECT_EQ(read_while([&] { ASSERT_TRUE(send_all(pair.peer.get(), ", too")); }, late()),
            error::none);
  EXPECT_EQ(got, "still here, too");
}

TEST_F(blocking_reads, a_request_before_the_read_asks_the_kernel_nothing) {
  ASSERT_TRUE(send_all(pair.peer.get(), "later"));
  const std::uint64_t calls = recv_calls();
  cancel.request();
  EXPECT_EQ(read(), error::cancelled);
  EXPECT_EQ(recv_calls(), calls);
  cancel.reset();
  EXPECT_EQ(read(), error::none);
  EXPECT_EQ(got, "later");
}

TEST_F(blocking_reads, a_wake_ends_a_wait_and_a_wake_ahead_of_it_is_not_lost) {
  wake_once();
  EXPECT_EQ(buffers.lent_count(), 0U);
  s.wake_reader(); // again, nobody waiting
  stop();
  EXPECT_EQ(read(), error::cancelled);
  cancel.reset();
  // Woken without a request it goes on waiting.
  EXPECT_EQ(read_while([&] {
              s.wake_reader();
              ASSERT_TRUE(send_all(pair.peer.get(), "x"));
            }),
            error::none);
  EXPECT_EQ(got, "x");
}

TEST_F(blocking_reads, a_hang_up_ends_a_wait_and_the_connection) {
  const auto hang_up = [&] {
    cancel.request();
    s.hang_up();
    char byte = 0;
    EXPECT_EQ(::recv(pair.peer.get(), &byte, 1, 0), 0); // before anybody has closed the stream
  };
  EXPECT_EQ(read_while(hang_up), error::cancelled);
  EXPECT_EQ(buffers.lent_count(), 0U);
  s.hang_up(); // harmless
}

// The kernel tells the peer less of the room that a reader makes, so there has to be more of it.
TEST_F(blocking_reads, a_wake_makes_room) {
  const auto room = [&] {
    int bytes = 0;
    socklen_t size = sizeof(bytes);
    EXPECT_EQ(::getsockopt(s.descriptor(), SOL_SOCKET, SO_RCVBUF, &bytes, &size), 0);
    return bytes;
  };
  const int before = room();
  wake_once();
  EXPECT_GT(room(), 2 * before);
}

TEST_F(blocking_reads, after_a_wake_the_stream_goes_on) {
  wake_once();
  EXPECT_EQ(read(soon()), error::timed_out);
  EXPECT_EQ(read_while([&] { ASSERT_TRUE(send_all(pair.peer.get(), "after ")); }), error::none);
  EXPECT_EQ(read_while([&] { ASSERT_TRUE(send_all(pair.peer.get(), "wakes")); }, late()),
            error::none);
  EXPECT_EQ(got, "after wakes");
  // More than one side's kernel buffer, against which the peer must be let go on, too.
  got.clear();
  const std::string bulk = pattern(16 << 20);
  std::thread sender([&] { EXPECT_TRUE(send_all(pair.peer.get(), bulk)); });
  EXPECT_EQ(read_bytes(bulk.size(), late()), error::none);
  sender.join();
  EXPECT_TRUE(got == bulk);
  // It can still send.
  std::span<const std::byte> answer = std::as_bytes(std::span("answer", 6));
  ASSERT_EQ(s.write_now(answer), error::none);
  EXPECT_EQ(receive_exactly(pair.peer.get(), 6), "answer");
}

TEST_F(blocking_reads, after_a_wake_the_peers_end_is_seen) {
  wake_once();
  EXPECT_EQ(read_while([&] { pair.peer.reset(); }), error::end_of_stream);
  EXPECT_EQ(read(late()), error::end_of_stream);
}

TEST_F(blocking_reads, after_a_wake_a_reset_is_seen) {
  wake_once();
  EXPECT_EQ(read_while([&] { reset_connection(pair.peer); }, late()), error::connection_lost);
}

TEST_F(blocking_reads, after_a_wake_bytes_with_a_fin_behind_them_come_first) {
  for (int i = 0; i < 200; ++i) {
    loopback fresh;
    std::swap(pair, fresh);
    s = stream(pair.ours.release());
    got.clear();
    stop();
    cancel.reset();
    std::thread peer([&] {
      EXPECT_TRUE(send_all(pair.peer.get(), "last"));
      pair.peer.reset();
    });
    EXPECT_EQ(read_bytes(4, late()), error::none) << i;
    EXPECT_EQ(read(late()), error::end_of_stream);
    EXPECT_EQ(got, "last");
    peer.join();
  }
}

TEST_F(blocking_reads, a_second_wake_ends_the_wait_after_the_first) {
  wake_once();
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(read_while([&] { stop(); }, i % 2 == 0 ? no_deadline : late()), error::cancelled);
    cancel.reset();
  }
}

TEST_F(blocking_reads, bytes_that_race_with_a_wake_are_kept) {
  expect_no_byte_lost_to_cancels({[&](int i) { return read(i % 3 == 0 ? late() : no_deadline); },
                                  [&] { stop(); }, [&] { cancel.reset(); }},
                                 pair.peer.get(), got);
  EXPECT_EQ(buffers.lent_count(), 0U);
}

// A read ends before an urgent byte, which is not part of the stream, whatever follows it.
TEST_F(blocking_reads, bytes_around_urgent_data_arrive) {
  for (const bool woken : {false, true}) {
    if (woken) {
      wake_once();
    }
    got.clear();
    ASSERT_TRUE(send_all(pair.peer.get(), "before"));
    ASSERT_EQ(::send(pair.peer.get(), "!", 1, MSG_OOB | MSG_NOSIGNAL), 1);
    ASSERT_TRUE(send_all(pair.peer.get(), "behind"));
    ASSERT_EQ(read_bytes(12, late()), error::none) << got;
    EXPECT_EQ(got, "beforebehind");
    ASSERT_EQ(::send(pair.peer.get(), "!", 1, MSG_OOB | MSG_NOSIGNAL), 1);
    EXPECT_EQ(read_while([&] { ASSERT_TRUE(send_all(pair.peer.get(), "end")); }, late()),
              error::none);
    EXPECT_EQ(got, "beforebehindend");
  }
}

// A handler without SA_RESTART, as a profiler or a garbage collector may install.
TEST_F(blocking_reads, signals_do_not_end_it) {
  struct sigaction act {};
  act.sa_handler = [](int) {};
  struct sigaction old {};
  ASSERT_EQ(::sigaction(SIGUSR1, &act, &old), 0);
  const pthread_t reader = ::pthread_self();
  for (const bool timed : {false, true}) {
    EXPECT_EQ(read_while(
                  [&] {
                    for (int i = 0; i < 20; ++i) {
                      ::pthread_kill(reader, SIGUSR1);
                      std::this_thread::yield();
                    }
                    ASSERT_TRUE(send_all(pair.peer.get(), "x"));
                  },
                  timed ? late() : no_deadline),
              error::none);
  }
  EXPECT_EQ(got, "xx");
  ::sigaction(SIGUSR1, &old, nullptr);
}

TEST_F(blocking_reads, no_descriptor_is_needed) {
  for (const bool woken : {false, true}) {
    if (woken) {
      wake_once();
    }
    const full_table none_left;
    EXPECT_EQ(read(soon()), error::timed_out);
    std::thread peer([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(3));
      EXPECT_TRUE(send_all(pair.peer.get(), "x"));
    });
    EXPECT_EQ(read(late()), error::none);
    peer.join();
  }
  EXPECT_EQ(got, "xx");
}

// Another thread consumes what this one read, again and again: its buffers come back to it.
TEST_F(blocking_reads, buffers_that_come_back_from_elsewhere_are_used_again) {
  const std::string block = pattern(4096);
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(send_all(pair.peer.get(), block));
    io::read_target to{inbox};
    ASSERT_EQ(s.read_blocking(buffers, to, no_deadline, cancel), error::none);
    std::thread([&] { inbox.clear(); }).join();
  }
  EXPECT_LE(buffers.reserved_bytes(), std::size_t{1} << 20);
}

TEST_F(blocking_reads, not_only_tcp) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  s = stream(ends[0]);
  unique_fd far(ends[1]);
  EXPECT_EQ(read_while([&] { ASSERT_TRUE(send_all(far.get(), "local")); }), error::none);
  EXPECT_EQ(got, "local");
  EXPECT_EQ(read_while([&] { far.reset(); }), error::end_of_stream);
}

// The epoll instance of the loop that a stream was connected on no longer hears of its packets.
void leave_and_come_back() {
  memory::unique<io::loop> made;
  ASSERT_EQ(io::loop::create(io::backend_choice::epoll, small_settings, made), error::none);
  io::loop::adopt_for_this_thread(std::move(made));
  io::loop& on = *io::loop::existing_for_this_thread();
  loopback pair;
  ASSERT_EQ(::fcntl(pair.ours.get(), F_SETFL, O_RDWR | O_NONBLOCK), 0);
  stream s(pair.ours.release());
  slice_queue inbox;
  ASSERT_EQ(s.read(on, inbox, time_point::min(), nullptr), error::timed_out); // it is watched
  s.leave();
  cancel_source cancel;
  io::read_target to{inbox};
  EXPECT_TRUE(send_all(pair.peer.get(), "y"));
  EXPECT_FALSE(becomes_readable(on.io().descriptor(), 0));
  ASSERT_EQ(s.read_blocking(on.buffers(), to, no_deadline, cancel), error::none);
  std::thread again([&, reader = this_thread_id()] {
    wait_until_asleep(reader);
    EXPECT_TRUE(send_all(pair.peer.get(), "z"));
  });
  ASSERT_EQ(s.read(on, inbox, no_deadline, nullptr), error::none);
  again.join();
  EXPECT_EQ(inbox.size_bytes(), 2U);
}

TEST(blocking_reads_on_epoll, the_loop_it_was_connected_on_is_left_alone) {
  std::thread(leave_and_come_back).join(); // with a loop of its own
}

} // namespace
} // namespace sluice::test
