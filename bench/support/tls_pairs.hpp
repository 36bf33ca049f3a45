#pragma once

#include "core/buffer.hpp"
#include "io/tls_channel.hpp"
#include "support/test_ca.hpp"
#include "support/tls_peer.hpp"

#include <openssl/bio.h>
#include <openssl/ssl.h>

#include <cstddef>
#include <ctime>
#include <memory>
#include <span>
#include <string>
#include <vector>

/// Clients of the TLS benchmarks, ours and OpenSSL alone, whose servers are OpenSSL alone: TLS 1.3,
/// AES-128-GCM, the bytes in memory.
namespace sluice::bench {

inline constexpr std::size_t segment_bytes = 65536;
inline constexpr std::size_t room_bytes = 65536;

inline test::tls_server_settings server_settings() {
  return {.identity = test::tls_test_identity(), .tickets = 0, .suites = "TLS_AES_128_GCM_SHA256"};
}

inline double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// One received segment, whose memory outlives it.
class segment final : public buffer, public buffer_owner {
public:
  explicit segment(std::string& content) {
    bytes = reinterpret_cast<std::byte*>(content.data());
    capacity_bytes = static_cast<std::uint32_t>(content.size());
    owner = this;
  }
  void recycle(buffer& /*returned*/) noexcept override {}
};

inline std::vector<std::string> cut(const std::string& wire) {
  std::vector<std::string> pieces;
  for (std::size_t at = 0; at < wire.size(); at += segment_bytes) {
    pieces.push_back(wire.substr(at, segment_bytes));
  }
  return pieces;
}

// Our client end, and its server.
struct our_pair {
  our_pair() : server(server_settings()) {
    const std::string root = test::tls_test_authority().root();
    tls_settings settings;
    settings.ca_pem = test::bytes_of(root);
    io::tls_context_ref context;
    memory::unique<io::tls_engine> engine;
    if (io::tls_context::make_client(settings, context) != error::none ||
        io::tls_engine::make_client(context, {.host = "localhost"}, engine) != error::none) {
      return;
    }
    client = memory::make_unique<io::tls_channel>(std::move(engine));
    client->begin_writing();
    for (bool shaken = false; !shaken;) {
      const io::tls_status status = client->handshake();
      const std::span<const std::byte> out = client->unsent();
      shaken = server.shake({reinterpret_cast<const char*>(out.data()), out.size()});
      client->sent(out.size());
      std::string answer = server.take_output();
      give(answer);
      ok = shaken && status == io::tls_status::done;
    }
    client->end_writing();
  }

  void give(std::string& wire) {
    if (!wire.empty()) {
      kept.push_back(std::make_unique<segment>(wire));
      (void)client->receive({kept.back().get(), 0, static_cast<std::uint32_t>(wire.size())});
      std::byte nothing[1];
      std::size_t count = 0;
      if (client->handshake() == io::tls_status::done) {
        (void)client->read(-1, {nothing, 0}, count);
      }
    }
  }

  double receive(std::vector<std::string>& wire, std::byte* room, std::size_t expected) {
    std::vector<std::unique_ptr<segment>> segments;
    for (std::string& piece : wire) {
      segments.push_back(std::make_unique<segment>(piece));
    }
    std::size_t got = 0;
    const double before = cpu_seconds();
    for (const auto& one : segments) {
      (void)client->receive({one.get(), 0, one->capacity_bytes});
      std::size_t count = 0;
      while (client->pending_bytes() != 0 &&
             client->read(-1, {room, room_bytes}, count) == io::tls_status::done) {
        got += count;
      }
    }
    const double spent = cpu_seconds() - before;
    return got == expected ? spent : -1;
  }

  bool ok = false;
  test::tls_peer_end server;
  std::vector<std::unique_ptr<segment>> kept;
  memory::unique<io::tls_channel> client;
};

// OpenSSL alone as the client.
struct bare_pair {
  bare_pair() : server(server_settings()) {
    context = SSL_CTX_new(TLS_client_method());
    ssl = SSL_new(context);
    in = BIO_new(BIO_s_mem());
    out = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(in, -1);
    SSL_set_bio(ssl, in, out);
    SSL_set_connect_state(ssl);
    for (int turn = 0; turn < 4; ++turn) {
      ok = SSL_do_handshake(ssl) == 1;
      char* data = nullptr;
      const long size = BIO_get_mem_data(out, &data);
      (void)server.shake({data, static_cast<std::size_t>(size)});
      BIO_reset(out);
      const std::string answer = server.take_output();
      BIO_write(in, answer.data(), static_cast<int>(answer.size()));
    }
  }
  ~bare_pair() {
    SSL_free(ssl);
    SSL_CTX_free(context);
  }
  bare_pair(const bare_pair&) = delete;
  bare_pair& operator=(const bare_pair&) = delete;

  double receive(std::vector<std::string>& wire, std::byte* room, std::size_t expected) {
    std::size_t got = 0;
    double spent = 0;
    for (const std::string& piece : wire) {
      BIO_write(in, piece.data(), static_cast<int>(piece.size()));
      std::size_t count = 0;
      const double before = cpu_seconds();
      while (SSL_read_ex(ssl, room, room_bytes, &count) == 1) {
        got += count;
      }
      spent += cpu_seconds() - before;
    }
    return got == expected ? spent : -1;
  }

  bool ok = false;
  test::tls_peer_end server;
  SSL_CTX* context = nullptr;
  SSL* ssl = nullptr;
  BIO* in = nullptr;
  BIO* out = nullptr;
};

} // namespace sluice::bench
