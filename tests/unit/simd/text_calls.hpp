#pragma once

#include "unit/simd/kernel_test.hpp"

#include "support/guarded_pages.hpp"

#include <algorithm>
#include <array>

namespace sluice::test {

/// One slice of text for the four text functions of a kernel.
struct text_slice {
  std::span<const std::byte> text; // plain
  utf8_expects start = utf8_expects::character;
  std::uint32_t key = 0x3D21FA37;
};

/// Runs the four text functions (and the two copying ones onto themselves) over a slice that lies
/// between guard pages, with canaries around source and destination, and compares results, states
/// and bytes with the reference decoder.
class text_calls {
public:
  explicit text_calls(const simd::kernel_table& kernel, std::size_t room = 8192)
      : kernel_(kernel), from_(room), to_(room) {
    std::fill(from_.all().begin(), from_.all().end(), canary);
    std::fill(to_.all().begin(), to_.all().end(), canary);
  }

  /// `from_end`, `to_end`: how far before the guard page source and destination end.
  [[nodiscard]] testing::AssertionResult agree(const text_slice& slice, std::size_t from_end = 0,
                                               std::size_t to_end = 0) {
    const utf8_verdict expected = decode(slice.text, slice.start);
    return agree(slice, expected, from_end, to_end);
  }

  [[nodiscard]] testing::AssertionResult agree(const text_slice& slice,
                                               const utf8_verdict& expected, std::size_t from_end,
                                               std::size_t to_end) {
    const std::size_t n = slice.text.size();
    const auto source = from_.at_end(from_end, n), target = to_.at_end(to_end, n);
    simd::utf8_state state = state_of(slice.start);
    const simd::utf8_state start = state;
    const char* function = "";
    // What every call must leave behind.
    const auto check = [&](simd::utf8_result result, std::span<std::byte> text) {
      const simd::utf8_state end = expected.ok ? state_of(expected.end) : start;
      const bool right =
          result.ok == expected.ok && result.error_offset == expected.error_offset &&
          same(state, end) && around_untouched(from_, source) && around_untouched(to_, target) &&
          (!expected.ok ||
           std::equal(text.begin(), text.end(), slice.text.begin(), slice.text.end()));
      state = start;
      return right;
    };
    const auto failed = [&] {
      return testing::AssertionFailure()
             << kernel_.name << " " << function << " of " << n << " bytes, source -" << from_end
             << ", target -" << to_end << ", start " << static_cast<int>(slice.start)
             << ", expected " << (expected.ok ? "valid" : "an error at ") << expected.error_offset;
    };

    std::copy(slice.text.begin(), slice.text.end(), source.begin());
    function = "validate";
    if (!check(kernel_.validate(source.data(), n, state), source))
      return failed();
    function = "validate_copy";
    if (!check(kernel_.validate_copy(target.data(), source.data(), n, state), target))
      return failed();
    function = "validate_copy onto itself";
    if (!check(kernel_.validate_copy(source.data(), source.data(), n, state), source))
      return failed();

    reference_unmask(source, slice.key);
    function = "unmask_validate_copy";
    if (!check(kernel_.unmask_validate_copy(target.data(), source.data(), n, slice.key, state),
               target))
      return failed();
    std::copy(source.begin(), source.end(), target.begin());
    function = "unmask_validate";
    if (!check(kernel_.unmask_validate(source.data(), n, slice.key, state), source))
      return failed();
    function = "unmask_validate_copy onto itself";
    if (!check(kernel_.unmask_validate_copy(target.data(), target.data(), n, slice.key, state),
               target))
      return failed();
    std::fill(source.begin(), source.end(), canary);
    std::fill(target.begin(), target.end(), canary);
    return testing::AssertionSuccess();
  }

private:
  static constexpr std::byte canary{0xA5};

  static bool around_untouched(const guarded_pages& pages, std::span<std::byte> range) {
    const std::span<std::byte> all = pages.all();
    const auto at = static_cast<std::size_t>(range.data() - all.data());
    const std::size_t begin = at - std::min<std::size_t>(at, 64);
    const std::size_t end = std::min(at + range.size() + 64, all.size());
    const auto is_canary = [](std::byte byte) { return byte == canary; };
    const auto before = all.subspan(begin, at - begin);
    const auto after = all.subspan(at + range.size(), end - at - range.size());
    return std::all_of(before.begin(), before.end(), is_canary) &&
           std::all_of(after.begin(), after.end(), is_canary);
  }

  const simd::kernel_table& kernel_;
  guarded_pages from_, to_;
};

} // namespace sluice::test
