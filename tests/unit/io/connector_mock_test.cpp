// The race of addresses (RFC 8305) in a kernel whose clock stands still unless it is waited for.
#include "io/connector.hpp"
#include "io/mock_backend.hpp"

#include "support/loopback.hpp"

#include <gtest/gtest.h>
#include <netdb.h>

#include <cerrno>
#include <string>
#include <vector>

namespace sluice::test {
namespace {

using io::connect_observer;
using io::connect_timeouts;
using io::mock_loop;
using io::stream;
using std::chrono::milliseconds;

constexpr milliseconds never{1'000'000'000};

using lines = std::vector<std::string>;

class scripted_connect : public testing::Test {
protected:
  void TearDown() override {
    connected.close();
    EXPECT_EQ(open_descriptors(), descriptors);
    EXPECT_EQ(loop.mock->violations(), lines{});
    EXPECT_EQ(loop.mock->operations_armed(), 0U);
    for (addrinfo* one : lists) {
      ::freeaddrinfo(one);
    }
  }

  /// The addresses as getaddrinfo would list them.
  const addrinfo* list_of(const lines& addresses) {
    addrinfo** end = nullptr;
    for (const std::string& address : addresses) {
      addrinfo hints{};
      hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
      hints.ai_socktype = SOCK_STREAM;
      addrinfo* one = nullptr;
      EXPECT_EQ(::getaddrinfo(address.c_str(), "80", &hints, &one), 0);
      if (end == nullptr) {
        lists.push_back(one);
      } else {
        *end = one;
      }
      end = &one->ai_next;
    }
    return lists.back();
  }

  /// Notes which attempts began and when, in ms.
  error connect(const lines& addresses, milliseconds timeout = milliseconds(0),
                io::cancel_source* cancel = nullptr) {
    connect_observer observer;
    observer.context = this;
    observer.connecting = [](void* self, const char* to) noexcept {
      auto& test = *static_cast<scripted_connect*>(self);
      test.begun.push_back(std::string(to) + " at " +
                           std::to_string(test.loop.mock->elapsed().count()));
    };
    observer.connected = [](void* self, const char* to) noexcept {
      static_cast<scripted_connect*>(self)->winner = to;
    };
    connect_timeouts timeouts;
    timeouts.connect = timeout;
    return io::connect_to_first(*loop.on, list_of(addresses), timeouts, cancel, &observer,
                                connected);
  }

  std::size_t descriptors = open_descriptors();
  mock_loop loop;
  stream connected;
  lines begun;
  std::string winner;
  std::vector<addrinfo*> lists;
};

TEST_F(scripted_connect, section_5_the_next_attempt_begins_after_250_ms) {
  loop.mock->next_connect(0, never);
  loop.mock->next_connect(0, never);
  loop.mock->next_connect(0, milliseconds(30));
  EXPECT_EQ(connect({"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"}), error::none);
  EXPECT_EQ(begun, (lines{"10.0.0.1 at 0", "10.0.0.2 at 250", "10.0.0.3 at 500"}));
  EXPECT_EQ(winner, "10.0.0.3");
  EXPECT_EQ(loop.mock->elapsed(), milliseconds(530));
}

TEST_F(scripted_connect, section_5_a_failure_begins_the_next_attempt_at_once) {
  loop.mock->next_connect(ECONNREFUSED, milliseconds(10));
  loop.mock->next_connect(EHOSTUNREACH);
  loop.mock->next_connect(0, milliseconds(5));
  EXPECT_EQ(connect({"10.0.0.1", "10.0.0.2", "10.0.0.3"}), error::none);
  EXPECT_EQ(begun, (lines{"10.0.0.1 at 0", "10.0.0.2 at 10", "10.0.0.3 at 10"}));
  EXPECT_EQ(winner, "10.0.0.3");
}

TEST_F(scripted_connect, an_earlier_attempt_may_still_win) {
  loop.mock->next_connect(0, milliseconds(300));
  loop.mock->next_connect(0, never);
  EXPECT_EQ(connect({"10.0.0.1", "10.0.0.2"}), error::none);
  EXPECT_EQ(winner, "10.0.0.1");
  EXPECT_EQ(loop.mock->elapsed(), milliseconds(300));
}

TEST_F(scripted_connect, two_that_succeed_at_once_make_one_connection) {
  loop.mock->next_connect(0, milliseconds(260));
  loop.mock->next_connect(0, milliseconds(10));
  EXPECT_EQ(connect({"10.0.0.1", "10.0.0.2"}), error::none);
  EXPECT_EQ(open_descriptors(), descriptors + 1);
}

TEST_F(scripted_connect, section_4_families_alternate) {
  for (int i = 0; i < 5; ++i) {
    loop.mock->next_connect(ECONNREFUSED);
  }
  EXPECT_EQ(connect({"::1", "fe80::1", "fe80::2", "10.0.0.1", "10.0.0.2"}), error::cannot_connect);
  if (begun.size() == 5) { // (without IPv6 here, its sockets fail before they begin)
    EXPECT_EQ(begun, (lines{"::1 at 0", "10.0.0.1 at 0", "fe80::1 at 0", "10.0.0.2 at 0",
                            "fe80::2 at 0"}));
  }
}

TEST_F(scripted_connect, TMO_02_the_timeout_is_per_address) {
  loop.mock->next_connect(0, never);
  loop.mock->next_connect(0, never);
  EXPECT_EQ(connect({"10.0.0.1", "10.0.0.2"}, milliseconds(1000)), error::timed_out);
  EXPECT_EQ(begun, (lines{"10.0.0.1 at 0", "10.0.0.2 at 250"}));
  EXPECT_EQ(loop.mock->elapsed(), milliseconds(1250));
}

TEST_F(scripted_connect, TMO_02_a_timeout_below_the_stagger_begins_the_next_attempt) {
  loop.mock->next_connect(0, never);
  loop.mock->next_connect(0, milliseconds(1));
  EXPECT_EQ(connect({"10.0.0.1", "10.0.0.2"}, milliseconds(100)), error::none);
  EXPECT_EQ(begun, (lines{"10.0.0.1 at 0", "10.0.0.2 at 100"}));
}

TEST_F(scripted_connect, a_refusal_is_told_before_silence) {
  loop.mock->next_connect(ECONNREFUSED);
  loop.mock->next_connect(0, never);
  EXPECT_EQ(connect({"10.0.0.1", "10.0.0.2"}, milliseconds(100)), error::cannot_connect);
}

TEST_F(scripted_connect, a_timeout_of_the_stack_is_a_timeout) {
  loop.mock->next_connect(ETIMEDOUT, milliseconds(127'000));
  EXPECT_EQ(connect({"10.0.0.1"}), error::timed_out);
}

TEST_F(scripted_connect, a_shortage_is_told_first) {
  loop.mock->next_connect(ENOMEM);
  loop.mock->next_connect(ECONNREFUSED);
  EXPECT_EQ(connect({"10.0.0.1", "10.0.0.2"}), error::no_memory);
}

TEST_F(scripted_connect, a_cancel_calls_all_attempts_off) {
  loop.mock->next_connect(0, never);
  loop.mock->next_connect(0, never);
  const unique_fd trigger_fd(::dup(0));
  io::recv_op trigger;
  io::cancel_source cancel;
  trigger.socket = {trigger_fd.get(), io::next_socket_id()};
  trigger.context = &cancel;
  trigger.on_complete = [](io::operation& done) noexcept {
    static_cast<io::cancel_source*>(done.context)->request();
  };
  loop.mock->socket(trigger_fd.get()).later(milliseconds(400)).ends();
  loop.on->io().submit(trigger);
  ++descriptors;
  EXPECT_EQ(connect({"10.0.0.1", "10.0.0.2", "10.0.0.3"}, milliseconds(0), &cancel),
            error::cancelled);
  EXPECT_EQ(loop.mock->elapsed(), milliseconds(400));
  EXPECT_EQ(begun.size(), 2U);
  --descriptors;
}

TEST_F(scripted_connect, a_backend_that_breaks_down_ends_the_call) {
  loop.mock->next_connect(0, never);
  loop.mock->break_down();
  EXPECT_EQ(connect({"10.0.0.1"}), error::system);
}

} // namespace
} // namespace sluice::test
