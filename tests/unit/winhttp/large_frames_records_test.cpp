// What may happen in the middle of a large frame: bad, missing, empty and tiny records, key
// updates, and an early end.

#include "large_frames_fixture.hpp"
#include "random_frames.hpp"

#include <algorithm>
#include <random>
#include <utility>

namespace sluice::test {
namespace {

INSTANTIATE_TEST_SUITE_P(every_kind, large_frames_in_records, every_kind, kind_name);

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

} // namespace
} // namespace sluice::test
