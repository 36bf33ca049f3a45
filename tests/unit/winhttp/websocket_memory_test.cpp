// What a connection costs: allocations, copies, buffers; and what happens when memory runs out.

#include "async_fixture.hpp"
#include "websocket_fixture.hpp"

#include "io/buffer_pool.hpp"
#include "io/loop.hpp"
#include "support/allocations.hpp"
#include "support/counted_recv.hpp"
#include "winhttp/async_loop.hpp"
#include "winhttp/async_socket.hpp"
#include "winhttp/connection.hpp"

#include <openssl/crypto.h>
#include <sched.h>

#include <array>
#include <cstdlib>
#include <thread>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLUICE_TEST_OWN_MALLOC 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SLUICE_TEST_OWN_MALLOC 0
#endif
#endif
#ifndef SLUICE_TEST_OWN_MALLOC
#define SLUICE_TEST_OWN_MALLOC 1
#endif

// Counts every malloc of the program, those of other libraries included, but for OpenSSL's: it
// takes and gives back a buffer for the records of a burst, for the library and for the test's own
// end of TLS. Sanitizers have their own.
#if SLUICE_TEST_OWN_MALLOC
namespace {
std::atomic<std::size_t> mallocs{0};
}
extern "C" {
void* __libc_malloc(std::size_t bytes);
void* __libc_calloc(std::size_t count, std::size_t bytes);
void* __libc_realloc(void* memory, std::size_t bytes);
void* malloc(std::size_t bytes) noexcept {
  mallocs.fetch_add(1, std::memory_order_relaxed);
  return __libc_malloc(bytes);
}
void* calloc(std::size_t count, std::size_t bytes) noexcept {
  mallocs.fetch_add(1, std::memory_order_relaxed);
  return __libc_calloc(count, bytes);
}
void* realloc(void* memory, std::size_t bytes) noexcept {
  mallocs.fetch_add(1, std::memory_order_relaxed);
  return __libc_realloc(memory, bytes);
}
void __libc_free(void* memory);
}
namespace {
// Before OpenSSL has taken anything: other programs' static objects may make it do so.
[[gnu::constructor(101)]] void leave_openssl_out() {
  const bool left_out =
      CRYPTO_set_mem_functions(
          [](std::size_t bytes, const char*, int) { return __libc_malloc(bytes); },
          [](void* memory, std::size_t bytes, const char*, int) {
            return __libc_realloc(memory, bytes);
          },
          [](void* memory, const char*, int) { __libc_free(memory); }) == 1;
  if (!left_out) {
    std::abort();
  }
}
} // namespace
#endif

namespace sluice::test {
namespace {

std::size_t malloc_count() {
#if SLUICE_TEST_OWN_MALLOC
  return mallocs.load(std::memory_order_relaxed);
#else
  return operator_new_count();
#endif
}

using websocket_memory = websocket_test;

// Runs `body` on a new thread, which makes its loop under the hooks of the moment and gives it
// back.
template <typename Body> void on_new_thread(Body body) {
  background(std::move(body)).join();
}

struct raw_receiver {
  std::array<char, 65536> room{};
  DWORD count = 0;
  WINHTTP_WEB_SOCKET_BUFFER_TYPE type{};

