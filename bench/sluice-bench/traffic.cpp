#include "traffic.hpp"

#include "common.hpp"
#include "wire.hpp"

#include <algorithm>
#include <array>

namespace sluice_bench {
namespace {

// Large enough for one full write, small enough to stay in a second-level cache.
constexpr std::size_t wanted_block_bytes = 256 * 1024;
constexpr std::size_t max_message_bytes = std::size_t{1} << 30;

struct kind_name {
  payload_kind kind;
  const char* name;
};
constexpr std::array<kind_name, 6> kind_names{{{payload_kind::binary, "binary"},
                                               {payload_kind::ascii, "ascii"},
                                               {payload_kind::latin, "latin"},
                                               {payload_kind::cjk, "cjk"},
                                               {payload_kind::emoji, "emoji"},
                                               {payload_kind::mixed, "mixed"}}};

/// SplitMix64 (Steele, Lea, Flood 2014): one addition and a mix per number, good enough for data.
std::uint64_t next_random(std::uint64_t& state) noexcept {
  std::uint64_t z = (state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

std::uint32_t between(std::uint64_t& state, std::uint32_t low, std::uint32_t high) noexcept {
  return low + static_cast<std::uint32_t>(next_random(state) % (high - low + 1));
}

std::uint32_t ascii_character(std::uint64_t& state) noexcept {
  const std::uint32_t pick = between(state, 0, 31);
  return pick < 26 ? 'a' + pick : pick < 30 ? ' ' : '0' + (pick - 30);
}

std::uint32_t character(payload_kind kind, std::uint64_t& state) noexcept {
  switch (kind) {
  case payload_kind::latin: // every third letter accented, as in running text of many languages
    return between(state, 0, 2) == 0 ? between(state, 0xc0, 0x17f) : ascii_character(state);
  case payload_kind::cjk:
    return between(state, 0x4e00, 0x9fff);
  case payload_kind::emoji:
    return between(state, 0x1f300, 0x1f64f);
  case payload_kind::binary:
  case payload_kind::ascii:
  case payload_kind::mixed:
    break;
  }
  return ascii_character(state);
}

void append_utf8(std::vector<std::byte>& text, std::uint32_t c) {
  const auto put = [&text](std::uint32_t b) { text.push_back(static_cast<std::byte>(b)); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xc0u | c >> 6);
    put(0x80u | (c & 0x3fu));
  } else if (c < 0x10000) {
    put(0xe0u | c >> 12);
    put(0x80u | (c >> 6 & 0x3fu));
    put(0x80u | (c & 0x3fu));
  } else {
    put(0xf0u | c >> 18);
    put(0x80u | (c >> 12 & 0x3fu));
    put(0x80u | (c >> 6 & 0x3fu));
    put(0x80u | (c & 0x3fu));
  }
}

} // namespace

std::optional<payload_kind> payload_kind_named(std::string_view name) noexcept {
  for (const kind_name& entry : kind_names) {
    if (name == entry.name) {
      return entry.kind;
    }
  }
  return std::nullopt;
}

const char* to_string(payload_kind kind) noexcept {
  for (const kind_name& entry : kind_names) {
    if (kind == entry.kind) {
      return entry.name;
    }
  }
  return "binary";
}

std::vector<std::byte> make_payload(payload_kind kind, std::size_t bytes, std::uint64_t& seed) {
  std::vector<std::byte> payload;
  payload.reserve(bytes + 4);
  if (kind == payload_kind::binary) {
    while (payload.size() < bytes) {
      const std::uint64_t value = next_random(seed);
      for (unsigned shift = 0; shift < 64; shift += 8) {
        payload.push_back(static_cast<std::byte>(value >> shift & 0xffu));
      }
    }
    payload.resize(bytes);
    return payload;
  }
  constexpr std::array runs{payload_kind::ascii, payload_kind::latin, payload_kind::cjk,
                            payload_kind::emoji};
  payload_kind now = kind;
  std::uint32_t run_left = 0;
  while (payload.size() < bytes) {
    if (kind == payload_kind::mixed && run_left-- == 0) {
      now = runs[between(seed, 0, 3)];
      run_left = between(seed, 0, 7);
    }
    const std::size_t before = payload.size();
    append_utf8(payload, character(now, seed));
    if (payload.size() > bytes) { // no room for all of it: one-byte characters fill the rest
      payload.resize(before);
      append_utf8(payload, ascii_character(seed));
    }
  }
  return payload;
}

traffic::traffic(const traffic_settings& settings) {
  if (settings.message_bytes.empty()) {
    throw failure("give at least one message size", exit_bad_use);
  }
  std::uint64_t seed = settings.seed;
  const opcode first_op = settings.kind == payload_kind::binary ? opcode::binary : opcode::text;
  std::uint64_t payload_total = 0;
  std::size_t index = 0;
  // Whole rounds through the sizes, so that the repeated block repeats the pattern exactly.
  while (block_.size() < wanted_block_bytes || index % settings.message_bytes.size() != 0) {
    const std::size_t bytes = settings.message_bytes[index % settings.message_bytes.size()];
    if (bytes > max_message_bytes) {
      throw failure("a message of " + std::to_string(bytes) + " bytes is over the limit of 1 GiB",
                    exit_bad_use);
    }
    if (settings.ping_every != 0 && index % settings.ping_every == 0) {
      const std::vector<std::byte> note = make_payload(payload_kind::ascii, 8, seed);
      append_frame(block_, opcode::ping, true, settings.masked,
                   static_cast<std::uint32_t>(next_random(seed)), note);
    }
    const std::vector<std::byte> payload = make_payload(settings.kind, bytes, seed);
    std::span<const std::byte> left = payload;
    opcode op = first_op;
    const std::size_t per_frame = settings.fragment_bytes == 0 ? bytes : settings.fragment_bytes;
    do {
      const std::size_t take = std::min(per_frame, left.size());
      append_frame(block_, op, take == left.size(), settings.masked,
                   static_cast<std::uint32_t>(next_random(seed)), left.first(take));
      left = left.subspan(take);
      op = opcode::continuation;
    } while (!left.empty());
    payload_total += bytes;
    ends_.push_back(block_.size());
    payloads_.push_back(payload_total);
    ++index;
  }
}

std::uint64_t traffic::messages_before(std::uint64_t position) const noexcept {
  const auto within = std::upper_bound(ends_.begin(), ends_.end(), position % block_.size());
  return position / block_.size() * ends_.size() +
         static_cast<std::uint64_t>(within - ends_.begin());
}

std::uint64_t traffic::end_of(std::uint64_t messages) const noexcept {
  const std::uint64_t rest = messages % ends_.size();
  return messages / ends_.size() * block_.size() + (rest == 0 ? 0 : ends_[rest - 1]);
}

std::uint64_t traffic::payload_of(std::uint64_t messages) const noexcept {
  const std::uint64_t rest = messages % payloads_.size();
  return messages / payloads_.size() * payloads_.back() + (rest == 0 ? 0 : payloads_[rest - 1]);
}

std::uint64_t traffic::message_end_at_or_after(std::uint64_t position) const noexcept {
  const std::uint64_t messages = messages_before(position);
  const std::uint64_t end = end_of(messages);
  return end == position ? position : end_of(messages + 1);
}

} // namespace sluice_bench
