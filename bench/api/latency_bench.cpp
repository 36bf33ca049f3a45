// api/ping_pong/125: a message of 125 bytes there and back over loopback. The peer is a thread that
// echoes with bare blocking recv() and send(). Three clients in turns within each iteration: bare
// recv() and send() (the floor), a synchronous handle, and an asynchronous one that sends the next
// message inside READ_COMPLETE. Counters: the median over the iterations of each client's median
// round trip in microseconds, and by how much the handles' are over the floor's in the same
// iteration. With /one_cpu at its end all threads share one CPU, with /two_cpus the peer has one
// for itself. Without, the scheduler places them, and where it does decides more than the client: a
// thread that send() wakes comes to the sender's CPU, one that the ring wakes does not, and to wake
// a CPU that sleeps may take longer than all the rest.
//
// api/cancel: how long after WinHttpCloseHandle was called a Receive that sleeps in the kernel
// returns, in another thread; in microseconds. The floor: a bare recv() that shutdown() ends.

#include "bench/support/cpu.hpp"
#include "core/memory.hpp"
#include "support/asleep.hpp"
#include "support/loopback.hpp"
#include "winhttp/async_socket.hpp"
#include "winhttp/handle_table.hpp"
#include "winhttp/session.hpp"

#include <benchmark/benchmark.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace sluice {
namespace {

using clock = std::chrono::steady_clock;
using test::loopback;

constexpr std::size_t payload_bytes = 125;
constexpr std::size_t client_frame_bytes = 2 + 4 + payload_bytes;
constexpr std::size_t server_frame_bytes = 2 + payload_bytes;
constexpr int trips_per_turn = 400;

[[nodiscard]] bool receive_exactly(int fd, std::byte* to, std::size_t count) {
  while (count != 0) {
    const ssize_t got = ::recv(fd, to, count, 0);
    if (got <= 0) {
      return false;
    }
    to += got;
    count -= static_cast<std::size_t>(got);
  }
  return true;
}

[[nodiscard]] double microseconds(clock::duration time) {
  return std::chrono::duration<double, std::micro>(time).count();
}

/// The value below which `part` of them lie.
[[nodiscard]] double quantile(std::vector<double>& of, double part) {
  if (of.empty()) {
    return 0;
  }
  const auto rank = static_cast<std::size_t>(static_cast<double>(of.size() - 1) * part);
  std::nth_element(of.begin(), of.begin() + static_cast<std::ptrdiff_t>(rank), of.end());
  return of[rank];
}

enum class placement { free, one_cpu, two_cpus };

/// A connection whose other end answers each client frame with a server's of the same size.
class echo_pair {
public:
  explicit echo_pair(placement where) {
    const int on = 1;
    for (const int fd : {pair_.ours.get(), pair_.peer.get()}) {
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    }
    echo_ = std::thread([fd = pair_.peer.get(), where] {
      if (where == placement::two_cpus) {
        bench::pin_this_thread(1);
      }
      std::array<std::byte, client_frame_bytes> in{};
      std::array<std::byte, server_frame_bytes> out{std::byte{0x82}, std::byte{payload_bytes}};
      while (receive_exactly(fd, in.data(), in.size()) &&
             ::send(fd, out.data(), out.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(out.size())) {
      }
    });
  }
  ~echo_pair() {
    ::shutdown(pair_.peer.get(), SHUT_RDWR);
    echo_.join();
  }
  echo_pair(const echo_pair&) = delete;
  echo_pair& operator=(const echo_pair&) = delete;

  [[nodiscard]] int descriptor() const { return pair_.ours.get(); }
  /// For a handle.
  [[nodiscard]] int release() {
    const int fd = pair_.ours.release();
    ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
    return fd;
  }

private:
  loopback pair_;
  std::thread echo_;
};

/// One of the clients that are compared.
class client {
public:
  virtual ~client() = default;
  client() = default;
  client(const client&) = delete;
  client& operator=(const client&) = delete;
  /// Makes a turn's round trips and appends their times to `trips`; false when one fails.
  [[nodiscard]] virtual bool run(std::vector<double>& trips) = 0;
};

class bare_client final : public client {
public:
  explicit bare_client(placement where) : pair_(where) {}

