#include "bench/support/cpu.hpp"
#include "bench/support/receiver.hpp"

#include <winhttp.h>

#include <chrono>
#include <stdexcept>
#include <string>
#include <vector>

namespace sluice::bench {

namespace {

[[noreturn]] void fail(const char* what, DWORD code) {
  throw std::runtime_error(std::string(what) + " failed with " + std::to_string(code));
}

template <typename T> T check(const char* what, T result) {
  if (!result) {
    fail(what, GetLastError());
  }
  return result;
}

} // namespace

winhttp_receiver::winhttp_receiver(std::uint16_t port, std::size_t message_bytes)
    : message_bytes_(message_bytes) {
  session_ = check("WinHttpOpen", WinHttpOpen(L"bench", WINHTTP_ACCESS_TYPE_NO_PROXY,
                                              WINHTTP_NO_PROXY_NAME, WINHTTP_NO_PROXY_BYPASS, 0));
  connection_ = check("WinHttpConnect", WinHttpConnect(session_, L"127.0.0.1", port, 0));
  HINTERNET request =
      check("WinHttpOpenRequest",
            WinHttpOpenRequest(connection_, nullptr, L"/", nullptr, WINHTTP_NO_REFERER,
                               WINHTTP_DEFAULT_ACCEPT_TYPES, 0));
  check("WinHttpSetOption",
        WinHttpSetOption(request, WINHTTP_OPTION_UPGRADE_TO_WEB_SOCKET, nullptr, 0));
  check("WinHttpSendRequest", WinHttpSendRequest(request, WINHTTP_NO_ADDITIONAL_HEADERS, 0,
                                                 WINHTTP_NO_REQUEST_DATA, 0, 0, 0));
  check("WinHttpReceiveResponse", WinHttpReceiveResponse(request, nullptr));
  socket_ = check("WinHttpWebSocketCompleteUpgrade", WinHttpWebSocketCompleteUpgrade(request, 0));
  WinHttpCloseHandle(request);
  receive_bytes(warm_up_bytes);
}

winhttp_receiver::~winhttp_receiver() {
  WinHttpCloseHandle(socket_);
  WinHttpCloseHandle(connection_);
  WinHttpCloseHandle(session_);
}

template <typename Enough> receive_cost winhttp_receiver::receive_until(Enough enough) {
  static thread_local std::vector<char> buffer(receive_buffer_bytes);
  receive_cost cost;
  const auto wall = std::chrono::steady_clock::now();
  const double cpu = thread_cpu_seconds();
  while (!enough(cost)) {
    DWORD got = 0;
    WINHTTP_WEB_SOCKET_BUFFER_TYPE type = {};
    const DWORD code = WinHttpWebSocketReceive(socket_, buffer.data(),
                                               static_cast<DWORD>(buffer.size()), &got, &type);
    if (code != NO_ERROR) {
      fail("WinHttpWebSocketReceive", code);
    }
    ++cost.calls;
    cost.bytes += got;
    message_received_bytes_ += got;
    if (type == WINHTTP_WEB_SOCKET_BINARY_MESSAGE_BUFFER_TYPE ||
        type == WINHTTP_WEB_SOCKET_UTF8_MESSAGE_BUFFER_TYPE) {
      if (message_received_bytes_ != message_bytes_) {
        throw std::runtime_error("a message arrived with " +
                                 std::to_string(message_received_bytes_) + " bytes");
      }
      message_received_bytes_ = 0;
      ++cost.messages;
    }
  }
  cost.cpu_seconds = thread_cpu_seconds() - cpu;
  cost.wall_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - wall).count();
  return cost;
}

receive_cost winhttp_receiver::receive_bytes(std::uint64_t bytes) {
  return receive_until([bytes](const receive_cost& cost) { return cost.bytes >= bytes; });
}

receive_cost winhttp_receiver::receive_messages(std::uint64_t messages) {
  return receive_until([messages](const receive_cost& cost) { return cost.messages >= messages; });
}

} // namespace sluice::bench
