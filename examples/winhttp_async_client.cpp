// An asynchronous WebSocket client in the shape that game and cloud SDKs have on Windows: every
// step is taken inside the notification of the one before, one Receive is outstanding and armed
// again inside READ_COMPLETE, the buffer grows with the message, and the context is freed in
// HANDLE_CLOSING of the last handle and nowhere else. It sends lines, prints what comes back as
// whole messages, and closes.
//
//   build/release/examples/winhttp_async_client                      (localhost, port 8080)
//   build/release/examples/winhttp_async_client localhost 9001 /echo
//
// Nothing in this file knows about Linux.

#include <Windows.h>
#include <winhttp.h>

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cwchar>
#include <mutex>
#include <string>
#include <vector>

#pragma comment(lib, "winhttp.lib")

namespace {

constexpr DWORD first_buffer_bytes = 16; // small, to show it grow
const char* const messages[] = {"hello", "a message that is longer than the first buffer", "bye"};

// The end of the program waits here; it outlives the client.
struct result {
  std::mutex lock;
  std::condition_variable changed;
  bool finished = false;
  DWORD error = ERROR_SUCCESS;
};

class client {
public:
  explicit client(result& outcome) : outcome_(outcome), buffer_(first_buffer_bytes) {}
  client(const client&) = delete;
  client& operator=(const client&) = delete;

  // On true the notifications have taken over, and the client with them.
  bool start(PCWSTR server, INTERNET_PORT port, PCWSTR path) {
    session_ = WinHttpOpen(L"async client/1.0", WINHTTP_ACCESS_TYPE_DEFAULT_PROXY,
                           WINHTTP_NO_PROXY_NAME, WINHTTP_NO_PROXY_BYPASS, WINHTTP_FLAG_ASYNC);
    connection_ = session_ == NULL ? NULL : WinHttpConnect(session_, server, port, 0);
    request_ = connection_ == NULL
                   ? NULL
                   : WinHttpOpenRequest(connection_, L"GET", path, NULL, WINHTTP_NO_REFERER,
                                        WINHTTP_DEFAULT_ACCEPT_TYPES, 0);
    const DWORD notifications = WINHTTP_CALLBACK_FLAG_ALL_COMPLETIONS |
                                WINHTTP_CALLBACK_FLAG_HANDLES |
                                WINHTTP_CALLBACK_FLAG_SECURE_FAILURE;
    DWORD_PTR context = reinterpret_cast<DWORD_PTR>(this);
    if (request_ == NULL ||
        !WinHttpSetOption(request_, WINHTTP_OPTION_UPGRADE_TO_WEB_SOCKET, NULL, 0) ||
        !WinHttpSetOption(request_, WINHTTP_OPTION_CONTEXT_VALUE, &context, sizeof(context)) ||
        WinHttpSetStatusCallback(request_, &client::on_status, notifications, 0) ==
            WINHTTP_INVALID_STATUS_CALLBACK) {
      note(GetLastError());
      if (request_ != NULL) {
        WinHttpSetStatusCallback(request_, NULL, 0, 0);
      }
      close_parents();
      return false;
    }
    open_handles_ = 1; // HANDLE_CLOSING of the request comes, whatever happens now
    if (!WinHttpSendRequest(request_, WINHTTP_NO_ADDITIONAL_HEADERS, 0, WINHTTP_NO_REQUEST_DATA, 0,
                            0, 0)) {
      note(GetLastError());
      close_request();
    }
    return true;
  }

private:
  static void CALLBACK on_status(HINTERNET handle, DWORD_PTR context, DWORD status, LPVOID info,
                                 DWORD info_bytes) {
    if (context != 0) {
      reinterpret_cast<client*>(context)->handle_status(handle, status, info, info_bytes);
    }
  }

