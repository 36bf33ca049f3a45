#include "io/stream.hpp"

#include "support/asleep.hpp"
#include "support/cancel_race.hpp"
#include "support/each_backend.hpp"
#include "support/loopback.hpp"

#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <future>
#include <string>
#include <thread>
#include <vector>

namespace sluice::test {
namespace {

using io::buffer_class_bytes;
using io::cancel_source;
using io::clock;
using io::no_deadline;
using io::stream;
using io::time_point;

constexpr std::chrono::milliseconds no_timeout{0};

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

/// Moves what is in the inbox to the end of `to`.
void drain(slice_queue& inbox, std::string& to) {
  while (!inbox.empty()) {
    to.append(reinterpret_cast<const char*>(inbox.front_bytes()), inbox.front_size_bytes());
    inbox.consume(inbox.front_size_bytes());
  }
}

class stream_on : public each_backend {
protected:
  void SetUp() override {
    each_backend::SetUp();
    if (!IsSkipped()) {
      s = stream(pair.ours.release());
    }
  }

  error read(cancel_source* cancel = nullptr, time_point deadline = no_deadline) {
    return s.read(*on, inbox, deadline, cancel);
  }

  /// Reads until `count` bytes are in `got` or reading ends.
  error read_bytes(std::size_t count) {
    while (got.size() < count) {
      if (const error e = read(); e != error::none) {
        return e;
      }
      drain(inbox, got);
    }
    return error::none;
  }

  error write(const std::string& text, cancel_source* cancel = nullptr,
              std::chrono::milliseconds timeout = no_timeout) {
    return s.write(*on, bytes_of(text), timeout, cancel);
  }

