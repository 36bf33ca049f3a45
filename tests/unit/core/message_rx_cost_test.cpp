#include "core/message_rx.hpp"

#include "support/allocations.hpp"
#include "support/frames.hpp"
#include "support/slices.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

// What receiving may cost, by counters: allocations, copies, memory held.

namespace sluice {
namespace {

using test::bytes;
using test::counted_memory;
using test::frame_maker;
using test::joined;
using test::lent_buffer_owner;
using test::letters;
using test::pattern;

struct totals {
  std::uint64_t pieces = 0;
  std::uint64_t messages = 0;
};

// Receives all of `wire`, lent in slices of `slice_bytes`, `turns` times over.
totals receive_all(message_rx& rx, bytes& wire, std::size_t slice_bytes, bytes& to, int turns) {
  lent_buffer_owner owner(wire);
  totals seen;
  for (int turn = 0; turn < turns; ++turn) {
    for (std::size_t at = 0; at < wire.size(); at += slice_bytes) {
      if (!rx.inbox().push(owner.lend(at, std::min(slice_bytes, wire.size() - at)))) {
        ADD_FAILURE() << "no memory";
        return seen;
      }
      for (;;) {
        const rx_result result = rx.receive(to);
        if (result.status == rx_status::need_input) {
          break;
        }
        if (result.status == rx_status::failed || result.status == rx_status::close) {
          ADD_FAILURE() << to_string(result.reason);
          return seen;
        }
        if (result.status == rx_status::piece) {
          ++seen.pieces;
          seen.messages += result.message_end ? 1 : 0;
        }
      }
    }
  }
  EXPECT_EQ(owner.out(), 0u);
  return seen;
}

// The kernels in use, counting the bytes that each kind of pass goes over.
struct passes {
  std::uint64_t in_place = 0;
  std::uint64_t copied = 0;
  std::uint64_t copied_text = 0;
};
passes counted;

const simd::kernel_table counting_kernels = {
    "counting",
    [](std::byte* p, std::size_t n, std::uint32_t key) noexcept {
      counted.in_place += n;
      simd::active_kernels().unmask(p, n, key);
    },
    [](std::byte* d, const std::byte* s, std::size_t n, std::uint32_t key) noexcept {
      counted.copied += n;
      simd::active_kernels().unmask_copy(d, s, n, key);
    },
    [](const std::byte* s, std::size_t n, simd::utf8_state& state) noexcept {
      counted.in_place += n;
      return simd::active_kernels().validate(s, n, state);
    },
    [](std::byte* d, const std::byte* s, std::size_t n, simd::utf8_state& state) noexcept {
      counted.copied_text += n;
      return simd::active_kernels().validate_copy(d, s, n, state);
    },
    [](std::byte* p, std::size_t n, std::uint32_t key, simd::utf8_state& state) noexcept {
      counted.in_place += n;
      return simd::active_kernels().unmask_validate(p, n, key, state);
    },
    [](std::byte* d, const std::byte* s, std::size_t n, std::uint32_t key,
       simd::utf8_state& state) noexcept {
      counted.copied_text += n;
      return simd::active_kernels().unmask_validate_copy(d, s, n, key, state);
    }};

class cost : public testing::TestWithParam<role> {
protected:
  frame_maker make{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(message_rx, cost, testing::Values(role::client, role::server),
                         [](const auto& tested) {
                           return tested.param == role::client ? "client" : "server";
                         });

TEST_P(cost, no_allocation_and_one_copy_per_message) {
  bytes wire;
  std::uint64_t messages = 0;
  std::uint64_t payload = 0;
  for (const std::size_t size : {0u, 1u, 16u, 125u, 126u, 1000u, 70000u}) {
    test::append(wire, make.frame(opcode::text, true, letters(size)));
    test::append(wire, make.frame(opcode::binary, true, pattern(size)));
    test::append(wire, make.frame(opcode::ping, true, "ping"));
    test::append(wire, make.frame(opcode::text, false, letters(size)));
    test::append(wire, make.frame(opcode::continuation, true, letters(size)));
    messages += 3;
    payload += 4 * size;
  }
  bytes to(65536);
  for (const std::size_t slice_bytes : {wire.size(), std::size_t{4096}, std::size_t{97}}) {
    message_rx rx(GetParam(), {});
    const counted_memory memory;
    const std::size_t news = test::operator_new_count();
    constexpr int turns = 3;
    const totals seen = receive_all(rx, wire, slice_bytes, to, turns);
    EXPECT_EQ(test::operator_new_count(), news);
    EXPECT_EQ(memory.allocations(), 0u);
    EXPECT_EQ(seen.messages, turns * messages);
    EXPECT_EQ(rx.stats().messages, turns * messages);
    EXPECT_EQ(rx.stats().payload_bytes, turns * payload);
    EXPECT_EQ(rx.stats().copied_bytes, rx.stats().payload_bytes);
  }
}

// Unmasking, checking and copying are one pass; a plain memcpy() does for unmasked binary payload
// that is small or comes in small slices (copy_bytes()), a kernel for what is large.
TEST_P(cost, each_payload_byte_is_passed_over_once) {
  bytes wire;
  std::uint64_t text = 0;
  std::uint64_t binary = 0;
  std::uint64_t large_binary = 0;
  for (const std::size_t size : {1u, 16u, 125u, 126u, 1000u, 40000u, 70000u}) {
    test::append(wire, make.frame(opcode::text, false, letters(size)));
    test::append(wire, make.frame(opcode::continuation, true, letters(size)));
    test::append(wire, make.frame(opcode::binary, true, pattern(size)));
    text += 2 * size;
    binary += size;
    large_binary += size > 1000 ? size : 0;
  }
  bytes to(65536);
  for (const std::size_t slice_bytes : {wire.size(), std::size_t{4096}, std::size_t{97}}) {
    message_rx rx(GetParam(), {}, counting_kernels);
    counted = {};
    (void)receive_all(rx, wire, slice_bytes, to, 1);
    EXPECT_EQ(rx.stats().copied_bytes, text + binary);
    EXPECT_EQ(counted.in_place, 0u);
    EXPECT_EQ(counted.copied_text, text);
    if (GetParam() == role::server) {
      EXPECT_EQ(counted.copied, binary);
    } else if (slice_bytes == wire.size()) {
      EXPECT_EQ(counted.copied, large_binary);
    } else {
      EXPECT_LE(counted.copied, large_binary);
    }
  }
}

TEST_P(cost, a_million_fragments_hold_no_memory) {
  limits bounds;
  bounds.max_fragments = unlimited;
  for (const std::size_t size : {1u, 0u}) {
    message_rx rx(GetParam(), bounds);
    bytes opening = make.frame(opcode::text, false, letters(size));
    bytes wire;
    for (int i = 0; i < 1000; ++i) {
      test::append(wire, make.frame(opcode::continuation, false, letters(size)));
    }
    bytes to(100);
    const counted_memory memory;
    const std::size_t news = test::operator_new_count();
    (void)receive_all(rx, opening, opening.size(), to, 1);
    const totals seen = receive_all(rx, wire, wire.size(), to, 1000);
    EXPECT_EQ(seen.pieces, 1000000u);
    EXPECT_EQ(memory.allocations(), 0u);
    EXPECT_EQ(test::operator_new_count(), news);
    EXPECT_EQ(rx.stats().payload_bytes, 1000001u * size);
  }
}

// A million slices of one byte: they are consumed as they come, so none is kept.
TEST_P(cost, a_million_slices_of_one_byte_hold_no_memory) {
  limits bounds;
  bounds.max_message_bytes = unlimited;
  message_rx rx(GetParam(), bounds);
  bytes wire = make.frame(opcode::binary, true, pattern(1000));
  bytes to(100);
  const counted_memory memory;
  const totals seen = receive_all(rx, wire, 1, to, 1000);
  EXPECT_EQ(seen.pieces, 1000000u);
  EXPECT_EQ(memory.allocations(), 0u);
}

TEST_P(cost, nothing_is_reserved_from_a_declared_length) {
  limits bounds;
  bounds.max_message_bytes = unlimited;
  message_rx rx(GetParam(), bounds);
  bytes wire = make.header(0x82, std::uint64_t{1} << 40);
  wire.push_back(std::byte{0x55});
  lent_buffer_owner owner(wire);
  bytes to(16);
  const counted_memory memory;
  const std::size_t news = test::operator_new_count();
  ASSERT_TRUE(rx.inbox().push(owner.lend()));
  EXPECT_EQ(rx.receive(to).bytes, 1u);
  EXPECT_EQ(rx.receive(to).status, rx_status::need_input);
  EXPECT_EQ(memory.allocations(), 0u);
  EXPECT_EQ(test::operator_new_count(), news);
  EXPECT_EQ(owner.out(), 0u); // an idle receiver keeps no buffer
}

TEST_P(cost, a_million_pings_hold_no_memory) {
  message_rx rx(GetParam(), {});
  bytes wire;
  for (int i = 0; i < 1000; ++i) {
    test::append(wire, make.frame(opcode::ping, true, pattern(125)));
  }
  bytes to(16);
  const counted_memory memory;
  for (int turn = 0; turn < 1000; ++turn) {
    (void)receive_all(rx, wire, wire.size(), to, 1);
  }
  EXPECT_EQ(rx.stats().pings, 1000000u);
  EXPECT_EQ(memory.allocations(), 0u);
}

// Each call returns, consumes or delivers: no input makes receive() spin. Any bytes will do.
TEST_P(cost, calls_are_bounded_by_the_input) {
  for (unsigned seed = 0; seed < 2000; ++seed) {
    bytes wire = pattern(300, seed * 31);
    wire[0] = static_cast<std::byte>(seed % 2 == 0 ? 0x82 : 0x01);
    wire[1] = static_cast<std::byte>((GetParam() == role::server ? 0x80u : 0u) | seed % 128);
    message_rx rx(GetParam(), {});
    lent_buffer_owner owner(wire);
    ASSERT_TRUE(rx.inbox().push(owner.lend()));
    bytes to(1);
    unsigned calls = 0;
    for (;;) {
      const rx_status status = rx.receive(to).status;
      ++calls;
      ASSERT_LE(calls, wire.size() + 1);
      if (status != rx_status::piece && status != rx_status::ping) {
        break;
      }
    }
  }
}

// Running out of memory for the inbox refuses the slice and nothing else: what is queued is
// received, and then the slice fits.
TEST_P(cost, a_refused_slice_can_be_pushed_again_later) {
  bytes wire;
  for (int i = 0; i < 10; ++i) {
    test::append(wire, make.frame(opcode::text, true, "message"));
  }
  const std::size_t frame_bytes = wire.size() / 10;
  lent_buffer_owner owner(wire);
  message_rx rx(GetParam(), {});
  counted_memory memory;
  memory.allow(0);
  bytes to(100);
  unsigned messages = 0;
  std::size_t at = 0;
  while (messages < 10) {
    if (at < wire.size()) {
      const slice next =
          owner.lend(at, frame_bytes / 2 + (at % frame_bytes == 0 ? frame_bytes % 2 : 0));
      if (rx.inbox().push(next)) {
        at += next.size_bytes;
        continue;
      }
      owner.recycle(*next.from);
    }
    const rx_result result = rx.receive(to);
    if (result.status == rx_status::piece && result.message_end) {
      ++messages;
    }
  }
  EXPECT_GT(memory.failures(), 0u);
  EXPECT_EQ(rx.stats().payload_bytes, 70u);
  EXPECT_EQ(owner.out(), 0u);
}

} // namespace
} // namespace sluice
