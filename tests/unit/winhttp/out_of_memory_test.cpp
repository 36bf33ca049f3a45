// What happens when the Nth allocation of a whole client fails, for every N: an error code that
// says so, no crash, and nothing left behind.

#include "backend_fixture.hpp"
#include "core/memory.hpp"
#include "support/winhttp_client.hpp"

#include <atomic>
#include <cstdlib>
#include <string>

namespace sluice::test {
namespace {

// Lets a number of allocations through and fails all others; from any thread.
std::atomic<long> allowed{0};
std::atomic<long> taken{0};
std::atomic<long> failed{0};
std::atomic<long> live{0};

void* counted_allocate(std::size_t bytes) noexcept {
  if (allowed.fetch_sub(1) <= 0) {
    ++failed;
    return nullptr;
  }
  void* memory = std::malloc(bytes);
  if (memory != nullptr) {
    ++taken;
    ++live;
  }
  return memory;
}

void counted_release(void* memory) noexcept {
  --live;
  std::free(memory);
}

constexpr memory::hooks counting{&counted_allocate, &counted_release};

class counted_hooks {
public:
  counted_hooks() { memory::set_hooks(&counting); }
  ~counted_hooks() { memory::set_hooks(nullptr); }
  counted_hooks(const counted_hooks&) = delete;
  counted_hooks& operator=(const counted_hooks&) = delete;
};

class out_of_memory : public backend_test {};

bool says_no_memory(DWORD code) {
  return code == ERROR_NOT_ENOUGH_MEMORY || code == ERROR_OUTOFMEMORY;
}

// Everything that a client does, directly or through a proxy, up to the first failure; its code, or
// 0.
DWORD run_client(std::uint16_t port, bool proxied = false) {
  const std::wstring proxy = L"127.0.0.1:" + std::to_wstring(port);
  unique_handle session =
      proxied ? WinHttpOpen(L"agent", WINHTTP_ACCESS_TYPE_NAMED_PROXY, proxy.c_str(), L"*.x", 0)
              : WinHttpOpen(L"agent", WINHTTP_ACCESS_TYPE_NO_PROXY, nullptr, nullptr, 0);
  if (!session.get()) {
    return GetLastError();
  }
  unique_handle connection = WinHttpConnect(session, L"127.0.0.1", port, 0);
  if (!connection.get()) {
    return GetLastError();
  }
  const wchar_t* types[] = {L"text/plain", L"*/*", nullptr};
  unique_handle request =
      WinHttpOpenRequest(connection, L"GET", L"/a path?q", nullptr, L"http://r/", types, 0);
  if (!request.get() ||
      !WinHttpSetOption(request, WINHTTP_OPTION_UPGRADE_TO_WEB_SOCKET, nullptr, 0) ||
      !WinHttpAddRequestHeaders(request, L"Sec-WebSocket-Protocol: chat\r\nX: y",
                                static_cast<DWORD>(-1), WINHTTP_ADDREQ_FLAG_ADD) ||
      !WinHttpAddRequestHeaders(request, L"X: z", static_cast<DWORD>(-1),
                                WINHTTP_ADDREQ_FLAG_COALESCE_WITH_COMMA) ||
      !WinHttpSetCredentials(request, WINHTTP_AUTH_TARGET_SERVER, WINHTTP_AUTH_SCHEME_BASIC, L"me",
                             L"secret", nullptr) ||
      (proxied &&
       !WinHttpSetOption(request, WINHTTP_OPTION_PROXY_USERNAME, const_cast<wchar_t*>(L"me"), 2)) ||
      !WinHttpSendRequest(request, L"Y: z", static_cast<DWORD>(-1), nullptr, 0, 0, 0) ||
      !WinHttpReceiveResponse(request, nullptr)) {
    return GetLastError();
  }
  WINHTTP_PROXY_INFO info{};
  DWORD length = sizeof(info);
  if (!WinHttpQueryOption(request, WINHTTP_OPTION_PROXY, &info, &length)) {
    return GetLastError();
  }
  GlobalFree(info.lpszProxy);
  GlobalFree(info.lpszProxyBypass);
  wchar_t text[512];
  length = sizeof(text);
  if (!WinHttpQueryHeaders(request, WINHTTP_QUERY_RAW_HEADERS_CRLF, nullptr, text, &length,
                           nullptr)) {
    return GetLastError();
  }
  length = sizeof(text);
  if (!WinHttpQueryOption(request, WINHTTP_OPTION_URL, text, &length)) {
    return GetLastError();
  }
  const unique_handle socket = WinHttpWebSocketCompleteUpgrade(request, 0);
  if (!socket.get()) {
    return GetLastError();
  }
  char payload[64];
  DWORD read = 0;
  WINHTTP_WEB_SOCKET_BUFFER_TYPE type{};
  DWORD code = WinHttpWebSocketReceive(socket, payload, sizeof(payload), &read, &type);
  if (code != 0) {
    return code;
  }
  EXPECT_EQ(std::string(payload, read), "greeting");
  code = WinHttpWebSocketSend(socket, WINHTTP_WEB_SOCKET_BINARY_MESSAGE_BUFFER_TYPE, payload, 8);
  return code;
}

// A server that greets whoever upgrades, connection after connection, until the program is done.
void serve(scripted_peer& on, event& over) {
  for (;;) {
    peer_connection to = on.accept();
    if (over.is_set()) {
      return;
    }
    try {
      const std::string head = to.read_request();
      if (head.starts_with("CONNECT")) { // the proxy asks for a name first
        if (!header_of(head, "Proxy-Authorization").has_value()) {
          to.send_response("HTTP/1.1 407 Who", "Proxy-Authenticate: Basic\r\n");
          to.expect_eof();
          continue;
        }
        to.send("HTTP/1.1 200 OK\r\n\r\n");
        to.read_request();
      }
      to.send_101("Sec-WebSocket-Protocol: chat\r\n", make_frame(0x1, "greeting"));
      while (!to.read_some().empty()) {
      }
    } catch (const peer_failure&) {
      // The client gave up in the middle.
    }
  }
}

TEST_F(out_of_memory, HND_CUP_06_every_allocation_of_a_client_may_fail) {
  event over;
  scripted_peer peer([&](scripted_peer& on) { serve(on, over); });
  // The loop of this thread stays for the thread's life: it is made before counting.
  EXPECT_EQ(run_client(peer.port()), 0u);
  for (const bool proxied : {false, true}) {
    const counted_hooks hooks;
    allowed = 1'000'000;
    taken = 0;
    EXPECT_EQ(run_client(peer.port(), proxied), 0u);
    const long needed = taken;
    EXPECT_GT(needed, 10);
    const long resting = live; // what the loop keeps for later
    EXPECT_LT(resting, 20);
    for (long n = 0;; ++n) {
      ASSERT_LT(n, 10 * needed) << "never succeeds";
      allowed = n;
      failed = 0;
      const DWORD code = run_client(peer.port(), proxied);
      if (failed == 0) {
        EXPECT_EQ(code, 0u);
        break;
      }
      EXPECT_TRUE(code == 0 || says_no_memory(code)) << "allocation " << n << ": " << code;
      EXPECT_LE(live, resting + 20) << "after allocation " << n;
    }
    allowed = 1'000'000;
    EXPECT_EQ(run_client(peer.port(), proxied), 0u);
    const long settled = live;
    EXPECT_EQ(run_client(peer.port(), proxied), 0u);
    EXPECT_EQ(live, settled); // a whole run leaves nothing behind
  }
  over.set();
  client last(peer.port());
  EXPECT_TRUE(last.send());
}

} // namespace
} // namespace sluice::test