  bool run(std::vector<double>& trips) override {
    const std::array<std::byte, client_frame_bytes> out{std::byte{0x82},
                                                        std::byte{0x80 | payload_bytes}};
    std::array<std::byte, server_frame_bytes> in{};
    for (int i = 0; i < trips_per_turn; ++i) {
      const auto began = clock::now();
      if (::send(pair_.descriptor(), out.data(), out.size(), MSG_NOSIGNAL) !=
              static_cast<ssize_t>(out.size()) ||
          !receive_exactly(pair_.descriptor(), in.data(), in.size())) {
        return false;
      }
      trips.push_back(microseconds(clock::now() - began));
    }
    return true;
  }

private:
  echo_pair pair_;
};

class sync_client final : public client {
public:
  explicit sync_client(placement where)
      : pair_(where), object_(memory::create<winhttp::websocket>()) {
    ready_ = object_->begin_care(32768) == ERROR_SUCCESS; // as a program's sockets have it
    object_->connect(io::stream(pair_.release()), std::chrono::milliseconds(0), nullptr);
    handle_ = winhttp::open_handle(*object_);
  }
  ~sync_client() override { (void)winhttp::close_handle(handle_); }

  bool run(std::vector<double>& trips) override {
    std::array<std::byte, payload_bytes> out{};
    std::array<std::byte, 4096> in{};
    for (int i = 0; ready_ && i < trips_per_turn; ++i) {
      DWORD got = 0;
      auto type = WINHTTP_WEB_SOCKET_CLOSE_BUFFER_TYPE;
      const auto began = clock::now();
      if (WinHttpWebSocketSend(handle_, WINHTTP_WEB_SOCKET_BINARY_MESSAGE_BUFFER_TYPE, out.data(),
                               static_cast<DWORD>(out.size())) != ERROR_SUCCESS ||
          WinHttpWebSocketReceive(handle_, in.data(), static_cast<DWORD>(in.size()), &got, &type) !=
              ERROR_SUCCESS ||
          got != payload_bytes) {
        return false;
      }
      trips.push_back(microseconds(clock::now() - began));
    }
    return ready_;
  }

private:
  echo_pair pair_;
  winhttp::websocket* object_;
  HINTERNET handle_ = nullptr;
  bool ready_ = false;
};

class async_client final : public client {
public:
  explicit async_client(placement where) : pair_(where) {
    session_ =
        WinHttpOpen(nullptr, WINHTTP_ACCESS_TYPE_NO_PROXY, nullptr, nullptr, WINHTTP_FLAG_ASYNC);
    connection_ = WinHttpConnect(session_, L"nobody", 80, 0);
    auto* const object = memory::create<winhttp::websocket>();
    handle_ = winhttp::open_handle(*object);
    const winhttp::pin parent(connection_);
    DWORD code = ERROR_SUCCESS;
    winhttp::async_loop* loop = nullptr;
    auto* const from = parent.as<winhttp::connection>(code);
    if (from != nullptr && from->parent().next_loop(loop) == ERROR_SUCCESS &&
        object->become_asynchronous(*loop, *from, 32768) == ERROR_SUCCESS) {
      object->connect(io::stream(pair_.release()), std::chrono::milliseconds(0), nullptr);
      object->set_callback(&on_status, WINHTTP_CALLBACK_FLAG_READ_COMPLETE |
                                           WINHTTP_CALLBACK_FLAG_REQUEST_ERROR);
      object->set_context(reinterpret_cast<DWORD_PTR>(this));
      object->asynchronous()->start();
      ready_ = true;
    }
  }
  ~async_client() override {
    (void)winhttp::close_handle(handle_);
    WinHttpCloseHandle(connection_);
    WinHttpCloseHandle(session_);
  }

