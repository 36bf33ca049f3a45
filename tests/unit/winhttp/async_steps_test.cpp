// A scripted asynchronous client, and one call that comes in between: at every step of the library
// in turn, from another thread, and in every notification in turn, out of the callback. Each
// accepted call completes once, nothing comes after HANDLE_CLOSING, nothing hangs and nothing is
// left behind.

#include "async_fixture.hpp"

#include "support/steps.hpp"
#include "support/test_effort.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <condition_variable>
#include <map>
#include <optional>
#include <set>

namespace sluice::test {
namespace {

constexpr std::size_t far_too_many = 2000;
constexpr std::size_t operations = 4; // of WINHTTP_WEB_SOCKET_OPERATION
constexpr std::chrono::seconds patience{60};

/// Makes one call at the step or notification of that number.
class intruder final : public step_watcher {
public:
  enum class place { in_callbacks, other_thread };

  intruder(place where, std::size_t at, std::function<void()> call)
      : where_(where), wanted_(at), call_(std::move(call)) {
    if (where_ == place::other_thread) {
      thread_.emplace([this] {
        std::unique_lock guard(lock_);
        changed_.wait(guard, [this] { return asked_ || ended_; });
        if (asked_) {
          guard.unlock();
          call_();
          guard.lock();
          done_ = true;
          changed_.notify_all();
        }
      });
    }
    watch_steps(this);
  }
  ~intruder() { end(); }

  /// Counts from now on.
  void begin() noexcept { counts_.store(true); }
  /// No more calls. False if the session had fewer steps.
  bool end() {
    counts_.store(false);
    watch_steps(nullptr);
    if (thread_.has_value()) {
      {
        const std::lock_guard guard(lock_);
        ended_ = true;
        changed_.notify_all();
      }
      thread_.reset();
    }
    return reached_.load();
  }

  void at(step what, bool loops_own) noexcept override {
    // A loop's thread may hold the mutex of a socket in these; other threads do not.
    const bool locked = loops_own && (what == step::submit || what == step::write);
    if (where_ == place::other_thread && is_next()) {
      ask(!locked);
    }
  }

  void in_callback() {
    if (is_next()) {
      if (where_ == place::in_callbacks) {
        call_();
      } else {
        ask(true);
      }
    }
  }

private:
  bool is_next() noexcept {
    const bool here = counts_.load() && seen_.fetch_add(1) == wanted_;
    if (here) {
      reached_.store(true);
    }
    return here;
  }

  void ask(bool may_wait) {
    std::unique_lock guard(lock_);
    asked_ = true;
    changed_.notify_all();
    if (may_wait && !changed_.wait_for(guard, patience, [this] { return done_; })) {
      ADD_FAILURE() << "the call does not return at step " << wanted_;
    }
    guard.unlock();
    std::this_thread::yield();
  }

  const place where_;
  const std::size_t wanted_;
  const std::function<void()> call_;
  std::atomic<bool> counts_{false};
  std::atomic<bool> reached_{false};
  std::atomic<std::size_t> seen_{0};
  std::mutex lock_;
  std::condition_variable changed_;
  bool asked_ = false;
  bool done_ = false;
  bool ended_ = false;
  std::optional<background> thread_;
};

/// Answers each message with two fragments and a ping between them, the second fragment after the
/// pong; a close frame with what is owed, with data and a close frame. Reads what follows the first
/// answer once `go_on` is set.
void answer(peer_connection& client, event& go_on) {
  ignore_steps_of_this_thread();
  const std::string first = make_frame(text_opcode, "an ", false) + make_frame(ping_opcode, "?");
  const std::string last = make_frame(continuation_opcode, "answer");
  int owed = 0;
  bool waits = false;
  try {
    for (;;) {
      const client_frame got = client.read_frame();
      if (got.opcode == close_opcode) {
        std::string rest = waits ? last : "";
        for (int i = waits ? 1 : 0; i < owed; ++i) {
          rest += first + last;
        }
        client.send(rest + make_frame(binary_opcode, "late") + make_close(1000));
        break;
      }
      if (got.opcode == pong_opcode) {
        client.send(last);
        waits = false;
        --owed;
        go_on.wait();
      } else if (got.fin) {
        ++owed;
      }
      if (owed > 0 && !waits) {
        client.send(first);
        waits = true;
      }
    }
    while (!client.read_some().empty()) {
    }
  } catch (const peer_failure&) {
    // The client tore the connection down.
  }
}

/// The application: always a Receive, armed again inside READ_COMPLETE, and an account of all.
class scripted_client {
public:
  explicit scripted_client(bool receives_again_if_busy) : tolerant_(receives_again_if_busy) {}

