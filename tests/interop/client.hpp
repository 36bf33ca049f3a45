#pragma once

#include <winhttp.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace interop {

/// A message as the WinHTTP calls reported it.
struct message {
  bool closed = false; // the close frame came instead
  bool text = false;
  std::string payload;
  std::size_t piece_count = 0;
};

/// What the peer's close frame held.
struct close_status {
  DWORD code = 0; // what WinHttpWebSocketQueryCloseStatus returned
  USHORT status = 0;
  std::string reason;
};

/// A synchronous WinHTTP client, call by call as a program does it. Failures of calls that must
/// succeed are exceptions with the name of the call and the code. Talks over TLS, and trusts that
/// file alone, if the environment has SLUICE_TEST_CA_FILE; shows the certificate that
/// SLUICE_TEST_CLIENT_CERTIFICATE_FILE and SLUICE_TEST_CLIENT_KEY_FILE name; goes through the proxy
/// on the port of 127.0.0.1 that SLUICE_TEST_PROXY_PORT names, and answers it with
/// SLUICE_TEST_PROXY_USER and _PASSWORD.
class client {
public:
  explicit client(std::uint16_t port, bool shows_certificate = true);
  ~client();
  client(const client&) = delete;
  client& operator=(const client&) = delete;

  /// Request and response; extra headers as `Name: value`, or NULL. Leaves the request open.
  void exchange(const wchar_t* path, const wchar_t* headers = nullptr);
  void upgrade();
  void connect(const wchar_t* path, const wchar_t* headers = nullptr) {
    exchange(path, headers);
    upgrade();
  }

  void send(WINHTTP_WEB_SOCKET_BUFFER_TYPE type, const std::string& payload);

  /// Receives pieces until a message ends, `room` bytes at a time. Checks that all its pieces have
  /// the kind of the first one.
  [[nodiscard]] message receive(std::size_t room = 65536);

  /// One receive call; its return code.
  [[nodiscard]] DWORD receive_piece(std::string& payload, WINHTTP_WEB_SOCKET_BUFFER_TYPE& type,
                                    std::size_t room);

  [[nodiscard]] close_status peer_close() const;

  /// Closes the socket's handle. Servers regard a connection as closed only when TCP says so too.
  void hang_up();

  [[nodiscard]] DWORD status_code() const;
  [[nodiscard]] std::wstring header(const wchar_t* name) const;
  [[nodiscard]] std::string body();

  /// A new request, with the upgrade option set.
  void open(const wchar_t* path);
  /// SendRequest and ReceiveResponse; may be called again.
  void ask(const wchar_t* headers = nullptr);

  [[nodiscard]] HINTERNET request() const { return request_; }
  [[nodiscard]] HINTERNET socket() const { return socket_; }

private:
  DWORD request_flags_ = 0;
  HINTERNET session_ = nullptr;
  HINTERNET connection_ = nullptr;
  HINTERNET request_ = nullptr;
  HINTERNET socket_ = nullptr;
};

} // namespace interop
