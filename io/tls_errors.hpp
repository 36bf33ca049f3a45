#pragma once

#include <openssl/err.h>

namespace sluice::io {

/// Takes all errors off OpenSSL's queue of this thread; true if memory was the reason of one. Most
/// of its functions say no more than that they failed.
[[nodiscard]] inline bool take_errors_and_lacked_memory() noexcept {
  bool lacked = false;
  while (const unsigned long code = ::ERR_get_error()) {
    lacked = lacked || ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE;
  }
  return lacked;
}

/// Before a call after which SSL_get_error() is asked, which takes any old error for one of this
/// call. Asking first, because clearing an empty queue is dear (perf-notes.md, section 6).
inline void forget_errors() noexcept {
  if (::ERR_peek_error() != 0) {
    ::ERR_clear_error();
  }
}

} // namespace sluice::io
