#include "native_fixture.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <vector>

// What many connections cost at rest and at work.

namespace sluice {
namespace {

using namespace sluice::test;

class native_scale : public native_test {
protected:
  ~native_scale() override {
    for (const int fd : peers_) {
      ::close(fd);
    }
  }

  /// The number of connections, both ends of which fit into this process; at most `wanted`.
  static std::size_t fitting(std::size_t wanted) {
    constexpr rlim_t others = 200;
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
    ::getrlimit(RLIMIT_NOFILE, &files);
    return files.rlim_cur == RLIM_INFINITY
               ? wanted
               : std::min<std::size_t>(wanted, (files.rlim_cur - others) / 2);
  }

  void adopt(std::size_t count) {
    // The request lies in a receive buffer until it is read: not more at a time than the pool has.
    constexpr std::size_t at_a_time = 50;
    const bytes request = to_bytes(raw_client::request());
    for (std::size_t done = 0; done < count;) {
      for (std::size_t i = 0; i < at_a_time && done < count; ++i, ++done) {
        int ends[2];
        ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
        connection* made = nullptr;
        ASSERT_EQ(on_.adopt(ends[0], request, {}, handler_, made), error::none);
        peers_.push_back(ends[1]);
      }
      ASSERT_TRUE(pump([&] { return handler_.opens == peers_.size(); }));
    }
  }

  void send_to_all(const bytes& wire) {
    const std::size_t before = messages_;
    for (const int fd : peers_) {
      ASSERT_EQ(::send(fd, wire.data(), wire.size(), MSG_DONTWAIT),
                static_cast<ssize_t>(wire.size()));
    }
    ASSERT_TRUE(pump([&] { return messages_ == before + peers_.size(); }));
  }

  [[nodiscard]] loop_stats stats() const {
    loop_stats now;
    on_.stats(now);
    return now;
  }

  std::vector<int> peers_;
  std::size_t messages_ = 0;
};

TEST_P(native_scale, ten_thousand_idle_connections_cost_at_most_1_KiB_of_heap_each) {
  constexpr std::size_t warm_up = 20;
  const std::size_t count = fitting(10'000 + warm_up) - warm_up;
  std::printf("%zu connections, as the limit of open files allows\n", count);
  ASSERT_GE(count, 200u);
  handler_.slice = [&](connection&, const view& v) { messages_ += v.message_end() ? 1u : 0u; };
  test::counted_memory& memory = count_memory();
  open_loop();
  if (!on_.is_open()) {
    return;
  }
  const bytes wire = make_.frame(opcode::binary, true, pattern(125));
  adopt(warm_up);
  send_to_all(wire);
  const std::size_t before = memory.live_bytes();
  const std::uint64_t pool = stats().pool_bytes;
  adopt(count);
  send_to_all(wire);
  EXPECT_LE((memory.live_bytes() - before) / count, 1024u);
  EXPECT_EQ(stats().connections_open, count + warm_up);
  // None of them holds a receive buffer: the pool has grown by what is in turn at a time, not by a
  // buffer for each.
  EXPECT_LE(stats().pool_bytes - pool, count * 4096 / 4);

  const std::size_t allocations = memory.allocations();
  send_to_all(wire);
  EXPECT_EQ(memory.allocations(), allocations);
  EXPECT_EQ(stats().payload_copied_bytes, 0u);
  EXPECT_EQ(stats().messages_received, 2 * (count + warm_up) + warm_up);
}

SLUICE_ON_BOTH_BACKENDS(native_scale);

} // namespace
} // namespace sluice
