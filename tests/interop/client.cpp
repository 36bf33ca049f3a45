#include "tests/interop/client.hpp"

#include <sluice/extensions.h>

#include <array>
#include <cstdlib>
#include <stdexcept>
#include <vector>

namespace interop {

namespace {

[[noreturn]] void fail(const char* what, DWORD code) {
  throw std::runtime_error(std::string(what) + " failed with " + std::to_string(code));
}

std::wstring from_environment(const char* variable) {
  const char* const value = std::getenv(variable);
  const std::string text = value != nullptr ? value : "";
  return {text.begin(), text.end()};
}

template <typename T> T check(const char* what, T result) {
  if (!result) {
    fail(what, GetLastError());
  }
  return result;
}

} // namespace

client::client(std::uint16_t port, bool shows_certificate) {
  const std::wstring proxy = from_environment("SLUICE_TEST_PROXY_PORT");
  const std::wstring server = L"127.0.0.1:" + proxy;
  session_ = check("WinHttpOpen",
                   proxy.empty() ? WinHttpOpen(L"interop", WINHTTP_ACCESS_TYPE_NO_PROXY,
                                               WINHTTP_NO_PROXY_NAME, WINHTTP_NO_PROXY_BYPASS, 0)
                                 : WinHttpOpen(L"interop", WINHTTP_ACCESS_TYPE_NAMED_PROXY,
                                               server.c_str(), WINHTTP_NO_PROXY_BYPASS, 0));
  if (const char* const authority = std::getenv("SLUICE_TEST_CA_FILE"); authority != nullptr) {
    const std::string name(authority);
    std::wstring wide(name.begin(), name.end());
    check("SLUICE_OPTION_TLS_CA_FILE",
          WinHttpSetOption(session_, SLUICE_OPTION_TLS_CA_FILE, wide.data(),
                           static_cast<DWORD>(wide.size())));
    request_flags_ = WINHTTP_FLAG_SECURE;
  }
  const std::wstring certificate = from_environment("SLUICE_TEST_CLIENT_CERTIFICATE_FILE");
  if (shows_certificate && !certificate.empty()) {
    const std::wstring key = from_environment("SLUICE_TEST_CLIENT_KEY_FILE");
    SLUICE_CLIENT_CERTIFICATE own{};
    own.CertificateFile = certificate.c_str();
    own.PrivateKeyFile = key.c_str();
    check("SLUICE_OPTION_TLS_CLIENT_CERTIFICATE",
          WinHttpSetOption(session_, SLUICE_OPTION_TLS_CLIENT_CERTIFICATE, &own, sizeof(own)));
  }
  connection_ = check("WinHttpConnect", WinHttpConnect(session_, L"127.0.0.1", port, 0));
}

client::~client() {
  for (HINTERNET handle : {socket_, request_, connection_, session_}) {
    if (handle != nullptr) {
      WinHttpCloseHandle(handle);
    }
  }
}

void client::exchange(const wchar_t* path, const wchar_t* headers) {
  open(path);
  std::wstring user = from_environment("SLUICE_TEST_PROXY_USER");
  std::wstring password = from_environment("SLUICE_TEST_PROXY_PASSWORD");
  if (!user.empty()) {
    check("PROXY_USERNAME", WinHttpSetOption(request_, WINHTTP_OPTION_PROXY_USERNAME, user.data(),
                                             static_cast<DWORD>(user.size())));
    check("PROXY_PASSWORD", WinHttpSetOption(request_, WINHTTP_OPTION_PROXY_PASSWORD,
                                             password.data(), static_cast<DWORD>(password.size())));
  }
  ask(headers);
}

void client::open(const wchar_t* path) {
  request_ = check("WinHttpOpenRequest",
                   WinHttpOpenRequest(connection_, nullptr, path, nullptr, WINHTTP_NO_REFERER,
                                      WINHTTP_DEFAULT_ACCEPT_TYPES, request_flags_));
  check("WinHttpSetOption",
        WinHttpSetOption(request_, WINHTTP_OPTION_UPGRADE_TO_WEB_SOCKET, nullptr, 0));
}

void client::ask(const wchar_t* headers) {
  check("WinHttpSendRequest", WinHttpSendRequest(request_, headers, static_cast<DWORD>(-1),
                                                 WINHTTP_NO_REQUEST_DATA, 0, 0, 0));
  check("WinHttpReceiveResponse", WinHttpReceiveResponse(request_, nullptr));
}

void client::upgrade() {
  socket_ = check("WinHttpWebSocketCompleteUpgrade", WinHttpWebSocketCompleteUpgrade(request_, 0));
}

void client::send(WINHTTP_WEB_SOCKET_BUFFER_TYPE type, const std::string& payload) {
  std::string copy = payload; // the parameter is not const
  const DWORD code =
      WinHttpWebSocketSend(socket_, type, copy.data(), static_cast<DWORD>(copy.size()));
  if (code != NO_ERROR) {
    fail("WinHttpWebSocketSend", code);
  }
  if (copy != payload) {
    throw std::runtime_error("WinHttpWebSocketSend changed the caller's buffer");
  }
}

DWORD client::receive_piece(std::string& payload, WINHTTP_WEB_SOCKET_BUFFER_TYPE& type,
                            std::size_t room) {
  std::vector<char> buffer(room);
  DWORD got = 0;
  const DWORD code = WinHttpWebSocketReceive(socket_, buffer.data(),
                                             static_cast<DWORD>(buffer.size()), &got, &type);
  if (code == NO_ERROR) {
    payload.append(buffer.data(), got);
  }
  return code;
}

message client::receive(std::size_t room) {
  message whole;
  for (;;) {
    WINHTTP_WEB_SOCKET_BUFFER_TYPE type = {};
    const DWORD code = receive_piece(whole.payload, type, room);
    if (code != NO_ERROR) {
      fail("WinHttpWebSocketReceive", code);
    }
    if (type == WINHTTP_WEB_SOCKET_CLOSE_BUFFER_TYPE) {
      whole.closed = true;
      return whole;
    }
    const bool text = type == WINHTTP_WEB_SOCKET_UTF8_MESSAGE_BUFFER_TYPE ||
                      type == WINHTTP_WEB_SOCKET_UTF8_FRAGMENT_BUFFER_TYPE;
    if (whole.piece_count++ > 0 && text != whole.text) {
      throw std::runtime_error("the pieces of one message differ in kind");
    }
    whole.text = text;
    if (type == WINHTTP_WEB_SOCKET_UTF8_MESSAGE_BUFFER_TYPE ||
        type == WINHTTP_WEB_SOCKET_BINARY_MESSAGE_BUFFER_TYPE) {
      return whole;
    }
  }
}

close_status client::peer_close() const {
  close_status found;
  std::array<char, WINHTTP_WEB_SOCKET_MAX_CLOSE_REASON_LENGTH> reason = {};
  DWORD length = 0;
  found.code = WinHttpWebSocketQueryCloseStatus(socket_, &found.status, reason.data(),
                                                static_cast<DWORD>(reason.size()), &length);
  found.reason.assign(reason.data(), length);
  return found;
}

void client::hang_up() {
  check("WinHttpCloseHandle", WinHttpCloseHandle(socket_));
  socket_ = nullptr;
}

DWORD client::status_code() const {
  DWORD status = 0;
  DWORD size = sizeof(status);
  check("WinHttpQueryHeaders",
        WinHttpQueryHeaders(request_, WINHTTP_QUERY_STATUS_CODE | WINHTTP_QUERY_FLAG_NUMBER,
                            WINHTTP_HEADER_NAME_BY_INDEX, &status, &size, nullptr));
  return status;
}

std::wstring client::header(const wchar_t* name) const {
  std::array<wchar_t, 256> value = {};
  DWORD size = sizeof(value);
  check("WinHttpQueryHeaders",
        WinHttpQueryHeaders(request_, WINHTTP_QUERY_CUSTOM, name, value.data(), &size, nullptr));
  return {value.data(), size / sizeof(wchar_t)};
}

std::string client::body() {
  std::string whole;
  for (;;) {
    std::array<char, 256> piece;
    DWORD got = 0;
    check("WinHttpReadData",
          WinHttpReadData(request_, piece.data(), static_cast<DWORD>(piece.size()), &got));
    if (got == 0) {
      return whole;
    }
    whole.append(piece.data(), got);
  }
}

} // namespace interop