  loopback pair;
  stream s;
  slice_queue inbox;
  std::string got;
};
SLUICE_ON_EACH_BACKEND(stream_on);

TEST_P(stream_on, read_appends_one_slice_with_the_bytes) {
  ASSERT_TRUE(send_all(pair.peer.get(), "hello"));
  ASSERT_EQ(read(), error::none);
  EXPECT_EQ(inbox.slice_count(), 1U);
  EXPECT_EQ(on->buffers().lent_count(), 1U);
  drain(inbox, got);
  EXPECT_EQ(got, "hello");
  EXPECT_EQ(on->buffers().lent_count(), 0U);
}

TEST_P(stream_on, fin_is_end_of_stream_and_stays) {
  pair.peer.reset();
  EXPECT_EQ(read(), error::end_of_stream);
  EXPECT_EQ(read(), error::end_of_stream);
  EXPECT_TRUE(inbox.empty());
  EXPECT_EQ(on->buffers().lent_count(), 0U);
}

TEST_P(stream_on, bytes_before_fin_come_first) {
  ASSERT_TRUE(send_all(pair.peer.get(), "last"));
  pair.peer.reset();
  EXPECT_EQ(read_bytes(4), error::none);
  EXPECT_EQ(got, "last");
  EXPECT_EQ(read(), error::end_of_stream);
}

TEST_P(stream_on, fin_while_blocked_ends_the_read) {
  const pid_t reader = this_thread_id();
  std::thread closer([&] {
    wait_until_asleep(reader);
    pair.peer.reset();
  });
  EXPECT_EQ(read(), error::end_of_stream);
  closer.join();
}

TEST_P(stream_on, reset_is_connection_lost) {
  reset_connection(pair.peer);
  EXPECT_EQ(read(), error::connection_lost);
  EXPECT_EQ(on->buffers().lent_count(), 0U);
}

TEST_P(stream_on, reset_in_the_middle_keeps_the_bytes_before_it) {
  ASSERT_TRUE(send_all(pair.peer.get(), "half a fra"));
  ASSERT_EQ(read_bytes(10), error::none);
  const pid_t reader = this_thread_id();
  std::thread resetter([&] {
    wait_until_asleep(reader);
    reset_connection(pair.peer);
  });
  EXPECT_EQ(read(), error::connection_lost);
  EXPECT_EQ(got, "half a fra");
  resetter.join();
}

TEST_P(stream_on, a_deadline_ends_the_read_and_harms_nothing) {
  EXPECT_EQ(read(nullptr, clock::now() + std::chrono::milliseconds(2)), error::timed_out);
  EXPECT_EQ(read(nullptr, time_point::min()), error::timed_out);
  EXPECT_TRUE(inbox.empty());
  ASSERT_TRUE(send_all(pair.peer.get(), "still here"));
  ASSERT_EQ(read(), error::none);
  drain(inbox, got);
  EXPECT_EQ(got, "still here");
}

TEST_P(stream_on, a_past_deadline_still_takes_what_is_there) {
  ASSERT_TRUE(send_all(pair.peer.get(), "ready"));
  EXPECT_EQ(read(nullptr, time_point::min()), error::none);
  drain(inbox, got);
  EXPECT_EQ(got, "ready");
}

// A read ends before an urgent byte, which is not part of the stream, whatever follows it.
TEST_P(stream_on, bytes_behind_urgent_data_are_not_left_lying) {
  EXPECT_EQ(read(nullptr, time_point::min()), error::timed_out); // the socket is watched
  for (int round = 0; round < 3; ++round) {
    got.clear();
    ASSERT_TRUE(send_all(pair.peer.get(), "before"));
    ASSERT_EQ(::send(pair.peer.get(), "!", 1, MSG_OOB | MSG_NOSIGNAL), 1);
    ASSERT_TRUE(send_all(pair.peer.get(), "behind"));
    while (got.size() < 12) {
      ASSERT_EQ(read(nullptr, clock::now() + std::chrono::seconds(20)), error::none) << got;
      drain(inbox, got);
    }
    EXPECT_EQ(got, "beforebehind");
  }
}

TEST_P(stream_on, a_cancel_before_the_read_is_not_lost_and_asks_the_kernel_nothing) {
  cancel_source cancel;
  cancel.request();
  const std::uint64_t calls = on->io().stats().system_calls;
  ASSERT_TRUE(send_all(pair.peer.get(), "later"));
  EXPECT_EQ(read(&cancel), error::cancelled);
  EXPECT_EQ(on->io().stats().system_calls, calls);
  cancel.reset();
  EXPECT_EQ(read(&cancel), error::none);
  drain(inbox, got);
  EXPECT_EQ(got, "later");
}

TEST_P(stream_on, a_cancel_from_another_thread_ends_a_blocked_read) {
  cancel_source cancel;
  for (int round = 0; round < 20; ++round) {
    const pid_t reader = this_thread_id();
    std::thread canceller([&] {
      wait_until_asleep(reader);
      cancel.request();
    });
    EXPECT_EQ(read(&cancel), error::cancelled);
    canceller.join();
    cancel.reset();
  }
  EXPECT_EQ(on->buffers().lent_count(), 0U);
  ASSERT_TRUE(send_all(pair.peer.get(), "alive"));
  EXPECT_EQ(read(&cancel), error::none);
}

TEST_P(stream_on, bytes_of_a_cancelled_read_go_to_the_inbox) {
  cancel_source cancel;
  const auto read_once = [&](int) {
    const error e = read(&cancel);
    drain(inbox, got);
    return e;
  };
  expect_no_byte_lost_to_cancels({read_once, [&] { cancel.request(); }, [&] { cancel.reset(); }},
                                 pair.peer.get(), got);
  EXPECT_EQ(on->buffers().lent_count(), 0U);
}

// To the kernel's poll a socket whose peer sends no more looks ready for sending, too, when it is
// full: the operation may be on its way to somewhere else at the moment of the cancel.
TEST_P(stream_on, a_cancel_ends_a_write_whose_peer_sends_no_more) {
  const std::string payload = pattern(8 << 20);
  for (int round = 0; round < 60; ++round) {
    loopback fresh;
    std::swap(pair, fresh);
    s = stream(pair.ours.release());
    shrink_send_buffer(s.descriptor(), 4096);
    ASSERT_EQ(::shutdown(pair.peer.get(), SHUT_WR), 0);
    cancel_source cancel;
    std::thread other([&] {
      EXPECT_EQ(receive_exactly(pair.peer.get(), 1).size(), 1U); // it is under way
      std::this_thread::sleep_for(std::chrono::microseconds(round * 40));
      cancel.request();
    });
    EXPECT_EQ(write(payload, &cancel), error::cancelled);
    other.join();
  }
}

TEST_P(stream_on, a_write_goes_on_when_the_peer_sends_no_more) {
  shrink_send_buffer(s.descriptor(), 4096);
  ASSERT_EQ(::shutdown(pair.peer.get(), SHUT_WR), 0);
  const std::string payload = pattern(1 << 20);
  std::string arrived;
  std::thread peer([&] { arrived = receive_exactly(pair.peer.get(), payload.size()); });
  EXPECT_EQ(write(payload), error::none);
  peer.join();
  EXPECT_TRUE(arrived == payload);
}

TEST_P(stream_on, a_wake_before_the_wait_is_not_lost) {
  on->io().wake();
  EXPECT_EQ(on->io().wait(no_deadline), error::none); // would sleep for ever
}

TEST_P(stream_on, wakes_from_many_threads_end_waits) {
  std::atomic<bool> stop{false};
  std::vector<std::thread> wakers;
  for (int i = 0; i < 3; ++i) {
    wakers.emplace_back([&] {
      while (!stop.load()) {
        on->io().wake();
        std::this_thread::yield();
      }
    });
  }
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(on->io().wait(no_deadline), error::none);
  }
  stop.store(true);
  for (std::thread& waker : wakers) {
    waker.join();
  }
}

TEST_P(stream_on, a_wake_does_not_disturb_a_read) {
  std::atomic<bool> stop{false};
  std::thread waker([&] {
    while (!stop.load()) {
      on->io().wake();
    }
  });
  std::thread sender([&] { ASSERT_TRUE(send_all(pair.peer.get(), pattern(1 << 20))); });
  EXPECT_EQ(read_bytes(1 << 20), error::none);
  EXPECT_EQ(got, pattern(1 << 20));
  stop.store(true);
  waker.join();
  sender.join();
}

TEST_P(stream_on, large_transfers_arrive_byte_for_byte_both_ways) {
  const std::string there = pattern(8 << 20, 1);
  const std::string back = pattern(8 << 20, 2);
  std::string arrived;
  std::thread peer([&] {
    arrived = receive_exactly(pair.peer.get(), there.size());
    send_all(pair.peer.get(), back);
  });
  EXPECT_EQ(write(there), error::none);
  EXPECT_EQ(read_bytes(back.size()), error::none);
  peer.join();
  EXPECT_TRUE(arrived == there);
  EXPECT_TRUE(got == back);
  EXPECT_EQ(on->buffers().lent_count(), 0U);
}

TEST_P(stream_on, reader_and_writer_run_on_loops_of_their_own) {
  const std::string payload = pattern(4 << 20);
  std::thread echo([&] {
    for (;;) {
      const std::string part = receive_exactly(pair.peer.get(), 65536);
      if (part.empty() || !send_all(pair.peer.get(), part)) {
        return;
      }
    }
  });
  std::thread writer([&] {
    memory::unique<io::loop> own;
    ASSERT_EQ(io::loop::create(GetParam(), small_settings, own), error::none);
    EXPECT_EQ(s.write(*own, bytes_of(payload), no_timeout, nullptr), error::none);
  });
  EXPECT_EQ(read_bytes(payload.size()), error::none);
  EXPECT_TRUE(got == payload);
  writer.join();
  s.shutdown(false);
  echo.join();
}

TEST_P(stream_on, TMO_05_a_write_without_progress_times_out) {
  shrink_send_buffer(s.descriptor(), 4096);
  fill_send_buffer(s.descriptor());
  EXPECT_EQ(write("x", nullptr, std::chrono::milliseconds(5)), error::timed_out);
}

TEST_P(stream_on, a_cancel_ends_a_blocked_write) {
  shrink_send_buffer(s.descriptor(), 4096);
  fill_send_buffer(s.descriptor());
  cancel_source cancel;
  const pid_t sender = this_thread_id();
  std::thread canceller([&] {
    wait_until_asleep(sender);
    cancel.request();
  });
  EXPECT_EQ(write("x", &cancel), error::cancelled);
  canceller.join();
}

TEST_P(stream_on, a_blocked_write_goes_on_when_the_peer_reads) {
  shrink_send_buffer(s.descriptor(), 4096);
  const std::size_t stuffed = fill_send_buffer(s.descriptor());
  const pid_t sender = this_thread_id();
  std::string arrived;
  std::thread peer([&] {
    wait_until_asleep(sender);
    arrived = receive_exactly(pair.peer.get(), stuffed + 3);
  });
  EXPECT_EQ(write("end"), error::none);
  peer.join();
  EXPECT_EQ(arrived.size(), stuffed + 3);
  EXPECT_EQ(arrived.substr(stuffed), "end");
}

TEST_P(stream_on, writing_to_a_reset_connection_fails_without_a_signal) {
  reset_connection(pair.peer);
  error e = error::none;
  for (int i = 0; i < 100 && e == error::none; ++i) {
    e = write("x"); // SIGPIPE would end the program
  }
  EXPECT_EQ(e, error::connection_lost);
}

TEST_P(stream_on, the_buffer_class_follows_the_traffic) {
  const auto next_capacity = [&](std::size_t arriving) {
    EXPECT_TRUE(send_all(pair.peer.get(), std::string(arriving, 'x')));
    std::size_t left = arriving;
    std::size_t capacity = 0;
    while (left != 0) {
      EXPECT_EQ(read(), error::none);
      slice part = inbox.take_front();
      left -= part.size_bytes;
      capacity = part.from->capacity_bytes;
      part.from->owner->recycle(*part.from);
    }
    return capacity;
  };
  EXPECT_EQ(next_capacity(100), buffer_class_bytes[0]); // starts small
  EXPECT_EQ(next_capacity(4096), buffer_class_bytes[0]);
  EXPECT_EQ(next_capacity(100), buffer_class_bytes[0]); // one full read alone says nothing
  next_capacity(4096);
  next_capacity(4096);
  EXPECT_EQ(next_capacity(100), buffer_class_bytes[1]); // two in a row
  for (int i = 0; i < 6; ++i) {
    next_capacity(100);
  }
  EXPECT_EQ(next_capacity(5000), buffer_class_bytes[1]); // seven small ones, then a larger one
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(next_capacity(100), buffer_class_bytes[1]);
  }
  EXPECT_EQ(next_capacity(100), buffer_class_bytes[0]); // after eight in a row
}

