#include "native_fixture.hpp"
#include "support/fake_resolver.hpp"

#include <chrono>
#include <string>
#include <thread>
#include <vector>

// How a client gets its connection when a name has several addresses (RFC 8305).

namespace sluice {
namespace {

using namespace sluice::test;

/// A port on which a SYN gets no answer: a listener whose queue is full.
class silent_address {
public:
  silent_address(const char* address, std::uint16_t port) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    ::inet_pton(AF_INET, address, &at.sin_addr);
    ok_ = ::bind(listener_, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0 &&
          ::listen(listener_, 0) == 0;
    for (int& fd : waiting_) {
      fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
      static_cast<void>(::connect(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at));
    }
  }
  silent_address(const silent_address&) = delete;
  silent_address& operator=(const silent_address&) = delete;
  ~silent_address() {
    for (const int fd : waiting_) {
      ::close(fd);
    }
    ::close(listener_);
  }
  [[nodiscard]] bool ok() const { return ok_; }

private:
  int listener_ = -1;
  int waiting_[4] = {-1, -1, -1, -1};
  bool ok_ = false;
};

class native_connect : public native_test {
protected:
  error connect() {
    connect_settings to;
    to.host = "fake.test";
    to.port = listener_->port();
    to.tls_name = "localhost";
    secure(to);
    connection* made = nullptr;
    return on_.connect(to, client_, made);
  }
};

TEST_P(native_connect, a_silent_address_does_not_hold_up_the_next_one) {
  const fake_resolver names({"127.0.0.3", "127.0.0.1"});
  serve();
  const silent_address silent("127.0.0.3", listener_->port());
  ASSERT_TRUE(silent.ok());
  ASSERT_EQ(connect(), error::none);
  EXPECT_TRUE(pump([&] { return client_.opens == 1; }));
  EXPECT_TRUE(client_.endings.empty());
  names.wait_until_clean();
}

TEST_P(native_connect, a_refused_address_is_followed_by_the_next_one) {
  const fake_resolver names({"127.0.0.5", "::1", "127.0.0.6", "127.0.0.1"});
  serve();
  ASSERT_EQ(connect(), error::none);
  EXPECT_TRUE(pump([&] { return client_.opens == 1; }));
  loop_stats now;
  on_.stats(now);
  EXPECT_EQ(now.connections_made, 1u);
}

TEST_P(native_connect, when_every_address_refuses_the_connection_ends_once) {
  const fake_resolver names({"127.0.0.5", "127.0.0.6", "127.0.0.7"});
  serve();
  ASSERT_EQ(connect(), error::none);
  EXPECT_TRUE(pump([&] { return client_.endings.size() == 1; }));
  EXPECT_EQ(client_.endings[0].cause, error::cannot_connect);
  EXPECT_FALSE(client_.endings[0].opened);
}

TEST_P(native_connect, a_race_under_way_ends_with_its_connection_or_its_loop) {
  const fake_resolver names({"127.0.0.3", "127.0.0.4"});
  test::counted_memory& memory = count_memory();
  const std::size_t nothing = memory.live();
  serve();
  {
    const silent_address silent("127.0.0.3", listener_->port());
    const silent_address silent_too("127.0.0.4", listener_->port());
    ASSERT_TRUE(silent.ok() && silent_too.ok());
    connect_settings to;
    to.host = "fake.test";
    to.port = listener_->port();
    to.tls_name = "localhost";
    secure(to);
    connection* first = nullptr;
    connection* second = nullptr;
    ASSERT_EQ(on_.connect(to, client_, first), error::none);
    ASSERT_EQ(on_.connect(to, client_, second), error::none);
    EXPECT_TRUE(pump([&] { return names.finished() >= 2; }));
    for (int turns = 0; turns < 10; ++turns) {
      static_cast<void>(on_.run_ready());
    }
    first->abort();
    EXPECT_TRUE(pump([&] { return client_.endings.size() == 1; }));
    EXPECT_EQ(client_.endings[0].cause, error::cancelled);
  }
  on_.~loop();
  EXPECT_EQ(client_.endings.size(), 2u);
  // The thread of a lookup may come late, and is the last to let go then.
  const auto end = std::chrono::steady_clock::now() + patience;
  while (memory.live() != nothing && std::chrono::steady_clock::now() < end) {
    std::this_thread::yield();
  }
  EXPECT_EQ(memory.live(), nothing);
  ::new (static_cast<void*>(&on_)) loop;
}

SLUICE_ON_BOTH_BACKENDS(native_connect);

} // namespace
} // namespace sluice
