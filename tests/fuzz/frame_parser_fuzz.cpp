// Headers, one behind the other with short payloads, through frame_parser in any cuts and through
// the reference. Input: role, cuts, wire. A payload is passed over modulo 64, so that long ones do
// not swallow the input.

#include "core/frame_parser.hpp"
#include "fuzz_input.hpp"
#include "reference/frame_model.hpp"

#include <cstring>
#include <memory>

namespace {

using namespace sluice;

constexpr std::size_t max_wire_bytes = 2048;
constexpr std::size_t passed_over_bytes = 64;

// Parses one header out of `input`, which is fed in the slices that `cuts` make.
struct parsed {
  parse_result result;
  std::size_t consumed = 0;
  frame_head head;
};

parsed parse_cut(frame_parser& parser, std::span<const std::byte> input, std::size_t offset,
                 const std::vector<std::size_t>& cuts) {
  parsed seen;
  std::size_t at = 0;
  while (at < input.size()) {
    std::size_t end = input.size();
    for (const std::size_t cut : cuts) {
      if (cut > offset + at) {
        end = std::min(end, cut - offset);
        break;
      }
    }
    const std::size_t count = end - at;
    const std::unique_ptr<std::byte[]> exact(new std::byte[count]);
    std::memcpy(exact.get(), input.data() + at, count);
    seen.result = parser.parse({exact.get(), count}, seen.head);
    fuzz::check(seen.result.consumed_bytes <= count, "more consumed than given");
    seen.consumed += seen.result.consumed_bytes;
    at += count;
    if (seen.result.status != parse_status::need_input) {
      break;
    }
    fuzz::check(seen.result.consumed_bytes == count, "need_input left bytes behind");
  }
  return seen;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::settings_reader settings(data, size);
  const role self = (settings.next() & 1u) != 0 ? role::server : role::client;
  const unsigned cut_setting = settings.next();
  const std::span<const std::byte> wire = settings.rest(max_wire_bytes);
  const std::vector<std::size_t> cuts = fuzz::cuts_from(cut_setting, wire.size());

  frame_parser parser(self);
  bool message_open = false;
  std::size_t at = 0;
  while (at < wire.size()) {
    const std::span<const std::byte> rest = wire.subspan(at);
    const reference::header wanted =
        reference::read_header(self, message_open, rest.data(), rest.size());
    const parsed seen = parse_cut(parser, rest, at, cuts);
    fuzz::check(seen.result.reason == wanted.reason, "another verdict than the model's");
    if (wanted.reason != error::none) {
      fuzz::check(seen.result.status == parse_status::failed, "a refusal without the status");
      return 0;
    }
    if (!wanted.complete) {
      fuzz::check(seen.result.status == parse_status::need_input && parser.mid_header(),
                  "an incomplete header taken for complete");
      return 0;
    }
    std::uint32_t key = 0;
    if (!wanted.key.empty()) {
      std::memcpy(&key, wanted.key.data(), sizeof key);
    }
    fuzz::check(seen.result.status == parse_status::head && seen.consumed == wanted.size,
                "another header size than the model's");
    fuzz::check(static_cast<unsigned>(seen.head.op) == wanted.op && seen.head.fin == wanted.fin &&
                    seen.head.payload_bytes == wanted.payload_bytes && seen.head.masking_key == key,
                "another header than the model's");
    if (wanted.op < 8) {
      message_open = !wanted.fin;
    }
    fuzz::check(parser.message_open() == message_open, "the open message was lost");
    at += wanted.size + static_cast<std::size_t>(wanted.payload_bytes % passed_over_bytes);
  }
  return 0;
}
