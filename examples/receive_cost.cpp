// Says what receiving costs: CPU seconds per GB of WinHttpWebSocketReceive, beside those of a bare
// recv() that looks at nothing. Both receive from the same kind of peer (pre-built unmasked frames,
// back to back, over loopback), turn by turn in the same run, each with a 64 KiB buffer; only CPU
// time of the receiving thread counts.
//
//   build/release/examples/receive_cost
//   build/release/examples/receive_cost --kind text --size 64 --backend epoll --rounds 9

#include "bench/support/blaster.hpp"
#include "bench/support/cpu.hpp"
#include "bench/support/receiver.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <vector>

namespace {

namespace bench = sluice::bench;

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

void run(const bench::traffic& what, std::uint64_t turn_bytes, unsigned rounds) {
  bench::pin_this_thread(0);
  bench::blaster peer(what, 1);
  bench::blaster bare_peer(what, 1);
  bench::winhttp_receiver winhttp(peer.port(), what.message_bytes);
  bench::bare_receiver bare(bare_peer.port());

  std::vector<double> costs;
  std::vector<double> floors;
  std::vector<double> ratios;
  std::vector<double> rates;
  for (unsigned round = 0; round < rounds; ++round) {
    const bench::receive_cost cost = winhttp.receive_bytes(turn_bytes);
    const bench::receive_cost floor = bare.receive_bytes(turn_bytes);
    costs.push_back(cost.cpu_seconds_per_gb());
    floors.push_back(floor.cpu_seconds_per_gb());
    ratios.push_back(costs.back() / floors.back());
    rates.push_back(static_cast<double>(cost.messages) / cost.cpu_seconds * 1e-6);
  }
  std::printf("WinHttpWebSocketReceive  %.3f CPU s per GB  (%zu-byte %s messages, %.2f million per "
              "CPU second)\n",
              median(costs), what.message_bytes, what.text ? "text" : "binary", median(rates));
  std::printf("bare recv()              %.3f CPU s per GB\n", median(floors));
  std::printf(
      "ratio                    %.2f  (medians of %u turns of %.0f MB each; a ratio per turn)\n",
      median(ratios), rounds, static_cast<double>(turn_bytes) * 1e-6);
  if (bench::usable_cpus() < 2) {
    std::printf("note: sender and receiver shared one CPU\n");
  }
}

} // namespace

int main(int argc, char** argv) {
  CLI::App options("Compares the cost of WinHttpWebSocketReceive with that of a bare recv().");
  std::string kind = "binary";
  std::string backend = "auto";
  std::size_t size = 65536;
  unsigned rounds = 5;
  std::uint64_t megabytes = 256;
  options.add_option("--kind", kind, "of messages")
      ->check(CLI::IsMember({"binary", "text"}))
      ->capture_default_str();
  options.add_option("--size", size, "bytes per message")
      ->check(CLI::Range(1, 1 << 30))
      ->capture_default_str();
  options.add_option("--backend", backend, "what serves the socket")
      ->check(CLI::IsMember({"auto", "uring", "epoll"}))
      ->capture_default_str();
  options.add_option("--rounds", rounds, "turns of each receiver")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  options.add_option("--megabytes", megabytes, "bytes per turn, in MB")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  try {
    options.parse(argc, argv);
  } catch (const CLI::ParseError& wrong) {
    return options.exit(wrong) == 0 ? 0 : 2;
  }
  if (backend != "auto") {
    setenv("SLUICE_BACKEND", backend.c_str(), 1);
  }
  try {
    run({kind == "text", size}, megabytes * 1'000'000, rounds);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "receive_cost: %s\n", error.what());
    return 1;
  }
}
