// Multishot receives: operations that complete more than once, on the mock and on the kernel; and
// connections that are braked because they do not consume.
#include "io/event_loop.hpp"
#include "io/mock_backend.hpp"
#include "io/native_connection.hpp"
#include "io/uring_probe.hpp"
#include "support/loopback.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cerrno>
#include <functional>
#include <random>
#include <span>
#include <string>
#include <vector>

namespace sluice::test {
namespace {

using io::buffer_pool;
using io::recv_op;

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

/// A text message of less than 64 KiB in one frame, as a client sends it.
std::string message(const std::string& text) {
  static constexpr char key[] = {'k', 'e', 'y', '!'};
  std::string wire = "\x81";
  if (text.size() < 126) {
    wire += static_cast<char>(0x80 | text.size());
  } else {
    wire += {'\xFE', static_cast<char>(text.size() >> 8), static_cast<char>(text.size() & 0xFF)};
  }
  wire.append(key, sizeof key);
  for (std::size_t i = 0; i < text.size(); ++i) {
    wire += static_cast<char>(text[i] ^ key[i % 4]);
  }
  return wire;
}

/// A multishot receive that notes what it brings.
struct noted_receive : recv_op {
  struct event {
    std::int32_t result = 0;
    std::string bytes;
    bool last = false;
    friend bool operator==(const event&, const event&) = default;
  };
  std::vector<event> events;
  std::vector<buffer*> kept; // when `keeps`
  bool keeps = false;
  bool takes = true;

  explicit noted_receive(int fd) {
    socket = {fd, io::next_socket_id()};
    multishot = true;
    on_complete = [](io::operation& done) noexcept {
      auto& mine = static_cast<noted_receive&>(static_cast<recv_op&>(done));
      event seen{mine.result, {}, mine.idle()};
      if (mine.filled != nullptr) {
        seen.bytes.assign(reinterpret_cast<const char*>(mine.filled->bytes),
                          static_cast<std::size_t>(mine.result));
        if (mine.takes) {
          buffer& taken = *std::exchange(mine.filled, nullptr);
          if (mine.keeps) {
            mine.kept.push_back(&taken);
          } else {
            release_buffer(taken);
          }
        }
      }
      mine.events.push_back(std::move(seen));
    };
  }
  void give_back() {
    for (buffer* const one : kept) {
      release_buffer(*one);
    }
    kept.clear();
  }
};

using event = noted_receive::event;

// On the mock -------------------------------------------------------------------------------------

class multishot_mock : public testing::Test {
protected:
  multishot_mock() { loop.mock->allow_multishot(); }
  void TearDown() override {
    loop.mock->report_to(found);
    loop.on.reset();
    EXPECT_EQ(found, expected);
  }
  io::mock_socket& kernel() { return loop.mock->socket(fd.get()); }
  void turn() { ASSERT_EQ(loop.on->io().wait(loop.on->io().now()), error::none); }