  /// The socket's context is this.
  void take(HINTERNET socket, intruder& by) {
    socket_ = socket;
    by_ = &by;
    DWORD_PTR context = reinterpret_cast<DWORD_PTR>(this);
    WinHttpSetStatusCallback(socket, &callback, WINHTTP_CALLBACK_FLAG_ALL_NOTIFICATIONS, 0);
    WinHttpSetOption(socket, WINHTTP_OPTION_CONTEXT_VALUE, &context, sizeof(context));
  }

  void receive(char* to, std::size_t room) {
    const DWORD code =
        account(WINHTTP_WEB_SOCKET_RECEIVE_OPERATION, post_receive(socket_, to, room));
    const std::lock_guard guard(lock_);
    if (code != ERROR_SUCCESS && !(tolerant_ && code == ERROR_INVALID_OPERATION)) {
      no_more_ = true;
      changed_.notify_all();
    }
  }
  void receive() { receive(own_, sizeof(own_)); }
  void receive_into_another() { receive(others_, sizeof(others_)); }
  void send(WINHTTP_WEB_SOCKET_BUFFER_TYPE type, const std::string& payload) {
    // The buffer belongs to the library until the completion: it is one of the session's.
    const DWORD code =
        account(WINHTTP_WEB_SOCKET_SEND_OPERATION,
                WinHttpWebSocketSend(socket_, type, const_cast<char*>(payload.data()),
                                     static_cast<DWORD>(payload.size())));
    if (code == ERROR_SUCCESS && type == binary_message) {
      const std::lock_guard guard(lock_);
      ++asked_;
    }
  }
  void shutdown() { account(WINHTTP_WEB_SOCKET_SHUTDOWN_OPERATION, test::shutdown(socket_)); }
  void close() { account(WINHTTP_WEB_SOCKET_CLOSE_OPERATION, test::close(socket_)); }
  void close_handle() {
    if (WinHttpCloseHandle(socket_)) {
      ++closed_;
    } else {
      EXPECT_EQ(GetLastError(), DWORD{ERROR_INVALID_HANDLE});
    }
  }

  void wait_completed(WINHTTP_WEB_SOCKET_OPERATION call) {
    wait([this, call] { return completed_[call] >= accepted_[call]; }, "a completion");
  }
  void wait_first_answer() {
    wait([this] { return no_more_ || answers_ > 0 || asked_ == 0; }, "the first answer");
  }
  void wait_answers() {
    wait([this] { return no_more_ || answers_ >= asked_; }, "the answers");
  }
  void wait_end_of_input() {
    wait([this] { return no_more_; }, "the end of what is received");
  }
  void wait_closing() {
    wait([this] { return closing_ != 0; }, "HANDLE_CLOSING");
  }

  /// When everything is over.
  void check(std::size_t at) {
    const std::lock_guard guard(lock_);
    EXPECT_EQ(completed_, accepted_) << "STA-06, step " << at;
    EXPECT_EQ(closing_, 1) << "HND-13, step " << at;
    EXPECT_EQ(closed_, 1) << "HND-11, step " << at;
    EXPECT_EQ(behind_, 0) << "HND-13: after HANDLE_CLOSING, step " << at;
  }
  [[nodiscard]] bool is_sending() {
    const std::lock_guard guard(lock_);
    return completed_[WINHTTP_WEB_SOCKET_SEND_OPERATION] <
           accepted_[WINHTTP_WEB_SOCKET_SEND_OPERATION];
  }

private:
  static void CALLBACK callback(HINTERNET, DWORD_PTR context, DWORD status, LPVOID info, DWORD) {
    reinterpret_cast<scripted_client*>(context)->on(status, info);
  }

