#pragma once

#include "simd/kernels.hpp"

#include <cstddef>
#include <cstring>

namespace sluice {

/// Copies payload that needs no unmasking; the ranges do not overlap.
///
/// Not plain memcpy(), because of two uses of the string instructions. Where the compiler knows a
/// small bound on the count it may expand `rep movs`, which takes several times as long as a call
/// for the sizes of small messages. And from 2112 bytes on glibc takes `rep movsb` where the CPU
/// says that this is fast, as AMD's do from Zen 3 on. There it is 15 to 20 times slower when the
/// destination lies a few bytes behind the source modulo 4 KiB
/// (https://lunnova.dev/articles/ryzen-slow-short-rep-mov/; seen with glibc 2.36 on an EPYC): that
/// is how a malloc() buffer lies against a payload that follows its header in a page-aligned
/// receive buffer.
/// Masking with the key 0 is a copy without these traps.
inline void copy_bytes(const simd::kernel_table& kernels, std::byte* to, const std::byte* from,
                       std::size_t count) noexcept {
  constexpr std::size_t first_string_instruction_bytes = 2048;
  if (count >= first_string_instruction_bytes) {
    kernels.unmask_copy(to, from, count, 0);
    return;
  }
  asm("" : "+r"(count)); // forget the bound
  std::memcpy(to, from, count);
}

} // namespace sluice
