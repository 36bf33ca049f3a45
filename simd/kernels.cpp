#include "simd/kernels.hpp"
