#pragma once

#include "simd/generic/utf8_flags.hpp"

// The UTF-8 algorithm, once, on vectors of any size. Included by each kernel inside its target
// region; the unnamed namespace gives every kernel its own copy, so that the linker cannot take
// one instruction set's code for another's.
//
// Byte i of `now` is compared with the three bytes before it:
//
//   due    = back1 is a first byte, or back2 one of 3 or 4 bytes, or back3 one of 4 bytes
//   follow = now is a continuation byte
//
// and there is an error where due != follow, or where back1 and now are a forbidden pair. Bit 7 of
// a byte carries due and follow; the other bits of `boundaries_` are noise.
//
// The bytes before come from memory, loaded again one to three bytes further down, or from the
// vector before, out of which they are shifted. The first takes load ports, the second shuffles;
// which is faster depends on the instruction set (see passes_inl.hpp).
namespace sluice::simd {
namespace {

template <class Bytes> class utf8_errors {
public:
  // Spelled out: implicit members do not belong to the target region.
  SLUICE_INLINE utf8_errors() noexcept : boundaries_(Bytes::zero()), pairs_(Bytes::zero()) {}

  /// The vectors that begin one, two and three bytes before `now`.
  SLUICE_INLINE void add(Bytes now, Bytes back1, Bytes back2, Bytes back3) noexcept {
    const Bytes lead = back1.lead_flags();
    const Bytes due = Bytes::any_of(lead, back2.bit7_if_from_e0(), back3.bit7_if_from_f0());
    add(due, lead, now.follow_flags());
  }

  /// The lead flags of the vector before `now`; they become those of `now`.
  SLUICE_INLINE void add(Bytes now, Bytes& leads_before) noexcept {
    const Bytes leads = now.lead_flags();
    const Bytes lead = leads.template moved_up<1>(leads_before);
    const Bytes due = Bytes::any_of(lead, leads.template moved_up<2, 1>(leads_before),
                                    leads.template moved_up<3, 2>(leads_before));
    add(due, lead, now.follow_flags());
    leads_before = leads;
  }

  SLUICE_INLINE bool any() const noexcept {
    return Bytes::flags_set(boundaries_, boundary_flag, pairs_, pair_flags);
  }

private:
  SLUICE_INLINE void add(Bytes due, Bytes lead, Bytes follow) noexcept {
    boundaries_ = boundaries_.or_differs(due, follow);
    pairs_ = pairs_.or_both(lead, follow);
  }

  Bytes boundaries_;
  Bytes pairs_;
};

} // namespace
} // namespace sluice::simd
