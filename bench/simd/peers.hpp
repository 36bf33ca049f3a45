#pragma once

#include "simd/kernels.hpp"

#include <span>

namespace sluice::bench {

/// Other projects' validators behind the same table of functions, so that they are measured on the
/// same bytes, in turn with ours: simdutf's AVX2 (`simdutf-haswell`) and AVX-512
/// (`simdutf-icelake`) implementations, where CMake found simdutf and the CPU runs them. They only
/// look at text that lies somewhere, so each function is two passes: our fastest kernel of the same
/// instruction set unmasks (or memcpy copies), then simdutf validates what came out. No streaming,
/// no offset.
[[nodiscard]] std::span<const simd::kernel_table* const> peer_kernels() noexcept;

} // namespace sluice::bench
