// A peer that does to TLS records what it should not, and what it seldom does.

#include "tls_fixture.hpp"
#include "websocket_fixture.hpp"

#include <random>

namespace sluice::test {
namespace {

using tls_hostile = backend_test;

// A server behind the upgrade over TLS, and what the client receives from it.
class secure_socket {
public:
  explicit secure_socket(std::uint16_t port) : client_(port) {
    EXPECT_EQ(client_.exchange(), 0u);
    handle_ = WinHttpWebSocketCompleteUpgrade(client_.request, 0);
    EXPECT_NE(handle_.get(), nullptr);
  }
  [[nodiscard]] HINTERNET handle() const { return handle_; }

private:
  secure_client client_;
  unique_handle handle_;
};

template <typename Script> auto after_upgrade(Script script, int version = 0) {
  return [=](scripted_peer& on) {
    peer_connection to = on.accept_plain();
    to.start_tls({.identity = tls_test_identity(), .highest_version = version});
    to.handshake();
    script(to);
  };
}

void read_to_the_end(peer_connection& from) {
  try {
    while (!from.read_raw().empty()) {
    }
  } catch (const peer_failure&) {
  }
}

const received lost{ERROR_WINHTTP_CONNECTION_ERROR, {}, {}};

TEST_F(tls_hostile, RCV_22_a_changed_byte_in_a_record_ends_the_link_behind_what_came_before) {
  for (const int version : {0x0303, 0x0304}) {
    for (const std::size_t at : {5u, 9u, 20u, 29u}) {
      SCOPED_TRACE(testing::Message() << version << " byte " << at);
      scripted_peer peer(after_upgrade(
          [=](peer_connection& to) {
            to.send(make_frame(text_opcode, "good"));
            std::string bad = to.tls()->seal(make_frame(text_opcode, "bad and long"));
            bad[at] = static_cast<char>(bad[at] ^ 0x10);
            to.send_raw(bad);
            read_to_the_end(to);
          },
          version));
      const secure_socket socket(peer.port());
      EXPECT_EQ(receive(socket.handle()), (received{0, utf8_message, "good"}));
      EXPECT_EQ(receive(socket.handle()), lost);
      EXPECT_EQ(receive(socket.handle()), lost); // and stays so
      EXPECT_EQ(send(socket.handle(), binary_message, "x"), DWORD{ERROR_WINHTTP_CONNECTION_ERROR});
    }
  }
}

TEST_F(tls_hostile, records_that_break_the_format_end_the_link) {
  const std::string garbage[] = {
      std::string("\x17\x03\x03\x48\x01", 5) + std::string(18433, 'x'), // longer than any record
      std::string("\x17\x03\x03\x00\x01x", 6),                          // too short to be sealed
      std::string("\x63\x03\x03\x00\x02xx", 7),                         // a type that is none
      std::string("\x15\x03\x03\x00\x02\x02\x28", 7),                   // an alert in plain text
      "GET / HTTP/1.1\r\n\r\n",
  };
  for (const std::string& bytes : garbage) {
    scripted_peer peer(after_upgrade([&](peer_connection& to) {
      to.send_raw(bytes);
      read_to_the_end(to);
    }));
    const secure_socket socket(peer.port());
    EXPECT_EQ(receive(socket.handle()), lost);
  }
}

TEST_F(tls_hostile, TLS_14_an_end_without_close_notify_is_a_lost_connection) {
  for (const bool in_a_record : {false, true}) {
    scripted_peer peer(after_upgrade([=](peer_connection& to) {
      const std::string sealed = to.tls()->seal(make_frame(text_opcode, "never seen"));
      if (in_a_record) {
        to.send_raw(std::string_view(sealed).substr(0, sealed.size() - 1));
      }
      to.truncate();
      read_to_the_end(to);
    }));
    const secure_socket socket(peer.port());
    EXPECT_EQ(receive(socket.handle()), lost);
  }
}

TEST_F(tls_hostile, data_behind_close_notify_is_never_delivered) {
  scripted_peer peer(after_upgrade([](peer_connection& to) {
    to.send(make_frame(text_opcode, "last"));
    to.send_raw(to.tls()->close_notify() + "\x17\x03\x03\x20" + std::string(64, 'x'));
    to.send_raw(make_frame(text_opcode, "ghost"));
    read_to_the_end(to);
  }));
  const secure_socket socket(peer.port());
  EXPECT_EQ(receive(socket.handle()), (received{0, utf8_message, "last"}));
  EXPECT_EQ(receive(socket.handle()), lost);
}

TEST_F(tls_hostile, what_comes_behind_a_flood_of_records_without_data_is_received) {
  scripted_peer peer(after_upgrade([](peer_connection& to) {
    std::string flood;
    for (int i = 0; i < 2000; ++i) {
      flood += to.tls()->key_update(false);
    }
    to.send_raw(flood + to.tls()->seal(make_frame(text_opcode, "and on") + make_close(1000)));
    read_to_the_end(to);
  }));
  const secure_socket socket(peer.port());
  EXPECT_EQ(receive(socket.handle()), (received{0, utf8_message, "and on"}));
  EXPECT_EQ(close(socket.handle()), 0u);
}

TEST_F(tls_hostile, CLO_06_an_endless_flood_of_records_without_data_does_not_hold_close) {
  scripted_peer peer(after_upgrade([](peer_connection& to) {
    try {
      for (int rounds = 0; rounds < 10000; ++rounds) { // minutes of work for the client
        std::string flood;
        for (int i = 0; i < 1000; ++i) {
          flood += to.tls()->key_update(false);
        }
        to.send_raw(flood);
      }
      ADD_FAILURE() << "the client has read all of it";
    } catch (const peer_failure&) { // the client has gone
    }
  }));
  const secure_socket socket(peer.port());
  DWORD milliseconds = 100;
  ASSERT_TRUE(WinHttpSetOption(socket.handle(), WINHTTP_OPTION_WEB_SOCKET_CLOSE_TIMEOUT,
                               &milliseconds, sizeof milliseconds));
  EXPECT_EQ(close(socket.handle()), DWORD{ERROR_WINHTTP_TIMEOUT});
}

TEST_F(tls_hostile, key_updates_and_late_tickets_at_any_point) {
  scripted_peer peer(after_upgrade([](peer_connection& to) {
    std::mt19937 random(7);
    for (unsigned i = 0; i < 200; ++i) {
      to.send_raw(i % 3 == 0 ? to.tls()->key_update(i % 2 == 0) : to.tls()->late_ticket());
      const std::string wire = make_frame(binary_opcode, pattern_text(random() % 3000));
      const std::size_t cut = random() % wire.size();
      to.send(std::string_view(wire).substr(0, cut));
      to.send_raw(to.tls()->key_update(true)); // in the middle of a frame
      to.send(std::string_view(wire).substr(cut));
      const client_frame echoed = to.read_frame(); // under the keys that the client changed to
      EXPECT_TRUE(make_frame(binary_opcode, echoed.payload) == wire);
    }
    to.send(make_close(1000));
    read_to_the_end(to);
  }));
  const secure_socket socket(peer.port());
  for (unsigned i = 0; i < 200; ++i) {
    const received got = receive_message(socket.handle());
    ASSERT_EQ(got.code, 0u) << i;
    ASSERT_EQ(send(socket.handle(), binary_message, got.bytes), 0u);
  }
  EXPECT_EQ(receive(socket.handle()).type, close_type);
}

template <typename Script> auto forging(int version, Script script) {
  return [=](scripted_peer& on) {
    peer_connection to = on.accept_plain();
    to.start_tls({.identity = tls_test_identity(),
                  .lowest_version = version,
                  .highest_version = version,
                  .tickets = 0,
                  .forges = true});
    to.handshake();
    script(to);
  };
}

// RFC 8446 appendix B.1
constexpr unsigned alert_type = 21;
constexpr unsigned handshake_type = 22;
constexpr unsigned application_data_type = 23;

std::string forged(peer_connection& by, unsigned type, std::string_view content,
                   std::size_t times = 1) {
  std::string made;
  for (; times > 0; --times) {
    made += by.tls()->forge(type, content);
  }
  return made;
}

const std::string hello_request(4, '\0'); // RFC 5246 section 7.4.1.1

TEST_F(tls_hostile, a_server_that_wants_to_renegotiate_is_refused_and_the_link_goes_on) {
  scripted_peer peer(forging(0x0303, [](peer_connection& to) {
    to.send_raw(in_order({forged(to, application_data_type, make_frame(text_opcode, "before")),
                          forged(to, handshake_type, hello_request, 50),
                          forged(to, application_data_type, make_frame(text_opcode, "behind"))}));
    constexpr std::size_t warning_bytes = 5 + 8 + 2 + 16; // sealed with AES-GCM
    std::string answers;
    while (answers.size() < 50 * warning_bytes) {
      answers += to.read_raw();
    }
    EXPECT_EQ(answers.size(), 50 * warning_bytes);
    EXPECT_EQ(answers[0], static_cast<char>(alert_type));
    to.send_raw(forged(to, application_data_type, make_frame(text_opcode, "and on")));
    read_to_the_end(to);
  }));
  const secure_socket socket(peer.port());
  for (const char* const text : {"before", "behind", "and on"}) {
    EXPECT_EQ(receive(socket.handle()), (received{0, utf8_message, text}));
  }
}

TEST_F(tls_hostile, a_flood_of_hello_requests_that_takes_no_answers_ends_the_link) {
  scripted_peer::settings little;
  little.receive_buffer_bytes = 4096;
  scripted_peer peer(
      forging(0x0303,
              [](peer_connection& to) {
                to.send_raw(forged(to, application_data_type, make_frame(text_opcode, "before")));
                std::size_t sent_bytes = 0;
                try {
                  for (; sent_bytes < (256u << 20); sent_bytes += 33 * 1000) {
                    to.send_raw(forged(to, handshake_type, hello_request, 1000));
                  }
                } catch (const peer_failure&) { // the client has gone
                }
                EXPECT_LT(sent_bytes, 256u << 20);
              }),
      little);
  const secure_socket socket(peer.port());
  EXPECT_EQ(receive(socket.handle()), (received{0, utf8_message, "before"}));
  EXPECT_EQ(receive(socket.handle()), lost);
  EXPECT_EQ(send(socket.handle(), binary_message, "x"), DWORD{ERROR_WINHTTP_CONNECTION_ERROR});
}

TEST_F(tls_hostile, empty_records_and_warnings_are_overlooked_but_not_without_end) {
  for (const int version : {0x0303, 0x0304}) {
    for (const bool empty : {true, false}) {
      SCOPED_TRACE(testing::Message() << version << (empty ? " empty" : " warning"));
      scripted_peer peer(forging(version, [=](peer_connection& to) {
        const unsigned type = empty ? application_data_type : alert_type;
        const std::string content = empty ? "" : "\x01\x5A"; // user_canceled
        to.send_raw(
            in_order({forged(to, type, content, 3),
                      forged(to, application_data_type, make_frame(text_opcode, "good")),
                      forged(to, type, content, 2000),
                      forged(to, application_data_type, make_frame(text_opcode, "never"))}));
        read_to_the_end(to);
      }));
      const secure_socket socket(peer.port());
      EXPECT_EQ(receive(socket.handle()), (received{0, utf8_message, "good"}));
      EXPECT_EQ(receive(socket.handle()), lost);
    }
  }
}

TEST_F(tls_hostile, records_of_one_byte_and_none) {
  const std::string payload = pattern_text(5000);
  scripted_peer peer(after_upgrade([&](peer_connection& to) {
    to.send_raw(to.tls()->seal(make_frame(binary_opcode, payload), 1));
    for (const char byte : to.tls()->seal(make_frame(binary_opcode, "split"), 3)) {
      to.send_raw({&byte, 1});
    }
    to.send(make_close(1000));
    read_to_the_end(to);
  }));
  const secure_socket socket(peer.port());
  const received got = receive_message(socket.handle());
  EXPECT_TRUE(got.bytes == payload);
  EXPECT_EQ(receive_message(socket.handle()), (received{0, binary_message, "split"}));
  EXPECT_EQ(receive(socket.handle()).type, close_type);
}

TEST_F(tls_hostile, many_records_in_one_segment_are_all_delivered) {
  constexpr unsigned count = 300;
  scripted_peer peer(after_upgrade([](peer_connection& to) {
    std::string wire;
    for (unsigned i = 0; i < count; ++i) {
      wire += to.tls()->seal(make_frame(binary_opcode, pattern_text(i)));
    }
    to.send_raw(wire); // and nothing more: nobody may wait for another segment
    read_to_the_end(to);
  }));
  const secure_socket socket(peer.port());
  for (unsigned i = 0; i < count; ++i) {
    ASSERT_TRUE(receive_message(socket.handle()).bytes == pattern_text(i)) << i;
  }
}

TEST_F(tls_hostile, large_messages_both_ways) {
  const std::string payload = pattern_text(3'000'001);
  scripted_peer peer(after_upgrade([&](peer_connection& to) {
    const client_frame frame = to.read_frame();
    EXPECT_TRUE(frame.payload == payload);
    to.send(make_frame(binary_opcode, frame.payload));
    read_to_the_end(to);
  }));
  const secure_socket socket(peer.port());
  ASSERT_EQ(send(socket.handle(), binary_message, payload), 0u);
  EXPECT_TRUE(receive_message(socket.handle(), 100'000).bytes == payload);
}

TEST_F(tls_hostile, a_closed_handle_says_close_notify) {
  scripted_peer peer(after_upgrade([](peer_connection& to) {
    while (!to.read_some().empty()) {
    }
    EXPECT_TRUE(to.tls()->saw_close_notify());
  }));
  const secure_socket socket(peer.port());
}

} // namespace
} // namespace sluice::test
