#include "simd/generic/utf8_flags.hpp"
#include "simd/generic/utf8_state.hpp"
#include "simd/kernel_list.hpp"
#include "simd/target.hpp"

#include <immintrin.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

SLUICE_TARGET_BEGIN("avx2")
#include "simd/avx2/bytes32_inl.hpp"
#include "simd/generic/kernel_functions_inl.hpp"
#include "simd/ssse3/bytes16_inl.hpp"

namespace sluice::simd::avx2 {

constinit const kernel_table kernels = kernel_functions<bytes16, bytes32>::table("avx2");

} // namespace sluice::simd::avx2
SLUICE_TARGET_END
