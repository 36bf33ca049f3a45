#include "io/mock_backend.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace sluice::io {
namespace {

bool same_bytes(std::span<const std::byte> a, std::span<const std::byte> b) noexcept {
  return a.data() == b.data() && a.size() == b.size();
}

const char* name_of(operation::kind what) noexcept {
  switch (what) {
  case operation::kind::recv:
    return "receive";
  case operation::kind::send:
    return "send";
  case operation::kind::connect:
    return "connect";
  case operation::kind::accept:
    break;
  }
  return "accept";
}

bool reads(operation::kind what) noexcept {
  return what == operation::kind::recv || what == operation::kind::accept;
}

bool is_open(int fd) noexcept {
  return ::fcntl(fd, F_GETFD) >= 0;
}

} // namespace

// ---- scripts ----

mock_socket& mock_socket::arrives(std::span<const std::byte> bytes) {
  if (!bytes.empty()) {
    receives_.push_back({.what = event::bytes, .bytes = {bytes.begin(), bytes.end()}});
  }
  return *this;
}

mock_socket& mock_socket::arrives(std::string_view bytes) {
  return arrives(std::as_bytes(std::span(bytes)));
}

mock_socket& mock_socket::ends() {
  receives_.push_back({.what = event::end});
  return *this;
}

mock_socket& mock_socket::fails(int number) {
  receives_.push_back({.what = event::failure, .number = number});
  return *this;
}

mock_socket& mock_socket::interrupts() {
  receives_.push_back({.what = event::interruption});
  return *this;
}

mock_socket& mock_socket::has_no_buffer() {
  receives_.push_back({.what = event::no_buffer});
  return *this;
}

mock_socket& mock_socket::later(std::chrono::milliseconds by) {
  receives_.push_back({.what = event::pause, .pause = by});
  return *this;
}

mock_socket& mock_socket::outruns_cancel() {
  receives_.push_back({.what = event::outrun});
  return *this;
}

mock_socket& mock_socket::cancelled_with(int number) {
  receives_.push_back({.what = event::cancel_result, .number = number});
  return *this;
}

mock_socket& mock_socket::takes(std::size_t at_most) {
  sends_.push_back({.what = event::bytes, .count = at_most});
  return *this;
}

mock_socket& mock_socket::send_fails(int number) {
  sends_.push_back({.what = event::failure, .number = number});
  return *this;
}

mock_socket& mock_socket::takes_later(std::chrono::milliseconds by) {
  sends_.push_back({.what = event::pause, .pause = by});
  return *this;
}

mock_socket& mock_socket::plays(std::span<const std::byte> script,
                                std::span<const std::byte> payload) {
  for (const std::byte chosen : script) {
    const auto value = static_cast<unsigned>(chosen);
    const unsigned more = value >> 3;
    switch (value & 7U) {
    case 4:
      interrupts();
      break;
    case 5:
      has_no_buffer();
      break;
    case 6:
      later(std::chrono::milliseconds(more + 1));
      break;
    default: {
      const std::size_t wanted = (value & 7U) == 7 ? (more + 1) * std::size_t{512} : more + 1;
      const std::size_t count = std::min(wanted, payload.size());
      arrives(payload.first(count));
      payload = payload.subspan(count);
    }
    }
  }
  return arrives(payload);
}

// ---- the backend ----

mock_backend::mock_backend(buffer_pool& buffers) noexcept : buffers_(buffers) {}

mock_backend::~mock_backend() {
  for (const armed_operation& at : armed_) {
    breach(std::string("backend destroyed while a ") + name_of(at.op->what) + " was armed");
  }
  fail_everything();
  for (const buffer* lost : out_) {
    breach("buffer " + std::to_string(lost->id) + " never came back");
    buffers_.recycle(*static_cast<const handed_out*>(lost)->real);
  }
  if (report_ != nullptr) {
    report_->insert(report_->end(), violations_.begin(), violations_.end());
  }
}

void mock_backend::breach(std::string what) {
  violations_.push_back(std::move(what));
}

void mock_backend::next_connect(int number, std::chrono::milliseconds delay) {
  connects_.push_back({number, delay});
}