  unique_fd fd{::open("/dev/null", O_RDWR | O_CLOEXEC)};
  io::mock_loop loop{std::size_t{64} << 10};
  noted_receive op{fd.get()};
  std::vector<std::string> found;
  std::vector<std::string> expected;
};

TEST_F(multishot_mock, one_submit_brings_many_reads_and_one_end) {
  loop.on->io().submit(op);
  kernel().arrives("one").arrives("two").ends();
  for (int i = 0; i < 3; ++i) {
    turn();
  }
  EXPECT_EQ(op.events, (std::vector<event>{{3, "one", false}, {3, "two", false}, {0, "", true}}));
}

TEST_F(multishot_mock, a_receive_that_does_not_ask_for_it_reads_once) {
  op.multishot = false;
  loop.on->io().submit(op);
  kernel().arrives("one").arrives("two");
  turn();
  turn();
  EXPECT_EQ(op.events, (std::vector<event>{{3, "one", true}}));
}

TEST_F(multishot_mock, each_buffer_is_taken_before_the_next) {
  op.takes = false;
  loop.on->io().submit(op);
  kernel().arrives("one").ends();
  turn();
  turn();
  expected = {"a buffer was left in a multishot receive"};
}

TEST_F(multishot_mock, a_cancel_ends_with_whatever_code) {
  for (const int number : {ECANCELED, ECONNRESET, EINTR, EAGAIN, ENOENT}) {
    loop.on->io().submit(op);
    kernel().arrives("x");
    turn();
    kernel().cancelled_with(number);
    loop.on->io().cancel(op);
    turn();
    EXPECT_EQ(op.events, (std::vector<event>{{1, "x", false}, {-number, "", true}}));
    op.events.clear();
  }
}

TEST_F(multishot_mock, reads_that_outrun_a_cancel_count) {
  loop.on->io().submit(op);
  turn();
  kernel().outruns_cancel().arrives("one").outruns_cancel().arrives("two");
  loop.on->io().cancel(op);
  turn();
  turn();
  EXPECT_EQ(op.events, (std::vector<event>{{3, "one", false}, {3, "two", true}}));
}

TEST_F(multishot_mock, without_buffers_it_waits_and_goes_on) {
  op.keeps = true;
  loop.on->io().submit(op);
  for (int i = 0; i < 20; ++i) { // the pool has 16
    kernel().arrives(std::string(4096, static_cast<char>('a' + i)));
  }
  for (int i = 0; i < 20; ++i) {
    turn();
  }
  EXPECT_EQ(op.now, io::operation::state::starved);
  EXPECT_EQ(op.events.size(), 16U);
  op.give_back();
  for (int i = 0; i < 4; ++i) {
    turn();
  }
  EXPECT_EQ(op.now, io::operation::state::armed);
  kernel().ends();
  turn();
  ASSERT_EQ(op.events.size(), 21U);
  for (std::size_t i = 0; i < 20; ++i) {
    EXPECT_EQ(op.events[i].bytes, std::string(4096, static_cast<char>('a' + i)));
  }
  op.give_back();
}

// On the kernel -----------------------------------------------------------------------------------

class multishot_kernel : public testing::Test {
protected:
  void SetUp() override {
    pool = buffer_pool::create(std::size_t{1} << 20);
    io::backend_settings settings;
    settings.small_posted = 4;
    settings.large_posted = 1;
    settings.multishot = true;
    if (io::make_backend(io::backend_choice::uring, settings, *pool, backend) != error::none ||
        !backend->multishot()) {
      GTEST_SKIP() << "io_uring or its multishot receives do not work here";
    }
    int made[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, made), 0);
    near = unique_fd(made[0]);
    far = unique_fd(made[1]);
  }
  void TearDown() override {
    backend.reset();
    pool->abandon();
  }
  void send(const std::string& text) {
    ASSERT_EQ(::send(far.get(), text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }
  void wait() { ASSERT_EQ(backend->wait(io::no_deadline), error::none); }

  buffer_pool* pool = nullptr;
  memory::unique<io::backend> backend;
  unique_fd near;
  unique_fd far;
};

TEST_F(multishot_kernel, one_submit_brings_many_reads_and_one_end) {
  noted_receive op(near.get());
  backend->submit(op);
  for (const char* const text : {"one", "two", "three"}) {
    const std::size_t before = op.events.size();
    send(text);
    while (op.events.size() == before) {
      wait();
    }
    EXPECT_EQ(op.events.back(),
              (event{static_cast<std::int32_t>(std::string(text).size()), text, false}));
  }
  far.reset();
  while (!op.idle()) {
    wait();
  }
  EXPECT_EQ(op.events.back(), (event{0, "", true}));
  EXPECT_EQ(backend->stats().receives, 3U);
}

TEST_F(multishot_kernel, a_cancel_ends_it_and_it_can_be_armed_again) {
  noted_receive op(near.get());
  for (int round = 0; round < 3; ++round) {
    backend->submit(op);
    send("x");
    while (op.events.empty()) {
      wait();
    }
    backend->cancel(op);
    backend->cancel(op); // twice is once
    while (!op.idle()) {
      wait();
    }
    EXPECT_EQ(op.events, (std::vector<event>{{1, "x", false}, {-ECANCELED, "", true}}));
    op.events.clear();
  }
}

// The ring has five buffers: the request ends with -ENOBUFS, which nobody but the counter sees.
TEST_F(multishot_kernel, without_buffers_it_waits_and_goes_on) {
  noted_receive op(near.get());
  op.keeps = true;
  std::string sent;
  for (int i = 0; i < 600; ++i) {
    sent += std::string(512, static_cast<char>('a' + i % 26));
  }
  std::size_t out = 0;
  std::string got;
  std::size_t seen = 0;
  backend->submit(op);
  while (got.size() < sent.size()) {
    if (out < sent.size()) {
      const ssize_t taken =
          ::send(far.get(), sent.data() + out, sent.size() - out, MSG_NOSIGNAL | MSG_DONTWAIT);
      out += taken > 0 ? static_cast<std::size_t>(taken) : 0;
    }
    wait();
    for (; seen < op.events.size(); ++seen) {
      got += op.events[seen].bytes;
      ASSERT_FALSE(op.events[seen].last);
    }
    if (op.kept.size() >= 5) {
      op.give_back();
    }
    ASSERT_EQ(backend->wait(io::time_point{}), error::none);
    if (op.now == io::operation::state::starved) {
      op.give_back();
    }
  }
  EXPECT_TRUE(got == sent);
  EXPECT_GT(backend->stats().starved, 0U);
  backend->cancel(op);
  while (!op.idle()) {
    wait();
  }
  op.give_back();
}

TEST_F(multishot_kernel, the_backend_may_end_before_its_receives) {
  noted_receive op(near.get());
  backend->submit(op);
  send("x");
  while (op.events.empty()) {
    wait();
  }
  backend.reset();
  EXPECT_TRUE(op.idle());
  EXPECT_EQ(op.events.back(), (event{-ECANCELED, "", true}));
}

// Connections on the mock -------------------------------------------------------------------------

struct collecting_handler final : connection_handler {
  std::vector<std::string> messages;
  std::vector<held_view> held;
  connection* open = nullptr;
  error cause = error::none;
  bool closed = false;
  std::function<void(connection&)> each;

  void on_open(connection& opened, std::string_view) noexcept override { open = &opened; }
  void on_message(connection& from, const view& message) noexcept override {
    messages.emplace_back(message.text());
    if (each) {
      each(from);
    }
  }
  void on_slice(connection& from, const view& slice) noexcept override { on_message(from, slice); }
  void on_close(connection&, const close_event& how) noexcept override {
    closed = true;
    open = nullptr;
    cause = how.cause;
  }
};

class multishot_brake : public testing::Test {
protected:
  void start(loop_settings settings = {}, std::size_t pool_bytes = std::size_t{1} << 20) {
    buffer_pool* const pool = buffer_pool::create(pool_bytes);
    ASSERT_NE(pool, nullptr);
    memory::unique<io::mock_backend> made = memory::make_unique<io::mock_backend>(*pool);
    mock = made.get();
    mock->allow_multishot();
    mock->report_to(violations);
    settings.multishot_receives = true;
    settings.small_buffers_posted = 1; // a mock posts none, but the sums want a number
    settings.large_buffers_posted = 1;
    settings.max_pool_bytes = pool_bytes;
    ASSERT_EQ(io::event_loop::create_on(outer, settings,
                                        memory::unique<io::backend>(made.release()), *pool, on),
              error::none);
  }
  void TearDown() override {
    if (on != nullptr) {
      io::event_loop::destroy(on);
    }
    EXPECT_EQ(violations, std::vector<std::string>{});
  }

  /// A connection that is open; what comes next is its kernel's script.
  io::mock_socket& open(connection_settings settings = {}) {
    int ends[2] = {-1, -1};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    peers.emplace_back(ends[1]);
    settings.take = delivery::messages;
    connection* made = nullptr;
    EXPECT_EQ(on->adopt(ends[0], {}, settings, handler, made), error::none);
    io::mock_socket& kernel = mock->socket(ends[0]);
    kernel.arrives("GET / HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                   "Sec-WebSocket-Version: 13\r\n\r\n");
    turns(4);
    EXPECT_NE(handler.open, nullptr);
    return kernel;
  }
  void turns(int count) {
    while (count-- > 0) {
      static_cast<void>(on->run_ready(1));
    }
  }
  [[nodiscard]] loop_stats stats() const {
    loop_stats now;
    on->stats(now);
    return now;
  }

  collecting_handler handler;
  sluice::loop outer; // never opened: callbacks may ask for it
  io::event_loop* on = nullptr;
  io::mock_backend* mock = nullptr;
  std::vector<unique_fd> peers;
  std::vector<std::string> violations;
};

TEST_F(multishot_brake, one_request_serves_a_connection_that_consumes) {
  start();
  io::mock_socket& kernel = open();
  for (int i = 0; i < 50; ++i) {
    kernel.arrives(message(std::to_string(i)));
  }
  turns(60);
  EXPECT_EQ(handler.messages.size(), 50U);
  EXPECT_EQ(stats().reads_braked, 0U);
  EXPECT_EQ(stats().multishot, 1U);
}

TEST_F(multishot_brake, a_pause_cancels_and_a_resume_arms_again) {
  start();
  io::mock_socket& kernel = open();
  handler.each = [](connection& c) { c.pause_reading(); };
  for (int i = 0; i < 20; ++i) {
    kernel.arrives(message(std::to_string(i)));
  }
  for (std::size_t i = 1; i <= 20; ++i) {
    turns(5);
    EXPECT_EQ(handler.messages.size(), i);
    EXPECT_LE(mock->buffers_out(), 1U) << "one buffer is read ahead, not all there are";
    ASSERT_NE(handler.open, nullptr);
    handler.open->resume_reading();
  }
  EXPECT_GT(stats().reads_braked, 0U);
}

// Whatever the cancelled request ends with, nothing is lost.
TEST_F(multishot_brake, reads_that_outrun_the_brake_are_delivered_after_the_pause) {
  start();
  io::mock_socket& kernel = open();
  handler.each = [](connection& c) { c.pause_reading(); };
  kernel.arrives(message("a"));
  kernel.outruns_cancel().arrives(message("b")).outruns_cancel().arrives(message("c"));
  turns(5);
  EXPECT_EQ(handler.messages, (std::vector<std::string>{"a"}));
  handler.each = nullptr;
  handler.open->resume_reading();
  turns(5);
  EXPECT_EQ(handler.messages, (std::vector<std::string>{"a", "b", "c"}));
  kernel.arrives(message("d"));
  turns(5);
  EXPECT_EQ(handler.messages.back(), "d");
}

TEST_F(multishot_brake, an_end_that_outruns_the_brake_comes_after_what_was_read) {
  start();
  io::mock_socket& kernel = open();
  handler.each = [](connection& c) { c.pause_reading(); };
  kernel.arrives(message("a") + message("b"));
  kernel.outruns_cancel().ends();
  turns(5);
  EXPECT_EQ(handler.messages, (std::vector<std::string>{"a"}));
  EXPECT_FALSE(handler.closed);
  handler.open->resume_reading();
  turns(5);
  EXPECT_EQ(handler.messages, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(handler.closed);
  EXPECT_EQ(handler.cause, error::end_of_stream);
}

TEST_F(multishot_brake, an_error_comes_after_what_was_read) {
  start();
  io::mock_socket& kernel = open();
  kernel.arrives(message("a")).fails(ECONNRESET);
  turns(5);
  EXPECT_EQ(handler.messages, (std::vector<std::string>{"a"}));
  EXPECT_TRUE(handler.closed);
  EXPECT_EQ(handler.cause, error::connection_lost);
}

TEST_F(multishot_brake, a_connection_over_its_budget_is_held_back) {
  loop_settings settings;
  settings.turn_frames = 1;
  start(settings);
  // Slices of many frames: more than the turns that a tick allows.
  io::mock_socket& kernel = open();
  std::string many;
  for (int i = 0; i < 100; ++i) {
    many += message("m");
  }
  for (int i = 0; i < 10; ++i) {
    kernel.arrives(many);
  }
  turns(200);
  EXPECT_EQ(handler.messages.size(), 1000U);
  EXPECT_GT(stats().reads_braked, 0U);
  EXPECT_GT(stats().turns_over_budget, 0U);
}

TEST_F(multishot_brake, lent_views_brake_and_their_return_arms_again) {
  start();
  connection_settings settings;
  settings.max_lent_bytes = 8192;
  io::mock_socket& kernel = open(settings);
  struct keeping final : connection_handler {
    std::vector<held_view> held;
    void on_message(connection&, const view& message) noexcept override {
      held.push_back(message.hold());
    }
  } keeper;
  handler.open->set_handler(keeper);
  const std::string large(3000, 'x');
  for (int i = 0; i < 20; ++i) {
    kernel.arrives(message(large));
  }
  turns(30);
  EXPECT_LT(keeper.held.size(), 6U) << "two buffers, and what a brake lets through";
  EXPECT_GT(stats().reads_braked, 0U);
  std::size_t all = keeper.held.size();
  for (int round = 0; round < 40 && all < 20; ++round) {
    keeper.held.clear();
    turns(10);
    all += keeper.held.size();
  }
  EXPECT_EQ(all, 20U);
  keeper.held.clear();
  io::event_loop::destroy(std::exchange(on, nullptr)); // before its handler
}

TEST_F(multishot_brake, a_connection_that_ends_lets_the_kernel_finish) {
  start();
  io::mock_socket& kernel = open();
  kernel.outruns_cancel().arrives("x").outruns_cancel().arrives("y");
  handler.open->abort();
  turns(5);
  EXPECT_TRUE(handler.closed);
  EXPECT_TRUE(handler.messages.empty());
  EXPECT_EQ(mock->buffers_out(), 0U);
  EXPECT_EQ(mock->operations_armed(), 0U);
}

// Whatever the kernel and the program do: every message, in order, and every buffer back.
TEST_F(multishot_brake, random_scripts_deliver_every_message) {
  std::mt19937 random(1107);
  for (unsigned round = 0; round < 200; ++round) {
    loop_settings settings;
    settings.turn_frames = static_cast<std::uint32_t>(1 + random() % 8);
    start(settings, std::size_t{256} << 10);
    handler = {};
    handler.each = [&](connection& c) {
      if (random() % 4 == 0) {
        c.pause_reading();
      }
    };
    io::mock_socket& kernel = open();
    std::string wire;
    std::vector<std::string> sent;
    for (auto i = random() % 60; i != 0; --i) {
      sent.push_back(std::string(random() % 6000, static_cast<char>('a' + random() % 26)));
      wire += message(sent.back());
    }
    std::vector<std::byte> script(random() % 40);
    for (std::byte& step : script) {
      step = static_cast<std::byte>(random());
      if ((step & std::byte{7}) == std::byte{6}) {
        step = std::byte{3}; // time stands still here
      }
    }
    kernel.plays(script, bytes_of(wire)).ends();
    for (int turn = 0; turn < 5000 && !handler.closed; ++turn) {
      turns(1);
      if (handler.open != nullptr && random() % 3 == 0) {
        handler.open->resume_reading();
      }
    }
    ASSERT_TRUE(handler.closed) << "round " << round;
    ASSERT_TRUE(handler.messages == sent) << "round " << round;
    ASSERT_EQ(mock->buffers_out(), 0U);
    io::event_loop::destroy(std::exchange(on, nullptr));
    peers.clear();
  }
}

} // namespace
} // namespace sluice::test
