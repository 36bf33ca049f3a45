#include "simd/generic/utf8_flags.hpp"
#include "simd/generic/utf8_state.hpp"
#include "simd/kernel_list.hpp"
#include "simd/target.hpp"

#include <arm_neon.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "simd/generic/kernel_functions_inl.hpp"
#include "simd/neon/bytes16_inl.hpp"

namespace sluice::simd::neon {

constinit const kernel_table kernels = kernel_functions<bytes16>::table("neon");

} // namespace sluice::simd::neon
