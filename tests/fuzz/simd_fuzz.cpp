// A text, cut in slices, through every function of every kernel this CPU supports, compared with
// the table-driven decoder; canaries around source and destination. Input: state at the start, key,
// alignments, how much ASCII (in units of 16 bytes, so that long shapes of a pass are reached)
// behind how many bytes of the text, cuts, text.

#include "fuzz_input.hpp"
#include "reference/utf8_decoder.hpp"
#include "simd/kernels.hpp"

#include <algorithm>
#include <array>

namespace {

using namespace sluice;
using test::utf8_expects;

constexpr std::size_t max_text_bytes = 1024;
constexpr std::size_t margin_bytes = 64;
constexpr std::byte canary{0xA5};

struct start {
  utf8_expects expects;
  simd::utf8_state state;
};
constexpr std::array<start, 8> starts = {{
    {utf8_expects::character, {}},
    {utf8_expects::one, {1, 0x80, 0xBF}},
    {utf8_expects::two, {2, 0x80, 0xBF}},
    {utf8_expects::three, {3, 0x80, 0xBF}},
    {utf8_expects::two_from_a0, {2, 0xA0, 0xBF}},
    {utf8_expects::two_to_9f, {2, 0x80, 0x9F}},
    {utf8_expects::three_from_90, {3, 0x90, 0xBF}},
    {utf8_expects::three_to_8f, {3, 0x80, 0x8F}},
}};

bool same(const simd::utf8_state& a, const simd::utf8_state& b) {
  return a.due == b.due && a.low == b.low && a.high == b.high && a.spare == b.spare;
}

// A slice with canaries around it, at a chosen distance from an aligned address.
class framed {
public:
  framed(std::span<const std::byte> bytes, std::size_t offset)
      : all_(margin_bytes + offset + bytes.size() + margin_bytes, canary),
        slice_(std::span(all_).subspan(margin_bytes + offset, bytes.size())) {
    std::copy(bytes.begin(), bytes.end(), slice_.begin());
  }

  std::byte* data() { return slice_.data(); }
  std::span<std::byte> slice() { return slice_; }
  bool untouched_around() const {
    const auto at = static_cast<std::size_t>(slice_.data() - all_.data());
    const auto is_canary = [](std::byte byte) { return byte == canary; };
    return std::all_of(all_.data(), all_.data() + at, is_canary) &&
           std::all_of(all_.data() + at + slice_.size(), all_.data() + all_.size(), is_canary);
  }

private:
  std::vector<std::byte> all_;
  std::span<std::byte> slice_;
};

struct settings {
  std::uint32_t key;
  std::size_t source_offset;
  std::size_t target_offset;
};

void apply_mask(std::span<std::byte> bytes, std::uint32_t key) {
  for (std::size_t i = 0; i < bytes.size(); ++i)
    bytes[i] ^= static_cast<std::byte>(key >> (8 * (i % 4)));
}

void check_slice(const simd::kernel_table& kernel, std::span<const std::byte> text,
                 const settings& how, const simd::utf8_state& begin,
                 const test::utf8_verdict& expected, const simd::utf8_state& end) {
  const std::size_t n = text.size();
  std::vector<std::byte> masked(text.begin(), text.end());
  apply_mask(masked, how.key);
  for (unsigned function = 0; function < 6; ++function) {
    const bool masks = function >= 2;
    const bool copies = function % 2 == 1;
    const bool checks = function < 4;
    framed source(masks ? std::span<const std::byte>(masked) : text, how.source_offset);
    const std::vector<std::byte> blank(n);
    framed target(blank, how.target_offset);
    simd::utf8_state state = begin;
    simd::utf8_result result = {expected.ok, expected.error_offset};
    switch (function) {
    case 0:
      result = kernel.validate(source.data(), n, state);
      break;
    case 1:
      result = kernel.validate_copy(target.data(), source.data(), n, state);
      break;
    case 2:
      result = kernel.unmask_validate(source.data(), n, how.key, state);
      break;
    case 3:
      result = kernel.unmask_validate_copy(target.data(), source.data(), n, how.key, state);
      break;
    case 4:
      kernel.unmask(source.data(), n, how.key);
      break;
    default:
      kernel.unmask_copy(target.data(), source.data(), n, how.key);
      break;
    }
    fuzz::check(result.ok == expected.ok, "verdict");
    fuzz::check(result.error_offset == expected.error_offset, "error offset");
    fuzz::check(!checks || same(state, expected.ok ? end : begin), "state");
    fuzz::check(source.untouched_around() && target.untouched_around(), "bytes outside the range");
    const auto plain = copies ? target.slice() : source.slice();
    fuzz::check((checks && !expected.ok) || std::equal(plain.begin(), plain.end(), text.begin()),
                "plain text");
  }
}

simd::utf8_state state_of(utf8_expects expects) {
  for (const start& one : starts)
    if (one.expects == expects)
      return one.state;
  return {};
}

void run(const simd::kernel_table& kernel, std::span<const std::byte> text, settings how,
         const start& begin, const std::vector<std::size_t>& cuts) {
  utf8_expects expects = begin.expects;
  std::size_t at = 0;
  for (std::size_t i = 0; i <= cuts.size(); ++i) {
    const std::size_t to = i < cuts.size() ? cuts[i] : text.size();
    const auto slice = text.subspan(at, to - at);
    const test::utf8_verdict expected = test::decode(slice, expects);
    check_slice(kernel, slice, how, state_of(expects), expected, state_of(expected.end));
    if (!expected.ok)
      return;
    expects = expected.end;
    how.key = simd::rotate_key(how.key, slice.size());
    how.source_offset = (how.source_offset + slice.size()) % 64;
    at = to;
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::settings_reader input(data, size);
  const start& begin = starts[input.next() % starts.size()];
  settings how{};
  for (unsigned i = 0; i < 4; ++i)
    how.key |= static_cast<std::uint32_t>(input.next()) << (8 * i);
  how.source_offset = input.next() % 64;
  how.target_offset = input.next() % 64;
  const std::size_t padding = 16 * static_cast<std::size_t>(input.next());
  const std::size_t before = input.next();
  const unsigned cutting = input.next();

  const auto given = input.rest(max_text_bytes);
  std::vector<std::byte> text;
  const auto front = given.first(std::min(before, given.size()));
  const auto back = given.subspan(front.size());
  text.insert(text.end(), front.begin(), front.end());
  text.insert(text.end(), padding, std::byte{'a'});
  text.insert(text.end(), back.begin(), back.end());

  // Cuts at every byte of a long text would take seconds for one input.
  const bool fine = cutting != 0 && cutting < 4;
  const auto cuts =
      fuzz::cuts_from(fine && text.size() > 200 ? cutting + 60 : cutting, text.size());
  for (const simd::kernel_table* kernel : simd::supported_kernels())
    run(*kernel, text, how, begin, cuts);
  return 0;
}
