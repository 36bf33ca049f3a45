// One handle, several threads: cancelling, closing under other threads' calls, and races.

#include "websocket_fixture.hpp"

#include "io/loop.hpp"
#include "winhttp/caretaker.hpp"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <random>

namespace sluice::test {
namespace {

using websocket_threads = websocket_test;

pair_settings small_buffers() {
  pair_settings small;
  small.client_send_buffer_bytes = 4096;
  small.peer_receive_buffer_bytes = 4096;
  return small;
}

TEST_F(websocket_threads, SND_31_close_handle_ends_a_blocked_send) {
  socket_pair pair(small_buffers());
  const std::string big = pattern_text(4u << 20);
  DWORD sent = 77;
  background sender([&] { sent = send(pair.handle(), binary_message, big); });
  (void)pair.peer().read_exact(1); // the Send is under way
  EXPECT_TRUE(pair.close_handle());
  sender.join();
  EXPECT_EQ(sent, ERROR_WINHTTP_OPERATION_CANCELLED);
}

TEST_F(websocket_threads, SND_31_close_handle_ends_a_shutdown_behind_a_send) {
  socket_pair pair(small_buffers());
  const std::string big = pattern_text(4u << 20);
  const HINTERNET handle = pair.handle();
  std::array<DWORD, 2> codes{77, 77};
  background sender([&] { codes[0] = send(handle, binary_message, big); });
  (void)pair.peer().read_exact(1);
  background shutter([&] { codes[1] = shutdown(handle); });
  // The Shutdown is in when sending is refused for good; until then it is the Send that refuses.
  let_others_run();
  EXPECT_TRUE(pair.close_handle());
  sender.join();
  shutter.join();
  EXPECT_EQ(codes[0], ERROR_WINHTTP_OPERATION_CANCELLED);
  EXPECT_TRUE(codes[1] == ERROR_WINHTTP_OPERATION_CANCELLED || codes[1] == ERROR_INVALID_HANDLE)
      << codes[1];
}

TEST_F(websocket_threads, CLO_29_CLO_07_close_handle_ends_a_waiting_close_and_the_connection) {
  for (int round = 0; round < 20; ++round) {
    socket_pair pair;
    DWORD code = 77;
    background closer([&] { code = close(pair.handle()); });
    EXPECT_EQ(pair.peer().read_frame().opcode, close_opcode); // Close is waiting for the answer
    let_others_run();
    EXPECT_TRUE(pair.close_handle());
    char byte = 0;
    EXPECT_EQ(::recv(pair.peer().fd(), &byte, 1, 0), -1); // no FIN, over TLS no close_notify
    EXPECT_EQ(errno, ECONNRESET);
    closer.join();
    EXPECT_EQ(code, ERROR_WINHTTP_OPERATION_CANCELLED);
  }
}

TEST_F(websocket_threads, CLO_30_close_races_with_close_handle_and_receive) {
  for (int round = 0; round < 300; ++round) {
    socket_pair pair;
    const HINTERNET handle = pair.handle();
    received got;
    DWORD code = 77;
    background receiver([&] { got = receive(handle); });
    background closer([&] { code = close(handle); });
    if (round % 3 == 0) {
      let_others_run();
    }
    EXPECT_TRUE(pair.close_handle());
    receiver.join();
    closer.join();
    for (const DWORD result : {got.code, code}) {
      EXPECT_TRUE(result == ERROR_WINHTTP_OPERATION_CANCELLED || result == ERROR_INVALID_HANDLE ||
                  result == ERROR_INVALID_OPERATION)
          << result;
    }
  }
}

TEST_F(websocket_threads, HND_11_a_handle_is_closed_once) {
  socket_pair pair;
  const HINTERNET handle = pair.handle();
  std::atomic<int> closed{0};
  {
    background first([&] { closed += WinHttpCloseHandle(handle) != FALSE ? 1 : 0; });
    background second([&] { closed += WinHttpCloseHandle(handle) != FALSE ? 1 : 0; });
  }
  EXPECT_EQ(closed, 1);
  EXPECT_EQ(receive(handle).code, ERROR_INVALID_HANDLE);
}

TEST_F(websocket_threads, RCV_15_many_rounds_of_close_under_a_receive) {
  for (int round = 0; round < 200; ++round) {
    socket_pair pair;
    received got;
    background receiver([&] { got = receive(pair.handle()); });
    background answerer([&] {
      while (pair.peer().read_frame().opcode != close_opcode) {
      }
      pair.peer().send(make_frame(binary_opcode, "dropped") + make_close(1000));
    });
    EXPECT_EQ(close(pair.handle()), ERROR_SUCCESS);
    receiver.join();
    EXPECT_TRUE(got.code == ERROR_WINHTTP_OPERATION_CANCELLED ||
                got.code == ERROR_INVALID_OPERATION)
        << got.code;
    EXPECT_EQ(query_close_status(pair.handle()).status, 1000u);
  }
}

// Messages received by one thread after the other: buffers of one thread's pool are consumed by
// another one.
TEST_F(websocket_threads, RCV_10_the_receiving_thread_may_change) {
  socket_pair pair;
  std::string wire;
  for (int i = 0; i < 40; ++i) {
    wire += make_frame(binary_opcode, pattern_text(1000) + std::to_string(i));
  }
  background feeder([&] { pair.peer().send(wire); });
  for (int i = 0; i < 40; ++i) {
    background receiver([&] {
      EXPECT_EQ(receive_message(pair.handle()),
                (received{0, binary_message, pattern_text(1000) + std::to_string(i)}));
    });
  }
}

// Everything at once, on several sockets: whatever comes out must be one of the codes of the
// contract, every frame at the peer must be whole, and nothing may crash, hang or leak (the
// sanitizers look at that).
class stress_socket {
public:
  explicit stress_socket(unsigned seed, const pair_settings& how = small_buffers())
      : pair_(how), handle_(pair_.handle()), peer_([this, seed] { play_peer(seed); }) {
    DWORD timeout_ms = 200;
    (void)pair_.object().set_option(WINHTTP_OPTION_WEB_SOCKET_CLOSE_TIMEOUT, &timeout_ms,
                                    sizeof(timeout_ms));
    pair_.object().set_keepalive(std::chrono::milliseconds(1));
    for (unsigned i = 0; i < 4; ++i) {
      users_.push_back(std::make_unique<background>([this, seed, i] { use(seed * 31 + i, i); }));
    }
  }
  ~stress_socket() {
    users_.clear(); // they end once the handle is closed
  }

private:
  static bool known(DWORD code) {
    switch (code) {
    case ERROR_SUCCESS:
    case ERROR_INVALID_HANDLE:
    case ERROR_INVALID_OPERATION:
    case ERROR_WINHTTP_OPERATION_CANCELLED:
    case ERROR_WINHTTP_CONNECTION_ERROR:
    case ERROR_WINHTTP_TIMEOUT:
    case ERROR_WINHTTP_INVALID_SERVER_RESPONSE:
      return true;
    default:
      return false;
    }
  }

