#include "unit/simd/kernel_test.hpp"

// The texts of section 6 of the Autobahn test suite (after Markus Kuhn's "UTF-8 decoder capability
// and stress test"), cut at every two places.
namespace sluice::test {
namespace {

struct sequence {
  const char* name;
  const char* hex;
  bool valid; // as a whole message
};

constexpr std::array sequences = {
    sequence{"6.2", "48656c6c6f2dc2b540c39fc3b6c3a4c3bcc3a0c3a12d5554462d382121", true},
    sequence{"6.3", "cebae1bdb9cf83cebcceb5eda080656469746564", false},
    sequence{"6.4", "cebae1bdb9cf83cebcceb5f4908080656469746564", false},
    sequence{"6.5", "cebae1bdb9cf83cebcceb5", true},
    sequence{"6.6.1", "ce", false},
    sequence{"6.6.2", "ceba", true},
    sequence{"6.6.3", "cebae1", false},
    sequence{"6.6.4", "cebae1bd", false},
    sequence{"6.6.5", "cebae1bdb9", true},
    sequence{"6.6.6", "cebae1bdb9cf", false},
    sequence{"6.6.7", "cebae1bdb9cf83", true},
    sequence{"6.6.8", "cebae1bdb9cf83ce", false},
    sequence{"6.6.9", "cebae1bdb9cf83cebc", true},
    sequence{"6.6.10", "cebae1bdb9cf83cebcce", false},
    sequence{"6.7.1", "00", true},
    sequence{"6.7.2", "c280", true},
    sequence{"6.7.3", "e0a080", true},
    sequence{"6.7.4", "f0908080", true},
    sequence{"6.8.1", "f888808080", false},
    sequence{"6.8.2", "fc8480808080", false},
    sequence{"6.9.1", "7f", true},
    sequence{"6.9.2", "dfbf", true},
    sequence{"6.9.3", "efbfbf", true},
    sequence{"6.9.4", "f48fbfbf", true},
    sequence{"6.10.1", "f7bfbfbf", false},
    sequence{"6.10.2", "fbbfbfbfbf", false},
    sequence{"6.10.3", "fdbfbfbfbfbf", false},
    sequence{"6.11.1", "ed9fbf", true},
    sequence{"6.11.2", "ee8080", true},
    sequence{"6.11.3", "efbfbd", true},
    sequence{"6.11.4", "f48fbfbf", true},
    sequence{"6.11.5", "f4908080", false},
    sequence{"6.12.1", "80", false},
    sequence{"6.12.2", "bf", false},
    sequence{"6.12.3", "80bf", false},
    sequence{"6.12.4", "80bf80", false},
    sequence{"6.12.5", "80bf80bf", false},
    sequence{"6.12.6", "80bf80bf80", false},
    sequence{"6.12.7", "80bf80bf80bf", false},
    sequence{"6.12.8", "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e", false},
    sequence{"6.13.1", "c020c120c220c320c420c520c620c720c820c920ca20cb20cc20cd20ce20cf20", false},
    sequence{"6.13.2", "e020e120e220e320e420e520e620e720e820e920ea20eb20ec20ed20ee20", false},
    sequence{"6.13.3", "f020f120f220f320f420f520f620", false},
    sequence{"6.13.4", "f820f920fa20", false},
    sequence{"6.13.5", "fc20", false},
    sequence{"6.14.1", "c0", false},
    sequence{"6.14.2", "e080", false},
    sequence{"6.14.3", "f08080", false},
    sequence{"6.14.4", "f8808080", false},
    sequence{"6.14.5", "fc80808080", false},
    sequence{"6.14.6", "df", false},
    sequence{"6.14.7", "efbf", false},
    sequence{"6.14.8", "f7bfbf", false},
    sequence{"6.14.9", "fbbfbfbf", false},
    sequence{"6.14.10", "fdbfbfbfbf", false},
    sequence{"6.15", "c0e080f08080f8808080fc80808080dfefbff7bfbffbbfbfbffdbfbfbfbf", false},
    sequence{"6.16.1", "fe", false},
    sequence{"6.16.2", "ff", false},
    sequence{"6.16.3", "fefeffff", false},
    sequence{"6.17.1", "c0af", false},
    sequence{"6.17.2", "e080af", false},
    sequence{"6.17.3", "f08080af", false},
    sequence{"6.17.4", "f8808080af", false},
    sequence{"6.17.5", "fc80808080af", false},
    sequence{"6.18.1", "c1bf", false},
    sequence{"6.18.2", "e09fbf", false},
    sequence{"6.18.3", "f08fbfbf", false},
    sequence{"6.18.4", "f887bfbfbf", false},
    sequence{"6.18.5", "fc83bfbfbfbf", false},
    sequence{"6.19.1", "c080", false},
    sequence{"6.19.2", "e08080", false},
    sequence{"6.19.3", "f0808080", false},
    sequence{"6.19.4", "f880808080", false},
    sequence{"6.19.5", "fc8080808080", false},
    sequence{"6.20.1", "eda080", false},
    sequence{"6.20.2", "edadbf", false},
    sequence{"6.20.3", "edae80", false},
    sequence{"6.20.4", "edafbf", false},
    sequence{"6.20.5", "edb080", false},
    sequence{"6.20.6", "edbe80", false},
    sequence{"6.20.7", "edbfbf", false},
    sequence{"6.21.1", "eda080edb080", false},
    sequence{"6.21.2", "eda080edbfbf", false},
    sequence{"6.21.3", "edadbfedb080", false},
    sequence{"6.21.4", "edadbfedbfbf", false},
    sequence{"6.21.5", "edae80edb080", false},
    sequence{"6.21.6", "edae80edbfbf", false},
    sequence{"6.21.7", "edafbfedb080", false},
    sequence{"6.21.8", "edafbfedbfbf", false},
    sequence{"6.22.1", "efbfbe", true},
    sequence{"6.22.2", "efbfbf", true},
    sequence{"6.22.3", "f09fbfbe", true},
    sequence{"6.22.4", "f09fbfbf", true},
    sequence{"6.22.5", "f0afbfbe", true},
    sequence{"6.22.6", "f0afbfbf", true},
    sequence{"6.22.7", "f0bfbfbe", true},
    sequence{"6.22.8", "f0bfbfbf", true},
    sequence{"6.22.9", "f18fbfbef18fbfbff19fbfbef19fbfbff1afbfbef1afbfbff1bfbfbef1bfbfbf", true},
    sequence{"6.22.17", "f28fbfbef28fbfbff29fbfbef29fbfbff2afbfbef2afbfbff2bfbfbef2bfbfbf", true},
    sequence{"6.22.25", "f38fbfbef38fbfbff39fbfbef39fbfbff3afbfbef3afbfbff3bfbfbef3bfbfbf", true},
    sequence{"6.22.33", "f48fbfbef48fbfbf", true},
    sequence{"6.23.1", "efbfb9efbfbaefbfbbefbfbcefbfbdefbfbeefbfbf", true},
};

bytes from_hex(std::string_view hex) {
  bytes text;
  for (std::size_t i = 0; i < hex.size(); i += 2)
    text.push_back(static_cast<std::byte>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  return text;
}

class autobahn : public kernel_test {
protected:
  /// Slices [0, a), [a, b), [b, n) through one function; whether the message is valid, and, if
  /// not, where it fails.
  utf8_verdict run(const bytes& text, std::size_t a, std::size_t b, unsigned function) const {
    constexpr std::uint32_t key = 0x3D21FA37;
    simd::utf8_state state;
    const std::array cuts = {std::size_t{0}, a, b, text.size()};
    for (std::size_t i = 0; i + 1 < cuts.size(); ++i) {
      const std::size_t n = cuts[i + 1] - cuts[i];
      bytes slice(text.begin() + static_cast<std::ptrdiff_t>(cuts[i]),
                  text.begin() + static_cast<std::ptrdiff_t>(cuts[i + 1]));
      bytes target(n);
      if (function >= 2)
        reference_unmask(slice, key);
      simd::utf8_result result{};
      if (function == 0)
        result = kernel().validate(slice.data(), n, state);
      else if (function == 1)
        result = kernel().validate_copy(target.data(), slice.data(), n, state);
      else if (function == 2)
        result = kernel().unmask_validate(slice.data(), n, key, state);
      else
        result = kernel().unmask_validate_copy(target.data(), slice.data(), n, key, state);
      if (!result.ok)
        return {false, cuts[i] + result.error_offset, utf8_expects::nothing};
    }
    return {true, 0, state.due == 0 ? utf8_expects::character : utf8_expects::one};
  }
};

TEST_P(autobahn, every_two_splits_of_every_sequence_of_section_6) {
  for (const sequence& one : sequences) {
    const bytes text = from_hex(one.hex);
    const utf8_verdict expected = decode(text);
    ASSERT_EQ(expected.ok && expected.end == utf8_expects::character, one.valid) << one.name;
    for (std::size_t a = 0; a <= text.size(); ++a) {
      for (std::size_t b = a; b <= text.size(); ++b) {
        for (unsigned function = 0; function < 4; ++function) {
          const utf8_verdict seen = run(text, a, b, function);
          ASSERT_EQ(seen.ok, expected.ok) << one.name << " " << a << " " << b << " " << function;
          ASSERT_EQ(seen.error_offset, expected.error_offset) << one.name << " " << a << " " << b;
          ASSERT_EQ(seen.ok && seen.end == utf8_expects::character, one.valid) << one.name;
        }
      }
    }
  }
}

TEST_P(autobahn, every_sequence_behind_text_of_every_length) {
  for (const sequence& one : sequences) {
    const bytes text = from_hex(one.hex);
    for (std::size_t lead = 0; lead <= 600; lead += full_effort ? 1 : 17) {
      bytes message(lead, std::byte{'.'});
      message.insert(message.end(), text.begin(), text.end());
      const utf8_verdict expected = decode(message);
      const utf8_verdict seen = run(message, message.size(), message.size(), lead % 4);
      ASSERT_EQ(seen.ok, expected.ok) << one.name << " " << lead;
      ASSERT_EQ(seen.error_offset, expected.error_offset) << one.name << " " << lead;
    }
  }
}

SLUICE_TEST_EVERY_KERNEL(autobahn);

} // namespace
} // namespace sluice::test
