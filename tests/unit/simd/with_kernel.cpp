// with_kernel <kernel> <program> [arguments]: runs a test program on one kernel. Exit code 77,
// which is a skipped test, if this CPU cannot run that kernel.

#include "sluice/simd.hpp"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fputs("usage: with_kernel <kernel> <program> [arguments]\n", stderr);
    return 2;
  }
  bool supported = false;
  for (const std::string_view name : sluice::kernels().names())
    supported |= name == argv[1];
  if (!supported) {
    std::printf("this CPU cannot run the %s kernel\n", argv[1]);
    return 77;
  }
  setenv("SLUICE_FORCE_KERNEL", argv[1], 1); // NOLINT(concurrency-mt-unsafe): one thread
  execv(argv[2], argv + 2);
  std::perror(argv[2]);
  return 1;
}
