#pragma once

#include "backend_fixture.hpp"
#include "support/winhttp_client.hpp"

namespace sluice::test {

/// Sections 7 and 8 of the contract, in several files.
class handshake : public backend_test {};

[[nodiscard]] inline unique_handle complete(HINTERNET request, DWORD_PTR context = 0) {
  return WinHttpWebSocketCompleteUpgrade(request, context);
}

} // namespace sluice::test
