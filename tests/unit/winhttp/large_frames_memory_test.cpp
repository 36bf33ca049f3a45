// Large frames when memory runs out.

#include "large_frames_fixture.hpp"
#include "random_frames.hpp"

#include "support/failing_memory.hpp"
#include "support/test_effort.hpp"

#include <sys/ioctl.h>

#include <algorithm>
#include <random>

namespace sluice::test {
namespace {

// Until a Receive has said that there is none: a program that does not hear of it waits for ever.
TEST_P(large_frames, RCV_27_allocations_that_fail_lose_nothing) {
  constexpr unsigned rounds = full_effort ? 60 : 15;
  std::mt19937 random(8);
  const std::vector<std::vector<data_frame>> streams = random_streams(rounds, random);
  event upgraded; // what the peer sends before may be read along with its response
  open_peer peer([&](peer_connection& to) {
    upgraded.wait();
    std::mt19937 cuts(2);
    for (const std::vector<data_frame>& frames : streams) {
      std::string wire = on_the_wire(frames);
      while (!wire.empty()) { // no key update: its answer takes memory, without which TLS is over
        const std::size_t count = std::min(wire.size(), 1 + any_size(cuts, 17));
        to.send(std::string_view(wire).substr(0, count));
        wire.erase(0, count);
      }
      if (to.read_frame().opcode != binary_opcode) {
        return;
      }
    }
    read_to_the_end(to);
  });
  failing_memory memory;
  unsigned refused = 0;
  {
    // A loop of asynchronous handles has no buffer before the first Receive.
    any_socket socket(peer.port(), GetParam(), [&](const notice&) { memory.refuse_buffers(); });
    upgraded.set();
    for (unsigned round = 0; round < rounds; ++round) {
      SCOPED_TRACE(testing::Message() << "round " << round);
      frame_check check(streams[round]);
      memory.refuse_one_in(1 + round % 3);
      bool good = true;
      const auto room = [&] {
        return random() % 2 == 0 ? std::size_t{65536} : 1 + any_size(random, 17);
      };
      // On a thread of its own, whose loop takes memory too.
      background([&] {
        socket.run(room(), [&](const received& piece) -> std::size_t {
          if (piece.code == ERROR_NOT_ENOUGH_MEMORY || piece.code == ERROR_OUTOFMEMORY) {
            ++refused;
            memory.refuse_none(); // the next one works
            return room();
          }
          memory.refuse_one_in(1 + random() % 3);
          good = check.take(piece);
          return good && !check.is_done() ? room() : std::size_t{0};
        });
      }).join();
      memory.refuse_none();
      ASSERT_TRUE(good);
      ASSERT_EQ(send(socket.handle(), binary_message, "all"), 0u);
      if (socket.is_asynchronous()) {
        socket.asynchronous().heard().wait(WINHTTP_CALLBACK_STATUS_WRITE_COMPLETE, round + 1);
      }
    }
  }
  EXPECT_GT(refused, 0u);
}

// Decrypted, but the inbox had no memory to note it: it comes before what is still encrypted.
TEST_F(websocket_test, RCV_27_what_the_inbox_could_not_take_is_not_overtaken) {
  constexpr std::size_t part_bytes = 2000;
  constexpr std::size_t inline_parts = 4; // what an inbox holds without memory
  const std::string payload = pattern_text(100000);
  const std::string frame = make_frame(binary_opcode, payload);
  winhttp::set_care_period(std::chrono::milliseconds(1));
  pair_settings how;
  how.read_ahead_bytes = 32768;
  socket_pair pair(how);
  failing_memory memory;
  std::size_t sent = 0;
  for (std::size_t part = 0; part <= inline_parts; ++part, sent += part_bytes) {
    if (part == inline_parts) {
      constexpr std::size_t below_buffers = 1024;
      memory.refuse_one_in(1, 0, below_buffers);
    }
    pair.peer().send(std::string_view(frame).substr(sent, part_bytes));
    wait_until([&] { // the caretaker has taken it
      int unread = -1;
      return ::ioctl(pair.client_fd(), FIONREAD, &unread) == 0 && unread == 0;
    });
  }
  wait_until([&] { return memory.refused() > 0; });
  winhttp::set_care_period(std::chrono::hours(1)); // it does not come again
  pair.peer().send(std::string_view(frame).substr(sent));
  std::string all;
  for (bool first = true; all.size() < payload.size(); first = false) {
    const received piece = receive(pair.handle(), 50000);
    memory.refuse_none();
    if (!first) {
      EXPECT_EQ(piece.code, 0u); // the first one may say that there is no memory
    }
    if (piece.code != 0 && piece.code != ERROR_NOT_ENOUGH_MEMORY) {
      break;
    }
    all += piece.bytes;
  }
  winhttp::set_care_period(winhttp::decision::care_period);
  EXPECT_TRUE(all == payload);
}

} // namespace
} // namespace sluice::test
