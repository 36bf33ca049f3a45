#include "websocket_fixture.hpp"

#include "core/memory.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ostream>

namespace sluice::test {
namespace {

constexpr std::chrono::seconds patience{60};
constexpr DWORD untouched = 0xA5A5A5A5u;
constexpr char canary = static_cast<char>(0xC5);

void check(bool ok, const char* what) {
  if (!ok) {
    throw peer_failure(std::string("socket pair: ") + what);
  }
}

// As a program gets it: the certificate is checked.
void start_tls(io::stream& client, peer_connection& server) {
  std::string failure;
  std::thread serving([&] {
    try {
      server.start_tls();
    } catch (const std::exception& thrown) {
      failure = thrown.what();
    }
  });
  io::loop* on = nullptr;
  error failed = io::loop::for_this_thread(on);
  if (failed == error::none) {
    const std::string authority = tls_test_authority().root();
    tls_settings settings;
    settings.ca_pem = bytes_of(authority);
    io::tls_context_ref context;
    failed = io::tls_context::make_client(settings, context);
    if (failed == error::none) {
      failed = client.start_tls(*on, context, {.host = "127.0.0.1"}, io::clock::now() + patience,
                                nullptr);
    }
  }
  if (failed != error::none) {
    client.shutdown(true);
  }
  serving.join();
  check(failed == error::none, to_string(failed));
  check(failure.empty(), failure.c_str());
}

} // namespace

std::string pattern_text(std::size_t count) {
  std::string made(count, '\0');
  for (std::size_t i = 0; i < count; ++i) {
    made[i] = static_cast<char>((i * 167 + i / 251 + 3) & 0xFF);
  }
  return made;
}

std::string flood_of_pings(int pings) {
  const std::string ping = make_frame(ping_opcode, std::string(125, 'f'));
  std::string flood;
  for (int i = 0; i < pings; ++i) {
    flood += ping;
  }
  return flood;
}

std::string close_payload_text(unsigned status, std::string_view reason) {
  std::string made{static_cast<char>(status >> 8), static_cast<char>(status & 0xFF)};
  return made.append(reason);
}

socket_pair::socket_pair(const pair_settings& how) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  check(listener >= 0 && client >= 0, "socket");
  if (how.peer_receive_buffer_bytes != 0) {
    ::setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &how.peer_receive_buffer_bytes, sizeof(int));
  }
  if (how.client_send_buffer_bytes != 0) {
    ::setsockopt(client, SOL_SOCKET, SO_SNDBUF, &how.client_send_buffer_bytes, sizeof(int));
  }
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  check(::bind(listener, generic, size) == 0 && ::listen(listener, 1) == 0 &&
            ::getsockname(listener, generic, &size) == 0 && ::connect(client, generic, size) == 0,
        "connect");
  const int peer = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  check(peer >= 0, "accept");
  ::close(listener);
  const int on = 1;
  ::setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  ::setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  ::fcntl(client, F_SETFL, ::fcntl(client, F_GETFL) | O_NONBLOCK);

  peer_ = std::make_unique<peer_connection>(peer);
  client_fd_ = client;
  object_ = memory::create<winhttp::websocket>();
  check(object_ != nullptr, "memory");
  io::stream transport(client);
  if (tls_is_wanted()) {
    start_tls(transport, *peer_);
  }
  if (how.read_ahead_bytes != 0) {
    check(object_->begin_care(how.read_ahead_bytes) == ERROR_SUCCESS, "caretaker");
  }
  object_->connect(std::move(transport), how.send_timeout, nullptr);
  handle_ = winhttp::open_handle(*object_);
  check(handle_ != nullptr, "handle");
}

socket_pair::~socket_pair() {
  close_handle();
}

BOOL socket_pair::close_handle() noexcept {
  const HINTERNET closed = handle_;
  handle_ = nullptr;
  return closed != nullptr && winhttp::close_handle(closed) == ERROR_SUCCESS ? TRUE : FALSE;
}

void socket_pair::send_paced(std::string_view bytes, const std::function<bool()>& client_reads) {
  for (const char& byte : bytes) {
    int unread = 1;
    while (unread != 0) {
      if (!client_reads()) {
        return;
      }
      check(::ioctl(client_fd_, FIONREAD, &unread) == 0, "FIONREAD");
      if (unread != 0) {
        ::sched_yield();
      }
    }
    if (!peer_->try_send({&byte, 1})) {
      return; // the client has dropped the connection
    }
    wait_until([&] { // the byte has arrived, so that the next look at FIONREAD means something
      int unsent = 0;
      ::ioctl(peer_->fd(), TIOCOUTQ, &unsent);
      return unsent == 0 || !client_reads();
    });
  }
}

HINTERNET open_request(HINTERNET connection) {
  const HINTERNET made = WinHttpOpenRequest(connection, L"GET", L"/", nullptr, nullptr, nullptr,
                                            tls_is_wanted() ? WINHTTP_FLAG_SECURE : 0);
  DWORD ignored = SECURITY_FLAG_IGNORE_UNKNOWN_CA;
  WinHttpSetOption(made, WINHTTP_OPTION_SECURITY_FLAGS, &ignored, sizeof(ignored));
  return made;
}