  bool run(std::vector<double>& trips) override {
    if (!ready_) {
      return false;
    }
    trips_ = &trips;
    left_ = trips_per_turn;
    finished_ = false;
    receive();
    send();
    std::unique_lock guard(lock_);
    changed_.wait(guard, [this] { return finished_; });
    return left_ == 0;
  }

private:
  static void CALLBACK on_status(HINTERNET, DWORD_PTR context, DWORD status, LPVOID, DWORD) {
    reinterpret_cast<async_client*>(context)->on_received(status ==
                                                          WINHTTP_CALLBACK_STATUS_READ_COMPLETE);
  }
  void on_received(bool worked) {
    trips_->push_back(microseconds(clock::now() - began_));
    if (worked && --left_ != 0) {
      receive();
      send();
      return;
    }
    const std::lock_guard guard(lock_);
    finished_ = true;
    changed_.notify_one();
  }
  void receive() {
    (void)WinHttpWebSocketReceive(handle_, in_.data(), static_cast<DWORD>(in_.size()), nullptr,
                                  nullptr);
  }
  void send() {
    began_ = clock::now();
    // The answer to a turn's first message may overtake the end of the Send in run().
    while (WinHttpWebSocketSend(handle_, WINHTTP_WEB_SOCKET_BINARY_MESSAGE_BUFFER_TYPE, out_.data(),
                                static_cast<DWORD>(out_.size())) == ERROR_INVALID_OPERATION) {
    }
  }

  echo_pair pair_;
  HINTERNET session_ = nullptr;
  HINTERNET connection_ = nullptr;
  HINTERNET handle_ = nullptr;
  bool ready_ = false;
  std::array<std::byte, payload_bytes> out_{};
  std::array<std::byte, 4096> in_{};
  std::vector<double>* trips_ = nullptr;
  int left_ = 0;
  clock::time_point began_;
  std::mutex lock_;
  std::condition_variable changed_;
  bool finished_ = false;
};

void ping_pong_here(benchmark::State& state, placement where) {
  bare_client bare(where);
  sync_client sync(where);
  async_client async(where);
  const std::array<client*, 3> clients{&bare, &sync, &async};
  std::array<std::vector<double>, 3> medians; // of a turn each
  std::array<std::vector<double>, 3> over;    // over the floor in the same iteration
  for (auto _ : state) {
    for (std::size_t i = 0; i < clients.size(); ++i) {
      std::vector<double> trips;
      if (!clients[i]->run(trips)) {
        state.SkipWithError("a message did not come back");
        return;
      }
      medians[i].push_back(quantile(trips, 0.5));
      over[i].push_back(medians[i].back() - medians[0].back());
    }
  }
  state.counters["bare_us"] = quantile(medians[0], 0.5);
  state.counters["sync_us"] = quantile(medians[1], 0.5);
  state.counters["async_us"] = quantile(medians[2], 0.5);
  state.counters["sync_over_us"] = quantile(over[1], 0.5);
  state.counters["async_over_us"] = quantile(over[2], 0.5);
}

/// A thread that runs one blocking call at a time and notes when it returned.
class sleeper {
public:
  explicit sleeper(placement where) : thread_([this, where] { work(where); }) {}
  ~sleeper() {
    call_ = nullptr;
    turn_.store(asked);
    turn_.notify_all();
    thread_.join();
  }
  sleeper(const sleeper&) = delete;
  sleeper& operator=(const sleeper&) = delete;

