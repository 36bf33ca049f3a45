#include "native_tls_hostile_fixture.hpp"
#include "support/scripted_peer.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

// Records that are not what they should be, between a client and our server and the other way
// round: what OpenSSL alone has sealed is cut, changed and repeated on its way.

namespace sluice {
namespace {

using test::bytes;
using test::client_tls;
using test::joined;
using test::pattern;
using test::scripted_peer;
using test::server_tls;
using test::text_of;
using test::tls_client_settings;
using test::tls_test_authority;
using test::tls_test_identity;
using test::to_bytes;

using test::native_tls_hostile;
using test::native_tls_hostile_server;

TEST_P(native_tls_hostile_server, a_changed_byte_ends_the_connection_behind_what_came_before) {
  for (const int version : test::tls_versions) {
    for (const std::size_t at : {0u, 1u, 3u, 4u, 5u, 9u, 20u, 29u}) {
      SCOPED_TRACE(testing::Message() << version << " byte " << at);
      seen_.clear();
      raw_client peer = upgraded(version);
      std::string wire = sealed_text(peer, "good");
      std::string bad = sealed_text(peer, "bad and longer than that");
      bad[at] = static_cast<char>(bad[at] ^ 0x11);
      bad += sealed_text(peer, std::string(70000, 'x')); // also behind a changed length
      peer.send_raw(wire + bad);
      peer.finish_writing();
      expect_end(peer, error::tls_record);
      EXPECT_EQ(seen_, std::vector<std::string>{"good"});
    }
  }
}

TEST_P(native_tls_hostile_server, records_that_break_the_format_end_the_connection) {
  const std::string garbage[] = {
      std::string("\x17\x03\x03\x48\x01", 5) + std::string(18433, 'x'), // longer than any record
      std::string("\x17\x03\x03\x00\x01x", 6),                          // too short to be sealed
      std::string("\x17\x03\x03\x00\x00\x17\x03\x03\x00\x00", 10),      // empty without a tag
      std::string("\x63\x03\x03\x00\x02xx", 7),                         // a type that is none
      std::string("\x15\x03\x03\x00\x02\x02\x28", 7),                   // an alert in plain text
      "GET / HTTP/1.1\r\n\r\n",
  };
  for (const int version : test::tls_versions) {
    for (const std::string& wire : garbage) {
      SCOPED_TRACE(testing::Message() << version << ' ' << (&wire - garbage));
      raw_client peer = upgraded(version);
      peer.send_raw(wire);
      expect_end(peer, error::tls_record);
    }
  }
}

TEST_P(native_tls_hostile_server, an_alert_or_an_end_in_the_middle_of_a_record) {
  for (const int version : test::tls_versions) {
    for (const bool alert : {false, true}) {
      raw_client peer = upgraded(version);
      const std::string whole = sealed_text(peer, "never seen");
      peer.send_raw(std::string_view(whole).substr(0, whole.size() / 2));
      if (alert) {
        // The bytes of a real alert where the rest of the record should be: a bad MAC.
        peer.send_raw(peer.tls().close_notify() + std::string(64, 'x'));
      } else {
        peer.truncate();
      }
      expect_end(peer, alert ? error::tls_record : error::connection_lost);
    }
  }
  EXPECT_TRUE(seen_.empty());
}

TEST_P(native_tls_hostile_server, a_record_that_comes_twice_or_too_early_is_refused) {
  for (const int version : test::tls_versions) {
    for (const bool twice : {false, true}) {
      seen_.clear();
      raw_client peer = upgraded(version);
      const std::string first = sealed_text(peer, "first");
      const std::string second = sealed_text(peer, "second");
      peer.send_raw(twice ? first + first : second + first);
      expect_end(peer, error::tls_record);
      EXPECT_EQ(seen_.size(), twice ? 1u : 0u);
    }
  }
}

TEST_P(native_tls_hostile_server, what_follows_close_notify_is_never_delivered) {
  for (const int version : test::tls_versions) {
    seen_.clear();
    raw_client peer = upgraded(version);
    const std::string last = sealed_text(peer, "last");
    // OpenSSL seals nothing behind close_notify: the earlier record again, and one of no meaning.
    peer.send_raw(last + peer.tls().close_notify() + last + "\x17\x03\x03\x20" +
                  std::string(64, 'x'));
    expect_end(peer, error::end_of_stream);
    EXPECT_EQ(seen_, std::vector<std::string>{"last"});
  }
}

TEST_P(native_tls_hostile_server, renegotiation_is_refused_and_the_connection_goes_on) {
  raw_client peer = upgraded(0x0303);
  peer.send_raw(peer.tls().renegotiation());
  // SSL_OP_NO_RENEGOTIATION answers with the warning no_renegotiation (RFC 5246 section 7.2.2),
  // which OpenSSL's client takes as the end. No handshake may have been run either way.
  EXPECT_TRUE(pump([&] { return stats().tls_handshakes == 1; }));
  peer.finish_writing();
  std::string rest;
  while (peer.receive_raw(rest)) {
  }
  EXPECT_TRUE(pump([&] { return handler_.endings.size() == 1; }));
  EXPECT_EQ(stats().tls_handshakes, 1u);
  EXPECT_LT(rest.size(), 200u) << "an alert and no handshake";
}

TEST_P(native_tls_hostile_server, records_of_one_byte_bytes_alone_and_many_at_once) {
  std::string got;
  handler_.slice = [&](connection& c, const view& v) {
    got += text_of(v);
    if (v.message_end()) {
      EXPECT_EQ(c.send(v.type(), bytes{}), error::none);
    }
  };
  for (const int version : test::tls_versions) {
    got.clear();
    raw_client peer = upgraded(version);
    const std::string text(3000, 'p');
    peer.send_raw(sealed(peer, make_.frame(opcode::binary, true, to_bytes(text)), 1));
    for (const char& one : sealed(peer, make_.frame(opcode::binary, true, "split"), 3)) {
      peer.send_raw({&one, 1});
    }
    std::string many;
    for (int i = 0; i < 500; ++i) {
      many += sealed(peer, make_.frame(opcode::binary, true, "m"));
    }
    peer.send_raw(many); // and nothing more: nobody may wait for another segment
    for (int i = 0; i < 502; ++i) {
      ASSERT_TRUE(peer.read_frame().has_value()) << i;
    }
    EXPECT_EQ(got, text + "split" + std::string(500, 'm'));
  }
}

TEST_P(native_tls_hostile, key_updates_at_any_point_are_followed_and_answered) {
  handler_.message = [](connection& c, const view& v) {
    EXPECT_EQ(c.send(v.type(), v.bytes()), error::none);
  };
  connection_settings settings;
  settings.take = delivery::messages;
  serve_tls(settings);
  if (!on_.is_open()) {
    return;
  }
  raw_client peer = upgraded(0x0304);
  std::mt19937 source(7);
  const auto random = [&] { return static_cast<unsigned>(source()); };
  for (unsigned i = 0; i < 100; ++i) {
    const bytes payload = pattern(random() % 40000, i);
    const bytes wire = make_.frame(opcode::binary, true, payload);
    const auto cut = static_cast<std::ptrdiff_t>(random() % wire.size());
    peer.send_raw(peer.tls().key_update(i % 2 == 0));
    peer.send(bytes(wire.begin(), wire.begin() + cut));
    peer.send_raw(peer.tls().key_update(true)); // in the middle of a frame
    peer.send(bytes(wire.begin() + cut, wire.end()));
    const auto echoed = peer.read_frame(); // under the keys that the server has changed to
    ASSERT_TRUE(echoed.has_value()) << i;
    ASSERT_TRUE(to_bytes(echoed->payload) == payload) << i;
  }
}

// They cost more than data does, so that a connection that sends nothing else must not keep the
// loop from the others.
TEST_P(native_tls_hostile_server, records_without_data_count_in_the_budget_of_a_turn) {
  raw_client peer = upgraded(0x0304);
  std::string wire = sealed_text(peer, "before");
  constexpr unsigned updates = 2000;
  for (unsigned i = 0; i < updates; ++i) {
    wire += peer.tls().key_update(false);
  }
  wire += sealed_text(peer, "behind");
  peer.send_raw(wire);
  EXPECT_TRUE(pump([&] { return seen_.size() == 2; }));
  EXPECT_EQ(seen_, (std::vector<std::string>{"before", "behind"}));
  EXPECT_GE(stats().turns_over_budget, updates / 32 / 2);
}

TEST_P(native_tls_hostile_server, frames_of_any_bytes_inside_valid_records_end_as_without_tls) {
  handler_.slice = [](connection& c, const view& v) { (void)c.send(v.type(), v.bytes()); };
  std::mt19937 source(20240607);
  const auto random = [&] { return static_cast<unsigned>(source()); };
  for (unsigned round = 0; round < 150; ++round) {
    SCOPED_TRACE(round);
    raw_client peer = upgraded(test::tls_versions[round % 2]);
    bytes wire;
    for (unsigned frames = random() % 6; frames > 0; --frames) {
      const unsigned opcodes[] = {0x01, 0x81, 0x82, 0x80, 0x00, 0x88, 0x89, 0x8A};
      test::append(wire, make_.frame(opcodes[random() % 8], pattern(random() % 300, round)));
    }
    for (unsigned changes = 1 + random() % 4; changes > 0 && !wire.empty(); --changes) {
      wire[random() % wire.size()] ^= static_cast<std::byte>(1u << (random() % 8));
    }
    test::append(wire, pattern(random() % 64, random()));
    peer.send_raw(sealed(peer, wire, 1 + random() % 400));
    peer.finish_writing();
    std::string rest;
    while (peer.receive_raw(rest)) {
    }
    peer.close();
    EXPECT_TRUE(pump([&] { return handler_.endings.size() == 1; }));
    EXPECT_NE(handler_.endings[0].cause, error::tls_record); // TLS was right
    EXPECT_NE(handler_.endings[0].cause, error::timed_out);
    handler_.endings.clear();
  }
}

TEST_P(native_tls_hostile_server, random_bytes_instead_of_records_never_get_through) {
  std::mt19937 source(11);
  const auto random = [&] { return static_cast<unsigned>(source()); };
  for (unsigned round = 0; round < 100; ++round) {
    raw_client peer = round % 2 == 0 ? upgraded(test::tls_versions[round / 2 % 2]) : unshaken();
    std::string noise;
    for (unsigned count = 20 + random() % 400; count > 0; --count) {
      noise.push_back(static_cast<char>(random()));
    }
    if (random() % 2 == 0) {
      noise.replace(0, 3, round % 2 == 0 ? "\x17\x03\x03" : "\x16\x03\x01");
    }
    peer.send_raw(noise);
    ::shutdown(peer.fd(), SHUT_WR);
    std::string rest;
    while (peer.receive_raw(rest)) {
    }
    EXPECT_TRUE(pump([&] { return stats().connections_open == 0; }));
  }
  EXPECT_EQ(stats().handshakes_failed, 50u);
  EXPECT_EQ(stats().messages_received, 0u);
}

// The client's side: a server of OpenSSL alone, on a thread of its own.
TEST_P(native_tls_hostile, a_client_follows_tickets_and_key_updates_and_refuses_changed_records) {
  open_loop();
  if (!on_.is_open()) {
    return;
  }
  for (const bool changed : {false, true}) {
    scripted_peer peer([=](scripted_peer& self) {
      test::peer_connection to = self.accept_plain();
      to.start_tls({.identity = tls_test_identity(), .tickets = 1});
      to.handshake();
      for (unsigned i = 0; i < 20; ++i) {
        to.send_raw(i % 2 == 0 ? to.tls()->late_ticket() : to.tls()->key_update(true));
        to.send(test::make_frame(0x2, std::string(i * 100, 'x')));
        EXPECT_EQ(to.read_frame().payload.size(), i * 100);
      }
      if (changed) {
        std::string bad = to.tls()->seal(test::make_frame(0x1, "bad"));
        bad[9] = static_cast<char>(bad[9] ^ 1);
        to.send_raw(bad);
      } else {
        to.send(test::make_close(1000));
        EXPECT_EQ(to.read_frame().opcode, 0x8u);
        to.close_fin();
      }
      try {
        while (!to.read_raw().empty()) {
        }
      } catch (const test::peer_failure&) {
      }
    });
    client_.message = [](connection& c, const view& v) { (void)c.send(v.type(), v.bytes()); };
    connect_settings to;
    to.host = "127.0.0.1";
    to.port = peer.port();
    to.connection.take = delivery::messages;
    to.connection.tls = client_tls();
    connection* made = nullptr;
    ASSERT_EQ(on_.connect(to, client_, made), error::none);
    client_.endings.clear();
    EXPECT_TRUE(pump([&] { return client_.endings.size() == 1; }));
    EXPECT_EQ(client_.endings[0].clean, !changed);
    EXPECT_EQ(client_.endings[0].cause, changed ? error::tls_record : error::none);
  }
}

SLUICE_ON_BOTH_BACKENDS(native_tls_hostile);
SLUICE_ON_BOTH_BACKENDS(native_tls_hostile_server);

} // namespace
} // namespace sluice
