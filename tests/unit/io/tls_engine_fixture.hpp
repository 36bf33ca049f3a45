#pragma once

#include "io/tls_engine.hpp"
#include "support/slices.hpp"
#include "support/test_ca.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace sluice::test {

using io::tls_context;
using io::tls_context_ref;
using io::tls_engine;
using io::tls_peer;
using io::tls_status;

inline const test_ca& authority() {
  static const test_ca made;
  return made;
}

// A client and a server engine with the bytes between them in the test's hands.
struct engine_pair {
  test::heap_buffer_owner heap;
  tls_context_ref client_context;
  tls_context_ref server_context;
  memory::unique<tls_engine> client;
  memory::unique<tls_engine> server;
  std::size_t piece_bytes = SIZE_MAX; // how ciphertext is cut into slices
  std::uint64_t carried_bytes = 0;

  void make(const test_identity& identity, const tls_peer& peer, tls_settings client_settings,
            tls_settings server_settings) {
    server_settings.certificate_pem = bytes_of(identity.certificate);
    server_settings.private_key_pem = bytes_of(identity.key);
    ASSERT_EQ(tls_context::make_server(server_settings, server_context), error::none);
    ASSERT_EQ(tls_context::make_client(client_settings, client_context), error::none);
    engines(peer);
  }
  void make(const test_identity& identity, const tls_peer& peer = {.host = "localhost"}) {
    tls_settings client_settings;
    client_settings.ca_pem = bytes_of(authority().root());
    make(identity, peer, client_settings, {});
  }
  void engines(const tls_peer& peer) {
    ASSERT_EQ(tls_engine::make_client(client_context, peer, client), error::none);
    ASSERT_EQ(tls_engine::make_server(server_context, server), error::none);
  }

  bool carry(tls_engine& from, tls_engine& to) {
    memory::growable<std::byte>& out = from.output();
    std::span<const std::byte> left(out.data(), out.size());
    const bool any = !left.empty();
    carried_bytes += left.size();
    while (!left.empty()) {
      const std::size_t count = std::min(left.size(), piece_bytes);
      EXPECT_TRUE(heap.push(to.cipher_in(), left.first(count)));
      left = left.subspan(count);
    }
    out.clear();
    return any;
  }

  // Runs both handshakes until neither moves; true if both are done.
  bool shake() {
    tls_status at_client = tls_status::need_input;
    tls_status at_server = tls_status::need_input;
    bool moved = true;
    while (moved) {
      at_client = client->handshake();
      moved = carry(*client, *server);
      at_server = server->handshake();
      moved = carry(*server, *client) || moved;
    }
    return at_client == tls_status::done && at_server == tls_status::done;
  }

  ~engine_pair() {
    client.reset();
    server.reset();
  }
};

inline std::string read_all(tls_engine& from, tls_status& last) {
  std::string got;
  std::byte room[4096];
  for (;;) {
    std::size_t count = 0;
    last = from.read(room, count);
    if (last != tls_status::done) {
      return got;
    }
    got.append(reinterpret_cast<const char*>(room), count);
  }
}

} // namespace sluice::test
