#include "simd/generic/utf8_flags.hpp"
#include "simd/generic/utf8_state.hpp"
#include "simd/kernel_list.hpp"
#include "simd/target.hpp"

#include <tmmintrin.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

SLUICE_TARGET_BEGIN("ssse3")
#include "simd/generic/kernel_functions_inl.hpp"
#include "simd/ssse3/bytes16_inl.hpp"

namespace sluice::simd::ssse3 {

constinit const kernel_table kernels = kernel_functions<bytes16>::table("ssse3");

} // namespace sluice::simd::ssse3
SLUICE_TARGET_END
