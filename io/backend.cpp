#include "io/backend.hpp"

#include "io/epoll_backend.hpp"
#include "io/uring_backend.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace sluice::io {

int timeout_ms(time_point deadline) noexcept {
  if (deadline == no_deadline) {
    return -1;
  }
  const time_point now = clock::now();
  if (deadline <= now) {
    return 0;
  }
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - now).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 1 << 30));
}

std::int32_t backend::send_now(const send_op& op) noexcept {
  ssize_t taken = 0;
  do {
    ++stats_.system_calls;
    taken = ::send(op.socket.fd, op.bytes.data(), op.bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (taken < 0 && errno == EINTR);
  return taken >= 0 ? static_cast<std::int32_t>(std::min<ssize_t>(taken, INT32_MAX)) : -errno;
}

const char* to_string(backend_kind kind) noexcept {
  switch (kind) {
  case backend_kind::uring:
    return "io_uring";
  case backend_kind::epoll:
    return "epoll";
  case backend_kind::mock:
    return "mock";
  }
  return "unknown";
}

backend_choice backend_choice_from_environment() noexcept {
  const char* const value = std::getenv("SLUICE_BACKEND");
  if (value == nullptr || value[0] == '\0') {
    return backend_choice::automatic;
  }
  if (std::strcmp(value, "uring") == 0) {
    return backend_choice::uring;
  }
  if (std::strcmp(value, "epoll") == 0) {
    return backend_choice::epoll;
  }
  return backend_choice::invalid;
}

error make_backend(backend_choice choice, const backend_settings& settings, buffer_pool& buffers,
                   memory::unique<backend>& made) noexcept {
  switch (choice) {
  case backend_choice::uring:
    return uring_backend::create(settings, buffers, made);
  case backend_choice::epoll:
    return epoll_backend::create(buffers, made);
  case backend_choice::automatic:
    // Whatever io_uring fails for, a shortage included, epoll may still have what it needs.
    return uring_backend::create(settings, buffers, made) == error::none
               ? error::none
               : epoll_backend::create(buffers, made);
  case backend_choice::invalid:
    break;
  }
  return error::backend_unavailable;
}

} // namespace sluice::io
