#pragma once

#include "simd/generic/passes_inl.hpp"
#include "simd/generic/utf8_check_inl.hpp"

#include <algorithm>

// What `pass` does not do: text that is not ASCII, or that begins inside a character. `two` and
// `four` are its shapes again, with checks; `many` goes block by block, then vector by vector, and
// ends with a vector that ends where the range ends. In place, that one and the four bytes before
// it are loaded before anything is stored: to load them from what has just been stored costs more
// than two vectors do.
//
// Included inside a target region, hence the unnamed namespace.
namespace sluice::simd {
namespace {

/// One comparison instead of three loads.
SLUICE_INLINE bool at_boundary(const utf8_state& state) noexcept {
  return std::bit_cast<std::uint32_t>(state) == 0;
}

/// The end of a pass over text[0, n) that unmasked and stored it all: `bad` if there is an error
/// right before `from` or later; otherwise `last_four` are its last bytes.
SLUICE_INLINE utf8_result finish(const std::byte* text, std::size_t n, std::size_t from, bool bad,
                                 std::uint32_t last_four, utf8_state& state) noexcept {
  if (bad)
    return find_error(text, n, from, state);
  if (ends_inside(last_four))
    return finish_inside(last_four, n, state);
  state = {};
  return {true, 0};
}

template <class Bytes, pass_kind Kind> class text_pass {
public:
  static constexpr std::size_t size = Bytes::size;

  /// The whole range, `size` to 2 * `size` bytes.
  static SLUICE_NOINLINE utf8_result two(std::byte* d, const std::byte* s, std::size_t n,
                                         std::uint32_t key, utf8_state& state) noexcept {
    text_pass text({d, s, n, key}, four_before_slice(state));
    const std::size_t j = n - size;
    const Bytes key_j = text.vectors_.key_at(j);
    const Bytes a = text.vectors_.plain(0, text.vectors_.key_at(0));
    const Bytes b = text.vectors_.plain(j, key_j);
    const std::uint32_t last_four = text.four_at(n - 4);
    text.add(a);
    if (j >= 3) {
      text.add_reloaded(j, b, key_j);
    } else if (j != 0) {
      text.leads_ = leads_of(text.four_before(j));
      text.add(b);
    }
    text.vectors_.store(0, a);
    text.vectors_.store(j, b);
    return finish(Kind.stores ? d : s, n, 0, text.errors_.any(), last_four, state);
  }

  /// The same, 2 * `size` to 4 * `size` bytes.
  static SLUICE_NOINLINE utf8_result four(std::byte* d, const std::byte* s, std::size_t n,
                                          std::uint32_t key, utf8_state& state) noexcept {
    text_pass text({d, s, n, key}, four_before_slice(state));
    const std::size_t j = n - 2 * size;
    const Bytes key_i = text.vectors_.key_at(0), key_j = text.vectors_.key_at(j);
    const Bytes a = text.vectors_.plain(0, key_i);
    const Bytes b = text.vectors_.plain(size, key_i);
    const Bytes c = text.vectors_.plain(j, key_j);
    const Bytes e = text.vectors_.plain(j + size, key_j);
    const std::uint32_t last_four = text.four_at(n - 4);
    text.add(a);
    text.add_reloaded(size, b, key_i);
    if (j >= 3) {
      text.add_reloaded(j, c, key_j);
      text.add_reloaded(j + size, e, key_j);
    } else if (j != 0) {
      text.leads_ = leads_of(text.four_before(j));
      text.add(c);
      text.add(e);
    }
    text.vectors_.store(0, a);
    text.vectors_.store(size, b);
    text.vectors_.store(j, c);
    text.vectors_.store(j + size, e);
    return finish(Kind.stores ? d : s, n, 0, text.errors_.any(), last_four, state);
  }

  /// From i to the end of a range of more than 4 * `size` bytes. Everything before i is ASCII and
  /// stored; if i is 0, the slice may begin inside a character.
  static SLUICE_NOINLINE utf8_result many(std::byte* d, const std::byte* s, std::size_t n,
                                          std::uint32_t key, std::size_t i,
                                          utf8_state& state) noexcept {
    text_pass text({d, s, n, key}, i == 0 ? four_before_slice(state) : 0);
    std::uint32_t last_four = Kind.in_place ? text.four_at(n - 4) : 0; // before it is stored
    std::size_t stretch = i; // where the errors begin that nobody has looked for
    const bool good = text.blocks(i, stretch);
    if constexpr (!Kind.in_place)
      last_four = text.four_at(n - 4);
    return finish(Kind.stores ? d : s, n, stretch, !good, last_four, state);
  }

private:
  /// Errors are looked for once in so many bytes: seldom enough to cost nothing, often enough that
  /// the search for the exact place is short.
  static constexpr std::size_t stretch_bytes = 64 * size;
  /// What stands before a vector is loaded again where the source stays as it is.
  static constexpr bool reloads = Bytes::reload_is_faster && !Kind.in_place;

  /// The last vector of the range, and the four bytes before it.
  struct last_vector {
    Bytes bytes;
    std::uint32_t before;
  };

  SLUICE_INLINE text_pass(const pass_range& range, std::uint32_t before) noexcept
      : range_(range), vectors_(range), before_(before),
        leads_(before == 0 ? Bytes::zero() : leads_of(before)) {}

  /// The four bytes before a slice as far as they matter: the last, most significant one is the
  /// first byte of an unfinished character, or zero.
  static SLUICE_INLINE std::uint32_t four_before_slice(const utf8_state& state) noexcept {
    return at_boundary(state) ? 0 : std::uint32_t{lead_before(state)} << 24;
  }
  static SLUICE_INLINE Bytes leads_of(std::uint32_t four) noexcept {
    return Bytes::ending_in(four).lead_flags();
  }

  /// The plain form of four bytes that are not stored yet, if in place.
  SLUICE_INLINE std::uint32_t four_at(std::size_t i) const noexcept {
    const auto bytes = load_word<std::uint32_t>(range_.s + i);
    return Kind.masks ? bytes ^ rotate_key(range_.key, i) : bytes;
  }
  /// The four before i, as far as they lie in the range from `start` on; below, `before_`.
  SLUICE_INLINE std::uint32_t four_before(std::size_t i, std::size_t start = 0) const noexcept {
    if (i - start >= 4)
      return four_at(i - 4);
    const std::uint64_t eight = std::uint64_t{four_at(start)} << 32 | before_;
    return static_cast<std::uint32_t>(eight >> (8 * (i - start)));
  }
  /// `start`: in place, everything before it is stored already.
  SLUICE_INLINE last_vector at_end(std::size_t start) const noexcept {
    const std::size_t j = range_.n - size;
    return {vectors_.plain(j, vectors_.key_at(j)), four_before(j, start)};
  }

  /// Checks a vector after the one that `leads_` is of.
  SLUICE_INLINE void add(Bytes now) noexcept { errors_.add(now, leads_); }
  /// Checks a vector at i >= 3 after bytes of the source that stay as they are.
  SLUICE_INLINE void add_reloaded(std::size_t i, Bytes now, Bytes key) noexcept {
    errors_.add(now, vectors_.plain(i - 1, key.template key_before<1>()),
                vectors_.plain(i - 2, key.template key_before<2>()),
                vectors_.plain(i - 3, key.template key_before<3>()));
  }

  SLUICE_INLINE void add_next(std::size_t i, Bytes now, Bytes key) noexcept {
    if constexpr (reloads)
      add_reloaded(i, now, key);
    else
      add(now);
  }
  SLUICE_INLINE void take(std::size_t i, Bytes now, Bytes key) noexcept {
    vectors_.store(i, now);
    add_next(i, now, key);
  }

  /// From i >= 3 to the end, `leads_` being those of the vector before i, if not `reloads`.
  SLUICE_INLINE void rest(std::size_t i, Bytes key, last_vector last) noexcept {
    const std::size_t j = range_.n - size;
    for (; i < j; i += size)
      take(i, vectors_.plain(i, key), key);
    if constexpr (!Kind.in_place)
      last = at_end(0);
    if constexpr (!reloads)
      leads_ = leads_of(last.before);
    take(j, last.bytes, vectors_.key_at(j));
  }

  SLUICE_INLINE bool blocks(std::size_t i, std::size_t& stretch) noexcept;

  pass_range range_;
  pass<Bytes, Kind> vectors_;
  std::uint32_t before_;
  utf8_errors<Bytes> errors_;
  Bytes leads_; // of the vector before
};

template <class Bytes, pass_kind Kind>
SLUICE_INLINE bool text_pass<Bytes, Kind>::blocks(std::size_t i, std::size_t& stretch) noexcept {
  const std::size_t n = range_.n;
  const last_vector last = Kind.in_place ? at_end(i) : last_vector{Bytes::zero(), 0};
  bool open = true; // a character may be unfinished
  Bytes key = vectors_.key_at(i);
  if (i == 0) {
    const Bytes first = vectors_.plain(0, key);
    add(first);
    if (n >= aligned_from_vectors * size) {
      i = vectors_.first_aligned();
      key = vectors_.key_at(i);
      const Bytes second = vectors_.plain(i, key); // before the first is stored: they overlap
      leads_ = leads_of(four_before(i));
      add(second);
      vectors_.store(0, first);
      vectors_.store(i, second);
    } else {
      vectors_.store(0, first);
    }
    i += size;
  }
  while (n - i >= 5 * size) {
    const std::size_t stop = i + std::min((n - i - size) / (4 * size) * (4 * size), stretch_bytes);
    for (; i != stop; i += 4 * size) {
      const Bytes a = vectors_.plain(i, key);
      const Bytes b = vectors_.plain(i + size, key);
      const Bytes c = vectors_.plain(i + 2 * size, key);
      const Bytes d = vectors_.plain(i + 3 * size, key);
      if (!(Bytes::any_of(a, b, c) | d).any_high_bit()) {
        if (open) {
          add_next(i, a, key);
          leads_ = Bytes::zero();
          open = false;
        }
        vectors_.store(i, a);
        vectors_.store(i + size, b);
        vectors_.store(i + 2 * size, c);
        vectors_.store(i + 3 * size, d);
        continue;
      }
      open = true;
      if constexpr (Bytes::has_few_registers) {
        SLUICE_UNROLL_TWICE
        for (std::size_t j = i; j != i + 4 * size; j += size)
          take(j, vectors_.plain(j, key), key);
      } else {
        for (std::size_t j = i; j != i + 4 * size; j += size)
          take(j, vectors_.plain(j, key), key);
      }
    }
    if (errors_.any())
      return false;
    stretch = i;
  }
  if (!open && n - i <= 4 * size && vectors_.two_or_four(i))
    return true; // all errors before have been looked for
  rest(i, key, last);
  return !errors_.any();
}

} // namespace
} // namespace sluice::simd
