#include "simd/cpu_features.hpp"
#include "simd/kernels.hpp"

#include <gtest/gtest.h>

// Register contents of CPUs and operating systems that this machine is not.
namespace sluice::simd {
namespace {

constexpr std::uint32_t ssse3 = 1u << 9, osxsave = 1u << 27, avx = 1u << 28;
constexpr std::uint32_t avx2 = 1u << 5, avx512f = 1u << 16, avx512bw = 1u << 30,
                        avx512vl = 1u << 31;
constexpr std::uint32_t avx512vbmi = 1u << 1, avx512vbmi2 = 1u << 6;

// Everything, as on Ice Lake and Zen 4.
constexpr cpu_registers newest = {
    .leaf1_ecx = ssse3 | osxsave | avx,
    .leaf7_ebx = avx2 | avx512f | avx512bw | avx512vl,
    .leaf7_ecx = avx512vbmi | avx512vbmi2,
    .xcr0 = 0xE7,
};

TEST(cpu_features, newest_cpu_runs_everything) {
  const cpu_features features = features_of(newest);
  EXPECT_TRUE(features.ssse3 && features.avx2 && features.avx512);
}

TEST(cpu_features, no_leaves_no_kernels) {
  const cpu_features features = features_of({});
  EXPECT_FALSE(features.ssse3 || features.avx2 || features.avx512);
}

TEST(cpu_features, operating_system_that_does_not_save_zmm_gets_avx2) {
  for (const std::uint64_t xcr0 : {0x07u, 0x27u, 0x47u, 0x87u, 0x67u, 0xA7u, 0xC7u}) {
    cpu_registers cpu = newest;
    cpu.xcr0 = xcr0;
    EXPECT_TRUE(features_of(cpu).avx2);
    EXPECT_FALSE(features_of(cpu).avx512);
  }
}

TEST(cpu_features, operating_system_that_does_not_save_ymm_gets_ssse3) {
  for (const std::uint64_t xcr0 : {0x00u, 0x03u, 0x05u, 0xE1u, 0xE3u, 0xE5u}) {
    cpu_registers cpu = newest;
    cpu.xcr0 = xcr0;
    EXPECT_TRUE(features_of(cpu).ssse3);
    EXPECT_FALSE(features_of(cpu).avx2 || features_of(cpu).avx512);
  }
}

TEST(cpu_features, xgetbv_counts_only_where_it_exists) {
  for (const std::uint32_t missing : {osxsave, avx}) {
    cpu_registers cpu = newest;
    cpu.leaf1_ecx &= ~missing;
    EXPECT_TRUE(features_of(cpu).ssse3);
    EXPECT_FALSE(features_of(cpu).avx2 || features_of(cpu).avx512);
  }
}

// Skylake-X has F, BW and VL, Cannon Lake VBMI too; both lower their clock for 512-bit registers.
TEST(cpu_features, avx512_needs_vbmi2_and_all_the_others) {
  for (const std::uint32_t missing : {avx512f, avx512bw, avx512vl}) {
    cpu_registers cpu = newest;
    cpu.leaf7_ebx &= ~missing;
    EXPECT_TRUE(features_of(cpu).avx2);
    EXPECT_FALSE(features_of(cpu).avx512);
  }
  for (const std::uint32_t missing : {avx512vbmi, avx512vbmi2}) {
    cpu_registers cpu = newest;
    cpu.leaf7_ecx &= ~missing;
    EXPECT_TRUE(features_of(cpu).avx2);
    EXPECT_FALSE(features_of(cpu).avx512);
  }
}

TEST(cpu_features, each_feature_adds_one_kernel_here) {
  const cpu_features here = features_of(read_cpu());
  EXPECT_EQ(find_kernels("ssse3") != nullptr, here.ssse3);
  EXPECT_EQ(find_kernels("avx2") != nullptr, here.avx2);
  EXPECT_EQ(find_kernels("avx512") != nullptr, here.avx512);
}

} // namespace
} // namespace sluice::simd