  void on(DWORD status, const void* info) {
    bool again = false;
    {
      const std::lock_guard guard(lock_);
      behind_ += closing_ != 0 ? 1 : 0;
      switch (status) {
      case WINHTTP_CALLBACK_STATUS_READ_COMPLETE: {
        const auto& got = *static_cast<const WINHTTP_WEB_SOCKET_STATUS*>(info);
        ++completed_[WINHTTP_WEB_SOCKET_RECEIVE_OPERATION];
        answers_ += got.eBufferType == utf8_message ? 1 : 0;
        no_more_ = no_more_ || got.eBufferType == close_type;
        again = !no_more_;
        break;
      }
      case WINHTTP_CALLBACK_STATUS_WRITE_COMPLETE:
        ++completed_[WINHTTP_WEB_SOCKET_SEND_OPERATION];
        break;
      case WINHTTP_CALLBACK_STATUS_SHUTDOWN_COMPLETE:
        ++completed_[WINHTTP_WEB_SOCKET_SHUTDOWN_OPERATION];
        break;
      case WINHTTP_CALLBACK_STATUS_CLOSE_COMPLETE:
        ++completed_[WINHTTP_WEB_SOCKET_CLOSE_OPERATION];
        break;
      case WINHTTP_CALLBACK_STATUS_REQUEST_ERROR: {
        const auto& failed = *static_cast<const WINHTTP_WEB_SOCKET_ASYNC_RESULT*>(info);
        ++completed_[static_cast<std::size_t>(failed.Operation)];
        no_more_ = no_more_ || failed.Operation == WINHTTP_WEB_SOCKET_RECEIVE_OPERATION;
        break;
      }
      case WINHTTP_CALLBACK_STATUS_HANDLE_CLOSING:
        ++closing_;
        break;
      default:
        ADD_FAILURE() << "notification " << status;
        break;
      }
      changed_.notify_all();
    }
    by_->in_callback();
    if (again) {
      receive();
    }
  }

  DWORD account(WINHTTP_WEB_SOCKET_OPERATION call, DWORD code) {
    const std::lock_guard guard(lock_);
    switch (code) {
    case ERROR_SUCCESS:
      ++accepted_[static_cast<std::size_t>(call)];
      break;
    case ERROR_INVALID_HANDLE:
    case ERROR_INVALID_OPERATION:
    case ERROR_WINHTTP_CONNECTION_ERROR:    // Close on a link that has failed (CLO-28)
    case ERROR_WINHTTP_OPERATION_CANCELLED: // Send that CloseHandle has overtaken
      break;
    default:
      ADD_FAILURE() << "code " << code << " of call " << call;
      break;
    }
    return code;
  }

  template <typename Condition> void wait(Condition reached, const char* what) {
    std::unique_lock guard(lock_);
    if (!changed_.wait_for(guard, patience, reached)) {
      throw std::runtime_error(what);
    }
  }

  const bool tolerant_;
  HINTERNET socket_ = nullptr;
  intruder* by_ = nullptr;
  char own_[512];
  char others_[512];
  std::atomic<int> closed_{0};
  std::mutex lock_;
  std::condition_variable changed_;
  std::array<int, operations> accepted_{};
  std::array<int, operations> completed_{};
  int asked_ = 0;   // messages
  int answers_ = 0; // to them
  int closing_ = 0;
  int behind_ = 0;
  bool no_more_ = false;
};

/// Makes the kernel take little of the connection to that port, so that what is too big for it
/// stays with the loop.
void shrink_send_buffer(std::uint16_t port) {
  constexpr int most_descriptors = 1024;
  for (int fd = 0; fd < most_descriptors; ++fd) {
    sockaddr_in to{};
    socklen_t bytes = sizeof(to);
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&to), &bytes) == 0 &&
        ntohs(to.sin_port) == port) {
      const int little = 65536;
      EXPECT_EQ(::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &little, sizeof(little)), 0);
      return;
    }
  }
  ADD_FAILURE() << "no connection to port " << port;
}

enum class intrusion { close_handle, close, shutdown, receive, send };

void intrude(scripted_client& on, intrusion what) {
  static const std::string payload = "from elsewhere";
  switch (what) {
  case intrusion::close_handle:
    return on.close_handle();
  case intrusion::close:
    return on.close();
  case intrusion::shutdown:
    return on.shutdown();
  case intrusion::receive:
    return on.receive_into_another();
  case intrusion::send:
    return on.send(binary_message, payload);
  }
}

/// How the script ends.
enum class ending { shutdown_behind_a_send, close_over_a_receive };

