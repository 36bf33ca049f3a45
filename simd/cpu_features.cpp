#include "simd/cpu_features.hpp"

#include <cpuid.h>

namespace sluice::simd {

cpu_registers read_cpu() noexcept {
  cpu_registers cpu;
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0)
    cpu.leaf1_ecx = ecx;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0) {
    cpu.leaf7_ebx = ebx;
    cpu.leaf7_ecx = ecx;
  }
  constexpr std::uint32_t osxsave = 1u << 27; // without it XGETBV is an invalid instruction
  if ((cpu.leaf1_ecx & osxsave) != 0) {
    std::uint32_t low = 0, high = 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    cpu.xcr0 = std::uint64_t{high} << 32 | low;
  }
  return cpu;
}

} // namespace sluice::simd
