#include "io/system_error.hpp"

#include <cerrno>

namespace sluice::io {

error error_from_errno(int number) noexcept {
  switch (number) {
  case 0:
    return error::none;
  case ENOMEM:
  case ENOBUFS:
    return error::no_memory;
  case EMFILE:
  case ENFILE:
    return error::out_of_descriptors;
  case ECANCELED:
    return error::cancelled;
  case ECONNRESET:
  case ECONNABORTED:
  case ECONNREFUSED:
  case EPIPE:
  case ETIMEDOUT: // keep-alive or retransmission gave up: the connection is gone
  case ENOTCONN:
  case ESHUTDOWN:
  case EHOSTUNREACH:
  case EHOSTDOWN:
  case ENETUNREACH:
  case ENETDOWN:
  case ENETRESET:
  case EPROTO:
    return error::connection_lost;
  default:
    return error::system;
  }
}

error connect_error_from_errno(int number) noexcept {
  switch (number) {
  case 0:
    return error::none;
  case ETIMEDOUT:
    return error::timed_out;
  case ENOMEM:
  case ENOBUFS:
    return error::no_memory;
  case EMFILE:
  case ENFILE:
    return error::out_of_descriptors;
  case ECANCELED:
    return error::cancelled;
  default:
    // Refused, unreachable, forbidden by a filter, family not supported, no free local port: to the
    // caller they are all "no connection to that address".
    return error::cannot_connect;
  }
}

} // namespace sluice::io
