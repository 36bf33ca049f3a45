// A scripted asynchronous client, and one call that comes in between: at every step of the library
// in turn, from another thread, and in every notification in turn, out of the callback. Each
// accepted call completes once, nothing comes after HANDLE_CLOSING, nothing hangs and nothing is
// left behind.

#include "steps_fixture.hpp"

#include "support/test_effort.hpp"

#include <array>
#include <condition_variable>
#include <mutex>
#include <utility>

namespace sluice::test {
namespace {

constexpr std::size_t operations = 4; // of WINHTTP_WEB_SOCKET_OPERATION

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
    if (!changed_.wait_for(guard, step_patience, reached)) {
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
        ASSERT_LT(at, far_too_many_steps);
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

} // namespace
} // namespace sluice::test
