#include "simd/generic/utf8_state.hpp"
#include "simd/kernel_list.hpp"

#include <bit>
#include <cstring>

namespace sluice::simd::scalar {
namespace {

std::uint8_t key_byte(std::uint32_t key, std::size_t i) noexcept {
  return static_cast<std::uint8_t>(key >> ((i & 3u) * 8u));
}

void unmask_copy(std::byte* d, const std::byte* s, std::size_t n, std::uint32_t key) noexcept {
  const std::uint64_t wide = (static_cast<std::uint64_t>(key) << 32) | key;
  std::size_t i = 0;
  for (; n - i >= 8; i += 8) {
    std::uint64_t word;
    std::memcpy(&word, s + i, 8);
    word ^= wide;
    std::memcpy(d + i, &word, 8);
  }
  for (; i < n; ++i)
    d[i] = s[i] ^ static_cast<std::byte>(key_byte(key, i));
}

void unmask(std::byte* p, std::size_t n, std::uint32_t key) noexcept {
  unmask_copy(p, p, n, key);
}

utf8_result validate(const std::byte* s, std::size_t n, utf8_state& state) noexcept {
  utf8_state now = state;
  std::size_t i = 0;
  while (i < n) {
    if (now.due == 0 && n - i >= 8) {
      std::uint64_t word;
      std::memcpy(&word, s + i, 8);
      if ((word & 0x8080808080808080u) == 0) {
        i += 8;
        continue;
      }
    }
    if (!utf8_step(now, std::to_integer<std::uint8_t>(s[i])))
      return {false, i};
    ++i;
  }
  state = now;
  return {true, 0};
}

utf8_result validate_copy(std::byte* d, const std::byte* s, std::size_t n,
                          utf8_state& state) noexcept {
  if (n != 0 && d != s)
    std::memcpy(d, s, n);
  return validate(d, n, state);
}

utf8_result unmask_validate_copy(std::byte* d, const std::byte* s, std::size_t n, std::uint32_t key,
                                 utf8_state& state) noexcept {
  unmask_copy(d, s, n, key);
  return validate(d, n, state);
}

utf8_result unmask_validate(std::byte* p, std::size_t n, std::uint32_t key,
                            utf8_state& state) noexcept {
  unmask_copy(p, p, n, key);
  return validate(p, n, state);
}

} // namespace

constinit const kernel_table kernels = {
    "scalar", unmask, unmask_copy, validate, validate_copy, unmask_validate, unmask_validate_copy};

} // namespace sluice::simd::scalar
