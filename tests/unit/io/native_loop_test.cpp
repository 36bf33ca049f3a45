#include "native_fixture.hpp"

#include <sys/epoll.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

// The loop itself: other threads, embedding, sockets from elsewhere, and the client's side.

namespace sluice {
namespace {

using test::bytes;
using test::joined;
using test::letters;
using test::text_of;
using test::to_bytes;

class native_loop : public test::native_test {
protected:
  [[nodiscard]] connect_settings here() const {
    connect_settings to;
    to.host = "127.0.0.1";
    to.port = listener_->port();
    secure(to);
    return to;
  }
};

TEST_P(native_loop, open_twice_and_calls_before_open_are_errors) {
  EXPECT_FALSE(on_.is_open());
  EXPECT_EQ(on_.run(), error::invalid_state);
  EXPECT_EQ(on_.post([](void*) noexcept {}, nullptr), error::invalid_state);
  EXPECT_EQ(on_.descriptor(), -1);
  listener* none = nullptr;
  EXPECT_EQ(on_.listen({}, handler_, none), error::invalid_state);
  open_loop();
  if (on_.is_open()) {
    EXPECT_EQ(on_.open(), error::invalid_state);
    listen_settings wrong;
    wrong.address = "not an address";
    EXPECT_EQ(on_.listen(wrong, handler_, none), error::invalid_argument);
    connection* made = nullptr;
    EXPECT_EQ(on_.adopt(-1, {}, {}, handler_, made), error::invalid_argument);
    connect_settings to;
    EXPECT_EQ(on_.connect(to, handler_, made), error::invalid_argument);
    to.host = "127.0.0.1";
    to.target = "/a b";
    EXPECT_EQ(on_.connect(to, handler_, made), error::invalid_argument);
    to.target = "/";
    to.header_lines = "Broken\r\n";
    EXPECT_EQ(on_.connect(to, handler_, made), error::invalid_argument);
  }
}

TEST_P(native_loop, tasks_of_other_threads_run_here_in_order) {
  open_loop();
  if (!on_.is_open()) {
    return;
  }
  struct shared {
    loop* on = nullptr;
    std::thread::id home;
    int count = 0;
    bool wrong_thread = false;
  } state;
  state.on = &on_;
  state.home = std::this_thread::get_id();
  static constexpr int per_thread = 1000;
  const auto post_many = [&] {
    for (int i = 0; i < per_thread; ++i) {
      ASSERT_EQ(on_.post(
                    [](void* context) noexcept {
                      auto& to = *static_cast<shared*>(context);
                      to.wrong_thread |= std::this_thread::get_id() != to.home;
                      if (++to.count == 2 * per_thread) {
                        to.on->stop();
                      }
                    },
                    &state),
                error::none);
    }
  };
  std::thread first(post_many);
  std::thread second(post_many);
  EXPECT_EQ(on_.run(), error::none);
  first.join();
  second.join();
  EXPECT_EQ(state.count, 2 * per_thread);
  EXPECT_FALSE(state.wrong_thread);
}

TEST_P(native_loop, stop_before_run_ends_it_after_one_turn) {
  open_loop();
  if (!on_.is_open()) {
    return;
  }
  on_.stop();
  EXPECT_EQ(on_.run(), error::none);
  std::thread elsewhere([&] { on_.stop(); });
  EXPECT_EQ(on_.run(), error::none);
  elsewhere.join();
}

TEST_P(native_loop, an_idle_loop_asks_for_no_time_and_its_descriptor_wakes) {
  connection_settings no_timers;
  no_timers.ping_interval = no_timers.dead_after = std::chrono::milliseconds{0};
  serve(no_timers);
  raw_client peer = connected();
  EXPECT_TRUE(pump([&] { return handler_.opens == 1; }));
  int next = 0;
  EXPECT_TRUE(pump([&] { return (next = on_.run_ready()) == -1; }));
  // In an epoll set, which looks again only when it is woken.
  const int set = ::epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{};
  event.events = EPOLLIN;
  ASSERT_EQ(::epoll_ctl(set, EPOLL_CTL_ADD, on_.descriptor(), &event), 0);
  const auto sleep = [&](int timeout_ms) {
    int count = 0;
    do {
      count = ::epoll_wait(set, &event, 1, timeout_ms);
    } while (count < 0 && errno == EINTR);
    return count;
  };
  while (sleep(0) != 0) { // the news of the time before it was asked for
    EXPECT_EQ(on_.run_ready(), -1);
  }
  std::size_t seen = 0;
  handler_.slice = [&](connection&, const view&) { ++seen; };
  for (std::size_t i = 1; i <= 3; ++i) {
    EXPECT_NE(peer.try_send(make_.frame(opcode::text, true, "x")), 0u);
    while (seen < i) {
      ASSERT_EQ(sleep(10000), 1) << "message " << i;
      EXPECT_EQ(on_.run_ready(), -1);
    }
  }
  raw_client second(*this);
  second.connect();
  ASSERT_EQ(sleep(10000), 1) << "a new connection";
  ::close(set);
}

TEST_P(native_loop, a_descriptor_accepted_elsewhere_is_adopted_with_what_was_read) {
  open_loop();
  if (!on_.is_open()) {
    return;
  }
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
  std::vector<std::string> seen;
  handler_.slice = [&](connection&, const view& v) { seen.push_back(text_of(v)); };
  const bytes first = joined({to_bytes(raw_client::request()), make_.frame(opcode::text, true, "a"),
                              make_.frame(opcode::text, true, "bc")});
  connection* made = nullptr;
  // Cut inside the last frame: the rest comes over the socket.
  ASSERT_EQ(on_.adopt(ends[0], std::span(first).first(first.size() - 1), {}, handler_, made),
            error::none);
  EXPECT_EQ(handler_.opens, 0u) << "no callback before the call returns";
  raw_client peer(*this);
  peer.take(ends[1]);
  EXPECT_NE(peer.read_head().find(" 101 "), std::string::npos);
  peer.send(bytes(first.end() - 1, first.end()));
  EXPECT_TRUE(pump([&] { return seen.size() == 3; }));
  EXPECT_EQ(seen, (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_TRUE(made->is_server());
  EXPECT_EQ(&made->home(), &on_);
  EXPECT_NE(made->id(), 0u);
}

TEST_P(native_loop, client_and_server_talk_in_one_loop) {
  listen_settings settings;
  settings.connection.take = delivery::messages;
  handler_.upgrade = [](connection&, const upgrade_request& r) {
    EXPECT_EQ(r.find("x-token"), "42");
    EXPECT_EQ(r.origin(), "https://a.test");
    return upgrade_decision::accept("b");
  };
  handler_.message = [](connection& c, const view& v) { (void)c.send(v.type(), v.bytes()); };
  serve(settings);
  std::vector<std::string> back;
  std::string agreed;
  client_.open = [&](connection& c, std::string_view protocol) {
    agreed = protocol;
    EXPECT_FALSE(c.is_server());
    char name[64];
    EXPECT_GT(c.peer_address(name), 0u);
    EXPECT_EQ(c.send_text("first"), error::none);
    EXPECT_EQ(c.send_fragment(message_type::text, to_bytes("sec"), false), error::none);
    EXPECT_EQ(c.send_text("not between fragments"), error::invalid_state);
    EXPECT_EQ(c.send_fragment(message_type::text, to_bytes("ond"), true), error::none);
    EXPECT_EQ(c.send_binary(letters(300000)), error::none);
  };
  client_.message = [&](connection& c, const view& v) {
    back.push_back(text_of(v));
    if (back.size() == 3) {
      EXPECT_EQ(c.close(3000, "enough"), error::none);
    }
  };
  connect_settings to = here();
  to.subprotocols = "a, b";
  to.header_lines = "X-Token: 42\r\n";
  to.origin = "https://a.test";
  to.connection.take = delivery::messages;
  connection* made = nullptr;
  ASSERT_EQ(on_.connect(to, client_, made), error::none);
  EXPECT_EQ(made->state(), connection_state::connecting);
  EXPECT_TRUE(pump([&] { return !client_.endings.empty() && !handler_.endings.empty(); }));
  ASSERT_EQ(back.size(), 3u);
  EXPECT_EQ(back[0], "first");
  EXPECT_EQ(back[1], "second");
  EXPECT_EQ(to_bytes(back[2]), letters(300000));
  EXPECT_EQ(agreed, "b");
  EXPECT_TRUE(client_.endings[0].clean);
  EXPECT_EQ(client_.endings[0].status, 3000u);
  EXPECT_TRUE(handler_.endings[0].clean);
  EXPECT_EQ(handler_.endings[0].reason, "enough");
}

TEST_P(native_loop, a_client_is_told_why_it_was_not_opened) {
  handler_.upgrade = [](connection&, const upgrade_request&) {
    return upgrade_decision::refuse(403);
  };
  serve();
  connection* made = nullptr;
  ASSERT_EQ(on_.connect(here(), client_, made), error::none);
  EXPECT_TRUE(pump([&] { return client_.endings.size() == 1; }));
  EXPECT_EQ(client_.endings[0].cause, error::upgrade_refused);
  EXPECT_FALSE(client_.endings[0].opened);

  connect_settings nobody = here();
  listener_->close();
  EXPECT_TRUE(pump([&] {
    on_.run_ready();
    return true;
  }));
  ASSERT_EQ(on_.connect(nobody, client_, made), error::none);
  EXPECT_TRUE(pump([&] { return client_.endings.size() == 2; }));
  EXPECT_EQ(client_.endings[1].cause, error::cannot_connect);

  nobody.host = "no-such-host.invalid";
  ASSERT_EQ(on_.connect(nobody, client_, made), error::none);
  EXPECT_TRUE(pump([&] { return client_.endings.size() == 3; }));
  EXPECT_EQ(client_.endings[2].cause, error::name_not_resolved);
}

TEST_P(native_loop, a_client_finds_a_server_by_name) {
  serve();
  connect_settings to = here();
  to.host = "localhost";
  connection* made = nullptr;
  ASSERT_EQ(on_.connect(to, client_, made), error::none);
  EXPECT_TRUE(pump([&] { return client_.opens == 1; }));
}

TEST_P(native_loop, several_loops_share_a_port_and_a_closed_listener_lets_go_of_it) {
  listen_settings settings;
  settings.reuse_port = true;
  serve(settings);
  if (!on_.is_open()) {
    return;
  }
  settings.port = listener_->port();
  listener* second = nullptr;
  EXPECT_EQ(on_.listen(settings, handler_, second), error::none);
  EXPECT_EQ(second->port(), settings.port);
  settings.reuse_port = false;
  listener* third = nullptr;
  EXPECT_EQ(on_.listen(settings, handler_, third), error::cannot_listen);
  second->close();
  listener_->close();
  for (int i = 0; i < 10; ++i) {
    on_.run_ready();
  }
  EXPECT_EQ(on_.listen(settings, handler_, third), error::none);
}

TEST_P(native_loop, closing_a_loop_ends_its_connections_with_a_last_callback) {
  std::size_t ended = 0;
  {
    loop inner;
    loop_settings settings;
    settings.backend = GetParam().backend;
    settings.multishot_receives = GetParam().multishot;
    if (inner.open(settings) == error::backend_unavailable) {
      GTEST_SKIP();
    }
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    connection* made = nullptr;
    ASSERT_EQ(inner.adopt(ends[0], to_bytes(raw_client::request()), {}, client_, made),
              error::none);
    while (client_.opens == 0) {
      inner.run_ready();
    }
    client_.closed = [&](connection&, const close_event& e) {
      ++ended;
      EXPECT_EQ(e.cause, error::cancelled);
    };
    EXPECT_EQ(inner.post([](void*) noexcept { FAIL() << "dropped, not run"; }, nullptr),
              error::none);
    ::close(ends[1]);
  }
  EXPECT_EQ(ended, 1u);
}

TEST_P(native_loop, stats_count_and_fill_only_the_room_there_is) {
  serve();
  raw_client peer = connected();
  peer.send(joined({make_.frame(opcode::text, true, "abc"), make_.frame(opcode::ping, true, "")}));
  EXPECT_TRUE(peer.read_frame().has_value()); // the pong
  loop_stats now;
  on_.stats(now);
  EXPECT_EQ(now.connections_accepted, 1u);
  EXPECT_EQ(now.connections_open, 1u);
  EXPECT_EQ(now.handshakes_done, 1u);
  EXPECT_EQ(now.messages_received, 1u);
  EXPECT_EQ(now.frames_received, 2u);
  EXPECT_EQ(now.payload_received_bytes, 3u);
  EXPECT_EQ(now.frames_sent, 1u);
  EXPECT_EQ(now.payload_copied_bytes, 0u);
  EXPECT_STRNE(now.backend, "");
  EXPECT_STRNE(now.kernels, "");
  loop_stats older;
  older.size_bytes = offsetof(loop_stats, connections_accepted);
  older.connections_accepted = 77;
  on_.stats(older);
  EXPECT_EQ(older.connections_open, 1u);
  EXPECT_EQ(older.connections_accepted, 77u);
  EXPECT_EQ(older.size_bytes, offsetof(loop_stats, connections_accepted));
}

TEST_P(native_loop, busy_polling_delivers_wakes_and_stops) {
  loop_settings_.busy_poll_us = 300;
  std::size_t messages = 0;
  handler_.slice = [&](connection& c, const view& v) {
    EXPECT_EQ(c.send(v.type(), v.bytes()), error::none);
    ++messages;
    c.home().stop();
  };
  serve();
  raw_client peer = connected();
  struct step {
    loop* on;
    raw_client* peer;
    bytes wire;
  } next{&on_, &peer, make_.frame(opcode::binary, true, test::pattern(64))};
  for (std::size_t round = 1; round <= 20; ++round) {
    // Odd rounds: the message is there before run(); even rounds: another thread brings it while
    // run() spins or sleeps.
    std::thread other;
    if (round % 2 == 1) {
      ASSERT_EQ(peer.try_send(next.wire), next.wire.size());
    } else {
      other = std::thread([&next] {
        static_cast<void>(next.on->post(
            [](void* context) noexcept {
              const step& now = *static_cast<step*>(context);
              static_cast<void>(now.peer->try_send(now.wire));
            },
            &next));
      });
    }
    EXPECT_EQ(on_.run(), error::none);
    EXPECT_EQ(messages, round);
    if (other.joinable()) {
      other.join();
    }
    const auto back = peer.read_frame();
    ASSERT_TRUE(back.has_value());
    EXPECT_EQ(back->payload.size(), 64u);
  }
  loop_stats now;
  on_.stats(now);
  EXPECT_LE(now.polls_devices, GetParam().backend == io_backend::uring ? 1u : 0u);
}

TEST_P(native_loop, the_log_hook_hears_of_violations) {
  static std::vector<std::string> lines; // the loop still writes when the fixture takes it down
  lines.clear();
  loop_settings_.log.context = &lines;
  loop_settings_.log.write = [](void* context, log_level, const char* line) noexcept {
    static_cast<std::vector<std::string>*>(context)->push_back(line);
  };
  serve();
  raw_client peer = connected();
  peer.send(test::raw({0xFF, 0xFF}));
  EXPECT_TRUE(pump([&] { return !lines.empty(); }));
  EXPECT_NE(lines[0].find("protocol violation: reserved bit"), std::string::npos) << lines[0];
}

SLUICE_ON_BOTH_BACKENDS(native_loop);

} // namespace
} // namespace sluice
