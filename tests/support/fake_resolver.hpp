#pragma once

#include <string>
#include <vector>

namespace sluice::test {

/// While it lives, getaddrinfo() in this program finds for every name the given numeric addresses,
/// in that order. Linking fake_resolver.cpp puts it in front of the C library's.
class fake_resolver {
public:
  explicit fake_resolver(std::vector<std::string> addresses);
  ~fake_resolver();
  fake_resolver(const fake_resolver&) = delete;
  fake_resolver& operator=(const fake_resolver&) = delete;

  /// Lookups wait for release().
  void hold();
  void release();
  /// Lookups fail with that EAI_ code (and errno value, for EAI_SYSTEM).
  void fail(int code, int number = 0);

  [[nodiscard]] int started() const; // lookups so far
  [[nodiscard]] int finished() const;
  /// Blocks until `started() >= count`.
  void wait_for_start(int count) const;
  /// Blocks until every lookup that has started is finished and its result is freed.
  void wait_until_clean() const;
};

} // namespace sluice::test
