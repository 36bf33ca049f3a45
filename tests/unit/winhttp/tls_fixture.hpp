#pragma once

#include "backend_fixture.hpp"
#include "support/scripted_peer.hpp"
#include "support/temporary_file.hpp"
#include "support/tls_peer.hpp"
#include "support/winhttp_client.hpp"

#include <gtest/gtest.h>
#include <sluice/extensions.h>
#include <sluice/winhttp.h>

#include <string>
#include <string_view>
#include <vector>

namespace sluice::test {

/// A session that trusts the test's authority, and a secure upgrade request of it, which collects
/// what the callback is told.
struct secure_client {
  explicit secure_client(std::uint16_t port, const wchar_t* host = L"127.0.0.1",
                         const std::string& authority = tls_test_authority().root()) {
    session = WinHttpOpen(L"test", WINHTTP_ACCESS_TYPE_NO_PROXY, nullptr, nullptr, 0);
    EXPECT_TRUE(WinHttpSetOption(session, SLUICE_OPTION_TLS_CA_PEM,
                                 const_cast<char*>(authority.data()),
                                 static_cast<DWORD>(authority.size())))
        << GetLastError();
    connect(host, port);
  }

  void connect(const wchar_t* host, std::uint16_t port) {
    connection = WinHttpConnect(session, host, port, 0);
    request = WinHttpOpenRequest(connection, nullptr, L"/", nullptr, nullptr, nullptr,
                                 WINHTTP_FLAG_SECURE);
    WinHttpSetStatusCallback(request, &note, WINHTTP_CALLBACK_FLAG_ALL_NOTIFICATIONS, 0);
    WinHttpSetOption(request, WINHTTP_OPTION_UPGRADE_TO_WEB_SOCKET, nullptr, 0);
  }

  /// The last error, 0 if it worked.
  [[nodiscard]] DWORD send() {
    return WinHttpSendRequest(request, nullptr, 0, nullptr, 0, 0,
                              reinterpret_cast<DWORD_PTR>(this)) != FALSE
               ? 0
               : GetLastError();
  }
  [[nodiscard]] DWORD receive() const {
    return WinHttpReceiveResponse(request, nullptr) != FALSE ? 0 : GetLastError();
  }
  /// Both, the first failure.
  [[nodiscard]] DWORD exchange() {
    const DWORD code = send();
    return code != 0 ? code : receive();
  }
  void ignore(DWORD flags) const {
    EXPECT_TRUE(WinHttpSetOption(request, WINHTTP_OPTION_SECURITY_FLAGS, &flags, sizeof(flags)));
  }
  [[nodiscard]] DWORD query(DWORD option) const {
    DWORD value = 0xA5A5A5A5u;
    DWORD length = sizeof(value);
    EXPECT_TRUE(WinHttpQueryOption(request, option, &value, &length)) << GetLastError();
    return value;
  }

  static void CALLBACK note(HINTERNET, DWORD_PTR context, DWORD status, LPVOID info, DWORD length) {
    auto* const self = reinterpret_cast<secure_client*>(context);
    if (self == nullptr) {
      return;
    }
    self->statuses.push_back(status);
    if (status == WINHTTP_CALLBACK_STATUS_SECURE_FAILURE) {
      EXPECT_EQ(length, sizeof(DWORD));
      self->failures.push_back(*static_cast<const DWORD*>(info));
    }
  }

  std::vector<DWORD> statuses;
  std::vector<DWORD> failures; // the bits of SECURE_FAILURE
  unique_handle session;
  unique_handle connection;
  unique_handle request;
};

/// Shakes hands and, if the client goes along with it, upgrades and reads until the end.
inline void serve_tls(scripted_peer& self, const tls_server_settings& how) {
  peer_connection to = self.accept_plain();
  try {
    to.start_tls(how);
    to.handshake();
    while (!to.read_some().empty()) {
    }
  } catch (const tls_broken&) { // the client did not like it
  } catch (const peer_failure&) {
  }
}

} // namespace sluice::test
