#include "native_fixture.hpp"
#include "support/temporary_file.hpp"

#include <sys/socket.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

// What TLS adds to the native API: identities, trust, resumption, deadlines, the end of the stream.

namespace sluice {
namespace {

using test::bytes;
using test::bytes_of;
using test::client_tls;
using test::joined;
using test::server_tls;
using test::test_ca;
using test::test_certificate;
using test::test_identity;
using test::text_of;
using test::tls_client_settings;
using test::tls_test_authority;
using test::tls_test_identity;
using test::to_bytes;

namespace fault = certificate_fault;

tls_config server_with(const test_identity& identity, tls_settings settings = {}) {
  settings.certificate_pem = bytes_of(identity.certificate);
  settings.private_key_pem = bytes_of(identity.key);
  tls_config made;
  EXPECT_EQ(tls_config::make_server(settings, made), error::none);
  return made;
}

class native_tls : public test::native_test {
protected:
  void serve_tls(connection_settings settings = {}) {
    if (!settings.tls) {
      settings.tls = server_tls();
    }
    serve(settings);
  }

  [[nodiscard]] raw_client secure_peer(const tls_client_settings& how = {
                                           .authority = tls_test_authority().root()}) {
    raw_client made(*this);
    made.connect();
    made.start_tls(how);
    return made;
  }
  void upgrade(raw_client& peer) {
    peer.send(raw_client::request());
    ASSERT_NE(peer.read_head().find("HTTP/1.1 101 "), std::string::npos);
  }

  /// Connects as a client and waits for the end or the beginning.
  connection* connect(const tls_config& tls, const char* name = nullptr) {
    connect_settings to;
    to.host = "127.0.0.1";
    to.port = listener_->port();
    to.tls_name = name;
    to.connection.tls = tls;
    connection* made = nullptr;
    const std::size_t opens = client_.opens;
    const std::size_t endings = client_.endings.size();
    EXPECT_EQ(on_.connect(to, client_, made), error::none);
    EXPECT_TRUE(pump([&] { return client_.opens > opens || client_.endings.size() > endings; }));
    return client_.opens > opens ? made : nullptr;
  }

