#pragma once

#include "simd/generic/words_inl.hpp"

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
// so no length has a loop over bytes and none ends with one, and a length costs what its number of
// vectors costs. Vectors that may overlap are all loaded before one of them is stored, or an
// in-place range would be unmasked twice.
//
// With checks, this pass goes as far as the text is ASCII; text_pass goes on from there
// (text_passes_inl.hpp). They are apart because tables, masks and errors would have ASCII text,
// too, save registers and lay out a stack, at a cost that counts up to some hundred bytes.
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

/// The key is the one for s[0].
struct pass_range {
  std::byte* d;
  const std::byte* s;
  std::size_t n;
  std::uint32_t key;
};

/// From so many vectors on, stores are aligned, at the price of one more.
inline constexpr std::size_t aligned_from_vectors = 16;

template <class Bytes, pass_kind Kind> class pass {
public:
  static constexpr std::size_t size = Bytes::size;

  SLUICE_INLINE explicit pass(const pass_range& range) noexcept : range_(range) {}

  /// From i to the end, `size` to 2 * `size` bytes. False, and nothing is stored, if not ASCII.
  SLUICE_INLINE bool two(std::size_t i) const noexcept {
    const std::size_t j = range_.n - size;
    const Bytes a = plain(i, key_at(i));
    const Bytes b = plain(j, key_at(j));
    if (Kind.checks && (a | b).any_high_bit())
      return false;
    store(i, a);
    store(j, b);
    return true;
  }

  /// The same, 2 * `size` to 4 * `size` bytes.
  SLUICE_INLINE bool four(std::size_t i) const noexcept {
    const std::size_t j = range_.n - 2 * size;
    const Bytes key_i = key_at(i), key_j = key_at(j);
    const Bytes a = plain(i, key_i);
    const Bytes b = plain(i + size, key_i);
    const Bytes c = plain(j, key_j);
    const Bytes d = plain(j + size, key_j);
    if (Kind.checks && (Bytes::any_of(a, b, c) | d).any_high_bit())
      return false;
    store(i, a);
    store(i + size, b);
    store(j, c);
    store(j + size, d);
    return true;
  }

  SLUICE_INLINE bool two_or_four(std::size_t i) const noexcept {
    return range_.n - i <= 2 * size ? two(i) : four(i);
  }

  /// The whole range, more than 4 * `size` bytes. Where the first text lies that is not ASCII and
  /// not yet stored, or n.
  SLUICE_INLINE std::size_t many() const noexcept {
    if constexpr (Kind.checks)
      return ascii_prefix();
    moves();
    return range_.n;
  }

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
  /// The first place, 1..`size`, that is aligned: stores count, or loads if there are none.
  SLUICE_INLINE std::size_t first_aligned() const noexcept {
    const auto address = reinterpret_cast<std::uintptr_t>(Kind.stores ? range_.d : range_.s);
    return size - address % size;
  }

private:
  SLUICE_INLINE std::size_t ascii_prefix() const noexcept {
    const std::size_t n = range_.n;
    std::size_t i = 0;
    Bytes key = key_at(0);
    if (n >= aligned_from_vectors * size) {
      const Bytes first = plain(0, key);
      i = first_aligned();
      key = key_at(i);
      const Bytes second = plain(i, key); // before the first is stored: they overlap
      if ((first | second).any_high_bit())
        return 0;
      store(0, first);
      store(i, second);
      i += size;
    }
    for (; n - i >= 5 * size; i += 4 * size) {
      const Bytes a = plain(i, key);
      const Bytes b = plain(i + size, key);
      const Bytes c = plain(i + 2 * size, key);
      const Bytes d = plain(i + 3 * size, key);
      if ((Bytes::any_of(a, b, c) | d).any_high_bit())
        return i;
      store(i, a);
      store(i + size, b);
      store(i + 2 * size, c);
      store(i + 3 * size, d);
    }
    if (n - i > 4 * size) {
      const Bytes one = plain(i, key);
      if (one.any_high_bit())
        return i;
      store(i, one);
      i += size;
    }
    return two_or_four(i) ? n : i;
  }

  /// Aligned stores but for the first and the last, which are loaded before and stored after all
  /// the others.
  SLUICE_INLINE void moves() const noexcept {
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

  pass_range range_;
};

} // namespace
} // namespace sluice::simd
