#include "io/uring_compat.hpp"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bit>
#include <cerrno>

#if defined(__SANITIZE_THREAD__)
#define SLUICE_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SLUICE_THREAD_SANITIZER 1
#endif
#endif

#ifdef SLUICE_THREAD_SANITIZER
#include <sanitizer/tsan_interface.h>
#endif

namespace sluice::io::uring_compat {
namespace {

constexpr std::size_t map_bytes(std::uint32_t entries) noexcept {
  return entries * sizeof(io_uring_buf);
}

#ifdef SLUICE_THREAD_SANITIZER
char ring_memory; // stands for all of it
#endif

} // namespace

bool register_napi(const io_uring& ring, std::uint32_t microseconds) noexcept {
  constexpr unsigned register_napi_code = 27; // IORING_REGISTER_NAPI
  struct {                                    // io_uring_napi
    std::uint32_t busy_poll_to;
    std::uint8_t prefer_busy_poll;
    std::uint8_t pad[3];
    std::uint64_t reserved;
  } wanted{microseconds, 0, {}, 0};
  return ::syscall(__NR_io_uring_register, ring.ring_fd, register_napi_code, &wanted, 1) == 0;
}

io_uring_buf_ring* setup_buf_ring(io_uring& ring, std::uint32_t entries, std::uint16_t group,
                                  int& failed) noexcept {
  void* const memory = ::mmap(nullptr, map_bytes(entries), PROT_READ | PROT_WRITE,
                              MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
  if (memory == MAP_FAILED) {
    failed = -errno;
    return nullptr;
  }
  io_uring_buf_reg registration{};
  registration.ring_addr = std::bit_cast<std::uintptr_t>(memory);
  registration.ring_entries = entries;
  registration.bgid = group;
  failed = ::io_uring_register_buf_ring(&ring, &registration, 0);
  if (failed != 0) {
    ::munmap(memory, map_bytes(entries));
    return nullptr;
  }
  auto* const buffers = static_cast<io_uring_buf_ring*>(memory);
  ::io_uring_buf_ring_init(buffers);
  return buffers;
}

void free_buf_ring(io_uring& ring, io_uring_buf_ring* buffers, std::uint32_t entries,
                   std::uint16_t group) noexcept {
  ::io_uring_unregister_buf_ring(&ring, group);
  unmap_buf_ring(buffers, entries);
}

void unmap_buf_ring(io_uring_buf_ring* buffers, std::uint32_t entries) noexcept {
  ::munmap(buffers, map_bytes(entries));
}

void before_unmapping_ring() noexcept {
#ifdef SLUICE_THREAD_SANITIZER
  __tsan_release(&ring_memory);
#endif
}

void after_mapping_ring() noexcept {
#ifdef SLUICE_THREAD_SANITIZER
  __tsan_acquire(&ring_memory);
#endif
}

} // namespace sluice::io::uring_compat
