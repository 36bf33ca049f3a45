#include "native_tls_hostile_fixture.hpp"
#include "support/scripted_peer.hpp"

#include <sys/socket.h>

#include <cstring>
#include <functional>
#include <string>
#include <vector>

// Valid records with what OpenSSL never sends, and floods of what asks for an answer.

namespace sluice {
namespace {

using test::alert_type;
using test::application_data_type;
using test::bytes;
using test::change_cipher_spec_type;
using test::handshake_type;
using test::in_order;
using test::scripted_peer;
using test::text_of;
using test::tls_test_authority;
using test::tls_test_identity;
using test::to_bytes;

class native_tls_forged : public test::native_tls_hostile {
protected:
  void flood_that_asks_for_answers(raw_client& peer, const std::function<std::string()>& one,
                                   const std::function<std::string()>& text,
                                   test::counted_memory& memory);
};

class native_tls_forged_server : public test::native_tls_hostile_server {};

std::string times(std::size_t count, const std::function<std::string()>& one) {
  std::string made;
  for (; count > 0; --count) {
    made += one();
  }
  return made;
}

// RFC 5246 section 7.2.2. OpenSSL's own client ends when it is refused: this one goes on.
TEST_P(native_tls_forged_server, each_wish_to_renegotiate_is_refused_with_a_warning) {
  raw_client peer = forging(0x0303);
  const std::string client_hello("\x01\x00\x00\x02\x03\x03", 6);
  peer.send_raw(in_order({forged_text(peer, "before"),
                          times(50, [&] { return peer.tls().forge(handshake_type, client_hello); }),
                          forged_text(peer, "behind")}));
  EXPECT_TRUE(pump([&] { return seen_.size() == 2; }));
  EXPECT_EQ(seen_, (std::vector<std::string>{"before", "behind"}));
  EXPECT_EQ(stats().tls_handshakes, 1u);
  constexpr std::size_t warning_bytes = 5 + 8 + 2 + 16; // sealed with AES-GCM
  std::string answers;
  while (answers.size() < 50 * warning_bytes && peer.receive_raw(answers)) {
  }
  EXPECT_EQ(answers.size(), 50 * warning_bytes);
  EXPECT_EQ(answers[0], static_cast<char>(alert_type));
}

TEST_P(native_tls_forged_server, empty_records_are_skipped_but_not_without_end) {
  for (const int version : test::tls_versions) {
    seen_.clear();
    raw_client peer = forging(version);
    const auto empty = [&] { return peer.tls().forge(application_data_type, {}); };
    peer.send_raw(in_order(
        {times(10, empty), forged_text(peer, "one"), times(20, empty), forged_text(peer, "two")}));
    EXPECT_TRUE(pump([&] { return seen_.size() == 2; }));
    peer.send_raw(
        in_order({forged_text(peer, "good"), times(2000, empty), forged_text(peer, "never")}));
    expect_end(peer, error::tls_record);
    EXPECT_EQ(seen_, (std::vector<std::string>{"one", "two", "good"}));
  }
}

TEST_P(native_tls_forged_server, warnings_are_overlooked_but_not_without_end) {
  for (const int version : test::tls_versions) {
    seen_.clear();
    raw_client peer = forging(version);
    const auto warning = [&] { return peer.tls().forge(alert_type, "\x01\x5A"); }; // user_canceled
    peer.send_raw(in_order({times(3, warning), forged_text(peer, "good")}));
    EXPECT_TRUE(pump([&] { return seen_.size() == 1; }));
    peer.send_raw(in_order({times(2000, warning), forged_text(peer, "never")}));
    expect_end(peer, error::tls_record);
    EXPECT_EQ(seen_, std::vector<std::string>{"good"});
  }
}

TEST_P(native_tls_forged, what_has_no_place_behind_the_handshake_ends_the_connection) {
  collect();
  test::counted_memory& memory = count_memory();
  serve_tls();
  if (!on_.is_open()) {
    return;
  }
  struct row {
    int version;
    unsigned type;
    std::string content;
  };
  const auto message = [](char type, std::string_view body) {
    return std::string{type, '\0', '\0', static_cast<char>(body.size())}.append(body);
  };
  const row rows[] = {
      {0x0303, alert_type, "\x02\x28"},                                // fatal
      {0x0303, alert_type, "\x01"},                                    // half of one
      {0x0303, alert_type, "\x03\x28"},                                // of no level
      {0x0303, handshake_type, message(20, "finished....")},           // Finished
      {0x0303, handshake_type, message(16, "\x20key")},                // ClientKeyExchange
      {0x0303, handshake_type, message(11, std::string("\0\0\0", 3))}, // Certificate
      {0x0303, change_cipher_spec_type, "\x01"},                       //
      {0x0303, 24, "heartbeat"},                             // RFC 6520, gone from OpenSSL
      {0x0304, alert_type, "\x02\x28"},                      //
      {0x0304, alert_type, "\x01\x64\x01\x64"},              // two in one
      {0x0304, handshake_type, message(1, "\x03\x03")},      // ClientHello
      {0x0304, handshake_type, message(4, "ticket")},        // a server's
      {0x0304, handshake_type, message(20, "finished....")}, //
      {0x0304, handshake_type,
       message(11, std::string("\0\0\0\0", 4))},                     // Certificate, not asked for
      {0x0304, handshake_type, message(24, "\x02")},                 // KeyUpdate of no kind
      {0x0304, handshake_type, message(24, std::string("\0\0", 2))}, // KeyUpdate, too long
      {0x0304, handshake_type, "\x18\xFF\xFF\xFF"},                  // KeyUpdate of 16 MiB
      {0x0304, handshake_type, ""},                                  // RFC 8446 section 5.4
      {0x0304, change_cipher_spec_type, "\x01"},                     //
      {0x0304, 24, "heartbeat"},                                     //
      {0x0304, 0, ""},                                               // padding and nothing else
  };
  for (const row& at : rows) {
    SCOPED_TRACE(testing::Message() << at.version << " row " << (&at - rows));
    seen_.clear();
    raw_client peer = forging(at.version);
    peer.send_raw(in_order({forged_text(peer, "good"), peer.tls().forge(at.type, at.content),
                            forged_text(peer, "never")}));
    expect_end(peer, error::tls_record);
    EXPECT_EQ(seen_, std::vector<std::string>{"good"});
  }
  EXPECT_LT(memory.peak_bytes(), 8u << 20);
}

// Makes the kernel buffer little on both ends of a connection inside this process: megabytes of key
// updates of 27 bytes take a sanitizer minutes.
void buffer_little(int fd) {
  sockaddr_storage near{};
  socklen_t near_bytes = sizeof near;
  ASSERT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&near), &near_bytes), 0);
  bool other_end_found = false;
  for (int other = 0; other < 1024; ++other) {
    sockaddr_storage far{};
    socklen_t far_bytes = sizeof far;
    const bool is_other_end =
        ::getpeername(other, reinterpret_cast<sockaddr*>(&far), &far_bytes) == 0 &&
        far_bytes == near_bytes && std::memcmp(&far, &near, near_bytes) == 0;
    if (is_other_end || other == fd) {
      const int room_bytes = 4096;
      ::setsockopt(other, SOL_SOCKET, SO_SNDBUF, &room_bytes, sizeof room_bytes);
      ::setsockopt(other, SOL_SOCKET, SO_RCVBUF, &room_bytes, sizeof room_bytes);
      other_end_found = other_end_found || is_other_end;
    }
  }
  EXPECT_TRUE(other_end_found);
}

