#pragma once

#include <sys/resource.h>
#include <unistd.h>

#include <vector>

namespace sluice::test {

/// While it lives, this process gets no further descriptor.
class full_table {
public:
  full_table() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    rlimit few = before_;
    few.rlim_cur = 256;
    ::setrlimit(RLIMIT_NOFILE, &few);
    for (int fd = ::dup(STDERR_FILENO); fd >= 0; fd = ::dup(STDERR_FILENO)) {
      fillers_.push_back(fd);
    }
  }
  ~full_table() {
    for (const int fd : fillers_) {
      ::close(fd);
    }
    ::setrlimit(RLIMIT_NOFILE, &before_);
  }
  /// One descriptor is to be had again.
  void give_back() {
    ::close(fillers_.back());
    fillers_.pop_back();
  }
  full_table(const full_table&) = delete;
  full_table& operator=(const full_table&) = delete;

private:
  rlimit before_{};
  std::vector<int> fillers_;
};

} // namespace sluice::test
