#pragma once

#include "async_fixture.hpp"
#include "websocket_fixture.hpp"

#include "winhttp/caretaker.hpp"

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::test {

/// How a program receives.
enum class receiving {
  blocking,     // a synchronous handle
  looked_after, // the same, with the caretaker reading ahead whenever nobody receives
  posted,       // an asynchronous handle, a Receive now and then
  in_callback,  // the same, each Receive out of the completion of the one before
};

/// A client's socket, whatever its kind, as a row of Receives.
class any_socket {
public:
  /// What to do after a piece or an error: the room of the next Receive, or 0 to stop.
  using next_call = std::function<std::size_t(const received&)>;

  /// `before_upgrade` as async_client has it; for asynchronous handles only.
  any_socket(std::uint16_t port, receiving how, recorder::action before_upgrade = {}) : how_(how) {
    if (how == receiving::blocking || how == receiving::looked_after) {
      // The caretaker of this process comes by so seldom that it never does, or all the time.
      winhttp::set_care_period(how == receiving::looked_after ? std::chrono::milliseconds(1)
                                                              : std::chrono::hours(1));
      blocking_.emplace(port);
      return;
    }
    asynchronous_.emplace(port, WINHTTP_CALLBACK_FLAG_ALL_NOTIFICATIONS, std::move(before_upgrade));
    recorder& heard = asynchronous_->heard();
    heard.on(WINHTTP_CALLBACK_STATUS_READ_COMPLETE, [this](const notice& done) {
      const auto type = static_cast<WINHTTP_WEB_SOCKET_BUFFER_TYPE>(done.type);
      take({0, type, std::string(room_.get(), done.bytes)});
    });
    heard.on(WINHTTP_CALLBACK_STATUS_REQUEST_ERROR, [this](const notice& failed) {
      if (failed.call == WINHTTP_WEB_SOCKET_RECEIVE_OPERATION) {
        take({failed.code, {}, {}});
      }
    });
  }
  ~any_socket() {
    asynchronous_.reset(); // nothing of it is called any more
    blocking_.reset();
    winhttp::set_care_period(winhttp::decision::care_period);
  }
  any_socket(const any_socket&) = delete;
  any_socket& operator=(const any_socket&) = delete;

  [[nodiscard]] HINTERNET handle() const noexcept {
    return blocking_ ? blocking_->handle() : asynchronous_->socket();
  }
  [[nodiscard]] bool is_asynchronous() const noexcept { return asynchronous_.has_value(); }
  [[nodiscard]] async_client& asynchronous() noexcept { return *asynchronous_; }

  /// Receives with `room` bytes, and further as `next` says.
  void run(std::size_t room, const next_call& next) {
    if (blocking_) {
      while (room != 0) {
        room = next(test::receive(blocking_->handle(), room));
      }
      return;
    }
    if (how_ == receiving::in_callback) {
      next_ = next;
      post(room);
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopped_; });
      stopped_ = false;
      return;
    }
    while (room != 0) {
      post(room);
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return got_.has_value(); });
      const received got = *std::exchange(got_, std::nullopt);
      lock.unlock();
      room = next(got);
    }
  }
  [[nodiscard]] received receive(std::size_t room) {
    received got;
    run(room, [&](const received& piece) {
      got = piece;
      return 0;
    });
    return got;
  }

private:
  // Exactly as large as it says, so that a sanitizer sees what is written behind it.
  void post(std::size_t room) {
    room_ = std::make_unique<char[]>(room);
    const DWORD code = post_receive(asynchronous_->socket(), room_.get(), room);
    if (code != ERROR_SUCCESS) {
      take({code, {}, {}});
    }
  }
  void take(received got) {
    if (how_ == receiving::in_callback) {
      if (const std::size_t room = next_(got); room != 0) {
        post(room);
        return;
      }
    }
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    got_ = std::move(got);
    changed_.notify_all();
  }

  receiving how_;
  std::unique_ptr<char[]> room_; // of the pending Receive
  next_call next_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<received> got_;
  bool stopped_ = false;
  std::optional<api_socket> blocking_;
  std::optional<async_client> asynchronous_; // first to go: its callbacks use the others
};

/// What comes until a Receive fails, or until CLOSE.
struct received_stream {
  std::string bytes;
  std::vector<WINHTTP_WEB_SOCKET_BUFFER_TYPE> types; // of the pieces
  DWORD code = 0;
};
[[nodiscard]] inline received_stream receive_to_the_end(any_socket& from, std::size_t room) {
  received_stream all;
  from.run(room, [&](const received& piece) -> std::size_t {
    all.code = piece.code;
    if (piece.code != ERROR_SUCCESS) {
      return 0;
    }
    all.bytes += piece.bytes;
    all.types.push_back(piece.type);
    return piece.type == close_type ? 0 : room;
  });
  return all;
}

/// Until the client has ended the connection, however.
inline void read_to_the_end(peer_connection& from) {
  try {
    while (!from.read_raw().empty()) {
    }
  } catch (const peer_failure&) {
  }
}

/// Each test with each way to receive.
class large_frames : public websocket_test, public ::testing::WithParamInterface<receiving> {};

/// The same, over TLS only.
class large_frames_in_records : public large_frames {
protected:
  void SetUp() override {
    large_frames::SetUp();
    if (!tls_is_wanted()) {
      GTEST_SKIP() << "there are no records without TLS";
    }
  }
};

inline const auto every_kind = testing::Values(receiving::blocking, receiving::looked_after,
                                               receiving::posted, receiving::in_callback);

[[nodiscard]] inline std::string kind_name(const testing::TestParamInfo<receiving>& info) {
  constexpr const char* names[] = {"blocking", "looked_after", "posted", "in_callback"};
  return names[static_cast<int>(info.param)];
}

} // namespace sluice::test
