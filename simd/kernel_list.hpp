#pragma once

#include "simd/kernels.hpp"

// The table of each instruction set, defined in its folder.
namespace sluice::simd {

namespace scalar {
extern const kernel_table kernels;
}

#if defined(__x86_64__)
namespace avx2 {
extern const kernel_table kernels;
}
#endif

} // namespace sluice::simd
