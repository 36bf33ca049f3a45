// api/receive_tls/<frame bytes>: from received segments of 64 KiB through our TLS and
// WinHttpWebSocketReceive to the caller's memory, of 64 KiB; no socket. Each frame is a binary
// message and begins with a record; one of more than 16 KiB goes on over several.
//
// Time is CPU time. Beside ours stands OpenSSL alone: SSL_read_ex into the caller's memory, frames
// and all. `ratio` is its time over ours. `ratio_direct` is the same for OpenSSL alone with a call
// of SSL_read_ex for the header of each frame, and others that bring its payload straight into the
// caller's memory: what a receiver that does so could at best be like.

#include "bench/api/bare_socket.hpp"
#include "bench/support/tls_pairs.hpp"
#include "support/frames.hpp"

#include <benchmark/benchmark.h>

#include <sys/eventfd.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace sluice {
namespace {

using bench::cpu_seconds;

constexpr std::size_t batch_bytes = std::size_t{1} << 20;

struct workload {
  explicit workload(std::size_t one_frame_bytes)
      : frame_bytes(one_frame_bytes),
        record_bytes(std::min(frame_bytes, io::max_record_plain_bytes)) {
    const test::frame_maker make{role::client};
    for (header_bytes = 2; make.header(0x82, frame_bytes - header_bytes).size() != header_bytes;) {
      ++header_bytes;
    }
    const test::bytes frame =
        make.frame(opcode::binary, true, test::pattern(frame_bytes - header_bytes));
    for (std::size_t left = batch_bytes / frame_bytes; left != 0; --left) {
      plain.append(reinterpret_cast<const char*>(frame.data()), frame.size());
    }
  }
  [[nodiscard]] std::size_t records() const { return plain.size() / record_bytes; }

  std::size_t frame_bytes;
  std::size_t record_bytes;
  std::size_t header_bytes = 0;
  std::string plain;
};

struct receiver {
  receiver() : channel(tls.client.get()) {
    if (tls.ok) { // nothing is read from the descriptor or written to it
      socket.connect(io::stream(::eventfd(0, EFD_CLOEXEC), std::move(tls.client)));
    }
  }

  // CPU seconds, or -1 when bytes are missing. As OpenSSL alone gets a segment by BIO_write(), it
  // is copied to where it is received before the clock starts.
  double receive(const std::vector<std::string>& wire, std::vector<std::byte>& to,
                 const workload& work, std::size_t sealed_record_bytes) {
    double spent = 0;
    bool ok = true;
    std::size_t received_bytes = 0; // ciphertext
    std::size_t there_bytes = 0;    // of whole records, headers and payload
    std::size_t taken_bytes = 0;
    bool message_begins = true;
    for (const std::string& piece : wire) {
      turn ^= 1;
      landing& now = landings[turn];
      now.bytes.assign(piece);
      now.segment.emplace(now.bytes);
      received_bytes += piece.size();
      there_bytes = received_bytes / sealed_record_bytes * work.record_bytes;
      const double began = cpu_seconds();
      ok = channel->receive({&*now.segment, 0, static_cast<std::uint32_t>(piece.size())}) && ok;
      while (taken_bytes < there_bytes && ok) {
        DWORD read_bytes = 0;
        auto type = WINHTTP_WEB_SOCKET_CLOSE_BUFFER_TYPE;
        ok = WinHttpWebSocketReceive(socket.handle(), to.data(), static_cast<DWORD>(to.size()),
                                     &read_bytes, &type) == ERROR_SUCCESS;
        taken_bytes += read_bytes + (message_begins ? work.header_bytes : 0);
        message_begins = type == WINHTTP_WEB_SOCKET_BINARY_MESSAGE_BUFFER_TYPE;
      }
      spent += cpu_seconds() - began;
    }
    return ok && taken_bytes == work.plain.size() ? spent : -1;
  }

  bench::our_pair tls;
  io::tls_channel* channel;
  bench::bare_socket socket;
  // Two, because the end of a segment is read with the next one.
  struct landing {
    std::string bytes;
    std::optional<bench::segment> segment;
  };
  landing landings[2];
  unsigned turn = 0;
};

double receive_direct(bench::bare_pair& bare, const std::vector<std::string>& wire,
                      std::vector<std::byte>& to, const workload& work) {
  double spent = 0;
  std::size_t taken_bytes = 0;
  std::byte header[16];
  std::size_t header_left = work.header_bytes;
  std::size_t payload_left = 0;
  for (const std::string& piece : wire) {
    BIO_write(bare.in, piece.data(), static_cast<int>(piece.size()));
    const double before = cpu_seconds();
    for (;;) {
      std::byte* const at = header_left != 0 ? header : to.data();
      std::size_t& left = header_left != 0 ? header_left : payload_left;
      std::size_t count = 0;
      if (SSL_read_ex(bare.ssl, at, std::min(left, to.size()), &count) != 1) {
        break;
      }
      taken_bytes += count;
      left -= count;
      if (header_left == 0 && payload_left == 0) {
        (at == header ? payload_left : header_left) =
            at == header ? work.frame_bytes - work.header_bytes : work.header_bytes;
      }
    }
    spent += cpu_seconds() - before;
  }
  return taken_bytes == work.plain.size() ? spent : -1;
}

void receive_tls(benchmark::State& state) {
  const workload work(static_cast<std::size_t>(state.range(0)));
  receiver ours;
  bench::bare_pair bare;
  bench::bare_pair direct;
  if (!ours.tls.ok || !bare.ok || !direct.ok || ours.socket.handle() == nullptr) {
    state.SkipWithError("handshake");
    return;
  }
  std::vector<std::byte> room(bench::room_bytes);
  double our_seconds = 0;
  double bare_seconds = 0;
  double direct_seconds = 0;
  for (auto _ : state) {
    const std::string sealed = ours.tls.server.seal(work.plain, work.record_bytes);
    std::vector<std::string> for_bare = bench::cut(bare.server.seal(work.plain, work.record_bytes));
    const std::vector<std::string> for_direct =
        bench::cut(direct.server.seal(work.plain, work.record_bytes));
    const double mine =
        ours.receive(bench::cut(sealed), room, work, sealed.size() / work.records());
    const double theirs = bare.receive(for_bare, room.data(), work.plain.size());
    const double thought = receive_direct(direct, for_direct, room, work);
    if (mine < 0 || theirs < 0 || thought < 0) {
      state.SkipWithError("bytes are missing");
      return;
    }
    our_seconds += mine;
    bare_seconds += theirs;
    direct_seconds += thought;
    state.SetIterationTime(mine);
  }
  const double records =
      static_cast<double>(state.iterations()) * static_cast<double>(work.records());
  state.counters["ns_per_record"] = our_seconds * 1e9 / records;
  state.counters["ns_per_record_bare"] = bare_seconds * 1e9 / records;
  state.counters["ratio"] = bare_seconds / our_seconds;
  state.counters["ratio_direct"] = bare_seconds / direct_seconds;
}

BENCHMARK(receive_tls)
    ->Name("api/receive_tls")
    ->Arg(125)
    ->Arg(1024)
    ->Arg(16384)
    ->Arg(65536)
    ->Arg(1048576)
    ->UseManualTime();

} // namespace
} // namespace sluice
