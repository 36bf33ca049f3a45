#include "endpoint.hpp"
#include "floor.hpp"

#include <algorithm>
#include <bit>
#include <liburing.h>
#include <memory>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>

namespace sluice_bench {
namespace {

constexpr unsigned ring_entries = 1024;
constexpr unsigned completion_entries = 8192;
constexpr std::uint16_t buffer_group = 1;
constexpr std::uint64_t accept_mark = ~std::uint64_t{0};
constexpr std::uint64_t stop_mark = ~std::uint64_t{1};

/// A ring whose kernel side picks the buffer of each receive.
class floor_ring {
public:
  explicit floor_ring(const floor_settings& settings) : settings_(settings) {
    io_uring_params parameters{};
    parameters.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                       IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE;
    parameters.cq_entries = completion_entries;
    const int error_number = -io_uring_queue_init_params(ring_entries, &ring_, &parameters);
    if (error_number != 0) {
      throw system_failure("io_uring cannot be used here (Linux 6.1 or later is needed, and "
                           "containers often forbid it)",
                           error_number, exit_bad_use);
    }
    (void)io_uring_register_ring_fd(&ring_);
    make_buffers();
  }
  floor_ring(const floor_ring&) = delete;
  floor_ring& operator=(const floor_ring&) = delete;
  ~floor_ring() {
    io_uring_queue_exit(&ring_);
    if (memory_ != MAP_FAILED) {
      munmap(memory_, memory_bytes_);
    }
  }

  floor_totals serve(int listener, stop_request& stop);

private:
  void make_buffers();
  [[nodiscard]] io_uring_sqe* next_entry();
  void arm_accept(int listener);
  void arm_receive(std::size_t peer, bool data_waits);
  void on_received(const io_uring_cqe& done);
  [[nodiscard]] std::size_t add_peer(int fd);
  void give_back(unsigned buffer) noexcept {
    io_uring_buf_ring_add(buffers_, bytes_of(buffer), static_cast<unsigned>(settings_.buffer_bytes),
                          static_cast<unsigned short>(buffer),
                          io_uring_buf_ring_mask(static_cast<unsigned>(settings_.buffer_count)),
                          returned_++);
  }
  [[nodiscard]] std::byte* bytes_of(unsigned buffer) const noexcept {
    return data_ + buffer * settings_.buffer_bytes;
  }

