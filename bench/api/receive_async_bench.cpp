// api/receive_async/<binary|text>/<payload bytes>: WinHttpWebSocketReceive on an asynchronous
// handle, called again inside READ_COMPLETE, on messages that are already in the connection's
// inbox. What it costs over api/receive_buffered is the way through the loop thread: the call with
// its handle, two turns of the socket's mutex, and the callback. The time is taken on the loop
// thread, from the first callback of an iteration to the last. time_per_message is the figure;
// system_calls counts those of the loop per message.

#include "core/memory.hpp"
#include "support/frames.hpp"
#include "support/slices.hpp"
#include "winhttp/async_socket.hpp"
#include "winhttp/handle_table.hpp"
#include "winhttp/session.hpp"

#include <benchmark/benchmark.h>

#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>

namespace sluice {
namespace {

using test::bytes;
using clock = std::chrono::steady_clock;

constexpr std::size_t slice_bytes = std::size_t{64} << 10;
constexpr std::size_t slices_per_iteration = 16;

/// An asynchronous WebSocket handle over a connection on which nothing comes.
class quiet_socket {
public:
  quiet_socket(bytes& wire, std::size_t messages_per_slice, std::size_t payload_bytes)
      : owner_(wire), per_slice_(messages_per_slice), payload_bytes_(payload_bytes),
        to_(slice_bytes + 16) {
    session_ =
        WinHttpOpen(nullptr, WINHTTP_ACCESS_TYPE_NO_PROXY, nullptr, nullptr, WINHTTP_FLAG_ASYNC);
    connection_ = WinHttpConnect(session_, L"nobody", 80, 0);
    object_ = memory::create<winhttp::websocket>();
    int ends[2] = {-1, -1};
    if (object_ == nullptr || ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) != 0) {
      return;
    }
    other_end_ = ends[1];
    handle_ = winhttp::open_handle(*object_);
    const winhttp::pin parent(connection_);
    DWORD code = ERROR_SUCCESS;
    winhttp::connection* const from = parent.as<winhttp::connection>(code);
    if (from != nullptr && from->parent().next_loop(loop_) == ERROR_SUCCESS &&
        object_->become_asynchronous(*loop_, *from, 1) == ERROR_SUCCESS) {
      object_->connect(io::stream(ends[0]), std::chrono::milliseconds(0), nullptr);
      object_->set_callback(&on_status, WINHTTP_CALLBACK_FLAG_READ_COMPLETE |
                                            WINHTTP_CALLBACK_FLAG_REQUEST_ERROR);
      object_->set_context(reinterpret_cast<DWORD_PTR>(this));
      object_->asynchronous()->start();
      ok_ = true;
    }
  }
  ~quiet_socket() {
    (void)winhttp::close_handle(handle_);
    WinHttpCloseHandle(connection_);
    WinHttpCloseHandle(session_);
    ::close(other_end_);
  }
  quiet_socket(const quiet_socket&) = delete;
  quiet_socket& operator=(const quiet_socket&) = delete;

  /// Receives all messages of the iteration's slices; seconds per iteration, negative on failure.
  [[nodiscard]] double run() {
    if (!ok_ || !object_->inbox().push(owner_.lend())) {
      return -1;
    }
    left_ = per_slice_ * slices_per_iteration;
    in_slice_ = per_slice_;
    started_ = false;
    finished_ = false;
    receive();
    std::unique_lock guard(lock_);
    changed_.wait(guard, [this] { return finished_; });
    return failed_ ? -1 : seconds_;
  }
  [[nodiscard]] std::uint64_t system_calls() const noexcept { return system_calls_; }

private:
  static void CALLBACK on_status(HINTERNET, DWORD_PTR context, DWORD status, LPVOID info, DWORD) {
    reinterpret_cast<quiet_socket*>(context)->on_received(
        status, static_cast<const WINHTTP_WEB_SOCKET_STATUS*>(info));
  }

  void on_received(DWORD status, const WINHTTP_WEB_SOCKET_STATUS* piece) {
    if (!started_) {
      started_ = true;
      began_ = clock::now();
      calls_before_ = loop_->loop().io().stats().system_calls;
    }
    failed_ = failed_ || status != WINHTTP_CALLBACK_STATUS_READ_COMPLETE ||
              piece->dwBytesTransferred != payload_bytes_;
    if (--left_ == 0 || failed_) {
      seconds_ = std::chrono::duration<double>(clock::now() - began_).count();
      system_calls_ += loop_->loop().io().stats().system_calls - calls_before_;
      const std::lock_guard guard(lock_);
      finished_ = true;
      changed_.notify_one();
      return;
    }
    if (--in_slice_ == 0) {
      in_slice_ = per_slice_;
      failed_ = !object_->inbox().push(owner_.lend()); // the loop thread's, and that is us
    }
    receive();
  }

  void receive() {
    (void)WinHttpWebSocketReceive(handle_, to_.data(), static_cast<DWORD>(to_.size()), nullptr,
                                  nullptr);
  }

  test::lent_buffer_owner owner_;
  const std::size_t per_slice_;
  const std::size_t payload_bytes_;
  bytes to_;
  HINTERNET session_ = nullptr;
  HINTERNET connection_ = nullptr;
  HINTERNET handle_ = nullptr;
  winhttp::websocket* object_ = nullptr;
  winhttp::async_loop* loop_ = nullptr;
  int other_end_ = -1;
  bool ok_ = false;
  bool failed_ = false;
  bool started_ = false;
  std::size_t left_ = 0;
  std::size_t in_slice_ = 0;
  clock::time_point began_;
  double seconds_ = 0;
  std::uint64_t calls_before_ = 0;
  std::uint64_t system_calls_ = 0;
  std::mutex lock_;
  std::condition_variable changed_;
  bool finished_ = false;
};

void receive_async(benchmark::State& state, bool text, std::size_t payload_bytes) {
  const test::frame_maker make{role::client};
  const bytes frame = text ? make.frame(opcode::text, true, test::letters(payload_bytes))
                           : make.frame(opcode::binary, true, test::pattern(payload_bytes));
  bytes wire;
  std::size_t messages = 0;
  do {
    test::append(wire, frame);
    ++messages;
  } while (wire.size() + frame.size() <= slice_bytes);

  quiet_socket socket(wire, messages, payload_bytes);
  for (auto _ : state) {
    const double seconds = socket.run();
    if (seconds < 0) {
      state.SkipWithError("a message was not received whole");
      return;
    }
    state.SetIterationTime(seconds);
  }
  const auto per_iteration = static_cast<double>(messages * slices_per_iteration);
  state.counters["time_per_message"] = benchmark::Counter(
      per_iteration, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
  state.counters["system_calls"] = static_cast<double>(socket.system_calls()) /
                                   (per_iteration * static_cast<double>(state.iterations()));
}

const bool registered = [] {
  for (const std::size_t size : {16u, 125u, 1024u, 65536u}) {
    for (const bool text : {false, true}) {
      benchmark::RegisterBenchmark(
          ("api/receive_async/" + std::string(text ? "text/" : "binary/") + std::to_string(size))
              .c_str(),
          [=](benchmark::State& state) { receive_async(state, text, size); })
          ->UseManualTime();
    }
  }
  return true;
}();

} // namespace
} // namespace sluice