api_request::api_request(std::uint16_t port) {
  session = WinHttpOpen(L"test", WINHTTP_ACCESS_TYPE_NO_PROXY, nullptr, nullptr, 0);
  connection = WinHttpConnect(session, L"127.0.0.1", port, 0);
  request = open_request(connection);
  check(request != nullptr, "WinHttpOpenRequest");
  check(WinHttpSetOption(request, WINHTTP_OPTION_UPGRADE_TO_WEB_SOCKET, nullptr, 0) != FALSE,
        "UPGRADE_TO_WEB_SOCKET");
  check(WinHttpSendRequest(request, nullptr, 0, nullptr, 0, 0, 0) != FALSE, "WinHttpSendRequest");
  check(WinHttpReceiveResponse(request, nullptr) != FALSE, "WinHttpReceiveResponse");
}

api_request::~api_request() {
  WinHttpCloseHandle(request);
  WinHttpCloseHandle(connection);
  WinHttpCloseHandle(session);
}

api_socket::api_socket(std::uint16_t port) {
  const api_request from(port);
  handle_ = WinHttpWebSocketCompleteUpgrade(from.request, 0);
  check(handle_ != nullptr, "WinHttpWebSocketCompleteUpgrade");
}

api_socket::~api_socket() {
  WinHttpCloseHandle(handle_);
}

void PrintTo(const received& value, std::ostream* out) {
  *out << "code " << value.code << ", type " << static_cast<int>(value.type) << ", "
       << value.bytes.size() << " bytes";
  if (value.bytes.size() <= 64) {
    *out << " \"" << value.bytes << '"';
  }
}

received receive(HINTERNET socket, std::size_t room) {
  std::string buffer(room, canary);
  DWORD count = untouched;
  constexpr auto untouched_type = static_cast<WINHTTP_WEB_SOCKET_BUFFER_TYPE>(7);
  auto type = untouched_type;
  received got;
  got.code =
      WinHttpWebSocketReceive(socket, buffer.data(), static_cast<DWORD>(room), &count, &type);
  if (got.code != ERROR_SUCCESS) {
    EXPECT_EQ(count, untouched) << "STA-03";
    EXPECT_EQ(type, untouched_type) << "STA-03";
    return got;
  }
  EXPECT_LE(count, room);
  got.type = type;
  EXPECT_EQ(buffer.find_first_not_of(canary, count), std::string::npos)
      << "written behind the bytes it reported";
  got.bytes = buffer.substr(0, count);
  return got;
}

received receive_message(HINTERNET socket, std::size_t room) {
  std::string joined;
  for (;;) {
    received piece = receive(socket, room);
    if (piece.code != ERROR_SUCCESS) {
      return piece;
    }
    joined += piece.bytes;
    if (piece.type != binary_fragment && piece.type != utf8_fragment) {
      return {piece.code, piece.type, std::move(joined)};
    }
  }
}

DWORD send(HINTERNET socket, WINHTTP_WEB_SOCKET_BUFFER_TYPE type, std::string_view payload) {
  return WinHttpWebSocketSend(socket, type,
                              payload.empty() ? nullptr : const_cast<char*>(payload.data()),
                              static_cast<DWORD>(payload.size()));
}

DWORD shutdown(HINTERNET socket, USHORT status, std::string_view reason) {
  return WinHttpWebSocketShutdown(socket, status,
                                  reason.empty() ? nullptr : const_cast<char*>(reason.data()),
                                  static_cast<DWORD>(reason.size()));
}

DWORD close(HINTERNET socket, USHORT status, std::string_view reason) {
  return WinHttpWebSocketClose(socket, status,
                               reason.empty() ? nullptr : const_cast<char*>(reason.data()),
                               static_cast<DWORD>(reason.size()));
}

void PrintTo(const close_status_result& value, std::ostream* out) {
  *out << "code " << value.code << ", status " << value.status << ", reason \"" << value.reason
       << '"';
}

close_status_result query_close_status(HINTERNET socket) {
  close_status_result got;
  std::string reason(WINHTTP_WEB_SOCKET_MAX_CLOSE_REASON_LENGTH, canary);
  USHORT status = 0xA5A5;
  DWORD count = untouched;
  got.code = WinHttpWebSocketQueryCloseStatus(socket, &status, reason.data(),
                                              static_cast<DWORD>(reason.size()), &count);
  if (got.code != ERROR_SUCCESS) {
    EXPECT_EQ(status, 0xA5A5) << "STA-03";
    EXPECT_EQ(count, untouched) << "STA-03";
    EXPECT_EQ(reason.find_first_not_of(canary), std::string::npos) << "STA-03";
    return got;
  }
  got.status = status;
  EXPECT_LE(count, reason.size());
  EXPECT_EQ(reason.find_first_not_of(canary, count), std::string::npos);
  got.reason = reason.substr(0, count);
  return got;
}

void let_others_run() {
  for (int i = 0; i < 200; ++i) {
    ::sched_yield();
  }
}

void wait_until(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) {
      ADD_FAILURE() << "a condition of the test never came true";
      return;
    }
    ::sched_yield();
  }
}

} // namespace sluice::test
