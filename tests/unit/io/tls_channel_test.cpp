#include "io/tls_channel.hpp"

#include "support/loopback.hpp"
#include "support/slices.hpp"
#include "support/tls_peer.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <string>
#include <string_view>

namespace sluice::io {
namespace {

using test::bytes_of;

// A channel of a client on one end of a socket pair, and at the other end a server that the test
// drives: what it says goes to the channel directly, what the channel says lies in the socket.
class tls_channel : public ::testing::Test {
protected:
  void SetUp() override {
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    near_ = test::unique_fd(ends[0]);
    far_ = test::unique_fd(ends[1]);
    tls_settings settings;
    settings.ca_pem = bytes_of(test::tls_test_authority().root());
    tls_context_ref context;
    ASSERT_EQ(tls_context::make_client(settings, context), error::none);
    memory::unique<tls_engine> engine;
    ASSERT_EQ(tls_engine::make_client(context, {.host = "localhost"}, engine), error::none);
    channel_ = memory::make_unique<io::tls_channel>(std::move(engine));
    tls_status status = channel_->handshake();
    while (status == tls_status::need_input) {
      channel_->flush(near_.get());
      static_cast<void>(peer_.shake(heard()));
      hear(peer_.take_output());
      status = channel_->handshake();
    }
    ASSERT_EQ(status, tls_status::done);
    channel_->flush(near_.get());
    ASSERT_TRUE(peer_.shake(heard()));
  }

  std::string heard() {
    char room[16384];
    const ssize_t got = ::recv(far_.get(), room, sizeof room, MSG_DONTWAIT);
    return {room, static_cast<std::size_t>(got > 0 ? got : 0)};
  }
  void hear(const std::string& ciphertext) {
    ASSERT_TRUE(channel_->receive(heap_.make(bytes_of(ciphertext))));
  }
  // The reader's part of a turn of a stream.
  tls_status read(std::string& got) {
    std::byte room[4096];
    std::size_t count = 0;
    const tls_status status = channel_->read(-1, room, count);
    got.assign(reinterpret_cast<const char*>(room), count);
    channel_->flush(near_.get());
    return status;
  }

  test::heap_buffer_owner heap_;
  test::unique_fd near_;
  test::unique_fd far_;
  test::tls_peer_end peer_{test::tls_server_settings{.identity = test::tls_test_identity()}};
  memory::unique<io::tls_channel> channel_;
};

TEST_F(tls_channel, answers_that_a_peer_does_not_take_are_kept_to_a_bound) {
  constexpr int bytes_of_an_answer = 27;
  constexpr int most = (1 << 20) / bytes_of_an_answer;
  const int room_bytes = 4096;
  ::setsockopt(near_.get(), SOL_SOCKET, SO_SNDBUF, &room_bytes, sizeof room_bytes);
  std::string got;
  tls_status status = tls_status::need_input;
  int asked = 0;
  while (status == tls_status::need_input && asked < most) {
    std::string flood;
    for (int i = 0; i < 100; ++i) {
      flood += peer_.key_update(true);
    }
    hear(flood);
    status = read(got);
    asked += 100;
  }
  EXPECT_EQ(status, tls_status::failed);
  EXPECT_GT(asked * bytes_of_an_answer, 128 << 10) << "too strict for a writer's own ciphertext";
  EXPECT_EQ(channel_->reason(), error::connection_lost);
  EXPECT_EQ(read(got), tls_status::failed) << "it stays so";
  EXPECT_NE(channel_->pending_bytes(), 0u) << "nobody waits for more";
  EXPECT_FALSE(channel_->has_unsent());
  std::size_t room_used_bytes = 0;
  EXPECT_EQ(channel_->seal(bytes_of("x"), {}, room_used_bytes), error::connection_lost);
}

TEST_F(tls_channel, a_read_gives_up_its_turn_to_a_flood_of_records_without_data) {
  constexpr int updates = 2000;
  std::string flood;
  for (int i = 0; i < updates; ++i) {
    flood += peer_.key_update(false);
  }
  hear(flood + peer_.seal("and on"));
  std::string got;
  int turns = 0;
  while (read(got) == tls_status::need_input) {
    ASSERT_NE(channel_->pending_bytes(), 0u);
    ASSERT_LT(++turns, updates);
  }
  EXPECT_EQ(got, "and on");
  EXPECT_GT(turns, 4);
  EXPECT_EQ(read(got), tls_status::need_input);
  EXPECT_EQ(channel_->pending_bytes(), 0u) << "this asks for more from the network";
}

TEST_F(tls_channel, answers_that_a_peer_takes_late_are_all_there) {
  const int room_bytes = 4096;
  ::setsockopt(near_.get(), SOL_SOCKET, SO_SNDBUF, &room_bytes, sizeof room_bytes);
  std::string got;
  for (int i = 0; i < 1000; ++i) {
    hear(peer_.key_update(true));
    ASSERT_EQ(read(got), tls_status::need_input) << i;
  }
  ASSERT_TRUE(channel_->has_unsent()) << "the socket has taken all";
  while (channel_->has_unsent()) {
    ASSERT_EQ(peer_.open(heard()), "");
    channel_->flush(near_.get());
  }
  hear(peer_.seal("and on"));
  EXPECT_EQ(read(got), tls_status::done);
  EXPECT_EQ(got, "and on");
}

} // namespace
} // namespace sluice::io
