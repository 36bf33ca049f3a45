#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace sluice::fuzz {

/// Ends the program with a message, so that the fuzzer keeps the input.
[[noreturn]] inline void fail(const char* what) {
  std::fprintf(stderr, "fuzz target failed: %s\n", what);
  std::abort();
}

inline void check(bool holds, const char* what) {
  if (!holds) {
    fail(what);
  }
}

/// The first bytes of an input choose settings; what is missing reads as zero.
class settings_reader {
public:
  settings_reader(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}

  [[nodiscard]] unsigned next() {
    if (size_ == 0) {
      return 0;
    }
    --size_;
    return *data_++;
  }

  /// The bytes behind the settings, at most `max` of them.
  [[nodiscard]] std::span<const std::byte> rest(std::size_t max) const {
    return std::as_bytes(std::span(data_, size_ < max ? size_ : max));
  }

private:
  const std::uint8_t* data_;
  std::size_t size_;
};

/// Where to cut `size` bytes, from one setting: 0 nowhere, 1 everywhere, 2 to 127 before every so
/// many bytes, the others at places that look random.
[[nodiscard]] inline std::vector<std::size_t> cuts_from(unsigned setting, std::size_t size) {
  std::vector<std::size_t> cuts;
  if (setting == 0) {
    return cuts;
  }
  std::uint32_t state = setting * 2654435761u;
  for (std::size_t at = 0;;) {
    state = state * 1664525u + 1013904223u;
    at += setting < 128 ? setting : (state >> 24) % 41;
    if (at >= size) {
      return cuts;
    }
    cuts.push_back(at);
    if (setting >= 128 && cuts.size() > 2 * size) {
      return cuts; // only zeros were drawn
    }
  }
}

} // namespace sluice::fuzz
