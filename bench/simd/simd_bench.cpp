// simd/<function>/<kernel>/<input>/<bytes>: one call on one slice; simd/memcpy/libc/noise/<bytes>:
// the floor, on the same places. simd/dispatch/<how>/noise/16: what choosing the kernel costs.
// Other projects' validators, where peers.hpp finds them, are kernels among ours. The iteration
// time is that of one call. For every length and as a curve: simd_lengths.

#include "bench/simd/peers.hpp"
#include "bench/simd/workload.hpp"

#include "sluice/simd.hpp"

#include <benchmark/benchmark.h>

#include <string>

namespace sluice::bench {
namespace {

constexpr std::array<std::size_t, 13> sizes = {1,   5,    16,   31,    32,      64,      125,
                                               300, 1024, 4096, 65536, 1048576, 67108864};

arena& shared_arena() {
  static arena all(sizes.back());
  return all;
}

void measure(benchmark::State& state, function what, const simd::kernel_table& kernel,
             const char* input, std::size_t bytes) {
  arena& place = shared_arena();
  place.fill(what, input, bytes);
  const auto places = static_cast<std::int64_t>(place.places());
  while (state.KeepRunningBatch(places))
    if (place.run(what, kernel, 1) != 0)
      state.SkipWithError("valid text was refused");
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes));
}

void register_one(function what, const char* kernel_name, const simd::kernel_table& kernel,
                  const char* input, std::size_t bytes) {
  const std::string name = std::string("simd/") + name_of(what) + "/" + kernel_name + "/" + input +
                           "/" + std::to_string(bytes);
  benchmark::RegisterBenchmark(name.c_str(), [=, &kernel](benchmark::State& state) {
    measure(state, what, kernel, input, bytes);
  });
}

// A function pointer that is kept, the table that is looked up for each call, and the public
// function: the first is as fast as a direct call.
enum class route { kept_pointer, active_table, public_function };

void dispatch(benchmark::State& state, route by) {
  alignas(64) std::byte payload[16] = {};
  const auto kept = simd::active_kernels().unmask;
  const std::uint32_t key = 0x3D21FA37;
  for (auto _ : state) {
    if (by == route::kept_pointer)
      kept(payload, sizeof payload, key);
    else if (by == route::active_table)
      simd::active_kernels().unmask(payload, sizeof payload, key);
    else
      simd::unmask(payload, key);
    benchmark::ClobberMemory();
  }
}

[[maybe_unused]] const bool registered = [] {
  for (const std::size_t bytes : sizes) {
    const simd::kernel_table& any = *simd::supported_kernels().front();
    register_one(function::memcpy, "libc", any, "noise", bytes);
    for (const function what : all_functions) {
      for (const simd::kernel_table* kernel : simd::supported_kernels())
        for (const char* input : all_inputs)
          if (takes_text(what))
            register_one(what, kernel->name, *kernel, input, bytes);
          else if (input == all_inputs.front())
            register_one(what, kernel->name, *kernel, "noise", bytes);
      for (const simd::kernel_table* peer : peer_kernels())
        for (const char* input : all_inputs)
          if (takes_text(what))
            register_one(what, peer->name, *peer, input, bytes);
    }
  }
  benchmark::RegisterBenchmark("simd/dispatch/kept_pointer/noise/16", dispatch,
                               route::kept_pointer);
  benchmark::RegisterBenchmark("simd/dispatch/active_table/noise/16", dispatch,
                               route::active_table);
  benchmark::RegisterBenchmark("simd/dispatch/public_function/noise/16", dispatch,
                               route::public_function);
  return true;
}();

} // namespace
} // namespace sluice::bench
