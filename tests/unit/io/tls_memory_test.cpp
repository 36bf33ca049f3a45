#include "native_fixture.hpp"

#include <openssl/crypto.h>

#include <fcntl.h>
#include <malloc.h>
#include <sys/wait.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>

// What an idle TLS connection costs in all: the library's memory and OpenSSL's, counted in this
// process, while the other end of the connections lives in a child of it.

namespace sluice::test {
namespace {

std::atomic<std::size_t> openssl_bytes{0};

void* take(std::size_t bytes, const char* /*file*/, int /*line*/) {
  void* const taken = std::malloc(bytes);
  openssl_bytes += ::malloc_usable_size(taken);
  return taken;
}
void give_back(void* taken, const char* /*file*/, int /*line*/) {
  openssl_bytes -= ::malloc_usable_size(taken);
  std::free(taken);
}
void* resize(void* taken, std::size_t bytes, const char* file, int line) {
  if (bytes == 0) {
    give_back(taken, file, line);
    return nullptr;
  }
  const std::size_t before = ::malloc_usable_size(taken);
  void* const grown = std::realloc(taken, bytes);
  if (grown != nullptr) {
    openssl_bytes += ::malloc_usable_size(grown) - before;
  }
  return grown;
}

// Before OpenSSL has taken anything.
const bool counting = CRYPTO_set_mem_functions(&take, &resize, &give_back) == 1;

constexpr std::size_t warm_up = 20;
constexpr std::size_t measured = 150;

/// One end of many connections: each sends a message, or echoes it.
class one_end {
public:
  error open(io_backend with) {
    loop_settings settings;
    settings.backend = with;
    handler_.message = [this](connection& c, const view& v) {
      ++messages_;
      if (c.is_server()) {
        EXPECT_EQ(c.send(v.type(), v.bytes()), error::none);
      }
    };
    handler_.open = [](connection& c, std::string_view) {
      if (!c.is_server()) {
        EXPECT_EQ(c.send_binary(pattern(125)), error::none);
      }
    };
    return on_.open(settings);
  }
  std::uint16_t listen() {
    listen_settings settings;
    settings.connection.take = delivery::messages;
    settings.connection.tls = server_tls();
    listener* made = nullptr;
    EXPECT_EQ(on_.listen(settings, handler_, made), error::none);
    return made != nullptr ? made->port() : std::uint16_t{0};
  }
  void connect(std::uint16_t port, std::size_t count) {
    if (!client_) {
      client_ = client_tls();
    }
    connect_settings to;
    to.host = "127.0.0.1";
    to.port = port;
    to.connection.take = delivery::messages;
    to.connection.tls = client_;
    for (std::size_t i = 0; i < count; ++i) {
      connection* made = nullptr;
      ASSERT_EQ(on_.connect(to, handler_, made), error::none);
    }
  }
  /// Until so many messages have come; false if that takes too long.
  bool turn_until(std::size_t messages) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{20};
    while (messages_ < messages && std::chrono::steady_clock::now() < deadline) {
      const int wait_ms = on_.run_ready();
      pollfd ready{on_.descriptor(), POLLIN, 0};
      ::poll(&ready, 1, wait_ms < 0 || wait_ms > 20 ? 20 : wait_ms);
    }
    for (int i = 0; i < 10; ++i) { // what was queued leaves
      on_.run_ready();
    }
    return messages_ >= messages;
  }

private:
  scripted_handler handler_;
  tls_config client_;
  std::size_t messages_ = 0;
  loop on_;
};

class tls_memory : public ::testing::TestWithParam<native_mode> {
protected:
  /// Runs `other` in a child, which gets the ends of two pipes.
  void start_other_end(void (*other)(io_backend with, int from, int to)) {
    static_cast<void>(tls_test_identity()); // both processes have the same
    ASSERT_EQ(::pipe(to_child_), 0);
    ASSERT_EQ(::pipe(from_child_), 0);
    child_ = ::fork();
    ASSERT_GE(child_, 0);
    if (child_ == 0) {
      ::close(to_child_[1]);
      ::close(from_child_[0]);
      other(GetParam().backend, to_child_[0], from_child_[1]);
      ::_exit(0);
    }
    ::close(to_child_[0]);
    ::close(from_child_[1]);
  }
  void TearDown() override {
    if (child_ > 0) {
      ::close(to_child_[1]); // its word to go
      ::close(from_child_[0]);
      ::waitpid(child_, nullptr, 0);
    }
  }
  static bool say(int to, std::size_t number) {
    return ::write(to, &number, sizeof number) == sizeof number;
  }
  static bool hear(int from, std::size_t& number) {
    return ::read(from, &number, sizeof number) == sizeof number;
  }

