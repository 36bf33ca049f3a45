#include "random_frames.hpp"

#include <algorithm>
#include <iterator>

namespace sluice::test {
namespace {

std::string any_payload(std::mt19937& random, bool text, std::size_t count) {
  std::string made;
  if (text) { // characters of 1 to 4 bytes
    const std::string_view unit = "z\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80";
    while (made.size() + unit.size() <= count) {
      made += unit;
    }
    made.resize(count, 'a');
    return made;
  }
  made = pattern_text(count);
  for (std::size_t at = random() % 61; at < count; at += 61) {
    made[at] = static_cast<char>(random());
  }
  return made;
}

// A message of up to 4 frames, cut anywhere.
void add_message(std::vector<data_frame>& to, std::mt19937& random) {
  constexpr std::size_t interesting[] = {8190, 8191, 8192, 8193, 16372, 16380, 16384, 65535, 65536};
  const bool text = random() % 4 == 0;
  std::vector<std::size_t> sizes(1 + (random() % 3 == 0 ? random() % 4 : 0));
  std::size_t total = 0;
  for (std::size_t& size : sizes) {
    size = random() % 3 == 0 ? interesting[random() % std::size(interesting)]
                             : std::min<std::size_t>(any_size(random, 18), 200 << 10);
    total += size;
  }
  const std::string payload = any_payload(random, text, total);
  std::size_t at = 0;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    to.push_back({text, i + 1 == sizes.size(), payload.substr(at, sizes[i])});
    at += sizes[i];
  }
}

} // namespace

std::size_t any_size(std::mt19937& random, unsigned most_bits) {
  return random() % (std::size_t{1} << (random() % (most_bits + 1)));
}

std::vector<std::vector<data_frame>> random_streams(unsigned count, std::mt19937& random) {
  std::vector<std::vector<data_frame>> streams(count);
  for (std::vector<data_frame>& frames : streams) {
    for (auto i = 1 + random() % 6; i > 0; --i) {
      add_message(frames, random);
    }
  }
  return streams;
}

std::string on_the_wire(const std::vector<data_frame>& frames, std::mt19937* random) {
  std::string wire;
  bool begins = true;
  for (const data_frame& one : frames) {
    wire += make_frame(!begins    ? continuation_opcode
                       : one.text ? text_opcode
                                  : binary_opcode,
                       one.payload, one.fin);
    begins = one.fin;
    if (random != nullptr && (*random)() % 3 == 0) {
      wire += make_frame((*random)() % 2 == 0 ? ping_opcode : pong_opcode, "between");
    }
  }
  return wire;
}

void send_somehow(peer_connection& to, std::string_view wire, std::mt19937& random) {
  std::string leaving;
  while (!wire.empty()) {
    const std::string_view one = wire.substr(0, 1 + any_size(random, 14));
    wire.remove_prefix(one.size());
    if (to.tls() != nullptr) {
      leaving += to.tls()->seal(one);
      if (random() % 40 == 0) {
        leaving +=
            random() % 2 == 0 ? to.tls()->key_update(random() % 2 == 0) : to.tls()->late_ticket();
      }
    } else {
      leaving += one;
    }
    if (random() % 4 == 0) {
      const std::size_t count = random() % (leaving.size() + 1);
      to.send_raw(std::string_view(leaving).substr(0, count));
      leaving.erase(0, count);
    }
  }
  to.send_raw(leaving);
}

bool frame_check::take(const received& piece) {
  EXPECT_EQ(piece.code, 0u) << "frame " << frame_;
  if (piece.code != 0 || is_done()) {
    return false;
  }
  const data_frame& now = expected_[frame_];
  const std::string_view left = std::string_view(now.payload).substr(at_);
  const bool same = left.substr(0, piece.bytes.size()) == piece.bytes;
  EXPECT_TRUE(same) << "frame " << frame_ << " from byte " << at_;
  if (!same) {
    return false;
  }
  EXPECT_TRUE(!piece.bytes.empty() || left.empty()) << "an empty piece of a frame that is not";
  at_ += piece.bytes.size();
  const bool end = at_ == now.payload.size() && now.fin;
  const auto type =
      now.text ? (end ? utf8_message : utf8_fragment) : (end ? binary_message : binary_fragment);
  EXPECT_EQ(piece.type, type) << "frame " << frame_ << " at byte " << at_;
  if (at_ == now.payload.size()) {
    ++frame_;
    at_ = 0;
  }
  return piece.type == type;
}

} // namespace sluice::test
