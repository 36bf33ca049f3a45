#pragma once

#include "io/backend.hpp"
#include "io/loop.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::io {

class mock_backend;

/// What the kernel has in store for one descriptor. Steps are taken in the order in which they were
/// added; receives and sends have a queue each.
class mock_socket {
public:
  /// `bytes` arrive together: one receive gets all of them, or as many as its buffer holds.
  mock_socket& arrives(std::span<const std::byte> bytes);
  mock_socket& arrives(std::string_view bytes);
  /// FIN: this and every later receive gets 0 bytes.
  mock_socket& ends();
  /// One receive ends with that errno value (ECONNRESET, ETIMEDOUT ...).
  mock_socket& fails(int number);
  /// The next attempt to receive is interrupted (EINTR) and is made again.
  mock_socket& interrupts();
  /// The next attempt to receive finds no buffer (ENOBUFS), although the pool may have some.
  mock_socket& has_no_buffer();
  /// What comes next comes that much later.
  mock_socket& later(std::chrono::milliseconds by);
  /// A cancel of a receive loses: the step after this one happens first. Between two arrivals it
  /// lets a cancelled multishot receive bring both.
  mock_socket& outruns_cancel();
  /// A cancel of a receive ends it with that errno value instead of ECANCELED.
  mock_socket& cancelled_with(int number);

  /// One send takes at most so many bytes. Without steps a send takes everything.
  mock_socket& takes(std::size_t at_most);
  mock_socket& send_fails(int number);
  /// The socket is full until that much later.
  mock_socket& takes_later(std::chrono::milliseconds by);

  /// Arrivals as a fuzzer would have them: each byte of `script` decides the next step (how many of
  /// the next `payload` bytes arrive, or an interruption, a lack of buffers or a pause); what is
  /// left of `payload` arrives at the end.
  mock_socket& plays(std::span<const std::byte> script, std::span<const std::byte> payload);

  /// All bytes that sends took.
  [[nodiscard]] const std::string& sent() const noexcept { return sent_; }

private:
  friend class mock_backend;

  enum class event : std::uint8_t {
    bytes,
    end,
    failure,
    interruption,
    no_buffer,
    pause,
    outrun,
    cancel_result
  };
  struct step {
    event what = event::bytes;
    std::vector<std::byte> bytes = {};
    std::size_t count = 0; // of bytes: used up; of a send: at most
    int number = 0;
    std::chrono::milliseconds pause{0};
    time_point until = time_point::min(); // of a pause that has begun
  };

  std::deque<step> receives_;
  std::deque<step> sends_;
  std::string sent_;
};

/// A backend without a kernel, for tests: completions come from a script and time is a number that
/// wait() advances, so that nothing sleeps. One thread; only wake() may come from others.
///
/// It watches over the rules that a real kernel punishes with corrupted memory, and notes each
/// breach in violations():
///   - an operation is idle when it is submitted, and stays in place and unchanged until it
///     completes; the backend is not destroyed while one is armed
///   - one receive, and one send or connect, at a time per socket
///   - nothing is submitted to a closed descriptor, and none is closed while armed
///   - the pool hands out no buffer that is still out, and a buffer comes back exactly once
///   - who gets a buffer of a multishot receive takes it out of the operation, or the next one
///     would overwrite it
///   - wait() is not called when nothing can ever happen (the loop would hang)
class mock_backend final : public backend, private buffer_owner {
public:
  explicit mock_backend(buffer_pool& buffers) noexcept;
  ~mock_backend() override;

  /// The script for a descriptor, from now on.
  [[nodiscard]] mock_socket& socket(int fd) { return sockets_[fd]; }
  /// What the next connect comes to: 0 or an errno value, after `delay`. Without: 0 at once.
  void next_connect(int number, std::chrono::milliseconds delay = {});
  /// What the next accept comes to: a descriptor or -errno. Without: nothing.
  void next_accept(int result) { accepts_.push_back(result); }
  /// The `count`th operation from now on (0 = the next) completes with that errno value.
  void fail_operation(std::size_t count, int number);
  /// The next `count` calls of wait() are interrupted by a signal before anything else.
  void interrupt_waits(unsigned count) noexcept { interrupted_waits_ = count; }
  /// Receives that ask for it complete more than once.
  void allow_multishot() noexcept { multishot_ = true; }
  /// The next wait() finds the backend broken (descriptor closed by somebody else).
  void break_down() noexcept { broken_ = true; }

