// Receives a feed of messages and proves that it arrived byte for byte: the server closes with its
// own count and SHA-256 as close reason, this client compares them with what it got. Ctrl-C ends
// it.
//
//   /usr/bin/python3 examples/peers/feed_server.py --port 8080 &
//   build/release/examples/feed_client 'ws://localhost:8080/feed?seconds=3'
//   build/release/examples/feed_client --backend epoll 'ws://localhost:8080/feed?messages=1000'
//
// scripts/demo does all of it.

#include <sluice/extensions.h>

#include <winhttp.h>

#include <CLI/CLI.hpp>
#include <openssl/evp.h>
#include <pthread.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using std::chrono::steady_clock;

[[noreturn]] void fail(const std::string& what, DWORD code) {
  throw std::runtime_error(what + " failed with error " + std::to_string(code));
}

// Closes on destruction; a failed open throws.
struct handle {
  HINTERNET value;
  handle(const char* what, HINTERNET made) : value(made) {
    if (made == nullptr) {
      fail(what, GetLastError());
    }
  }
  ~handle() { WinHttpCloseHandle(value); }
  handle(const handle&) = delete;
  handle& operator=(const handle&) = delete;
};

// SHA-256 over every message: payload, then one byte for its kind, then its length in 8 bytes. The
// length stands last because a message arrives in pieces.
class message_digest {
public:
  message_digest() { EVP_DigestInit_ex(context_, EVP_sha256(), nullptr); }
  ~message_digest() { EVP_MD_CTX_free(context_); }
  message_digest(const message_digest&) = delete;
  message_digest& operator=(const message_digest&) = delete;

  void piece(const void* bytes, std::size_t count) { EVP_DigestUpdate(context_, bytes, count); }
  void end_of_message(bool text, std::uint64_t length) {
    std::array<unsigned char, 9> tail = {static_cast<unsigned char>(text ? 't' : 'b')};
    for (std::size_t i = 8; i >= 1; --i, length >>= 8) {
      tail[i] = static_cast<unsigned char>(length & 0xff);
    }
    piece(tail.data(), tail.size());
  }
  std::string hex() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
    unsigned count = 0;
    EVP_DigestFinal_ex(context_, digest.data(), &count);
    std::string text;
    for (unsigned i = 0; i < count; ++i) {
      text += "0123456789abcdef"[digest[i] >> 4];
      text += "0123456789abcdef"[digest[i] & 15];
    }
    return text;
  }

private:
  EVP_MD_CTX* context_ = EVP_MD_CTX_new();
};

struct feed {
  steady_clock::time_point start = steady_clock::now();
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;
  std::array<std::uint64_t, 4> pieces = {}; // by WINHTTP_WEB_SOCKET_BUFFER_TYPE
  message_digest digest;
  bool interrupted = false;

  [[nodiscard]] double seconds() const {
    return std::chrono::duration<double>(steady_clock::now() - start).count();
  }
};

// One line, rewritten in place on a terminal.
void show_progress(const feed& now, double bytes_per_second) {
  static const bool terminal = isatty(STDOUT_FILENO) == 1;
  const auto piece_count = [&now](WINHTTP_WEB_SOCKET_BUFFER_TYPE type) {
    return std::to_string(now.pieces[static_cast<std::size_t>(type)]);
  };
  std::printf(
      "%s%5.1f s %10s messages %9.1f MB %8.1f MB/s | text %s + %s fragments, binary %s + %s "
      "fragments%s",
      terminal ? "\r" : "", now.seconds(), std::to_string(now.messages).c_str(),
      static_cast<double>(now.bytes) * 1e-6, bytes_per_second * 1e-6,
      piece_count(WINHTTP_WEB_SOCKET_UTF8_MESSAGE_BUFFER_TYPE).c_str(),
      piece_count(WINHTTP_WEB_SOCKET_UTF8_FRAGMENT_BUFFER_TYPE).c_str(),
      piece_count(WINHTTP_WEB_SOCKET_BINARY_MESSAGE_BUFFER_TYPE).c_str(),
      piece_count(WINHTTP_WEB_SOCKET_BINARY_FRAGMENT_BUFFER_TYPE).c_str(), terminal ? " " : "\n");
  std::fflush(stdout);
}