  // May run on several threads, one for each direction, and inside calls that we make.
  void handle_status(HINTERNET handle, DWORD status, LPVOID info, DWORD info_bytes) {
    switch (status) {
    case WINHTTP_CALLBACK_STATUS_SENDREQUEST_COMPLETE:
      if (!WinHttpReceiveResponse(request_, NULL)) {
        fail(GetLastError());
      }
      break;
    case WINHTTP_CALLBACK_STATUS_HEADERS_AVAILABLE:
      on_headers();
      break;
    case WINHTTP_CALLBACK_STATUS_READ_COMPLETE:
      on_received(*static_cast<const WINHTTP_WEB_SOCKET_STATUS*>(info));
      break;
    case WINHTTP_CALLBACK_STATUS_WRITE_COMPLETE:
      send_next(); // one Send at a time
      break;
    case WINHTTP_CALLBACK_STATUS_CLOSE_COMPLETE:
      close_socket();
      break;
    case WINHTTP_CALLBACK_STATUS_REQUEST_ERROR:
      if (handle == socket_ && info_bytes == sizeof(WINHTTP_WEB_SOCKET_ASYNC_RESULT)) {
        fail(static_cast<const WINHTTP_WEB_SOCKET_ASYNC_RESULT*>(info)->AsyncResult.dwError);
      } else {
        fail(static_cast<const WINHTTP_ASYNC_RESULT*>(info)->dwError);
      }
      break;
    case WINHTTP_CALLBACK_STATUS_HANDLE_CLOSING:
      on_handle_gone();
      break;
    default:
      break;
    }
  }

  void on_headers() {
    {
      const std::lock_guard<std::mutex> guard(outcome_.lock);
      ++open_handles_; // the request's stays open until this callback has returned
    }
    const HINTERNET made =
        WinHttpWebSocketCompleteUpgrade(request_, reinterpret_cast<DWORD_PTR>(this));
    if (made == NULL) {
      const DWORD error = GetLastError();
      {
        const std::lock_guard<std::mutex> guard(outcome_.lock);
        --open_handles_;
      }
      fail(error);
      return;
    }
    socket_ = made;
    close_request();
    receive();
    send_next();
  }

  void receive() {
    const DWORD error =
        WinHttpWebSocketReceive(socket_, buffer_.data() + filled_,
                                static_cast<DWORD>(buffer_.size()) - filled_, NULL, NULL);
    if (error != NO_ERROR && error != ERROR_INVALID_OPERATION) {
      fail(error);
    }
  }

  void on_received(const WINHTTP_WEB_SOCKET_STATUS& piece) {
    if (piece.eBufferType == WINHTTP_WEB_SOCKET_CLOSE_BUFFER_TYPE) {
      (void)WinHttpWebSocketClose(socket_, WINHTTP_WEB_SOCKET_SUCCESS_CLOSE_STATUS, NULL, 0);
      return;
    }
    filled_ += piece.dwBytesTransferred;
    if (piece.eBufferType == WINHTTP_WEB_SOCKET_UTF8_MESSAGE_BUFFER_TYPE ||
        piece.eBufferType == WINHTTP_WEB_SOCKET_BINARY_MESSAGE_BUFFER_TYPE) {
      std::printf("received \"%.*s\"\n", static_cast<int>(filled_), buffer_.data());
      filled_ = 0;
      if (++received_ == ARRAYSIZE(messages)) {
        direction_done();
        return;
      }
    } else if (filled_ == buffer_.size()) {
      buffer_.resize(buffer_.size() * 2);
    }
    receive();
  }

  void send_next() {
    if (sent_ == ARRAYSIZE(messages)) {
      direction_done();
      return;
    }
    const char* const text = messages[sent_++];
    const DWORD error =
        WinHttpWebSocketSend(socket_, WINHTTP_WEB_SOCKET_UTF8_MESSAGE_BUFFER_TYPE,
                             const_cast<char*>(text), static_cast<DWORD>(std::string(text).size()));
    if (error != NO_ERROR) {
      fail(error);
    }
  }