  [[nodiscard]] const std::vector<std::string>& violations() const noexcept { return violations_; }
  /// Goes on collecting after the backend is gone.
  void report_to(std::vector<std::string>& violations) noexcept { report_ = &violations; }
  /// Receive buffers that were handed out and have not come back.
  [[nodiscard]] std::size_t buffers_out() const noexcept { return out_.size(); }
  [[nodiscard]] std::size_t operations_armed() const noexcept { return armed_.size(); }
  [[nodiscard]] std::chrono::milliseconds elapsed() const noexcept {
    return std::chrono::duration_cast<std::chrono::milliseconds>(now_ - begin_);
  }

  [[nodiscard]] backend_kind kind() const noexcept override { return backend_kind::mock; }
  void submit(recv_op& op) noexcept override;
  void submit(send_op& op) noexcept override;
  void submit(connect_op& op) noexcept override;
  void submit(accept_op& op) noexcept override;
  void cancel(operation& op) noexcept override;
  error wait(time_point deadline) noexcept override;
  void wake() noexcept override { woken_.store(true, std::memory_order_release); }
  [[nodiscard]] time_point now() const noexcept override { return now_; }
  [[nodiscard]] int descriptor() const noexcept override { return -1; }
  [[nodiscard]] bool multishot() const noexcept override { return multishot_; }
  void drop_after_fork() noexcept override {}

private:
  /// What a receive hands out: never reused, so that whatever is done to it later is noticed.
  struct handed_out : buffer {
    buffer* real = nullptr;
    bool returned = false;
  };
  struct outcome {
    int number = 0;
    std::chrono::milliseconds delay{0};
  };
  struct armed_operation {
    operation* op = nullptr;
    socket_ref socket;
    operation::completion on_complete = nullptr;
    void* context = nullptr;
    std::span<const std::byte> bytes;        // of a send
    time_point ready_at = time_point::min(); // of a connect
    int result = 0;                          // of a connect
    operation::state state = operation::state::armed;
  };
  using armed_list = std::deque<armed_operation>;

  void recycle(buffer& returned) noexcept override;

  void breach(std::string what);
  [[nodiscard]] bool admit(operation& op, operation::kind what, const socket_ref& socket);
  void check(const armed_operation& at);
  void complete(operation& op, std::int32_t result);
  bool progress(armed_operation& at);
  bool progress_recv(armed_operation& at, recv_op& op);
  bool progress_send(armed_operation& at, send_op& op);
  [[nodiscard]] bool hand_out(recv_op& op, mock_socket::step& from);
  [[nodiscard]] bool goes_on(const recv_op& op, std::deque<mock_socket::step>& steps) const;
  void bring(recv_op& op);
  void starve(armed_operation& at);
  bool advance_all();
  [[nodiscard]] time_point next_event() const;
  void run_completed();
  void fail_everything();
  [[nodiscard]] armed_list::iterator find(const operation& op);

  buffer_pool& buffers_;
  time_point begin_ = clock::now();
  time_point now_ = begin_;
  std::map<int, mock_socket> sockets_;
  std::deque<outcome> connects_;
  std::deque<int> accepts_;
  armed_list armed_; // starved ones too, in the order of submission
  operation_list completed_;
  std::deque<std::unique_ptr<handed_out>> made_;
  std::set<const buffer*> out_;
  std::vector<std::string> violations_;
  std::vector<std::string>* report_ = nullptr;
  std::atomic<bool> woken_{false};
  unsigned interrupted_waits_ = 0;
  bool broken_ = false;
  bool multishot_ = false;
  bool fail_armed_ = false;
  std::size_t fail_after_ = 0;
  int fail_number_ = 0;
};

/// A loop on a mock, and the mock in it. `max_pool_bytes` bounds its receive buffers.
struct mock_loop {
  explicit mock_loop(std::size_t max_pool_bytes = std::size_t{1} << 20);

  memory::unique<loop> on;
  mock_backend* mock = nullptr;
};

} // namespace sluice::io
