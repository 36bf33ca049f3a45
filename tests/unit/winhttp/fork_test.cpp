// What fork() leaves of sockets, synchronous and asynchronous, in both processes.

#include "async_fixture.hpp"
#include "care_fixture.hpp"

#include "support/asleep.hpp"
#include "support/loopback.hpp"

namespace sluice::test {
namespace {

using websocket_fork = websocket_care;

// ThreadSanitizer lets a forked child start no threads. AddressSanitizer does not take its
// allocator's locks for a fork(), so that no other thread may be starting, ending or allocating.
#if defined(__SANITIZE_THREAD__)
constexpr bool child_has_threads = false;
#else
constexpr bool child_has_threads = true;
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool may_fork_beside_loops = false;
#else
constexpr bool may_fork_beside_loops = true;
#endif

TEST_F(websocket_fork, a_forked_child_leaves_the_parents_sockets_alone) {
  if (!child_has_threads) {
    GTEST_SKIP() << "the child cannot start a caretaker";
  }
  socket_pair pair(looked_after());
  let_it_come_by(); // from here on the caretaker is where fork() waits for it
  winhttp::set_care_period(std::chrono::milliseconds(0));
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(in_child([] {
                if (winhttp::is_caretaker_running()) {
                  return 1;
                }
                socket_pair own(looked_after());
                own.peer().send(make_frame(ping_opcode, "in the child"));
                return own.peer().read_frame().payload == "in the child" ? 0 : 2;
              }),
              0);
    pair.peer().send(make_frame(ping_opcode, "in the parent"));
    expect_pong(pair.peer(), "in the parent");
  }
}

// The Receive that sleeps is the parent's, whatever the child's copy of the handle says.
TEST_F(websocket_fork, HND_10_a_forked_child_that_closes_its_handle_disturbs_no_receive) {
  socket_pair pair(looked_after());
  let_it_come_by();
  received got;
  std::atomic<pid_t> thread{0};
  background receiver([&] {
    thread = this_thread_id();
    got = receive(pair.handle());
  });
  wait_until([&] { return thread != 0; });
  wait_until_asleep(thread);
  EXPECT_EQ(in_child([&] { return WinHttpCloseHandle(pair.handle()) != FALSE ? 0 : 1; }), 0);
  pair.peer().send(make_frame(text_opcode, "one"));
  receiver.join();
  EXPECT_EQ(got, (received{0, utf8_message, "one"}));
  let_it_come_by(); // it reads ahead
  pair.peer().send(make_frame(text_opcode, "two"));
  EXPECT_EQ(receive(pair.handle()), (received{0, utf8_message, "two"}));
}

// Over TLS a word of the child would be one that the parent has used or is about to use.
TEST_F(websocket_fork, HND_10_a_forked_child_that_closes_its_handle_says_nothing) {
  socket_pair pair(looked_after());
  let_it_come_by();
  EXPECT_EQ(in_child([&] { return WinHttpCloseHandle(pair.handle()) != FALSE ? 0 : 1; }), 0);
  EXPECT_EQ(send(pair.handle(), binary_message, "still here"), ERROR_SUCCESS);
  EXPECT_EQ(pair.peer().read_frame().payload, "still here");
  pair.peer().send(make_frame(text_opcode, "so am I"));
  EXPECT_EQ(receive(pair.handle()), (received{0, utf8_message, "so am I"}));
}

// As after daemon(): the child goes on with the socket, and has no caretaker for it.
TEST_F(websocket_fork, CTL_06_CTL_08_a_forked_child_that_receives_sends_its_keep_alives) {
  socket_pair pair(looked_after());
  let_it_come_by();
  winhttp::set_care_period(std::chrono::hours(1)); // the parent is quiet
  pair.object().set_keepalive(std::chrono::milliseconds(1));
  background peer([&] {
    for (int i = 0; i < 5; ++i) {
      expect_pong(pair.peer(), "");
    }
    pair.peer().send(make_frame(text_opcode, "enough"));
  });
  wait_until_all_others_sleep();
  EXPECT_EQ(in_child([&] { return receive(pair.handle()).bytes == "enough" ? 0 : 1; }), 0);
}

// The loop threads are the parent's, and their handles with them.
TEST_F(websocket_fork, a_forked_child_opens_its_own_asynchronous_socket) {
  if (!may_fork_beside_loops) {
    GTEST_SKIP() << "the child could hang in the sanitizer";
  }
  const auto greet = [](peer_connection& peer) {
    const client_frame frame = peer.read_frame();
    peer.send(make_frame(text_opcode, frame.payload));
    peer.expect_eof();
  };
  open_peer parents_server(greet);
  open_peer childs_server(greet);
  const auto greet_back = [](async_client& client) {
    landing<16> to;
    EXPECT_EQ(send(client.socket(), binary_message, "hello"), ERROR_SUCCESS);
    EXPECT_EQ(to.receive(client.socket()), ERROR_SUCCESS);
    client.heard().wait(WINHTTP_CALLBACK_STATUS_READ_COMPLETE);
    return to.first(5) == "hello";
  };
  async_client client(parents_server.port());
  wait_until_all_others_sleep(); // else the child might find a lock of OpenSSL's held
  EXPECT_EQ(in_child([&] {
              async_client own(childs_server.port());
              return greet_back(own) ? 0 : 1;
            }),
            0);
  EXPECT_TRUE(greet_back(client));
}

} // namespace
} // namespace sluice::test