void mock_backend::fail_operation(std::size_t count, int number) {
  fail_armed_ = true;
  fail_after_ = count;
  fail_number_ = number;
}

mock_backend::armed_list::iterator mock_backend::find(const operation& op) {
  return std::find_if(armed_.begin(), armed_.end(),
                      [&op](const armed_operation& at) { return at.op == &op; });
}

/// Applies the rules for submitting; false when the operation completes by itself (with an error).
bool mock_backend::admit(operation& op, operation::kind what, const socket_ref& socket) {
  ++stats_.system_calls;
  if (find(op) != armed_.end() || !op.idle()) {
    breach(std::string("a ") + name_of(what) + " submitted that was not idle");
    return false; // it completes once, for the first submit
  }
  for (const armed_operation& at : armed_) {
    if (at.socket.id == socket.id && reads(at.op->what) == reads(what)) {
      breach(std::string("a second ") + name_of(what) + " armed on one socket");
    }
  }
  op.what = what;
  if (!is_open(socket.fd)) {
    breach(std::string("a ") + name_of(what) + " submitted to a closed descriptor");
    complete(op, -EBADF);
    return false;
  }
  if (fail_armed_ && fail_after_-- == 0) {
    fail_armed_ = false;
    complete(op, -fail_number_);
    return false;
  }
  armed_operation made;
  made.op = &op;
  made.socket = socket;
  made.on_complete = op.on_complete;
  made.context = op.context;
  armed_.push_back(made);
  op.now = operation::state::armed;
  return true;
}

void mock_backend::submit(recv_op& op) noexcept {
  op.filled = nullptr;
  op.socket_nonempty = false;
  (void)admit(op, operation::kind::recv, op.socket);
}

void mock_backend::submit(send_op& op) noexcept {
  if (admit(op, operation::kind::send, op.socket)) {
    armed_.back().bytes = op.bytes;
  }
}

void mock_backend::submit(connect_op& op) noexcept {
  if (!admit(op, operation::kind::connect, op.socket)) {
    return;
  }
  outcome planned;
  if (!connects_.empty()) {
    planned = connects_.front();
    connects_.pop_front();
  }
  armed_.back().ready_at = now_ + planned.delay;
  armed_.back().result = -planned.number;
}

void mock_backend::submit(accept_op& op) noexcept {
  (void)admit(op, operation::kind::accept, op.socket);
}

void mock_backend::check(const armed_operation& at) {
  const operation& op = *at.op;
  bool same = op.now == at.state && op.on_complete == at.on_complete && op.context == at.context;
  if (op.what == operation::kind::send) {
    same = same && same_bytes(static_cast<const send_op&>(op).bytes, at.bytes);
  }
  if (!same) {
    breach(std::string("a ") + name_of(op.what) + " changed while it was armed");
  }
  if (!is_open(at.socket.fd)) {
    breach(std::string("a descriptor closed while a ") + name_of(op.what) + " was armed on it");
  }
}

void mock_backend::complete(operation& op, std::int32_t result) {
  if (const auto at = find(op); at != armed_.end()) {
    armed_.erase(at);
  }
  op.result = result;
  op.now = operation::state::done;
  completed_.push(op);
}

void mock_backend::cancel(operation& op) noexcept {
  const auto at = find(op);
  if (at == armed_.end() || op.now == operation::state::cancelling) {
    return;
  }
  if (op.what == operation::kind::recv) {
    std::deque<mock_socket::step>& steps = sockets_[at->socket.fd].receives_;
    if (!steps.empty() && steps.front().what == mock_socket::event::outrun) {
      steps.pop_front();
      op.now = operation::state::cancelling;
      at->state = op.now;
      return; // its result was on the way already
    }
    if (!steps.empty() && steps.front().what == mock_socket::event::cancel_result) {
      const int number = steps.front().number;
      steps.pop_front();
      complete(op, -number);
      return;
    }
  }
  complete(op, -ECANCELED);
}

