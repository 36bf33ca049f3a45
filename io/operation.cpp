#include "io/operation.hpp"

#include <atomic>

namespace sluice::io {

std::uint64_t next_socket_id() noexcept {
  static constinit std::atomic<std::uint64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

} // namespace sluice::io
