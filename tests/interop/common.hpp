#pragma once

#include <string>

/// What the programs with our clients and the one with our server share.
namespace interop {

/// Whether this kernel lets this process have a ring of the kind that the library needs.
[[nodiscard]] bool io_uring_allowed();

/// As the peers describe a message: kind, length, SHA-256.
[[nodiscard]] std::string describe(bool text, const std::string& payload);

} // namespace interop
