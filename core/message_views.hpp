#pragma once

#include "core/message_rx.hpp"
#include "core/probes.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

// message_rx::deliver(): messages as views into the slices they came in. The loop in
// deliver_front() is the hot path of a server: for a small binary message it is one header, a few
// word-sized XORs and the call of the sink. Everything that is not a whole frame in the front slice
// goes through next_view(), which shares its rules with receive().

namespace sluice {

namespace detail {

template <typename Word>
inline void xor_word(std::byte* at, Word value, std::uint64_t with) noexcept {
  value ^= static_cast<Word>(with);
  std::memcpy(at, &value, sizeof value);
}

/// Unmasks 0 to 32 bytes in place with word-sized loads; the words overlap in the middle, so each
/// is loaded before any is stored.
inline void unmask_short(std::byte* p, std::size_t n, std::uint32_t key) noexcept {
  const std::uint64_t wide = key | (static_cast<std::uint64_t>(key) << 32);
  const auto load = [](const std::byte* from) noexcept {
    std::uint64_t word;
    std::memcpy(&word, from, sizeof word);
    return word;
  };
  if (n >= 8) {
    // The key at n - 8 (and n - 16) is the key rotated by n & 3: 8 and 16 are multiples of 4.
    const std::uint64_t tail_key = std::rotr(wide, static_cast<int>((n & 3u) * 8u));
    const std::uint64_t first = load(p);
    const std::uint64_t last = load(p + n - 8);
    if (n > 16) {
      const std::uint64_t second = load(p + 8);
      const std::uint64_t third = load(p + n - 16);
      xor_word(p + 8, second, wide);
      xor_word(p + n - 16, third, tail_key);
    }
    xor_word(p, first, wide);
    xor_word(p + n - 8, last, tail_key);
    return;
  }
  if (n >= 4) {
    std::uint32_t first;
    std::uint32_t last;
    std::memcpy(&first, p, sizeof first);
    std::memcpy(&last, p + n - 4, sizeof last);
    xor_word(p, first, key);
    xor_word(p + n - 4, last, std::rotr(key, static_cast<int>((n & 3u) * 8u)));
    return;
  }
  for (std::size_t i = 0; i < n; ++i) {
    p[i] ^= static_cast<std::byte>(key >> (i * 8));
  }
}
inline constexpr std::size_t max_short_bytes = 32;

// How a whole message in one short frame begins (RFC 6455 section 5.2), as seen by its receiver.
inline constexpr unsigned final_text = 0x80u | static_cast<unsigned>(opcode::text);
inline constexpr unsigned final_binary = 0x80u | static_cast<unsigned>(opcode::binary);
template <role Self> inline constexpr unsigned mask_bit = Self == role::server ? 0x80 : 0;
template <role Self>
inline constexpr std::size_t key_bytes = Self == role::server ? sizeof(std::uint32_t) : 0;
static_assert(std::endian::native == std::endian::little, "keys are rotated as little endian");

} // namespace detail

// deliver_front()'s loop over binary messages of up to 32 bytes, from one that is there: the sink
// is all that it calls, so that everything it needs stays in registers. Ends before the first other
// frame. Returns false to take a break.
template <role Self, typename Sink>
inline bool message_rx::deliver_short(Sink& sink, std::byte*& from, std::byte* end,
                                      const std::byte* stop, std::uint32_t& frames_left,
                                      std::uint64_t& payload_bytes) noexcept {
  constexpr std::size_t key_bytes = detail::key_bytes<Self>;
  constexpr std::size_t head_bytes = 2 + key_bytes;
  const std::size_t most = std::min<std::uint64_t>(detail::max_short_bytes, max_message_bytes_);

  std::byte* at = from;
  const std::uint32_t frames_before = frames_left;
  std::uint32_t frames = frames_before;
  bool go_on = true;
  while (static_cast<std::size_t>(end - at) >= head_bytes) {
    // With the wrong mask bit this is 128 or more.
    const std::size_t count = std::to_integer<unsigned>(at[1]) ^ detail::mask_bit<Self>;
    if (std::to_integer<unsigned>(at[0]) != detail::final_binary || count > most ||
        count > static_cast<std::size_t>(end - at) - head_bytes) {
      break;
    }
    std::byte* const payload = at + head_bytes;
    if constexpr (Self == role::server) {
      std::uint32_t key;
      std::memcpy(&key, payload - key_bytes, key_bytes);
      detail::unmask_short(payload, count, key);
    }
    at = payload + count;
    --frames;
    SLUICE_PROBE4(frame, &inbox_, static_cast<unsigned>(opcode::binary), count, true);
    SLUICE_PROBE4(deliver, &inbox_, count, false, true);
    if (!sink(rx_view{payload, count, 0, false, true}) || frames == 0 || at >= stop) {
      go_on = false;
      break;
    }
  }
  payload_bytes +=
      static_cast<std::uint64_t>(at - from) - head_bytes * std::uint64_t{frames_before - frames};
  frames_left = frames;
  from = at;
  return go_on;
}

// Delivers single-frame messages that lie wholly in the front slice. Returns false to take a break;
// true when the next bytes are something else, and on failure (phase_ says so).
template <role Self, typename Sink>
inline bool message_rx::deliver_front(Sink& sink, rx_budget& budget) noexcept {
  using detail::final_binary;
  using detail::final_text;
  constexpr std::size_t key_bytes = detail::key_bytes<Self>;

  std::byte* const begin = inbox_.front_bytes();
  const std::size_t available = inbox_.front_size_bytes();
  std::byte* at = begin;
  std::byte* const end = begin + available;
  const std::byte* const stop = available > budget.bytes ? begin + budget.bytes : end;
  const std::uint64_t max_message = max_message_bytes_;
  const simd::kernel_table& kernels = *kernels_;
  std::uint32_t frames_left = budget.frames;
  std::uint64_t payload_bytes = 0;
  bool go_on = true;
  bool valid = true;

  while (static_cast<std::size_t>(end - at) >= 2 + key_bytes) {
    const auto first = std::to_integer<unsigned>(at[0]);
    // With the wrong mask bit this is 128 or more.
    std::size_t count = std::to_integer<unsigned>(at[1]) ^ detail::mask_bit<Self>;
    const auto left = static_cast<std::size_t>(end - at);
    std::size_t head_bytes = 2 + key_bytes;
    if (first != final_binary && first != final_text) {
      break;
    }
    if (count > 125) {
      if (count != 126 || left < 4 + key_bytes) {
        break;
      }
      count = std::to_integer<std::size_t>(at[2]) << 8 | std::to_integer<std::size_t>(at[3]);
      head_bytes = 4 + key_bytes;
      if (count < 126) {
        break;
      }
    }
    if (count > left - head_bytes || count > max_message) {
      break;
    }
    if (first == final_binary && count <= detail::max_short_bytes) {
      if (!deliver_short<Self>(sink, at, end, stop, frames_left, payload_bytes)) {
        go_on = false;
        break;
      }
      continue;
    }
    std::byte* const payload = at + head_bytes;
    std::uint32_t key = 0;
    std::memcpy(&key, payload - key_bytes, key_bytes);
    const bool text = first == final_text;
    if (text) {
      simd::utf8_state state;
      simd::utf8_result checked;
      if constexpr (Self == role::client) {
        checked = kernels.validate(payload, count, state);
      } else {
        checked = kernels.unmask_validate(payload, count, key, state);
      }
      if (!checked.ok || state.due != 0) [[unlikely]] {
        valid = false;
        break;
      }
    } else if constexpr (Self == role::server) {
      kernels.unmask(payload, count, key);
    }
    at = payload + count;
    payload_bytes += count;
    --frames_left;
    // The kernel has left the bytes in the second-level cache; short frames come too slowly for the
    // processor to see a stream in them.
    __builtin_prefetch(at + 512, 1);
    SLUICE_PROBE4(frame, &inbox_, first & 0x0Fu, count, true);
    SLUICE_PROBE4(deliver, &inbox_, count, text, true);
    go_on = sink(rx_view{payload, count, 0, text, true});
    if (!go_on || frames_left == 0 || at >= stop) {
      go_on = false;
      break;
    }
  }

  const std::uint64_t messages = budget.frames - frames_left;
  const auto used = static_cast<std::size_t>(at - begin);
  stats_.messages += messages;
  stats_.frames += messages;
  stats_.payload_bytes += payload_bytes;
  budget.frames = frames_left;
  budget.bytes -= used < budget.bytes ? used : budget.bytes;
  if (!valid) [[unlikely]] {
    static_cast<void>(failure(error::text_utf8)); // empties the inbox
    return true;
  }
  inbox_.consume(used);
  return go_on;
}

template <role Self, bool Whole, typename Sink>
inline rx_result message_rx::deliver_as(Sink& sink, rx_budget& budget) noexcept {
  for (;;) {
    if (phase_ == phase::message_start && !inbox_.empty()) {
      if (budget.frames == 0 || budget.bytes == 0) {
        return only(rx_status::paused);
      }
      if (!deliver_front<Self>(sink, budget)) {
        return only(inbox_.empty() ? rx_status::need_input : rx_status::paused);
      }
    }
    if (inbox_.empty() || budget.frames == 0 || budget.bytes == 0) {
      return phase_ == phase::closed || phase_ == phase::failed ? ended()
             : inbox_.empty()                                   ? only(rx_status::need_input)
                                                                : only(rx_status::paused);
    }
    if constexpr (Whole) {
      return only(rx_status::in_pieces);
    }
    rx_view piece;
    const rx_result result = next_view(piece);
    if (result.status != rx_status::piece) {
      return result;
    }
    budget.frames -= piece.frame_left_bytes == 0 ? 1 : 0;
    budget.bytes -= piece.size_bytes < budget.bytes ? piece.size_bytes : budget.bytes;
    const bool go_on = sink(piece);
    inbox_.consume(piece.size_bytes);
    if (!go_on) {
      return only(inbox_.empty() ? rx_status::need_input : rx_status::paused);
    }
  }
}

template <role Self, typename Sink>
inline rx_result message_rx::deliver(Sink& sink, rx_budget& budget) noexcept {
  return deliver_as<Self, false>(sink, budget);
}

template <role Self, typename Sink>
inline rx_result message_rx::deliver_whole(Sink& sink, rx_budget& budget) noexcept {
  return deliver_as<Self, true>(sink, budget);
}

} // namespace sluice
