#pragma once

#include "simd/generic/passes_inl.hpp"

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
  /// One comparison instead of three loads.
  static SLUICE_INLINE bool at_boundary(const utf8_state& state) noexcept {
    return std::bit_cast<std::uint32_t>(state) == 0;
  }

  template <pass_kind Kind>
  static SLUICE_INLINE void move(std::byte* d, const std::byte* s, std::size_t n,
                                 std::uint32_t key) noexcept {
    if (n >= Short::size)
      pass_by_length<Kind, Short, Wider...>({d, s, n, key, 0});
    else if (n != 0)
      pass_short<true>(d, s, n, key, 0);
  }

  template <pass_kind Kind>
  static SLUICE_INLINE utf8_result check(std::byte* d, const std::byte* s, std::size_t n,
                                         std::uint32_t key, utf8_state& state) noexcept {
    const std::uint8_t lead = at_boundary(state) ? std::uint8_t{0} : lead_before(state);
    pass_end end;
    if (n >= Short::size) {
      end = pass_by_length<Kind, Short, Wider...>({d, s, n, key, std::uint32_t{lead} << 24});
    } else if (n != 0) {
      const short_text text = pass_short<Kind.stores>(d, s, n, key, lead);
      if (!text.any_high_bit && lead == 0)
        return {true, 0};
      utf8_errors<Short> errors;
      Short leads = Short::zero();
      errors.add(Short::from_words(text.low, text.high), leads);
      end = {0, static_cast<std::uint32_t>(text.high >> 32), errors.any()};
    } else {
      return {true, 0};
    }
    if (end.bad)
      return {false, find_error(Kind.stores ? d : s, n, end.from, state)};
    if (ends_inside(end.last_four))
      return finish_inside(end.last_four, n, state);
    if (lead != 0)
      state = {};
    return {true, 0};
  }
};

} // namespace
} // namespace sluice::simd
