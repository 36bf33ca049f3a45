// Large binary frames, which over TLS are decrypted into the caller's buffer: any frames through
// any records into any buffers, and what may happen in the middle of one.

#include "large_frames_fixture.hpp"

#include "support/failing_memory.hpp"
#include "support/test_effort.hpp"

#include <sys/ioctl.h>

#include <algorithm>
#include <atomic>
#include <random>

namespace sluice::test {
namespace {

class large_frames : public websocket_test, public ::testing::WithParamInterface<receiving> {};

const auto every_kind = testing::Values(receiving::blocking, receiving::looked_after,
                                        receiving::posted, receiving::in_callback);

std::string kind_name(const testing::TestParamInfo<receiving>& info) {
  constexpr const char* names[] = {"blocking", "looked_after", "posted", "in_callback"};
  return names[static_cast<int>(info.param)];
}

class large_frames_in_records : public large_frames {
protected:
  void SetUp() override {
    large_frames::SetUp();
    if (!tls_is_wanted()) {
      GTEST_SKIP() << "there are no records without TLS";
    }
  }
};

INSTANTIATE_TEST_SUITE_P(every_kind, large_frames, every_kind, kind_name);
INSTANTIATE_TEST_SUITE_P(every_kind, large_frames_in_records, every_kind, kind_name);

void read_to_the_end(peer_connection& from) {
  try {
    while (!from.read_raw().empty()) {
    }
  } catch (const peer_failure&) {
  }
}

// A number below 2^most_bits, as likely small as large.
std::size_t any_size(std::mt19937& random, unsigned most_bits) {
  return random() % (std::size_t{1} << (random() % (most_bits + 1)));
}

// Any frames through any records into any buffers

struct data_frame {
  bool text = false;
  bool fin = false;
  std::string payload;
};

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

std::vector<std::vector<data_frame>> random_streams(unsigned count, std::mt19937& random) {
  std::vector<std::vector<data_frame>> streams(count);
  for (std::vector<data_frame>& frames : streams) {
    for (auto i = 1 + random() % 6; i > 0; --i) {
      add_message(frames, random);
    }
  }
  return streams;
}

// With control frames between them if `random` is given.
std::string on_the_wire(const std::vector<data_frame>& frames, std::mt19937* random = nullptr) {
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

// Over TLS, record by record and cut anywhere else.
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

// Compares piece by piece: a piece is of one frame, and of the type that its frame says.
class frame_check {
public:
  explicit frame_check(const std::vector<data_frame>& expected) : expected_(expected) {}

  [[nodiscard]] bool is_done() const { return frame_ == expected_.size(); }
  /// False when something is wrong.
  [[nodiscard]] bool take(const received& piece) {
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

private:
  const std::vector<data_frame>& expected_;
  std::size_t frame_ = 0;
  std::size_t at_ = 0;
};

TEST_P(large_frames, RCV_40_RCV_41_RCV_42_RCV_44_RCV_45_any_frames_through_any_records) {
  constexpr unsigned rounds = full_effort ? 150 : 25;
  std::mt19937 random(20260607);
  const std::vector<std::vector<data_frame>> streams = random_streams(rounds, random);
  open_peer peer([&](peer_connection& to) {
    std::mt19937 cuts(1);
    for (const std::vector<data_frame>& frames : streams) {
      send_somehow(to, on_the_wire(frames, &cuts), cuts);
      // Nothing more, until all of it is there: nobody may wait for another segment.
      unsigned opcode = pong_opcode;
      while (opcode == pong_opcode) {
        opcode = to.read_frame().opcode;
      }
      if (opcode != binary_opcode) {
        return;
      }
    }
    read_to_the_end(to);
  });
  any_socket socket(peer.port(), GetParam());
  for (unsigned round = 0; round < rounds; ++round) {
    SCOPED_TRACE(testing::Message() << "round " << round);
    frame_check check(streams[round]);
    const auto next_room = [&]() -> std::size_t {
      if (random() % 16 == 0) {
        let_others_run(); // who reads ahead may do so now
      }
      constexpr std::size_t interesting[] = {8191, 8192, 8193, 16384, 65536, 300000};
      return random() % 2 == 0 ? interesting[random() % std::size(interesting)]
                               : 1 + any_size(random, 17);
    };
    bool good = true;
    socket.run(next_room(), [&](const received& piece) {
      good = check.take(piece);
      return good && !check.is_done() ? next_room() : std::size_t{0};
    });
    ASSERT_TRUE(good);
    ASSERT_EQ(send(socket.handle(), binary_message, "all"), 0u);
    if (socket.is_asynchronous()) {
      socket.asynchronous().heard().wait(WINHTTP_CALLBACK_STATUS_WRITE_COMPLETE, round + 1);
    }
  }
}

// What memory there is

// Until a Receive has said that there is none: a program that does not hear of it waits for ever.
TEST_P(large_frames, RCV_27_allocations_that_fail_lose_nothing) {
  constexpr unsigned rounds = full_effort ? 60 : 15;
  std::mt19937 random(8);
  const std::vector<std::vector<data_frame>> streams = random_streams(rounds, random);
  event upgraded; // what the peer sends before may be read along with its response
  open_peer peer([&](peer_connection& to) {
    upgraded.wait();
    std::mt19937 cuts(2);
    for (const std::vector<data_frame>& frames : streams) {
      std::string wire = on_the_wire(frames);
      while (!wire.empty()) { // no key update: its answer takes memory, without which TLS is over
        const std::size_t count = std::min(wire.size(), 1 + any_size(cuts, 17));
        to.send(std::string_view(wire).substr(0, count));
        wire.erase(0, count);
      }
      if (to.read_frame().opcode != binary_opcode) {
        return;
      }
    }
    read_to_the_end(to);
  });
  failing_memory memory;
  unsigned refused = 0;
  {
    // A loop of asynchronous handles has no buffer before the first Receive.
    any_socket socket(peer.port(), GetParam(), [&](const notice&) { memory.refuse_buffers(); });
    upgraded.set();
    for (unsigned round = 0; round < rounds; ++round) {
      SCOPED_TRACE(testing::Message() << "round " << round);
      frame_check check(streams[round]);
      memory.refuse_one_in(1 + round % 3);
      bool good = true;
      const auto room = [&] {
        return random() % 2 == 0 ? std::size_t{65536} : 1 + any_size(random, 17);
      };
      // On a thread of its own, whose loop takes memory too.
      background([&] {
        socket.run(room(), [&](const received& piece) -> std::size_t {
          if (piece.code == ERROR_NOT_ENOUGH_MEMORY || piece.code == ERROR_OUTOFMEMORY) {
            ++refused;
            memory.refuse_none(); // the next one works
            return room();
          }
          memory.refuse_one_in(1 + random() % 3);
          good = check.take(piece);
          return good && !check.is_done() ? room() : std::size_t{0};
        });
      }).join();
      memory.refuse_none();
      ASSERT_TRUE(good);
      ASSERT_EQ(send(socket.handle(), binary_message, "all"), 0u);
      if (socket.is_asynchronous()) {
        socket.asynchronous().heard().wait(WINHTTP_CALLBACK_STATUS_WRITE_COMPLETE, round + 1);
      }
    }
  }
  EXPECT_GT(refused, 0u);
}

// Decrypted, but the inbox had no memory to note it: it comes before what is still encrypted.
TEST_F(websocket_test, RCV_27_what_the_inbox_could_not_take_is_not_overtaken) {
  constexpr std::size_t part_bytes = 2000;
  constexpr std::size_t inline_parts = 4; // what an inbox holds without memory
  const std::string payload = pattern_text(100000);
  const std::string frame = make_frame(binary_opcode, payload);
  winhttp::set_care_period(std::chrono::milliseconds(1));
  pair_settings how;
  how.read_ahead_bytes = 32768;
  socket_pair pair(how);
  failing_memory memory;
  std::size_t sent = 0;
  for (std::size_t part = 0; part <= inline_parts; ++part, sent += part_bytes) {
    if (part == inline_parts) {
      constexpr std::size_t below_buffers = 1024;
      memory.refuse_one_in(1, 0, below_buffers);
    }
    pair.peer().send(std::string_view(frame).substr(sent, part_bytes));
    wait_until([&] { // the caretaker has taken it
      int unread = -1;
      return ::ioctl(pair.client_fd(), FIONREAD, &unread) == 0 && unread == 0;
    });
  }
  wait_until([&] { return memory.refused() > 0; });
  winhttp::set_care_period(std::chrono::hours(1)); // it does not come again
  pair.peer().send(std::string_view(frame).substr(sent));
  std::string all;
  for (bool first = true; all.size() < payload.size(); first = false) {
    const received piece = receive(pair.handle(), 50000);
    memory.refuse_none();
    if (!first) {
      EXPECT_EQ(piece.code, 0u); // the first one may say that there is no memory
    }
    if (piece.code != 0 && piece.code != ERROR_NOT_ENOUGH_MEMORY) {
      break;
    }
    all += piece.bytes;
  }
  winhttp::set_care_period(winhttp::decision::care_period);
  EXPECT_TRUE(all == payload);
}

// In the middle of a frame

constexpr std::size_t record_bytes = 16384;

// Sealed records, one by one.
std::vector<std::string> records_of(std::string_view sealed) {
  std::vector<std::string> records;
  while (sealed.size() >= 5) {
    const auto high = static_cast<unsigned char>(sealed[3]);
    const auto low = static_cast<unsigned char>(sealed[4]);
    const std::size_t size = 5 + 256u * high + low;
    records.emplace_back(sealed.substr(0, size));
    sealed.remove_prefix(size);
  }
  return records;
}

enum class pace { at_once, one_by_one };

void send_records(peer_connection& to, const std::vector<std::string>& records, pace how) {
  std::string all;
  for (const std::string& one : records) {
    if (how == pace::one_by_one) {
      to.send_raw(one);
      let_others_run();
    }
    all += one;
  }
  if (how == pace::at_once) {
    to.send_raw(all);
  }
}

tls_server_settings server_of(int version, bool forges = false) {
  return {.identity = tls_test_identity(),
          .lowest_version = version,
          .highest_version = version,
          .tickets = forges ? 0u : 2u,
          .forges = forges};
}

template <typename Script> auto over_tls(const tls_server_settings& how, Script script) {
  return [=](scripted_peer& on) {
    peer_connection to = on.accept_plain();
    to.start_tls(how);
    to.handshake();
    script(to);
    read_to_the_end(to);
  };
}

constexpr std::size_t frame_bytes = 60000;
constexpr std::size_t frame_header_bytes = 4;

std::string payload_before(std::size_t wire_bytes) {
  return pattern_text(frame_bytes).substr(0, wire_bytes - frame_header_bytes);
}

void expect_lost_behind(any_socket& socket, std::size_t room, const std::string& payload) {
  const received_stream all = receive_to_the_end(socket, room);
  EXPECT_TRUE(all.bytes == payload) << all.bytes.size() << " of " << payload.size();
  for (const WINHTTP_WEB_SOCKET_BUFFER_TYPE type : all.types) {
    EXPECT_EQ(type, binary_fragment);
  }
  EXPECT_EQ(all.code, DWORD{ERROR_WINHTTP_CONNECTION_ERROR});
  EXPECT_EQ(socket.receive(room).code, DWORD{ERROR_WINHTTP_CONNECTION_ERROR}) << "RCV-21";
}

TEST_P(large_frames_in_records, RCV_21_RCV_22_a_bad_record_ends_the_link_behind_what_came_before) {
  constexpr std::size_t rooms[] = {8192, 20000, 100000};
  std::size_t turn = 0;
  for (const int version : {0x0303, 0x0304}) {
    for (const std::size_t bad : {1u, 2u, 3u}) {
      for (const pace how : {pace::at_once, pace::one_by_one}) {
        const std::size_t room = rooms[turn++ % std::size(rooms)];
        SCOPED_TRACE(testing::Message() << version << " record " << bad << " room " << room);
        scripted_peer peer(over_tls(server_of(version), [=](peer_connection& to) {
          std::vector<std::string> records =
              records_of(to.tls()->seal(make_frame(binary_opcode, pattern_text(frame_bytes))));
          char& changed = records[bad][turn % 2 == 0 ? records[bad].size() - 1 : 20];
          changed = static_cast<char>(changed ^ 1);
          try {
            send_records(to, records, how);
          } catch (const peer_failure&) { // the client has seen enough
          }
        }));
        any_socket socket(peer.port(), GetParam());
        expect_lost_behind(socket, room, payload_before(bad * record_bytes));
      }
    }
  }
}

TEST_P(large_frames_in_records, RCV_20_RCV_22_TLS_14_an_end_in_mid_frame) {
  enum class ending { fin, notify, alert };
  for (const ending how : {ending::fin, ending::notify, ending::alert}) {
    // Of the record that is not whole.
    for (const std::size_t part : {0u, 3u, 5u, 9000u, 16384u}) {
      if (how != ending::fin && part != 0) {
        continue;
      }
      for (const std::size_t room : {8192u, 100000u}) {
        SCOPED_TRACE(testing::Message() << static_cast<int>(how) << " after " << part);
        const bool forges = how == ending::alert;
        scripted_peer peer(over_tls(server_of(0x0304, forges), [=](peer_connection& to) {
          const std::string frame = make_frame(binary_opcode, pattern_text(frame_bytes));
          std::vector<std::string> records;
          for (const std::size_t at : {std::size_t{0}, record_bytes}) {
            const std::string_view one = std::string_view(frame).substr(at, record_bytes);
            records.push_back(forges ? to.tls()->forge(23, one) : to.tls()->seal(one));
          }
          switch (how) {
          case ending::fin:
            records.push_back(to.tls()->seal(frame.substr(2 * record_bytes, record_bytes)));
            records.back().resize(part);
            break;
          case ending::notify:
            records.push_back(to.tls()->close_notify());
            break;
          case ending::alert:
            records.push_back(to.tls()->forge(21, "\x02\x50")); // internal_error
            break;
          }
          send_records(to, records, pace::at_once);
          to.truncate();
        }));
        any_socket socket(peer.port(), GetParam());
        expect_lost_behind(socket, room, payload_before(2 * record_bytes));
      }
    }
  }
}

TEST_P(large_frames_in_records, key_updates_and_tickets_between_the_records_of_one_frame) {
  const std::string payload = pattern_text(150000);
  scripted_peer peer(over_tls(server_of(0x0304), [&](peer_connection& to) {
    std::mt19937 random(3);
    for (unsigned i = 0; i < 10; ++i) {
      const std::string frame = make_frame(binary_opcode, payload);
      std::string sealed;
      for (std::size_t at = 0; at < frame.size();) {
        const std::size_t count = 1 + random() % record_bytes;
        sealed += to.tls()->seal(std::string_view(frame).substr(at, count));
        at += count;
        sealed +=
            random() % 3 == 0 ? to.tls()->late_ticket() : to.tls()->key_update(random() % 2 == 0);
      }
      to.send_raw(sealed);
      to.send(make_frame(ping_opcode, "p"));
      EXPECT_EQ(to.read_frame().payload, "p"); // under the keys that the client changed to
    }
    to.send(make_close(1000));
  }));
  any_socket socket(peer.port(), GetParam());
  const received_stream all = receive_to_the_end(socket, 40000);
  ASSERT_EQ(all.code, 0u);
  ASSERT_EQ(all.bytes.size(), 10 * payload.size());
  for (std::size_t i = 0; i < 10; ++i) {
    EXPECT_TRUE(all.bytes.compare(i * payload.size(), payload.size(), payload) == 0) << i;
  }
  EXPECT_EQ(std::count(all.types.begin(), all.types.end(), binary_message), 10);
}

TEST_P(large_frames_in_records, empty_records_and_records_of_one_byte_in_mid_frame) {
  for (const int version : {0x0303, 0x0304}) {
    scripted_peer peer(over_tls(server_of(version, true), [=](peer_connection& to) {
      const std::string frame = make_frame(binary_opcode, pattern_text(frame_bytes));
      std::string sealed = to.tls()->forge(23, std::string_view(frame).substr(0, 5));
      std::size_t at = 5;
      for (; at < 9000; ++at) {
        if (at % 3 == 0) {
          sealed += to.tls()->forge(23, "");
        }
        sealed += to.tls()->forge(23, std::string_view(frame).substr(at, 1));
      }
      for (; at < frame.size(); at += 16000) {
        sealed += to.tls()->forge(23, std::string_view(frame).substr(at, 16000));
        sealed += to.tls()->forge(23, "");
      }
      to.send_raw(sealed + to.tls()->forge(23, make_close(1000)));
    }));
    any_socket socket(peer.port(), GetParam());
    const received_stream all = receive_to_the_end(socket, 30000);
    EXPECT_EQ(all.code, 0u);
    EXPECT_TRUE(all.bytes == pattern_text(frame_bytes));
    ASSERT_GE(all.types.size(), 2u);
    EXPECT_EQ(all.types.back(), close_type);
    EXPECT_EQ(all.types[all.types.size() - 2], binary_message);
  }
}

// Where the frame begins and ends in its records, and where the buffer ends.
TEST_P(large_frames_in_records, RCV_41_records_cut_at_every_interesting_place) {
  constexpr std::size_t size = 20000;
  const std::string frame = make_frame(binary_opcode, pattern_text(size));
  const std::string wire = frame + make_frame(text_opcode, "behind");
  const std::size_t end = frame.size();
  const std::vector<std::size_t> cuts{
      1,          3,          4,          5,       100, 4 + 8191, 4 + 8192, 4 + 8193,
      end - 8193, end - 8192, end - 8191, end - 1, end, end + 1,  end + 2,  wire.size()};
  std::vector<std::pair<std::size_t, std::size_t>> pairs;
  for (const std::size_t first : cuts) {
    for (const std::size_t second : cuts) {
      if (first < second) {
        pairs.emplace_back(first, second);
      }
    }
  }
  scripted_peer peer(over_tls(server_of(0x0304), [&](peer_connection& to) {
    for (const auto& [first, second] : pairs) {
      std::vector<std::string> records;
      for (const auto& [from, until] :
           {std::pair{std::size_t{0}, first}, {first, second}, {second, wire.size()}}) {
        records.push_back(to.tls()->seal(std::string_view(wire).substr(from, until - from)));
      }
      send_records(to, records, (first + second) % 2 == 0 ? pace::at_once : pace::one_by_one);
    }
  }));
  any_socket socket(peer.port(), GetParam());
  const std::vector<data_frame> expected{{false, true, pattern_text(size)}, {true, true, "behind"}};
  constexpr std::size_t rooms[] = {8191, 8192, 8193, 19999, 20000, 20001, 65536};
  std::size_t turn = 0;
  for (const auto& [first, second] : pairs) {
    SCOPED_TRACE(testing::Message() << "cut at " << first << " and " << second);
    const std::size_t room = rooms[turn++ % std::size(rooms)];
    frame_check check(expected);
    bool good = true;
    socket.run(room, [&](const received& piece) {
      good = check.take(piece);
      return good && !check.is_done() ? room : std::size_t{0};
    });
    ASSERT_TRUE(good) << "room " << room;
  }
}

TEST_P(large_frames, RCV_22_RCV_50_a_frame_over_4_gib_that_ends_early) {
  const std::string payload = pattern_text(300000);
  open_peer peer([&](peer_connection& to) {
    to.send(std::string("\x82\x7F\x00\x00\x00\x01\x40\x00\x00\x00", 10) + payload);
    to.truncate();
    read_to_the_end(to);
  });
  any_socket socket(peer.port(), GetParam());
  expect_lost_behind(socket, 50000, payload);
}

// Calls in mid-frame

// Sends a frame whose end it holds back until the client has closed or gone.
void stream_large_frame(peer_connection& to) {
  try {
    const std::string frame = make_frame(binary_opcode, pattern_text(400000));
    const std::size_t first = 100000 + (reinterpret_cast<std::uintptr_t>(&to) >> 4) % 5000;
    to.send(std::string_view(frame).substr(0, first));
    to.send(std::string_view(frame).substr(first, 200000));
    client_frame got = to.read_frame();
    EXPECT_EQ(got.opcode, close_opcode);
    to.send(frame.substr(first + 200000) + make_close(1000));
  } catch (const peer_failure&) { // the client is gone
  }
  read_to_the_end(to);
}

TEST_P(large_frames, RCV_13_RCV_15_CLO_02_CLO_21_close_in_mid_frame_discards_the_rest) {
  constexpr int rounds = full_effort ? 40 : 12;
  scripted_peer server([&](scripted_peer& on) {
    for (int i = 0; i < rounds; ++i) {
      peer_connection to = on.accept();
      to.handshake();
      stream_large_frame(to);
    }
  });
  for (int round = 0; round < rounds; ++round) {
    any_socket socket(server.port(), GetParam());
    std::atomic<std::size_t> got_bytes{0};
    std::string all;
    DWORD ended = 0;
    background receiver([&] {
      socket.run(20000, [&](const received& piece) -> std::size_t {
        ended = piece.code;
        all += piece.bytes;
        got_bytes = all.size();
        return piece.code == 0 ? 20000 : 0;
      });
    });
    const std::size_t wanted = static_cast<std::size_t>(round) * 300000 / rounds;
    wait_until([&] { return got_bytes >= wanted; });
    EXPECT_EQ(close(socket.handle()), 0u);
    if (socket.is_asynchronous()) {
      socket.asynchronous().heard().wait(WINHTTP_CALLBACK_STATUS_CLOSE_COMPLETE);
    }
    receiver.join();
    // Called in vain after the Close, or cancelled by it.
    EXPECT_TRUE(ended == ERROR_WINHTTP_OPERATION_CANCELLED || ended == ERROR_INVALID_OPERATION)
        << ended;
    EXPECT_TRUE(all == pattern_text(400000).substr(0, all.size()));
    EXPECT_EQ(query_close_status(socket.handle()), (close_status_result{0, 1000, ""}));
  }
}

TEST_P(large_frames, RCV_24_HND_12_a_handle_closed_in_mid_frame_leaves_the_buffer_alone) {
  constexpr int rounds = full_effort ? 40 : 12;
  scripted_peer server([&](scripted_peer& on) {
    for (int i = 0; i < rounds; ++i) {
      peer_connection to = on.accept();
      to.handshake();
      stream_large_frame(to);
    }
  });
  for (int round = 0; round < rounds; ++round) {
    const std::size_t wanted = static_cast<std::size_t>(round) * 250000 / rounds;
    if (GetParam() == receiving::posted || GetParam() == receiving::in_callback) {
      async_client client(server.port());
      auto room = std::make_unique<char[]>(20000);
      std::atomic<std::size_t> got_bytes{0};
      client.heard().on(WINHTTP_CALLBACK_STATUS_READ_COMPLETE, [&](const notice& done) {
        got_bytes += done.bytes;
        (void)post_receive(done.handle, room.get(), 20000);
      });
      ASSERT_EQ(post_receive(client.socket(), room.get(), 20000), 0u);
      wait_until([&] { return got_bytes >= wanted; });
      client.close_handle(); // HANDLE_CLOSING has come
      room.reset();
      continue;
    }
    const auto client = std::make_unique<any_socket>(server.port(), GetParam());
    std::atomic<std::size_t> got_bytes{0};
    DWORD ended = 0;
    background receiver([&] {
      client->run(20000, [&](const received& piece) -> std::size_t {
        ended = piece.code;
        got_bytes += piece.bytes.size();
        return piece.code == 0 ? 20000 : 0;
      });
    });
    wait_until([&] { return got_bytes >= wanted; });
    EXPECT_TRUE(WinHttpCloseHandle(client->handle()));
    receiver.join();
    EXPECT_TRUE(ended == ERROR_WINHTTP_OPERATION_CANCELLED || ended == ERROR_INVALID_HANDLE)
        << ended;
  }
}

TEST_F(websocket_test, RCV_13_a_second_receive_in_mid_frame_touches_nothing) {
  event go_on;
  const std::string payload = pattern_text(100000);
  open_peer peer([&](peer_connection& to) {
    const std::string frame = make_frame(binary_opcode, payload);
    to.send(std::string_view(frame).substr(0, 10));
    go_on.wait();
    to.send(frame.substr(10) + make_close(1000));
    read_to_the_end(to);
  });
  async_client client(peer.port());
  landing<30000> first;
  landing<30000> second;
  std::string all;
  client.heard().on(WINHTTP_CALLBACK_STATUS_READ_COMPLETE, [&](const notice& done) {
    all += first.first(done.bytes);
    if (done.type != close_type) {
      EXPECT_EQ(first.receive(done.handle), 0u);
      EXPECT_EQ(second.receive(done.handle), DWORD{ERROR_INVALID_OPERATION});
    }
  });
  ASSERT_EQ(first.receive(client.socket()), 0u);
  ASSERT_EQ(second.receive(client.socket()), DWORD{ERROR_INVALID_OPERATION});
  go_on.set();
  wait_until([&] { return query_close_status(client.socket()).code == 0; });
  client.close_handle();
  EXPECT_TRUE(all == payload);
  EXPECT_EQ(second.first(30000), std::string(30000, '\0'));
}

TEST_P(large_frames, SHD_a_shutdown_in_mid_frame_lets_the_rest_come) {
  const std::string payload = pattern_text(400000);
  open_peer peer([&](peer_connection& to) { stream_large_frame(to); });
  any_socket socket(peer.port(), GetParam());
  std::string all;
  while (all.size() < 50000) {
    const received piece = socket.receive(9000);
    ASSERT_EQ(piece.code, 0u);
    all += piece.bytes;
  }
  ASSERT_EQ(shutdown(socket.handle()), 0u);
  const received_stream rest = receive_to_the_end(socket, 30000);
  EXPECT_EQ(rest.code, 0u);
  EXPECT_TRUE(all + rest.bytes == payload);
  EXPECT_EQ(rest.types.back(), close_type);
}

} // namespace
} // namespace sluice::test
