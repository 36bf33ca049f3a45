#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice::test {

/// How much of its native work a test of millions of cases does in this build. Emulated and
/// sanitized programs run 10 to 100 times slower: they take a sample, and what is small enough (all
/// code points, all splits) in full.
#if defined(SLUICE_TEST_EMULATED)
inline constexpr std::uint64_t effort_divisor = 50;
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr std::uint64_t effort_divisor = 20;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr std::uint64_t effort_divisor = 20;
#else
inline constexpr std::uint64_t effort_divisor = 1;
#endif
#elif !defined(__OPTIMIZE__)
inline constexpr std::uint64_t effort_divisor = 20;
#else
inline constexpr std::uint64_t effort_divisor = 1;
#endif

[[nodiscard]] constexpr std::uint64_t scaled(std::uint64_t full) noexcept {
  return full / effort_divisor;
}
inline constexpr bool full_effort = effort_divisor == 1;

/// The next length after n where every length counts: all of them up to 130, a sample beyond.
[[nodiscard]] constexpr std::size_t step_at(std::size_t n) noexcept {
  return full_effort || n < 130 ? 1 : 1 + n % 13;
}

} // namespace sluice::test
