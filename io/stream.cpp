#include "io/stream.hpp"

#include "io/system_error.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace sluice::io {
namespace {

constexpr std::size_t small_read_bytes = 1024;
constexpr std::uint8_t full_reads_to_grow = 2;
constexpr std::uint8_t small_reads_to_shrink = 8;

} // namespace

void read_size_guess::note(std::size_t read_bytes, bool filled_buffer,
                           bool socket_nonempty) noexcept {
  if (wanted_ == buffer_class::small) {
    full_reads_ = filled_buffer || socket_nonempty ? static_cast<std::uint8_t>(full_reads_ + 1) : 0;
    if (full_reads_ >= full_reads_to_grow) {
      wanted_ = buffer_class::large;
      small_reads_ = 0;
    }
  } else {
    small_reads_ = read_bytes < small_read_bytes ? static_cast<std::uint8_t>(small_reads_ + 1) : 0;
    if (small_reads_ >= small_reads_to_shrink) {
      wanted_ = buffer_class::small;
      full_reads_ = 0;
    }
  }
}

stream::stream(int connected_fd) noexcept : socket_{connected_fd, next_socket_id()} {}

stream::stream(stream&& other) noexcept
    : socket_(std::exchange(other.socket_, {})),
      undelivered_(std::exchange(other.undelivered_, {})), size_guess_(other.size_guess_),
      expect_data_(other.expect_data_) {}

stream& stream::operator=(stream&& other) noexcept {
  if (this != &other) {
    close();
    socket_ = std::exchange(other.socket_, {});
    undelivered_ = std::exchange(other.undelivered_, {});
    size_guess_ = other.size_guess_;
    expect_data_ = other.expect_data_;
  }
  return *this;
}

error stream::read(loop& on, slice_queue& inbox, time_point deadline,
                   cancel_source* cancel) noexcept {
  if (!is_open()) {
    return error::connection_lost;
  }
  if (cancel != nullptr && cancel->requested()) {
    return error::cancelled;
  }
  if (undelivered_.from == nullptr) {
    recv_op op;
    begin_read(on, op);
    const error ended = on.run_until_idle(op, deadline, cancel);
    if (op.filled == nullptr) {
      if (op.result == 0) {
        return error::end_of_stream;
      }
      return ended != error::none ? ended : error_from_errno(-op.result);
    }
    keep(op);
  }
  if (const error failed = deliver_kept(inbox); failed != error::none) {
    return failed;
  }
  return cancel != nullptr && cancel->requested() ? error::cancelled : error::none;
}

void stream::begin_read(loop& on, recv_op& op) noexcept {
  op.socket = socket_;
  op.wanted = size_guess_.wanted();
  op.expect_data = expect_data_;
  op.filled = nullptr;
  on.io().submit(op);
}

void stream::keep(const recv_op& done) noexcept {
  const auto count = static_cast<std::uint32_t>(done.result);
  size_guess_.note(count, count == done.filled->capacity_bytes, done.socket_nonempty);
  expect_data_ = done.socket_nonempty;
  undelivered_ = slice{done.filled, 0, count};
}

error stream::end_read(recv_op& done, slice_queue& inbox) noexcept {
  if (done.filled == nullptr) {
    return done.result == 0 ? error::end_of_stream : error_from_errno(-done.result);
  }
  keep(done);
  done.filled = nullptr;
  return deliver_kept(inbox);
}

error stream::deliver_kept(slice_queue& inbox) noexcept {
  if (!inbox.push(undelivered_)) {
    return error::no_memory;
  }
  undelivered_ = {};
  return error::none;
}

error stream::write_now(std::span<const std::byte>& rest) noexcept {
  if (!is_open()) {
    return error::connection_lost;
  }
  while (!rest.empty()) {
    const ssize_t sent = ::send(socket_.fd, rest.data(), rest.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) {
      rest = rest.subspan(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM) {
      break; // later, when there is room
    } else if (errno != EINTR) {
      return error_from_errno(errno);
    }
  }
  return error::none;
}

error stream::write(loop& on, std::span<const std::byte> bytes,
                    std::chrono::milliseconds progress_timeout, cancel_source* cancel) noexcept {
  return write_rest(on, bytes, progress_timeout, cancel);
}

error stream::write_rest(loop& on, std::span<const std::byte>& rest,
                         std::chrono::milliseconds progress_timeout,
                         cancel_source* cancel) noexcept {
  if (!is_open()) {
    return error::connection_lost;
  }
  while (!rest.empty()) {
    if (cancel != nullptr && cancel->requested()) {
      return error::cancelled;
    }
    send_op op;
    op.bytes = rest;
    begin_write(on, op);
    const time_point deadline =
        progress_timeout.count() > 0 ? on.io().now() + progress_timeout : no_deadline;
    const error ended = on.run_until_idle(op, deadline, cancel);
    if (op.result < 0) {
      return ended != error::none ? ended : error_from_errno(-op.result);
    }
    rest = rest.subspan(static_cast<std::size_t>(op.result));
  }
  return error::none;
}

void stream::begin_write(loop& on, send_op& op) noexcept {
  op.socket = socket_;
  on.io().submit(op);
}

void stream::shutdown(bool abort) noexcept {
  if (!is_open()) {
    return;
  }
  if (abort) {
    // Dissolving the association makes TCP send RST now, without giving up the descriptor, which
    // another thread may be using.
    sockaddr_storage nobody{};
    nobody.ss_family = AF_UNSPEC;
    if (::connect(socket_.fd, reinterpret_cast<const sockaddr*>(&nobody), sizeof nobody) == 0) {
      return;
    }
  }
  ::shutdown(socket_.fd, SHUT_RDWR);
}

void stream::close() noexcept {
  if (undelivered_.from != nullptr) {
    undelivered_.from->owner->recycle(*undelivered_.from);
    undelivered_ = {};
  }
  if (is_open()) {
    ::close(socket_.fd);
    socket_ = {};
  }
}

} // namespace sluice::io
