#pragma once

#include "websocket_fixture.hpp"

#include "winhttp/caretaker.hpp"

#include <chrono>
#include <string_view>

namespace sluice::test {

constexpr DWORD usual_read_ahead = 32768; // OPT-07

/// Rounds so often that nobody waits for them.
class websocket_care : public websocket_test {
protected:
  websocket_care() { winhttp::set_care_period(std::chrono::milliseconds(1)); }
  ~websocket_care() override { winhttp::set_care_period(winhttp::decision::care_period); }
};

inline pair_settings looked_after(DWORD read_ahead_bytes = usual_read_ahead,
                                  pair_settings how = {}) {
  how.read_ahead_bytes = read_ahead_bytes;
  return how;
}

/// Returns when the caretaker has visited every other socket at least once since.
inline void let_it_come_by() {
  socket_pair clock(looked_after());
  clock.object().set_keepalive(std::chrono::milliseconds(1));
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(clock.peer().read_frame().opcode, pong_opcode);
  }
}

inline void expect_pong(peer_connection& from, std::string_view payload) {
  const client_frame frame = from.read_frame();
  EXPECT_EQ(frame.opcode, pong_opcode);
  EXPECT_EQ(frame.payload, payload);
  EXPECT_TRUE(frame.masked);
}

} // namespace sluice::test