class async_steps : public async_test {
protected:
  /// One session. False if it had fewer steps.
  bool run(ending how, intrusion what, intruder::place where, std::size_t at) {
    static const std::string first = "a frag";
    static const std::string last = "ment";
    static const std::string big = pattern_text(std::size_t{768} << 10);
    event go_on; // the peer reads what is too big for the kernel
    scripted_client client(what == intrusion::receive);
    bool reached = false;
    {
      scripted_peer::settings small;
      small.receive_buffer_bytes = small_receive_buffer_bytes;
      const open_peer peer([&](peer_connection& of) { answer(of, go_on); }, small);
      intruder by(where, at, [&] { intrude(client, what); });
      recorder heard; // of the other handles
      {
        async_handles from(heard, peer.port());
        client.take(from.open_socket(), by);
        shrink_send_buffer(peer.port());
        // Their HANDLE_CLOSING comes after the socket's (HND-12).
        for (HINTERNET* const parent : {&from.request, &from.connection, &from.session}) {
          WinHttpSetStatusCallback(*parent, nullptr, 0, 0);
          WinHttpCloseHandle(std::exchange(*parent, nullptr));
        }
      }
      by.begin();
      client.receive();
      client.send(binary_fragment, first);
      client.wait_completed(WINHTTP_WEB_SOCKET_SEND_OPERATION);
      client.send(binary_message, last);
      client.wait_completed(WINHTTP_WEB_SOCKET_SEND_OPERATION);
      client.wait_first_answer();
      client.send(binary_message, big);
      busy_ += client.is_sending() ? 1 : 0;
      if (how == ending::shutdown_behind_a_send) {
        client.shutdown();
        go_on.set();
        client.wait_completed(WINHTTP_WEB_SOCKET_SEND_OPERATION);
        client.wait_completed(WINHTTP_WEB_SOCKET_SHUTDOWN_OPERATION);
        client.wait_end_of_input();
      } else {
        go_on.set();
        client.wait_completed(WINHTTP_WEB_SOCKET_SEND_OPERATION);
        client.wait_answers();
      }
      client.close();
      client.wait_completed(WINHTTP_WEB_SOCKET_CLOSE_OPERATION);
      client.close_handle();
      client.wait_closing();
      // The loop has let go of everything (HND-17), and its thread is gone (NOT-17).
      wait_until([] { return living_async_loops() == 0; });
      reached = by.end();
    }
    client.check(at);
    EXPECT_EQ(untidy_loops(), 0u) << "HND-17, step " << at;
    return reached;
  }

  /// Every step until there is none of that number.
  void sweep(intrusion what, intruder::place where, std::size_t least) {
    for (const ending how : {ending::shutdown_behind_a_send, ending::close_over_a_receive}) {
      busy_ = 0;
      std::size_t at = 0;
      while (run(how, what, where, at) && !HasFailure()) {
        at += where == intruder::place::other_thread ? stride : 1;
        ASSERT_LT(at, far_too_many);
      }
      EXPECT_GE(at, least) << "steps";
      EXPECT_GT(busy_, 0) << "no Send was in flight (SND-21)";
      RecordProperty(how == ending::shutdown_behind_a_send ? "shutdown" : "close",
                     static_cast<int>(at));
    }
  }

  int busy_ = 0; // sessions whose big message did not go out inside Send

  // Over TLS each record is a step of its own, and each session takes long: a sample of them.
  const std::size_t stride = !tls_is_wanted() ? 1 : full_effort ? 7 : 29;

  // The session has at least these notifications: three WRITE_COMPLETE, four READ_COMPLETE, one of
  // Close, HANDLE_CLOSING; and for each receive a submission, a completion and a turn.
  static constexpr std::size_t least_notifications = 9;
  static constexpr std::size_t least_steps = 30;
};

TEST_F(async_steps, HND_20_STA_06_close_handle_in_every_callback) {
  sweep(intrusion::close_handle, intruder::place::in_callbacks, least_notifications);
}

TEST_F(async_steps, HND_16_HND_17_STA_06_close_handle_at_every_step) {
  sweep(intrusion::close_handle, intruder::place::other_thread, least_steps);
}

TEST_F(async_steps, CLO_21_STA_06_close_in_every_callback) {
  sweep(intrusion::close, intruder::place::in_callbacks, least_notifications);
}

TEST_F(async_steps, CLO_21_STA_06_close_at_every_step) {
  sweep(intrusion::close, intruder::place::other_thread, least_steps);
}

TEST_F(async_steps, SHD_06_STA_06_shutdown_in_every_callback) {
  sweep(intrusion::shutdown, intruder::place::in_callbacks, least_notifications);
}

TEST_F(async_steps, SHD_06_STA_06_shutdown_at_every_step) {
  sweep(intrusion::shutdown, intruder::place::other_thread, least_steps);
}

