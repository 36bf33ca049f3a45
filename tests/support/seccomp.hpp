#pragma once

#include <initializer_list>

namespace sluice::test {

/// From now on these system calls of this process fail with that errno value. Cannot be undone: for
/// a forked child. False when this kernel or architecture cannot filter.
[[nodiscard]] bool refuse_system_calls(std::initializer_list<int> numbers, int with);

} // namespace sluice::test
