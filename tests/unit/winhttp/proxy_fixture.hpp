#pragma once

#include "backend_fixture.hpp"
#include "support/winhttp_client.hpp"

#include <sluice/extensions.h>

#include <string>
#include <string_view>

namespace sluice::test {

inline constexpr DWORD no_count = static_cast<DWORD>(-1);

/// The first line of a head.
[[nodiscard]] inline std::string line_of(const std::string& head) {
  return head.substr(0, head.find("\r\n"));
}

/// Reads a CONNECT and agrees to it; what follows on the connection is the tunnel's.
inline std::string accept_tunnel(peer_connection& to) {
  const std::string head = to.read_request();
  to.send("HTTP/1.1 200 Connection established\r\nProxy-Agent: test\r\n\r\n");
  return head;
}

[[nodiscard]] inline std::wstring proxy_text(std::uint16_t port) {
  return L"127.0.0.1:" + std::to_wstring(port);
}

/// Sets WINHTTP_OPTION_PROXY.
inline void name_proxy(HINTERNET handle, std::wstring servers, const wchar_t* bypass = nullptr) {
  WINHTTP_PROXY_INFO info = {WINHTTP_ACCESS_TYPE_NAMED_PROXY, servers.data(),
                             const_cast<LPWSTR>(bypass)};
  EXPECT_TRUE(WinHttpSetOption(handle, WINHTTP_OPTION_PROXY, &info, sizeof(info)))
      << GetLastError();
}

/// The list that the option shows; empty if there is no proxy.
[[nodiscard]] inline std::wstring query_proxy(HINTERNET handle) {
  WINHTTP_PROXY_INFO info{};
  DWORD length = sizeof(info);
  EXPECT_TRUE(WinHttpQueryOption(handle, WINHTTP_OPTION_PROXY, &info, &length)) << GetLastError();
  const std::wstring shown = info.lpszProxy != nullptr ? info.lpszProxy : L"";
  EXPECT_EQ(info.dwAccessType, static_cast<DWORD>(shown.empty() ? WINHTTP_ACCESS_TYPE_NO_PROXY
                                                                : WINHTTP_ACCESS_TYPE_NAMED_PROXY));
  EXPECT_EQ(GlobalFree(info.lpszProxy), nullptr);
  EXPECT_EQ(GlobalFree(info.lpszProxyBypass), nullptr);
  return shown;
}

/// A client whose session names a proxy on a port of 127.0.0.1.
struct proxied_client : client {
  explicit proxied_client(std::uint16_t proxy_port, const wchar_t* host = L"target.invalid",
                          INTERNET_PORT port = 0, const wchar_t* object = nullptr, DWORD flags = 0,
                          const wchar_t* verb = nullptr)
      : client(1) {
    session = WinHttpOpen(L"agent/1", WINHTTP_ACCESS_TYPE_NAMED_PROXY,
                          proxy_text(proxy_port).c_str(), nullptr, 0);
    connection = WinHttpConnect(session, host, port, 0);
    request = WinHttpOpenRequest(connection, verb, object, nullptr, nullptr, nullptr, flags);
  }

  /// The session trusts the authority of the tests.
  void trust_tests() const {
    std::string authority = tls_test_authority().root();
    EXPECT_TRUE(WinHttpSetOption(session, SLUICE_OPTION_TLS_CA_PEM, authority.data(),
                                 static_cast<DWORD>(authority.size())));
  }

  [[nodiscard]] DWORD set_credentials(DWORD target, const wchar_t* user,
                                      const wchar_t* password) const {
    return WinHttpSetCredentials(request, target, WINHTTP_AUTH_SCHEME_BASIC, user, password,
                                 nullptr) != FALSE
               ? 0
               : GetLastError();
  }

  void set_text(DWORD option, std::wstring text) const {
    EXPECT_TRUE(WinHttpSetOption(request, option, text.data(), static_cast<DWORD>(text.size())));
  }

  /// `faults` becomes what SECURE_FAILURE says.
  void watch_faults(DWORD& faults) const {
    auto context = reinterpret_cast<DWORD_PTR>(&faults);
    EXPECT_TRUE(WinHttpSetOption(request, WINHTTP_OPTION_CONTEXT_VALUE, &context, sizeof(context)));
    WinHttpSetStatusCallback(
        request,
        [](HINTERNET, DWORD_PTR to, DWORD status, LPVOID info, DWORD) {
          if (status == WINHTTP_CALLBACK_STATUS_SECURE_FAILURE) {
            *reinterpret_cast<DWORD*>(to) |= *static_cast<const DWORD*>(info);
          }
        },
        WINHTTP_CALLBACK_FLAG_SECURE_FAILURE, 0);
  }
};

} // namespace sluice::test