// `one` is what asks for an answer, `text` a message "and on".
void native_tls_forged::flood_that_asks_for_answers(raw_client& peer,
                                                    const std::function<std::string()>& one,
                                                    const std::function<std::string()>& text,
                                                    test::counted_memory& memory) {
  buffer_little(peer.fd());
  std::string flood; // each asks for an answer, which the peer does not take
  std::size_t sent_bytes = 0;
  std::size_t turns_without_room = 0;
  EXPECT_TRUE(pump([&] {
    while (flood.size() < 4096) {
      flood += one();
    }
    const bytes piece = to_bytes(flood);
    const ssize_t sent = ::send(peer.fd(), piece.data(), piece.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    turns_without_room = sent > 0 ? 0 : turns_without_room + 1;
    if (sent > 0) {
      sent_bytes += static_cast<std::size_t>(sent);
      flood.erase(0, static_cast<std::size_t>(sent));
    }
    return turns_without_room == 100 || sent_bytes > (64u << 20) || !handler_.endings.empty();
  }));
  EXPECT_EQ(turns_without_room, 100u) << "reading has stopped";
  EXPECT_TRUE(handler_.endings.empty());
  EXPECT_LT(memory.live_bytes(), 4u << 20);
  // The peer reads: all goes on.
  bool answered = false;
  handler_.slice = [&](connection&, const view&) { answered = true; };
  flood += text();
  EXPECT_TRUE(pump([&] {
    const ssize_t sent = ::send(peer.fd(), flood.data(), flood.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    flood.erase(0, sent > 0 ? static_cast<std::size_t>(sent) : 0);
    char room[65536];
    while (::recv(peer.fd(), room, sizeof room, MSG_DONTWAIT) > 0) {
    }
    return answered;
  }));
}

TEST_P(native_tls_forged, a_flood_of_key_updates_of_a_peer_that_never_reads_is_bounded) {
  connection_settings settings;
  settings.max_send_queue_bytes = 16384;
  test::counted_memory& memory = count_memory();
  serve_tls(settings);
  if (!on_.is_open()) {
    return;
  }
  raw_client peer = upgraded(0x0304, 4096); // the kernel buffers little for it
  flood_that_asks_for_answers(
      peer, [&] { return peer.tls().key_update(true); },
      [&] { return sealed_text(peer, "and on"); }, memory);
}

TEST_P(native_tls_forged, a_flood_of_renegotiations_of_a_peer_that_never_reads_is_bounded) {
  connection_settings settings;
  settings.max_send_queue_bytes = 16384;
  test::counted_memory& memory = count_memory();
  serve_tls(settings);
  if (!on_.is_open()) {
    return;
  }
  raw_client peer = forging(0x0303, 4096);
  const std::string client_hello("\x01\x00\x00\x02\x03\x03", 6);
  flood_that_asks_for_answers(
      peer, [&] { return peer.tls().forge(handshake_type, client_hello); },
      [&] { return forged_text(peer, "and on"); }, memory);
}

// A server of OpenSSL sends HelloRequest and then ends when it is refused: this one goes on.
TEST_P(native_tls_forged, a_client_refuses_to_renegotiate_and_goes_on) {
  open_loop();
  if (!on_.is_open()) {
    return;
  }
  scripted_peer peer([](scripted_peer& self) {
    test::peer_connection to = self.accept_plain();
    to.start_tls({.identity = tls_test_identity(), .highest_version = 0x0303, .forges = true});
    to.handshake();
    test::tls_peer_end& tls = *to.tls();
    to.send_raw(
        in_order({tls.forge(application_data_type, test::make_frame(0x1, "before")),
                  times(50, [&] { return tls.forge(handshake_type, std::string(4, '\0')); }),
                  tls.forge(application_data_type,
                            test::make_frame(0x1, "behind") + test::make_close(1000))}));
    while (!to.read_raw().empty()) {
    }
  });
  std::vector<std::string> seen;
  client_.message = [&](connection&, const view& v) { seen.push_back(text_of(v)); };
  connect_settings to;
  to.host = "127.0.0.1";
  to.port = peer.port();
  to.connection.take = delivery::messages;
  to.connection.tls = test::client_tls();
  to.connection.close_timeout = std::chrono::milliseconds{100};
  connection* made = nullptr;
  ASSERT_EQ(on_.connect(to, client_, made), error::none);
  EXPECT_TRUE(pump([&] { return client_.endings.size() == 1; }));
  EXPECT_EQ(seen, (std::vector<std::string>{"before", "behind"}));
  EXPECT_EQ(client_.endings[0].status, 1000u);
  EXPECT_EQ(stats().tls_handshakes, 1u);
}

SLUICE_ON_BOTH_BACKENDS(native_tls_forged);
SLUICE_ON_BOTH_BACKENDS(native_tls_forged_server);

} // namespace
} // namespace sluice