TEST_P(stream_on, an_idle_connection_keeps_no_buffer) {
  io::recv_op op;
  op.socket = {s.descriptor(), io::next_socket_id()};
  on->io().submit(op);
  ASSERT_EQ(on->io().wait(time_point::min()), error::none);
  ASSERT_EQ(op.now, io::operation::state::armed);
  EXPECT_EQ(on->buffers().lent_count(), 0U);
  ASSERT_TRUE(send_all(pair.peer.get(), "x"));
  ASSERT_EQ(on->run_until_idle(op, no_deadline, nullptr), error::none);
  EXPECT_EQ(op.result, 1);
  EXPECT_EQ(on->buffers().lent_count(), 1U);
  on->buffers().recycle(*op.filled);
  EXPECT_EQ(on->buffers().lent_count(), 0U);
}

TEST_P(stream_on, a_read_of_waiting_bytes_costs_one_system_call) {
  // Warm up: the first wait of all registers the socket with epoll.
  EXPECT_EQ(read(nullptr, time_point::min()), error::timed_out);
  constexpr int rounds = 100;
  const std::uint64_t before = on->io().stats().system_calls;
  for (int i = 0; i < rounds; ++i) {
    ASSERT_TRUE(send_all(pair.peer.get(), "ping"));
    ASSERT_EQ(read(), error::none);
    drain(inbox, got);
  }
  const std::uint64_t calls = on->io().stats().system_calls - before;
  EXPECT_EQ(got.size(), 4U * rounds);
  // io_uring_enter alone, or epoll_wait and recv: an empty socket is known to be empty.
  EXPECT_LE(calls, rounds * (is_uring() ? 1U : 2U));
  EXPECT_EQ(on->io().stats().receives, static_cast<std::uint64_t>(rounds));
}

