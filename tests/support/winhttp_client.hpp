#pragma once

#include <sluice/winhttp.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace sluice::test {

/// Closes its handle at the end of the scope.
class unique_handle {
public:
  unique_handle() noexcept = default;
  unique_handle(HINTERNET handle) noexcept : handle_(handle) {}
  ~unique_handle() { reset(); }
  unique_handle(unique_handle&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  unique_handle& operator=(unique_handle&& other) noexcept {
    if (this != &other) {
      reset();
      handle_ = std::exchange(other.handle_, nullptr);
    }
    return *this;
  }
  operator HINTERNET() const noexcept { return handle_; }
  [[nodiscard]] HINTERNET get() const noexcept { return handle_; }
  /// WinHttpCloseHandle now; its result.
  BOOL reset() noexcept {
    const HINTERNET closed = std::exchange(handle_, nullptr);
    return closed == nullptr ? TRUE : WinHttpCloseHandle(closed);
  }
  HINTERNET release() noexcept { return std::exchange(handle_, nullptr); }

private:
  HINTERNET handle_ = nullptr;
};

/// A session, a connection to a port of 127.0.0.1, and a GET request of it.
struct client {
  explicit client(std::uint16_t port, const wchar_t* object = L"/", DWORD flags = 0)
      : session(WinHttpOpen(L"agent/1", WINHTTP_ACCESS_TYPE_NO_PROXY, nullptr, nullptr, 0)),
        connection(WinHttpConnect(session, L"127.0.0.1", port, 0)),
        request(WinHttpOpenRequest(connection, nullptr, object, nullptr, nullptr, nullptr, flags)) {
  }

  [[nodiscard]] bool upgrade() const {
    return WinHttpSetOption(request, WINHTTP_OPTION_UPGRADE_TO_WEB_SOCKET, nullptr, 0) != FALSE;
  }
  [[nodiscard]] bool send() const {
    return WinHttpSendRequest(request, nullptr, 0, nullptr, 0, 0, 0) != FALSE;
  }
  [[nodiscard]] bool receive() const { return WinHttpReceiveResponse(request, nullptr) != FALSE; }

  unique_handle session;
  unique_handle connection;
  unique_handle request;
};

/// Reads a header as text (test headers are ASCII); nullopt and the last error when it fails.
[[nodiscard]] inline std::optional<std::string> query_header(HINTERNET request, DWORD level,
                                                             const wchar_t* name = nullptr,
                                                             DWORD* index = nullptr) {
  wchar_t buffer[2048];
  DWORD length = sizeof(buffer);
  if (WinHttpQueryHeaders(request, level, name, buffer, &length, index) == FALSE) {
    return std::nullopt;
  }
  std::string text;
  for (DWORD i = 0; i < length / sizeof(wchar_t); ++i) {
    text.push_back(static_cast<char>(buffer[i]));
  }
  return text;
}

[[nodiscard]] inline std::optional<std::string> query_custom(HINTERNET request, const wchar_t* name,
                                                             DWORD flags = 0) {
  return query_header(request, WINHTTP_QUERY_CUSTOM | flags, name);
}

/// The status of the response, 0 if there is none.
[[nodiscard]] inline DWORD query_status(HINTERNET request) {
  DWORD status = 0;
  DWORD length = sizeof(status);
  return WinHttpQueryHeaders(request, WINHTTP_QUERY_STATUS_CODE | WINHTTP_QUERY_FLAG_NUMBER,
                             nullptr, &status, &length, nullptr) != FALSE
             ? status
             : 0;
}

/// Reads the whole body in pieces of `room` bytes.
[[nodiscard]] inline std::optional<std::string> read_body(HINTERNET request,
                                                          std::size_t room = 4096) {
  std::string body;
  for (;;) {
    std::string piece(room, '\0');
    DWORD read = 0;
    if (WinHttpReadData(request, piece.data(), static_cast<DWORD>(room), &read) == FALSE) {
      return std::nullopt;
    }
    if (read == 0) {
      return body;
    }
    body.append(piece, 0, read);
  }
}

} // namespace sluice::test
