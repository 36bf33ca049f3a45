#pragma once

#include <netdb.h>

#include <chrono>
#include <cstddef>

namespace sluice::io {

/// The next address starts so long after the last one, or as soon as one has failed (RFC 8305
/// section 5).
inline constexpr std::chrono::milliseconds connect_stagger{250};

/// More addresses of a host than this are not tried; a name with so many is a mistake or an attack.
inline constexpr std::size_t max_connect_addresses = 32;

/// The addresses of a host in the order in which they are tried: both families in turn, starting
/// with that of the first address, each in the order that the resolver gave it (RFC 8305 section
/// 4).
class address_order {
public:
  /// `first` may be null; the list must outlive this.
  explicit address_order(const addrinfo* first) noexcept;

  /// The next one, which fits in a sockaddr_storage; null after the last, or after
  /// max_connect_addresses.
  [[nodiscard]] const addrinfo* next() noexcept;

private:
  int first_family_;
  const addrinfo* rest_[2]; // of the first family, of the other
  std::size_t turn_ = 0;
  std::size_t given_ = 0;
};

} // namespace sluice::io