// Until the server's close frame or an interruption.
void receive_feed(HINTERNET socket, std::size_t buffer_bytes, feed& got) {
  std::vector<char> buffer(buffer_bytes);
  std::uint64_t message_bytes = 0;
  std::uint64_t shown_bytes = 0;
  auto shown = got.start;
  for (bool closed = false; !closed;) {
    DWORD count = 0;
    WINHTTP_WEB_SOCKET_BUFFER_TYPE type = {};
    const DWORD code = WinHttpWebSocketReceive(socket, buffer.data(),
                                               static_cast<DWORD>(buffer.size()), &count, &type);
    if (code == ERROR_WINHTTP_OPERATION_CANCELLED || code == ERROR_INVALID_HANDLE) {
      got.interrupted = true;
      return;
    }
    if (code != NO_ERROR) {
      fail("WinHttpWebSocketReceive", code);
    }
    closed = type == WINHTTP_WEB_SOCKET_CLOSE_BUFFER_TYPE;
    if (!closed) {
      got.digest.piece(buffer.data(), count);
      got.bytes += count;
      message_bytes += count;
      ++got.pieces[static_cast<std::size_t>(type)];
      const bool text = type == WINHTTP_WEB_SOCKET_UTF8_MESSAGE_BUFFER_TYPE;
      if (text || type == WINHTTP_WEB_SOCKET_BINARY_MESSAGE_BUFFER_TYPE) {
        got.digest.end_of_message(text, message_bytes);
        message_bytes = 0;
        ++got.messages;
      }
    }
    const auto now = steady_clock::now();
    const double since = std::chrono::duration<double>(now - shown).count();
    if (closed || since >= 0.5) {
      show_progress(got, closed ? static_cast<double>(got.bytes) / got.seconds()
                                : static_cast<double>(got.bytes - shown_bytes) / since);
      shown = now;
      shown_bytes = got.bytes;
    }
  }
}

// What the server says it sent: "messages=<n> bytes=<n> sha256=<hex>".
std::string close_reason(HINTERNET socket) {
  std::array<char, WINHTTP_WEB_SOCKET_MAX_CLOSE_REASON_LENGTH> reason = {};
  USHORT status = 0;
  DWORD length = 0;
  const DWORD code = WinHttpWebSocketQueryCloseStatus(socket, &status, reason.data(),
                                                      static_cast<DWORD>(reason.size()), &length);
  if (code != NO_ERROR) {
    fail("WinHttpWebSocketQueryCloseStatus", code);
  }
  return {reason.data(), length};
}

std::string string_option(HINTERNET from, DWORD option) {
  std::array<WCHAR, 32> value = {};
  DWORD bytes = sizeof(value);
  if (!WinHttpQueryOption(from, option, value.data(), &bytes)) {
    fail("WinHttpQueryOption", GetLastError());
  }
  const std::wstring wide(value.data());
  return {wide.begin(), wide.end()};
}

// Ctrl-C and SIGTERM close the socket's handle, which ends a blocked Receive.
std::jthread close_on_signal(HINTERNET socket) {
  return std::jthread([socket](const std::stop_token& stop) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    const timespec moment = {0, 100'000'000};
    while (!stop.stop_requested()) {
      if (sigtimedwait(&signals, nullptr, &moment) > 0) {
        WinHttpCloseHandle(socket);
        return;
      }
    }
  });
}

bool is_websocket_url(const std::string& url) {
  return url.rfind("ws://", 0) == 0 || url.rfind("wss://", 0) == 0;
}

