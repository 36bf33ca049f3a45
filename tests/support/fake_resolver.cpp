#include "support/fake_resolver.hpp"

#include <dlfcn.h>
#include <netdb.h>

#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <set>

namespace sluice::test {
namespace {

struct shared_state {
  std::mutex lock;
  std::condition_variable changed;
  bool active = false;
  bool held = false;
  int code = 0;
  int number = 0;
  int started = 0;
  int finished = 0;
  std::vector<std::string> addresses;
  std::set<const addrinfo*> results; // handed out, not freed yet
};

shared_state& state() {
  static shared_state made;
  return made;
}

using lookup_function = int (*)(const char*, const char*, const addrinfo*, addrinfo**);
using free_function = void (*)(addrinfo*);

template <typename Function> Function next_definition(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

lookup_function real_lookup() {
  static const auto found = next_definition<lookup_function>("getaddrinfo");
  return found;
}

free_function real_free() {
  static const auto found = next_definition<free_function>("freeaddrinfo");
  return found;
}

} // namespace

fake_resolver::fake_resolver(std::vector<std::string> addresses) {
  const std::lock_guard guard(state().lock);
  state().active = true;
  state().addresses = std::move(addresses);
  state().started = 0;
  state().finished = 0;
}

fake_resolver::~fake_resolver() {
  release();
  wait_until_clean();
  const std::lock_guard guard(state().lock);
  state().active = false;
  state().code = 0;
}

void fake_resolver::hold() {
  const std::lock_guard guard(state().lock);
  state().held = true;
}

void fake_resolver::release() {
  const std::lock_guard guard(state().lock);
  state().held = false;
  state().changed.notify_all();
}

void fake_resolver::fail(int code, int number) {
  const std::lock_guard guard(state().lock);
  state().code = code;
  state().number = number;
}

int fake_resolver::started() const {
  const std::lock_guard guard(state().lock);
  return state().started;
}

int fake_resolver::finished() const {
  const std::lock_guard guard(state().lock);
  return state().finished;
}

void fake_resolver::wait_for_start(int count) const {
  std::unique_lock guard(state().lock);
  state().changed.wait(guard, [count] { return state().started >= count; });
}

void fake_resolver::wait_until_clean() const {
  std::unique_lock guard(state().lock);
  state().changed.wait(
      guard, [] { return state().finished == state().started && state().results.empty(); });
}

namespace {

int fake_lookup(const char* service, const addrinfo* hints, addrinfo** found) {
  std::vector<std::string> addresses;
  int code = 0;
  int number = 0;
  {
    std::unique_lock guard(state().lock);
    ++state().started;
    state().changed.notify_all();
    state().changed.wait(guard, [] { return !state().held; });
    addresses = state().addresses;
    code = state().code;
    number = state().number;
  }
  *found = nullptr;
  addrinfo** end = found;
  for (std::size_t i = 0; code == 0 && i < addresses.size(); ++i) {
    addrinfo numeric = *hints;
    numeric.ai_flags |= AI_NUMERICHOST;
    code = real_lookup()(addresses[i].c_str(), service, &numeric, end);
    if (code == 0) {
      end = &(*end)->ai_next; // a numeric address gives one entry
    }
  }
  const std::lock_guard guard(state().lock);
  ++state().finished;
  if (code == 0 && *found != nullptr) {
    state().results.insert(*found);
  }
  state().changed.notify_all();
  errno = number;
  return code;
}

} // namespace
} // namespace sluice::test

// In front of the C library's: the program is searched first.
extern "C" int getaddrinfo(const char* host, const char* service, const addrinfo* hints,
                           addrinfo** found) {
  using namespace sluice::test;
  bool answered_here = host != nullptr && (hints->ai_flags & AI_NUMERICHOST) == 0;
  {
    const std::lock_guard guard(state().lock);
    answered_here = answered_here && state().active;
  }
  return answered_here ? fake_lookup(service, hints, found)
                       : real_lookup()(host, service, hints, found);
}

extern "C" void freeaddrinfo(addrinfo* found) {
  using namespace sluice::test;
  bool ours = false;
  {
    const std::lock_guard guard(state().lock);
    ours = state().results.erase(found) != 0;
    state().changed.notify_all();
  }
  // A chain of ours was made link by link.
  while (ours && found != nullptr) {
    addrinfo* const next = found->ai_next;
    found->ai_next = nullptr;
    real_free()(found);
    found = next;
  }
  if (!ours) {
    real_free()(found);
  }
}
