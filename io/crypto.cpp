#include "io/crypto.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace sluice::io {
namespace {

constexpr std::size_t nonce_bytes = 16;
constexpr std::size_t sha1_bytes = 20;

// RFC 6455 section 1.3: what both sides append to the key before hashing.
constexpr char accept_guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
constexpr std::size_t accept_guid_bytes = sizeof accept_guid - 1;

// EVP_EncodeBlock also writes a NUL, for which the fixed arrays have no room.
template <std::size_t Bytes, std::size_t Chars>
bool base64(const std::array<unsigned char, Bytes>& from, std::array<char, Chars>& to) noexcept {
  static_assert(Chars == (Bytes + 2) / 3 * 4);
  std::array<unsigned char, Chars + 1> text;
  if (::EVP_EncodeBlock(text.data(), from.data(), static_cast<int>(Bytes)) !=
      static_cast<int>(Chars)) {
    return false;
  }
  std::memcpy(to.data(), text.data(), Chars);
  return true;
}

} // namespace

bool random_bytes(std::span<std::byte> to) noexcept {
  while (!to.empty()) {
    const std::size_t count = std::min<std::size_t>(to.size(), std::size_t{1} << 20);
    if (::RAND_bytes(reinterpret_cast<unsigned char*>(to.data()), static_cast<int>(count)) != 1) {
      return false;
    }
    to = to.subspan(count);
  }
  return true;
}

bool make_handshake_key(handshake_key& made) noexcept {
  std::array<unsigned char, nonce_bytes> nonce;
  if (!random_bytes(std::as_writable_bytes(std::span(nonce))) || !base64(nonce, made.key)) {
    return false;
  }
  return make_handshake_accept(made);
}

bool make_handshake_accept(handshake_key& made) noexcept {
  std::array<char, std::tuple_size_v<decltype(made.key)> + accept_guid_bytes> hashed;
  std::memcpy(hashed.data(), made.key.data(), made.key.size());
  std::memcpy(hashed.data() + made.key.size(), accept_guid, accept_guid_bytes);
  std::array<unsigned char, sha1_bytes> digest;
  unsigned int digest_bytes = 0;
  if (::EVP_Digest(hashed.data(), hashed.size(), digest.data(), &digest_bytes, ::EVP_sha1(),
                   nullptr) != 1 ||
      digest_bytes != sha1_bytes) {
    return false;
  }
  return base64(digest, made.accept);
}

void append_base64(memory::growable<char>& to, std::span<const std::byte> bytes) noexcept {
  constexpr std::size_t piece_bytes = 48; // a multiple of 3: no padding inside
  unsigned char text[piece_bytes / 3 * 4 + 1];
  while (!bytes.empty()) {
    const std::size_t count = std::min(bytes.size(), piece_bytes);
    const int made = ::EVP_EncodeBlock(text, reinterpret_cast<const unsigned char*>(bytes.data()),
                                       static_cast<int>(count));
    to.append(reinterpret_cast<const char*>(text), static_cast<std::size_t>(made));
    bytes = bytes.subspan(count);
  }
  ::OPENSSL_cleanse(text, sizeof text);
}

void wipe(std::span<std::byte> secret) noexcept {
  if (!secret.empty()) {
    ::OPENSSL_cleanse(secret.data(), secret.size());
  }
}

void keep_crypto_at_exit() noexcept {
  (void)::OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, nullptr);
}

} // namespace sluice::io
