#include "tests/interop/common.hpp"

#include <linux/io_uring.h>
#include <openssl/evp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstring>

namespace interop {

bool io_uring_allowed() {
  io_uring_params settings;
  std::memset(&settings, 0, sizeof(settings));
  settings.flags = IORING_SETUP_SINGLE_ISSUER | (1U << 13); // IORING_SETUP_DEFER_TASKRUN
  const long ring = syscall(__NR_io_uring_setup, 4, &settings);
  if (ring >= 0) {
    close(static_cast<int>(ring));
  }
  return ring >= 0;
}

std::string describe(bool text, const std::string& payload) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned digest_bytes = 0;
  EVP_Digest(payload.data(), payload.size(), digest.data(), &digest_bytes, EVP_sha256(), nullptr);
  std::string hex;
  for (unsigned i = 0; i < digest_bytes; ++i) {
    hex += "0123456789abcdef"[digest[i] >> 4];
    hex += "0123456789abcdef"[digest[i] & 15];
  }
  return (text ? "text " : "binary ") + std::to_string(payload.size()) + " " + hex;
}

} // namespace interop
