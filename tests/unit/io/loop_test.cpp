#include "io/loop.hpp"

#include "io/connector.hpp"
#include "io/stream.hpp"
#include "support/asleep.hpp"
#include "support/each_backend.hpp"
#include "support/full_table.hpp"
#include "support/loopback.hpp"

#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

namespace sluice::test {
namespace {

using io::backend_kind;
using io::loop;
using io::no_deadline;
using io::stream;

/// Loops of threads are made with this backend while it lives.
class forced_backend {
public:
  explicit forced_backend(io::backend_choice choice) {
    if (const char* const before = std::getenv("SLUICE_BACKEND")) {
      before_ = before;
    }
    ::setenv("SLUICE_BACKEND", choice == io::backend_choice::uring ? "uring" : "epoll", 1);
  }
  ~forced_backend() {
    before_.empty() ? ::unsetenv("SLUICE_BACKEND") : ::setenv("SLUICE_BACKEND", before_.c_str(), 1);
  }
  forced_backend(const forced_backend&) = delete;
  forced_backend& operator=(const forced_backend&) = delete;

private:
  std::string before_;
};

/// Runs the test on a thread of its own, whose loop has the backend.
class thread_loop_on : public testing::TestWithParam<io::backend_choice> {
protected:
  void SetUp() override {
    if (GetParam() == io::backend_choice::uring && !uring_works()) {
      GTEST_SKIP() << "no io_uring here";
    }
  }
  template <typename Body> void on_thread(const Body& body) {
    const forced_backend forced(GetParam());
    std::thread(body).join();
  }
};
SLUICE_ON_EACH_BACKEND(thread_loop_on);

bool answers(loop& on) {
  loopback pair;
  stream s(pair.ours.release());
  slice_queue inbox;
  return send_all(pair.peer.get(), "x") && s.read(on, inbox, no_deadline, nullptr) == error::none &&
         inbox.size_bytes() == 1;
}

TEST_P(thread_loop_on, each_thread_has_one_of_its_own) {
  on_thread([&] {
    loop* first = nullptr;
    loop* again = nullptr;
    ASSERT_EQ(loop::for_this_thread(first), error::none);
    ASSERT_EQ(loop::for_this_thread(again), error::none);
    EXPECT_EQ(first, again);
    EXPECT_EQ(first->io().kind(),
              GetParam() == io::backend_choice::uring ? backend_kind::uring : backend_kind::epoll);
    std::thread([first] {
      loop* other = nullptr;
      ASSERT_EQ(loop::for_this_thread(other), error::none);
      EXPECT_NE(other, first);
      EXPECT_TRUE(answers(*other));
    }).join();
    EXPECT_TRUE(answers(*first));
  });
}

TEST_P(thread_loop_on, it_goes_with_its_thread) {
  // Once, so that what is made once per process is there.
  on_thread([] {
    loop* found = nullptr;
    ASSERT_EQ(loop::for_this_thread(found), error::none);
  });
  const std::size_t before = open_descriptors();
  for (int i = 0; i < 200; ++i) {
    on_thread([] {
      loop* found = nullptr;
      ASSERT_EQ(loop::for_this_thread(found), error::none);
      ASSERT_EQ(found->io().wait(io::time_point::min()), error::none);
    });
  }
  EXPECT_EQ(open_descriptors(), before);
}

TEST_P(thread_loop_on, its_buffers_may_come_first) {
  on_thread([] {
    const std::size_t before = open_descriptors();
    io::buffer_pool* const buffers = loop::buffers_for_this_thread();
    ASSERT_NE(buffers, nullptr);
    buffer* const lent = buffers->take(io::buffer_class::small);
    ASSERT_NE(lent, nullptr);
    EXPECT_EQ(open_descriptors(), before);
    EXPECT_EQ(loop::existing_for_this_thread(), nullptr);
    ::setenv("SLUICE_BACKEND", "kqueue", 1);
    loop* found = nullptr;
    EXPECT_EQ(loop::for_this_thread(found), error::backend_unavailable);
    ::unsetenv("SLUICE_BACKEND");
    const forced_backend again(GetParam());
    EXPECT_EQ(loop::buffers_for_this_thread(), buffers);
    ASSERT_EQ(loop::for_this_thread(found), error::none);
    EXPECT_EQ(loop::existing_for_this_thread(), found);
    EXPECT_EQ(&found->buffers(), buffers);
    EXPECT_EQ(buffers->lent_count(), 1U);
    EXPECT_TRUE(answers(*found));
    buffers->recycle(*lent);
  });
  on_thread([] { EXPECT_NE(loop::buffers_for_this_thread(), nullptr); }); // and go without a loop
}

TEST_P(thread_loop_on, one_that_cannot_be_made_keeps_no_descriptor) {
  on_thread([] {
    const std::size_t before = open_descriptors();
    {
      full_table one_left;
      one_left.give_back();
      loop* found = nullptr;
      EXPECT_EQ(loop::for_this_thread(found), error::out_of_descriptors);
    }
    EXPECT_NE(loop::buffers_for_this_thread(), nullptr); // they stay
    EXPECT_EQ(open_descriptors(), before);
    loop* found = nullptr;
    EXPECT_EQ(loop::for_this_thread(found), error::none);
  });
}

TEST_P(thread_loop_on, it_serves_destructors_of_thread_locals) {
  struct late_user {
    ~late_user() {
      loop* found = nullptr;
      works = loop::for_this_thread(found) == error::none && answers(*found);
    }
    bool& works;
  };
  static bool with_loop = false;
  static bool without_loop = false;
  on_thread([] {
    thread_local late_user user{with_loop};
    (void)&user;
    loop* found = nullptr;
    ASSERT_EQ(loop::for_this_thread(found), error::none);
  });
  EXPECT_TRUE(with_loop);
  const std::size_t before = open_descriptors();
  on_thread([] {
    thread_local late_user user{without_loop};
    (void)&user;
  });
  EXPECT_TRUE(without_loop);
  EXPECT_EQ(open_descriptors(), before);
}

TEST_P(thread_loop_on, a_broken_one_is_replaced) {
  on_thread([] {
    loop* found = nullptr;
    ASSERT_EQ(loop::for_this_thread(found), error::none);
    if (found->io().kind() != backend_kind::epoll) {
      return; // a registered ring works on when its descriptor is closed
    }
    loopback pair;
    stream s(pair.ours.release());
    slice_queue inbox;
    // Somebody closes descriptors that are not his (closefrom() and the like).
    ::close(found->io().descriptor());
    EXPECT_NE(s.read(*found, inbox, no_deadline, nullptr), error::none);
    loop* replaced = nullptr;
    ASSERT_EQ(loop::for_this_thread(replaced), error::none);
    ASSERT_TRUE(send_all(pair.peer.get(), "x"));
    EXPECT_EQ(s.read(*replaced, inbox, no_deadline, nullptr), error::none);
  });
}

int child_reads_on_its_own_loop() {
  loop* found = nullptr;
  if (loop::for_this_thread(found) != error::none) {
    return 1;
  }
  return answers(*found) ? 0 : 2;
}

TEST_P(thread_loop_on, a_forked_child_gets_a_new_one_and_the_parents_works_on) {
  on_thread([] {
    loop* found = nullptr;
    ASSERT_EQ(loop::for_this_thread(found), error::none);
    loopback pair;
    stream s(pair.ours.release());
    slice_queue inbox;
    ASSERT_TRUE(send_all(pair.peer.get(), "abc"));
    ASSERT_EQ(s.read(*found, inbox, no_deadline, nullptr), error::none);
    inbox.consume(1); // the buffer is still out when fork() copies it

    static loop* parents = nullptr;
    static slice_queue* parents_inbox = nullptr;
    parents = found;
    parents_inbox = &inbox;
    EXPECT_EQ(in_child([] {
                loop* mine = nullptr;
                if (loop::for_this_thread(mine) != error::none || mine == parents) {
                  return 1;
                }
                // Bytes from before the fork are the child's as well.
                if (parents_inbox->size_bytes() != 2 ||
                    parents_inbox->front_bytes()[0] != std::byte{'b'}) {
                  return 2;
                }
                parents_inbox->clear();
                return child_reads_on_its_own_loop();
              }),
              0);
    EXPECT_EQ(inbox.size_bytes(), 2U);
    ASSERT_TRUE(send_all(pair.peer.get(), "def"));
    ASSERT_EQ(s.read(*found, inbox, no_deadline, nullptr), error::none);
    EXPECT_EQ(inbox.size_bytes(), 5U);
  });
}

TEST_P(thread_loop_on, a_fork_closes_the_parents_descriptors_in_the_child_only) {
  on_thread([] {
    static std::size_t without = 0;
    static std::size_t with = 0;
    without = open_descriptors();
    loop* found = nullptr;
    ASSERT_EQ(loop::for_this_thread(found), error::none);
    std::atomic<bool> made{false};
    std::atomic<bool> stop{false};
    std::thread other([&] { // its loop is closed in the child as well
      loop* own = nullptr;
      EXPECT_EQ(loop::for_this_thread(own), error::none);
      made.store(true);
      while (!stop.load()) {
        std::this_thread::yield();
      }
    });
    while (!made.load()) {
      std::this_thread::yield();
    }
    with = open_descriptors();
    EXPECT_GT(with, without);
    EXPECT_EQ(in_child([] { return open_descriptors() == without ? 0 : 1; }), 0);
    EXPECT_EQ(open_descriptors(), with);
    stop.store(true);
    other.join();
  });
}

TEST_P(thread_loop_on, a_fork_while_another_thread_waits_disturbs_nobody) {
  on_thread([] {
    loopback pair;
    stream s(pair.ours.release());
    std::string got;
    std::atomic<pid_t> reader_id{0};
    std::thread reader([&] {
      loop* own = nullptr;
      ASSERT_EQ(loop::for_this_thread(own), error::none);
      reader_id.store(this_thread_id());
      slice_queue inbox;
      while (s.read(*own, inbox, no_deadline, nullptr) == error::none) {
        got.append(reinterpret_cast<const char*>(inbox.front_bytes()), inbox.front_size_bytes());
        inbox.clear();
      }
    });
    while (reader_id.load() == 0) {
      std::this_thread::yield();
    }
    for (int i = 0; i < 5; ++i) {
      wait_until_asleep(reader_id.load());
      EXPECT_EQ(in_child(&child_reads_on_its_own_loop), 0);
      ASSERT_TRUE(send_all(pair.peer.get(), "x"));
    }
    ::shutdown(pair.peer.get(), SHUT_WR);
    reader.join();
    EXPECT_EQ(got, "xxxxx");
  });
}

// fork() at any moment of a loop's making and ending: the child finds no lock held for ever.
TEST_P(thread_loop_on, forks_race_with_loops_that_come_and_go) {
  std::atomic<bool> stop{false};
  const forced_backend forced(GetParam());
  std::thread busy([&] {
    while (!stop.load()) {
      std::thread([] {
        loop* found = nullptr;
        EXPECT_EQ(loop::for_this_thread(found), error::none);
      }).join();
    }
  });
  for (int i = 0; i < 30; ++i) {
    EXPECT_EQ(in_child(&child_reads_on_its_own_loop), 0);
  }
  stop.store(true);
  busy.join();
}

TEST(loop_for_this_thread, an_unknown_backend_is_an_error_until_it_is_corrected) {
  ::setenv("SLUICE_BACKEND", "kqueue", 1);
  std::thread([] {
    loop* found = nullptr;
    EXPECT_EQ(loop::for_this_thread(found), error::backend_unavailable);
    ::unsetenv("SLUICE_BACKEND");
    EXPECT_EQ(loop::for_this_thread(found), error::none);
  }).join();
}

} // namespace
} // namespace sluice::test