  [[nodiscard]] loop_stats stats() const {
    loop_stats now;
    on_.stats(now);
    return now;
  }
};

/// The same with the server up from the beginning.
class native_tls_server : public native_tls {
protected:
  void SetUp() override { serve_tls(); }
};

TEST_P(native_tls_server, both_ends_say_what_they_agreed_on) {
  connection* const made = connect(client_tls());
  ASSERT_NE(made, nullptr);
  EXPECT_TRUE(pump([&] { return handler_.last != nullptr; }));
  for (const connection* at : {made, handler_.last}) {
    tls_info info;
    ASSERT_TRUE(at->tls(info));
    EXPECT_TRUE(info.established);
    EXPECT_FALSE(info.resumed);
    EXPECT_EQ(info.version, tls_version::tls1_3);
    EXPECT_GE(info.cipher_bits, 128);
    EXPECT_NE(std::string(info.cipher).find("TLS_"), std::string::npos);
    EXPECT_EQ(info.certificate_faults, 0u);
  }
  std::byte der[4096];
  EXPECT_GT(made->peer_certificate(der), 100u);
  EXPECT_EQ(der[0], std::byte{0x30}); // a SEQUENCE
  EXPECT_EQ(handler_.last->peer_certificate(der), 0u);
  std::byte small[1] = {std::byte{0x55}};
  EXPECT_GT(made->peer_certificate(small), 100u);
  EXPECT_EQ(small[0], std::byte{0x55});
  EXPECT_EQ(stats().tls_handshakes, 2u);
}

TEST_P(native_tls_server, an_answer_of_an_older_size_is_filled_no_further) {
  connection* const made = connect(client_tls());
  ASSERT_NE(made, nullptr);
  tls_info info;
  info.size_bytes = offsetof(tls_info, certificate_faults);
  info.certificate_faults = 77;
  ASSERT_TRUE(made->tls(info));
  EXPECT_TRUE(info.established);
  EXPECT_EQ(info.certificate_faults, 77u);
}

TEST_P(native_tls, settings_of_the_wrong_end_are_refused) {
  open_loop();
  if (!on_.is_open()) {
    return;
  }
  listen_settings listening;
  listening.connection.tls = client_tls();
  EXPECT_EQ(on_.listen(listening, handler_, listener_), error::invalid_argument);
  connect_settings to;
  to.host = "127.0.0.1";
  to.connection.tls = server_tls();
  connection* made = nullptr;
  EXPECT_EQ(on_.connect(to, client_, made), error::invalid_argument);
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
  connection_settings settings;
  settings.tls = client_tls();
  EXPECT_EQ(on_.adopt(ends[0], {}, settings, handler_, made), error::invalid_argument);
  ::close(ends[0]);
  ::close(ends[1]);
  to.connection.tls = client_tls();
  to.tls_name = "";
  EXPECT_EQ(on_.connect(to, client_, made), error::invalid_argument);

  tls_config none;
  EXPECT_EQ(tls_config::make_server({}, none), error::tls_settings);
  tls_settings upside_down;
  upside_down.lowest = tls_version::tls1_3;
  upside_down.highest = tls_version::tls1_2;
  EXPECT_EQ(tls_config::make_client(upside_down, none), error::tls_settings);
  EXPECT_FALSE(none);
}

TEST_P(native_tls, certificates_come_from_files_too) {
  const test::temporary_file certificate(tls_test_identity().certificate);
  const test::temporary_file key(tls_test_identity().key);
  const test::temporary_file authority(tls_test_authority().root());
  tls_settings ours;
  ours.certificate_file = certificate.name().c_str();
  ours.private_key_file = key.name().c_str();
  connection_settings settings;
  ASSERT_EQ(tls_config::make_server(ours, settings.tls), error::none);
  serve(settings);
  if (!on_.is_open()) {
    return;
  }
  tls_settings theirs;
  theirs.ca_file = authority.name().c_str();
  tls_config client;
  ASSERT_EQ(tls_config::make_client(theirs, client), error::none);
  EXPECT_NE(connect(client), nullptr);
  theirs.ca_file = key.name().c_str(); // no certificate in it
  EXPECT_EQ(tls_config::make_client(theirs, client), error::tls_settings);
}

TEST_P(native_tls_server, a_client_refuses_what_a_browser_refuses) {
  struct row {
    const char* what;
    test_identity identity;
    const char* name;
    std::uint32_t faults;
  };
  const test_ca& ca = tls_test_authority();
  const test_ca stranger;
  const row rows[] = {
      {"valid", ca.issue(), nullptr, 0},
      {"valid name", ca.issue(), "localhost", 0},
      {"wrong name", ca.issue(), "example.org", fault::wrong_name},
      {"expired", ca.issue({.valid_from_days = -20, .valid_to_days = -10}), nullptr,
       fault::wrong_date},
      {"not yet valid", ca.issue({.valid_from_days = 10, .valid_to_days = 20}), nullptr,
       fault::wrong_date},
      {"wrong usage", ca.issue({.extended_usage = "clientAuth"}), nullptr, fault::wrong_usage},
      {"self-signed", ca.issue({.self_signed = true}), nullptr, fault::unknown_authority},
      {"unknown authority", stranger.issue(), nullptr, fault::unknown_authority},
      {"missing intermediate", ca.issue_without_chain(), nullptr, fault::unknown_authority},
  };
  std::uint32_t seen = 0;
  client_.closed = [&](connection& c, const close_event&) {
    tls_info info;
    EXPECT_TRUE(c.tls(info));
    EXPECT_FALSE(info.established);
    seen = info.certificate_faults;
  };
  for (const row& at : rows) {
    SCOPED_TRACE(at.what);
    ASSERT_EQ(listener_->replace_tls(server_with(at.identity)), error::none);
    connection* const made = connect(client_tls(), at.name);
    EXPECT_EQ(made != nullptr, at.faults == 0);
    if (at.faults != 0) {
      EXPECT_EQ(client_.endings.back().cause, error::tls_certificate);
      EXPECT_EQ(seen, at.faults);
      tls_settings lenient;
      lenient.ignored_faults = at.faults;
      EXPECT_NE(connect(client_tls(lenient), at.name), nullptr);
    }
  }
  client_.closed = nullptr;
}

TEST_P(native_tls, revoked_certificates_are_refused_when_lists_are_to_be_looked_at) {
  const test_identity revoked = tls_test_authority().issue();
  const test::temporary_file list(tls_test_authority().revoke(revoked));
  connection_settings settings;
  settings.tls = server_with(revoked);
  serve(settings);
  if (!on_.is_open()) {
    return;
  }
  tls_settings checking;
  checking.revocation_file = list.name().c_str();
  EXPECT_NE(connect(client_tls(checking)), nullptr);
  checking.check_revocation = true;
  EXPECT_EQ(connect(client_tls(checking)), nullptr);
  EXPECT_EQ(client_.endings.back().cause, error::tls_certificate);
  ASSERT_EQ(listener_->replace_tls(server_tls()), error::none);
  EXPECT_NE(connect(client_tls(checking)), nullptr);
}

TEST_P(native_tls_server, client_certificates_are_ignored_requested_or_required) {
  const test_identity good = tls_test_authority().issue({.extended_usage = "clientAuth"});
  const test_identity wrong_usage = tls_test_authority().issue();
  const test_ca stranger;
  const test_identity strange = stranger.issue({.extended_usage = "clientAuth"});
  const test_identity too_long = tls_test_authority().issue_below(300); // over 100 KiB
  struct row {
    client_certificates wanted;
    const test_identity* shown;
    bool let_in;
    bool seen;
  };
  const row rows[] = {
      {client_certificates::ignored, nullptr, true, false},
      {client_certificates::ignored, &good, true, false},
      {client_certificates::requested, nullptr, true, false},
      {client_certificates::requested, &good, true, true},
      {client_certificates::requested, &strange, false, false},
      {client_certificates::required, nullptr, false, false},
      {client_certificates::required, &good, true, true},
      {client_certificates::required, &strange, false, false},
      {client_certificates::required, &wrong_usage, false, false},
      {client_certificates::required, &too_long, false, false},
  };
  bool seen = false;
  handler_.upgrade = [&](connection& c, const upgrade_request&) {
    std::byte der[4096];
    seen = c.peer_certificate(der) != 0;
    return upgrade_decision::accept();
  };
  for (const tls_version version : {tls_version::tls1_2, tls_version::tls1_3}) {
    for (const row& at : rows) {
      SCOPED_TRACE(testing::Message() << static_cast<int>(version) << ' ' << (&at - rows));
      tls_settings ours;
      ours.ca_pem = bytes_of(tls_test_authority().root());
      ours.clients = at.wanted;
      ours.highest = version;
      ASSERT_EQ(listener_->replace_tls(server_tls(ours)), error::none);
      tls_settings theirs;
      if (at.shown != nullptr) {
        theirs.certificate_pem = bytes_of(at.shown->certificate);
        theirs.private_key_pem = bytes_of(at.shown->key);
      }
      seen = false;
      const std::uint64_t failed = stats().handshakes_failed;
      // A client of TLS 1.3 is done before the server looks at its certificate, and learns it from
      // the alert.
      EXPECT_EQ(connect(client_tls(theirs)) != nullptr, at.let_in);
      EXPECT_EQ(seen, at.seen);
      if (!at.let_in) {
        EXPECT_FALSE(client_.endings.back().opened);
        EXPECT_TRUE(client_.endings.back().cause == error::tls_handshake ||
                    client_.endings.back().cause == error::tls_record)
            << to_string(client_.endings.back().cause);
        EXPECT_TRUE(pump([&] { return stats().handshakes_failed == failed + 2; })); // both ends
      }
    }
  }
  EXPECT_TRUE(handler_.endings.empty()) << "nobody was let in who is gone";
}

TEST_P(native_tls, a_renewed_certificate_serves_new_connections_and_drops_none) {
  const test_ca renewed_by;
  std::vector<std::string> seen;
  handler_.message = [&](connection& c, const view& v) { (void)c.send(v.type(), v.bytes()); };
  connection_settings settings;
  settings.take = delivery::messages;
  serve_tls(settings);
  if (!on_.is_open()) {
    return;
  }
  raw_client before = secure_peer();
  upgrade(before);
  raw_client between = secure_peer(); // connected, not shaken hands yet
  EXPECT_TRUE(pump([&] { return stats().connections_accepted == 2; }));
  ASSERT_EQ(listener_->replace_tls(server_with(renewed_by.issue())), error::none);
  raw_client after = secure_peer({.authority = renewed_by.root()});
  upgrade(after);
  upgrade(between);
  raw_client stale = secure_peer(); // trusts the old authority only
  EXPECT_FALSE(stale.shake_hands());
  for (raw_client* at : {&before, &between, &after}) {
    at->send(make_.frame(opcode::text, true, "still here"));
    const auto echoed = at->read_frame();
    ASSERT_TRUE(echoed.has_value());
    EXPECT_EQ(echoed->payload, "still here");
  }
  EXPECT_EQ(listener_->replace_tls({}), error::invalid_argument);
  EXPECT_EQ(listener_->replace_tls(client_tls()), error::invalid_argument);
  EXPECT_TRUE(handler_.endings.empty());
}

TEST_P(native_tls_server, sessions_are_resumed_unless_an_end_does_not_want_it) {
  const auto resumed = [&](const tls_config& with) {
    connection* const made = connect(with);
    if (made == nullptr) {
      return false;
    }
    // TLS 1.3 tickets come behind the handshake; the answer to a ping comes after them.
    bool answered = false;
    client_.pong = [&](connection&, std::span<const std::byte>) { answered = true; };
    EXPECT_EQ(made->ping(), error::none);
    EXPECT_TRUE(pump([&] { return answered; }));
    client_.pong = nullptr;
    tls_info info;
    EXPECT_TRUE(made->tls(info));
    EXPECT_GT(made->peer_certificate({}), 100u); // that of the full handshake, without its chain
    const std::size_t ended = client_.endings.size();
    EXPECT_EQ(made->close(), error::none);
    EXPECT_TRUE(pump([&] { return client_.endings.size() > ended; }));
    return info.resumed;
  };
  for (const tls_version version : {tls_version::tls1_2, tls_version::tls1_3}) {
    tls_settings theirs;
    theirs.highest = version;
    const tls_config client = client_tls(theirs);
    EXPECT_FALSE(resumed(client));
    EXPECT_TRUE(resumed(client));
    EXPECT_TRUE(resumed(client));
    theirs.resume = false;
    const tls_config forgetful = client_tls(theirs);
    EXPECT_FALSE(resumed(forgetful));
    EXPECT_FALSE(resumed(forgetful));
  }
  EXPECT_EQ(stats().tls_resumed, 8u) << "four connections, both ends";
  tls_settings ours;
  ours.resume = false;
  ASSERT_EQ(listener_->replace_tls(server_tls(ours)), error::none);
  const tls_config client = client_tls();
  EXPECT_FALSE(resumed(client));
  EXPECT_FALSE(resumed(client));
}

TEST_P(native_tls, the_lowest_version_is_kept) {
  tls_settings ours;
  ours.lowest = tls_version::tls1_3;
  connection_settings settings;
  settings.tls = server_tls(ours);
  serve(settings);
  if (!on_.is_open()) {
    return;
  }
  tls_settings theirs;
  theirs.highest = tls_version::tls1_2;
  EXPECT_EQ(connect(client_tls(theirs)), nullptr);
  EXPECT_EQ(client_.endings.back().cause, error::tls_handshake);
  EXPECT_NE(connect(client_tls()), nullptr);
}

TEST_P(native_tls, a_silent_or_slow_handshake_runs_into_the_deadline) {
  connection_settings settings;
  settings.handshake_timeout = std::chrono::milliseconds{150};
  serve_tls(settings);
  if (!on_.is_open()) {
    return;
  }
  raw_client silent(*this);
  silent.connect();
  raw_client half = secure_peer();
  half.send_raw(half.tls().take_output());                        // nothing
  half.send_raw(std::string_view("\x16\x03\x01\x02\x00\x01", 6)); // the front of a ClientHello
  raw_client mute = secure_peer();
  EXPECT_TRUE(mute.shake_hands()); // and then no request
  EXPECT_TRUE(pump([&] { return stats().handshakes_failed == 3; }));
  EXPECT_EQ(stats().connections_open, 0u);
  EXPECT_TRUE(handler_.endings.empty()) << "the program has not seen them";
}

TEST_P(native_tls, a_request_over_tls_that_stalls_is_answered_408) {
  connection_settings settings;
  settings.handshake_timeout = std::chrono::milliseconds{200};
  serve_tls(settings);
  if (!on_.is_open()) {
    return;
  }
  raw_client peer = secure_peer();
  peer.send("GET / HTTP/1.1\r\n");
  EXPECT_NE(peer.read_head().find(" 408 "), std::string::npos);
  EXPECT_TRUE(peer.at_end());
  EXPECT_TRUE(peer.tls().saw_close_notify());
}

TEST_P(native_tls_server, who_does_not_speak_tls_is_refused_and_so_is_who_does_where_none_is) {
  raw_client plain(*this);
  plain.connect();
  plain.send_raw(raw_client::request());
  std::string answer;
  while (plain.receive_raw(answer)) {
  }
  EXPECT_EQ(answer.find("HTTP"), std::string::npos);
  plain.close();
  EXPECT_TRUE(pump([&] { return stats().handshakes_failed == 1; }));

  listen_settings without;
  listener* unsafe = nullptr;
  ASSERT_EQ(on_.listen(without, handler_, unsafe), error::none);
  EXPECT_EQ(unsafe->replace_tls(server_tls()), error::invalid_state);
  listener_ = unsafe;
  EXPECT_EQ(connect(client_tls()), nullptr);
  EXPECT_EQ(client_.endings.back().cause, error::tls_handshake);
}

TEST_P(native_tls_server, an_end_needs_close_notify_to_be_the_peers_word) {
  for (const bool truncated : {false, true}) {
    raw_client peer = secure_peer();
    upgrade(peer);
    const std::size_t before = handler_.endings.size();
    if (truncated) {
      peer.truncate();
    } else {
      peer.finish_writing();
    }
    EXPECT_TRUE(pump([&] { return handler_.endings.size() > before; }));
    EXPECT_EQ(handler_.endings.back().cause,
              truncated ? error::connection_lost : error::end_of_stream);
    EXPECT_EQ(handler_.endings.back().status, 1006u);
  }
}

TEST_P(native_tls_server, a_closing_handshake_ends_with_close_notify) {
  raw_client peer = secure_peer();
  upgrade(peer);
  peer.send(make_.close(1000, "bye"));
  EXPECT_EQ(peer.read_close(), 1000u);
  EXPECT_TRUE(peer.at_end());
  EXPECT_TRUE(peer.tls().saw_close_notify());
  EXPECT_TRUE(pump([&] { return handler_.endings.size() == 1; }));
  EXPECT_TRUE(handler_.endings[0].clean);
}

TEST_P(native_tls, a_socket_is_adopted_with_the_ciphertext_that_was_read) {
  open_loop();
  if (!on_.is_open()) {
    return;
  }
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
  raw_client peer(*this);
  peer.take(ends[1]);
  peer.start_tls({.authority = tls_test_authority().root()});
  static_cast<void>(peer.tls().shake({}));
  const std::string hello = peer.tls().take_output();
  connection_settings settings;
  settings.tls = server_tls();
  connection* made = nullptr;
  ASSERT_EQ(on_.adopt(ends[0], std::as_bytes(std::span(hello).first(hello.size() - 7)), settings,
                      handler_, made),
            error::none);
  peer.send_raw(std::string_view(hello).substr(hello.size() - 7));
  upgrade(peer);
  EXPECT_TRUE(pump([&] { return handler_.opens == 1; }));
}

TEST_P(native_tls, keys_are_written_down_only_when_the_settings_ask_for_it) {
  const test::temporary_file log("");
  ::setenv("SSLKEYLOGFILE", log.name().c_str(), 1);
  serve_tls();
  if (!on_.is_open()) {
    ::unsetenv("SSLKEYLOGFILE");
    return;
  }
  const auto content = [&] {
    std::ostringstream text;
    text << std::ifstream(log.name()).rdbuf();
    return text.str();
  };
  EXPECT_NE(connect(client_tls()), nullptr);
  EXPECT_EQ(content(), "");
  tls_settings asking;
  asking.key_log = true;
  EXPECT_NE(connect(client_tls(asking)), nullptr);
  EXPECT_NE(content().find("CLIENT_TRAFFIC_SECRET_0 "), std::string::npos);
  ::unsetenv("SSLKEYLOGFILE");
}

TEST_P(native_tls_server, views_are_held_and_lent_as_without_tls) {
  std::vector<held_view> kept;
  handler_.slice = [&](connection&, const view& v) { kept.push_back(v.hold()); };
  {
    raw_client peer = secure_peer();
    upgrade(peer);
    peer.send(
        joined({make_.frame(opcode::text, true, "one"), make_.frame(opcode::text, true, "two"),
                make_.frame(opcode::text, true, "three")}));
    EXPECT_TRUE(pump([&] { return kept.size() == 3; }));
    EXPECT_GT(stats().lent_bytes, 0u);
    EXPECT_EQ(stats().payload_copied_bytes, 0u);
  }
  EXPECT_TRUE(pump([&] { return handler_.endings.size() == 1; }));
  EXPECT_EQ(kept[0].text(), "one");
  EXPECT_EQ(kept[1].text(), "two");
  EXPECT_EQ(kept[2].text(), "three");
  kept.clear();
  EXPECT_EQ(stats().lent_bytes, 0u);
}

TEST_P(native_tls, running_out_of_memory_ends_a_connection_and_no_other) {
  handler_.message = [](connection& c, const view& v) { (void)c.send(v.type(), v.bytes()); };
  test::counted_memory& memory = count_memory(); // before anything that is released through it
  connection_settings settings;
  settings.take = delivery::messages;
  serve_tls(settings);
  if (!on_.is_open()) {
    return;
  }
  bool survived = false;
  for (std::size_t allowed = 0; !survived && allowed < 100; ++allowed) {
    raw_client peer = secure_peer();
    const std::size_t failures = memory.failures();
    memory.allow(allowed);
    // Either it is not accepted, or the handshake fails somewhere, or the echo, or all is well.
    if (peer.shake_hands()) {
      peer.send(raw_client::request());
      if (peer.read_head().find(" 101 ") != std::string::npos) {
        peer.send(make_.frame(opcode::binary, true, test::pattern(20000)));
        const auto echoed = peer.read_frame();
        survived =
            echoed.has_value() && echoed->payload.size() == 20000 && memory.failures() == failures;
      }
    }
    memory.allow_all();
    peer.close();
    ASSERT_TRUE(pump([&] { return stats().connections_open == 0; })) << allowed;
  }
  EXPECT_TRUE(survived);
}

SLUICE_ON_BOTH_BACKENDS(native_tls);
SLUICE_ON_BOTH_BACKENDS(native_tls_server);

} // namespace
} // namespace sluice
