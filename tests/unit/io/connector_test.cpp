#include "io/connector.hpp"

#include "support/asleep.hpp"
#include "support/each_backend.hpp"
#include "support/fake_resolver.hpp"
#include "support/loopback.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <string>
#include <thread>
#include <vector>

namespace sluice::test {
namespace {

using io::cancel_source;
using io::connect_observer;
using io::connect_timeouts;
using io::stream;
using std::chrono::milliseconds;

/// Writes down what connect() reports.
struct journal {
  std::vector<std::string> lines;

  connect_observer observer() {
    connect_observer made;
    made.context = this;
    made.resolving = [](void* c, const char* host) noexcept { note(c, "resolving", host); };
    made.resolved = [](void* c, const char* at) noexcept { note(c, "resolved", at); };
    made.connecting = [](void* c, const char* at) noexcept { note(c, "connecting", at); };
    made.connected = [](void* c, const char* at) noexcept { note(c, "connected", at); };
    return made;
  }

private:
  static void note(void* self, const char* what, const char* text) {
    static_cast<journal*>(self)->lines.push_back(std::string(what) + " " + text);
  }
};

class connector_on : public each_backend {
protected:
  error connect(const char* host, std::uint16_t port, const connect_timeouts& timeouts = {},
                cancel_source* cancel = nullptr) {
    const connect_observer observer = seen.observer();
    return io::connect(*on, {host, port}, timeouts, cancel, &observer, connected);
  }

  void expect_working(const listener& server) {
    ASSERT_TRUE(connected.is_open());
    const unique_fd peer = server.accept();
    const std::string text = "hello";
    ASSERT_EQ(connected.write(*on, std::as_bytes(std::span(text)), milliseconds{0}, nullptr),
              error::none);
    EXPECT_EQ(receive_exactly(peer.get(), 5), "hello");
  }

