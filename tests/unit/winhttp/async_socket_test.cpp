// Refused calls on asynchronous sockets, the rules of notifications, and which thread serves whom.

#include "async_fixture.hpp"

#include <sluice/extensions.h>

#include <algorithm>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace sluice::test {
namespace {

using lines = std::vector<std::string>;
using async_socket = async_test;

TEST_F(async_socket, RCV_01_RCV_02_SND_01_SND_03_STA_03_refused_calls_say_so_and_raise_nothing) {
  open_peer server([](peer_connection& peer) {
    EXPECT_EQ(peer.read_frame().payload, "after");
    peer.expect_eof();
  });
  async_client client(server.port());
  char byte = 0;
  EXPECT_EQ(post_receive(client.socket(), nullptr, 1), ERROR_INVALID_PARAMETER);
  EXPECT_EQ(post_receive(client.socket(), &byte, 0), ERROR_INVALID_PARAMETER);
  EXPECT_EQ(WinHttpWebSocketSend(client.socket(), binary_message, nullptr, 1),
            ERROR_INVALID_PARAMETER);
  EXPECT_EQ(send(client.socket(), close_type, "x"), ERROR_INVALID_PARAMETER);
  EXPECT_EQ(WinHttpWebSocketShutdown(client.socket(), 1005, &byte, 1), ERROR_INVALID_PARAMETER);
  EXPECT_EQ(WinHttpWebSocketClose(client.socket(), 1006, nullptr, 0), ERROR_INVALID_PARAMETER);
  EXPECT_EQ(client.heard().described(), lines{});
  EXPECT_EQ(send(client.socket(), binary_message, "after"), ERROR_SUCCESS);
  client.heard().wait(WINHTTP_CALLBACK_STATUS_WRITE_COMPLETE);
}

TEST_F(async_socket, NOT_08_NOT_09_X_37_masks) {
  constexpr DWORD reads = WINHTTP_CALLBACK_FLAG_READ_COMPLETE;
  constexpr DWORD writes = WINHTTP_CALLBACK_FLAG_WRITE_COMPLETE;
  constexpr DWORD shutdowns = WINHTTP_CALLBACK_FLAG_SHUTDOWN_COMPLETE;
  const std::string written = "socket WRITE_COMPLETE 1 type 0 in-call";
  const std::string shut = "socket SHUTDOWN_COMPLETE in-call";
  const std::pair<DWORD, lines> rows[] = {
      {WINHTTP_CALLBACK_FLAG_ALL_COMPLETIONS, {written, shut}},
      {reads | writes, {written, shut}},
      {writes, {written}}, // one of the two is not enough
      {reads, {}},
      {shutdowns, {shut}},
  };
  for (const auto& [mask, wanted] : rows) {
    open_peer server([](peer_connection& peer) {
      EXPECT_EQ(peer.read_frame().payload, "x");
      EXPECT_EQ(peer.read_frame().opcode, close_opcode);
      peer.expect_eof();
    });
    async_client client(server.port(), mask | WINHTTP_CALLBACK_FLAG_HANDLES);
    EXPECT_EQ(send(client.socket(), binary_message, "x"), ERROR_SUCCESS);
    EXPECT_EQ(shutdown(client.socket()), ERROR_SUCCESS);
    EXPECT_EQ(client.heard().described(), wanted) << mask;
  }
}

TEST_F(async_socket, NOT_08_errors_need_their_bit_too) {
  open_peer server([](peer_connection& peer) { peer.close_fin(); });
  async_client client(server.port(), WINHTTP_CALLBACK_FLAG_READ_COMPLETE |
                                         WINHTTP_CALLBACK_FLAG_WRITE_COMPLETE |
                                         WINHTTP_CALLBACK_FLAG_HANDLES);
  landing<16> to;
  EXPECT_EQ(to.receive(client.socket()), ERROR_SUCCESS);
  // A Send that is never accepted says whether the link has failed: its type comes last (STA-04).
  wait_until([&] { return send(client.socket(), close_type, "") != ERROR_INVALID_PARAMETER; });
  client.close_handle();
  for (const notice& one : client.heard().all()) {
    EXPECT_EQ(one.status, DWORD{WINHTTP_CALLBACK_STATUS_HANDLE_CLOSING});
  }
}

TEST_F(async_socket, NOT_10_NOT_11_HND_14_X_05_no_callback_and_no_context) {
  open_peer server([](peer_connection& peer) {
    EXPECT_EQ(peer.read_frame().payload, "silent");
    peer.expect_eof();
  });
  async_client client(server.port());
  EXPECT_EQ(WinHttpSetStatusCallback(client.socket(), nullptr,
                                     WINHTTP_CALLBACK_FLAG_ALL_NOTIFICATIONS, 0),
            &recorder::callback);
  landing<16> to;
  EXPECT_EQ(to.receive(client.socket()), ERROR_SUCCESS);
  EXPECT_EQ(send(client.socket(), binary_message, "silent"), ERROR_SUCCESS);
  EXPECT_EQ(client.heard().described(), lines{});
  WinHttpSetStatusCallback(client.socket(), &recorder::callback,
                           WINHTTP_CALLBACK_FLAG_ALL_NOTIFICATIONS, 0);
}

// What each callback may do to its own handle (HND-20, NOT-04).
TEST_F(async_socket, HND_20_NOT_04_HND_13_close_handle_inside_each_callback) {
  for (const DWORD inside :
       {WINHTTP_CALLBACK_STATUS_READ_COMPLETE, WINHTTP_CALLBACK_STATUS_WRITE_COMPLETE,
        WINHTTP_CALLBACK_STATUS_SHUTDOWN_COMPLETE, WINHTTP_CALLBACK_STATUS_CLOSE_COMPLETE,
        WINHTTP_CALLBACK_STATUS_REQUEST_ERROR}) {
    open_peer server([&](peer_connection& peer) {
      peer.send(make_frame(text_opcode, "hello"));
      if (inside == WINHTTP_CALLBACK_STATUS_CLOSE_COMPLETE) {
        peer.send(make_close(1000));
      }
      while (!peer.read_some().empty()) {
      }
    });
    recorder before;
    recorder heard;
    HINTERNET socket = nullptr;
    bool finished = false;
    heard.on(inside, [&](const notice& done) {
      if (!finished) {
        finished = true;
        EXPECT_TRUE(WinHttpCloseHandle(done.handle));
        EXPECT_EQ(heard.count(WINHTTP_CALLBACK_STATUS_HANDLE_CLOSING), 0u);
      }
    });
    async_handles handles(before, server.port());
    socket = handles.open_socket();
    DWORD_PTR context = heard.context();
    WinHttpSetOption(socket, WINHTTP_OPTION_CONTEXT_VALUE, &context, sizeof(context));
    // The parents get their HANDLE_CLOSING after the socket's, in a recorder that may be gone then.
    WinHttpSetStatusCallback(handles.session, nullptr, 0, 0);
    WinHttpSetStatusCallback(handles.connection, nullptr, 0, 0);
    WinHttpCloseHandle(std::exchange(handles.connection, nullptr));
    WinHttpCloseHandle(std::exchange(handles.session, nullptr));
    landing<16> to;
    EXPECT_EQ(to.receive(socket), ERROR_SUCCESS);
    switch (inside) {
    case WINHTTP_CALLBACK_STATUS_WRITE_COMPLETE:
      (void)send(socket, binary_message, "x");
      break;
    case WINHTTP_CALLBACK_STATUS_SHUTDOWN_COMPLETE:
      (void)shutdown(socket);
      break;
    case WINHTTP_CALLBACK_STATUS_CLOSE_COMPLETE:
      (void)close(socket);
      break;
    case WINHTTP_CALLBACK_STATUS_REQUEST_ERROR:
      heard.wait(WINHTTP_CALLBACK_STATUS_READ_COMPLETE);
      (void)to.receive(socket);
      (void)close(socket);
      break;
    default:
      break;
    }
    heard.wait_closed(socket);
    EXPECT_EQ(heard.all().back().status, DWORD{WINHTTP_CALLBACK_STATUS_HANDLE_CLOSING});
  }
}

TEST_F(async_socket, HND_12_parents_that_were_closed_first_close_after_their_last_child) {
  open_peer server([](peer_connection& peer) { peer.expect_eof(); });
  recorder heard;
  async_handles handles(heard, server.port());
  const HINTERNET socket = handles.open_socket();
  heard.clear();
  const HINTERNET session = std::exchange(handles.session, nullptr);
  const HINTERNET connection = std::exchange(handles.connection, nullptr);
  const HINTERNET request = std::exchange(handles.request, nullptr);
  EXPECT_TRUE(WinHttpCloseHandle(session));
  EXPECT_TRUE(WinHttpCloseHandle(connection));
  EXPECT_TRUE(WinHttpCloseHandle(request)); // the socket does not delay it
  heard.wait_closed(request);
  EXPECT_TRUE(WinHttpCloseHandle(socket));
  heard.wait_closed(session);
  std::vector<HINTERNET> order;
  for (const notice& one : heard.all()) {
    EXPECT_EQ(one.status, DWORD{WINHTTP_CALLBACK_STATUS_HANDLE_CLOSING});
    order.push_back(one.handle);
  }
  EXPECT_EQ(order, (std::vector<HINTERNET>{request, socket, connection, session}));
}

TEST_F(async_socket, loop_threads_serve_the_sockets_in_turn) {
  scripted_peer server([](scripted_peer& self) {
    std::vector<peer_connection> clients;
    for (int i = 0; i < 3; ++i) {
      clients.push_back(self.accept());
      clients.back().handshake({}, make_frame(text_opcode, "hello"));
    }
    for (peer_connection& client : clients) {
      client.expect_eof();
    }
  });
  recorder heard;
  async_handles handles(heard, server.port());
  const auto set = [&](DWORD threads, DWORD bytes = sizeof(DWORD)) {
    return WinHttpSetOption(handles.session, SLUICE_OPTION_LOOP_THREADS, &threads, bytes) != FALSE
               ? DWORD{ERROR_SUCCESS}
               : GetLastError();
  };
  EXPECT_EQ(set(0), ERROR_INVALID_PARAMETER);
  EXPECT_EQ(set(SLUICE_MAX_LOOP_THREADS + 1), ERROR_INVALID_PARAMETER);
  EXPECT_EQ(set(2, 2), ERROR_INSUFFICIENT_BUFFER);
  EXPECT_EQ(set(2), ERROR_SUCCESS);
  DWORD threads = 0;
  DWORD bytes = sizeof(threads);
  EXPECT_TRUE(WinHttpQueryOption(handles.session, SLUICE_OPTION_LOOP_THREADS, &threads, &bytes));
  EXPECT_EQ(threads, 2u);
  std::vector<std::thread::id> served(3);
  std::vector<HINTERNET> sockets;
  std::mutex lock;
  heard.on(WINHTTP_CALLBACK_STATUS_READ_COMPLETE, [&](const notice& done) {
    const std::lock_guard guard(lock);
    const auto at = std::find(sockets.begin(), sockets.end(), done.handle);
    served[static_cast<std::size_t>(at - sockets.begin())] = std::this_thread::get_id();
  });
  landing<16> to[3];
  for (std::size_t i = 0; i < 3; ++i) {
    const HINTERNET made = handles.open_socket();
    {
      const std::lock_guard guard(lock);
      sockets.push_back(made);
    }
    ASSERT_EQ(to[i].receive(made), ERROR_SUCCESS);
    heard.wait(WINHTTP_CALLBACK_STATUS_READ_COMPLETE, i + 1);
    heard.forget(WINHTTP_CALLBACK_STATUS_SENDREQUEST_COMPLETE);
    heard.forget(WINHTTP_CALLBACK_STATUS_HEADERS_AVAILABLE);
  }
  EXPECT_NE(served[0], served[1]);
  EXPECT_EQ(served[0], served[2]);
  for (const HINTERNET socket : sockets) {
    EXPECT_TRUE(WinHttpCloseHandle(socket));
    heard.wait_closed(socket);
  }
}

} // namespace
} // namespace sluice::test