  void use(unsigned seed, unsigned part) {
    std::mt19937 engine(seed);
    const auto random = [&engine] { return static_cast<unsigned>(engine()); };
    std::string room(3000, '\0');
    const std::string payload = pattern_text(20000);
    const unsigned last = 20 + random() % 200;
    for (unsigned i = 0;; ++i) {
      DWORD code = ERROR_SUCCESS;
      DWORD count = 0;
      auto type = binary_message;
      USHORT status = 0;
      if (part <= 1) {
        code = WinHttpWebSocketReceive(handle_, room.data(), 1 + random() % 3000, &count, &type);
      } else if (part == 2 || random() % 4 != 0) {
        code = send(handle_, binary_message, payload.substr(0, random() % payload.size()));
      } else {
        code = WinHttpWebSocketQueryCloseStatus(handle_, &status, room.data(), 123, &count);
      }
      EXPECT_TRUE(known(code)) << code;
      if (code == ERROR_INVALID_HANDLE) {
        return;
      }
      if (part == 3 && i == last) {
        switch (seed % 3) {
        case 0:
          EXPECT_TRUE(known(shutdown(handle_, 1000, "stress")));
          break;
        case 1:
          EXPECT_TRUE(known(close(handle_, 1000)));
          break;
        default:
          break;
        }
        (void)WinHttpCloseHandle(handle_);
      }
    }
  }

  // Sends messages, pings and sometimes a close frame or rubbish; reads whole frames until the end.
  void play_peer(unsigned seed) {
    background writer([this, seed] {
      std::mt19937 own(seed + 1);
      for (;;) {
        std::string wire;
        switch (own() % 16) {
        case 0:
          wire = make_frame(ping_opcode, pattern_text(own() % 126));
          break;
        case 1:
          wire = make_frame(binary_opcode, pattern_text(own() % 70000));
          break;
        case 2:
          wire = own() % 64 != 0 ? make_frame(pong_opcode, "") : make_close(1000);
          break;
        case 3:
          wire = own() % 64 != 0 ? make_frame(ping_opcode, "") : make_frame(0x3, "rubbish");
          break;
        default:
          wire = make_frame(text_opcode, std::string(own() % 200, 't'));
          break;
        }
        if (!pair_.peer().try_send(wire)) {
          return;
        }
      }
    });
    try {
      for (;;) {
        const client_frame frame = pair_.peer().read_frame();
        EXPECT_TRUE(frame.masked);
        EXPECT_EQ(frame.reserved, 0u);
        EXPECT_TRUE(frame.opcode == binary_opcode || frame.opcode == pong_opcode ||
                    frame.opcode == close_opcode)
            << frame.opcode;
        if (frame.opcode == binary_opcode) {
          EXPECT_TRUE(pattern_text(frame.payload.size()) == frame.payload);
        }
      }
    } catch (const peer_failure&) {
      // The end of the stream, which may cut a frame when the handle is closed.
    }
    ::shutdown(pair_.peer().fd(), SHUT_RDWR); // ends the writer
  }

  socket_pair pair_;
  const HINTERNET handle_;
  background peer_; // before the users in time, after them in the end
  std::vector<std::unique_ptr<background>> users_;
};

TEST_F(websocket_threads, stress) {
  for (unsigned round = 0; round < 12; ++round) {
    stress_socket one(round * 2);
    stress_socket two(round * 2 + 1);
  }
}

TEST_F(websocket_threads, X_34_stress_with_the_caretaker) {
  winhttp::set_care_period(std::chrono::milliseconds(0));
  pair_settings looked_after = small_buffers();
  looked_after.read_ahead_bytes = 5000;
  for (unsigned round = 0; round < 12; ++round) {
    stress_socket one(round * 2 + 100, looked_after);
    stress_socket two(round * 2 + 101, looked_after);
  }
  winhttp::set_care_period(winhttp::decision::care_period);
}

} // namespace
} // namespace sluice::test
