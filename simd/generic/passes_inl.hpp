#pragma once

#include "simd/generic/utf8_check_inl.hpp"
#include "simd/generic/words_inl.hpp"

#include <algorithm>

// One pass over a range of bytes that unmasks, checks and stores each vector while it is in a
// register. The six kernel functions are this pass with some of the three left out.
//
// By length, with the shortest vectors, of `size` bytes, of which four are enough:
//
//   1..15               two words (words_inl.hpp)
//   size .. 2 size      `two`: one vector at the start, one that ends where the range ends
//   2 size .. 4 size    `four`: two at the start, two at the end
//   more                `many`: blocks of four, and then `two` or `four`; without checks, vector
//                       after vector and a last one that ends where the range ends
//
// so no length has a loop over bytes and none ends with one. The vectors of `two` and `four` may
// overlap; all of them are loaded before one is stored, or an in-place range would be unmasked
// twice.
//
// Included inside a target region, hence the unnamed namespace.
namespace sluice::simd {
namespace {

struct pass_kind {
  bool masks;    // xor with the key
  bool checks;   // UTF-8
  bool stores;   // write what was read
  bool in_place; // source and destination are the same bytes
};

/// The key is the one for s[0]. `before` are the four bytes before s[0] as far as they matter:
/// the last, most significant one is the first byte of an unfinished character, or zero.
struct pass_range {
  std::byte* d;
  const std::byte* s;
  std::size_t n;
  std::uint32_t key;
  std::uint32_t before;
};

/// Whether what stands before a vector is `pass_range::before` or other bytes of the range.
enum class position { start, inside };

/// If `bad`, there is an error right before `from` or later. Otherwise `last_four` are the last
/// bytes of the plain text, or zeros if the end of it is ASCII.
struct pass_end {
  std::size_t from = 0;
  std::uint32_t last_four = 0;
  bool bad = false;
};

template <class Bytes, pass_kind Kind> class pass {
public:
  static constexpr std::size_t size = Bytes::size;

  SLUICE_INLINE explicit pass(const pass_range& range) noexcept : range_(range) {}

  /// From i to the end, `size` to 2 * `size` bytes. `before`: the four plain bytes before i.
  template <position At>
  SLUICE_INLINE pass_end two(std::size_t i, std::uint32_t before) const noexcept {
    const std::size_t j = range_.n - size;
    const Bytes key_i = key_at(i), key_j = key_at(j);
    const Bytes a = plain(i, key_i);
    const Bytes b = plain(j, key_j);
    pass_end end;
    if constexpr (Kind.checks) {
      if ((a | b).any_high_bit() || ends_inside(before)) {
        utf8_errors<Bytes> errors;
        Bytes leads = leads_in<At>(before);
        errors.add(a, leads);
        if (j - i >= 3) {
          add_reloaded(errors, j, b, key_j);
        } else if (j != i) {
          leads = leads_in<position::inside>(four_before(j, i, before));
          errors.add(b, leads);
        }
        end = {i, four_at(range_.n - 4), errors.any()};
      }
    }
    store(i, a);
    store(j, b);
    return end;
  }

  /// From i to the end, 2 * `size` to 4 * `size` bytes.
  template <position At>
  SLUICE_INLINE pass_end four(std::size_t i, std::uint32_t before) const noexcept {
    const std::size_t j = range_.n - 2 * size;
    const Bytes key_i = key_at(i), key_j = key_at(j);
    const Bytes a = plain(i, key_i);
    const Bytes b = plain(i + size, key_i);
    const Bytes c = plain(j, key_j);
    const Bytes d = plain(j + size, key_j);
    pass_end end;
    if constexpr (Kind.checks) {
      if ((Bytes::any_of(a, b, c) | d).any_high_bit() || ends_inside(before)) {
        utf8_errors<Bytes> errors;
        Bytes leads = leads_in<At>(before);
        errors.add(a, leads);
        add_reloaded(errors, i + size, b, key_i);
        if (j - i >= 3) {
          add_reloaded(errors, j, c, key_j);
          add_reloaded(errors, j + size, d, key_j);
        } else if (j != i) {
          leads = leads_in<position::inside>(four_before(j, i, before));
          errors.add(c, leads);
          errors.add(d, leads);
        }
        end = {i, four_at(range_.n - 4), errors.any()};
      }
    }
    store(i, a);
    store(i + size, b);
    store(j, c);
    store(j + size, d);
    return end;
  }

  /// The whole range, more than 4 * `size` bytes. A function of its own, so that short ranges do
  /// not save registers for it.
  static SLUICE_NOINLINE pass_end many(std::byte* d, const std::byte* s, std::size_t n,
                                       std::uint32_t key, std::uint32_t before) noexcept {
    if constexpr (!Kind.checks) {
      pass({d, s, n, key, before}).moves();
      return {};
    }
    if (n <= 8 * size) {
      // Two shapes, the second not shorter than a vector.
      std::size_t cut = (n >= 5 * size ? 4 : 3) * size;
      __asm__("" : "+r"(cut)); // or gcc chooses anew for each place that depends on it
      const pass_end end = pass({d, s, cut, key, before}).template four<position::start>(0, before);
      const pass rest({d, s, n, key, before});
      return end.bad ? end : rest.last(cut, Kind.checks ? rest.four_behind(cut) : 0);
    }
    return pass({d, s, n, key, before}).blocks();
  }

private:
  /// Errors are looked for once in so many bytes: seldom enough to cost nothing, often enough that
  /// the search for the exact place is short.
  static constexpr std::size_t stretch_bytes = 64 * size;

  SLUICE_INLINE pass_end last(std::size_t i, std::uint32_t before) const noexcept {
    return range_.n - i > 2 * size ? four<position::inside>(i, before)
                                   : two<position::inside>(i, before);
  }
  SLUICE_INLINE pass_end blocks() const noexcept;
  SLUICE_INLINE void moves() const noexcept;

  SLUICE_INLINE Bytes key_at(std::size_t i) const noexcept {
    return Kind.masks ? Bytes::repeat(rotate_key(range_.key, i)) : Bytes::zero();
  }
  SLUICE_INLINE Bytes plain(std::size_t i, Bytes key) const noexcept {
    const Bytes bytes = Bytes::load(range_.s + i);
    return Kind.masks ? bytes ^ key : bytes;
  }
  SLUICE_INLINE void store(std::size_t i, Bytes bytes) const noexcept {
    if constexpr (Kind.stores)
      bytes.store(range_.d + i);
  }

  /// Checks a vector that was loaded from i, after bytes of the source that are not stored yet, if
  /// in place.
  SLUICE_INLINE void add_reloaded(utf8_errors<Bytes>& errors, std::size_t i, Bytes now,
                                  Bytes key) const noexcept {
    errors.add(now, plain(i - 1, key.template key_before<1>()),
               plain(i - 2, key.template key_before<2>()),
               plain(i - 3, key.template key_before<3>()));
  }
  /// The lead flags of the four bytes before a vector.
  template <position At> static SLUICE_INLINE Bytes leads_in(std::uint32_t before) noexcept {
    if constexpr (At == position::start) {
      const auto lead = static_cast<std::uint8_t>(before >> 24);
      return Bytes::ending_in(std::uint32_t{lead_flags_of(lead)} << 24);
    } else {
      return Bytes::ending_in(before).lead_flags();
    }
  }

  /// The plain form of four bytes that are not stored yet, if in place.
  SLUICE_INLINE std::uint32_t four_at(std::size_t i) const noexcept {
    const auto bytes = load_word<std::uint32_t>(range_.s + i);
    return Kind.masks ? bytes ^ rotate_key(range_.key, i) : bytes;
  }
  /// The four before j, where those before i <= j are given.
  SLUICE_INLINE std::uint32_t four_before(std::size_t j, std::size_t i,
                                          std::uint32_t before) const noexcept {
    if (j - i >= 4)
      return four_at(j - 4);
    const std::uint64_t eight = std::uint64_t{four_at(i)} << 32 | before;
    return static_cast<std::uint32_t>(eight >> (8 * (j - i)));
  }
  /// The four before i, all of which are behind the pass.
  SLUICE_INLINE std::uint32_t four_behind(std::size_t i) const noexcept {
    if constexpr (Kind.in_place)
      return load_word<std::uint32_t>(range_.d + i - 4);
    else
      return four_at(i - 4);
  }

  pass_range range_;
};

template <class Bytes, pass_kind Kind> pass_end pass<Bytes, Kind>::blocks() const noexcept {
  // What stands before a vector is loaded again where the source stays as it is.
  constexpr bool reloads = Bytes::reload_is_faster && !Kind.in_place;
  const std::size_t n = range_.n;
  utf8_errors<Bytes> errors;
  Bytes leads = Bytes::zero(); // of the vector before, if not `reloads`
  bool open = false;           // a character may be unfinished

  // One vector at the start and one at the next aligned address, loaded before the first is stored.
  const auto address = reinterpret_cast<std::uintptr_t>(Kind.stores ? range_.d : range_.s);
  std::size_t i = size - address % size;
  const Bytes key = key_at(i);
  const Bytes first = plain(0, key_at(0));
  const Bytes second = plain(i, key);
  if constexpr (Kind.checks) {
    if ((first | second).any_high_bit() || ends_inside(range_.before)) {
      leads = leads_in<position::start>(range_.before);
      errors.add(first, leads);
      leads = leads_in<position::inside>(four_before(i, 0, range_.before));
      errors.add(second, leads);
      open = true;
    }
  }
  store(0, first);
  store(i, second);
  i += size;

  std::size_t stretch = 0; // where the errors begin that nobody has looked for
  while (n - i >= 5 * size) {
    const std::size_t stop = i + std::min((n - i - size) / (4 * size) * (4 * size), stretch_bytes);
    for (; i != stop; i += 4 * size) {
      const Bytes a = plain(i, key);
      const Bytes b = plain(i + size, key);
      const Bytes c = plain(i + 2 * size, key);
      const Bytes d = plain(i + 3 * size, key);
      if (!Kind.checks || !(Bytes::any_of(a, b, c) | d).any_high_bit()) {
        store(i, a);
        store(i + size, b);
        store(i + 2 * size, c);
        store(i + 3 * size, d);
        if (Kind.checks && open) {
          if (ends_inside(four_behind(i)))
            return {stretch, 0, true};
          open = false;
          leads = Bytes::zero();
        }
      } else {
        if constexpr (reloads) {
          SLUICE_UNROLL_TWICE
          for (std::size_t j = i; j != i + 4 * size; j += size) {
            const Bytes now = plain(j, key);
            store(j, now);
            add_reloaded(errors, j, now, key);
          }
        } else {
          for (std::size_t j = i; j != i + 4 * size; j += size) {
            const Bytes now = plain(j, key);
            store(j, now);
            errors.add(now, leads);
          }
        }
        open = true;
      }
    }
    if (Kind.checks && errors.any())
      return {stretch, 0, true};
    stretch = i;
  }

  if (n - i > 4 * size) {
    const Bytes now = plain(i, key);
    store(i, now);
    if constexpr (Kind.checks) {
      if constexpr (reloads)
        add_reloaded(errors, i, now, key);
      else
        errors.add(now, leads);
    }
    i += size;
  }
  if (Kind.checks && errors.any())
    return {stretch, 0, true};
  return last(i, Kind.checks ? four_behind(i) : 0);
}

/// The whole range, without checks: aligned stores but for the first and the last, which are loaded
/// before and stored after all the others.
template <class Bytes, pass_kind Kind> void pass<Bytes, Kind>::moves() const noexcept {
  const std::size_t n = range_.n;
  const Bytes first = plain(0, key_at(0));
  const Bytes last = plain(n - size, key_at(n - size));
  std::size_t i = size - reinterpret_cast<std::uintptr_t>(range_.d) % size;
  const Bytes key = key_at(i);
  for (; n - i > 4 * size; i += 4 * size) {
    const Bytes a = plain(i, key);
    const Bytes b = plain(i + size, key);
    const Bytes c = plain(i + 2 * size, key);
    const Bytes d = plain(i + 3 * size, key);
    store(i, a);
    store(i + size, b);
    store(i + 2 * size, c);
    store(i + 3 * size, d);
  }
  for (; n - i > size; i += size)
    store(i, plain(i, key));
  store(0, first);
  store(n - size, last);
}

/// `Bytes`, `Wider`...: the kernel's vectors, shortest first. `range.n` is at least Bytes::size.
template <pass_kind Kind, class Bytes, class... Wider>
SLUICE_INLINE pass_end pass_by_length(const pass_range& range) noexcept {
  const pass<Bytes, Kind> vectors(range);
  if (range.n <= 2 * Bytes::size)
    return vectors.template two<position::start>(0, range.before);
  if constexpr (sizeof...(Wider) != 0) {
    return pass_by_length<Kind, Wider...>(range);
  } else {
    if (range.n <= 4 * Bytes::size)
      return vectors.template four<position::start>(0, range.before);
    return vectors.many(range.d, range.s, range.n, range.key, range.before);
  }
}

} // namespace
} // namespace sluice::simd
