// io/recv/<kind>/<size>: what a message costs from the socket to the caller's memory,
// with a peer that sends as fast as the client takes, over loopback.
//
//   io_bench --benchmark_repetitions=5 --benchmark_enable_random_interleaving=true
//
// Time is CPU time of the receiving thread, so "per second" means per CPU second. Beside it stands
// its floor, a bare blocking recv() that looks at nothing: both receivers take turns of some
// hundred megabytes from a peer of the same kind, within the same measurement. `ratio` is the
// quotient of the two CPU times per byte, and the only one of these figures that means something
// elsewhere.

#include "bench/support/blaster.hpp"
#include "bench/support/cpu.hpp"
#include "bench/support/receiver.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <exception>
#include <string>
#include <thread>

namespace {

namespace bench = sluice::bench;

constexpr unsigned receiver_cpu = 0;
constexpr unsigned sender_cpu = 1;

void add(bench::receive_cost& sum, const bench::receive_cost& more) {
  sum.messages += more.messages;
  sum.bytes += more.bytes;
  sum.calls += more.calls;
  sum.cpu_seconds += more.cpu_seconds;
  sum.wall_seconds += more.wall_seconds;
}

struct comparison {
  bench::receive_cost winhttp;
  bench::receive_cost bare;
  std::string failure;
};

// Turns are long, because each starts with what lay in the socket buffer, cold, meanwhile.
void compare(const bench::traffic& what, std::uint64_t messages, comparison& result) {
  const std::uint64_t turn_bytes =
      what.message_bytes >= 1024 ? std::uint64_t{256} << 20 : std::uint64_t{64} << 20;
  const std::uint64_t turn_messages = std::max<std::uint64_t>(turn_bytes / what.message_bytes, 1);
  bench::pin_this_thread(receiver_cpu);
  bench::blaster peer(what, sender_cpu);
  bench::blaster bare_peer(what, sender_cpu);
  bench::winhttp_receiver winhttp(peer.port(), what.message_bytes);
  bench::bare_receiver bare(bare_peer.port());
  while (result.winhttp.messages < messages) {
    const std::uint64_t turn = std::min(turn_messages, messages - result.winhttp.messages);
    add(result.winhttp, winhttp.receive_messages(turn));
    add(result.bare, bare.receive_bytes(turn * what.message_bytes));
  }
}

void recv(benchmark::State& state, const bench::traffic& what) {
  comparison result;
  while (state.KeepRunningBatch(state.max_iterations)) {
    std::thread receiver([&] {
      try {
        compare(what, static_cast<std::uint64_t>(state.max_iterations), result);
      } catch (const std::exception& error) {
        result.failure = error.what();
      }
    });
    receiver.join();
    if (!result.failure.empty()) {
      state.SkipWithError(result.failure.c_str());
      return;
    }
    state.SetIterationTime(result.winhttp.cpu_seconds);
  }
  const double messages = static_cast<double>(result.winhttp.messages);
  state.SetItemsProcessed(static_cast<std::int64_t>(result.winhttp.messages));
  state.counters["s/GB"] = result.winhttp.cpu_seconds_per_gb();
  state.counters["bare_s/GB"] = result.bare.cpu_seconds_per_gb();
  state.counters["ratio"] = result.winhttp.cpu_seconds_per_gb() / result.bare.cpu_seconds_per_gb();
  state.counters["calls/msg"] = static_cast<double>(result.winhttp.calls) / messages;
  state.counters["wall_GB/s"] =
      static_cast<double>(result.winhttp.bytes) * 1e-9 / result.winhttp.wall_seconds;
}

[[maybe_unused]] const int registered = [] {
  for (const bool text : {false, true}) {
    for (const std::size_t size : {64u, 125u, 1024u, 16384u, 65536u, 1048576u}) {
      const std::string name =
          std::string("io/recv/") + (text ? "text" : "binary") + "/" + std::to_string(size);
      benchmark::RegisterBenchmark(name.c_str(), recv, bench::traffic{text, size})->UseManualTime();
    }
  }
  return 0;
}();

} // namespace