  DWORD operator()(HINTERNET socket) {
    return WinHttpWebSocketReceive(socket, room.data(), static_cast<DWORD>(room.size()), &count,
                                   &type);
  }
};

// One send call and no allocation: `wire` is as it leaves, over TLS sealed.
void send_raw(peer_connection& peer, const std::string& wire) {
  ASSERT_EQ(::send(peer.fd(), wire.data(), wire.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(wire.size()));
}
[[nodiscard]] std::string as_it_leaves(peer_connection& peer, const std::string& frames) {
  return peer.tls() != nullptr ? peer.tls()->seal(frames) : frames;
}

// Everything a message can be: whole, in fragments, empty, with a ping between, over several reads,
// larger than a receive buffer; sealed in advance, because the test's end of TLS allocates.
class rounds_of_messages {
public:
  static constexpr int messages_per_round = 5;
  static constexpr int warm_up = 50; // buffers, epoll tables and the read size settle
  static constexpr int measured = 1000;

  explicit rounds_of_messages(peer_connection& from) : from_(from) {
    const std::string frames =
        make_frame(binary_opcode, pattern_text(125)) +
        make_frame(text_opcode, std::string(64, 'a')) + make_frame(text_opcode, "\xE2\x82", false) +
        make_frame(ping_opcode, "p") + make_frame(continuation_opcode, "\xAC") +
        make_frame(binary_opcode, "") + make_frame(binary_opcode, pattern_text(20000));
    for (int i = 0; i < warm_up + measured; ++i) {
      wires_.push_back(as_it_leaves(from, frames));
    }
  }

  /// `receive_round` returns when all messages of a round have arrived.
  template <typename Receive> void expect_no_allocation(Receive receive_round) {
    std::size_t news = 0;
    std::size_t mallocs_before = 0;
    std::array<char, 4096> pongs{};
    for (int i = 0; i < warm_up + measured && !::testing::Test::HasFailure(); ++i) {
      if (i == warm_up) {
        news = operator_new_count();
        mallocs_before = malloc_count();
      }
      send_raw(from_, wires_[static_cast<std::size_t>(i)]);
      receive_round();
      (void)!::recv(from_.fd(), pongs.data(), pongs.size(), MSG_DONTWAIT);
    }
    EXPECT_EQ(operator_new_count() - news, 0u);
    EXPECT_EQ(malloc_count() - mallocs_before, 0u);
  }

private:
  peer_connection& from_;
  std::vector<std::string> wires_;
};

TEST_F(websocket_memory, no_allocation_per_received_message) {
  socket_pair pair;
  rounds_of_messages rounds(pair.peer());
  raw_receiver receiver;
  rounds.expect_no_allocation([&] {
    for (int messages = 0; messages < rounds_of_messages::messages_per_round;) {
      ASSERT_EQ(receiver(pair.handle()), ERROR_SUCCESS);
      messages += receiver.type == binary_message || receiver.type == utf8_message ? 1 : 0;
    }
  });
}

// Receives again inside each READ_COMPLETE.
struct looping_receiver {
  std::array<char, 65536> room{};
  std::atomic<int> messages{0};
  std::atomic<bool> broken{false};
  std::atomic<bool> closed{false};

  void post(HINTERNET socket) {
    if (post_receive(socket, room.data(), room.size()) != ERROR_SUCCESS) {
      broken = true;
    }
  }
  static void CALLBACK note(HINTERNET socket, DWORD_PTR context, DWORD status, LPVOID info, DWORD) {
    auto& self = *reinterpret_cast<looping_receiver*>(context);
    if (status != WINHTTP_CALLBACK_STATUS_READ_COMPLETE) {
      self.closed = true; // HANDLE_CLOSING: nothing comes behind it
      return;
    }
    const auto type = static_cast<const WINHTTP_WEB_SOCKET_STATUS*>(info)->eBufferType;
    self.post(socket);
    if (type == binary_message || type == utf8_message) {
      ++self.messages;
    }
  }
};

TEST_F(websocket_memory, no_allocation_per_message_received_asynchronously) {
  event posted;
  event measured;
  looping_receiver receiver;
  const open_peer peer([&](peer_connection& to) {
    rounds_of_messages rounds(to);
    posted.wait();
    int wanted = 0;
    rounds.expect_no_allocation([&] {
      wanted += rounds_of_messages::messages_per_round;
      while (receiver.messages < wanted) {
        ASSERT_FALSE(receiver.broken);
        ::sched_yield();
      }
    });
    measured.set();
    while (!to.read_raw().empty()) {
    }
  });
  {
    const async_client client(peer.port(), 0);
    auto context = reinterpret_cast<DWORD_PTR>(&receiver);
    ASSERT_TRUE(
        WinHttpSetOption(client.socket(), WINHTTP_OPTION_CONTEXT_VALUE, &context, sizeof(context)));
    WinHttpSetStatusCallback(client.socket(), &looping_receiver::note,
                             WINHTTP_CALLBACK_FLAG_READ_COMPLETE | WINHTTP_CALLBACK_FLAG_HANDLES,
                             0);
    receiver.post(client.socket());
    posted.set();
    measured.wait();
  }
  wait_until([&] { return receiver.closed.load(); });
}

TEST_F(websocket_memory, no_system_call_for_what_has_been_read) {
  socket_pair pair;
  constexpr int messages = 100; // they fit one buffer
  std::string wire;
  for (int i = 0; i < messages; ++i) {
    wire += make_frame(i % 2 == 0 ? binary_opcode : text_opcode, std::string(16, 'a'));
  }
  send_raw(pair.peer(), as_it_leaves(pair.peer(), wire));
  raw_receiver receiver;
  ASSERT_EQ(receiver(pair.handle()), ERROR_SUCCESS);
  const std::uint64_t before = recv_calls();
  EXPECT_NE(before, 0u);
  io::loop* ours = nullptr;
  ASSERT_EQ(io::loop::for_this_thread(ours), error::none);
  const std::uint64_t before_of_loop = ours->io().stats().system_calls;
  for (int i = 1; i < messages; ++i) {
    ASSERT_EQ(receiver(pair.handle()), ERROR_SUCCESS);
    ASSERT_EQ(receiver.count, 16u);
  }
  EXPECT_EQ(recv_calls(), before);
  EXPECT_EQ(ours->io().stats().system_calls, before_of_loop);
}

TEST_F(websocket_memory, one_copy_per_payload_byte) {
  socket_pair pair;
  std::uint64_t payload = 0;
  for (const std::size_t size : {0u, 1u, 125u, 126u, 5000u, 70000u, 1u << 20}) {
    background feeder([&] {
      pair.peer().send(make_frame(ping_opcode, "p") +
                       make_frame(binary_opcode, pattern_text(size), false) +
                       make_frame(continuation_opcode, pattern_text(size)));
    });
    ASSERT_EQ(receive_message(pair.handle(), 1000).bytes.size(), 2 * size);
    payload += 2 * size;
  }
  EXPECT_EQ(pair.object().received().payload_bytes, payload);
  EXPECT_EQ(pair.object().received().copied_bytes, payload);
}

TEST_F(websocket_memory, an_idle_connection_keeps_no_receive_buffer) {
  io::loop* ours = nullptr;
  ASSERT_EQ(io::loop::for_this_thread(ours), error::none);
  const std::size_t before = ours->buffers().lent_count();
  std::vector<std::unique_ptr<socket_pair>> pairs;
  for (int i = 0; i < 20; ++i) {
    pairs.push_back(std::make_unique<socket_pair>());
    socket_pair& pair = *pairs.back();
    pair.peer().send(make_frame(text_opcode, "hello") + make_frame(ping_opcode, "p"));
    ASSERT_EQ(receive(pair.handle()).bytes, "hello");
    pair.peer().send(make_frame(binary_opcode, pattern_text(3000)));
    ASSERT_EQ(receive_message(pair.handle()).bytes.size(), 3000u);
    EXPECT_EQ(ours->buffers().lent_count(), before);
  }
  // Also with half of a message received: what has come is with the application.
  for (const auto& pair : pairs) {
    pair->peer().send(make_frame(binary_opcode, "half of it").substr(0, 7));
    ASSERT_EQ(receive(pair->handle()).type, binary_fragment);
  }
  EXPECT_EQ(ours->buffers().lent_count(), before);
}

TEST_F(websocket_memory, a_socket_is_small) {
  // The object with everything it holds while idle; a receive buffer would be 4 KiB more.
  EXPECT_LE(sizeof(winhttp::websocket), 2048u);
}

TEST_F(websocket_memory, a_large_send_gives_its_buffer_back) {
  io::loop* ours = nullptr;
  ASSERT_EQ(io::loop::for_this_thread(ours), error::none);
  const std::size_t before = ours->buffers().lent_count();
  socket_pair pair;
  background drain([&] { (void)pair.peer().read_frame(); });
  EXPECT_EQ(send(pair.handle(), binary_message, pattern_text(3u << 20)), ERROR_SUCCESS);
  EXPECT_EQ(ours->buffers().lent_count(), before);
}

// Makes the Nth allocation of a call fail, for every N until the call works. Each attempt is on a
// thread of its own, because a thread's first call makes its loop.
template <typename Attempt> void fail_every_allocation(Attempt attempt) {
  counted_memory memory;
  bool worked = false;
  for (std::size_t n = 0; !worked; ++n) {
    ASSERT_LT(n, 200u) << "it never works";
    on_new_thread([&] {
      memory.allow(n);
      worked = attempt(memory);
      memory.allow_all();
    });
  }
}

TEST_F(websocket_memory, SND_a_send_without_memory_sends_nothing) {
  const std::string big = pattern_text(300000);
  socket_pair pair;
  background drain([&] {
    EXPECT_TRUE(pair.peer().read_frame().payload == big);
    EXPECT_EQ(pair.peer().read_frame().payload, "small");
  });
  fail_every_allocation([&](counted_memory& memory) {
    const DWORD code = send(pair.handle(), binary_message, big);
    if (code == ERROR_SUCCESS) {
      return true;
    }
    EXPECT_EQ(code, ERROR_NOT_ENOUGH_MEMORY);
    EXPECT_GT(memory.failures(), 0u);
    return false;
  });
  EXPECT_EQ(send(pair.handle(), binary_message, "small"), ERROR_SUCCESS);
}

TEST_F(websocket_memory, RCV_27_a_receive_without_memory_loses_nothing) {
  socket_pair pair;
  pair.peer().send(make_frame(text_opcode, "kept"));
  fail_every_allocation([&](counted_memory&) {
    const received got = receive(pair.handle());
    if (got.code == ERROR_SUCCESS) {
      EXPECT_EQ(got, (received{0, utf8_message, "kept"}));
      return true;
    }
    EXPECT_EQ(got.code, ERROR_NOT_ENOUGH_MEMORY);
    return false;
  });
}

TEST_F(websocket_memory, CTL_01_a_ping_is_answered_without_memory) {
  socket_pair pair;
  // One thread reads all three frames, another one, which cannot have a loop, meets the ping.
  pair.peer().send(make_frame(text_opcode, "first") + make_frame(ping_opcode, "p") +
                   make_frame(text_opcode, "second"));
  EXPECT_EQ(receive(pair.handle()), (received{0, utf8_message, "first"}));
  on_new_thread([&] {
    counted_memory memory;
    memory.allow(0);
    EXPECT_EQ(receive(pair.handle()), (received{0, utf8_message, "second"}));
    memory.allow_all();
  });
  EXPECT_EQ(pair.peer().read_frame().payload, "p");
}

// Our close frame may be out when memory runs out later in the call; nothing may follow it.
void expect_close_or_end(peer_connection& peer, bool worked) {
  if (worked) {
    EXPECT_EQ(peer.read_frame().opcode, close_opcode);
    return;
  }
  std::string wire;
  for (std::string more = peer.read_some(); !more.empty(); more = peer.read_some()) {
    wire += more;
  }
  constexpr std::size_t close_frame_bytes = 2 + 4 + 2;
  EXPECT_TRUE(wire.empty() || wire.size() == close_frame_bytes) << wire.size();
}

TEST_F(websocket_memory, CLO_07_a_close_without_memory_aborts) {
  counted_memory memory;
  bool worked = false;
  for (std::size_t n = 0; !worked; ++n) {
    ASSERT_LT(n, 200u);
    socket_pair pair;
    pair.peer().send(make_close(1000));
    on_new_thread([&] {
      memory.allow(n);
      const DWORD code = close(pair.handle());
      memory.allow_all();
      worked = code == ERROR_SUCCESS;
      if (!worked) {
        EXPECT_EQ(code, ERROR_NOT_ENOUGH_MEMORY);
        EXPECT_EQ(close(pair.handle()), ERROR_INVALID_OPERATION);
      }
    });
    expect_close_or_end(pair.peer(), worked);
  }
}

TEST_F(websocket_memory, SHD_13_a_shutdown_without_memory_aborts) {
  counted_memory memory;
  bool worked = false;
  for (std::size_t n = 0; !worked; ++n) {
    ASSERT_LT(n, 200u);
    socket_pair pair;
    on_new_thread([&] {
      memory.allow(n);
      const DWORD code = shutdown(pair.handle());
      memory.allow_all();
      worked = code == ERROR_SUCCESS;
      if (!worked) {
        EXPECT_EQ(code, ERROR_NOT_ENOUGH_MEMORY);
        EXPECT_EQ(shutdown(pair.handle()), ERROR_INVALID_OPERATION);
      }
    });
    expect_close_or_end(pair.peer(), worked);
  }
}

TEST_F(websocket_memory, CUP_06_an_upgrade_without_memory_leaves_the_request_as_it_was) {
  scripted_peer server([](scripted_peer& self) {
    peer_connection client = self.accept();
    client.handshake({}, make_frame(text_opcode, "greeting"));
    while (!client.read_some().empty()) {
    }
  });
  counted_memory memory;
  on_new_thread([&] {
    const api_request from(server.port());
    HINTERNET socket = nullptr;
    for (std::size_t n = 0; socket == nullptr; ++n) {
      ASSERT_LT(n, 200u);
      memory.allow(n);
      socket = WinHttpWebSocketCompleteUpgrade(from.request, 0);
      memory.allow_all();
      if (socket == nullptr) {
        EXPECT_EQ(GetLastError(), ERROR_NOT_ENOUGH_MEMORY);
      } else {
        EXPECT_GT(n, 0u);
      }
    }
    EXPECT_EQ(receive(socket), (received{0, utf8_message, "greeting"}));
    WinHttpCloseHandle(socket);
  });
}

// The handle's own object apart: what makes it asynchronous, and what its loop keeps for it.
TEST_F(websocket_memory, an_idle_asynchronous_connection_costs_at_most_1_KiB_of_heap) {
  constexpr std::size_t warm_up = 32; // and few enough for the first chunk of handles
  constexpr std::size_t count = 128;
  counted_memory memory;
  const HINTERNET session =
      WinHttpOpen(nullptr, WINHTTP_ACCESS_TYPE_NO_PROXY, nullptr, nullptr, WINHTTP_FLAG_ASYNC);
  const HINTERNET connection = WinHttpConnect(session, L"nobody", 80, 0);
  winhttp::async_loop* loop = nullptr;
  std::vector<peer_connection> peers;
  std::vector<HINTERNET> handles;
  peers.reserve(warm_up + count);
  handles.reserve(warm_up + count);
  {
    const winhttp::pin parent(connection);
    DWORD code = ERROR_SUCCESS;
    auto* const from = parent.as<winhttp::connection>(code);
    ASSERT_NE(from, nullptr);
    ASSERT_EQ(from->parent().next_loop(loop), ERROR_SUCCESS);
    loop->retain();
    std::size_t before = 0;
    for (std::size_t i = 0; i < warm_up + count; ++i) {
      if (i == warm_up) {
        before = memory.live_bytes();
      }
      int ends[2] = {-1, -1};
      ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
      peers.emplace_back(ends[1]);
      auto* const object = memory::create<winhttp::websocket>();
      handles.push_back(winhttp::open_handle(*object));
      ASSERT_EQ(object->become_asynchronous(*loop, *from, 32768), ERROR_SUCCESS);
      object->connect(io::stream(ends[0]), std::chrono::milliseconds(0), nullptr);
      object->asynchronous()->start();
      peers.back().send(make_frame(ping_opcode, "p")); // it has been at work
      ASSERT_EQ(peers.back().read_frame().opcode, pong_opcode);
    }
    const std::size_t each = (memory.live_bytes() - before) / count;
    RecordProperty("heap_bytes", static_cast<int>(each));
    EXPECT_LE(each, sizeof(winhttp::websocket) + 1024);
    EXPECT_GT(each, sizeof(winhttp::websocket)); // it was counted
  }
  for (const HINTERNET handle : handles) {
    EXPECT_EQ(winhttp::close_handle(handle), ERROR_SUCCESS);
  }
  for (peer_connection& peer : peers) {
    peer.expect_eof(); // the loop has let go of it
  }
  WinHttpCloseHandle(connection);
  WinHttpCloseHandle(session);
  const std::size_t with_loop = memory.live();
  loop->release();
  wait_until([&] { return memory.live() == 0; });
  EXPECT_GT(with_loop, 0u);
}

} // namespace
} // namespace sluice::test
