#pragma once

#include "simd/generic/utf8_flags.hpp"

// Sixty-four bytes in a ZMM register: AVX-512 F, BW, VL, VBMI and VBMI2. The operations are those
// of bytes16, where they are described. A byte permutation over the whole register takes 6-bit
// indices, so one look-up does the work of two by half bytes.
namespace sluice::simd {
namespace {

using six_bit_table = std::array<std::uint8_t, 64>;

/// Bits of a first byte C0..FF by its low six bits.
inline constexpr six_bit_table lead_by_six_bits = [] {
  six_bit_table table{};
  for (unsigned i = 0; i < 64; ++i)
    table[i] = lead_flags_of(static_cast<std::uint8_t>(0xC0 | i));
  return table;
}();

/// Bits of a second byte by its high six bits.
inline constexpr six_bit_table follow_by_six_bits = [] {
  six_bit_table table{};
  for (unsigned i = 0; i < 64; ++i)
    table[i] = follow_flags_of(static_cast<std::uint8_t>(i << 2));
  return table;
}();

class bytes64 {
public:
  static constexpr std::size_t size = 64;
  static constexpr bool has_few_registers = false;
  static constexpr bool reload_is_faster = false;

  SLUICE_INLINE bytes64(__m512i raw) noexcept : raw_(raw) {}

  static SLUICE_INLINE bytes64 zero() noexcept { return _mm512_setzero_si512(); }
  static SLUICE_INLINE bytes64 load(const std::byte* p) noexcept { return _mm512_loadu_si512(p); }
  SLUICE_INLINE void store(std::byte* p) const noexcept { _mm512_storeu_si512(p, raw_); }
  static SLUICE_INLINE bytes64 repeat(std::uint32_t key) noexcept {
    return _mm512_set1_epi32(static_cast<int>(key));
  }
  static SLUICE_INLINE bytes64 ending_in(std::uint32_t last_four) noexcept {
    return _mm512_maskz_set1_epi32(0x8000, static_cast<int>(last_four));
  }

  SLUICE_INLINE bytes64 operator^(bytes64 b) const noexcept {
    return _mm512_xor_si512(raw_, b.raw_);
  }
  SLUICE_INLINE bytes64 operator|(bytes64 b) const noexcept {
    return _mm512_or_si512(raw_, b.raw_);
  }
  SLUICE_INLINE bool any_high_bit() const noexcept { return _mm512_movepi8_mask(raw_) != 0; }

  template <int N> SLUICE_INLINE bytes64 key_before() const noexcept {
    return _mm512_rol_epi32(raw_, 8 * N);
  }

  template <int N, int Left = 0> SLUICE_INLINE bytes64 moved_up(bytes64 previous) const noexcept {
    // Each 64-bit word shifts in the top of the word before it, by bytes and bits at once.
    const __m512i words_before = _mm512_alignr_epi64(raw_, previous.raw_, 7);
    return _mm512_shldi_epi64(raw_, words_before, 8 * N + Left);
  }

  SLUICE_INLINE bytes64 lead_flags() const noexcept {
    const __mmask64 leads = _mm512_cmpge_epu8_mask(raw_, splat(0xC0));
    return _mm512_maskz_permutexvar_epi8(leads, raw_, table(lead_by_six_bits));
  }
  SLUICE_INLINE bytes64 follow_flags() const noexcept {
    // The two bits that the 16-bit shift brings in from the neighbour are not part of the index.
    return _mm512_permutexvar_epi8(_mm512_srli_epi16(raw_, 2), table(follow_by_six_bits));
  }
  SLUICE_INLINE bytes64 bit7_if_from_e0() const noexcept {
    return _mm512_subs_epu8(raw_, splat(0xE0 - 0x80));
  }
  SLUICE_INLINE bytes64 bit7_if_from_f0() const noexcept {
    return _mm512_subs_epu8(raw_, splat(0xF0 - 0x80));
  }

  static SLUICE_INLINE bytes64 any_of(bytes64 a, bytes64 b, bytes64 c) noexcept {
    return _mm512_ternarylogic_epi64(a.raw_, b.raw_, c.raw_, 0xFE); // a | b | c
  }
  SLUICE_INLINE bytes64 or_differs(bytes64 a, bytes64 b) const noexcept {
    return _mm512_ternarylogic_epi64(raw_, a.raw_, b.raw_, 0xF6); // raw | (a ^ b)
  }
  SLUICE_INLINE bytes64 or_both(bytes64 a, bytes64 b) const noexcept {
    return _mm512_ternarylogic_epi64(raw_, a.raw_, b.raw_, 0xF8); // raw | (a & b)
  }
  static SLUICE_INLINE bool flags_set(bytes64 a, std::uint8_t a_flags, bytes64 b,
                                      std::uint8_t b_flags) noexcept {
    const __m512i a_bits = _mm512_and_si512(a.raw_, splat(a_flags));
    const __m512i bits = // a_bits | (b & b_flags)
        _mm512_ternarylogic_epi64(a_bits, b.raw_, splat(b_flags), 0xF8);
    return _mm512_test_epi8_mask(bits, bits) != 0;
  }

private:
  static SLUICE_INLINE __m512i splat(std::uint8_t byte) noexcept {
    return _mm512_set1_epi8(static_cast<char>(byte));
  }
  static SLUICE_INLINE __m512i table(const six_bit_table& entries) noexcept {
    return _mm512_loadu_si512(entries.data());
  }

  __m512i raw_;
};

} // namespace
} // namespace sluice::simd
