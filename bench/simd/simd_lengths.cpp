// Nanoseconds of one call for every length, kernel and function, so that a cliff between two
// lengths shows. Writes CSV: function,kernel,input,bytes,ns. Kernels, memcpy and what peers.hpp
// found are measured in turns of 0.1 ms, length by length; each round goes through all lengths, so
// that what disturbs the machine for seconds spoils one round of some lengths and no figure.
//
// simd_lengths [--functions a,b] [--kernels a,b] [--inputs a,b] [--every N] [--to BYTES]
//              [--at a,b] [--rounds N] [--figure best|median]
//   --kernels     ours and other projects' to measure; memcpy always is
//   --every N     all lengths from 1 to N (default 512); beyond, 8 lengths for each doubling
//   --to BYTES    the longest (default 1 MiB)
//   --at a,b      these lengths instead
//   --rounds N    turns of each (default 20)
//   --figure F    of the rounds: the best (default), to compare lengths with their neighbours, or
//                 the median, to compare kernels
// scripts/plot kernels draws the output.

#include "bench/simd/peers.hpp"
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
  std::vector<std::size_t> at; // not empty: these lengths, and neither `every` nor `to`
  std::size_t rounds = 20;
  bool median = false;
};

bool chosen(const std::string& list, const char* name) {
  return list.empty() ||
         ("," + list + ",").find("," + std::string(name) + ",") != std::string::npos;
}

[[noreturn]] void usage() {
  std::fputs("usage: simd_lengths [--functions a,b] [--kernels a,b] [--inputs a,b] [--every N]"
             " [--to BYTES] [--at a,b] [--rounds N] [--figure best|median]\n",
             stderr);
  std::exit(2);
}

options parse(int argc, char** argv) {
  options chosen_options;
  const auto number = [](std::string_view text) {
    std::size_t value = 0;
    const char* const end = text.data() + text.size();
    if (std::from_chars(text.data(), end, value).ptr != end || value == 0)
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
    else if (name == "--at")
      for (std::string_view rest = value; !rest.empty();) {
        const std::size_t comma = std::min(rest.find(','), rest.size());
        chosen_options.at.push_back(number(rest.substr(0, comma)));
        rest.remove_prefix(std::min(comma + 1, rest.size()));
      }
    else if (name == "--rounds")
      chosen_options.rounds = number(value);
    else if (name == "--figure" && value == std::string_view("best"))
      chosen_options.median = false;
    else if (name == "--figure" && value == std::string_view("median"))
      chosen_options.median = true;
    else
      usage();
  }
  return chosen_options;
}

std::vector<std::size_t> lengths(const options& limits) {
  if (!limits.at.empty())
    return limits.at;
  std::vector<std::size_t> all;
  for (std::size_t n = 1; n <= std::min(limits.every, limits.to); ++n)
    all.push_back(n);
  for (int eighth = 1;; ++eighth) {
    const double n = static_cast<double>(limits.every) * std::exp2(eighth / 8.0);
    if (n > static_cast<double>(limits.to) * 1.001)
      break;
    all.push_back(static_cast<std::size_t>(std::lround(n)));
  }
  return all;
}

struct contender {
  function what;
  const simd::kernel_table* kernel;
  std::vector<double> ns = {}; // one per round
};

/// What is compared with each other: calls on the same bytes.
struct row {
  function what;
  const char* input;
  std::size_t bytes;
  std::vector<contender> contenders;
};

std::vector<contender> contenders_for(const options& limits, function what) {
  std::vector<contender> all;
  for (const simd::kernel_table* kernel : simd::supported_kernels())
    if (chosen(limits.kernels, kernel->name))
      all.push_back({what, kernel});
  for (const simd::kernel_table* peer : peer_kernels())
    if (takes_text(what) && chosen(limits.kernels, peer->name))
      all.push_back({what, peer});
  all.push_back({function::memcpy, simd::supported_kernels().front()});
  return all;
}

std::vector<row> rows(const options& limits) {
  std::vector<row> all;
  for (const function what : all_functions)
    for (const char* input : all_inputs) {
      const bool noise = !takes_text(what);
      if (!chosen(limits.functions, name_of(what)) ||
          (noise ? input != all_inputs.front() : !chosen(limits.inputs, input)))
        continue;
      for (const std::size_t bytes : lengths(limits))
        all.push_back({what, noise ? "noise" : input, bytes, contenders_for(limits, what)});
    }
  return all;
}

double time_ns(arena& place, const contender& one, std::size_t rounds) {
  const auto begin = std::chrono::steady_clock::now();
  place.run(one.what, *one.kernel, rounds);
  const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begin;
  return took.count() / static_cast<double>(rounds * place.places());
}

void measure(arena& place, row& of) {
  constexpr double turn_ns = 100'000;
  place.fill(of.what, of.input, of.bytes);
  for (contender& one : of.contenders) {
    const double once = std::max(time_ns(place, one, 1), time_ns(place, one, 1)) + 1;
    const double turn = turn_ns / once / static_cast<double>(place.places());
    one.ns.push_back(time_ns(place, one, 1 + static_cast<std::size_t>(turn)));
  }
}

double figure(const options& limits, std::vector<double>& ns) {
  const auto middle = ns.begin() + static_cast<std::ptrdiff_t>(ns.size() / 2);
  std::nth_element(ns.begin(), limits.median ? middle : ns.begin(), ns.end());
  return limits.median ? *middle : ns.front();
}

int run(const options& limits) {
  std::vector<row> all = rows(limits);
  if (all.empty())
    usage();
  std::size_t largest_bytes = 0;
  for (const row& one : all)
    largest_bytes = std::max(largest_bytes, one.bytes);
  arena place(largest_bytes);
  for (std::size_t round = 0; round < limits.rounds; ++round)
    for (row& one : all)
      measure(place, one);
  std::puts("function,kernel,input,bytes,ns");
  for (row& of : all)
    for (contender& one : of.contenders)
      std::printf("%s,%s,%s,%zu,%.3f\n", name_of(of.what),
                  one.what == function::memcpy ? "memcpy" : one.kernel->name, of.input, of.bytes,
                  figure(limits, one.ns));
  return 0;
}

} // namespace
} // namespace sluice::bench

int main(int argc, char** argv) {
  return sluice::bench::run(sluice::bench::parse(argc, argv));
}
