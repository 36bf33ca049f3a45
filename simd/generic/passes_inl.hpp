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
//   more                `many`: vectors at aligned addresses, then `two` or `four`
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

/// If `bad`, there is an error right before `from` or later. Otherwise `last_four` are the last
/// bytes of the plain text, or zeros if all of it is ASCII.
struct pass_end {
  bool bad = false;
  std::size_t from = 0;
  std::uint32_t last_four = 0;
};

template <class Bytes, pass_kind Kind> class pass {
public:
  static constexpr std::size_t size = Bytes::size;

  SLUICE_INLINE explicit pass(const pass_range& range) noexcept : range_(range) {}

  /// From i to the end, `size` to 2 * `size` bytes. `before`: the four plain bytes before i.
  SLUICE_INLINE pass_end two(std::size_t i, std::uint32_t before) const noexcept {
    const std::size_t j = range_.n - size;
    const Bytes a = plain(i, key_at(i));
    const Bytes b = plain(j, key_at(j));
    pass_end end;
    if constexpr (Kind.checks) {
      if ((a | b).any_high_bit() || ends_inside(before)) {
        utf8_errors<Bytes> errors;
        errors.add(a, Bytes::ending_in(before));
        errors.add(b, Bytes::ending_in(four_before(j, i, before)));
        end = {errors.any(), i, four_at(range_.n - 4)};
      }
    }
    store(i, a);
    store(j, b);
    return end;
  }

  /// From i to the end, 2 * `size` to 4 * `size` bytes.
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
        errors.add(a, Bytes::ending_in(before));
        errors.add(b, a);
        errors.add(c, Bytes::ending_in(four_before(j, i, before)));
        errors.add(d, c);
        end = {errors.any(), i, four_at(range_.n - 4)};
      }
    }
    store(i, a);
    store(i + size, b);
    store(j, c);
    store(j + size, d);
    return end;
  }

  /// The whole range, more than 4 * `size` bytes.
  pass_end many() const noexcept;

private:
  /// Errors are looked for once in so many bytes: seldom enough to cost nothing, often enough that
  /// the search for the exact place is short.
  static constexpr std::size_t stretch_bytes = 64 * size;

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

/// The bytes before a vector: loaded again, one to three bytes further down, where the source
/// stays as it is; shifted out of the previous vector where the source has been overwritten. Loads
/// have ports of their own, so the first way is faster wherever it is possible.
template <class Bytes, pass_kind Kind> class backward_view {
public:
  SLUICE_INLINE backward_view(std::uint32_t key, Bytes previous) noexcept
      : key1_(Bytes::repeat(rotate_key(key, 3))), key2_(Bytes::repeat(rotate_key(key, 2))),
        key3_(Bytes::repeat(rotate_key(key, 1))), previous_(previous) {}

  /// `at`: where `now` was loaded from.
  SLUICE_INLINE void check(utf8_errors<Bytes>& errors, const std::byte* at, Bytes now) noexcept {
    if constexpr (Kind.in_place) {
      errors.add(now, previous_);
      previous_ = now;
    } else {
      const Bytes back1 = Bytes::load(at - 1), back2 = Bytes::load(at - 2);
      const Bytes back3 = Bytes::load(at - 3);
      if constexpr (Kind.masks)
        errors.add(now, back1 ^ key1_, back2 ^ key2_, back3 ^ key3_);
      else
        errors.add(now, back1, back2, back3);
    }
  }
  SLUICE_INLINE void skip_to(Bytes last) noexcept { previous_ = last; }

private:
  Bytes key1_, key2_, key3_;
  Bytes previous_;
};

template <class Bytes, pass_kind Kind> pass_end pass<Bytes, Kind>::many() const noexcept {
  const std::size_t n = range_.n;
  // A vector at 0 and one at the next aligned address, loaded before the first is stored.
  const auto address = reinterpret_cast<std::uintptr_t>(Kind.stores ? range_.d : range_.s);
  const std::size_t aligned = size - address % size;
  const Bytes key = key_at(aligned);
  const Bytes first = plain(0, key_at(0));
  const Bytes second = plain(aligned, key);
  utf8_errors<Bytes> errors;
  bool open = false; // a character may be unfinished
  if constexpr (Kind.checks) {
    if ((first | second).any_high_bit() || ends_inside(range_.before)) {
      errors.add(first, Bytes::ending_in(range_.before));
      errors.add(second, Bytes::ending_in(four_before(aligned, 0, range_.before)));
      open = true;
    }
  }
  store(0, first);
  store(aligned, second);

  std::size_t i = aligned + size;
  std::size_t stretch = 0;
  backward_view<Bytes, Kind> behind(rotate_key(range_.key, aligned), second);
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
            return {true, stretch, 0};
          open = false;
        }
        behind.skip_to(d);
      } else {
        for (std::size_t j = i; j != i + 4 * size; j += size) {
          const Bytes now = plain(j, key);
          store(j, now);
          behind.check(errors, range_.s + j, now);
        }
        open = true;
      }
    }
    if (Kind.checks && errors.any())
      return {true, stretch, 0};
    stretch = i;
  }

  if (n - i > 4 * size) {
    const Bytes now = plain(i, key);
    store(i, now);
    if constexpr (Kind.checks)
      behind.check(errors, range_.s + i, now);
    i += size;
  }
  if (Kind.checks && errors.any())
    return {true, stretch, 0};
  const std::uint32_t before = Kind.checks ? four_behind(i) : 0;
  return n - i > 2 * size ? four(i, before) : two(i, before);
}

/// `Bytes`, `Wider`...: the kernel's vectors, shortest first. `range.n` is at least Bytes::size.
template <pass_kind Kind, class Bytes, class... Wider>
SLUICE_INLINE pass_end pass_by_length(const pass_range& range) noexcept {
  const pass<Bytes, Kind> vectors(range);
  if (range.n <= 2 * Bytes::size)
    return vectors.two(0, range.before);
  if constexpr (sizeof...(Wider) != 0) {
    return pass_by_length<Kind, Wider...>(range);
  } else {
    if (range.n <= 4 * Bytes::size)
      return vectors.four(0, range.before);
    return vectors.many();
  }
}

} // namespace
} // namespace sluice::simd
