#include "bench/simd/workload.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <random>

namespace sluice::bench {
namespace {

constexpr std::size_t line_bytes = 64;
constexpr std::size_t header_bytes = 6;
// A third of a first-level cache of 32 KiB, and twice 4 KiB: a receiver never unmasks the same
// bytes twice in a row, and loads would wait for the stores of the call before.
constexpr std::size_t hot_bytes = 10 * 1024;
// Source and destination at the same place in their pages would make loads wait for stores that
// they have nothing to do with.
constexpr std::size_t target_shift = 33 * line_bytes;

std::byte* allocate(std::size_t bytes) {
  void* block = nullptr;
  if (posix_memalign(&block, 4096, bytes) != 0)
    throw std::bad_alloc();
  std::memset(block, 0, bytes); // have the pages
  return static_cast<std::byte*>(block);
}

void append(std::string& text, std::uint32_t code) {
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

std::uint32_t draw(std::string_view input, std::mt19937& random) {
  const auto any = static_cast<std::uint32_t>(random());
  if (input == "latin")
    return 0xC0 + any % 0x140; // U+00C0..U+01FF: two bytes
  if (input == "cjk")
    return 0x4E00 + any % 0x5000; // three
  if (input == "emoji")
    return 0x1F600 + any % 80; // four
  if (input == "mixed")
    return draw(all_inputs[any % 4], random);
  return 0x20 + any % 95;
}

} // namespace

const char* name_of(function what) noexcept {
  switch (what) {
  case function::unmask:
    return "unmask";
  case function::unmask_copy:
    return "unmask_copy";
  case function::validate:
    return "validate";
  case function::validate_copy:
    return "validate_copy";
  case function::unmask_validate:
    return "unmask_validate";
  case function::unmask_validate_copy:
    return "unmask_validate_copy";
  case function::memcpy:
    break;
  }
  return "memcpy";
}

bool takes_text(function what) noexcept {
  return what != function::unmask && what != function::unmask_copy && what != function::memcpy;
}

std::string make_text(std::string_view input, std::size_t bytes) {
  std::mt19937 random(42);
  std::string text;
  while (text.size() < bytes) {
    const std::size_t whole = text.size();
    append(text, draw(input, random));
    if (text.size() > bytes) {
      text.resize(whole);
      text.append(bytes - whole, 'x');
    }
  }
  return text;
}

arena::arena(std::size_t largest_bytes)
    : source_(allocate(largest_bytes + 2 * hot_bytes)),
      target_(allocate(largest_bytes + 2 * hot_bytes + target_shift)) {}

arena::~arena() {
  std::free(source_);
  std::free(target_);
}

void arena::fill(function what, std::string_view input, std::size_t bytes) {
  bytes_ = bytes;
  stride_ = (header_bytes + bytes + line_bytes - 1) / line_bytes * line_bytes;
  places_ = std::clamp<std::size_t>(hot_bytes / stride_, 1, 64);
  // In place, every call but the first would meet the masked text: a key of zeros costs the same.
  key_ = what == function::unmask_validate ? 0 : 0x3D21FA37;
  const bool masked = what == function::unmask_validate_copy;
  const std::string text = make_text(takes_text(what) ? input : "mixed", bytes);
  for (std::size_t place = 0; place < places_; ++place) {
    std::byte* at = source_ + place * stride_ + header_bytes;
    std::memcpy(at, text.data(), bytes);
    if (masked)
      simd::supported_kernels().front()->unmask(at, bytes, key_);
  }
}

template <class Call> std::size_t arena::each(std::size_t rounds, Call call) {
  std::size_t failed = 0;
  for (std::size_t round = 0; round < rounds; ++round) {
    std::byte* source = source_ + header_bytes;
    std::byte* target = target_ + target_shift;
    for (std::size_t place = 0; place < places_; ++place) {
      failed += !call(target, source, bytes_);
      __asm__ volatile("" ::: "memory");
      source += stride_;
      target += stride_;
    }
  }
  return failed;
}

std::size_t arena::run(function what, const simd::kernel_table& kernel, std::size_t rounds) {
  const simd::kernel_table use = kernel; // as a connection does
  const std::uint32_t key = key_;
  switch (what) {
  case function::unmask:
    return each(rounds, [&](std::byte*, std::byte* s, std::size_t n) {
      use.unmask(s, n, key);
      return true;
    });
  case function::unmask_copy:
    return each(rounds, [&](std::byte* d, std::byte* s, std::size_t n) {
      use.unmask_copy(d, s, n, key);
      return true;
    });
  case function::validate:
    return each(rounds, [&](std::byte*, std::byte* s, std::size_t n) {
      simd::utf8_state state;
      return use.validate(s, n, state).ok;
    });
  case function::validate_copy:
    return each(rounds, [&](std::byte* d, std::byte* s, std::size_t n) {
      simd::utf8_state state;
      return use.validate_copy(d, s, n, state).ok;
    });
  case function::unmask_validate:
    return each(rounds, [&](std::byte*, std::byte* s, std::size_t n) {
      simd::utf8_state state;
      return use.unmask_validate(s, n, key, state).ok;
    });
  case function::unmask_validate_copy:
    return each(rounds, [&](std::byte* d, std::byte* s, std::size_t n) {
      simd::utf8_state state;
      return use.unmask_validate_copy(d, s, n, key, state).ok;
    });
  case function::memcpy:
    break;
  }
  return each(rounds, [](std::byte* d, std::byte* s, std::size_t n) {
    std::memcpy(d, s, n);
    return true;
  });
}

} // namespace sluice::bench