  int to_child_[2] = {-1, -1};
  int from_child_[2] = {-1, -1};
  pid_t child_ = -1;
};

void expect_at_most(std::size_t most_bytes, std::size_t ours, std::size_t openssl) {
  std::printf("per connection: %zu bytes of the library's, %zu of OpenSSL's\n", ours / measured,
              openssl / measured);
  EXPECT_LE((ours + openssl) / measured, most_bytes);
  EXPECT_GT(openssl / measured, 1024u) << "it was not counted";
}

TEST_P(tls_memory, an_idle_server_connection_costs_at_most_18_KiB_with_openssl) {
  ASSERT_TRUE(counting);
  start_other_end([](io_backend with, int from, int to) {
    one_end clients;
    std::size_t port = 0;
    std::size_t count = 0;
    std::size_t in_all = 0;
    if (clients.open(with) != error::none || !hear(from, port)) {
      return;
    }
    while (hear(from, count)) {
      clients.connect(static_cast<std::uint16_t>(port), count);
      in_all += count;
      if (!clients.turn_until(in_all) || !say(to, in_all)) {
        return;
      }
    }
  });
  counted_memory memory;
  {
    one_end server;
    const error failed = server.open(GetParam().backend);
    if (failed == error::backend_unavailable) {
      GTEST_SKIP() << "not available here";
    }
    ASSERT_EQ(failed, error::none);
    ASSERT_TRUE(say(to_child_[1], server.listen()));
    ASSERT_TRUE(say(to_child_[1], warm_up));
    ASSERT_TRUE(server.turn_until(warm_up));
    const std::size_t ours = memory.live_bytes();
    const std::size_t theirs = openssl_bytes;
    ASSERT_TRUE(say(to_child_[1], measured));
    ASSERT_TRUE(server.turn_until(warm_up + measured));
    expect_at_most(18 * 1024, memory.live_bytes() - ours, openssl_bytes - theirs);
  }
}

// A client's OpenSSL keeps the certificate that its peer has shown: one copy for all connections.
TEST_P(tls_memory, an_idle_client_connection_costs_at_most_18_KiB_with_openssl) {
  ASSERT_TRUE(counting);
  start_other_end([](io_backend with, int from, int to) {
    one_end server;
    if (server.open(with) == error::none && say(to, server.listen())) {
      ::fcntl(from, F_SETFL, O_NONBLOCK);
      std::size_t word = 0;
      while (::read(from, &word, sizeof word) != 0) { // until the parent closes it
        static_cast<void>(server.turn_until(0));
        pollfd closed{from, POLLIN, 0};
        ::poll(&closed, 1, 1);
      }
    }
  });
  counted_memory memory;
  {
    one_end clients;
    const error failed = clients.open(GetParam().backend);
    if (failed == error::backend_unavailable) {
      GTEST_SKIP() << "not available here";
    }
    ASSERT_EQ(failed, error::none);
    std::size_t port = 0;
    ASSERT_TRUE(hear(from_child_[0], port));
    clients.connect(static_cast<std::uint16_t>(port), warm_up);
    ASSERT_TRUE(clients.turn_until(warm_up));
    const std::size_t ours = memory.live_bytes();
    const std::size_t theirs = openssl_bytes;
    clients.connect(static_cast<std::uint16_t>(port), measured);
    ASSERT_TRUE(clients.turn_until(warm_up + measured));
    expect_at_most(18 * 1024, memory.live_bytes() - ours, openssl_bytes - theirs);
  }
}

// Over TLS receives are one-shot in any case.
INSTANTIATE_TEST_SUITE_P(backends, tls_memory,
                         ::testing::Values(native_mode{io_backend::epoll, false},
                                           native_mode{io_backend::uring, false}),
                         mode_name);

} // namespace
} // namespace sluice::test