  // An answer may come before WRITE_COMPLETE of what it answers, and Close is refused while a Send
  // is in flight.
  void direction_done() {
    {
      const std::lock_guard<std::mutex> guard(outcome_.lock);
      if (--open_directions_ != 0) {
        return;
      }
    }
    const DWORD error =
        WinHttpWebSocketClose(socket_, WINHTTP_WEB_SOCKET_SUCCESS_CLOSE_STATUS, NULL, 0);
    if (error != NO_ERROR) {
      fail(error);
    }
  }

  void note(DWORD error) {
    const std::lock_guard<std::mutex> guard(outcome_.lock);
    if (outcome_.error == ERROR_SUCCESS) {
      outcome_.error = error;
    }
  }
  void fail(DWORD error) {
    if (error != ERROR_WINHTTP_OPERATION_CANCELLED) { // what we cancelled ourselves
      note(error);
    }
    close_request();
    close_socket();
  }

  // Each closes its handle once; HANDLE_CLOSING follows.
  void close_request() { close_once(request_closed_, request_); }
  void close_socket() {
    if (socket_ != NULL) {
      close_once(socket_closed_, socket_);
    }
  }
  void close_once(bool& closed, HINTERNET handle) {
    {
      const std::lock_guard<std::mutex> guard(outcome_.lock);
      if (closed) {
        return;
      }
      closed = true;
    }
    WinHttpCloseHandle(handle);
  }
  void close_parents() {
    const HINTERNET parents[] = {request_closed_ ? NULL : request_, connection_, session_};
    for (const HINTERNET handle : parents) {
      if (handle != NULL) {
        WinHttpCloseHandle(handle);
      }
    }
  }

  void on_handle_gone() {
    result& outcome = outcome_;
    {
      const std::lock_guard<std::mutex> guard(outcome.lock);
      if (--open_handles_ != 0) {
        return;
      }
    }
    close_parents();
    delete this; // no notification has this context any more
    const std::lock_guard<std::mutex> guard(outcome.lock);
    outcome.finished = true;
    outcome.changed.notify_all();
  }

  result& outcome_;
  HINTERNET session_ = NULL;
  HINTERNET connection_ = NULL;
  HINTERNET request_ = NULL;
  HINTERNET socket_ = NULL;
  bool request_closed_ = false; // under outcome_.lock
  bool socket_closed_ = false;
  int open_directions_ = 2; // under outcome_.lock
  int open_handles_ = 0;    // with this context; under outcome_.lock
  std::vector<char> buffer_;
  DWORD filled_ = 0;
  DWORD received_ = 0;
  DWORD sent_ = 0;
};

// 0 unless `text` is a number from 1 to 65535 and nothing else.
INTERNET_PORT read_port(PCWSTR text) {
  wchar_t* end = NULL;
  const unsigned long number = std::wcstoul(text, &end, 10);
  return *end == L'\0' && number <= 65535 ? static_cast<INTERNET_PORT>(number) : INTERNET_PORT(0);
}

} // namespace

int wmain(int argc, wchar_t** argv) {
  const wchar_t* const server = argc > 1 ? argv[1] : L"localhost";
  const INTERNET_PORT port = argc > 2 ? read_port(argv[2]) : INTERNET_PORT(8080);
  const wchar_t* const path = argc > 3 ? argv[3] : L"/";

  if (port == 0) {
    std::fprintf(stderr, "'%ls' is no port; give a number from 1 to 65535\n", argv[2]);
    return 2;
  }

  result outcome;
  auto* const running = new client(outcome);
  if (!running->start(server, port, path)) {
    delete running;
  } else {
    std::unique_lock<std::mutex> guard(outcome.lock);
    outcome.changed.wait(guard, [&] { return outcome.finished; });
  }
  if (outcome.error != ERROR_SUCCESS) {
    std::fprintf(stderr, "failed with error %u\n", outcome.error);
    return 1;
  }
  std::printf("closed\n");
  return 0;
}
