#pragma once

#include "tests/interop/common.hpp"
#include "tests/interop/peer_process.hpp"

#include <cstddef>
#include <memory>
#include <string>

namespace interop {

// Environment of the test program; ctest sets it:
//   SLUICE_TEST_PEER         command line of the server
//   SLUICE_BACKEND           backend of the client: uring, epoll
//   SLUICE_TEST_TLS          TLS, with an authority and a certificate made by this program
//   SLUICE_TEST_TLS_VERSION  1.2 or 1.3: what the server speaks; without it the newest
//   SLUICE_TEST_DEMANDED     the server demands a certificate, which this program makes, too
//   SLUICE_TEST_PROXY        command line of a proxy that everything of WinHTTP goes through

/// The server and the proxy, or none, started before the first test.
extern std::unique_ptr<peer_process> peer;
extern std::unique_ptr<peer_process> proxy;

/// The value of an environment variable, "" without one.
[[nodiscard]] std::string setting(const char* variable);

/// Valid UTF-8 of exactly that many bytes, with characters of 1, 2, 3 and 4 bytes.
[[nodiscard]] std::string text_of(std::size_t bytes);
[[nodiscard]] std::string binary_of(std::size_t bytes);

} // namespace interop
