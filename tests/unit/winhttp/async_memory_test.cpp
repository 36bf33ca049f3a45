// Asynchronous sockets whose loop has no memory for a receive buffer.

#include "async_fixture.hpp"

#include "support/failing_memory.hpp"

#include <chrono>
#include <cstddef>
#include <string_view>

namespace sluice::test {
namespace {

class async_memory : public async_test {
protected:
  /// The loop of a client that begins with this has not one receive buffer.
  [[nodiscard]] recorder::action without_buffers() {
    return [this](const notice&) { memory.refuse_buffers(); };
  }
  /// Reads that failed have been made again so often that it was nobody's call.
  void wait_for_more_reads() {
    constexpr std::size_t refusals_of_several_reads = 20;
    const std::size_t enough = memory.refused() + refusals_of_several_reads;
    wait_until([&] { return memory.refused() >= enough; });
  }

  failing_memory memory;
  event upgraded; // what the server sends before may be read along with its response
};

// A keep-alive would look like an answer, but for its payload (CTL-06).
void expect_answer(peer_connection& peer, std::string_view payload) {
  const client_frame answer = peer.read_frame();
  EXPECT_EQ(answer.opcode, pong_opcode);
  EXPECT_EQ(answer.payload, payload);
}

TEST_F(async_memory, CTL_03_a_ping_is_answered_when_there_is_memory_again) {
  event answered;
  open_peer server([&](peer_connection& peer) {
    upgraded.wait();
    peer.send(make_frame(ping_opcode, "p"));
    expect_answer(peer, "p");
    answered.set();
    peer.expect_eof();
  });
  async_client client(server.port(), WINHTTP_CALLBACK_FLAG_ALL_NOTIFICATIONS, without_buffers());
  upgraded.set();
  wait_for_more_reads();
  memory.refuse_none();
  answered.wait();
  EXPECT_EQ(client.heard().all().size(), 0u) << "CTL-10";
}

TEST_F(async_memory, RCV_27_a_receive_without_a_buffer_fails_and_loses_nothing) {
  event answered;
  open_peer server([&](peer_connection& peer) {
    upgraded.wait();
    peer.send(make_frame(text_opcode, "kept") + make_frame(ping_opcode, "p"));
    expect_answer(peer, "p");
    answered.set();
    peer.expect_eof();
  });
  async_client client(server.port(), WINHTTP_CALLBACK_FLAG_ALL_NOTIFICATIONS, without_buffers());
  upgraded.set();
  landing<16> to;
  for (std::size_t failed = 1; failed <= 3; ++failed) {
    ASSERT_EQ(to.receive(client.socket()), ERROR_SUCCESS);
    client.heard().wait(WINHTTP_CALLBACK_STATUS_REQUEST_ERROR, failed);
    const notice refusal = client.heard().all().back();
    EXPECT_EQ(refusal.code, DWORD{ERROR_NOT_ENOUGH_MEMORY});
    EXPECT_EQ(refusal.call, DWORD_PTR{WINHTTP_WEB_SOCKET_RECEIVE_OPERATION});
  }
  memory.refuse_none();
  ASSERT_EQ(to.receive(client.socket()), ERROR_SUCCESS);
  client.heard().wait(WINHTTP_CALLBACK_STATUS_READ_COMPLETE);
  EXPECT_EQ(client.heard().all().back().bytes, 4u);
  EXPECT_EQ(to.first(4), "kept");
  answered.wait();
}

// Reads are made again no more often than the timer says that keep-alives go by.
TEST_F(async_memory, RCV_27_a_loop_without_memory_does_not_spin) {
  constexpr int keepalives = 8;
  constexpr std::size_t refusals_between = 32; // those of a read are few
  event enough;
  open_peer server([&](peer_connection& peer) {
    upgraded.wait();
    peer.send(make_frame(ping_opcode, "p"));
    for (int i = 0; i < keepalives; ++i) {
      expect_answer(peer, "");
    }
    enough.set();
    while (!peer.read_some().empty()) {
    }
  });
  async_client client(server.port(), WINHTTP_CALLBACK_FLAG_ALL_NOTIFICATIONS, without_buffers());
  upgraded.set();
  wait_for_more_reads();
  const std::size_t before = memory.refused();
  set_keepalive(client.socket(), std::chrono::milliseconds(1));
  enough.wait();
  EXPECT_LT(memory.refused() - before, keepalives * refusals_between);
  memory.refuse_none();
}

TEST_F(async_memory, HND_17_a_socket_that_waits_for_memory_is_closed) {
  open_peer server([&](peer_connection& peer) {
    upgraded.wait();
    peer.send(make_frame(ping_opcode, "p"));
    while (!peer.read_some().empty()) {
    }
  });
  async_client client(server.port(), WINHTTP_CALLBACK_FLAG_ALL_NOTIFICATIONS, without_buffers());
  upgraded.set();
  wait_for_more_reads();
  client.close_handle();
  EXPECT_EQ(client.heard().all().size(), 1u) << "HANDLE_CLOSING";
}

} // namespace
} // namespace sluice::test
