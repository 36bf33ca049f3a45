#include <gtest/gtest.h>

extern "C" int sluice_c_api_talk(void); // native_c_api.c

namespace {

TEST(native_c_api, a_c11_program_serves_and_connects) {
  EXPECT_EQ(sluice_c_api_talk(), 0);
}

} // namespace
