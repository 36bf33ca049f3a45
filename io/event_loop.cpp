#include "io/event_loop.hpp"

#include "io/native_connection.hpp"
#include "io/native_listener.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstring>
#include <utility>

namespace sluice::io {
namespace {

constexpr std::uint32_t max_posted = 32768; // of a registered buffer ring

std::uint32_t posted_count(std::uint32_t asked, std::size_t buffer_bytes) noexcept {
  if (asked != 0) {
    return std::bit_ceil(std::min(asked, max_posted));
  }
  const long reported = ::sysconf(_SC_LEVEL2_CACHE_SIZE);
  const std::size_t l2_bytes = reported > 0 ? static_cast<std::size_t>(reported) : 1u << 20;
  // Small buffers stay whole in number even on a tiny cache: as many connections may be ready.
  const std::size_t fitting = l2_bytes / 4 / buffer_bytes;
  return std::bit_floor(
      static_cast<std::uint32_t>(std::clamp<std::size_t>(fitting, 4, max_posted)));
}

backend_choice chosen(io_backend asked) noexcept {
  const backend_choice forced = backend_choice_from_environment();
  if (forced != backend_choice::automatic) {
    return forced;
  }
  switch (asked) {
  case io_backend::uring:
    return backend_choice::uring;
  case io_backend::epoll:
    return backend_choice::epoll;
  case io_backend::automatic:
    break;
  }
  return backend_choice::automatic;
}

bool may_use(const tls_config& tls, role self) noexcept {
  return !tls || tls.is_server() == (self == role::server);
}

/// loop::post().
struct task_mail final : mail {
  void (*task)(void*) noexcept = nullptr;
  void* context = nullptr;
};

} // namespace

error event_loop::create(sluice::loop& outer, const loop_settings& settings,
                         event_loop*& made) noexcept {
  if (settings.turn_bytes == 0 || settings.turn_frames == 0) {
    return error::invalid_argument;
  }
  if (!simd::forced_kernel_ok()) {
    return error::backend_unavailable;
  }
  backend_settings asked;
  asked.small_posted = posted_count(settings.small_buffers_posted, buffer_class_bytes[0]);
  asked.large_posted = posted_count(settings.large_buffers_posted, buffer_class_bytes[1]);
  asked.max_pool_bytes = settings.max_pool_bytes;
  asked.multishot = settings.multishot_receives;
  const std::size_t posted_bytes =
      asked.small_posted * buffer_class_bytes[0] + asked.large_posted * buffer_class_bytes[1];
  if (asked.max_pool_bytes < posted_bytes) {
    return error::invalid_argument;
  }
  buffer_pool* const buffers = buffer_pool::create(asked.max_pool_bytes);
  if (buffers == nullptr) {
    return error::no_memory;
  }
  memory::unique<backend> io;
  if (const error failed = make_backend(chosen(settings.backend), asked, *buffers, io);
      failed != error::none) {
    buffers->abandon();
    return failed;
  }
  loop_settings kept = settings;
  kept.small_buffers_posted = asked.small_posted;
  kept.large_buffers_posted = asked.large_posted;
  return create_on(outer, kept, std::move(io), *buffers, made);
}

error event_loop::create_on(sluice::loop& outer, const loop_settings& settings,
                            memory::unique<backend> io, buffer_pool& buffers,
                            event_loop*& made) noexcept {
  if (mailbox* const mail = mailbox::create(); mail != nullptr) {
    made = memory::create<event_loop>(outer, settings, std::move(io), buffers, *mail);
    if (made != nullptr) {
      return error::none;
    }
    mail->release();
  }
  io.reset();
  buffers.abandon();
  return error::no_memory;
}

void event_loop::destroy(event_loop* gone) noexcept {
  memory::destroy(gone);
}

event_loop::event_loop(sluice::loop& outer, const loop_settings& settings,
                       memory::unique<backend> io, buffer_pool& buffers, mailbox& mail) noexcept
    : outer_(outer), settings_(settings), kernels_(simd::active_kernels()), io_(std::move(io)),
      buffers_(&buffers), mail_(&mail), now_(clock::now()), timers_(now_),
      blocks_(settings.max_cached_bytes) {
  mail_->open(*io_);
  settings_.multishot_receives = settings_.multishot_receives && io_->multishot();
  counters_.multishot = settings_.multishot_receives ? 1 : 0;
  if (settings_.busy_poll_us != 0) {
    counters_.polls_devices = io_->poll_devices(settings_.busy_poll_us) ? 1 : 0;
  }
}

event_loop::~event_loop() {
  for (loop_links* at = connections_; at != nullptr; at = at->next) {
    static_cast<native_connection*>(at)->end(error::cancelled);
  }
  for (native_listener* at = listeners_; at != nullptr; at = at->next) {
    at->stop();
  }
  // Every operation ends after a cancel. A backend that is broken has ended them all.
  finish_ended();
  while (connections_ != nullptr || listeners_ != nullptr) {
    const error lost = io_->wait(no_deadline);
    finish_ended();
    if (lost != error::none && ended_.empty() && connections_ == nullptr) {
      break;
    }
  }
  if (last_shared_ != nullptr) {
    unshare(*last_shared_);
  }
  mail_->close();
  io_.reset();
  mail_->release();
  buffers_->abandon();
}

// ---- running ----

void event_loop::update_clock() noexcept {
  now_ = clock::now();
  now_16ms_ = static_cast<std::uint32_t>(now_.time_since_epoch() / std::chrono::milliseconds{16});
}

bool event_loop::has_work() const noexcept {
  return !ready_.empty() || !to_flush_.empty();
}

void event_loop::flush_all() noexcept {
  while (!to_flush_.empty()) {
    static_cast<native_connection&>(to_flush_.pop()).flush();
  }
}

// First come, first served; one that has more after its turn goes to the back. Everybody who is
// there gets a turn; beyond that only a few, so that the kernel is asked for others' news before
// long, but not after each turn of the only busy connection.
void event_loop::run_ready_list() noexcept {
  constexpr std::size_t most_turns = 16;
  for (std::size_t turns = std::max(ready_.size(), most_turns); turns != 0 && !ready_.empty();
       --turns) {
    static_cast<native_connection&>(ready_.pop()).run();
  }
  if (settings_.multishot_receives) {
    for (loop_links* left = ready_.first(); left != nullptr; left = left->next_ready) {
      static_cast<native_connection*>(left)->hold_back();
    }
  }
}

void event_loop::finish_ended() noexcept {
  auto now = std::exchange(ended_, {});
  while (!now.empty()) {
    auto& one = static_cast<native_connection&>(now.pop());
    if (one.finish()) { // else the completion of its last operation queues it again
      memory::destroy(&one);
    }
  }
  if (listener_stopped_) {
    listener_stopped_ = false;
    for (native_listener* at = listeners_; at != nullptr;) {
      native_listener* const next = at->next;
      if (at->stopped()) {
        memory::destroy(at);
      }
      at = next;
    }
  }
}

error event_loop::wait(bool may_sleep) noexcept {
  constexpr time_point now{}; // long past
  if (!may_sleep || has_work()) {
    return io_->wait(now);
  }
  const time_point until = timers_.next();
  if (settings_.busy_poll_us != 0) {
    const std::uint64_t before = io_->stats().completions;
    const time_point spin_until =
        std::min(until, clock::now() + std::chrono::microseconds(settings_.busy_poll_us));
    do {
      if (const error failed = io_->wait(now); failed != error::none) {
        return failed;
      }
      if (io_->stats().completions != before || stop_.load(std::memory_order_relaxed) ||
          mail_->has_mail()) {
        return error::none;
      }
    } while (clock::now() < spin_until);
  }
  return io_->wait(until);
}

error event_loop::turn(bool may_sleep) noexcept {
  ++counters_.ticks;
  flush_all();
  const error failed = wait(may_sleep && !stop_.load(std::memory_order_acquire));
  update_clock();
  run_ready_list();
  mail_->deliver_all();
  timers_.run(now_);
  flush_all();
  finish_ended();
  return failed;
}

error event_loop::run() noexcept {
  do {
    if (const error failed = turn(true); failed != error::none) {
      return failed;
    }
  } while (!stop_.exchange(false, std::memory_order_acq_rel));
  flush_all();
  return error::none;
}

void event_loop::stop() noexcept {
  stop_.store(true, std::memory_order_release);
  io_->wake();
}

int event_loop::run_ready(std::size_t budget) noexcept {
  io_->quiet_descriptor();
  for (std::size_t i = 0; i < std::max<std::size_t>(budget, 1); ++i) {
    const std::uint64_t before = io_->stats().completions;
    if (turn(false) != error::none) {
      return -1;
    }
    if (io_->stats().completions == before && !has_work() && !io_->has_pending() &&
        !mail_->has_mail()) {
      const time_point next = timers_.next();
      if (next == no_deadline) {
        return -1;
      }
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(next - clock::now()).count();
      return static_cast<int>(std::clamp<std::int64_t>(left, 0, 1 << 30));
    }
  }
  return 0;
}

error event_loop::post(void (*task)(void*) noexcept, void* context) noexcept {
  task_mail* const sent = memory::create<task_mail>();
  if (sent == nullptr) {
    return error::no_memory;
  }
  sent->task = task;
  sent->context = context;
  sent->deliver = [](sluice::io::mail& arrived, bool dropped) noexcept {
    auto& mine = static_cast<task_mail&>(arrived);
    const task_mail copy = mine;
    memory::destroy(&mine);
    if (!dropped) {
      copy.task(copy.context);
    }
  };
  mail_->post(*sent);
  return error::none;
}

// ---- connections ----

void event_loop::add(native_connection& made) noexcept {
  loop_links& links = made;
  links.next = connections_;
  if (connections_ != nullptr) {
    connections_->previous = &links;
  }
  connections_ = &links;
  ++counters_.connections_open;
}

void event_loop::remove(native_connection& gone) noexcept {
  loop_links& links = gone;
  (links.previous != nullptr ? links.previous->next : connections_) = links.next;
  if (links.next != nullptr) {
    links.next->previous = links.previous;
  }
  --counters_.connections_open;
  ready_.remove(links);
  to_flush_.remove(links);
  ended_.remove(links);
}

void event_loop::add(native_listener& made) noexcept {
  made.next = listeners_;
  listeners_ = &made;
}

void event_loop::remove(native_listener& gone) noexcept {
  native_listener** at = &listeners_;
  while (*at != &gone) {
    at = &(*at)->next;
  }
  *at = gone.next;
}

void event_loop::queue_ready(native_connection& has_more) noexcept {
  ready_.push(has_more);
}
void event_loop::queue_flush(native_connection& has_queued) noexcept {
  to_flush_.push(has_queued);
}
void event_loop::queue_ended(native_connection& ended) noexcept {
  ended_.push(ended);
}

// Whoever adopts or connects many sockets does so with the same settings: the last ones are kept.
shared_settings* event_loop::share(const connection_settings& values) noexcept {
  if (last_shared_ == nullptr || last_shared_->values != values) {
    shared_settings* const made = memory::create<shared_settings>();
    if (made == nullptr) {
      return nullptr;
    }
    made->values = values;
    made->references = 1; // ours
    if (last_shared_ != nullptr) {
      unshare(*last_shared_);
    }
    last_shared_ = made;
  }
  ++last_shared_->references;
  return last_shared_;
}

void event_loop::unshare(shared_settings& used) noexcept {
  if (--used.references == 0) {
    memory::destroy(&used);
  }
}

error event_loop::start_server(int fd, std::span<const std::byte> already_read,
                               shared_settings& settings, connection_handler& handler,
                               connection*& made) noexcept {
  ++settings.references; // the connection's
  native_connection* const fresh =
      memory::create<native_connection>(*this, role::server, fd, settings, handler);
  if (fresh == nullptr) {
    --settings.references;
    return error::no_memory;
  }
  if (const error failed = fresh->start_server(already_read); failed != error::none) {
    fresh->give_up_socket(); // the caller's still
    memory::destroy(fresh);
    return failed;
  }
  made = fresh;
  return error::none;
}

error event_loop::listen(const listen_settings& settings, connection_handler& handler,
                         listener*& made) noexcept {
  if (!may_use(settings.connection.tls, role::server)) {
    return error::invalid_argument;
  }
  native_listener* fresh = nullptr;
  if (const error failed = native_listener::open(*this, settings, handler, fresh);
      failed != error::none) {
    return failed;
  }
  fresh->start();
  made = fresh;
  return error::none;
}

error event_loop::adopt(int fd, std::span<const std::byte> already_read,
                        const connection_settings& settings, connection_handler& handler,
                        connection*& made) noexcept {
  int type = 0;
  socklen_t type_bytes = sizeof type;
  if (::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_bytes) != 0 || type != SOCK_STREAM ||
      !may_use(settings.tls, role::server)) {
    return error::invalid_argument;
  }
  shared_settings* const shared = share(settings);
  if (shared == nullptr) {
    return error::no_memory;
  }
  const error failed = start_server(fd, already_read, *shared, handler, made);
  unshare(*shared);
  if (failed == error::none) {
    ++counters_.connections_adopted;
  }
  return failed;
}