  /// Microseconds from `wake` to the end of `call`, which is asleep by then.
  [[nodiscard]] double time_of(const std::function<void()>& call,
                               const std::function<void()>& wake) {
    call_ = call;
    turn_.store(asked);
    turn_.notify_all();
    turn_.wait(asked);
    test::wait_until_asleep(id_);
    const auto began = clock::now();
    wake();
    turn_.wait(inside);
    return microseconds(returned_ - began);
  }

private:
  void work(placement where) {
    if (where != placement::free) {
      bench::pin_this_thread(where == placement::one_cpu ? 0 : 1);
    }
    id_ = test::this_thread_id();
    for (;;) {
      turn_.wait(idle);
      if (!call_) {
        return;
      }
      turn_.store(inside);
      turn_.notify_all();
      call_();
      returned_ = clock::now();
      turn_.store(idle);
      turn_.notify_all();
    }
  }

  static constexpr int idle = 0;
  static constexpr int asked = 1;
  static constexpr int inside = 2;
  std::atomic<int> turn_{idle};
  std::function<void()> call_;
  clock::time_point returned_;
  pid_t id_ = 0;
  std::thread thread_;
};

void cancel_here(benchmark::State& state, placement where) {
  sleeper other(where);
  std::vector<double> receives;
  std::vector<double> floors;
  for (auto _ : state) {
    {
      loopback pair;
      char byte = 0;
      floors.push_back(other.time_of([&] { (void)!::recv(pair.ours.get(), &byte, 1, 0); },
                                     [&] { ::shutdown(pair.ours.get(), SHUT_RDWR); }));
    }
    loopback pair;
    const int fd = pair.ours.release();
    ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
    auto* const object = memory::create<winhttp::websocket>();
    if (object->begin_care(32768) != ERROR_SUCCESS) {
      state.SkipWithError("no caretaker");
      return;
    }
    object->connect(io::stream(fd), std::chrono::milliseconds(0), nullptr);
    const HINTERNET handle = winhttp::open_handle(*object);
    DWORD code = 0;
    receives.push_back(other.time_of(
        [&] {
          std::byte to[16];
          DWORD got = 0;
          auto type = WINHTTP_WEB_SOCKET_CLOSE_BUFFER_TYPE;
          code = WinHttpWebSocketReceive(handle, to, sizeof(to), &got, &type);
        },
        [&] { (void)winhttp::close_handle(handle); }));
    if (code != ERROR_WINHTTP_OPERATION_CANCELLED) {
      state.SkipWithError("the Receive was not cancelled");
      return;
    }
  }
  state.counters["floor_p50_us"] = quantile(floors, 0.5);
  state.counters["floor_p99_us"] = quantile(floors, 0.99);
  state.counters["p50_us"] = quantile(receives, 0.5);
  state.counters["p99_us"] = quantile(receives, 0.99);
}

/// Runs `measured` on a thread of its own: all that it makes inherit its CPU.
template <void (*measured)(benchmark::State&, placement)>
void placed(benchmark::State& state, placement where) {
  std::thread([&] {
    if (where != placement::free) {
      bench::pin_this_thread(0);
    }
    measured(state, where);
  }).join();
}

constexpr auto ping_pong = placed<ping_pong_here>;
constexpr auto cancel = placed<cancel_here>;

BENCHMARK_CAPTURE(ping_pong, free, placement::free)->Name("api/ping_pong/125")->UseRealTime();
BENCHMARK_CAPTURE(ping_pong, one_cpu, placement::one_cpu)
    ->Name("api/ping_pong/125/one_cpu")
    ->UseRealTime();
BENCHMARK_CAPTURE(ping_pong, two_cpus, placement::two_cpus)
    ->Name("api/ping_pong/125/two_cpus")
    ->UseRealTime();
BENCHMARK_CAPTURE(cancel, free, placement::free)->Name("api/cancel")->UseRealTime();
BENCHMARK_CAPTURE(cancel, one_cpu, placement::one_cpu)->Name("api/cancel/one_cpu")->UseRealTime();
BENCHMARK_CAPTURE(cancel, two_cpus, placement::two_cpus)
    ->Name("api/cancel/two_cpus")
    ->UseRealTime();

} // namespace
} // namespace sluice
