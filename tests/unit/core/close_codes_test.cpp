#include "core/close_codes.hpp"

#include <gtest/gtest.h>

namespace sluice {
namespace {

TEST(close_codes, RCV_77_statuses_that_may_be_on_the_wire) {
  const auto expected = [](unsigned status) {
    if (status <= 999 || status >= 5000) {
      return false;
    }
    return status != 1004 && status != 1005 && status != 1006 && status != 1015;
  };
  for (unsigned status = 0; status <= 0xFFFF; ++status) {
    EXPECT_EQ(may_be_sent(static_cast<std::uint16_t>(status)), expected(status)) << status;
  }
}

TEST(close_codes, status_that_answers_each_error) {
  for (unsigned value = 0; value < 256; ++value) {
    const auto reason = static_cast<error>(value);
    unsigned expected = 0;
    if (reason >= error::reserved_bits && reason <= error::close_status_code) {
      expected = 1002;
    } else if (reason == error::close_reason_utf8 || reason == error::text_utf8) {
      expected = 1007;
    } else if (reason == error::message_too_big) {
      expected = 1009;
    } else if (reason == error::too_many_fragments) {
      expected = 1008;
    }
    EXPECT_EQ(close_status_for(reason), expected) << to_string(reason);
    if (expected != 0) {
      EXPECT_TRUE(may_be_sent(static_cast<std::uint16_t>(expected)));
    }
  }
}

} // namespace
} // namespace sluice
