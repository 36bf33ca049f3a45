#include "stop_request.hpp"

#include "common.hpp"

#include <atomic>
#include <csignal>
#include <sys/eventfd.h>
#include <sys/socket.h>

namespace sluice_bench {
namespace {

// A signal handler reaches nothing but globals; all of these are lock-free.
std::atomic<int> event_fd{-1};
std::atomic<int> listener_fd{-1};
std::atomic<int> connection_fd{-1};
std::atomic<bool> requested{false};

void on_signal(int) noexcept {
  const int saved = errno;
  if (requested.exchange(true)) {
    _exit(exit_interrupted);
  }
  const std::uint64_t one = 1;
  (void)!::write(event_fd.load(), &one, sizeof one);
  if (const int fd = listener_fd.load(); fd >= 0) {
    (void)::shutdown(fd, SHUT_RDWR);
  }
  if (const int fd = connection_fd.load(); fd >= 0) {
    (void)::shutdown(fd, SHUT_RDWR);
  }
  errno = saved;
}

void name_socket(std::atomic<int>& slot, int fd) noexcept {
  slot.store(fd);
  if (fd >= 0 && requested.load()) { // the signal came before the name
    (void)::shutdown(fd, SHUT_RDWR);
  }
}

} // namespace

stop_request::stop_request() {
  const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) {
    throw system_failure("eventfd");
  }
  event_fd.store(fd);
  struct sigaction action {};
  action.sa_handler = on_signal; // without SA_RESTART: a blocking call ends with EINTR
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN; // writing to a closed connection is an error code, not a signal
  sigaction(SIGPIPE, &ignore, nullptr);
}

stop_request::~stop_request() {
  struct sigaction standard {};
  standard.sa_handler = SIG_DFL;
  sigaction(SIGINT, &standard, nullptr);
  sigaction(SIGTERM, &standard, nullptr);
  ::close(event_fd.exchange(-1));
}

bool stop_request::made() const noexcept {
  return requested.load(std::memory_order_relaxed);
}
int stop_request::fd() const noexcept {
  return event_fd.load(std::memory_order_relaxed);
}
void stop_request::shut_down_listener(int fd) noexcept {
  name_socket(listener_fd, fd);
}
void stop_request::shut_down_connection(int fd) noexcept {
  name_socket(connection_fd, fd);
}

int stop_descriptor() noexcept {
  return event_fd.load(std::memory_order_relaxed);
}

} // namespace sluice_bench
