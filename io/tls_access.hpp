#pragma once

#include "io/tls_context.hpp"
#include "sluice/tls.hpp"

namespace sluice::detail {

/// What is behind the public name of a TLS configuration.
class tls_access {
public:
  [[nodiscard]] static io::tls_context_ref context(const tls_config& of) noexcept {
    return io::tls_context_ref::share(of.context_);
  }
};

} // namespace sluice::detail
