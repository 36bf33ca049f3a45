#include "support/tls_record.hpp"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/ssl.h>

#include <stdexcept>
#include <vector>

namespace sluice::test {
namespace {

constexpr std::size_t nonce_bytes = 12;
constexpr std::size_t tag_bytes = 16;
constexpr unsigned application_data = 23;

void check(bool ok, const char* what) {
  if (!ok) {
    throw std::runtime_error(std::string("tls record: ") + what);
  }
}

unsigned char* bytes_of(std::string& text) {
  return reinterpret_cast<unsigned char*>(text.data());
}

void append_number(std::string& to, std::uint64_t value, unsigned bytes) {
  for (unsigned i = bytes; i-- > 0;) {
    to.push_back(static_cast<char>((value >> (8 * i)) & 0xFF));
  }
}

std::string derive(const char* kdf_name, const std::vector<OSSL_PARAM>& how, std::size_t count) {
  EVP_KDF* const kdf = EVP_KDF_fetch(nullptr, kdf_name, nullptr);
  EVP_KDF_CTX* const context = EVP_KDF_CTX_new(kdf);
  std::string made(count, '\0');
  const bool ok = EVP_KDF_derive(context, bytes_of(made), count, how.data()) == 1;
  EVP_KDF_CTX_free(context);
  EVP_KDF_free(kdf);
  check(ok, "no keys");
  return made;
}

OSSL_PARAM octets(const char* name, std::string& value) {
  return OSSL_PARAM_construct_octet_string(name, value.data(), value.size());
}

// RFC 8446 section 7.1, without a context.
std::string expand_label(std::string digest, std::string secret, std::string_view label,
                         std::size_t count) {
  std::string info;
  append_number(info, count, 2);
  append_number(info, 6 + label.size(), 1);
  info.append("tls13 ").append(label).push_back('\0');
  int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
  return derive("HKDF",
                {OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
                 OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest.data(), 0),
                 octets(OSSL_KDF_PARAM_KEY, secret), octets(OSSL_KDF_PARAM_INFO, info),
                 OSSL_PARAM_construct_end()},
                count);
}

} // namespace

tls_record_sealer::tls_record_sealer(ssl_st* of, std::string_view secret, std::uint64_t sequence)
    : newest_(SSL_version(of) == TLS1_3_VERSION), sequence_(sequence) {
  const SSL_CIPHER* const suite = SSL_get_current_cipher(of);
  const EVP_CIPHER* const cipher = EVP_get_cipherbynid(SSL_CIPHER_get_cipher_nid(suite));
  check(cipher != nullptr && EVP_CIPHER_get_mode(cipher) == EVP_CIPH_GCM_MODE, "not AES-GCM");
  const auto key_bytes = static_cast<std::size_t>(EVP_CIPHER_get_key_length(cipher));
  const std::string digest = EVP_MD_get0_name(SSL_CIPHER_get_handshake_digest(suite));
  if (newest_) {
    key_ = expand_label(digest, std::string(secret), "key", key_bytes);
    iv_ = expand_label(digest, std::string(secret), "iv", nonce_bytes);
    return;
  }
  // RFC 5246 section 6.3: both keys, then both salts, the client's first.
  constexpr std::size_t random_bytes = 32;
  constexpr std::size_t salt_bytes = 4;
  std::string master(SSL_MAX_MASTER_KEY_LENGTH, '\0');
  master.resize(SSL_SESSION_get_master_key(SSL_get_session(of), bytes_of(master), master.size()));
  std::string seed("key expansion");
  seed.resize(seed.size() + 2 * random_bytes);
  SSL_get_server_random(of, bytes_of(seed) + seed.size() - 2 * random_bytes, random_bytes);
  SSL_get_client_random(of, bytes_of(seed) + seed.size() - random_bytes, random_bytes);
  std::string digest_name = digest;
  const std::string block =
      derive("TLS1-PRF",
             {OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest_name.data(), 0),
              octets(OSSL_KDF_PARAM_SECRET, master), octets(OSSL_KDF_PARAM_SEED, seed),
              OSSL_PARAM_construct_end()},
             2 * (key_bytes + salt_bytes));
  const std::size_t second = SSL_is_server(of) != 0 ? 1 : 0;
  key_ = block.substr(second * key_bytes, key_bytes);
  iv_ = block.substr(2 * key_bytes + second * salt_bytes, salt_bytes);
}

std::string tls_record_sealer::seal(unsigned type, std::string_view content) {
  std::string number;
  append_number(number, sequence_++, 8);
  std::string plain(content);
  std::string nonce = iv_;
  std::string explicit_nonce;
  std::string header;
  std::string covered;
  if (newest_) {
    plain.push_back(static_cast<char>(type));
    for (std::size_t i = 0; i < number.size(); ++i) {
      nonce[nonce_bytes - number.size() + i] =
          static_cast<char>(nonce[nonce_bytes - number.size() + i] ^ number[i]);
    }
    append_number(header, application_data, 1);
  } else {
    explicit_nonce = number; // any that does not come twice
    nonce += explicit_nonce;
    append_number(header, type, 1);
    covered = number;
    append_number(covered, type, 1);
    append_number(covered, 0x0303, 2);
    append_number(covered, plain.size(), 2);
  }
  append_number(header, 0x0303, 2);
  append_number(header, explicit_nonce.size() + plain.size() + tag_bytes, 2);
  if (newest_) {
    covered = header;
  }
  std::string sealed(plain.size(), '\0');
  std::string tag(tag_bytes, '\0');
  EVP_CIPHER_CTX* const context = EVP_CIPHER_CTX_new();
  int count = 0;
  const bool ok =
      EVP_EncryptInit_ex(context, key_.size() == 16 ? EVP_aes_128_gcm() : EVP_aes_256_gcm(),
                         nullptr, bytes_of(key_), bytes_of(nonce)) == 1 &&
      EVP_EncryptUpdate(context, nullptr, &count, bytes_of(covered),
                        static_cast<int>(covered.size())) == 1 &&
      EVP_EncryptUpdate(context, bytes_of(sealed), &count, bytes_of(plain),
                        static_cast<int>(plain.size())) == 1 &&
      EVP_EncryptFinal_ex(context, nullptr, &count) == 1 &&
      EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, tag_bytes, tag.data()) == 1;
  EVP_CIPHER_CTX_free(context);
  check(ok, "cannot encrypt");
  return header + explicit_nonce + sealed + tag;
}

} // namespace sluice::test