  const floor_settings& settings_;
  io_uring ring_{};
  void* memory_ = MAP_FAILED;
  std::size_t memory_bytes_ = 0;
  io_uring_buf_ring* buffers_ = nullptr;
  std::byte* data_ = nullptr;
  int returned_ = 0;                               // since the tail was last moved
  std::vector<std::unique_ptr<floor_peer>> peers_; // by user_data; nullptr: ended
  std::vector<std::size_t> free_;
  std::uint64_t closed_wire_bytes_ = 0;
  std::vector<std::size_t> starved_; // receives that ended because there was no buffer
};

void floor_ring::make_buffers() {
  if (!std::has_single_bit(settings_.buffer_count) || settings_.buffer_count > 32768) {
    throw failure("--buffer-count must be a power of two of at most 32768", exit_bad_use);
  }
  const std::size_t page = 4096;
  const std::size_t table_bytes =
      (settings_.buffer_count * sizeof(io_uring_buf) + page - 1) / page * page;
  memory_bytes_ = table_bytes + settings_.buffer_count * settings_.buffer_bytes;
  memory_ = mmap(nullptr, memory_bytes_, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (memory_ == MAP_FAILED) {
    throw system_failure("no memory for receive buffers");
  }
  buffers_ = static_cast<io_uring_buf_ring*>(memory_);
  data_ = static_cast<std::byte*>(memory_) + table_bytes;
  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<std::uintptr_t>(buffers_);
  registration.ring_entries = static_cast<unsigned>(settings_.buffer_count);
  registration.bgid = buffer_group;
  const int error_number = -io_uring_register_buf_ring(&ring_, &registration, 0);
  if (error_number != 0) {
    throw system_failure("io_uring buffer rings cannot be used here", error_number, exit_bad_use);
  }
  io_uring_buf_ring_init(buffers_);
  for (unsigned i = 0; i < settings_.buffer_count; ++i) {
    give_back(i);
  }
  io_uring_buf_ring_advance(buffers_, std::exchange(returned_, 0));
}

io_uring_sqe* floor_ring::next_entry() {
  io_uring_sqe* entry = io_uring_get_sqe(&ring_);
  if (entry == nullptr) {
    (void)io_uring_submit(&ring_);
    entry = io_uring_get_sqe(&ring_);
  }
  if (entry == nullptr) {
    throw failure("io_uring takes no more requests");
  }
  return entry;
}

void floor_ring::arm_accept(int listener) {
  io_uring_sqe* const entry = next_entry();
  io_uring_prep_accept(entry, listener, nullptr, nullptr, SOCK_CLOEXEC);
  entry->user_data = accept_mark;
}

void floor_ring::arm_receive(std::size_t peer, bool data_waits) {
  io_uring_sqe* const entry = next_entry();
  if (settings_.one_shot) {
    io_uring_prep_recv(entry, peers_[peer]->fd(), nullptr, settings_.buffer_bytes, 0);
    if (!data_waits) {
      entry->ioprio |= IORING_RECVSEND_POLL_FIRST;
    }
  } else {
    io_uring_prep_recv_multishot(entry, peers_[peer]->fd(), nullptr, 0, 0);
  }
  entry->flags |= IOSQE_BUFFER_SELECT;
  entry->buf_group = buffer_group;
  entry->user_data = peer;
}

void floor_ring::on_received(const io_uring_cqe& done) {
  const std::size_t index = static_cast<std::size_t>(done.user_data);
  bool useful = true;
  if ((done.flags & IORING_CQE_F_BUFFER) != 0) {
    const unsigned buffer = done.flags >> IORING_CQE_BUFFER_SHIFT;
    if (done.res > 0) {
      useful = peers_[index]->on_bytes(
          std::span<const std::byte>(bytes_of(buffer), static_cast<std::size_t>(done.res)));
    }
    give_back(buffer);
  }
  if ((done.flags & IORING_CQE_F_MORE) != 0) {
    if (!useful) {
      (void)::shutdown(peers_[index]->fd(), SHUT_RDWR); // ends the receive
    }
    return;
  }
  if (done.res == -ENOBUFS) {
    starved_.push_back(index);
  } else if (done.res > 0 && useful) {
    arm_receive(index, (done.flags & IORING_CQE_F_SOCK_NONEMPTY) != 0);
  } else {
    closed_wire_bytes_ += peers_[index]->wire_bytes();
    peers_[index].reset();
    free_.push_back(index);
  }
}

std::size_t floor_ring::add_peer(int fd) {
  auto made = std::make_unique<floor_peer>(unique_fd(fd), settings_);
  if (free_.empty()) {
    peers_.push_back(std::move(made));
    return peers_.size() - 1;
  }
  const std::size_t index = free_.back();
  free_.pop_back();
  peers_[index] = std::move(made);
  return index;
}

floor_totals floor_ring::serve(int listener, stop_request& stop) {
  floor_totals totals;
  arm_accept(listener);
  io_uring_sqe* const stopping = next_entry();
  io_uring_prep_poll_add(stopping, stop.fd(), POLLIN);
  stopping->user_data = stop_mark;
  while (!stop.made()) {
    const int submitted = io_uring_submit_and_wait(&ring_, 1);
    if (submitted < 0 && submitted != -EINTR) {
      throw system_failure("io_uring_enter", -submitted);
    }
    unsigned head = 0;
    unsigned seen = 0;
    io_uring_cqe* done = nullptr;
    io_uring_for_each_cqe(&ring_, head, done) {
      ++seen;
      if (done->user_data == accept_mark) {
        if (done->res >= 0) {
          ++totals.connections;
          arm_receive(add_peer(done->res), true);
        }
        arm_accept(listener);
      } else if (done->user_data != stop_mark) {
        on_received(*done);
      }
    }
    io_uring_buf_ring_advance(buffers_, std::exchange(returned_, 0));
    io_uring_cq_advance(&ring_, seen);
    for (const std::size_t index : starved_) {
      arm_receive(index, true);
    }
    starved_.clear();
  }
  totals.wire_bytes = closed_wire_bytes_;
  for (const auto& peer : peers_) {
    totals.wire_bytes += peer == nullptr ? 0 : peer->wire_bytes();
  }
  return totals;
}

} // namespace

floor_totals run_ring_floor(const floor_settings& settings, stop_request& stop) {
  floor_ring ring(settings);
  const unique_fd listener = listen_on(settings.host, settings.port);
  announce_listening(settings.host, local_port(listener.get()));
  return ring.serve(listener.get(), stop);
}

} // namespace sluice_bench
