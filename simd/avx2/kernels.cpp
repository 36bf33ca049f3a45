#include "simd/generic/utf8_scalar.hpp"
#include "simd/kernel_list.hpp"
#include "simd/target.hpp"

#include <immintrin.h>

#include <cstring>

SLUICE_TARGET_BEGIN("avx2")
namespace sluice::simd::avx2 {
namespace {

__m256i load(const std::byte* p) noexcept {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}
void store(std::byte* p, __m256i v) noexcept {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v);
}

template <bool Masked, bool Store, bool Check>
utf8_result run(std::byte* d, const std::byte* s, std::size_t n, std::uint32_t key,
                utf8_state& state) noexcept {
  const __m256i keys = _mm256_set1_epi32(static_cast<int>(key));
  std::size_t i = 0;
  for (; n - i >= 32; i += 32) {
    __m256i v = load(s + i);
    if constexpr (Masked)
      v = _mm256_xor_si256(v, keys);
    if constexpr (Store)
      store(d + i, v);
    if constexpr (Check) {
      if (state.due == 0 && _mm256_movemask_epi8(v) == 0)
        continue;
      alignas(32) std::byte block[32];
      store(block, v);
      for (std::size_t j = 0; j < 32; ++j)
        if (!utf8_step(state, static_cast<std::uint8_t>(block[j])))
          return {false, i + j};
    }
  }
  for (; i < n; ++i) {
    auto byte = static_cast<std::uint8_t>(s[i]);
    if constexpr (Masked)
      byte = static_cast<std::uint8_t>(byte ^ (key >> ((i & 3u) * 8u)));
    if constexpr (Store)
      d[i] = static_cast<std::byte>(byte);
    if constexpr (Check)
      if (!utf8_step(state, byte))
        return {false, i};
  }
  return {true, 0};
}

void unmask_copy(std::byte* d, const std::byte* s, std::size_t n, std::uint32_t key) noexcept {
  utf8_state unused;
  run<true, true, false>(d, s, n, key, unused);
}
void unmask(std::byte* p, std::size_t n, std::uint32_t key) noexcept {
  unmask_copy(p, p, n, key);
}
utf8_result validate(const std::byte* s, std::size_t n, utf8_state& state) noexcept {
  return run<false, false, true>(nullptr, s, n, 0, state);
}
utf8_result validate_copy(std::byte* d, const std::byte* s, std::size_t n,
                          utf8_state& state) noexcept {
  return run<false, true, true>(d, s, n, 0, state);
}
utf8_result unmask_validate(std::byte* p, std::size_t n, std::uint32_t key,
                            utf8_state& state) noexcept {
  return run<true, true, true>(p, p, n, key, state);
}
utf8_result unmask_validate_copy(std::byte* d, const std::byte* s, std::size_t n, std::uint32_t key,
                                 utf8_state& state) noexcept {
  return run<true, true, true>(d, s, n, key, state);
}

} // namespace

constinit const kernel_table kernels = {
    "avx2", unmask, unmask_copy, validate, validate_copy, unmask_validate, unmask_validate_copy};

} // namespace sluice::simd::avx2
SLUICE_TARGET_END
