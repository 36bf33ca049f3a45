#pragma once

#include "sluice/error.hpp"
#include "sluice/export.h"
#include "sluice/settings.hpp"
#include "sluice/tls.hpp"

#include <cstdint>

namespace sluice {

struct listen_settings {
  const char* address = "127.0.0.1"; // numeric, IPv4 or IPv6; "::" takes both families where it can
  std::uint16_t port = 0;            // 0: the kernel picks one, see listener::port
  int backlog = 1024;
  /// Lets several loops, each on its thread, listen on one port; the kernel spreads the connections
  /// over them (SO_REUSEPORT). Every one of them must set it.
  bool reuse_port = false;
  connection_settings connection;
};

/// A listening socket of a loop; made by loop::listen, gone after close() or with the loop. The
/// loop's thread only.
class SLUICE_EXPORT listener {
public:
  listener(const listener&) = delete;
  listener& operator=(const listener&) = delete;

  [[nodiscard]] std::uint16_t port() const noexcept;
  /// Serves connections that are accepted from now on with `replacement`, for example a renewed
  /// certificate. Those that were accepted before go on undisturbed with what they have. From
  /// another thread: loop::post.
  /// @return none; invalid_argument: empty, or a client's; invalid_state: listening without TLS;
  ///         no_memory, and everything stays as it was.
  error replace_tls(const tls_config& replacement) noexcept;
  /// Stops listening. The connections it has accepted stay.
  void close() noexcept;

protected:
  listener() noexcept = default;
  ~listener() = default;
};

} // namespace sluice
