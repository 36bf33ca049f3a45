// How a uring_backend comes about and gives up its ring.

#include "io/uring_backend.hpp"
#include "io/uring_compat.hpp"
#include "io/uring_probe.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace sluice::io {
namespace {

constexpr std::uint32_t needed_features =
    IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG | IORING_FEAT_FAST_POLL | IORING_FEAT_SUBMIT_STABLE;

} // namespace

error uring_backend::create(const backend_settings& settings, buffer_pool& buffers,
                            memory::unique<backend>& made) noexcept {
  memory::unique<uring_backend> fresh = memory::make_unique<uring_backend>(buffers);
  if (fresh == nullptr) {
    return error::no_memory;
  }
  if (const error e = fresh->set_up(settings); e != error::none) {
    return e;
  }
  made = std::move(fresh);
  return error::none;
}

uring_backend::uring_backend(buffer_pool& buffers) noexcept : buffers_(buffers) {}

error uring_backend::set_up(const backend_settings& settings) noexcept {
  if (const error e = wake_signal::create(waker_); e != error::none) {
    return e;
  }

  io_uring_params params{};
  params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CLAMP |
                 IORING_SETUP_CQSIZE;
  params.cq_entries = settings.queue_entries * 4;
  if (const int failed = ::io_uring_queue_init_params(settings.queue_entries, &ring_, &params);
      failed != 0) {
    return failed == -EMFILE || failed == -ENFILE ? error::out_of_descriptors
                                                  : error::backend_unavailable;
  }
  ring_open_ = true;
  uring_compat::after_mapping_ring();
  if ((params.features & needed_features) != needed_features) {
    return error::backend_unavailable;
  }
  if (error e = set_up_buffers(buffer_class::small, settings.small_posted); e != error::none) {
    return e;
  }
  if (error e = set_up_buffers(buffer_class::large, settings.large_posted); e != error::none) {
    return e;
  }
  multishot_ = settings.multishot && multishot_receives_work();
  // Saves the lookup of the descriptor in every system call; works without.
  [[maybe_unused]] const int registered = ::io_uring_register_ring_fd(&ring_);
  // Also proves that entering is allowed: a filter may know set-up but not that.
  if (!watch_waker() || ::io_uring_submit_and_get_events(&ring_) < 0) {
    return error::backend_unavailable;
  }
  // Last: the buffers outlive a ring that fails, and would keep its descriptor.
  buffers_.wake_on_return(*waker_);
  return error::none;
}

error uring_backend::set_up_buffers(buffer_class of, std::uint32_t entries) noexcept {
  posted_ring& made = posted_[index_of(of)];
  made.places = static_cast<buffer**>(memory::allocate(entries * sizeof(void*)));
  if (made.places == nullptr) {
    return error::no_memory;
  }
  std::fill_n(made.places, entries, nullptr);
  int failed = 0;
  made.shared = uring_compat::setup_buf_ring(ring_, entries,
                                             static_cast<std::uint16_t>(index_of(of)), failed);
  if (made.shared == nullptr) {
    return error::backend_unavailable;
  }
  made.entries = entries;
  return error::none;
}

void uring_backend::tear_down() noexcept {
  if (!ring_open_) {
    return;
  }
  // A kernel that loses the ring drops what is pending: it copies into buffers only while this
  // thread is inside io_uring_enter.
  uring_compat::before_unmapping_ring();
  ::io_uring_queue_exit(&ring_);
  ring_open_ = false;
  for (posted_ring& gone : posted_) {
    for (std::uint32_t i = 0; i < gone.entries; ++i) {
      if (gone.places[i] != nullptr) {
        buffers_.unpost(*gone.places[i], 0);
        buffers_.recycle(*gone.places[i]);
        gone.places[i] = nullptr;
      }
    }
    if (gone.shared != nullptr) {
      uring_compat::unmap_buf_ring(gone.shared, gone.entries);
      gone.shared = nullptr;
    }
    gone.entries = 0;
    gone.posted = 0;
  }
}

} // namespace sluice::io
