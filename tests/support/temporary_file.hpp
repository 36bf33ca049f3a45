#pragma once

#include <gtest/gtest.h>

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace sluice::test {

/// A file in the test's own folder, gone at the end of the scope.
class temporary_file {
public:
  explicit temporary_file(std::string_view content) : name_(testing::TempDir() + "sluice_XXXXXX") {
    const int fd = ::mkstemp(name_.data());
    EXPECT_GE(fd, 0);
    EXPECT_EQ(::write(fd, content.data(), content.size()), static_cast<ssize_t>(content.size()));
    ::close(fd);
  }
  ~temporary_file() { std::remove(name_.c_str()); }
  temporary_file(const temporary_file&) = delete;
  temporary_file& operator=(const temporary_file&) = delete;

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::wstring wide() const { return {name_.begin(), name_.end()}; }

private:
  std::string name_;
};

} // namespace sluice::test
