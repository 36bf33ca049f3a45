#pragma once

#include "simd/kernels.hpp"

// The table of each instruction set, defined in its folder.
namespace sluice::simd {

namespace scalar {
extern const kernel_table kernels;
}

#if defined(__x86_64__)
namespace ssse3 {
extern const kernel_table kernels;
}
namespace avx2 {
extern const kernel_table kernels;
}
namespace avx512 {
extern const kernel_table kernels;
}
#elif defined(__aarch64__)
namespace neon {
extern const kernel_table kernels;
}
#endif

} // namespace sluice::simd
