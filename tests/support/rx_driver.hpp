#pragma once

#include "core/message_rx.hpp"
#include "reference/frame_model.hpp"
#include "support/frames.hpp"
#include "support/slices.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace sluice::test {

/// What a receiver answered, with the bytes it pointed to.
using reference::answer;

/// One call of receive() with exactly `room` bytes of room, on the heap.
[[nodiscard]] inline answer receive_once(message_rx& rx, std::size_t room) {
  const std::unique_ptr<std::byte[]> to(new std::byte[room]);
  const rx_result result = rx.receive({to.get(), room});
  answer seen;
  switch (result.status) {
  case rx_status::piece:
    seen.what = answer::kind::piece;
    seen.text = result.text;
    seen.message_end = result.message_end;
    seen.bytes.assign(to.get(), to.get() + result.bytes);
    break;
  case rx_status::need_input:
    break;
  case rx_status::ping:
    seen.what = answer::kind::ping;
    seen.bytes.assign(rx.control_payload().begin(), rx.control_payload().end());
    break;
  case rx_status::close:
    seen.what = answer::kind::close;
    seen.close_status = rx.peer_close().status;
    seen.bytes.assign(rx.peer_close().reason,
                      rx.peer_close().reason + rx.peer_close().reason_bytes);
    break;
  case rx_status::failed:
    seen.what = answer::kind::failed;
    seen.reason = result.reason;
    break;
  default: // nothing that receive() may answer
    seen.what = answer::kind::failed;
    seen.reason = error::system;
    break;
  }
  return seen;
}

/// A receiver with its own heap blocks.
struct rx_under_test {
  explicit rx_under_test(role self, const limits& bounds = {},
                         const simd::kernel_table& kernels = simd::active_kernels())
      : rx(self, bounds, kernels) {}

  void push(const bytes& wire) { push(wire.data(), wire.size()); }
  void push(const std::byte* from, std::size_t count) {
    (void)owner.push(rx.inbox(), {from, count}, count % 3); // not always aligned alike
  }
  void push_one_by_one(const bytes& wire) {
    for (const std::byte& one : wire) {
      push(&one, 1);
    }
  }
  [[nodiscard]] answer receive(std::size_t room = 65536) { return receive_once(rx, room); }

  heap_buffer_owner owner; // before rx: blocks come back when rx dies
  message_rx rx;
};

/// Feeds `wire` in the slices that `cuts` (ascending offsets) make, to the receiver and to the
/// model, and calls both with the rooms in turn: after every slice, until there is no more to get,
/// or, if `all_first`, only when all slices are in. Returns what differs, or nothing. Fills `seen`
/// with all answers but need_input.
inline std::optional<std::string>
differs_from_model(role self, const limits& bounds, const simd::kernel_table& kernels,
                   std::span<const std::byte> wire, const std::vector<std::size_t>& cuts,
                   const std::vector<std::size_t>& rooms, bool all_first = false,
                   std::vector<answer>* seen = nullptr) {
  rx_under_test real(self, bounds, kernels);
  reference::frame_model model(self, bounds);
  std::size_t calls = 0;
  std::size_t begin = 0;
  for (std::size_t i = 0; i <= cuts.size(); ++i) {
    const std::size_t end = i < cuts.size() ? cuts[i] : wire.size();
    real.push(wire.data() + begin, end - begin);
    model.push(wire.data() + begin, end - begin);
    begin = end;
    if (all_first && i < cuts.size()) {
      continue;
    }
    for (;;) {
      const std::size_t room = rooms[calls % rooms.size()];
      ++calls;
      const answer got = real.receive(room);
      const answer wanted = model.receive(room);
      if (!(got == wanted)) {
        return "call " + std::to_string(calls) + " with room " + std::to_string(room) + ", " +
               std::to_string(end) + " of " + std::to_string(wire.size()) + " bytes in: got " +
               describe(got) + ", wanted " + describe(wanted);
      }
      if (got.what == answer::kind::need_input) {
        if (!real.rx.inbox().empty()) {
          return "need_input with input left in the inbox";
        }
        break;
      }
      if (seen != nullptr) {
        seen->push_back(got);
      }
      if (got.what == answer::kind::close || got.what == answer::kind::failed) {
        if (real.owner.out() != 0) {
          return "buffers are kept after the end";
        }
        if (!(real.receive(room) == wanted)) {
          return "the end is not sticky";
        }
        return std::nullopt;
      }
    }
  }
  return std::nullopt;
}

/// The same with every kernel this machine has.
inline std::optional<std::string> any_differs_from_model(role self, const limits& bounds,
                                                         std::span<const std::byte> wire,
                                                         const std::vector<std::size_t>& cuts,
                                                         const std::vector<std::size_t>& rooms,
                                                         bool all_first = false) {
  for (const simd::kernel_table* kernels : simd::supported_kernels()) {
    if (auto difference =
            differs_from_model(self, bounds, *kernels, wire, cuts, rooms, all_first)) {
      return std::string(kernels->name) + ": " + *difference;
    }
  }
  return std::nullopt;
}

/// Cuts after every byte.
[[nodiscard]] inline std::vector<std::size_t> cuts_everywhere(std::size_t count) {
  std::vector<std::size_t> cuts;
  for (std::size_t at = 1; at < count; ++at) {
    cuts.push_back(at);
  }
  return cuts;
}

} // namespace sluice::test
