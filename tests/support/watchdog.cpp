// Linked into a test program: ends it, with the name of the test, when a test hangs.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cstring>

namespace {

constexpr unsigned limit_seconds = 60;

char running[256];

void bark(int) {
  constexpr char text[] = "watchdog: this test hangs: ";
  // Nothing can be done about a failed write here.
  (void)!::write(2, text, sizeof text - 1);
  (void)!::write(2, running, std::strlen(running));
  (void)!::write(2, "\n", 1);
  ::_exit(1);
}

class watchdog final : public testing::EmptyTestEventListener {
  void OnTestStart(const testing::TestInfo& test) override {
    std::strncpy(running, test.test_suite_name(), sizeof running / 2 - 1);
    std::strcat(running, ".");
    std::strncat(running, test.name(), sizeof running / 2 - 2);
    ::signal(SIGALRM, &bark);
    ::alarm(limit_seconds);
  }
  void OnTestEnd(const testing::TestInfo&) override { ::alarm(0); }
};

// The list of listeners owns it.
[[maybe_unused]] const bool installed = [] {
  testing::UnitTest::GetInstance()->listeners().Append(new watchdog);
  return true;
}();

} // namespace