TEST_P(stream_on, a_write_costs_one_system_call) {
  constexpr int rounds = 100;
  const std::uint64_t before = on->io().stats().system_calls;
  for (int i = 0; i < rounds; ++i) {
    ASSERT_EQ(write("pong"), error::none);
  }
  // epoll looks at the other sockets now and then although this one keeps it busy.
  EXPECT_LE(on->io().stats().system_calls - before, rounds * (is_uring() ? 1U : 2U));
  EXPECT_LE(on->io().stats().system_calls - before, rounds + 2U);
  EXPECT_EQ(receive_exactly(pair.peer.get(), 4U * rounds).size(), 4U * rounds);
}

TEST_P(stream_on, bulk_reads_cost_about_one_system_call_each) {
  constexpr std::size_t total = 16 << 20;
  ASSERT_TRUE(send_all(pair.peer.get(), std::string(65536, 'x')));
  std::thread sender([&] { send_all(pair.peer.get(), std::string(total - 65536, 'x')); });
  EXPECT_EQ(read_bytes(total), error::none);
  sender.join();
  const io::backend_stats& stats = on->io().stats();
  EXPECT_EQ(stats.received_bytes, total);
  EXPECT_LE(stats.system_calls, stats.receives * (is_uring() ? 1 : 3) + 8);
}

