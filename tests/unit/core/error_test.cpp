#include "core/error.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace sluice {
namespace {

TEST(error, every_value_has_its_own_sentence) {
  std::set<std::string> sentences;
  unsigned values = 0;
  while (std::string(to_string(static_cast<error>(values))) != "unknown error") {
    EXPECT_TRUE(sentences.insert(to_string(static_cast<error>(values))).second) << values;
    ++values;
  }
  EXPECT_GT(values, static_cast<unsigned>(error::system));
  for (; values < 256; ++values) {
    EXPECT_STREQ(to_string(static_cast<error>(values)), "unknown error");
  }
}

} // namespace
} // namespace sluice