TEST_F(async_steps, RCV_13_STA_06_receive_in_every_callback) {
  sweep(intrusion::receive, intruder::place::in_callbacks, least_notifications);
}

TEST_F(async_steps, RCV_13_STA_06_receive_at_every_step) {
  sweep(intrusion::receive, intruder::place::other_thread, least_steps);
}

TEST_F(async_steps, SND_22_STA_06_send_in_every_callback) {
  sweep(intrusion::send, intruder::place::in_callbacks, least_notifications);
}

TEST_F(async_steps, SND_22_STA_06_send_at_every_step) {
  sweep(intrusion::send, intruder::place::other_thread, least_steps);
}

// The way to a socket -------------------------------------------------------------------------

/// Session, connection, request and socket, and an account of what they were asked for.
class opening_client {
public:
  enum handle_index : std::size_t { session, connection, request, socket, handle_count };

  void close(handle_index which) {
    const HINTERNET handle = handles_[which].load();
    if (handle == nullptr) {
      return; // not open yet
    }
    if (WinHttpCloseHandle(handle)) {
      ++closed_[which];
    } else {
      EXPECT_EQ(GetLastError(), DWORD{ERROR_INVALID_HANDLE});
    }
  }

  void run(std::uint16_t port, intruder& by) {
    by_ = &by;
    DWORD_PTR context = reinterpret_cast<DWORD_PTR>(this);
    handles_[session] =
        WinHttpOpen(nullptr, WINHTTP_ACCESS_TYPE_NO_PROXY, nullptr, nullptr, WINHTTP_FLAG_ASYNC);
    WinHttpSetOption(handles_[session], WINHTTP_OPTION_CONTEXT_VALUE, &context, sizeof(context));
    WinHttpSetStatusCallback(handles_[session], &callback, WINHTTP_CALLBACK_FLAG_ALL_NOTIFICATIONS,
                             0);
    by.begin();
    handles_[connection] = opened(WinHttpConnect(handles_[session], L"127.0.0.1", port, 0));
    handles_[request] = opened(open_request(handles_[connection]));
    const HINTERNET asked = handles_[request];
    if (asked != nullptr) {
      WinHttpSetOption(asked, WINHTTP_OPTION_UPGRADE_TO_WEB_SOCKET, nullptr, 0);
      call(API_SEND_REQUEST, WinHttpSendRequest(asked, nullptr, 0, nullptr, 0, 0, 0));
      call(API_RECEIVE_RESPONSE, WinHttpReceiveResponse(asked, nullptr));
      handles_[socket] = opened(WinHttpWebSocketCompleteUpgrade(asked, context));
    }
    for (const handle_index which : {socket, request, connection, session}) {
      close(which);
    }
    for (const auto& handle : handles_) {
      wait([&] { return handle == nullptr || gone_.count(handle) != 0; }, "HANDLE_CLOSING");
    }
  }

  void check(std::size_t at) {
    const std::lock_guard guard(lock_);
    EXPECT_EQ(completed_, accepted_) << "STA-06, step " << at;
    EXPECT_EQ(behind_, 0) << "HND-13: after HANDLE_CLOSING, step " << at;
    for (std::size_t i = 0; i < handle_count; ++i) {
      EXPECT_EQ(closed_[i].load(), handles_[i] != nullptr ? 1 : 0) << "HND-11, step " << at;
    }
  }

private:
  static void CALLBACK callback(HINTERNET handle, DWORD_PTR context, DWORD status, LPVOID info,
                                DWORD info_bytes) {
    reinterpret_cast<opening_client*>(context)->on(handle, status, info, info_bytes);
  }

  void on(HINTERNET handle, DWORD status, const void* info, DWORD info_bytes) {
    {
      const std::lock_guard guard(lock_);
      behind_ += closing_.count(handle) != 0 ? 1 : 0;
      if (status == WINHTTP_CALLBACK_STATUS_SENDREQUEST_COMPLETE) {
        ++completed_[API_SEND_REQUEST];
      } else if (status == WINHTTP_CALLBACK_STATUS_HEADERS_AVAILABLE) {
        ++completed_[API_RECEIVE_RESPONSE];
      } else if (status == WINHTTP_CALLBACK_STATUS_REQUEST_ERROR) {
        EXPECT_EQ(info_bytes, sizeof(WINHTTP_ASYNC_RESULT));
        ++completed_[static_cast<const WINHTTP_ASYNC_RESULT*>(info)->dwResult];
      } else if (status == WINHTTP_CALLBACK_STATUS_HANDLE_CLOSING) {
        closing_.insert(handle);
      }
    }
    by_->in_callback();
    const std::lock_guard guard(lock_);
    if (status == WINHTTP_CALLBACK_STATUS_HANDLE_CLOSING) {
      gone_.insert(handle);
    }
    changed_.notify_all();
  }