  journal seen;
  stream connected;
};
SLUICE_ON_EACH_BACKEND(connector_on);

TEST_P(connector_on, connects_to_a_numeric_address) {
  const listener server;
  ASSERT_EQ(connect("127.0.0.1", server.port), error::none);
  expect_working(server);
  EXPECT_EQ(seen.lines, (std::vector<std::string>{"resolving 127.0.0.1", "resolved 127.0.0.1",
                                                  "connecting 127.0.0.1", "connected 127.0.0.1"}));
}

TEST_P(connector_on, connects_to_an_ipv6_address) {
  const listener server("::1");
  if (!server.ok) {
    GTEST_SKIP() << "no IPv6 here";
  }
  ASSERT_EQ(connect("::1", server.port), error::none);
  expect_working(server);
  EXPECT_EQ(seen.lines.back(), "connected ::1");
}

TEST_P(connector_on, connects_to_localhost_by_name) {
  const listener server;
  ASSERT_EQ(connect("localhost", server.port), error::none);
  expect_working(server);
}

// RFC 6761 section 6.3: no name server is asked, nor believed.
TEST_P(connector_on, names_of_this_host_need_no_lookup) {
  const listener server;
  fake_resolver names({});
  names.fail(EAI_NONAME);
  for (const char* name : {"localhost", "LOCALHOST", "localhost.", "feed.localhost"}) {
    EXPECT_EQ(connect(name, server.port), error::none) << name;
  }
  EXPECT_EQ(names.started(), 0);
  for (const char* name : {"notlocalhost", "localhost.test", "ocalhost"}) {
    EXPECT_EQ(connect(name, server.port), error::name_not_resolved) << name;
  }
  EXPECT_EQ(names.started(), 3);
}

TEST_P(connector_on, the_socket_is_set_up_for_small_messages_and_closed_on_exec) {
  const listener server;
  ASSERT_EQ(connect("127.0.0.1", server.port), error::none);
  int value = 0;
  socklen_t size = sizeof value;
  ASSERT_EQ(::getsockopt(connected.descriptor(), IPPROTO_TCP, TCP_NODELAY, &value, &size), 0);
  EXPECT_NE(value, 0);
  EXPECT_NE(::fcntl(connected.descriptor(), F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_NE(::fcntl(connected.descriptor(), F_GETFL) & O_NONBLOCK, 0);
}

TEST_P(connector_on, no_observer_is_fine) {
  const listener server;
  EXPECT_EQ(io::connect(*on, {"127.0.0.1", server.port}, {}, nullptr, nullptr, connected),
            error::none);
}

TEST_P(connector_on, TMO_02_a_refused_connection_is_cannot_connect) {
  std::uint16_t port = 0;
  {
    const listener gone;
    port = gone.port;
  }
  const std::size_t before = open_descriptors();
  EXPECT_EQ(connect("127.0.0.1", port), error::cannot_connect);
  EXPECT_FALSE(connected.is_open());
  EXPECT_EQ(open_descriptors(), before);
}

TEST_P(connector_on, TMO_02_a_silent_address_times_out) {
  const silent_port nobody;
  const std::size_t before = open_descriptors();
  EXPECT_EQ(connect("127.0.0.1", nobody.port(), {.connect = milliseconds(20)}), error::timed_out);
  EXPECT_FALSE(connected.is_open());
  EXPECT_EQ(open_descriptors(), before);
}

TEST_P(connector_on, a_cancel_ends_a_connect_that_waits) {
  const silent_port nobody;
  cancel_source cancel;
  const pid_t caller = this_thread_id();
  const std::size_t before = open_descriptors();
  std::thread other([&] {
    wait_until_asleep(caller);
    cancel.request();
  });
  EXPECT_EQ(connect("127.0.0.1", nobody.port(), {}, &cancel), error::cancelled);
  other.join();
  EXPECT_EQ(open_descriptors(), before);
}

TEST_P(connector_on, a_cancel_before_the_call_ends_it) {
  const listener server;
  cancel_source cancel;
  cancel.request();
  EXPECT_EQ(connect("127.0.0.1", server.port, {}, &cancel), error::cancelled);
  EXPECT_EQ(connect("fake.test", server.port, {}, &cancel), error::cancelled);
}

TEST_P(connector_on, names_that_cannot_be_looked_up_are_name_not_resolved) {
  EXPECT_EQ(connect(nullptr, 80), error::name_not_resolved);
  EXPECT_EQ(connect("", 80), error::name_not_resolved);
  EXPECT_EQ(connect(std::string(256, 'a').c_str(), 80), error::name_not_resolved);
  fake_resolver names({"127.0.0.1"});
  names.fail(EAI_NONAME);
  EXPECT_EQ(connect("fake.test", 80), error::name_not_resolved);
  names.fail(EAI_AGAIN);
  EXPECT_EQ(connect("fake.test", 80), error::name_not_resolved);
  names.fail(EAI_SYSTEM, ENOENT);
  EXPECT_EQ(connect("fake.test", 80), error::name_not_resolved);
  EXPECT_EQ(names.started(), 3);
}

TEST_P(connector_on, shortages_of_a_lookup_are_named) {
  fake_resolver names({});
  names.fail(EAI_MEMORY);
  EXPECT_EQ(connect("fake.test", 80), error::no_memory);
  names.fail(EAI_SYSTEM, EMFILE);
  EXPECT_EQ(connect("fake.test", 80), error::out_of_descriptors);
}

TEST_P(connector_on, a_slow_lookup_is_waited_for) {
  const listener server;
  fake_resolver names({"127.0.0.1"});
  names.hold();
  std::thread other([&] {
    names.wait_for_start(1);
    names.release();
  });
  EXPECT_EQ(connect("fake.test", server.port), error::none);
  other.join();
}

TEST_P(connector_on, TMO_01_a_lookup_that_takes_too_long_times_out_and_is_left_behind) {
  fake_resolver names({"127.0.0.1"});
  names.hold();
  EXPECT_EQ(connect("fake.test", 80, {.resolve = milliseconds(5)}), error::timed_out);
  EXPECT_EQ(names.finished(), 0);
  on.reset(); // the loop it would have woken is gone when it ends
  names.release();
  names.wait_until_clean();
}

TEST_P(connector_on, a_cancel_leaves_a_lookup_behind) {
  fake_resolver names({"127.0.0.1"});
  names.hold();
  cancel_source cancel;
  std::thread other([&] {
    names.wait_for_start(1);
    cancel.request();
  });
  EXPECT_EQ(connect("fake.test", 80, {}, &cancel), error::cancelled);
  other.join();
  EXPECT_EQ(names.finished(), 0);
}

TEST_P(connector_on, numeric_addresses_need_no_lookup) {
  const listener server;
  fake_resolver names({});
  names.hold();
  EXPECT_EQ(connect("127.0.0.1", server.port), error::none);
  EXPECT_EQ(names.started(), 0);
}

// RFC 8305 -------------------------------------------------------------------------------------

TEST_P(connector_on, the_next_address_is_tried_at_once_when_one_refuses) {
  const listener server("127.0.0.2");
  fake_resolver names({"127.0.0.3", "127.0.0.4", "127.0.0.2"});
  ASSERT_EQ(connect("fake.test", server.port), error::none);
  expect_working(server);
  EXPECT_EQ(seen.lines, (std::vector<std::string>{"resolving fake.test", "resolved 127.0.0.3",
                                                  "connecting 127.0.0.3", "connecting 127.0.0.4",
                                                  "connecting 127.0.0.2", "connected 127.0.0.2"}));
}

TEST_P(connector_on, a_silent_address_does_not_hold_up_the_next_one) {
  const listener server("127.0.0.2");
  const silent_port nobody("127.0.0.3", server.port);
  fake_resolver names({"127.0.0.3", "127.0.0.2"});
  const std::size_t before = open_descriptors();
  ASSERT_EQ(connect("fake.test", server.port), error::none);
  EXPECT_EQ(seen.lines.back(), "connected 127.0.0.2");
  EXPECT_EQ(open_descriptors(), before + 1) << "the silent one is closed";
  expect_working(server);
}

TEST_P(connector_on, all_addresses_refusing_is_cannot_connect) {
  std::uint16_t port = 0;
  {
    const listener gone;
    port = gone.port;
  }
  fake_resolver names({"127.0.0.3", "127.0.0.4", "127.0.0.5"});
  EXPECT_EQ(connect("fake.test", port), error::cannot_connect);
  EXPECT_EQ(seen.lines.size(), 5U);
}

TEST_P(connector_on, more_addresses_than_the_queue_is_long) {
  const listener server("127.0.0.2");
  std::vector<std::string> addresses;
  for (int i = 10; i < 60; ++i) {
    addresses.push_back("127.0.1." + std::to_string(i));
  }
  fake_resolver names(addresses);
  EXPECT_EQ(connect("fake.test", server.port), error::cannot_connect);
  EXPECT_EQ(seen.lines.size(), 2U + 32U) << "so many are tried and no more";
}

TEST_P(connector_on, a_name_without_addresses_is_cannot_connect_or_not_resolved) {
  fake_resolver names({});
  const error e = connect("fake.test", 80);
  EXPECT_TRUE(e == error::cannot_connect || e == error::name_not_resolved);
}

} // namespace
} // namespace sluice::test
