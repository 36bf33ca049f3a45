#pragma once

#include "websocket_fixture.hpp"

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace sluice::test {

/// One notification as the callback saw it.
struct notice {
  HINTERNET handle = nullptr;
  DWORD status = 0;
  DWORD info_bytes = 0;
  DWORD code = 0;            // REQUEST_ERROR
  DWORD_PTR call = 0;        // REQUEST_ERROR of a request: dwResult; of a socket: Operation
  DWORD bytes = 0;           // READ_COMPLETE, WRITE_COMPLETE of a socket
  DWORD type = 0;            // likewise
  HINTERNET other = nullptr; // HANDLE_CREATED, HANDLE_CLOSING
  bool on_test_thread = false;
};

/// Records every notification of the handles whose context it is, and runs what a test wants to
/// happen inside them.
class recorder {
public:
  using action = std::function<void(const notice&)>;

  recorder() : test_thread_(std::this_thread::get_id()) {}
  recorder(const recorder&) = delete;
  recorder& operator=(const recorder&) = delete;

  [[nodiscard]] DWORD_PTR context() noexcept { return reinterpret_cast<DWORD_PTR>(this); }
  static void CALLBACK callback(HINTERNET handle, DWORD_PTR context, DWORD status, LPVOID info,
                                DWORD info_bytes);

  /// Calls `wanted` inside each notification of that status. Before any can come.
  void on(DWORD status, action wanted) { actions_[status] = std::move(wanted); }
  /// How a handle is called in described().
  void name(HINTERNET handle, std::string called);

  /// Waits until `count` notifications of that status have come and their actions have run.
  void wait(DWORD status, std::size_t count = 1);
  void wait_closed(HINTERNET handle);
  [[nodiscard]] std::vector<notice> all();
  [[nodiscard]] std::size_t count(DWORD status);
  /// All so far, one line each: "socket READ_COMPLETE 5 type 0", with " in-call" behind those that
  /// came on the thread that made this.
  [[nodiscard]] std::vector<std::string> described();
  /// The same for one handle.
  [[nodiscard]] std::vector<std::string> described(HINTERNET of);
  void clear();
  /// wait() counts from 0 again.
  void forget(DWORD status);

private:
  [[nodiscard]] std::string describe(const notice& one);
  [[nodiscard]] bool reached(const std::function<bool()>& condition);

  const std::thread::id test_thread_;
  std::map<DWORD, action> actions_;
  std::mutex lock_;
  std::condition_variable changed_;
  std::vector<notice> notices_;
  std::map<DWORD, std::size_t> finished_;
  std::vector<HINTERNET> closed_; // HANDLE_CLOSING has come
  std::vector<HINTERNET> gone_;   // and its callback is over
  std::map<HINTERNET, std::string> names_;
};

/// The handles of an asynchronous client up to its request, with a recorder's callback.
struct async_handles {
  async_handles(recorder& to, std::uint16_t port,
                DWORD mask = WINHTTP_CALLBACK_FLAG_ALL_NOTIFICATIONS,
                DWORD flags = WINHTTP_FLAG_ASYNC);
  ~async_handles();
  async_handles(const async_handles&) = delete;
  async_handles& operator=(const async_handles&) = delete;

  /// SendRequest to CompleteUpgrade, each waited for; the context of the socket is the recorder.
  [[nodiscard]] HINTERNET open_socket();
  /// Closes what is open, socket not included.
  void close();

  recorder& to;
  HINTERNET session = nullptr;
  HINTERNET connection = nullptr;
  HINTERNET request = nullptr;
};

/// An asynchronous socket whose other handles are gone, and the recorder of its notifications. The
/// handles' own notifications are not in it.
class async_client {
public:
  /// `before_upgrade` runs when the response is there, before a loop serves the socket.
  explicit async_client(std::uint16_t port, DWORD mask = WINHTTP_CALLBACK_FLAG_ALL_NOTIFICATIONS,
                        recorder::action before_upgrade = {});
  ~async_client();
  async_client(const async_client&) = delete;
  async_client& operator=(const async_client&) = delete;

  [[nodiscard]] HINTERNET socket() const noexcept { return socket_; }
  [[nodiscard]] recorder& heard() noexcept { return heard_; }
  void close_handle();

private:
  recorder before_;
  recorder heard_;
  HINTERNET socket_ = nullptr;
  DWORD mask_;
};

/// Makes the kernel take little of the connection to that port of 127.0.0.1, so that what is too
/// big for it stays with the loop.
void shrink_send_buffer(std::uint16_t port, int bytes = 65536);

/// Below the minimum of the option.
void set_keepalive(HINTERNET socket, std::chrono::milliseconds interval);

[[nodiscard]] DWORD post_receive(HINTERNET socket, void* to, std::size_t room);

template <std::size_t Size> struct landing {
  char bytes[Size]{};
  [[nodiscard]] DWORD receive(HINTERNET socket) { return post_receive(socket, bytes, Size); }
  [[nodiscard]] std::string first(std::size_t count) const { return std::string(bytes, count); }
};

/// A peer that shakes hands and then does what it is told to.
class open_peer {
public:
  using script = std::function<void(peer_connection&)>;
  explicit open_peer(script then, const scripted_peer::settings& how = {})
      : server_(
            [then = std::move(then)](scripted_peer& self) {
              peer_connection client = self.accept();
              client.handshake();
              then(client);
            },
            how) {}
  [[nodiscard]] std::uint16_t port() const noexcept { return server_.port(); }

private:
  scripted_peer server_;
};

using async_test = backend_test;

} // namespace sluice::test
