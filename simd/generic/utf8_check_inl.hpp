#pragma once

#include "simd/generic/utf8_flags.hpp"

// The UTF-8 algorithm, once, on vectors of any size. Included by each kernel inside its target
// region; the unnamed namespace gives every kernel its own copy, so that the linker cannot take
// one instruction set's code for another's.
//
// Byte i of `now` is compared with the three bytes before it:
//
//   due    = `back1` is a first byte, or `back2` one of 3 or 4 bytes, or `back3` one of 4
//   follow = `now` is a continuation byte
//
// and there is an error where due != follow, or where `back1` and `now` are a forbidden pair. Bit 7
// of a byte carries due and follow; the other bits of `due_` are noise.
namespace sluice::simd {
namespace {

template <class Bytes> class utf8_errors {
public:
  // Spelled out: implicit members do not belong to the target region.
  SLUICE_INLINE utf8_errors() noexcept : boundaries_(Bytes::zero()), pairs_(Bytes::zero()) {}

  SLUICE_INLINE void add(Bytes now, Bytes back1, Bytes back2, Bytes back3) noexcept {
    const Bytes lead = back1.lead_flags();
    const Bytes follow = now.follow_flags();
    const Bytes due = Bytes::any_of(lead, back2.bit7_if_from_e0(), back3.bit7_if_from_f0());
    boundaries_ = boundaries_.or_differs(due, follow);
    pairs_ = pairs_.or_both(lead, follow);
  }

  /// The same where the bytes before `now` are in a register.
  SLUICE_INLINE void add(Bytes now, Bytes previous) noexcept {
    add(now, now.template moved_up<1>(previous), now.template moved_up<2>(previous),
        now.template moved_up<3>(previous));
  }

  SLUICE_INLINE bool any() const noexcept {
    return Bytes::flags_set(boundaries_, boundary_flag, pairs_, pair_flags);
  }

private:
  Bytes boundaries_;
  Bytes pairs_;
};

} // namespace
} // namespace sluice::simd