  /// A handle, or nullptr because another one was closed meanwhile.
  static HINTERNET opened(HINTERNET made) {
    const DWORD code = GetLastError();
    EXPECT_TRUE(made != nullptr || code == ERROR_INVALID_HANDLE ||
                code == ERROR_INVALID_OPERATION || code == ERROR_WINHTTP_OPERATION_CANCELLED)
        << code;
    return made;
  }

  void call(DWORD which, BOOL accepted) {
    const DWORD code = GetLastError();
    if (!accepted) {
      EXPECT_TRUE(code == ERROR_INVALID_HANDLE || code == ERROR_WINHTTP_OPERATION_CANCELLED ||
                  code == ERROR_WINHTTP_INCORRECT_HANDLE_STATE)
          << code;
      return;
    }
    {
      const std::lock_guard guard(lock_);
      ++accepted_[which];
    }
    wait([this, which] { return completed_[which] >= accepted_[which]; }, "a completion");
  }

  template <typename Condition> void wait(Condition reached, const char* what) {
    std::unique_lock guard(lock_);
    if (!changed_.wait_for(guard, patience, reached)) {
      throw std::runtime_error(what);
    }
  }

  intruder* by_ = nullptr;
  std::array<std::atomic<HINTERNET>, handle_count> handles_{};
  std::array<std::atomic<int>, handle_count> closed_{};
  std::mutex lock_;
  std::condition_variable changed_;
  std::map<DWORD_PTR, int> accepted_;
  std::map<DWORD_PTR, int> completed_;
  std::set<HINTERNET> closing_; // HANDLE_CLOSING has come
  std::set<HINTERNET> gone_;    // and its callback is over
  int behind_ = 0;
};

class async_opening_steps : public async_test {
protected:
  void sweep(opening_client::handle_index closed, intruder::place where, std::size_t least) {
    std::atomic<bool> last{false}; // the next connection is
    std::atomic<bool> over{false}; // there is none
    scripted_peer server([&](scripted_peer& self) {
      ignore_steps_of_this_thread();
      for (bool ends = false; !ends;) {
        try {
          peer_connection client = self.accept();
          ends = last;
          client.handshake();
          while (!client.read_some().empty()) {
          }
        } catch (const peer_failure&) { // the client went away, or there was none
          ends = ends || over;
        }
      }
    });
    struct whatever_happens {
      ~whatever_happens() { over = true; }
      std::atomic<bool>& over;
    } const at_the_end{over};
    std::size_t at = 0;
    for (bool reached = true; reached && !HasFailure();) {
      opening_client client;
      {
        intruder by(where, at, [&] { client.close(closed); });
        client.run(server.port(), by);
        wait_until([] { return living_async_loops() == 0; });
        reached = by.end();
      }
      client.check(at);
      at += reached ? 1 : 0;
      ASSERT_LT(at, far_too_many);
    }
    EXPECT_GE(at, least) << "steps";
    EXPECT_EQ(untidy_loops(), 0u);
    RecordProperty("steps", static_cast<int>(at));
    last = true;
    const async_client ends_the_server(server.port());
  }

  // Of sequence A: HANDLE_CREATED of three, four of the connection, the three of each call, and
  // HANDLE_CLOSING of four.
  static constexpr std::size_t least_notifications = 12;
  static constexpr std::size_t least_steps = 16;
};

TEST_F(async_opening_steps, HND_20_STA_06_request_closed_in_every_callback) {
  sweep(opening_client::request, intruder::place::in_callbacks, least_notifications);
}

TEST_F(async_opening_steps, HND_16_STA_06_request_closed_at_every_step) {
  sweep(opening_client::request, intruder::place::other_thread, least_steps);
}

TEST_F(async_opening_steps, HND_09_HND_20_session_closed_in_every_callback) {
  sweep(opening_client::session, intruder::place::in_callbacks, least_notifications);
}

TEST_F(async_opening_steps, HND_09_HND_10_connection_closed_at_every_step) {
  sweep(opening_client::connection, intruder::place::other_thread, least_steps);
}

} // namespace
} // namespace sluice::test