error event_loop::connect(const connect_settings& to, connection_handler& handler,
                          connection*& made) noexcept {
  if (!may_use(to.connection.tls, role::client)) {
    return error::invalid_argument;
  }
  shared_settings* const shared = share(to.connection);
  if (shared == nullptr) {
    return error::no_memory;
  }
  native_connection* const fresh =
      memory::create<native_connection>(*this, role::client, -1, *shared, handler);
  if (fresh == nullptr) {
    unshare(*shared);
    return error::no_memory;
  }
  if (const error failed = fresh->start_client(to); failed != error::none) {
    memory::destroy(fresh);
    return failed;
  }
  made = fresh;
  return error::none;
}

// ---- about it ----

bool event_loop::short_of_buffers(std::size_t bytes, std::size_t kept_bytes) const noexcept {
  constexpr std::size_t small_view_bytes = 1024;
  const std::size_t posted_bytes = settings_.small_buffers_posted * buffer_class_bytes[0] +
                                   settings_.large_buffers_posted * buffer_class_bytes[1];
  const std::size_t lendable = settings_.max_pool_bytes - posted_bytes;
  const std::size_t lent = mail_->lent_bytes.load(std::memory_order_relaxed) + kept_bytes;
  return lent > lendable - lendable / 8 ||
         (lent > lendable / 2 && bytes < small_view_bytes && kept_bytes > buffer_class_bytes[0]);
}

