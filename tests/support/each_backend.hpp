#pragma once

#include "io/loop.hpp"

#include <gtest/gtest.h>

#include <string>

namespace sluice::test {

/// Settings of the loops that tests make by hand; as small as those of a synchronous caller.
inline constexpr io::backend_settings small_settings{
    .queue_entries = 16, .small_posted = 4, .large_posted = 2};

/// True if this kernel (and the filter around us) lets io_uring work.
[[nodiscard]] inline bool uring_works() {
  static const bool works = [] {
    memory::unique<io::loop> made;
    return io::loop::create(io::backend_choice::uring, small_settings, made) == error::none;
  }();
  return works;
}

/// A test that runs once per backend, each time with a loop of its own in `on`.
class each_backend : public testing::TestWithParam<io::backend_choice> {
protected:
  void SetUp() override {
    if (GetParam() == io::backend_choice::uring && !uring_works()) {
      GTEST_SKIP() << "no io_uring here";
    }
    remake(small_settings);
  }

  void remake(const io::backend_settings& settings) {
    on.reset();
    ASSERT_EQ(io::loop::create(GetParam(), settings, on), error::none);
  }

  [[nodiscard]] bool is_uring() const { return GetParam() == io::backend_choice::uring; }

  memory::unique<io::loop> on;
};

[[nodiscard]] inline std::string
backend_test_name(const testing::TestParamInfo<io::backend_choice>& info) {
  return info.param == io::backend_choice::uring ? "uring" : "epoll";
}

} // namespace sluice::test

/// After the tests of a suite derived from each_backend.
#define SLUICE_ON_EACH_BACKEND(suite)                                                              \
  INSTANTIATE_TEST_SUITE_P(                                                                        \
      backends, suite,                                                                             \
      testing::Values(sluice::io::backend_choice::uring, sluice::io::backend_choice::epoll),       \
      sluice::test::backend_test_name)
