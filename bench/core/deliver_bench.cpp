// core/deliver/<what>_<masked|unmasked>_<kernel>/<payload bytes>: message_rx::deliver(), views into
// the slice, 64 KiB of whole frames in it. No system call, no copy. Unmasking in place twice gives
// the first bytes again, so one slice serves all iterations; therefore masked frames are binary.
// core/floor/unmask_<kernel>/<payload bytes>: the same bytes unmasked, without parsing.
// time_per_message is the figure; the iteration time is that of the whole slice.

#include "core/message_views.hpp"
#include "support/frames.hpp"
#include "support/slices.hpp"

#include <benchmark/benchmark.h>

#include <string>

namespace sluice {
namespace {

constexpr std::size_t slice_bytes = std::size_t{64} << 10;

struct frames {
  test::bytes wire;
  std::size_t count = 0;
  std::size_t header_bytes = 0;
};

// As many as a slice takes, one at least.
frames frames_of(role self, bool text, std::size_t payload_bytes) {
  const test::frame_maker make{self};
  const test::bytes one =
      make.frame(text ? opcode::text : opcode::binary, true, test::letters(payload_bytes));
  frames made;
  made.header_bytes = one.size() - payload_bytes;
  do {
    test::append(made.wire, one);
    ++made.count;
  } while (made.wire.size() + one.size() <= slice_bytes);
  return made;
}

void count(benchmark::State& state, const frames& sent, std::size_t payload_bytes) {
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) *
                          static_cast<std::int64_t>(sent.count * payload_bytes));
  state.counters["time_per_message"] = benchmark::Counter(
      static_cast<double>(sent.count),
      benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

struct counting_sink {
  std::size_t messages = 0;
  std::size_t bytes = 0;

  bool operator()(const rx_view& view) noexcept {
    messages += view.message_end ? 1u : 0u;
    bytes += view.size_bytes;
    return true;
  }
};

template <role Self>
void deliver(benchmark::State& state, bool text, const simd::kernel_table& kernels,
             std::size_t payload_bytes) {
  frames sent = frames_of(Self, text, payload_bytes); // unmasked in place
  message_rx rx(Self, limits{}, kernels);
  test::lent_buffer_owner owner(sent.wire);
  for (auto _ : state) {
    if (!rx.inbox().push(owner.lend())) {
      state.SkipWithError("no memory");
      return;
    }
    counting_sink sink;
    rx_budget budget{slice_bytes * 2, 1u << 20};
    static_cast<void>(rx.deliver<Self>(sink, budget));
    if (sink.messages != sent.count || sink.bytes != sent.count * payload_bytes) {
      state.SkipWithError("not all was delivered");
      return;
    }
    benchmark::ClobberMemory();
  }
  count(state, sent, payload_bytes);
}

void unmask(benchmark::State& state, const simd::kernel_table& kernels, std::size_t payload_bytes) {
  constexpr std::uint32_t key = 0x8021FA4Au;
  frames sent = frames_of(role::server, false, payload_bytes);
  for (auto _ : state) {
    std::byte* at = sent.wire.data();
    for (std::size_t i = 0; i < sent.count; ++i) {
      at += sent.header_bytes;
      kernels.unmask(at, payload_bytes, key);
      at += payload_bytes;
    }
    benchmark::ClobberMemory();
  }
  count(state, sent, payload_bytes);
}

const bool registered = [] {
  for (const simd::kernel_table* kernels : simd::supported_kernels()) {
    for (const std::size_t size : {1u, 16u, 64u, 125u, 1024u, 16384u, 65536u}) {
      const std::string suffix =
          std::string("_").append(kernels->name).append("/").append(std::to_string(size));
      benchmark::RegisterBenchmark(("core/floor/unmask" + suffix).c_str(),
                                   [=](benchmark::State& state) { unmask(state, *kernels, size); });
      benchmark::RegisterBenchmark(
          ("core/deliver/binary_masked" + suffix).c_str(),
          [=](benchmark::State& state) { deliver<role::server>(state, false, *kernels, size); });
      for (const bool text : {false, true}) {
        benchmark::RegisterBenchmark(
            (std::string(text ? "core/deliver/text_unmasked" : "core/deliver/binary_unmasked") +
             suffix)
                .c_str(),
            [=](benchmark::State& state) { deliver<role::client>(state, text, *kernels, size); });
      }
    }
  }
  return true;
}();

} // namespace
} // namespace sluice
