#include "io/backend.hpp"

#include "io/loop.hpp"
#include "io/stream.hpp"
#include "support/each_backend.hpp"
#include "support/loopback.hpp"
#include "support/seccomp.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>

namespace sluice::test {
namespace {

using io::backend_choice;
using io::backend_kind;
using io::loop;
using io::no_deadline;

constexpr int setup_call = 425; // io_uring's three system calls have these numbers everywhere
constexpr int enter_call = 426;
constexpr int register_call = 427;
#ifdef SYS_io_uring_setup
static_assert(setup_call == SYS_io_uring_setup && enter_call == SYS_io_uring_enter &&
              register_call == SYS_io_uring_register);
#endif

error make(backend_choice choice, memory::unique<loop>& made) {
  return loop::create(choice, small_settings, made);
}

/// The environment variable, put back afterwards.
class backend_variable {
public:
  explicit backend_variable(const char* value) {
    if (const char* const before = std::getenv(name)) {
      before_ = before;
      was_set_ = true;
    }
    value != nullptr ? ::setenv(name, value, 1) : ::unsetenv(name);
  }
  ~backend_variable() { was_set_ ? ::setenv(name, before_.c_str(), 1) : ::unsetenv(name); }
  backend_variable(const backend_variable&) = delete;
  backend_variable& operator=(const backend_variable&) = delete;

private:
  static constexpr const char* name = "SLUICE_BACKEND";
  std::string before_;
  bool was_set_ = false;
};

TEST(backend_choice, comes_from_the_environment) {
  const auto choice_for = [](const char* value) {
    const backend_variable set(value);
    return io::backend_choice_from_environment();
  };
  EXPECT_EQ(choice_for(nullptr), backend_choice::automatic);
  EXPECT_EQ(choice_for(""), backend_choice::automatic);
  EXPECT_EQ(choice_for("uring"), backend_choice::uring);
  EXPECT_EQ(choice_for("epoll"), backend_choice::epoll);
  EXPECT_EQ(choice_for("io_uring"), backend_choice::invalid);
  EXPECT_EQ(choice_for("EPOLL"), backend_choice::invalid);
  EXPECT_EQ(choice_for("mock"), backend_choice::invalid);
}

TEST(backend_choice, a_forced_one_is_the_one_that_is_made) {
  memory::unique<loop> made;
  ASSERT_EQ(make(backend_choice::epoll, made), error::none);
  EXPECT_EQ(made->io().kind(), backend_kind::epoll);
  if (uring_works()) {
    ASSERT_EQ(make(backend_choice::uring, made), error::none);
    EXPECT_EQ(made->io().kind(), backend_kind::uring);
    ASSERT_EQ(make(backend_choice::automatic, made), error::none);
    EXPECT_EQ(made->io().kind(), backend_kind::uring);
  }
}

TEST(backend_choice, an_unknown_one_is_an_error) {
  memory::unique<loop> made;
  EXPECT_EQ(make(backend_choice::invalid, made), error::backend_unavailable);
  EXPECT_EQ(made, nullptr);
}

TEST(backend_choice, each_kind_has_a_name) {
  EXPECT_STREQ(io::to_string(backend_kind::uring), "io_uring");
  EXPECT_STREQ(io::to_string(backend_kind::epoll), "epoll");
  EXPECT_STREQ(io::to_string(backend_kind::mock), "mock");
}

/// In a child without io_uring: epoll takes over and works; forcing io_uring says it cannot.
/// 0 = as it should be; else the step that was not.
int check_without_uring() {
  const std::size_t descriptors = open_descriptors();
  memory::unique<loop> made;
  if (make(backend_choice::uring, made) != error::backend_unavailable) {
    return 1;
  }
  if (open_descriptors() != descriptors) {
    return 2;
  }
  if (make(backend_choice::automatic, made) != error::none ||
      made->io().kind() != backend_kind::epoll) {
    return 3;
  }
  loopback pair;
  io::stream s(pair.ours.release());
  slice_queue inbox;
  if (!send_all(pair.peer.get(), "x") ||
      s.read(*made, inbox, no_deadline, nullptr) != error::none || inbox.size_bytes() != 1) {
    return 4;
  }
  inbox.clear();
  made.reset();
  s.close();
  pair.peer.reset();
  if (open_descriptors() != descriptors) {
    return 5;
  }
  ::setenv("SLUICE_BACKEND", "uring", 1);
  loop* found = nullptr;
  if (loop::for_this_thread(found) != error::backend_unavailable || found != nullptr) {
    return 6;
  }
  // The next call tries again.
  ::unsetenv("SLUICE_BACKEND");
  return loop::for_this_thread(found) == error::none && found->io().kind() == backend_kind::epoll
             ? 0
             : 7;
}

constexpr int cannot_filter = 99;

template <int Errno, int... Calls> int check_with_refused() {
  return refuse_system_calls({Calls...}, Errno) ? check_without_uring() : cannot_filter;
}

class without_uring : public testing::TestWithParam<int (*)()> {};

TEST_P(without_uring, epoll_takes_over_and_forcing_fails) {
  const int code = in_child(GetParam());
  if (code == cannot_filter) {
    GTEST_SKIP() << "no system call filters here";
  }
  EXPECT_EQ(code, 0) << "the step of check_without_uring() that failed";
}

INSTANTIATE_TEST_SUITE_P(
    refusals, without_uring,
    testing::Values(&check_with_refused<ENOSYS, setup_call>,    // old kernel, gVisor
                    &check_with_refused<EPERM, setup_call>,     // Docker, kernel.io_uring_disabled
                    &check_with_refused<ENOMEM, setup_call>,    // locked memory used up
                    &check_with_refused<EINVAL, setup_call>,    // before DEFER_TASKRUN
                    &check_with_refused<EINVAL, register_call>, // before buffer rings
                    &check_with_refused<EPERM, enter_call>));   // a filter with gaps

TEST(backend, too_few_descriptors_is_said_so) {
  const int code = in_child([] {
    // No room for even one more.
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = static_cast<rlim_t>(::dup(0));
    ::close(static_cast<int>(limit.rlim_cur));
    ::setrlimit(RLIMIT_NOFILE, &limit);
    for (const backend_choice choice :
         {backend_choice::epoll, backend_choice::uring, backend_choice::automatic}) {
      memory::unique<loop> made;
      const error e = make(choice, made);
      if (e != error::out_of_descriptors || made != nullptr) {
        return 1 + static_cast<int>(choice);
      }
    }
    // Room for one, which is not enough either.
    limit.rlim_cur += 1;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    memory::unique<loop> made;
    return make(backend_choice::automatic, made) == error::out_of_descriptors ? 0 : 10;
  });
  EXPECT_EQ(code, 0);
}

class backend_on : public each_backend {};
SLUICE_ON_EACH_BACKEND(backend_on);

TEST_P(backend_on, making_and_destroying_a_thousand_leaks_no_descriptor) {
  on.reset();
  const std::size_t before = open_descriptors();
  for (int i = 0; i < 1000; ++i) {
    remake(small_settings);
    ASSERT_EQ(on->io().wait(io::time_point::min()), error::none);
    on.reset();
  }
  EXPECT_EQ(open_descriptors(), before);
}

TEST_P(backend_on, a_backend_destroyed_with_armed_operations_completes_them) {
  loopback pair;
  static int completions = 0;
  completions = 0;
  io::recv_op recv;
  recv.socket = {pair.ours.get(), io::next_socket_id()};
  recv.on_complete = [](io::operation&) noexcept { ++completions; };
  on->io().submit(recv);
  ASSERT_EQ(on->io().wait(io::time_point::min()), error::none);
  ASSERT_EQ(recv.now, io::operation::state::armed);
  on.reset();
  EXPECT_EQ(completions, 1);
  EXPECT_TRUE(recv.idle());
  EXPECT_EQ(recv.result, -ECANCELED);
}

TEST_P(backend_on, cancelling_what_is_idle_or_done_does_nothing) {
  loopback pair;
  ASSERT_TRUE(send_all(pair.peer.get(), "x"));
  io::recv_op recv;
  recv.socket = {pair.ours.get(), io::next_socket_id()};
  on->io().cancel(recv);
  EXPECT_TRUE(recv.idle());
  on->io().submit(recv);
  ASSERT_EQ(on->run_until_idle(recv, no_deadline, nullptr), error::none);
  on->io().cancel(recv);
  ASSERT_EQ(on->io().wait(io::time_point::min()), error::none);
  EXPECT_EQ(recv.result, 1);
  on->buffers().recycle(*recv.filled);
}

TEST_P(backend_on, an_operation_may_be_submitted_again_from_its_completion) {
  loopback pair;
  struct context {
    loop* on;
    std::string got;
  } state{on.get(), {}};
  io::recv_op recv;
  recv.socket = {pair.ours.get(), io::next_socket_id()};
  recv.context = &state;
  recv.on_complete = [](io::operation& done) noexcept {
    context& c = *static_cast<context*>(done.context);
    auto& op = static_cast<io::recv_op&>(done);
    if (done.result > 0) {
      c.got.append(reinterpret_cast<const char*>(op.filled->bytes),
                   static_cast<std::size_t>(done.result));
      c.on->buffers().recycle(*op.filled);
      c.on->io().submit(op);
    }
  };
  on->io().submit(recv);
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(send_all(pair.peer.get(), "0123456789"));
    ASSERT_EQ(on->io().wait(io::time_point::min()), error::none);
  }
  pair.peer.reset();
  while (!recv.idle()) {
    ASSERT_EQ(on->io().wait(no_deadline), error::none);
  }
  EXPECT_EQ(recv.result, 0);
  EXPECT_EQ(state.got.size(), 1000U);
}

TEST_P(backend_on, its_descriptor_polls_readable_when_there_is_something_to_do) {
  loopback pair;
  io::recv_op recv;
  recv.socket = {pair.ours.get(), io::next_socket_id()};
  on->io().submit(recv);
  ASSERT_EQ(on->io().wait(io::time_point::min()), error::none);
  const int fd = on->io().descriptor();
  const auto turn = [&] {
    on->io().quiet_descriptor();
    ASSERT_EQ(on->io().wait(io::time_point::min()), error::none);
  };
  // Signalled for what came before it was asked for, and perhaps for a late wake-up.
  while (becomes_readable(fd, 0)) {
    turn();
  }
  ASSERT_FALSE(recv.idle());
  ASSERT_FALSE(on->io().has_pending());
  ASSERT_TRUE(send_all(pair.peer.get(), "x"));
  while (!recv.idle()) {
    ASSERT_TRUE(becomes_readable(fd, 10'000));
    turn();
  }
  on->buffers().recycle(*recv.filled);
  while (becomes_readable(fd, 0)) {
    turn();
  }
  on->io().wake();
  EXPECT_TRUE(becomes_readable(fd, 10'000));
}

/// Sockets move between threads; the one that watched it first is told of nothing for long.
TEST(epoll_backend, a_socket_that_is_read_elsewhere_soon_wakes_no_more) {
  memory::unique<loop> first;
  memory::unique<loop> second;
  ASSERT_EQ(make(backend_choice::epoll, first), error::none);
  ASSERT_EQ(make(backend_choice::epoll, second), error::none);
  loopback pair;
  io::stream s(pair.ours.release());
  slice_queue inbox;
  ASSERT_EQ(s.read(*first, inbox, io::time_point::min(), nullptr), error::timed_out);
  int woken = 0;
  for (int i = 0; i < 30; ++i) {
    ASSERT_TRUE(send_all(pair.peer.get(), "x"));
    woken += becomes_readable(first->io().descriptor(), 0) ? 1 : 0;
    ASSERT_EQ(first->io().wait(io::time_point::min()), error::none);
    ASSERT_EQ(s.read(*second, inbox, no_deadline, nullptr), error::none);
    inbox.clear();
  }
  EXPECT_GT(woken, 0); // it was watched
  EXPECT_LT(woken, 15);
  // It may come back.
  ASSERT_EQ(s.read(*first, inbox, io::time_point::min(), nullptr), error::timed_out);
  ASSERT_TRUE(send_all(pair.peer.get(), "y"));
  ASSERT_EQ(s.read(*first, inbox, no_deadline, nullptr), error::none);
  EXPECT_EQ(inbox.size_bytes(), 1U);
}

} // namespace
} // namespace sluice::test
