#pragma once

#include <liburing.h>

#include <cstddef>
#include <cstdint>

namespace sluice::io::uring_compat {

// What liburing 2.3 (Debian 12) lacks and newer releases have, under names of our own, so that the
// library builds against either. Everything else comes from <liburing.h>.

/// io_uring_setup_buf_ring() of liburing 2.4: maps memory for a ring of `entries` (a power of two)
/// provided buffers and registers it as group `group`. nullptr and a negative errno in `failed`.
[[nodiscard]] io_uring_buf_ring* setup_buf_ring(io_uring& ring, std::uint32_t entries,
                                                std::uint16_t group, int& failed) noexcept;

/// io_uring_free_buf_ring() of liburing 2.4. The kernel must not hold requests that select from it.
void free_buf_ring(io_uring& ring, io_uring_buf_ring* buffers, std::uint32_t entries,
                   std::uint16_t group) noexcept;

/// The second half of it alone: for a ring that is closed already.
void unmap_buf_ring(io_uring_buf_ring* buffers, std::uint32_t entries) noexcept;

/// io_uring_register_napi() of liburing 2.6 (Linux 6.9). False where the kernel cannot.
[[nodiscard]] bool register_napi(const io_uring& ring, std::uint32_t microseconds) noexcept;

/// Tell ThreadSanitizer that a ring's memory goes back to the kernel, or has come from it: liburing
/// maps and unmaps without libc, so that the same addresses in two threads look like a race.
/// Nothing in other builds.
void before_unmapping_ring() noexcept;
void after_mapping_ring() noexcept;

} // namespace sluice::io::uring_compat
