#include "simd/kernels.hpp"

#include "simd/kernel_list.hpp"

#include <array>
#include <cstdlib>

namespace sluice::simd {
namespace {

struct choice {
  std::array<const kernel_table*, 5> supported{};
  std::size_t supported_count = 0;
  const kernel_table* active = nullptr;
  bool forced_ok = true;
};

choice choose() noexcept {
  choice result;
  result.supported[result.supported_count++] = &scalar::kernels;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2"))
    result.supported[result.supported_count++] = &avx2::kernels;
#endif
  result.active = result.supported[result.supported_count - 1];
  const char* forced =
      std::getenv("SLUICE_FORCE_KERNEL"); // NOLINT(concurrency-mt-unsafe): read once
  if (forced == nullptr || *forced == '\0')
    return result;
  for (std::size_t i = 0; i < result.supported_count; ++i) {
    if (std::string_view(forced) == result.supported[i]->name) {
      result.active = result.supported[i];
      return result;
    }
  }
  result.active = &scalar::kernels;
  result.forced_ok = false;
  return result;
}

const choice& chosen() noexcept {
  static const choice once = choose();
  return once;
}

} // namespace

std::span<const kernel_table* const> supported_kernels() noexcept {
  return {chosen().supported.data(), chosen().supported_count};
}

const kernel_table& active_kernels() noexcept {
  return *chosen().active;
}

bool forced_kernel_ok() noexcept {
  return chosen().forced_ok;
}

} // namespace sluice::simd
