#include "async_fixture.hpp"

#include <openssl/crypto.h>

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace sluice::test {
namespace {

// As a session would do it, but the peers of the tests come first: see io::keep_crypto_at_exit().
[[maybe_unused]] const int kept_at_exit = OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, nullptr);

constexpr std::chrono::seconds patience{60};

#define SLUICE_STATUS(name)                                                                        \
  { WINHTTP_CALLBACK_STATUS_##name, #name }
const std::map<DWORD, const char*> status_names = {SLUICE_STATUS(RESOLVING_NAME),
                                                   SLUICE_STATUS(NAME_RESOLVED),
                                                   SLUICE_STATUS(CONNECTING_TO_SERVER),
                                                   SLUICE_STATUS(CONNECTED_TO_SERVER),
                                                   SLUICE_STATUS(SENDING_REQUEST),
                                                   SLUICE_STATUS(REQUEST_SENT),
                                                   SLUICE_STATUS(RECEIVING_RESPONSE),
                                                   SLUICE_STATUS(RESPONSE_RECEIVED),
                                                   SLUICE_STATUS(CLOSING_CONNECTION),
                                                   SLUICE_STATUS(CONNECTION_CLOSED),
                                                   SLUICE_STATUS(HANDLE_CREATED),
                                                   SLUICE_STATUS(HANDLE_CLOSING),
                                                   SLUICE_STATUS(REDIRECT),
                                                   SLUICE_STATUS(INTERMEDIATE_RESPONSE),
                                                   SLUICE_STATUS(HEADERS_AVAILABLE),
                                                   SLUICE_STATUS(DATA_AVAILABLE),
                                                   SLUICE_STATUS(READ_COMPLETE),
                                                   SLUICE_STATUS(WRITE_COMPLETE),
                                                   SLUICE_STATUS(REQUEST_ERROR),
                                                   SLUICE_STATUS(SENDREQUEST_COMPLETE),
                                                   SLUICE_STATUS(CLOSE_COMPLETE),
                                                   SLUICE_STATUS(SHUTDOWN_COMPLETE),
                                                   SLUICE_STATUS(SECURE_FAILURE)};
#undef SLUICE_STATUS

void check(bool good, const char* what) {
  if (!good) {
    throw std::runtime_error(what);
  }
}

} // namespace

void CALLBACK recorder::callback(HINTERNET handle, DWORD_PTR context, DWORD status, LPVOID info,
                                 DWORD info_bytes) {
  auto& self = *reinterpret_cast<recorder*>(context);
  notice seen;
  seen.handle = handle;
  seen.status = status;
  seen.info_bytes = info_bytes;
  seen.on_test_thread = std::this_thread::get_id() == self.test_thread_;
  switch (status) {
  case WINHTTP_CALLBACK_STATUS_REQUEST_ERROR:
    if (info_bytes == sizeof(WINHTTP_WEB_SOCKET_ASYNC_RESULT)) {
      const auto& result = *static_cast<const WINHTTP_WEB_SOCKET_ASYNC_RESULT*>(info);
      EXPECT_EQ(result.AsyncResult.dwResult, 0u) << "NOT-06";
      seen.code = result.AsyncResult.dwError;
      seen.call = static_cast<DWORD_PTR>(result.Operation);
    } else if (info_bytes == sizeof(WINHTTP_ASYNC_RESULT)) {
      const auto& result = *static_cast<const WINHTTP_ASYNC_RESULT*>(info);
      seen.code = result.dwError;
      seen.call = result.dwResult;
    } else {
      ADD_FAILURE() << "REQUEST_ERROR with " << info_bytes << " bytes";
    }
    break;
  case WINHTTP_CALLBACK_STATUS_READ_COMPLETE:
  case WINHTTP_CALLBACK_STATUS_WRITE_COMPLETE:
    seen.bytes = info_bytes;
    if (info_bytes == sizeof(WINHTTP_WEB_SOCKET_STATUS)) {
      const auto& result = *static_cast<const WINHTTP_WEB_SOCKET_STATUS*>(info);
      seen.bytes = result.dwBytesTransferred;
      seen.type = static_cast<DWORD>(result.eBufferType);
    }
    break;
  case WINHTTP_CALLBACK_STATUS_CLOSE_COMPLETE:
  case WINHTTP_CALLBACK_STATUS_SHUTDOWN_COMPLETE:
    EXPECT_EQ(info, nullptr);
    EXPECT_EQ(info_bytes, 0u);
    break;
  case WINHTTP_CALLBACK_STATUS_HANDLE_CREATED:
  case WINHTTP_CALLBACK_STATUS_HANDLE_CLOSING:
    EXPECT_EQ(info_bytes, sizeof(HINTERNET)) << "HND-13";
    std::memcpy(&seen.other, info, sizeof(seen.other));
    break;
  default:
    break;
  }
  {
    const std::lock_guard guard(self.lock_);
    if (std::find(self.closed_.begin(), self.closed_.end(), handle) != self.closed_.end()) {
      ADD_FAILURE() << "HND-13: " << self.describe(seen) << " after HANDLE_CLOSING";
    }
    self.notices_.push_back(seen);
    if (status == WINHTTP_CALLBACK_STATUS_HANDLE_CLOSING) {
      self.closed_.push_back(handle);
    }
  }
  if (const auto found = self.actions_.find(status); found != self.actions_.end()) {
    found->second(seen);
  }
  const std::lock_guard guard(self.lock_);
  ++self.finished_[status];
  if (status == WINHTTP_CALLBACK_STATUS_HANDLE_CLOSING) {
    self.gone_.push_back(handle);
  }
  self.changed_.notify_all();
}

void recorder::name(HINTERNET handle, std::string called) {
  const std::lock_guard guard(lock_);
  names_[handle] = std::move(called);
}

void recorder::wait(DWORD status, std::size_t count) {
  std::unique_lock guard(lock_);
  if (!changed_.wait_for(guard, patience, [&] { return finished_[status] >= count; })) {
    throw std::runtime_error(std::string("no ") + status_names.at(status));
  }
}

void recorder::wait_closed(HINTERNET handle) {
  std::unique_lock guard(lock_);
  if (!changed_.wait_for(guard, patience, [&] {
        return std::find(gone_.begin(), gone_.end(), handle) != gone_.end();
      })) {
    throw std::runtime_error("no HANDLE_CLOSING");
  }
}

std::vector<notice> recorder::all() {
  const std::lock_guard guard(lock_);
  return notices_;
}

std::size_t recorder::count(DWORD status) {
  const std::lock_guard guard(lock_);
  return static_cast<std::size_t>(
      std::count_if(notices_.begin(), notices_.end(),
                    [status](const notice& one) { return one.status == status; }));
}

void recorder::clear() {
  const std::lock_guard guard(lock_);
  notices_.clear();
  finished_.clear();
}

void recorder::forget(DWORD status) {
  const std::lock_guard guard(lock_);
  finished_.erase(status);
}

std::string recorder::describe(const notice& one) {
  const auto called = [this](HINTERNET handle) {
    const auto found = names_.find(handle);
    return found != names_.end() ? found->second : std::string("?");
  };
  const auto known = status_names.find(one.status);
  std::string line = called(one.handle) + " " +
                     (known != status_names.end() ? known->second : std::to_string(one.status));
  switch (one.status) {
  case WINHTTP_CALLBACK_STATUS_REQUEST_ERROR:
    line += " " + std::to_string(one.code) + " of " + std::to_string(one.call);
    break;
  case WINHTTP_CALLBACK_STATUS_READ_COMPLETE:
  case WINHTTP_CALLBACK_STATUS_WRITE_COMPLETE:
    line += " " + std::to_string(one.bytes) + " type " + std::to_string(one.type);
    break;
  case WINHTTP_CALLBACK_STATUS_HANDLE_CREATED:
    line += " " + called(one.other);
    break;
  default:
    break;
  }
  return one.on_test_thread ? line + " in-call" : line;
}

std::vector<std::string> recorder::described() {
  const std::lock_guard guard(lock_);
  std::vector<std::string> lines;
  for (const notice& one : notices_) {
    lines.push_back(describe(one));
  }
  return lines;
}

std::vector<std::string> recorder::described(HINTERNET of) {
  const std::lock_guard guard(lock_);
  std::vector<std::string> lines;
  for (const notice& one : notices_) {
    if (one.handle == of) {
      lines.push_back(describe(one));
    }
  }
  return lines;
}

async_handles::async_handles(recorder& told, std::uint16_t port, DWORD mask, DWORD flags)
    : to(told) {
  session = WinHttpOpen(L"test", WINHTTP_ACCESS_TYPE_NO_PROXY, nullptr, nullptr, flags);
  check(session != nullptr, "WinHttpOpen");
  to.name(session, "session");
  DWORD_PTR context = to.context();
  check(WinHttpSetOption(session, WINHTTP_OPTION_CONTEXT_VALUE, &context, sizeof(context)) != FALSE,
        "CONTEXT_VALUE");
  check(WinHttpSetStatusCallback(session, &recorder::callback, mask, 0) == nullptr,
        "WinHttpSetStatusCallback");
  connection = WinHttpConnect(session, L"127.0.0.1", port, 0);
  check(connection != nullptr, "WinHttpConnect");
  to.name(connection, "connection");
  request = open_request(connection);
  check(request != nullptr, "WinHttpOpenRequest");
  to.name(request, "request");
}

async_handles::~async_handles() {
  close();
}

void async_handles::close() {
  for (HINTERNET* const handle : {&request, &connection, &session}) {
    if (*handle != nullptr) {
      const HINTERNET closed = std::exchange(*handle, nullptr);
      EXPECT_TRUE(WinHttpCloseHandle(closed));
      to.wait_closed(closed);
    }
  }
}

HINTERNET async_handles::open_socket() {
  check(WinHttpSetOption(request, WINHTTP_OPTION_UPGRADE_TO_WEB_SOCKET, nullptr, 0) != FALSE,
        "UPGRADE_TO_WEB_SOCKET");
  check(WinHttpSendRequest(request, nullptr, 0, nullptr, 0, 0, 0) != FALSE, "WinHttpSendRequest");
  to.wait(WINHTTP_CALLBACK_STATUS_SENDREQUEST_COMPLETE);
  check(WinHttpReceiveResponse(request, nullptr) != FALSE, "WinHttpReceiveResponse");
  to.wait(WINHTTP_CALLBACK_STATUS_HEADERS_AVAILABLE);
  const HINTERNET socket = WinHttpWebSocketCompleteUpgrade(request, to.context());
  check(socket != nullptr, "WinHttpWebSocketCompleteUpgrade");
  to.name(socket, "socket");
  return socket;
}

async_client::async_client(std::uint16_t port, DWORD mask, recorder::action before_upgrade)
    : mask_(mask) {
  if (before_upgrade != nullptr) {
    before_.on(WINHTTP_CALLBACK_STATUS_HEADERS_AVAILABLE, std::move(before_upgrade));
  }
  async_handles from(before_, port);
  socket_ = from.open_socket();
  heard_.name(socket_, "socket");
  WinHttpSetStatusCallback(socket_, &recorder::callback, mask, 0);
  DWORD_PTR context = heard_.context();
  WinHttpSetOption(socket_, WINHTTP_OPTION_CONTEXT_VALUE, &context, sizeof(context));
  // The parents' HANDLE_CLOSING comes after the socket's (HND-12): nobody waits for it here.
  WinHttpSetStatusCallback(from.session, nullptr, 0, 0);
  WinHttpSetStatusCallback(from.connection, nullptr, 0, 0);
  const HINTERNET request = std::exchange(from.request, nullptr);
  WinHttpCloseHandle(request);
  before_.wait_closed(request);
  WinHttpCloseHandle(std::exchange(from.connection, nullptr));
  WinHttpCloseHandle(std::exchange(from.session, nullptr));
}

async_client::~async_client() {
  close_handle();
}

void async_client::close_handle() {
  if (socket_ != nullptr) {
    const HINTERNET closed = std::exchange(socket_, nullptr);
    EXPECT_TRUE(WinHttpCloseHandle(closed));
    if ((mask_ & WINHTTP_CALLBACK_FLAG_HANDLES) != 0) {
      heard_.wait_closed(closed);
    }
  }
}

void shrink_send_buffer(std::uint16_t port, int bytes) {
  constexpr int most_descriptors = 1024;
  for (int fd = 0; fd < most_descriptors; ++fd) {
    sockaddr_in to{};
    socklen_t size = sizeof(to);
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&to), &size) == 0 &&
        ntohs(to.sin_port) == port) {
      EXPECT_EQ(::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)), 0);
      return;
    }
  }
  ADD_FAILURE() << "no connection to port " << port;
}

void set_keepalive(HINTERNET socket, std::chrono::milliseconds interval) {
  const winhttp::pin pinned(socket);
  DWORD code = ERROR_SUCCESS;
  auto* const object = pinned.as<winhttp::websocket>(code);
  ASSERT_NE(object, nullptr) << code;
  object->set_keepalive(interval);
}

DWORD post_receive(HINTERNET socket, void* to, std::size_t room) {
  return WinHttpWebSocketReceive(socket, to, static_cast<DWORD>(room), nullptr, nullptr);
}

} // namespace sluice::test