void ignore_signal(int) {}

TEST_P(stream_on, a_signal_does_not_end_a_blocked_read) {
  struct sigaction quiet {};
  quiet.sa_handler = &ignore_signal; // without SA_RESTART
  struct sigaction before {};
  ASSERT_EQ(::sigaction(SIGUSR1, &quiet, &before), 0);
  const pthread_t reader = ::pthread_self();
  const pid_t reader_id = this_thread_id();
  std::thread other([&] {
    for (int i = 0; i < 20; ++i) {
      wait_until_asleep(reader_id);
      ::pthread_kill(reader, SIGUSR1);
    }
    send_all(pair.peer.get(), "finally");
  });
  EXPECT_EQ(read(), error::none);
  drain(inbox, got);
  EXPECT_EQ(got, "finally");
  other.join();
  ::sigaction(SIGUSR1, &before, nullptr);
}

TEST_P(stream_on, shutdown_from_another_thread_ends_a_blocked_read) {
  const pid_t reader = this_thread_id();
  std::thread other([&] {
    wait_until_asleep(reader);
    s.shutdown(false);
  });
  EXPECT_EQ(read(), error::end_of_stream);
  other.join();
  EXPECT_EQ(receive_all(pair.peer.get()), "");
}

TEST_P(stream_on, abort_from_another_thread_ends_a_blocked_read_and_resets) {
  const pid_t reader = this_thread_id();
  std::thread other([&] {
    wait_until_asleep(reader);
    s.shutdown(true);
  });
  const error e = read();
  EXPECT_TRUE(e == error::connection_lost || e == error::end_of_stream);
  other.join();
  char byte = 0;
  EXPECT_EQ(::recv(pair.peer.get(), &byte, 1, 0), -1);
  EXPECT_EQ(errno, ECONNRESET);
}

