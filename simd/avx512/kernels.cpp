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

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12 warns of its own intrinsics, which begin from an undefined register (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

SLUICE_TARGET_BEGIN("avx2,avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2")
#include "simd/avx2/bytes32_inl.hpp"
#include "simd/avx512/bytes64_inl.hpp"
#include "simd/generic/kernel_functions_inl.hpp"
#include "simd/ssse3/bytes16_inl.hpp"

namespace sluice::simd::avx512 {

constinit const kernel_table kernels = kernel_functions<bytes16, bytes32, bytes64>::table("avx512");

} // namespace sluice::simd::avx512
SLUICE_TARGET_END
