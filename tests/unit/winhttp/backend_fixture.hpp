#pragma once

#include "io/loop.hpp"
#include "support/scripted_peer.hpp"

#include <gtest/gtest.h>

namespace sluice::test {

/// A test that goes through the kernel. Skipped where SLUICE_BACKEND forces a backend that this
/// machine does not have; ended by a watchdog when a call hangs.
class backend_test : public ::testing::Test {
protected:
  void SetUp() override {
    io::loop* found = nullptr;
    if (io::loop::for_this_thread(found) == error::backend_unavailable) {
      GTEST_SKIP() << "the forced backend is not available here";
    }
  }

private:
  watchdog dog_{120};
};

} // namespace sluice::test
