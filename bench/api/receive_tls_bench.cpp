// api/receive_tls/<record bytes>: from received segments of 64 KiB through our TLS and
// WinHttpWebSocketReceive to the caller's memory, one binary message in each record; no socket.
// What io/stream_tls.cpp does between the two is done here: decrypt into a buffer of 64 KiB, which
// goes into the handle's inbox.
//
// Time is CPU time. Beside ours stands OpenSSL alone: SSL_read_ex into the caller's memory, frames
// and all. `ratio` is its time over ours. `ratio_direct` is the same for a receiver that there is
// not: two calls of SSL_read_ex for each frame, for its header and, straight into the caller's
// memory, for its payload. It is what decrypting into the caller's buffer could at best be like.

#include "bench/api/bare_socket.hpp"
#include "bench/support/tls_pairs.hpp"
#include "support/frames.hpp"

#include <benchmark/benchmark.h>

#include <utility>

namespace sluice {
namespace {

using bench::cpu_seconds;

constexpr std::size_t batch_bytes = std::size_t{1} << 20;

// A buffer of the pool: lent, and back when its slice is consumed.
class plain_buffer final : public buffer, public buffer_owner {
public:
  plain_buffer() : memory_(bench::room_bytes) {
    bytes = memory_.data();
    capacity_bytes = static_cast<std::uint32_t>(memory_.size());
    owner = this;
  }
  void recycle(buffer& /*returned*/) noexcept override {}

private:
  std::vector<std::byte> memory_;
};

struct receiver {
  bench::our_pair tls;
  plain_buffer plain;
  bench::bare_socket socket;

  // CPU seconds, or -1 when bytes are missing.
  double receive(std::vector<std::string>& wire, std::vector<std::byte>& to, std::size_t messages,
                 std::size_t record_bytes, std::size_t payload_bytes) {
    std::vector<std::unique_ptr<bench::segment>> segments;
    for (std::string& piece : wire) {
      segments.push_back(std::make_unique<bench::segment>(piece));
    }
    std::size_t got = 0;
    bool ok = true;
    const double before = cpu_seconds();
    for (const auto& one : segments) {
      ok = tls.client->receive({one.get(), 0, one->capacity_bytes}) && ok;
      std::size_t count = 0;
      while (tls.client->pending_bytes() != 0 &&
             tls.client->read({plain.bytes, plain.capacity_bytes}, count) == io::tls_status::done) {
        ok = socket.inbox().push({&plain, 0, static_cast<std::uint32_t>(count)}) && ok;
        for (std::size_t left = count / record_bytes; left != 0; --left) {
          DWORD read_bytes = 0;
          auto type = WINHTTP_WEB_SOCKET_CLOSE_BUFFER_TYPE;
          ok = WinHttpWebSocketReceive(socket.handle(), to.data(), static_cast<DWORD>(to.size()),
                                       &read_bytes, &type) == ERROR_SUCCESS &&
               read_bytes == payload_bytes && ok;
          ++got;
        }
      }
    }
    const double spent = cpu_seconds() - before;
    return ok && got == messages ? spent : -1;
  }
};

double receive_direct(bench::bare_pair& bare, const std::vector<std::string>& wire,
                      std::vector<std::byte>& to, std::size_t header_bytes,
                      std::size_t payload_bytes) {
  double spent = 0;
  std::byte header[16];
  std::size_t wanted = header_bytes;
  for (const std::string& piece : wire) {
    BIO_write(bare.in, piece.data(), static_cast<int>(piece.size()));
    std::size_t count = 0;
    const double before = cpu_seconds();
    while (SSL_read_ex(bare.ssl, wanted == header_bytes ? header : to.data(), wanted, &count) ==
           1) {
      if (count != wanted) {
        return -1;
      }
      wanted = wanted == header_bytes ? payload_bytes : header_bytes;
    }
    spent += cpu_seconds() - before;
  }
  return spent;
}

void receive_tls(benchmark::State& state) {
  const auto record_bytes = static_cast<std::size_t>(state.range(0));
  const test::frame_maker make{role::client};
  const std::size_t header_bytes = make.header(0x82, record_bytes - 4).size();
  const std::size_t payload_bytes = record_bytes - header_bytes;
  const test::bytes frame = make.frame(opcode::binary, true, test::pattern(payload_bytes));
  const std::size_t messages = batch_bytes / record_bytes;
  std::string plain;
  for (std::size_t i = 0; i < messages; ++i) {
    plain.append(reinterpret_cast<const char*>(frame.data()), frame.size());
  }
  receiver ours;
  bench::bare_pair bare;
  bench::bare_pair direct;
  if (!ours.tls.ok || !bare.ok || !direct.ok || frame.size() != record_bytes) {
    state.SkipWithError("handshake");
    return;
  }
  std::vector<std::byte> room(bench::room_bytes);
  double our_seconds = 0;
  double bare_seconds = 0;
  double direct_seconds = 0;
  for (auto _ : state) {
    std::vector<std::string> for_us = bench::cut(ours.tls.server.seal(plain, record_bytes));
    std::vector<std::string> for_bare = bench::cut(bare.server.seal(plain, record_bytes));
    const std::vector<std::string> for_direct = bench::cut(direct.server.seal(plain, record_bytes));
    const double mine = ours.receive(for_us, room, messages, record_bytes, payload_bytes);
    const double theirs = bare.receive(for_bare, room.data(), plain.size());
    const double thought = receive_direct(direct, for_direct, room, header_bytes, payload_bytes);
    if (mine < 0 || theirs < 0 || thought < 0) {
      state.SkipWithError("bytes are missing");
      return;
    }
    our_seconds += mine;
    bare_seconds += theirs;
    direct_seconds += thought;
    state.SetIterationTime(mine);
  }
  const double records = static_cast<double>(state.iterations()) * static_cast<double>(messages);
  state.counters["ns_per_record"] = our_seconds * 1e9 / records;
  state.counters["ns_per_record_bare"] = bare_seconds * 1e9 / records;
  state.counters["ratio"] = bare_seconds / our_seconds;
  state.counters["ratio_direct"] = bare_seconds / direct_seconds;
}

BENCHMARK(receive_tls)->Name("api/receive_tls")->Arg(125)->Arg(1024)->Arg(16384)->UseManualTime();

} // namespace
} // namespace sluice
