#include "bench/support/blaster.hpp"

#include "bench/support/cpu.hpp"

#include <openssl/evp.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>
#include <system_error>

namespace sluice::bench {

namespace {

// Big enough that send() is called rarely, small enough to stay in the second-level cache.
constexpr std::size_t batch_bytes = std::size_t{256} << 10;

std::string frame_header(const traffic& what) {
  std::string header(1, what.text ? '\x81' : '\x82'); // FIN and opcode, RFC 6455 section 5.2
  const auto append_big_endian = [&header](std::size_t value, int bytes) {
    for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8) {
      header += static_cast<char>((value >> shift) & 0xff);
    }
  };
  if (what.message_bytes <= 125) {
    append_big_endian(what.message_bytes, 1);
  } else if (what.message_bytes <= 0xffff) {
    append_big_endian(126, 1);
    append_big_endian(what.message_bytes, 2);
  } else {
    append_big_endian(127, 1);
    append_big_endian(what.message_bytes, 8);
  }
  return header;
}

std::string payload(const traffic& what) {
  std::string bytes(what.message_bytes, '\0');
  std::uint32_t state = 1;
  for (char& byte : bytes) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<char>(what.text ? ' ' + (state >> 24) % 95 : state >> 24);
  }
  return bytes;
}

// Sec-WebSocket-Accept for a key, RFC 6455 section 4.2.2.
std::string accept_value(std::string_view key) {
  const std::string input = std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned digest_bytes = 0;
  EVP_Digest(input.data(), input.size(), digest.data(), &digest_bytes, EVP_sha1(), nullptr);
  std::array<unsigned char, 64> encoded;
  const int length = EVP_EncodeBlock(encoded.data(), digest.data(), static_cast<int>(digest_bytes));
  return {encoded.begin(), encoded.begin() + length};
}

bool send_all(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno != EINTR) {
      return false;
    }
    bytes.remove_prefix(sent < 0 ? 0 : static_cast<std::size_t>(sent));
  }
  return true;
}

} // namespace

blaster::blaster(const traffic& what, unsigned cpu) {
  const std::string header = frame_header(what);
  header_bytes_ = header.size();
  const std::string message = header + payload(what);
  do {
    batch_ += message;
  } while (batch_.size() + message.size() <= batch_bytes);

  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (listener_ < 0 || bind(listener_, generic, length) != 0 || listen(listener_, 4) != 0 ||
      getsockname(listener_, generic, &length) != 0) {
    throw std::system_error(errno, std::generic_category(), "blaster");
  }
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this, cpu] { run(cpu); });
}

blaster::~blaster() {
  shutdown(listener_, SHUT_RDWR); // ends accept()
  thread_.join();
  close(listener_);
}

void blaster::run(unsigned cpu) const {
  pin_this_thread(cpu);
  for (;;) {
    const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) {
      if (errno == EINTR || errno == ECONNABORTED) {
        continue;
      }
      return;
    }
    serve(client);
    close(client);
  }
}

void blaster::serve(int client) const {
  const int on = 1;
  setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  std::string head;
  while (head.find("\r\n\r\n") == std::string::npos) {
    std::array<char, 2048> piece;
    const ssize_t got = recv(client, piece.data(), piece.size(), 0);
    if (got <= 0) {
      return;
    }
    head.append(piece.data(), static_cast<std::size_t>(got));
  }
  constexpr std::string_view name = "\r\nSec-WebSocket-Key: ";
  const std::size_t at = head.find(name);
  if (at == std::string::npos) {
    return;
  }
  const std::size_t begin = at + name.size();
  const std::string key = head.substr(begin, head.find("\r\n", begin) - begin);
  if (!send_all(client, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Accept: " +
                            accept_value(key) + "\r\n\r\n")) {
    return;
  }
  while (send_all(client, batch_)) {
  }
}

} // namespace sluice::bench
