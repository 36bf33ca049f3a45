// main() of every benchmark: the usual one, after what numbers depend on was added to the output.

#include "simd/kernels.hpp"

#include <benchmark/benchmark.h>

#include <sys/utsname.h>

#include <fstream>
#include <string>

namespace {

std::string processor() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.rfind("model name", 0) == 0) {
      return line.substr(line.find(':') + 2);
    }
  }
  return "unknown";
}

} // namespace

int main(int argc, char** argv) {
  utsname system = {};
  uname(&system);
  benchmark::AddCustomContext("processor", processor());
  benchmark::AddCustomContext("system", std::string(system.sysname) + " " + system.release);
#if defined(__clang__)
  benchmark::AddCustomContext("compiler", "clang " __clang_version__);
#else
  benchmark::AddCustomContext("compiler", "gcc " __VERSION__);
#endif
  benchmark::AddCustomContext("build", SLUICE_BUILD_FLAGS);
  benchmark::AddCustomContext("kernels", sluice::simd::active_kernels().name);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) {
    return 1;
  }
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