bool mock_backend::hand_out(recv_op& op, mock_socket::step& from) {
  buffer* real = buffers_.take(op.wanted);
  if (real == nullptr) {
    real = buffers_.take(other(op.wanted));
  }
  if (real == nullptr) {
    return false;
  }
  for (const buffer* lent : out_) {
    if (lent->bytes == real->bytes) {
      breach("buffer handed out twice");
    }
  }
  const std::size_t count =
      std::min<std::size_t>(real->capacity_bytes, from.bytes.size() - from.count);
  std::memcpy(real->bytes, from.bytes.data() + from.count, count);
  from.count += count;

  made_.push_back(std::make_unique<handed_out>());
  handed_out& made = *made_.back();
  made.bytes = real->bytes;
  made.capacity_bytes = real->capacity_bytes;
  made.size_class = real->size_class;
  made.id = static_cast<std::uint16_t>(made_.size() - 1);
  made.owner = this;
  made.real = real;
  out_.insert(&made);

  op.filled = &made;
  op.socket_nonempty = from.count < from.bytes.size();
  op.result = static_cast<std::int32_t>(count);
  ++stats_.receives;
  stats_.received_bytes += count;
  return true;
}

/// Whether a receive that has just read stays armed.
bool mock_backend::goes_on(const recv_op& op, std::deque<mock_socket::step>& steps) const {
  if (!multishot_ || !op.multishot) {
    return false;
  }
  if (op.now != operation::state::cancelling) {
    return true;
  }
  const bool more = !steps.empty() && steps.front().what == mock_socket::event::outrun;
  if (more) {
    steps.pop_front();
  }
  return more;
}

void mock_backend::bring(recv_op& op) {
  const auto at = find(op);
  if (at->state == operation::state::starved) {
    at->state = operation::state::armed;
    op.now = at->state;
  }
  ++stats_.completions;
  if (op.on_complete != nullptr) {
    op.on_complete(op);
  }
  if (op.filled != nullptr) {
    breach("a buffer was left in a multishot receive");
    recycle(*std::exchange(op.filled, nullptr));
  }
}

void mock_backend::recycle(buffer& returned) noexcept {
  auto& made = static_cast<handed_out&>(returned);
  if (std::exchange(made.returned, true)) {
    breach("buffer " + std::to_string(made.id) + " came back twice");
    return;
  }
  out_.erase(&made);
  buffers_.recycle(*made.real);
}

void mock_backend::starve(armed_operation& at) {
  if (at.state != operation::state::starved) {
    ++stats_.starved;
  }
  at.state = operation::state::starved;
  at.op->now = at.state;
}

/// True if the operation completed (then it is not armed any more) or changed its state.
bool mock_backend::progress_recv(armed_operation& at, recv_op& op) {
  std::deque<mock_socket::step>& steps = sockets_[at.socket.fd].receives_;
  while (!steps.empty()) {
    mock_socket::step& next = steps.front();
    switch (next.what) {
    case mock_socket::event::pause:
      if (next.until == time_point::min()) {
        next.until = now_ + next.pause;
      }
      if (now_ < next.until) {
        if (at.state == operation::state::starved) { // it would wait for bytes now
          at.state = operation::state::armed;
          op.now = at.state;
        }
        return false;
      }
      steps.pop_front();
      break;
    case mock_socket::event::interruption:
      ++stats_.system_calls;
      steps.pop_front();
      break;
    case mock_socket::event::outrun:
    case mock_socket::event::cancel_result:
      return false; // waits for the cancel
    case mock_socket::event::no_buffer:
      steps.pop_front();
      starve(at);
      return true;
    case mock_socket::event::end:
      complete(op, 0);
      return true;
    case mock_socket::event::failure: {
      const int number = next.number;
      steps.pop_front();
      complete(op, -number);
      return true;
    }
    case mock_socket::event::bytes: {
      if (!hand_out(op, next)) {
        if (buffers_.none_out()) {
          complete(op, -ENOMEM);
          return true;
        }
        const bool changed = at.state != operation::state::starved;
        starve(at);
        return changed;
      }
      if (next.count == next.bytes.size()) {
        steps.pop_front();
      }
      if (goes_on(op, steps)) {
        bring(op);
      } else {
        complete(op, op.result);
      }
      return true;
    }
    }
  }
  return false;
}

