#pragma once

#include "sluice/simd.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

namespace sluice::simd {

/// The functions of sluice/simd.hpp, once per instruction set, by pointer and length. As there: no
/// byte outside [p, p + n) is touched, d and s are the same or do not overlap, a state is unchanged
/// after an error.
struct kernel_table {
  const char* name;
  void (*unmask)(std::byte* p, std::size_t n, std::uint32_t key) noexcept;
  void (*unmask_copy)(std::byte* d, const std::byte* s, std::size_t n, std::uint32_t key) noexcept;
  utf8_result (*validate)(const std::byte* s, std::size_t n, utf8_state& state) noexcept;
  utf8_result (*validate_copy)(std::byte* d, const std::byte* s, std::size_t n,
                               utf8_state& state) noexcept;
  utf8_result (*unmask_validate)(std::byte* p, std::size_t n, std::uint32_t key,
                                 utf8_state& state) noexcept;
  utf8_result (*unmask_validate_copy)(std::byte* d, const std::byte* s, std::size_t n,
                                      std::uint32_t key, utf8_state& state) noexcept;
};

/// The kernels this CPU can run, slowest (scalar) first.
[[nodiscard]] std::span<const kernel_table* const> supported_kernels() noexcept;

/// The supported kernel of that name, or nullptr.
[[nodiscard]] const kernel_table* find_kernels(std::string_view name) noexcept;

/// False if SLUICE_FORCE_KERNEL names a kernel that is unknown or that this CPU cannot run; the
/// scalar one is active then, and opening a session or loop fails instead of running slowly.
[[nodiscard]] bool forced_kernel_ok() noexcept;

namespace detail {
extern constinit std::atomic<const kernel_table*> active;
const kernel_table& choose_active() noexcept;
} // namespace detail

/// The table in use: the fastest supported one, or the one that SLUICE_FORCE_KERNEL names, until
/// kernel_set::force() chooses another. Costs one load, so nobody needs to keep it.
[[nodiscard]] inline const kernel_table& active_kernels() noexcept {
  const kernel_table* table = detail::active.load(std::memory_order_relaxed);
  return table != nullptr ? *table : detail::choose_active();
}

} // namespace sluice::simd
