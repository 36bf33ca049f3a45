#include "io/tls_context.hpp"
#include "sluice/tls.hpp"

#include <utility>

// The public class: a name for a reference on a tls_context.

namespace sluice {

using io::tls_context;
using io::tls_context_ref;

tls_config::tls_config(const tls_config& other) noexcept
    : context_(tls_context_ref::share(other.context_).release()) {}

tls_config::tls_config(tls_config&& other) noexcept
    : context_(std::exchange(other.context_, nullptr)) {}

tls_config& tls_config::operator=(tls_config other) noexcept {
  std::swap(context_, other.context_);
  return *this;
}

tls_config::~tls_config() {
  const tls_context_ref dropped = tls_context_ref::adopt(context_);
}

bool tls_config::is_server() const noexcept {
  return context_->is_server();
}

error tls_config::make_server(const tls_settings& settings, tls_config& made) noexcept {
  tls_context_ref fresh;
  const error failed = tls_context::make_server(settings, fresh);
  if (failed == error::none) {
    const tls_context_ref replaced =
        tls_context_ref::adopt(std::exchange(made.context_, fresh.release()));
  }
  return failed;
}

error tls_config::make_client(const tls_settings& settings, tls_config& made) noexcept {
  tls_context_ref fresh;
  const error failed = tls_context::make_client(settings, fresh);
  if (failed == error::none) {
    const tls_context_ref replaced =
        tls_context_ref::adopt(std::exchange(made.context_, fresh.release()));
  }
  return failed;
}

} // namespace sluice
