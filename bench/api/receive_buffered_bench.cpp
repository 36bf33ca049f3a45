// api/receive_buffered/<binary|text>/<payload bytes>: WinHttpWebSocketReceive, through a real
// handle, on messages that are already in the connection's inbox (text: ASCII). The socket below is
// closed: a call that went to the kernel would fail, and the benchmark with it.
// api/floor/memcpy/<payload bytes>: the copies of the same bytes alone.
// time_per_message is the figure; an iteration is a 64 KiB slice of messages, one message at least.

#include "bench/api/bare_socket.hpp"
#include "support/frames.hpp"
#include "support/slices.hpp"

#include <benchmark/benchmark.h>

#include <cstring>
#include <string>

namespace sluice {
namespace {

using test::bytes;

constexpr std::size_t slice_bytes = std::size_t{64} << 10;

enum class content { binary, text };

struct traffic {
  bytes wire;
  std::size_t messages = 0;
  std::size_t payload_bytes = 0; // of one message
  std::size_t header_bytes = 0;
};

traffic messages_of(content what, std::size_t payload_bytes) {
  const test::frame_maker make{role::client};
  const bytes frame = what == content::binary
                          ? make.frame(opcode::binary, true, test::pattern(payload_bytes))
                          : make.frame(opcode::text, true, test::letters(payload_bytes));
  traffic made;
  made.payload_bytes = payload_bytes;
  made.header_bytes = frame.size() - payload_bytes;
  do {
    test::append(made.wire, frame);
    ++made.messages;
  } while (made.wire.size() + frame.size() <= slice_bytes);
  return made;
}

void count(benchmark::State& state, const traffic& sent) {
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) *
                          static_cast<std::int64_t>(sent.messages * sent.payload_bytes));
  state.counters["time_per_message"] = benchmark::Counter(
      static_cast<double>(sent.messages),
      benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

void receive_buffered(benchmark::State& state, content what, std::size_t payload_bytes) {
  traffic sent = messages_of(what, payload_bytes);
  test::lent_buffer_owner owner(sent.wire);
  bench::bare_socket socket;
  const auto expected = what == content::binary ? WINHTTP_WEB_SOCKET_BINARY_MESSAGE_BUFFER_TYPE
                                                : WINHTTP_WEB_SOCKET_UTF8_MESSAGE_BUFFER_TYPE;
  bytes to(slice_bytes + 16);
  for (auto _ : state) {
    if (!socket.inbox().push(owner.lend())) {
      state.SkipWithError("no memory");
      return;
    }
    for (std::size_t i = 0; i < sent.messages; ++i) {
      DWORD got = 0;
      auto type = WINHTTP_WEB_SOCKET_CLOSE_BUFFER_TYPE;
      const DWORD code = WinHttpWebSocketReceive(socket.handle(), to.data(),
                                                 static_cast<DWORD>(to.size()), &got, &type);
      if (code != ERROR_SUCCESS || got != payload_bytes || type != expected) {
        state.SkipWithError("a message was not received whole");
        return;
      }
    }
    benchmark::ClobberMemory();
  }
  count(state, sent);
}

void copy_alone(benchmark::State& state, std::size_t payload_bytes) {
  const traffic sent = messages_of(content::binary, payload_bytes);
  bytes to(slice_bytes + 16);
  for (auto _ : state) {
    const std::byte* at = sent.wire.data();
    for (std::size_t i = 0; i < sent.messages; ++i) {
      at += sent.header_bytes;
      std::memcpy(to.data(), at, sent.payload_bytes);
      at += sent.payload_bytes;
      benchmark::ClobberMemory();
    }
  }
  count(state, sent);
}

const bool registered = [] {
  for (const std::size_t size : {16u, 125u, 1024u, 65536u}) {
    const std::string suffix = std::to_string(size);
    benchmark::RegisterBenchmark(("api/floor/memcpy/" + suffix).c_str(),
                                 [size](benchmark::State& state) { copy_alone(state, size); });
    for (const content what : {content::binary, content::text}) {
      benchmark::RegisterBenchmark(
          ("api/receive_buffered/" + std::string(what == content::binary ? "binary/" : "text/") +
           suffix)
              .c_str(),
          [=](benchmark::State& state) { receive_buffered(state, what, size); });
    }
  }
  return true;
}();

} // namespace
} // namespace sluice
