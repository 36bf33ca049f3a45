#include "bench/simd/peers.hpp"

#ifdef SLUICE_HAS_SIMDUTF
#include <simdutf.h>
#endif

#include <cstring>
#include <vector>

namespace sluice::bench {

#ifdef SLUICE_HAS_SIMDUTF

namespace {

// One per implementation: the table holds plain functions.
template <int> struct simdutf_peer {
  static inline const simdutf::implementation* validator = nullptr;
  static inline const simd::kernel_table* unmasker = nullptr;
  static inline simd::kernel_table table{};

  static void unmask(std::byte* p, std::size_t n, std::uint32_t key) noexcept {
    unmasker->unmask(p, n, key);
  }
  static void unmask_copy(std::byte* d, const std::byte* s, std::size_t n,
                          std::uint32_t key) noexcept {
    unmasker->unmask_copy(d, s, n, key);
  }
  static simd::utf8_result validate(const std::byte* s, std::size_t n, simd::utf8_state&) noexcept {
    return {validator->validate_utf8(reinterpret_cast<const char*>(s), n), 0};
  }
  static simd::utf8_result validate_copy(std::byte* d, const std::byte* s, std::size_t n,
                                         simd::utf8_state& state) noexcept {
    std::memcpy(d, s, n);
    return validate(d, n, state);
  }
  static simd::utf8_result unmask_validate(std::byte* p, std::size_t n, std::uint32_t key,
                                           simd::utf8_state& state) noexcept {
    unmask(p, n, key);
    return validate(p, n, state);
  }
  static simd::utf8_result unmask_validate_copy(std::byte* d, const std::byte* s, std::size_t n,
                                                std::uint32_t key,
                                                simd::utf8_state& state) noexcept {
    unmask_copy(d, s, n, key);
    return validate(d, n, state);
  }

  static void add(std::vector<const simd::kernel_table*>& to, const char* name,
                  const char* implementation, const char* kernel) {
    validator = simdutf::get_available_implementations()[implementation];
    unmasker = simd::find_kernels(kernel);
    if (validator == nullptr || unmasker == nullptr || !validator->supported_by_runtime_system())
      return;
    table = {name,          unmask,          unmask_copy,         validate,
             validate_copy, unmask_validate, unmask_validate_copy};
    to.push_back(&table);
  }
};

} // namespace

std::span<const simd::kernel_table* const> peer_kernels() noexcept {
  static const std::vector<const simd::kernel_table*> all = [] {
    std::vector<const simd::kernel_table*> found;
    simdutf_peer<0>::add(found, "simdutf-haswell", "haswell", "avx2");
    simdutf_peer<1>::add(found, "simdutf-icelake", "icelake", "avx512");
    return found;
  }();
  return all;
}

#else

std::span<const simd::kernel_table* const> peer_kernels() noexcept {
  return {};
}

#endif

} // namespace sluice::bench
