#include "simd/generic/utf8_state.hpp"
#include "simd/kernel_list.hpp"
#include "simd/target.hpp"

#include "simd/generic/words_inl.hpp"

// The kernel of CPUs without any of the others: eight bytes at a time, and characters that are not
// ASCII byte by byte.
namespace sluice::simd::scalar {
namespace {

constexpr std::size_t word_bytes = 8;

void unmask_copy(std::byte* d, const std::byte* s, std::size_t n, std::uint32_t key) noexcept {
  if (n < 2 * word_bytes) {
    if (n != 0)
      pass_short<true>(d, s, n, key, 0);
    return;
  }
  // Loaded before its neighbour is stored: the two may overlap.
  const std::uint64_t last =
      load_word<std::uint64_t>(s + n - word_bytes) ^ repeat_key(rotate_key(key, n));
  for (std::size_t i = 0; i < n - word_bytes; i += word_bytes)
    store_word(d + i, load_word<std::uint64_t>(s + i) ^ repeat_key(key));
  store_word(d + n - word_bytes, last);
}

void unmask(std::byte* p, std::size_t n, std::uint32_t key) noexcept {
  unmask_copy(p, p, n, key);
}

utf8_result validate(const std::byte* s, std::size_t n, utf8_state& state) noexcept {
  const auto is_ascii_word = [s, n](std::size_t at) {
    return n - at >= word_bytes && (load_word<std::uint64_t>(s + at) & high_bits) == 0;
  };
  utf8_state now = state;
  std::size_t i = 0;
  while (i < n) {
    if (now.due == 0 && is_ascii_word(i)) {
      do // leaves the state alone
        i += word_bytes;
      while (is_ascii_word(i));
      continue;
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
  return unmask_validate_copy(p, p, n, key, state);
}

} // namespace

constinit const kernel_table kernels = {
    "scalar", unmask, unmask_copy, validate, validate_copy, unmask_validate, unmask_validate_copy};

} // namespace sluice::simd::scalar
