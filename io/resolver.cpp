#include "io/resolver.hpp"

#include "io/system_error.hpp"

#include <pthread.h>
#include <signal.h>
#include <strings.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <mutex>
#include <string_view>

namespace sluice::io {
namespace {

constexpr std::size_t max_host_bytes = 255; // RFC 1035 section 2.3.4

error error_from_lookup(int status, int system_errno) noexcept {
  switch (status) {
  case 0:
    return error::none;
  case EAI_MEMORY:
    return error::no_memory;
  case EAI_SYSTEM: {
    const error e = error_from_errno(system_errno);
    return e == error::no_memory || e == error::out_of_descriptors ? e : error::name_not_resolved;
  }
  default:
    return error::name_not_resolved;
  }
}

// "localhost" and names below it are the loopback addresses, whatever a name server says
// (RFC 6761 section 6.3).
bool is_localhost(std::string_view host) noexcept {
  constexpr std::string_view localhost = "localhost";
  if (!host.empty() && host.back() == '.') {
    host.remove_suffix(1);
  }
  if (host.size() < localhost.size() ||
      (host.size() > localhost.size() && host[host.size() - localhost.size() - 1] != '.')) {
    return false;
  }
  return ::strncasecmp(host.data() + host.size() - localhost.size(), localhost.data(),
                       localhost.size()) == 0;
}

} // namespace

addrinfo stream_hints(int flags) noexcept {
  addrinfo hints{};
  // Not AI_ADDRCONFIG: where only the loopback interface is up it finds nothing at all. An address
  // of a family without a route fails at once and the next one is tried.
  hints.ai_flags = flags | AI_NUMERICSERV;
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  return hints;
}

int look_up_at_once(const char* host, const char* service, addrinfo*& found) noexcept {
  const bool local = is_localhost(host);
  const addrinfo how = stream_hints(local ? 0 : AI_NUMERICHOST);
  return ::getaddrinfo(local ? nullptr : host, service, &how, &found); // no host means loopback
}

/// Shared by the caller and the thread that looks up; the last of the two frees it.
struct lookup {
  char host[max_host_bytes + 1] = {};
  char service[6] = {};

  std::atomic<int> references{2};
  std::atomic<bool> done{false};
  addrinfo* found = nullptr; // written before `done`
  error status = error::none;

  std::mutex lock;
  loop* waiter = nullptr; // under lock; nullptr once the caller has left

  ~lookup() {
    if (found != nullptr) {
      ::freeaddrinfo(found);
    }
  }
  void release() noexcept {
    if (references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      memory::destroy(this);
    }
  }
};

namespace {

void* look_up(void* given) noexcept {
  auto* const shared = static_cast<lookup*>(given);
  const addrinfo hints = stream_hints(0);
  const int status = ::getaddrinfo(shared->host, shared->service, &hints, &shared->found);
  shared->status = error_from_lookup(status, errno);
  {
    const std::lock_guard guard(shared->lock);
    shared->done.store(true, std::memory_order_release);
    if (shared->waiter != nullptr) {
      shared->waiter->io().wake();
    }
  }
  shared->release();
  return nullptr;
}

int start_detached(lookup& shared) noexcept {
  pthread_attr_t attributes;
  if (const int failed = ::pthread_attr_init(&attributes); failed != 0) {
    return failed;
  }
  ::pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  // The application's signals are not for this thread.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread{};
  const int failed = ::pthread_create(&thread, &attributes, &look_up, &shared);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ::pthread_attr_destroy(&attributes);
  return failed;
}

bool is_done(void* given) noexcept {
  return static_cast<lookup*>(given)->done.load(std::memory_order_acquire);
}

} // namespace

resolved_addresses::~resolved_addresses() {
  if (shared_ != nullptr) {
    shared_->release();
  } else if (found_ != nullptr) {
    ::freeaddrinfo(const_cast<addrinfo*>(found_));
  }
}

error resolve(loop& on, const char* host, std::uint16_t port, time_point deadline,
              cancel_source* cancel, resolved_addresses& found) noexcept {
  const std::size_t host_bytes = host != nullptr ? std::strlen(host) : 0;
  if (host_bytes == 0 || host_bytes > max_host_bytes) {
    return error::name_not_resolved;
  }
  if (cancel != nullptr && cancel->requested()) {
    return error::cancelled;
  }
  char service[6] = {};
  std::to_chars(service, service + sizeof service - 1, port);

  addrinfo* parsed = nullptr;
  const int status = look_up_at_once(host, service, parsed);
  if (status == 0) {
    found.found_ = parsed;
    return error::none;
  }
  if (status != EAI_NONAME) {
    return error_from_lookup(status, errno);
  }

  lookup* const shared = memory::create<lookup>();
  if (shared == nullptr) {
    return error::no_memory;
  }
  std::memcpy(shared->host, host, host_bytes);
  std::memcpy(shared->service, service, sizeof service);
  shared->waiter = &on;
  if (start_detached(*shared) != 0) {
    memory::destroy(shared);
    return error::no_memory; // EAGAIN: no room for another thread
  }
  const error ended = on.run_until(&is_done, shared, deadline, cancel);
  {
    const std::lock_guard guard(shared->lock);
    shared->waiter = nullptr;
  }
  if (ended != error::none || shared->status != error::none) {
    const error failed = ended != error::none ? ended : shared->status;
    shared->release();
    return failed;
  }
  found.shared_ = shared;
  found.found_ = shared->found;
  return error::none;
}

} // namespace sluice::io
