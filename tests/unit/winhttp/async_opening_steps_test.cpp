// The way to an asynchronous socket, from WinHttpOpen to WinHttpWebSocketCompleteUpgrade, and one
// handle that is closed in between: at every step of the library in turn, from another thread, and
// in every notification in turn, out of the callback.

#include "steps_fixture.hpp"

#include <array>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>

namespace sluice::test {
namespace {

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
    if (!changed_.wait_for(guard, step_patience, reached)) {
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
      ASSERT_LT(at, far_too_many_steps);
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
