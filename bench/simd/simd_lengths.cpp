// Nanoseconds of one call for every length, kernel and function, so that a cliff between two
// lengths shows. Writes CSV: function,kernel,input,bytes,ns. Kernels are measured in turn, length
// by length; the figure is the smallest of the rounds, for lengths are compared with their
// neighbours.
//
// simd_lengths [--functions a,b] [--kernels a,b] [--inputs a,b] [--every N] [--to BYTES] [--rounds
// N]
//   --every N   all lengths from 1 to N (default 512); beyond, 8 lengths for each doubling
//   --to BYTES  the longest (default 1 MiB)
// scripts/plot kernels draws the output.

#include "bench/simd/workload.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace sluice::bench {
namespace {

struct options {
  std::string functions, kernels, inputs; // empty: all
  std::size_t every = 512;
  std::size_t to = 1 << 20;
  std::size_t rounds = 5;
};

bool chosen(const std::string& list, const char* name) {
  return list.empty() ||
         ("," + list + ",").find("," + std::string(name) + ",") != std::string::npos;
}

[[noreturn]] void usage() {
  std::fputs("usage: simd_lengths [--functions a,b] [--kernels a,b] [--inputs a,b] [--every N]"
             " [--to BYTES] [--rounds N]\n",
             stderr);
  std::exit(2);
}

options parse(int argc, char** argv) {
  options chosen_options;
  const auto number = [](const char* text) {
    std::size_t value = 0;
    const auto end = text + std::strlen(text);
    if (std::from_chars(text, end, value).ptr != end || value == 0)
      usage();
    return value;
  };
  for (int i = 1; i < argc; i += 2) {
    const std::string_view name = argv[i];
    if (i + 1 == argc)
      usage();
    const char* value = argv[i + 1];
    if (name == "--functions")
      chosen_options.functions = value;
    else if (name == "--kernels")
      chosen_options.kernels = value;
    else if (name == "--inputs")
      chosen_options.inputs = value;
    else if (name == "--every")
      chosen_options.every = number(value);
    else if (name == "--to")
      chosen_options.to = number(value);
    else if (name == "--rounds")
      chosen_options.rounds = number(value);
    else
      usage();
  }
  return chosen_options;
}

std::vector<std::size_t> lengths(const options& limits) {
  std::vector<std::size_t> all;
  for (std::size_t n = 1; n <= std::min(limits.every, limits.to); ++n)
    all.push_back(n);
  for (double n = static_cast<double>(limits.every) * std::exp2(0.125);
       n <= static_cast<double>(limits.to) * 1.001; n *= std::exp2(0.125))
    all.push_back(static_cast<std::size_t>(std::lround(n)));
  return all;
}

struct contender {
  function what;
  const simd::kernel_table* kernel;
  std::size_t rounds; // that take about as long as all others' do
  double best_ns;
};

double time_ns(arena& place, const contender& one) {
  const auto begin = std::chrono::steady_clock::now();
  place.run(one.what, *one.kernel, one.rounds);
  const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begin;
  return took.count() / static_cast<double>(one.rounds * place.places());
}

void measure(arena& place, const options& limits, function what, const char* input,
             std::size_t bytes) {
  constexpr double round_ns = 100'000;
  std::vector<contender> contenders;
  for (const simd::kernel_table* kernel : simd::supported_kernels())
    if (chosen(limits.kernels, kernel->name))
      contenders.push_back({what, kernel, 1, HUGE_VAL});
  contenders.push_back({function::memcpy, simd::supported_kernels().front(), 1, HUGE_VAL});
  place.fill(what, input, bytes);
  for (contender& one : contenders) {
    const double once = std::max(time_ns(place, one), time_ns(place, one)) + 1;
    one.rounds =
        1 + static_cast<std::size_t>(round_ns / once / static_cast<double>(place.places()));
  }
  for (std::size_t round = 0; round < limits.rounds; ++round)
    for (contender& one : contenders)
      one.best_ns = std::min(one.best_ns, time_ns(place, one));
  for (const contender& one : contenders)
    std::printf("%s,%s,%s,%zu,%.3f\n", name_of(what),
                one.what == function::memcpy ? "memcpy" : one.kernel->name, input, bytes,
                one.best_ns);
}

int run(const options& limits) {
  arena place(limits.to);
  std::puts("function,kernel,input,bytes,ns");
  for (const function what : all_functions) {
    if (!chosen(limits.functions, name_of(what)))
      continue;
    for (const char* input : all_inputs) {
      const bool noise = !takes_text(what);
      if (noise ? input != all_inputs.front() : !chosen(limits.inputs, input))
        continue;
      for (const std::size_t bytes : lengths(limits))
        measure(place, limits, what, noise ? "noise" : input, bytes);
    }
  }
  return 0;
}

} // namespace
} // namespace sluice::bench

int main(int argc, char** argv) {
  return sluice::bench::run(sluice::bench::parse(argc, argv));
}
