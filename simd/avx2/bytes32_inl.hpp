#pragma once

#include "simd/generic/utf8_flags.hpp"

// Thirty-two bytes in an AVX register, AVX2. The operations are those of bytes16, where they are
// described.
namespace sluice::simd {
namespace {

class bytes32 {
public:
  static constexpr std::size_t size = 32;
  static constexpr bool has_few_registers = true;
  static constexpr bool reload_is_faster = true;

  SLUICE_INLINE bytes32(__m256i raw) noexcept : raw_(raw) {}

  static SLUICE_INLINE bytes32 zero() noexcept { return _mm256_setzero_si256(); }
  static SLUICE_INLINE bytes32 load(const std::byte* p) noexcept {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  SLUICE_INLINE void store(std::byte* p) const noexcept {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), raw_);
  }
  static SLUICE_INLINE bytes32 repeat(std::uint32_t key) noexcept {
    return _mm256_set1_epi32(static_cast<int>(key));
  }
  static SLUICE_INLINE bytes32 ending_in(std::uint32_t last_four) noexcept {
    const __m128i top = _mm_slli_si128(_mm_cvtsi32_si128(static_cast<int>(last_four)), 12);
    return _mm256_inserti128_si256(_mm256_setzero_si256(), top, 1);
  }

  SLUICE_INLINE bytes32 operator^(bytes32 b) const noexcept {
    return _mm256_xor_si256(raw_, b.raw_);
  }
  SLUICE_INLINE bytes32 operator|(bytes32 b) const noexcept {
    return _mm256_or_si256(raw_, b.raw_);
  }
  SLUICE_INLINE bool any_high_bit() const noexcept { return _mm256_movemask_epi8(raw_) != 0; }

  template <int N> SLUICE_INLINE bytes32 key_before() const noexcept {
    return _mm256_alignr_epi8(raw_, raw_, 16 - N);
  }

  template <int N, int Left = 0> SLUICE_INLINE bytes32 moved_up(bytes32 previous) const noexcept {
    // AVX2 shifts its two halves apart: below each half comes the half before it.
    const __m256i halves_before = _mm256_permute2x128_si256(previous.raw_, raw_, 0x21);
    const __m256i moved = _mm256_alignr_epi8(raw_, halves_before, 16 - N);
    return Left == 0 ? moved : _mm256_slli_epi16(moved, Left);
  }

  SLUICE_INLINE bytes32 lead_flags() const noexcept {
    return _mm256_and_si256(_mm256_shuffle_epi8(table(lead_by_high), high_halves()),
                            _mm256_shuffle_epi8(table(lead_by_low), low_halves()));
  }
  SLUICE_INLINE bytes32 follow_flags() const noexcept {
    return _mm256_shuffle_epi8(table(follow_by_high), high_halves());
  }
  SLUICE_INLINE bytes32 bit7_if_from_e0() const noexcept {
    return _mm256_subs_epu8(raw_, _mm256_set1_epi8(0xE0 - 0x80));
  }
  SLUICE_INLINE bytes32 bit7_if_from_f0() const noexcept {
    return _mm256_subs_epu8(raw_, _mm256_set1_epi8(0xF0 - 0x80));
  }

  static SLUICE_INLINE bytes32 any_of(bytes32 a, bytes32 b, bytes32 c) noexcept {
    return a | b | c;
  }
  SLUICE_INLINE bytes32 or_differs(bytes32 a, bytes32 b) const noexcept { return *this | (a ^ b); }
  SLUICE_INLINE bytes32 or_both(bytes32 a, bytes32 b) const noexcept {
    return _mm256_or_si256(raw_, _mm256_and_si256(a.raw_, b.raw_));
  }
  static SLUICE_INLINE bool flags_set(bytes32 a, std::uint8_t a_flags, bytes32 b,
                                      std::uint8_t b_flags) noexcept {
    const __m256i bits = _mm256_or_si256(_mm256_and_si256(a.raw_, splat(a_flags)),
                                         _mm256_and_si256(b.raw_, splat(b_flags)));
    return _mm256_testz_si256(bits, bits) == 0;
  }

private:
  static SLUICE_INLINE __m256i splat(std::uint8_t byte) noexcept {
    return _mm256_set1_epi8(static_cast<char>(byte));
  }
  static SLUICE_INLINE __m256i table(const half_byte_table& entries) noexcept {
    return _mm256_broadcastsi128_si256(
        _mm_loadu_si128(reinterpret_cast<const __m128i*>(entries.data())));
  }
  SLUICE_INLINE __m256i low_halves() const noexcept { return _mm256_and_si256(raw_, splat(0x0F)); }
  SLUICE_INLINE __m256i high_halves() const noexcept {
    return _mm256_and_si256(_mm256_srli_epi16(raw_, 4), splat(0x0F));
  }

  __m256i raw_;
};

} // namespace
} // namespace sluice::simd