bool mock_backend::progress_send(armed_operation& at, send_op& op) {
  mock_socket& to = sockets_[at.socket.fd];
  std::size_t count = op.bytes.size();
  while (!to.sends_.empty()) {
    mock_socket::step& next = to.sends_.front();
    if (next.what == mock_socket::event::pause) {
      if (next.until == time_point::min()) {
        next.until = now_ + next.pause;
      }
      if (now_ < next.until) {
        return false;
      }
      to.sends_.pop_front();
      continue;
    }
    const mock_socket::step taken = std::move(next);
    to.sends_.pop_front();
    if (taken.what == mock_socket::event::failure) {
      complete(op, -taken.number);
      return true;
    }
    count = std::min(count, taken.count);
    break;
  }
  to.sent_.append(reinterpret_cast<const char*>(op.bytes.data()), count);
  complete(op, static_cast<std::int32_t>(count));
  return true;
}

bool mock_backend::progress(armed_operation& at) {
  switch (at.op->what) {
  case operation::kind::recv:
    return progress_recv(at, static_cast<recv_op&>(*at.op));
  case operation::kind::send:
    return progress_send(at, static_cast<send_op&>(*at.op));
  case operation::kind::connect:
    if (now_ < at.ready_at) {
      return false;
    }
    complete(*at.op, at.result);
    return true;
  case operation::kind::accept:
    if (accepts_.empty()) {
      return false;
    }
    const int result = accepts_.front();
    accepts_.pop_front();
    complete(*at.op, result);
    return true;
  }
  return false;
}

/// One round over what is armed; starved receives first come, first served, as they stand in line.
bool mock_backend::advance_all() {
  bool changed = false;
  for (const armed_operation& at : armed_) {
    check(at);
  }
  // A completion takes an operation out of the list: walk over a copy of the order.
  std::vector<operation*> order;
  for (const armed_operation& at : armed_) {
    order.push_back(at.op);
  }
  for (operation* op : order) {
    const auto at = find(*op);
    if (at == armed_.end()) {
      continue;
    }
    changed = progress(*at) || changed;
  }
  return changed;
}

time_point mock_backend::next_event() const {
  time_point next = no_deadline;
  for (const armed_operation& at : armed_) {
    if (at.op->what == operation::kind::connect) {
      next = std::min(next, at.ready_at);
      continue;
    }
    const auto script = sockets_.find(at.socket.fd);
    if (script == sockets_.end()) {
      continue;
    }
    const std::deque<mock_socket::step>& steps =
        at.op->what == operation::kind::send ? script->second.sends_ : script->second.receives_;
    if (!steps.empty() && steps.front().what == mock_socket::event::pause) {
      next = std::min(next, steps.front().until);
    }
  }
  return next;
}

void mock_backend::run_completed() {
  while (!completed_.empty()) {
    operation& op = completed_.pop();
    op.now = operation::state::idle;
    ++stats_.completions;
    if (op.on_complete != nullptr) {
      op.on_complete(op);
    }
  }
}

void mock_backend::fail_everything() {
  while (!armed_.empty()) {
    complete(*armed_.front().op, -ECANCELED);
  }
  run_completed();
}

error mock_backend::wait(time_point deadline) noexcept {
  ++stats_.system_calls;
  if (std::exchange(broken_, false)) {
    fail_everything();
    return error::system;
  }
  if (interrupted_waits_ != 0) {
    --interrupted_waits_;
    return error::none;
  }
  for (;;) {
    (void)buffers_.drain_returns();
    const bool changed = advance_all();
    if (!completed_.empty()) {
      run_completed();
      return error::none;
    }
    if (changed || woken_.exchange(false, std::memory_order_acquire) || deadline <= now_) {
      return error::none;
    }
    const time_point next = std::min(deadline, next_event());
    if (next == no_deadline) {
      breach("wait() for nothing: the loop would hang");
      fail_everything();
      return error::system;
    }
    now_ = std::max(now_, next);
  }
}

mock_loop::mock_loop(std::size_t max_pool_bytes) {
  buffer_pool* const buffers = buffer_pool::create(max_pool_bytes);
  if (buffers == nullptr) {
    std::abort();
  }
  memory::unique<mock_backend> made = memory::make_unique<mock_backend>(*buffers);
  mock = made.get();
  on = memory::make_unique<loop>(memory::unique<backend>(made.release()), *buffers);
}

} // namespace sluice::io
