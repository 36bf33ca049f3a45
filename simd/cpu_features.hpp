#pragma once

#include <cstdint>

// What an x86-64 CPU can do and the operating system lets it do.
namespace sluice::simd {

/// What CPUID and XGETBV answer; all zero where a leaf or XGETBV does not exist.
struct cpu_registers {
  std::uint32_t leaf1_ecx = 0;
  std::uint32_t leaf7_ebx = 0;
  std::uint32_t leaf7_ecx = 0;
  std::uint64_t xcr0 = 0; // register states that the operating system saves
};

/// Which kernels can run. `avx512` means F, BW, VL, VBMI and VBMI2: CPUs without VBMI2 lower their
/// clock for 512-bit registers, and the kernel needs byte permutations and funnel shifts anyway.
struct cpu_features {
  bool ssse3 = false;
  bool avx2 = false;
  bool avx512 = false;
};

[[nodiscard]] constexpr cpu_features features_of(const cpu_registers& cpu) noexcept {
  const auto bit = [](std::uint32_t word, unsigned index) { return (word >> index & 1u) != 0; };
  // XCR0 bits: 1 SSE, 2 AVX, 5 AVX-512 masks, 6 ZMM0..15 upper halves, 7 ZMM16..31.
  constexpr std::uint64_t ymm_state = 0x06, zmm_state = 0xE6;
  const bool xgetbv = bit(cpu.leaf1_ecx, 27) && bit(cpu.leaf1_ecx, 28); // OSXSAVE, AVX
  const bool ymm = xgetbv && (cpu.xcr0 & ymm_state) == ymm_state;
  const bool zmm = xgetbv && (cpu.xcr0 & zmm_state) == zmm_state;
  cpu_features features;
  features.ssse3 = bit(cpu.leaf1_ecx, 9);
  features.avx2 = features.ssse3 && ymm && bit(cpu.leaf7_ebx, 5);
  features.avx512 = features.avx2 && zmm && bit(cpu.leaf7_ebx, 16) &&   // F
                    bit(cpu.leaf7_ebx, 30) && bit(cpu.leaf7_ebx, 31) && // BW, VL
                    bit(cpu.leaf7_ecx, 1) && bit(cpu.leaf7_ecx, 6);     // VBMI, VBMI2
  return features;
}

/// Asks the CPU that this runs on.
[[nodiscard]] cpu_registers read_cpu() noexcept;

} // namespace sluice::simd
