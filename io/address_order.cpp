#include "io/address_order.hpp"

#include <sys/socket.h>

#include <utility>

namespace sluice::io {

address_order::address_order(const addrinfo* first) noexcept
    : first_family_(first != nullptr ? first->ai_family : AF_UNSPEC), rest_{first, first} {}

const addrinfo* address_order::next() noexcept {
  for (int tried = 0; tried < 2 && given_ < max_connect_addresses; ++tried) {
    const bool is_first_family = turn_ == 0;
    const addrinfo*& at = rest_[turn_];
    turn_ ^= 1U;
    while (at != nullptr && ((at->ai_family == first_family_) != is_first_family ||
                             at->ai_addrlen > sizeof(sockaddr_storage))) {
      at = at->ai_next;
    }
    if (at != nullptr) {
      ++given_;
      return std::exchange(at, at->ai_next);
    }
  }
  return nullptr;
}

} // namespace sluice::io
