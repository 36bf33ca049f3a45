// Calls on one asynchronous socket from many threads and out of callbacks, against each other and
// against CloseHandle: each accepted call completes once, and nothing comes after HANDLE_CLOSING.

#include "async_fixture.hpp"

#include "support/test_effort.hpp"

#include <array>
#include <random>

namespace sluice::test {
namespace {

using async_threads = async_test;

// Echoes messages and close frames until the client is gone.
void echo(peer_connection& client) {
  try {
    for (;;) {
      const client_frame frame = client.read_frame();
      if (frame.opcode == close_opcode) {
        client.send(make_frame(close_opcode, frame.payload));
        break;
      }
      if (frame.opcode != pong_opcode) {
        client.send(make_frame(frame.opcode, frame.payload, frame.fin) +
                    make_frame(ping_opcode, "ping"));
      }
    }
    while (!client.read_some().empty()) {
    }
  } catch (const peer_failure&) {
    // The client tore the connection down.
  }
}

struct tally {
  std::atomic<int> receives{0};
  std::atomic<int> sends{0};
  std::atomic<int> shutdowns{0};
  std::atomic<int> closes{0};
};

TEST_F(async_threads, STA_06_CLO_30_HND_16_every_call_against_every_other_and_close_handle) {
  const int rounds = 60;
  scripted_peer server([&](scripted_peer& self) {
    for (int i = 0; i < rounds; ++i) {
      peer_connection client = self.accept();
      client.handshake();
      echo(client);
    }
  });
  for (int round = 0; round < rounds; ++round) {
    async_client client(server.port());
    const HINTERNET socket = client.socket();
    tally accepted;
    landing<256> to;
    const bool from_callbacks = round % 3 != 0;
    client.heard().on(WINHTTP_CALLBACK_STATUS_READ_COMPLETE, [&](const notice& done) {
      if (from_callbacks && to.receive(done.handle) == ERROR_SUCCESS) {
        ++accepted.receives;
      }
    });
    client.heard().on(WINHTTP_CALLBACK_STATUS_WRITE_COMPLETE, [&](const notice& done) {
      if (from_callbacks && done.bytes == 3 &&
          send(done.handle, binary_message, "from a callback") == ERROR_SUCCESS) {
        ++accepted.sends;
      }
    });
    {
      std::vector<std::unique_ptr<background>> threads;
      for (unsigned i = 0; i < 4; ++i) {
        threads.push_back(std::make_unique<background>([&, i] {
          std::minstd_rand random(static_cast<unsigned>(round) * 8 + i + 1);
          for (int step = 0; step < 40; ++step) {
            switch (random() % 16) {
            case 0:
              accepted.shutdowns += shutdown(socket) == ERROR_SUCCESS ? 1 : 0;
              break;
            case 1:
              accepted.closes += step > 10 && close(socket) == ERROR_SUCCESS ? 1 : 0;
              break;
            case 2:
            case 3:
            case 4:
            case 5:
            case 6:
              accepted.receives += to.receive(socket) == ERROR_SUCCESS ? 1 : 0;
              break;
            default:
              accepted.sends += send(socket, binary_message, "abc") == ERROR_SUCCESS ? 1 : 0;
              break;
            }
          }
        }));
      }
      if (round % 2 == 0) {
        client.close_handle(); // against the others
      }
    }
    client.close_handle();
    std::array<int, 4> completed{};
    for (const notice& one : client.heard().all()) {
      switch (one.status) {
      case WINHTTP_CALLBACK_STATUS_WRITE_COMPLETE:
        ++completed[WINHTTP_WEB_SOCKET_SEND_OPERATION];
        break;
      case WINHTTP_CALLBACK_STATUS_READ_COMPLETE:
        ++completed[WINHTTP_WEB_SOCKET_RECEIVE_OPERATION];
        break;
      case WINHTTP_CALLBACK_STATUS_CLOSE_COMPLETE:
        ++completed[WINHTTP_WEB_SOCKET_CLOSE_OPERATION];
        break;
      case WINHTTP_CALLBACK_STATUS_SHUTDOWN_COMPLETE:
        ++completed[WINHTTP_WEB_SOCKET_SHUTDOWN_OPERATION];
        break;
      case WINHTTP_CALLBACK_STATUS_REQUEST_ERROR:
        ++completed[one.call];
        break;
      default:
        break;
      }
    }
    EXPECT_EQ(completed[WINHTTP_WEB_SOCKET_RECEIVE_OPERATION], accepted.receives) << round;
    EXPECT_EQ(completed[WINHTTP_WEB_SOCKET_SEND_OPERATION], accepted.sends) << round;
    EXPECT_EQ(completed[WINHTTP_WEB_SOCKET_SHUTDOWN_OPERATION], accepted.shutdowns) << round;
    EXPECT_EQ(completed[WINHTTP_WEB_SOCKET_CLOSE_OPERATION], accepted.closes) << round;
    EXPECT_EQ(client.heard().all().back().status, DWORD{WINHTTP_CALLBACK_STATUS_HANDLE_CLOSING});
  }
}

TEST_F(async_threads, NOT_17_HND_09_many_sockets_and_their_session_at_once) {
  constexpr int sockets = 8;
  scripted_peer server([&](scripted_peer& self) {
    std::vector<std::thread> served;
    for (int i = 0; i < sockets; ++i) {
      served.emplace_back([client = std::make_shared<peer_connection>(self.accept())] {
        client->handshake();
        echo(*client);
      });
    }
    for (std::thread& one : served) {
      one.join();
    }
  });
  recorder heard;
  const HINTERNET session = [&] {
    async_handles handles(heard, server.port());
    std::vector<HINTERNET> made;
    std::vector<landing<64>> to(sockets);
    for (int i = 0; i < sockets; ++i) {
      made.push_back(handles.open_socket());
      heard.forget(WINHTTP_CALLBACK_STATUS_SENDREQUEST_COMPLETE);
      heard.forget(WINHTTP_CALLBACK_STATUS_HEADERS_AVAILABLE);
    }
    // The parents go first; the sockets stay usable.
    const HINTERNET parents[] = {std::exchange(handles.request, nullptr),
                                 std::exchange(handles.connection, nullptr),
                                 std::exchange(handles.session, nullptr)};
    for (const HINTERNET parent : parents) {
      EXPECT_TRUE(WinHttpCloseHandle(parent));
    }
    for (std::size_t i = 0; i < made.size(); ++i) {
      EXPECT_EQ(to[i].receive(made[i]), ERROR_SUCCESS);
      EXPECT_EQ(send(made[i], binary_message, "hello"), ERROR_SUCCESS);
    }
    heard.wait(WINHTTP_CALLBACK_STATUS_READ_COMPLETE, sockets);
    {
      std::vector<std::unique_ptr<background>> closers;
      for (const HINTERNET socket : made) {
        closers.push_back(std::make_unique<background>([socket] { WinHttpCloseHandle(socket); }));
      }
    }
    return parents[2];
  }();
  heard.wait_closed(session);
  EXPECT_EQ(heard.all().back().handle, session);
}

} // namespace
} // namespace sluice::test