TEST_P(stream_on, a_closed_stream_says_so) {
  stream other = std::move(s);
  EXPECT_FALSE(s.is_open()); // NOLINT(bugprone-use-after-move): that is the question
  EXPECT_EQ(read(), error::connection_lost);
  EXPECT_EQ(write("x"), error::connection_lost);
  s.shutdown(true);
  s.close();
  ASSERT_TRUE(other.is_open());
  ASSERT_EQ(other.write(*on, bytes_of("x"), no_timeout, nullptr), error::none);
  EXPECT_EQ(receive_exactly(pair.peer.get(), 1), "x");
}

TEST_P(stream_on, a_stream_can_be_read_by_one_thread_after_another) {
  for (int turn = 0; turn < 5; ++turn) {
    const std::string text = "turn " + std::to_string(turn);
    std::thread reader([&] {
      io::loop* own = nullptr;
      ASSERT_EQ(io::loop::for_this_thread(own), error::none);
      ASSERT_TRUE(send_all(pair.peer.get(), text));
      EXPECT_EQ(s.read(*own, inbox, no_deadline, nullptr), error::none);
    });
    reader.join(); // its loop is gone; the bytes are not
    got.clear();
    drain(inbox, got);
    EXPECT_EQ(got, text);
  }
}

TEST_P(stream_on, a_stream_outlives_the_thread_that_read_it) {
  std::thread([&] {
    io::loop* own = nullptr;
    ASSERT_EQ(io::loop::for_this_thread(own), error::none);
    ASSERT_TRUE(send_all(pair.peer.get(), "left behind"));
    EXPECT_EQ(s.read(*own, inbox, no_deadline, nullptr), error::none);
  }).join();
  s.close();
  EXPECT_EQ(inbox.size_bytes(), 11U); // recycled with the fixture: a leak or a crash shows
}

TEST_P(stream_on, a_successor_on_the_same_descriptor_is_another_socket) {
  EXPECT_EQ(read(nullptr, time_point::min()), error::timed_out); // registered, known to be empty
  const int fd = s.descriptor();
  s.close();
  loopback next;
  // Put the successor at the very number.
  if (next.ours.get() != fd) {
    ASSERT_EQ(::dup2(next.ours.get(), fd), fd);
    next.ours = unique_fd(fd);
  }
  s = stream(next.ours.release());
  ASSERT_TRUE(send_all(next.peer.get(), "new"));
  ASSERT_EQ(read(), error::none);
  drain(inbox, got);
  EXPECT_EQ(got, "new");
}

// Another thread has taken over the socket; this one's loop must stay quiet and correct.
TEST_P(stream_on, traffic_read_elsewhere_does_not_confuse_this_loop) {
  EXPECT_EQ(read(nullptr, time_point::min()), error::timed_out);
  std::thread([&] {
    io::loop* own = nullptr;
    ASSERT_EQ(io::loop::for_this_thread(own), error::none);
    slice_queue other_inbox;
    for (int i = 0; i < 50; ++i) {
      ASSERT_TRUE(send_all(pair.peer.get(), "elsewhere"));
      ASSERT_EQ(s.read(*own, other_inbox, no_deadline, nullptr), error::none);
      other_inbox.clear();
    }
  }).join();
  // Events for nobody: the loop takes them in without an operation.
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(send_all(pair.peer.get(), "x"));
    EXPECT_EQ(on->io().wait(time_point::min()), error::none);
  }
  ASSERT_EQ(read_bytes(20), error::none);
  EXPECT_EQ(got, std::string(20, 'x'));
  EXPECT_EQ(read(nullptr, time_point::min()), error::timed_out);
  ASSERT_TRUE(send_all(pair.peer.get(), "again"));
  EXPECT_EQ(read(), error::none);
}

} // namespace
} // namespace sluice::test