int run(std::string url, std::size_t buffer_bytes, const std::string& authority) {
  // WinHTTP knows http and https only; its programs rewrite ws and wss themselves.
  url.replace(0, 2, "http");
  const std::wstring wide_url(url.begin(), url.end());
  URL_COMPONENTS parts = {};
  parts.dwStructSize = sizeof(parts);
  parts.dwHostNameLength = parts.dwUrlPathLength = parts.dwExtraInfoLength = DWORD(-1);
  if (!WinHttpCrackUrl(wide_url.c_str(), 0, 0, &parts)) {
    fail("WinHttpCrackUrl", GetLastError());
  }
  const std::wstring host(parts.lpszHostName, parts.dwHostNameLength);
  const std::wstring path =
      std::wstring(parts.lpszUrlPath, parts.dwUrlPathLength + parts.dwExtraInfoLength);

  handle session("WinHttpOpen", WinHttpOpen(L"sluice feed client", WINHTTP_ACCESS_TYPE_NO_PROXY,
                                            WINHTTP_NO_PROXY_NAME, WINHTTP_NO_PROXY_BYPASS, 0));
  std::wstring wide_authority(authority.begin(), authority.end());
  if (!authority.empty() &&
      !WinHttpSetOption(session.value, SLUICE_OPTION_TLS_CA_FILE, wide_authority.data(),
                        static_cast<DWORD>(wide_authority.size()))) {
    fail("SLUICE_OPTION_TLS_CA_FILE", GetLastError());
  }
  const DWORD flags = parts.nScheme == INTERNET_SCHEME_HTTPS ? WINHTTP_FLAG_SECURE : 0;
  handle connection("WinHttpConnect", WinHttpConnect(session.value, host.c_str(), parts.nPort, 0));
  handle request("WinHttpOpenRequest",
                 WinHttpOpenRequest(connection.value, nullptr, path.c_str(), nullptr,
                                    WINHTTP_NO_REFERER, WINHTTP_DEFAULT_ACCEPT_TYPES, flags));
  if (!WinHttpSetOption(request.value, WINHTTP_OPTION_UPGRADE_TO_WEB_SOCKET, nullptr, 0) ||
      !WinHttpSendRequest(request.value, WINHTTP_NO_ADDITIONAL_HEADERS, 0, WINHTTP_NO_REQUEST_DATA,
                          0, 0, 0) ||
      !WinHttpReceiveResponse(request.value, nullptr)) {
    fail("The request for " + url, GetLastError());
  }
  handle socket("WinHttpWebSocketCompleteUpgrade",
                WinHttpWebSocketCompleteUpgrade(request.value, 0));

  feed got;
  {
    const std::jthread watcher = close_on_signal(socket.value);
    receive_feed(socket.value, buffer_bytes, got);
  }
  const double seconds = got.seconds();
  timespec cpu = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
  const double cpu_seconds =
      static_cast<double>(cpu.tv_sec) + static_cast<double>(cpu.tv_nsec) * 1e-9;
  const double gigabytes = static_cast<double>(got.bytes) * 1e-9;

  std::printf("\n\nreceived   %s messages, %s bytes in %.2f s: %.1f MB/s\n",
              std::to_string(got.messages).c_str(), std::to_string(got.bytes).c_str(), seconds,
              gigabytes * 1e3 / seconds);
  DWORD version = 0;
  DWORD version_bytes = sizeof(version);
  WinHttpQueryOption(request.value, SLUICE_OPTION_TLS_VERSION, &version, &version_bytes);
  std::printf("security   %s\n", version == WINHTTP_FLAG_SECURE_PROTOCOL_TLS1_3   ? "TLS 1.3"
                                 : version == WINHTTP_FLAG_SECURE_PROTOCOL_TLS1_2 ? "TLS 1.2"
                                                                                  : "none");
  std::printf("backend    %s\n", string_option(session.value, SLUICE_OPTION_BACKEND_NAME).c_str());
  std::printf("kernels    %s\n", string_option(session.value, SLUICE_OPTION_KERNEL_NAME).c_str());
  std::printf("CPU        %.3f s per GB in this client, its SHA-256 of everything included\n",
              gigabytes > 0 ? cpu_seconds / gigabytes : 0);
  if (got.interrupted) {
    std::printf("interrupted: not compared\n");
    return 130;
  }
  const std::string expected = close_reason(socket.value);
  const std::string actual = "messages=" + std::to_string(got.messages) +
                             " bytes=" + std::to_string(got.bytes) + " sha256=" + got.digest.hex();
  WinHttpWebSocketClose(socket.value, WINHTTP_WEB_SOCKET_SUCCESS_CLOSE_STATUS, nullptr, 0);
  if (expected != actual) {
    std::printf("DIFFERENT  sent: %s\n       received: %s\n", expected.c_str(), actual.c_str());
    return 1;
  }
  std::printf("identical  %s\n", actual.c_str());
  return 0;
}

} // namespace

int main(int argc, char** argv) {
  CLI::App options("Receives a WebSocket feed through WinHTTP and checks it byte for byte.");
  std::string url;
  std::string backend = "auto";
  std::string authority;
  std::size_t buffer_bytes = 65536;
  options.add_option("url", url, "ws:// or wss://host:port/path of a feed server")
      ->required()
      ->check([](const std::string& given) {
        return is_websocket_url(given) ? std::string()
                                       : "'" + given + "' is not a ws:// or wss:// URL";
      });
  options.add_option("--ca", authority, "PEM file of the certificates to trust with wss://")
      ->check(CLI::ExistingFile);
  options.add_option("--backend", backend, "what serves the socket")
      ->check(CLI::IsMember({"auto", "uring", "epoll"}))
      ->capture_default_str();
  options.add_option("--buffer", buffer_bytes, "bytes offered to each receive")
      ->check(CLI::Range(1, 1 << 30))
      ->capture_default_str();
  try {
    options.parse(argc, argv);
  } catch (const CLI::ParseError& wrong) {
    return options.exit(wrong) == 0 ? 0 : 2;
  }

  if (backend != "auto") {
    setenv("SLUICE_BACKEND", backend.c_str(), 1);
  }
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr); // inherited by every thread; one of them waits

  try {
    return run(url, buffer_bytes, authority);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "\nfeed_client: %s\n", error.what());
    return 1;
  }
}
