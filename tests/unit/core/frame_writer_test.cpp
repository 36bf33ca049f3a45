#include "core/frame_writer.hpp"

#include "reference/frame_model.hpp"
#include "support/frames.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <set>

namespace sluice {
namespace {

using test::bytes;
using test::pattern;
using test::raw;

// Everything the writer gives when the caller has `room` bytes at a time, exactly.
bytes write_all(frame_writer& writer, std::size_t room) {
  bytes wire;
  while (!writer.done()) {
    const std::unique_ptr<std::byte[]> exact(new std::byte[room]);
    const std::size_t left = writer.left_bytes();
    const std::size_t count = writer.fill({exact.get(), room});
    EXPECT_EQ(count, std::min(room, left)); // all of the room, or all that is left
    EXPECT_EQ(writer.left_bytes(), left - count);
    if (count == 0) {
      ADD_FAILURE() << "no progress";
      break;
    }
    wire.insert(wire.end(), exact.get(), exact.get() + count);
  }
  return wire;
}

bytes expected_header(opcode op, bool fin, std::size_t payload_bytes, bool masked) {
  bytes made = raw({(fin ? 0x80u : 0u) | static_cast<unsigned>(op)});
  const unsigned mask_bit = masked ? 0x80 : 0;
  if (payload_bytes < 126) {
    test::append(made, raw({mask_bit | static_cast<unsigned>(payload_bytes)}));
  } else if (payload_bytes < 65536) {
    test::append(made, raw({mask_bit | 126u, static_cast<unsigned>(payload_bytes / 256),
                            static_cast<unsigned>(payload_bytes % 256)}));
  } else {
    test::append(made, raw({mask_bit | 127u, 0, 0, 0, 0}));
    test::append(made, raw({static_cast<unsigned>(payload_bytes >> 24 & 0xFF),
                            static_cast<unsigned>(payload_bytes >> 16 & 0xFF),
                            static_cast<unsigned>(payload_bytes >> 8 & 0xFF),
                            static_cast<unsigned>(payload_bytes & 0xFF)}));
  }
  return made;
}

TEST(frame_writer, SND_13_every_room_and_length_form) {
  const bytes key = raw({0x12, 0xFE, 0x80, 0x7D});
  std::uint32_t key_word = 0;
  std::memcpy(&key_word, key.data(), sizeof key_word);
  for (const simd::kernel_table* kernels : simd::supported_kernels()) {
    for (const std::size_t size : {0u, 1u, 2u, 3u, 4u, 5u, 63u, 125u, 126u, 127u, 300u}) {
      const bytes payload = pattern(size);
      for (std::size_t room = 1; room <= size + 20; ++room) {
        frame_writer writer(*kernels);
        writer.start(opcode::binary, true, payload);
        bytes wanted = expected_header(opcode::binary, true, size, false);
        test::append(wanted, payload);
        ASSERT_EQ(write_all(writer, room), wanted) << size << ' ' << room;

        writer.start_masked(opcode::text, false, payload, key_word);
        wanted = expected_header(opcode::text, false, size, true);
        test::append(wanted, key);
        for (std::size_t i = 0; i < size; ++i) {
          wanted.push_back(payload[i] ^ key[i % 4]);
        }
        ASSERT_EQ(write_all(writer, room), wanted) << size << ' ' << room;
        ASSERT_EQ(payload, pattern(size)); // never modified
      }
    }
  }
}

TEST(frame_writer, SND_12_long_frames_through_a_small_room) {
  for (const std::size_t size : {65535u, 65536u, 131070u, 3000001u}) {
    const bytes payload = pattern(size);
    for (const std::size_t room : {14u, 4096u, 65536u, 4000000u}) {
      frame_writer writer;
      writer.start_masked(opcode::binary, true, payload, 0x80FF01C3u);
      const bytes wire = write_all(writer, room);
      const reference::header head =
          reference::read_header(role::server, false, wire.data(), wire.size());
      ASSERT_TRUE(head.complete);
      ASSERT_EQ(head.payload_bytes, size);
      ASSERT_EQ(wire.size(), head.size + size);
      for (std::size_t i = 0; i < size; ++i) {
        ASSERT_EQ(wire[head.size + i] ^ head.key[i % 4], payload[i]) << i;
      }
    }
  }
}

TEST(frame_writer, every_opcode_and_fin) {
  for (const opcode op : {opcode::continuation, opcode::text, opcode::binary, opcode::close,
                          opcode::ping, opcode::pong}) {
    for (const bool fin : {false, true}) {
      frame_writer writer;
      writer.start(op, fin, {});
      EXPECT_EQ(write_all(writer, 14), expected_header(op, fin, 0, false));
    }
  }
}

TEST(frame_writer, starts_done_and_gives_nothing) {
  frame_writer writer;
  std::byte room[16];
  EXPECT_TRUE(writer.done());
  EXPECT_EQ(writer.fill(room), 0u);
  writer.start(opcode::ping, true, {});
  EXPECT_FALSE(writer.done());
  EXPECT_EQ(writer.fill({}), 0u);
  EXPECT_FALSE(writer.done());
}

TEST(frame_writer, a_new_frame_replaces_an_unfinished_one) {
  const bytes payload = pattern(100);
  frame_writer writer;
  std::byte room[20];
  writer.start_masked(opcode::binary, true, payload, 5);
  EXPECT_EQ(writer.fill(room), 20u);
  writer.start(opcode::text, true, std::span(payload).first(3));
  EXPECT_EQ(write_all(writer, 100),
            test::joined({expected_header(opcode::text, true, 3, false), pattern(3)}));
}

// A generator that counts, and fails when told to.
struct counting_random {
  static inline std::uint32_t next = 0;
  static inline unsigned calls = 0;
  static inline bool works = true;
  static bool fill(std::span<std::byte> to) noexcept {
    ++calls;
    if (!works) {
      return false;
    }
    for (std::size_t at = 0; at < to.size(); at += sizeof next) {
      ++next;
      std::memcpy(to.data() + at, &next, std::min(sizeof next, to.size() - at));
    }
    return true;
  }
  static void reset() {
    next = 0;
    calls = 0;
    works = true;
  }
};

TEST(masking_keys, SND_10_each_word_of_the_generator_is_used_once) {
  counting_random::reset();
  masking_keys keys(&counting_random::fill);
  EXPECT_EQ(counting_random::calls, 0u); // nothing before the first frame
  std::set<std::uint32_t> seen;
  constexpr std::uint32_t count = 1000000;
  for (std::uint32_t i = 0; i < count; ++i) {
    std::uint32_t key = 0;
    ASSERT_TRUE(keys.next(key));
    ASSERT_NE(key, 0u); // the generator never gives it: a wiped or unfilled word would
    ASSERT_TRUE(seen.insert(key).second) << key;
  }
  EXPECT_LE(counting_random::next, count + 1024); // and hardly one is thrown away
  EXPECT_LE(counting_random::calls, count / 16);  // in batches
}

TEST(masking_keys, SND_10_a_failing_generator_gives_no_key_and_is_asked_again) {
  counting_random::reset();
  masking_keys keys(&counting_random::fill);
  std::uint32_t key = 0xABCD;
  counting_random::works = false;
  EXPECT_FALSE(keys.next(key));
  EXPECT_FALSE(keys.next(key));
  EXPECT_EQ(key, 0xABCDu);
  EXPECT_EQ(counting_random::calls, 2u);
  counting_random::works = true;
  std::set<std::uint32_t> seen;
  for (int i = 0; i < 200; ++i) { // over batches, failing at each border
    counting_random::works = i % 3 == 0;
    if (keys.next(key)) {
      EXPECT_NE(key, 0u);
      EXPECT_TRUE(seen.insert(key).second);
    }
  }
  EXPECT_GT(seen.size(), 30u);
}

// No copy of a used key stays in the object.
TEST(masking_keys, SND_10_used_keys_are_wiped) {
  counting_random::reset();
  counting_random::next = 0x51CE0000;
  masking_keys keys(&counting_random::fill);
  for (int i = 0; i < 100; ++i) {
    std::uint32_t key = 0;
    ASSERT_TRUE(keys.next(key));
    std::byte image[sizeof keys];
    std::memcpy(image, static_cast<const void*>(&keys), sizeof keys);
    for (std::size_t at = 0; at + sizeof key <= sizeof image; ++at) {
      ASSERT_NE(std::memcmp(image + at, &key, sizeof key), 0) << "key " << i << " at " << at;
    }
  }
}

} // namespace
} // namespace sluice
