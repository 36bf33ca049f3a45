#pragma once

#include "simd/kernels.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

// What the kernels are measured on, and how they are called. One call is one slice of a message.
namespace sluice::bench {

enum class function {
  unmask,
  unmask_copy,
  validate,
  validate_copy,
  unmask_validate,
  unmask_validate_copy,
  memcpy, // the floor: what a receiver without masks and text has to do
};

inline constexpr std::array all_functions = {
    function::unmask,        function::unmask_copy,     function::validate,
    function::validate_copy, function::unmask_validate, function::unmask_validate_copy,
};

[[nodiscard]] const char* name_of(function what) noexcept;
[[nodiscard]] bool takes_text(function what) noexcept;

/// Texts by the length of their characters. `mixed` draws each character from all four.
inline constexpr std::array<const char*, 5> all_inputs = {"ascii", "latin", "cjk", "emoji",
                                                          "mixed"};

/// `bytes` bytes of whole characters; what is missing at the end is filled up with ASCII.
[[nodiscard]] std::string make_text(std::string_view input, std::size_t bytes);

/// Source and destination of the calls. Sources lie 6 bytes behind a cache line, as the payload of
/// a short masked frame does; destinations at the start of one. Short slices use several places in
/// turn, all of which stay in the first-level cache.
class arena {
public:
  explicit arena(std::size_t largest_bytes);
  ~arena();
  arena(const arena&) = delete;
  arena& operator=(const arena&) = delete;

  /// Writes the slices that `what` reads; `input` "noise" for the functions that take no text.
  void fill(function what, std::string_view input, std::size_t bytes);

  /// Makes `rounds` calls for each place. Returns how many of them were not ok.
  std::size_t run(function what, const simd::kernel_table& kernel, std::size_t rounds);

  [[nodiscard]] std::size_t places() const noexcept { return places_; }

private:
  template <class Call> std::size_t each(std::size_t rounds, Call call);

  std::byte* source_ = nullptr;
  std::byte* target_ = nullptr;
  std::size_t bytes_ = 0;
  std::size_t stride_ = 0;
  std::size_t places_ = 0;
  std::uint32_t key_ = 0;
};

} // namespace sluice::bench
