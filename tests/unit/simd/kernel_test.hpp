#pragma once

#include "reference/utf8_decoder.hpp"
#include "simd/kernels.hpp"
#include "support/test_effort.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <vector>

// What the tests of the kernels share. Each of them runs once per kernel that this CPU supports.
namespace sluice::test {

using bytes = std::vector<std::byte>;

class kernel_test : public testing::TestWithParam<const simd::kernel_table*> {
protected:
  const simd::kernel_table& kernel() const { return *GetParam(); }
};

inline std::string kernel_name(const testing::TestParamInfo<const simd::kernel_table*>& info) {
  return info.param->name;
}

/// For each test file: SLUICE_TEST_EVERY_KERNEL(its fixture).
#define SLUICE_TEST_EVERY_KERNEL(fixture)                                                          \
  INSTANTIATE_TEST_SUITE_P(                                                                        \
      kernels, fixture,                                                                            \
      testing::ValuesIn(simd::supported_kernels().begin(), simd::supported_kernels().end()),       \
      kernel_name)

inline bytes to_bytes(std::string_view text) {
  bytes copy(text.size());
  if (!text.empty())
    std::memcpy(copy.data(), text.data(), text.size());
  return copy;
}

inline std::byte key_byte(std::uint32_t key, std::size_t i) {
  return static_cast<std::byte>(key >> (8 * (i % 4)));
}

/// RFC 6455 section 5.3, byte by byte. `key` is the one for the first byte.
inline void reference_unmask(std::span<std::byte> text, std::uint32_t key) {
  for (std::size_t i = 0; i < text.size(); ++i)
    text[i] ^= key_byte(key, i);
}

/// The kernels' state for what the reference expects next.
inline simd::utf8_state state_of(utf8_expects expects) {
  switch (expects) {
  case utf8_expects::one:
    return {1, 0x80, 0xBF};
  case utf8_expects::two:
    return {2, 0x80, 0xBF};
  case utf8_expects::three:
    return {3, 0x80, 0xBF};
  case utf8_expects::two_from_a0:
    return {2, 0xA0, 0xBF};
  case utf8_expects::two_to_9f:
    return {2, 0x80, 0x9F};
  case utf8_expects::three_from_90:
    return {3, 0x90, 0xBF};
  case utf8_expects::three_to_8f:
    return {3, 0x80, 0x8F};
  case utf8_expects::character:
  case utf8_expects::nothing:
    break;
  }
  return {};
}

inline constexpr std::array every_start = {
    utf8_expects::character,     utf8_expects::one,         utf8_expects::two,
    utf8_expects::three,         utf8_expects::two_from_a0, utf8_expects::two_to_9f,
    utf8_expects::three_from_90, utf8_expects::three_to_8f,
};

inline bool same(const simd::utf8_state& a, const simd::utf8_state& b) {
  return a.due == b.due && a.low == b.low && a.high == b.high && a.spare == b.spare;
}

/// The UTF-8 form of a code point below 110000, surrogates included.
inline void append_code_point(std::string& text, std::uint32_t code) {
  const auto tail = [&text](std::uint32_t bits) {
    text.push_back(static_cast<char>(0x80 | (bits & 0x3F)));
  };
  if (code < 0x80) {
    text.push_back(static_cast<char>(code));
  } else if (code < 0x800) {
    text.push_back(static_cast<char>(0xC0 | code >> 6));
    tail(code);
  } else if (code < 0x10000) {
    text.push_back(static_cast<char>(0xE0 | code >> 12));
    tail(code >> 6);
    tail(code);
  } else {
    text.push_back(static_cast<char>(0xF0 | code >> 18));
    tail(code >> 12);
    tail(code >> 6);
    tail(code);
  }
}

/// Valid text of about `count` bytes: runs of one to four bytes a character, in random order.
inline std::string mixed_text(std::mt19937_64& random, std::size_t count) {
  std::string text;
  while (text.size() < count) {
    const std::uint64_t run = random() % 40;
    const std::uint64_t width = random() % 4;
    for (std::uint64_t i = 0; i <= run; ++i) {
      const auto any = static_cast<std::uint32_t>(random());
      append_code_point(text, width == 0   ? any % 0x80
                              : width == 1 ? 0x80 + any % 0x780
                              : width == 2 ? 0x800 + any % 0xD000
                                           : 0x10000 + any % 0x100000);
    }
  }
  return text;
}

} // namespace sluice::test
