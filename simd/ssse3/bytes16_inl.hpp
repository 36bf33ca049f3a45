#pragma once

#include "simd/generic/utf8_flags.hpp"

// Sixteen bytes in an SSE register, SSSE3. Also the short vectors of the wider x86 kernels, which
// compile their own copy (hence the unnamed namespace).
namespace sluice::simd {
namespace {

class bytes16 {
public:
  static constexpr std::size_t size = 16;
  /// Loops with tables are unrolled twice, not four times, or the tables end on the stack.
  static constexpr bool has_few_registers = true;
  /// Than to shift bytes from one vector into the next (utf8_check_inl.hpp).
  static constexpr bool reload_is_faster = true;

  SLUICE_INLINE bytes16(__m128i raw) noexcept : raw_(raw) {}

  static SLUICE_INLINE bytes16 zero() noexcept { return _mm_setzero_si128(); }
  static SLUICE_INLINE bytes16 load(const std::byte* p) noexcept {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  }
  SLUICE_INLINE void store(std::byte* p) const noexcept {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), raw_);
  }
  /// The four bytes of `key`, over and over.
  static SLUICE_INLINE bytes16 repeat(std::uint32_t key) noexcept {
    return _mm_set1_epi32(static_cast<int>(key));
  }
  /// Zeros, then the four bytes.
  static SLUICE_INLINE bytes16 ending_in(std::uint32_t last_four) noexcept {
    return _mm_slli_si128(_mm_cvtsi32_si128(static_cast<int>(last_four)), 12);
  }
  static SLUICE_INLINE bytes16 from_words(std::uint64_t low, std::uint64_t high) noexcept {
    return _mm_unpacklo_epi64(_mm_cvtsi64_si128(static_cast<long long>(low)),
                              _mm_cvtsi64_si128(static_cast<long long>(high)));
  }

  SLUICE_INLINE bytes16 operator^(bytes16 b) const noexcept { return _mm_xor_si128(raw_, b.raw_); }
  SLUICE_INLINE bytes16 operator|(bytes16 b) const noexcept { return _mm_or_si128(raw_, b.raw_); }
  SLUICE_INLINE bool any_high_bit() const noexcept { return _mm_movemask_epi8(raw_) != 0; }

  /// Of a repeated key: the one for N bytes further down.
  template <int N> SLUICE_INLINE bytes16 key_before() const noexcept {
    return _mm_alignr_epi8(raw_, raw_, 16 - N);
  }

  /// Each byte moves N places up; the last N of `previous` come in below. Then each is shifted
  /// Left bits to the left; what comes in at its right is anything.
  template <int N, int Left = 0> SLUICE_INLINE bytes16 moved_up(bytes16 previous) const noexcept {
    const __m128i moved = _mm_alignr_epi8(raw_, previous.raw_, 16 - N);
    return Left == 0 ? moved : _mm_slli_epi16(moved, Left);
  }

  SLUICE_INLINE bytes16 lead_flags() const noexcept {
    return _mm_and_si128(_mm_shuffle_epi8(table(lead_by_high), high_halves()),
                         _mm_shuffle_epi8(table(lead_by_low), low_halves()));
  }
  SLUICE_INLINE bytes16 follow_flags() const noexcept {
    return _mm_shuffle_epi8(table(follow_by_high), high_halves());
  }
  SLUICE_INLINE bytes16 bit7_if_from_e0() const noexcept {
    return _mm_subs_epu8(raw_, _mm_set1_epi8(0xE0 - 0x80));
  }
  SLUICE_INLINE bytes16 bit7_if_from_f0() const noexcept {
    return _mm_subs_epu8(raw_, _mm_set1_epi8(0xF0 - 0x80));
  }

  static SLUICE_INLINE bytes16 any_of(bytes16 a, bytes16 b, bytes16 c) noexcept {
    return a | b | c;
  }
  SLUICE_INLINE bytes16 or_differs(bytes16 a, bytes16 b) const noexcept { return *this | (a ^ b); }
  SLUICE_INLINE bytes16 or_both(bytes16 a, bytes16 b) const noexcept {
    return _mm_or_si128(raw_, _mm_and_si128(a.raw_, b.raw_));
  }
  /// Whether any byte of `a` has a bit of `a_flags`, or any of `b` one of `b_flags`.
  static SLUICE_INLINE bool flags_set(bytes16 a, std::uint8_t a_flags, bytes16 b,
                                      std::uint8_t b_flags) noexcept {
    const __m128i bits =
        _mm_or_si128(_mm_and_si128(a.raw_, splat(a_flags)), _mm_and_si128(b.raw_, splat(b_flags)));
    return _mm_movemask_epi8(_mm_cmpeq_epi8(bits, _mm_setzero_si128())) != 0xFFFF;
  }

private:
  static SLUICE_INLINE __m128i splat(std::uint8_t byte) noexcept {
    return _mm_set1_epi8(static_cast<char>(byte));
  }
  static SLUICE_INLINE __m128i table(const half_byte_table& entries) noexcept {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(entries.data()));
  }
  SLUICE_INLINE __m128i low_halves() const noexcept { return _mm_and_si128(raw_, splat(0x0F)); }
  SLUICE_INLINE __m128i high_halves() const noexcept {
    return _mm_and_si128(_mm_srli_epi16(raw_, 4), splat(0x0F));
  }

  __m128i raw_;
};

} // namespace
} // namespace sluice::simd
