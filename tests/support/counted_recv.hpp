#pragma once

#include <cstdint>

namespace sluice::test {

/// How often the calling thread has called recv(), in a program that is linked with --wrap=recv.
[[nodiscard]] std::uint64_t recv_calls() noexcept;

} // namespace sluice::test
