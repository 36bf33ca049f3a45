// Asynchronous sockets whose loop has no memory for a receive buffer.

#include "async_fixture.hpp"

#include "support/failing_memory.hpp"

#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <atomic>
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

// The client's end of a connection in this process; -1 if it is not found.
int client_end_of(const peer_connection& peer) {
  sockaddr_in wanted{};
  socklen_t size = sizeof(wanted);
  if (::getpeername(peer.fd(), reinterpret_cast<sockaddr*>(&wanted), &size) != 0) {
    return -1;
  }
  constexpr int most_descriptors = 1024;
  for (int fd = 0; fd < most_descriptors; ++fd) {
    sockaddr_in own{};
    size = sizeof(own);
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &size) == 0 &&
        own.sin_family == AF_INET && own.sin_port == wanted.sin_port) {
      return fd;
    }
  }
  return -1;
}

int unread_bytes(int fd) {
  int bytes = -1;
  return ::ioctl(fd, FIONREAD, &bytes) == 0 ? bytes : -1;
}

// What one socket's application leaves unread takes every buffer that the loop has, and there is no
// memory for one more: the loop asks again by itself.
TEST_F(async_memory, CTL_03_a_ping_waits_for_no_other_socket_s_buffers) {
  std::atomic<int> hoarding_end{-1};
  event may_ping;
  event answered;
  scripted_peer server([&](scripted_peer& self) {
    peer_connection hoarding = self.accept();
    hoarding.handshake();
    peer_connection other = self.accept();
    other.handshake();
    upgraded.wait();
    hoarding_end = client_end_of(hoarding);
    hoarding.send(make_frame(binary_opcode, pattern_text(std::size_t{2} << 20)));
    may_ping.wait();
    other.send(make_frame(ping_opcode, "p"));
    expect_answer(other, "p");
    answered.set();
    other.expect_eof();
    while (!hoarding.read_some().empty()) {
    }
  });
  recorder heard;
  async_handles handles(heard, server.port());
  DWORD read_ahead_bytes = DWORD{1} << 22;
  ASSERT_TRUE(WinHttpSetOption(handles.request, WINHTTP_OPTION_WEB_SOCKET_RECEIVE_BUFFER_SIZE,
                               &read_ahead_bytes, sizeof(read_ahead_bytes)));
  const HINTERNET sockets[] = {handles.open_socket(), [&] {
                                 heard.forget(WINHTTP_CALLBACK_STATUS_SENDREQUEST_COMPLETE);
                                 heard.forget(WINHTTP_CALLBACK_STATUS_HEADERS_AVAILABLE);
                                 return handles.open_socket();
                               }()};
  memory.refuse_buffers();
  upgraded.set();
  wait_until([&] { // nothing is read from one time that memory is refused to the next
    const std::size_t before = memory.refused();
    const int unread = unread_bytes(hoarding_end);
    wait_until([&] { return memory.refused() > before; });
    return unread > 0 && unread_bytes(hoarding_end) == unread;
  });
  may_ping.set();
  const std::size_t before = memory.refused();
  wait_until([&] { return memory.refused() > before + 2; });
  memory.refuse_none();
  answered.wait();
  for (const HINTERNET socket : sockets) {
    EXPECT_TRUE(WinHttpCloseHandle(socket));
    heard.wait_closed(socket);
  }
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