void event_loop::stats(loop_stats& to) const noexcept {
  loop_stats now = counters_;
  for (const loop_links* at = connections_; at != nullptr; at = at->next) {
    static_cast<const native_connection*>(at)->add_to(now);
  }
  const backend_stats& io = io_->stats();
  now.system_calls = io.system_calls;
  now.completions = io.completions;
  now.receives = io.receives;
  now.received_bytes = io.received_bytes;
  now.receives_starved = io.starved;
  now.lent_bytes = mail_->lent_bytes.load(std::memory_order_relaxed);
  now.pool_bytes = buffers_->reserved_bytes();
  now.buffers_posted = buffers_->posted_count();
  now.buffers_lent = buffers_->lent_count();
  now.cached_bytes = blocks_.cached_bytes();
  now.allocations = blocks_.allocations();
  now.backend = to_string(io_->kind());
  now.kernels = kernels_.name;
  now.size_bytes = std::min(to.size_bytes, sizeof now);
  if (now.size_bytes >= sizeof now.size_bytes) {
    std::memcpy(static_cast<void*>(&to), &now, now.size_bytes);
  }
}

void event_loop::write_log(log_level at, const char* what, std::uint64_t connection_id,
                           error reason) noexcept {
  char line[160];
  std::snprintf(line, sizeof line, "connection %llu: %s: %s",
                static_cast<unsigned long long>(connection_id), what, to_string(reason));
  settings_.log.write(settings_.log.context, at, line);
}

} // namespace sluice::io
