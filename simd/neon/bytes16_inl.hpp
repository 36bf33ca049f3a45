#pragma once

#include "simd/generic/utf8_flags.hpp"

// Sixteen bytes in an Advanced SIMD (NEON) register of AArch64. Same operations as the x86 vectors.
namespace sluice::simd {
namespace {

class bytes16 {
public:
  static constexpr std::size_t size = 16;
  static constexpr bool has_few_registers = false;
  static constexpr bool reload_is_faster = true;

  SLUICE_INLINE bytes16(uint8x16_t raw) noexcept : raw_(raw) {}

  static SLUICE_INLINE bytes16 zero() noexcept { return vdupq_n_u8(0); }
  static SLUICE_INLINE bytes16 load(const std::byte* p) noexcept {
    return vld1q_u8(reinterpret_cast<const std::uint8_t*>(p));
  }
  SLUICE_INLINE void store(std::byte* p) const noexcept {
    vst1q_u8(reinterpret_cast<std::uint8_t*>(p), raw_);
  }
  /// The four bytes of `key`, over and over.
  static SLUICE_INLINE bytes16 repeat(std::uint32_t key) noexcept {
    return vreinterpretq_u8_u32(vdupq_n_u32(key));
  }
  /// Zeros, then the four bytes.
  static SLUICE_INLINE bytes16 ending_in(std::uint32_t last_four) noexcept {
    return vreinterpretq_u8_u32(vsetq_lane_u32(last_four, vdupq_n_u32(0), 3));
  }
  static SLUICE_INLINE bytes16 from_words(std::uint64_t low, std::uint64_t high) noexcept {
    return vreinterpretq_u8_u64(vcombine_u64(vcreate_u64(low), vcreate_u64(high)));
  }

  SLUICE_INLINE bytes16 operator^(bytes16 b) const noexcept { return veorq_u8(raw_, b.raw_); }
  SLUICE_INLINE bytes16 operator|(bytes16 b) const noexcept { return vorrq_u8(raw_, b.raw_); }
  SLUICE_INLINE bool any_high_bit() const noexcept { return vmaxvq_u8(raw_) >= 0x80; }

  /// Of a repeated key: the one for N bytes further down.
  template <int N> SLUICE_INLINE bytes16 key_before() const noexcept {
    return vextq_u8(raw_, raw_, 16 - N);
  }

  /// Each byte moves N places up; the last N of `previous` come in below. Then each is shifted
  /// Left bits to the left.
  template <int N, int Left = 0> SLUICE_INLINE bytes16 moved_up(bytes16 previous) const noexcept {
    return vshlq_n_u8(vextq_u8(previous.raw_, raw_, 16 - N), Left);
  }

  SLUICE_INLINE bytes16 lead_flags() const noexcept {
    const uint8x16_t low_halves = vandq_u8(raw_, vdupq_n_u8(0x0F));
    return vandq_u8(vqtbl1q_u8(table(lead_by_high), vshrq_n_u8(raw_, 4)),
                    vqtbl1q_u8(table(lead_by_low), low_halves));
  }
  SLUICE_INLINE bytes16 follow_flags() const noexcept {
    return vqtbl1q_u8(table(follow_by_high), vshrq_n_u8(raw_, 4));
  }
  SLUICE_INLINE bytes16 bit7_if_from_e0() const noexcept {
    return vqsubq_u8(raw_, vdupq_n_u8(0xE0 - 0x80));
  }
  SLUICE_INLINE bytes16 bit7_if_from_f0() const noexcept {
    return vqsubq_u8(raw_, vdupq_n_u8(0xF0 - 0x80));
  }

  static SLUICE_INLINE bytes16 any_of(bytes16 a, bytes16 b, bytes16 c) noexcept {
    return a | b | c;
  }
  SLUICE_INLINE bytes16 or_differs(bytes16 a, bytes16 b) const noexcept { return *this | (a ^ b); }
  SLUICE_INLINE bytes16 or_both(bytes16 a, bytes16 b) const noexcept {
    return vorrq_u8(raw_, vandq_u8(a.raw_, b.raw_));
  }
  /// Whether any byte of `a` has a bit of `a_flags`, or any of `b` one of `b_flags`.
  static SLUICE_INLINE bool flags_set(bytes16 a, std::uint8_t a_flags, bytes16 b,
                                      std::uint8_t b_flags) noexcept {
    return vmaxvq_u8(vorrq_u8(vandq_u8(a.raw_, vdupq_n_u8(a_flags)),
                              vandq_u8(b.raw_, vdupq_n_u8(b_flags)))) != 0;
  }

private:
  static SLUICE_INLINE uint8x16_t table(const half_byte_table& entries) noexcept {
    return vld1q_u8(entries.data());
  }

  uint8x16_t raw_;
};

} // namespace
} // namespace sluice::simd
