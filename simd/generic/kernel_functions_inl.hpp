#pragma once

#include "simd/generic/passes_inl.hpp"
#include "simd/generic/text_passes_inl.hpp"

// The six functions of a kernel table, made from its vector types. Included inside a target
// region, hence the unnamed namespace.
namespace sluice::simd {
namespace {

/// `Short`: the kernel's vector of 16 bytes; `Wider`: those of 32 and 64, if it has them.
template <class Short, class... Wider> struct kernel_functions {
  static void unmask(std::byte* p, std::size_t n, std::uint32_t key) noexcept {
    move<pass_kind{.masks = true, .checks = false, .stores = true, .in_place = true}>(p, p, n, key);
  }

  static void unmask_copy(std::byte* d, const std::byte* s, std::size_t n,
                          std::uint32_t key) noexcept {
    move<pass_kind{.masks = true, .checks = false, .stores = true, .in_place = false}>(d, s, n,
                                                                                       key);
  }

  static utf8_result validate(const std::byte* s, std::size_t n, utf8_state& state) noexcept {
    return check<pass_kind{.masks = false, .checks = true, .stores = false, .in_place = false}>(
        nullptr, s, n, 0, state);
  }

  static utf8_result validate_copy(std::byte* d, const std::byte* s, std::size_t n,
                                   utf8_state& state) noexcept {
    return check<pass_kind{.masks = false, .checks = true, .stores = true, .in_place = false}>(
        d, s, n, 0, state);
  }

  static utf8_result unmask_validate(std::byte* p, std::size_t n, std::uint32_t key,
                                     utf8_state& state) noexcept {
    return check<pass_kind{.masks = true, .checks = true, .stores = true, .in_place = true}>(
        p, p, n, key, state);
  }

  static utf8_result unmask_validate_copy(std::byte* d, const std::byte* s, std::size_t n,
                                          std::uint32_t key, utf8_state& state) noexcept {
    if (d == s) // the source does not stay as it is
      return unmask_validate(d, n, key, state);
    return check<pass_kind{.masks = true, .checks = true, .stores = true, .in_place = false}>(
        d, s, n, key, state);
  }

  static constexpr kernel_table table(const char* name) noexcept {
    return {name,          unmask,          unmask_copy,         validate,
            validate_copy, unmask_validate, unmask_validate_copy};
  }

private:
  template <pass_kind Kind>
  static SLUICE_INLINE void move(std::byte* d, const std::byte* s, std::size_t n,
                                 std::uint32_t key) noexcept {
    if (n >= Short::size)
      move_vectors<Kind, Short, Wider...>({d, s, n, key});
    else if (n != 0)
      pass_short<true>(d, s, n, key, 0);
  }

  /// `Bytes`, `Rest`...: the kernel's vectors, shortest first. `n` is at least Bytes::size.
  template <pass_kind Kind, class Bytes, class... Rest>
  static SLUICE_INLINE void move_vectors(const pass_range& range) noexcept {
    const pass<Bytes, Kind> vectors(range);
    if (range.n <= 2 * Bytes::size)
      vectors.two(0);
    else if constexpr (sizeof...(Rest) != 0)
      move_vectors<Kind, Rest...>(range);
    else if (range.n <= 4 * Bytes::size)
      vectors.four(0);
    else
      vectors.many();
  }

  template <pass_kind Kind>
  static SLUICE_INLINE utf8_result check(std::byte* d, const std::byte* s, std::size_t n,
                                         std::uint32_t key, utf8_state& state) noexcept {
    if (!at_boundary(state))
      return check_inside<Kind>(d, s, n, key, state);
    if (n >= Short::size)
      return check_vectors<Kind, true, Short, Wider...>(d, s, n, key, state);
    if (n == 0)
      return {true, 0};
    const short_text text = pass_short<Kind.stores>(d, s, n, key, 0);
    if (!text.any_high_bit)
      return {true, 0};
    return check_words(Kind.stores ? d : s, n, text.low, text.high, state);
  }

  /// A slice that begins inside a character.
  template <pass_kind Kind>
  static SLUICE_NOINLINE utf8_result check_inside(std::byte* d, const std::byte* s, std::size_t n,
                                                  std::uint32_t key, utf8_state& state) noexcept {
    if (n >= Short::size)
      return check_vectors<Kind, false, Short, Wider...>(d, s, n, key, state);
    if (n == 0)
      return {true, 0};
    const short_text text = pass_short<Kind.stores>(d, s, n, key, lead_before(state));
    return check_words(Kind.stores ? d : s, n, text.low, text.high, state);
  }

  static SLUICE_NOINLINE utf8_result check_words(const std::byte* text, std::size_t n,
                                                 std::uint64_t low, std::uint64_t high,
                                                 utf8_state& state) noexcept {
    utf8_errors<Short> errors;
    Short leads = Short::zero();
    errors.add(Short::from_words(low, high), leads);
    return finish(text, n, 0, errors.any(), static_cast<std::uint32_t>(high >> 32), state);
  }

  /// `MayBeAscii`: tries what is faster for ASCII first.
  template <pass_kind Kind, bool MayBeAscii, class Bytes, class... Rest>
  static SLUICE_INLINE utf8_result check_vectors(std::byte* d, const std::byte* s, std::size_t n,
                                                 std::uint32_t key, utf8_state& state) noexcept {
    const pass<Bytes, Kind> vectors({d, s, n, key});
    using text = text_pass<Bytes, Kind>;
    if (n <= 2 * Bytes::size) {
      if (MayBeAscii && vectors.two(0))
        return {true, 0};
      return text::two(d, s, n, key, state);
    }
    if constexpr (sizeof...(Rest) != 0) {
      return check_vectors<Kind, MayBeAscii, Rest...>(d, s, n, key, state);
    } else {
      if (n <= 4 * Bytes::size) {
        if (MayBeAscii && vectors.four(0))
          return {true, 0};
        return text::four(d, s, n, key, state);
      }
      const std::size_t i = MayBeAscii ? vectors.many() : 0;
      if (i == n)
        return {true, 0};
      return text::many(d, s, n, key, i, state);
    }
  }
};

} // namespace
} // namespace sluice::simd
