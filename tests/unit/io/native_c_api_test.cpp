#include "support/tls_peer.hpp"

#include <gtest/gtest.h>

// native_c_api.c
extern "C" int sluice_c_api_talk(const char* certificate, const char* key, const char* authority);
extern "C" int sluice_c_api_held_parts(void);

namespace sluice::test {
namespace {

TEST(native_c_api, a_c11_program_serves_and_connects) {
  EXPECT_EQ(sluice_c_api_talk(nullptr, nullptr, nullptr), 0);
}

TEST(native_c_api, the_same_over_tls) {
  EXPECT_EQ(sluice_c_api_talk(tls_test_identity().certificate.c_str(),
                              tls_test_identity().key.c_str(), tls_test_authority().root().c_str()),
            0);
}

TEST(native_c_api, what_is_held_says_which_part_of_a_message_it_is) {
  EXPECT_EQ(sluice_c_api_held_parts(), 0);
}

} // namespace
} // namespace sluice::test
