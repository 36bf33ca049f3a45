#pragma once

#include "support/scripted_peer.hpp"
#include "support/winhttp_client.hpp"

#include <gtest/gtest.h>

#include <utility>

namespace sluice::test {

/// Synchronous handles of all four kinds. After the handshake the peer does what it is told to, by
/// default it waits for the end.
struct open_client {
  using script = void (*)(peer_connection&);

  explicit open_client(script then = [](peer_connection& to) { to.expect_eof(); })
      : peer([then](scripted_peer& on) {
          peer_connection to = on.accept();
          to.handshake();
          then(to);
        }),
        c(peer.port()) {
    EXPECT_TRUE(c.upgrade() && c.send() && c.receive());
    socket = WinHttpWebSocketCompleteUpgrade(c.request, 0);
    EXPECT_NE(socket.get(), nullptr);
  }

  scripted_peer peer;
  client c;
  unique_handle socket;
};

} // namespace sluice::test
