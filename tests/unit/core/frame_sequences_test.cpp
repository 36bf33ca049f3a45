#include "core/message_rx.hpp"

#include "support/slices.hpp"

#include <gtest/gtest.h>

#include <array>

// All sequences of up to four frames, told apart by opcode and FIN: 32 + 32^2 + 32^3 + 32^4 of
// them. What must happen is a table over the state of the receiver.

namespace sluice {
namespace {

enum class rx_state { idle, in_text, in_binary, closed, failed };
enum class effect { piece, end_piece, ping, nothing, close, fail };

struct transition {
  rx_state next;
  effect seen;
  error reason = error::none;
};

// RFC 6455 sections 5.4 and 5.5. `kind` is the opcode.
transition step(rx_state at, unsigned kind, bool fin) {
  const auto refuse = [](error reason) {
    return transition{rx_state::failed, effect::fail, reason};
  };
  switch (kind) {
  case 0x0:
    if (at == rx_state::idle) {
      return refuse(error::unexpected_continuation);
    }
    return {fin ? rx_state::idle : at, fin ? effect::end_piece : effect::piece};
  case 0x1:
  case 0x2:
    if (at != rx_state::idle) {
      return refuse(error::expected_continuation);
    }
    if (fin) {
      return {rx_state::idle, effect::end_piece};
    }
    return {kind == 0x1 ? rx_state::in_text : rx_state::in_binary, effect::piece};
  case 0x8:
    return fin ? transition{rx_state::closed, effect::close} : refuse(error::control_fragmented);
  case 0x9:
    return fin ? transition{at, effect::ping} : refuse(error::control_fragmented);
  case 0xA:
    return fin ? transition{at, effect::nothing} : refuse(error::control_fragmented);
  default:
    return refuse(error::unknown_opcode);
  }
}

struct sequence_case {
  role self;
  bool one_byte_slices;
  unsigned payload_bytes; // of the frames, alternating with 0
};

class frame_sequences : public testing::TestWithParam<sequence_case> {};

TEST_P(frame_sequences, RCV_73_RCV_74_RCV_75_all_up_to_four_frames) {
  const auto [self, one_byte_slices, payload_bytes] = GetParam();
  constexpr unsigned longest = 4;
  std::array<std::byte, longest * 8 + 1> wire{};
  test::lent_buffer_owner owner(wire);
  std::array<std::byte, 16> to{};
  limits bounds;

  for (unsigned count = 1; count <= longest; ++count) {
    for (unsigned long number = 0; number < 1UL << (5 * count); ++number) {
      std::size_t size = 0;
      for (unsigned i = 0; i < count; ++i) {
        const unsigned frame = static_cast<unsigned>(number >> (5 * i)) & 31u;
        const unsigned kind = frame & 15u;
        const unsigned length =
            kind == 8 ? (payload_bytes != 0 ? 2 : 0) : (i % 2 == 0 ? payload_bytes : 0);
        wire[size++] = static_cast<std::byte>((frame & 16u) << 3 | kind);
        wire[size++] = static_cast<std::byte>((self == role::server ? 0x80u : 0u) | length);
        const auto mask = static_cast<std::byte>(self == role::server ? 0x5A : 0);
        if (self == role::server) {
          for (int k = 0; k < 4; ++k) {
            wire[size++] = mask;
          }
        }
        for (unsigned k = 0; k < length; ++k) {
          const std::byte plain =
              kind == 8 ? static_cast<std::byte>(k == 0 ? 0x03 : 0xE8) : std::byte{'x'};
          wire[size++] = plain ^ mask;
        }
      }

      message_rx rx(self, bounds);
      if (one_byte_slices) {
        for (std::size_t at = 0; at < size; ++at) {
          ASSERT_TRUE(rx.inbox().push(owner.lend(at, 1)));
        }
      } else {
        ASSERT_TRUE(rx.inbox().push(owner.lend(0, size)));
      }

      rx_state state = rx_state::idle;
      bool text = false;
      bool over = false;
      for (unsigned i = 0; i < count && !over; ++i) {
        const unsigned frame = static_cast<unsigned>(number >> (5 * i)) & 31u;
        const unsigned kind = frame & 15u;
        const transition wanted = step(state, kind, (frame & 16u) != 0);
        if (kind == 1 || kind == 2) {
          text = kind == 1;
        }
        state = wanted.next;
        if (wanted.seen == effect::nothing) {
          continue;
        }
        const rx_result seen = rx.receive(to);
        switch (wanted.seen) {
        case effect::piece:
        case effect::end_piece:
          ASSERT_EQ(seen.status, rx_status::piece) << std::hex << number << " frame " << i;
          ASSERT_EQ(seen.message_end, wanted.seen == effect::end_piece);
          ASSERT_EQ(seen.text, text);
          ASSERT_EQ(seen.bytes, i % 2 == 0 ? payload_bytes : 0u);
          break;
        case effect::ping:
          ASSERT_EQ(seen.status, rx_status::ping) << std::hex << number << " frame " << i;
          break;
        case effect::close:
          ASSERT_EQ(seen.status, rx_status::close) << std::hex << number << " frame " << i;
          ASSERT_EQ(rx.peer_close().status, payload_bytes != 0 ? 1000 : 1005);
          over = true;
          break;
        default:
          ASSERT_EQ(seen.status, rx_status::failed) << std::hex << number << " frame " << i;
          ASSERT_EQ(seen.reason, wanted.reason);
          over = true;
          break;
        }
      }
      if (!over) {
        ASSERT_EQ(rx.receive(to).status, rx_status::need_input);
      }
      ASSERT_EQ(owner.out(), 0u);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    all, frame_sequences,
    testing::Values(sequence_case{role::client, false, 1}, sequence_case{role::client, false, 0},
                    sequence_case{role::client, true, 1}, sequence_case{role::server, false, 1},
                    sequence_case{role::server, false, 0}),
    [](const auto& tested) {
      return std::string(tested.param.self == role::client ? "client" : "server") +
             (tested.param.one_byte_slices ? "_one_byte_slices" : "") +
             (tested.param.payload_bytes != 0 ? "_payload" : "_empty");
    });

} // namespace
} // namespace sluice
