#include "sluice/c.h"

#include "core/memory.hpp"
#include "io/c_tls.hpp"
#include "sluice/sluice.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>

// The C API: names for the C++ one. Opaque pointers are the C++ objects themselves where the
// library makes them, and small structs of this file where the caller does.

struct sluice_loop {
  sluice::loop inner;
  sluice_loop_settings given{};
};

struct sluice_held {
  sluice::held_view view;
};

namespace sluice {
namespace {

static_assert(static_cast<int>(error::none) == SLUICE_OK);
static_assert(static_cast<int>(error::reserved_bits) == SLUICE_ERROR_RESERVED_BITS);
static_assert(static_cast<int>(error::unknown_opcode) == SLUICE_ERROR_UNKNOWN_OPCODE);
static_assert(static_cast<int>(error::masked_frame) == SLUICE_ERROR_MASKED_FRAME);
static_assert(static_cast<int>(error::unmasked_frame) == SLUICE_ERROR_UNMASKED_FRAME);
static_assert(static_cast<int>(error::control_too_long) == SLUICE_ERROR_CONTROL_TOO_LONG);
static_assert(static_cast<int>(error::control_fragmented) == SLUICE_ERROR_CONTROL_FRAGMENTED);
static_assert(static_cast<int>(error::non_minimal_length) == SLUICE_ERROR_NON_MINIMAL_LENGTH);
static_assert(static_cast<int>(error::length_too_big) == SLUICE_ERROR_LENGTH_TOO_BIG);
static_assert(static_cast<int>(error::unexpected_continuation) ==
              SLUICE_ERROR_UNEXPECTED_CONTINUATION);
static_assert(static_cast<int>(error::expected_continuation) == SLUICE_ERROR_EXPECTED_CONTINUATION);
static_assert(static_cast<int>(error::close_payload_length) == SLUICE_ERROR_CLOSE_PAYLOAD_LENGTH);
static_assert(static_cast<int>(error::close_status_code) == SLUICE_ERROR_CLOSE_STATUS_CODE);
static_assert(static_cast<int>(error::close_reason_utf8) == SLUICE_ERROR_CLOSE_REASON_UTF8);
static_assert(static_cast<int>(error::text_utf8) == SLUICE_ERROR_TEXT_UTF8);
static_assert(static_cast<int>(error::message_too_big) == SLUICE_ERROR_MESSAGE_TOO_BIG);
static_assert(static_cast<int>(error::too_many_fragments) == SLUICE_ERROR_TOO_MANY_FRAGMENTS);
static_assert(static_cast<int>(error::response_malformed) == SLUICE_ERROR_RESPONSE_MALFORMED);
static_assert(static_cast<int>(error::response_truncated) == SLUICE_ERROR_RESPONSE_TRUNCATED);
static_assert(static_cast<int>(error::header_too_big) == SLUICE_ERROR_HEADER_TOO_BIG);
static_assert(static_cast<int>(error::too_many_headers) == SLUICE_ERROR_TOO_MANY_HEADERS);
static_assert(static_cast<int>(error::upgrade_missing) == SLUICE_ERROR_UPGRADE_MISSING);
static_assert(static_cast<int>(error::connection_missing) == SLUICE_ERROR_CONNECTION_MISSING);
static_assert(static_cast<int>(error::accept_mismatch) == SLUICE_ERROR_ACCEPT_MISMATCH);
static_assert(static_cast<int>(error::subprotocol_invalid) == SLUICE_ERROR_SUBPROTOCOL_INVALID);
static_assert(static_cast<int>(error::extension_invalid) == SLUICE_ERROR_EXTENSION_INVALID);
static_assert(static_cast<int>(error::name_not_resolved) == SLUICE_ERROR_NAME_NOT_RESOLVED);
static_assert(static_cast<int>(error::cannot_connect) == SLUICE_ERROR_CANNOT_CONNECT);
static_assert(static_cast<int>(error::timed_out) == SLUICE_ERROR_TIMED_OUT);
static_assert(static_cast<int>(error::end_of_stream) == SLUICE_ERROR_END_OF_STREAM);
static_assert(static_cast<int>(error::connection_lost) == SLUICE_ERROR_CONNECTION_LOST);
static_assert(static_cast<int>(error::cancelled) == SLUICE_ERROR_CANCELLED);
static_assert(static_cast<int>(error::no_memory) == SLUICE_ERROR_NO_MEMORY);
static_assert(static_cast<int>(error::out_of_descriptors) == SLUICE_ERROR_OUT_OF_DESCRIPTORS);
static_assert(static_cast<int>(error::backend_unavailable) == SLUICE_ERROR_BACKEND_UNAVAILABLE);
static_assert(static_cast<int>(error::random_failed) == SLUICE_ERROR_RANDOM_FAILED);
static_assert(static_cast<int>(error::system) == SLUICE_ERROR_SYSTEM);
static_assert(static_cast<int>(error::request_malformed) == SLUICE_ERROR_REQUEST_MALFORMED);
static_assert(static_cast<int>(error::upgrade_refused) == SLUICE_ERROR_UPGRADE_REFUSED);
static_assert(static_cast<int>(error::would_block) == SLUICE_ERROR_WOULD_BLOCK);
static_assert(static_cast<int>(error::invalid_argument) == SLUICE_ERROR_INVALID_ARGUMENT);
static_assert(static_cast<int>(error::invalid_state) == SLUICE_ERROR_INVALID_STATE);
static_assert(static_cast<int>(error::tls_settings) == SLUICE_ERROR_TLS_SETTINGS);
static_assert(static_cast<int>(error::tls_certificate) == SLUICE_ERROR_TLS_CERTIFICATE);
static_assert(static_cast<int>(error::tls_handshake) == SLUICE_ERROR_TLS_HANDSHAKE);
static_assert(static_cast<int>(error::tls_record) == SLUICE_ERROR_TLS_RECORD);
static_assert(static_cast<int>(error::cannot_listen) == SLUICE_ERROR_CANNOT_LISTEN);

static_assert(static_cast<int>(connection_state::connecting) == SLUICE_STATE_CONNECTING);
static_assert(static_cast<int>(connection_state::upgrading) == SLUICE_STATE_UPGRADING);
static_assert(static_cast<int>(connection_state::open) == SLUICE_STATE_OPEN);
static_assert(static_cast<int>(connection_state::closing) == SLUICE_STATE_CLOSING);
static_assert(static_cast<int>(connection_state::closed) == SLUICE_STATE_CLOSED);

// The structs of counters are the C++ ones, member by member.
static_assert(sizeof(sluice_loop_stats) == sizeof(loop_stats));
static_assert(offsetof(sluice_loop_stats, backend) == offsetof(loop_stats, backend));
static_assert(offsetof(sluice_loop_stats, buffers_lent) == offsetof(loop_stats, buffers_lent));
static_assert(offsetof(sluice_loop_stats, tls_resumed) == offsetof(loop_stats, tls_resumed));
static_assert(offsetof(sluice_loop_stats, reads_braked) == offsetof(loop_stats, reads_braked));
static_assert(sizeof(sluice_connection_stats) == sizeof(connection_stats));
static_assert(offsetof(sluice_connection_stats, lent_bytes) ==
              offsetof(connection_stats, lent_bytes));

template <typename Stats, typename Counted, typename CStats>
void copy_stats(const Counted& counted, CStats& to) noexcept {
  Stats now;
  now.size_bytes = std::min(to.size_bytes, sizeof now);
  counted.stats(now);
  if (now.size_bytes >= sizeof now.size_bytes) {
    std::memcpy(&to, &now, now.size_bytes);
  }
}

sluice_error code(error e) noexcept {
  return static_cast<sluice_error>(e);
}

connection& from_c(sluice_connection* of) noexcept {
  return *reinterpret_cast<connection*>(of);
}
const connection& from_c(const sluice_connection* of) noexcept {
  return *reinterpret_cast<const connection*>(of);
}
sluice_connection* to_c(connection& of) noexcept {
  return reinterpret_cast<sluice_connection*>(&of);
}
const upgrade_request& from_c(const sluice_request* of) noexcept {
  return *reinterpret_cast<const upgrade_request*>(of);
}

std::span<const std::byte> bytes_of(const void* from, std::size_t count) noexcept {
  return {static_cast<const std::byte*>(from), count};
}

const char* give(std::string_view text, std::size_t* size_bytes) noexcept {
  if (size_bytes != nullptr) {
    *size_bytes = text.size();
  }
  return text.data();
}

// Past the last: nothing, where C++ leaves it to the caller.
upgrade_request::header header_at(const upgrade_request& of, std::size_t index) noexcept {
  return index < of.header_count() ? of.at(index) : upgrade_request::header{};
}

sluice_view to_c(const view& of) noexcept {
  return {reinterpret_cast<const std::uint8_t*>(of.data()),
          of.size(),
          of.frame_left_bytes(),
          static_cast<std::uint8_t>(of.is_text()),
          static_cast<std::uint8_t>(of.message_end()),
          &of};
}

// The members that the caller's version of a struct has; the rest stays as in `to`.
template <typename Struct> void copy_known(Struct& to, const Struct* from) noexcept {
  if (from != nullptr) {
    std::memcpy(static_cast<void*>(&to), from, std::min(from->size_bytes, sizeof to));
    to.size_bytes = sizeof to;
  }
}

sluice_connection_settings completed(const sluice_connection_settings* given) noexcept {
  sluice_connection_settings all;
  sluice_connection_settings_init(&all);
  copy_known(all, given);
  return all;
}

connection_settings settings_of(const sluice_connection_settings* given) noexcept {
  const sluice_connection_settings all = completed(given);
  connection_settings made;
  made.max_message_bytes = all.max_message_bytes;
  made.max_fragments = all.max_fragments;
  made.max_head_bytes = all.max_head_bytes;
  made.max_headers = all.max_headers;
  made.handshake_timeout = std::chrono::milliseconds{all.handshake_timeout_ms};
  made.ping_interval = std::chrono::milliseconds{all.ping_interval_ms};
  made.dead_after = std::chrono::milliseconds{all.dead_after_ms};
  made.close_timeout = std::chrono::milliseconds{all.close_timeout_ms};
  made.max_send_queue_bytes = all.max_send_queue_bytes;
  made.max_lent_bytes = all.max_lent_bytes;
  made.take = static_cast<delivery>(all.take);
  if (all.tls != nullptr) {
    made.tls = all.tls->config;
  }
  return made;
}

} // namespace
} // namespace sluice

struct sluice_handler final : sluice::connection_handler {
  sluice_callbacks to{};
  void* context = nullptr;

  sluice::upgrade_decision on_upgrade(sluice::connection& asking,
                                      const sluice::upgrade_request& request) noexcept override {
    sluice_answer answer{101, nullptr, 0, nullptr};
    if (to.on_upgrade != nullptr) {
      to.on_upgrade(context, sluice::to_c(asking),
                    reinterpret_cast<const sluice_request*>(&request), &answer);
    }
    sluice::upgrade_decision made;
    made.status = answer.status;
    if (answer.subprotocol != nullptr) {
      made.subprotocol = {answer.subprotocol, answer.subprotocol_bytes};
    }
    if (answer.header_lines != nullptr) {
      made.header_lines = answer.header_lines;
    }
    return made;
  }
  void on_open(sluice::connection& opened, std::string_view subprotocol) noexcept override {
    if (to.on_open != nullptr) {
      to.on_open(context, sluice::to_c(opened), subprotocol.data(), subprotocol.size());
    }
  }
  void on_slice(sluice::connection& from, const sluice::view& slice) noexcept override {
    if (to.on_slice != nullptr) {
      const sluice_view seen = sluice::to_c(slice);
      to.on_slice(context, sluice::to_c(from), &seen);
    }
  }
  void on_message(sluice::connection& from, const sluice::view& message) noexcept override {
    if (to.on_message != nullptr) {
      const sluice_view seen = sluice::to_c(message);
      to.on_message(context, sluice::to_c(from), &seen);
    }
  }
  void on_received(sluice::connection& from, const sluice::received& got) noexcept override {
    if (to.on_received != nullptr) {
      const sluice_view seen{reinterpret_cast<const std::uint8_t*>(got.bytes.data()),
                             got.bytes.size(),
                             got.frame_left_bytes,
                             static_cast<std::uint8_t>(got.type == sluice::message_type::text),
                             static_cast<std::uint8_t>(got.message_end),
                             nullptr};
      to.on_received(context, sluice::to_c(from), &seen);
    }
  }
  void on_ping(sluice::connection& from, std::span<const std::byte> payload) noexcept override {
    if (to.on_ping != nullptr) {
      to.on_ping(context, sluice::to_c(from), reinterpret_cast<const std::uint8_t*>(payload.data()),
                 payload.size());
    }
  }
  void on_pong(sluice::connection& from, std::span<const std::byte> payload) noexcept override {
    if (to.on_pong != nullptr) {
      to.on_pong(context, sluice::to_c(from), reinterpret_cast<const std::uint8_t*>(payload.data()),
                 payload.size());
    }
  }
  void on_writable(sluice::connection& can_send) noexcept override {
    if (to.on_writable != nullptr) {
      to.on_writable(context, sluice::to_c(can_send));
    }
  }
  void on_close(sluice::connection& closed, const sluice::close_event& how) noexcept override {
    if (to.on_close != nullptr) {
      const sluice_close_event seen{how.status,
                                    static_cast<std::uint8_t>(how.opened),
                                    static_cast<std::uint8_t>(how.clean),
                                    sluice::code(how.cause),
                                    how.reason.data(),
                                    how.reason.size()};
      to.on_close(context, sluice::to_c(closed), &seen);
    }
  }
};

using namespace sluice; // NOLINT(google-build-using-namespace): definitions of C functions only

extern "C" {

const char* sluice_error_text(sluice_error error) {
  return to_string(static_cast<sluice::error>(error));
}

void sluice_loop_settings_init(sluice_loop_settings* settings) {
  const loop_settings defaults;
  *settings = {};
  settings->size_bytes = sizeof *settings;
  settings->backend = static_cast<sluice_backend>(defaults.backend);
  settings->small_buffers_posted = defaults.small_buffers_posted;
  settings->large_buffers_posted = defaults.large_buffers_posted;
  settings->max_pool_bytes = defaults.max_pool_bytes;
  settings->max_cached_bytes = defaults.max_cached_bytes;
  settings->turn_bytes = defaults.turn_bytes;
  settings->turn_frames = defaults.turn_frames;
  settings->busy_poll_us = defaults.busy_poll_us;
  settings->multishot_receives = defaults.multishot_receives ? 1 : 0;
}

void sluice_connection_settings_init(sluice_connection_settings* settings) {
  const connection_settings defaults;
  *settings = {};
  settings->size_bytes = sizeof *settings;
  settings->max_message_bytes = defaults.max_message_bytes;
  settings->max_fragments = defaults.max_fragments;
  settings->max_head_bytes = defaults.max_head_bytes;
  settings->max_headers = defaults.max_headers;
  settings->handshake_timeout_ms = static_cast<std::uint32_t>(defaults.handshake_timeout.count());
  settings->ping_interval_ms = static_cast<std::uint32_t>(defaults.ping_interval.count());
  settings->dead_after_ms = static_cast<std::uint32_t>(defaults.dead_after.count());
  settings->close_timeout_ms = static_cast<std::uint32_t>(defaults.close_timeout.count());
  settings->max_send_queue_bytes = defaults.max_send_queue_bytes;
  settings->max_lent_bytes = defaults.max_lent_bytes;
  settings->take = static_cast<sluice_delivery>(defaults.take);
}

sluice_handler* sluice_handler_create(const sluice_callbacks* callbacks, void* context) {
  sluice_handler* const made = memory::create<sluice_handler>();
  if (made != nullptr) {
    copy_known(made->to, callbacks);
    made->context = context;
  }
  return made;
}

void sluice_handler_destroy(sluice_handler* handler) {
  memory::destroy(handler);
}

sluice_error sluice_loop_create(const sluice_loop_settings* settings, sluice_loop** made) {
  sluice_loop* const fresh = memory::create<sluice_loop>();
  if (fresh == nullptr) {
    return SLUICE_ERROR_NO_MEMORY;
  }
  sluice_loop_settings& all = fresh->given;
  sluice_loop_settings_init(&all);
  copy_known(all, settings);
  loop_settings wanted;
  wanted.backend = static_cast<io_backend>(all.backend);
  wanted.small_buffers_posted = all.small_buffers_posted;
  wanted.large_buffers_posted = all.large_buffers_posted;
  wanted.max_pool_bytes = all.max_pool_bytes;
  wanted.max_cached_bytes = all.max_cached_bytes;
  wanted.turn_bytes = all.turn_bytes;
  wanted.turn_frames = all.turn_frames;
  wanted.busy_poll_us = all.busy_poll_us;
  wanted.multishot_receives = all.multishot_receives != 0;
  if (all.log != nullptr) {
    wanted.log.context = &all;
    wanted.log.up_to = log_level::debug;
    wanted.log.write = [](void* context, log_level level, const char* line) noexcept {
      const auto& to = *static_cast<const sluice_loop_settings*>(context);
      to.log(to.log_context, static_cast<int>(level), line);
    };
  }
  const error failed = fresh->inner.open(wanted);
  if (failed != error::none) {
    memory::destroy(fresh);
    return code(failed);
  }
  *made = fresh;
  return SLUICE_OK;
}

void sluice_loop_destroy(sluice_loop* loop) {
  memory::destroy(loop);
}
sluice_error sluice_loop_run(sluice_loop* loop) {
  return code(loop->inner.run());
}
void sluice_loop_stop(sluice_loop* loop) {
  loop->inner.stop();
}
int sluice_loop_descriptor(const sluice_loop* loop) {
  return loop->inner.descriptor();
}
int sluice_loop_run_ready(sluice_loop* loop, size_t budget) {
  return loop->inner.run_ready(budget);
}

sluice_error sluice_loop_post(sluice_loop* loop, void (*task)(void* context), void* context) {
  // The two types differ in noexcept alone; a C function does not throw.
  return code(loop->inner.post(reinterpret_cast<void (*)(void*) noexcept>(task), context));
}

sluice_error sluice_loop_listen(sluice_loop* loop, const char* address, uint16_t port,
                                int reuse_port, const sluice_connection_settings* settings,
                                sluice_handler* handler, sluice_listener** made) {
  listen_settings wanted;
  if (address != nullptr) {
    wanted.address = address;
  }
  wanted.port = port;
  wanted.reuse_port = reuse_port != 0;
  wanted.connection = settings_of(settings);
  listener* fresh = nullptr;
  const error failed = loop->inner.listen(wanted, *handler, fresh);
  if (failed == error::none && made != nullptr) {
    *made = reinterpret_cast<sluice_listener*>(fresh);
  }
  return code(failed);
}

uint16_t sluice_listener_port(const sluice_listener* of) {
  return reinterpret_cast<const listener*>(of)->port();
}
void sluice_listener_close(sluice_listener* of) {
  reinterpret_cast<listener*>(of)->close();
}

sluice_error sluice_loop_adopt(sluice_loop* loop, int fd, const uint8_t* already_read,
                               size_t already_read_bytes,
                               const sluice_connection_settings* settings, sluice_handler* handler,
                               sluice_connection** made) {
  connection* fresh = nullptr;
  const error failed = loop->inner.adopt(fd, bytes_of(already_read, already_read_bytes),
                                         settings_of(settings), *handler, fresh);
  if (failed == error::none && made != nullptr) {
    *made = to_c(*fresh);
  }
  return code(failed);
}

sluice_error sluice_loop_connect(sluice_loop* loop, const char* host, uint16_t port,
                                 const char* target, const char* subprotocols,
                                 const char* header_lines,
                                 const sluice_connection_settings* settings,
                                 sluice_handler* handler, sluice_connection** made) {
  connect_settings wanted;
  wanted.host = host;
  wanted.port = port;
  if (target != nullptr) {
    wanted.target = target;
  }
  wanted.subprotocols = subprotocols;
  wanted.header_lines = header_lines;
  wanted.connection = settings_of(settings);
  wanted.tls_name = completed(settings).tls_name;
  connection* fresh = nullptr;
  const error failed = loop->inner.connect(wanted, *handler, fresh);
  if (failed == error::none && made != nullptr) {
    *made = to_c(*fresh);
  }
  return code(failed);
}

const char* sluice_request_target(const sluice_request* request, size_t* size_bytes) {
  return give(from_c(request).target(), size_bytes);
}
const char* sluice_request_header(const sluice_request* request, const char* name, size_t nth,
                                  size_t* size_bytes) {
  return give(from_c(request).find(name, nth), size_bytes);
}
size_t sluice_request_header_count(const sluice_request* request) {
  return from_c(request).header_count();
}
const char* sluice_request_header_name(const sluice_request* request, size_t index,
                                       size_t* size_bytes) {
  return give(header_at(from_c(request), index).name, size_bytes);
}
const char* sluice_request_header_value(const sluice_request* request, size_t index,
                                        size_t* size_bytes) {
  return give(header_at(from_c(request), index).value, size_bytes);
}
const char* sluice_request_subprotocol(const sluice_request* request, size_t index,
                                       size_t* size_bytes) {
  return give(from_c(request).subprotocol(index), size_bytes);
}

sluice_error sluice_connection_send(sluice_connection* to, int is_text, const void* payload,
                                    size_t size_bytes) {
  return code(from_c(to).send(is_text != 0 ? message_type::text : message_type::binary,
                              bytes_of(payload, size_bytes)));
}
sluice_error sluice_connection_send_fragment(sluice_connection* to, int is_text,
                                             const void* payload, size_t size_bytes, int fin) {
  return code(from_c(to).send_fragment(is_text != 0 ? message_type::text : message_type::binary,
                                       bytes_of(payload, size_bytes), fin != 0));
}
sluice_error sluice_connection_ping(sluice_connection* to, const void* payload, size_t size_bytes) {
  return code(from_c(to).ping(bytes_of(payload, size_bytes)));
}
sluice_error sluice_connection_close(sluice_connection* connection, uint16_t status,
                                     const char* reason) {
  return code(from_c(connection).close(status, reason != nullptr ? reason : ""));
}
void sluice_connection_abort(sluice_connection* connection) {
  from_c(connection).abort();
}
size_t sluice_connection_send_queue_bytes(const sluice_connection* connection) {
  return from_c(connection).send_queue_bytes();
}
void sluice_connection_pause_reading(sluice_connection* connection) {
  from_c(connection).pause_reading();
}
void sluice_connection_resume_reading(sluice_connection* connection) {
  from_c(connection).resume_reading();
}
void sluice_connection_set_delivery(sluice_connection* connection, sluice_delivery how) {
  from_c(connection).set_delivery(static_cast<delivery>(how));
}
sluice_error sluice_connection_receive_into(sluice_connection* connection, void* to,
                                            size_t size_bytes) {
  return code(from_c(connection).receive_into({static_cast<std::byte*>(to), size_bytes}));
}
sluice_connection_state sluice_connection_get_state(const sluice_connection* connection) {
  return static_cast<sluice_connection_state>(from_c(connection).state());
}
int sluice_connection_is_server(const sluice_connection* connection) {
  return from_c(connection).is_server() ? 1 : 0;
}
uint64_t sluice_connection_id(const sluice_connection* connection) {
  return from_c(connection).id();
}
size_t sluice_connection_peer_address(const sluice_connection* connection, char* to,
                                      size_t size_bytes) {
  return from_c(connection).peer_address({to, size_bytes});
}
void* sluice_connection_user_data(const sluice_connection* connection) {
  return from_c(connection).user_data();
}
void sluice_connection_set_user_data(sluice_connection* connection, void* pointer) {
  from_c(connection).set_user_data(pointer);
}

void sluice_loop_get_stats(const sluice_loop* loop, sluice_loop_stats* to) {
  copy_stats<loop_stats>(loop->inner, *to);
}
void sluice_connection_get_stats(const sluice_connection* connection, sluice_connection_stats* to) {
  copy_stats<connection_stats>(from_c(connection), *to);
}

sluice_held* sluice_view_hold(const sluice_view* seen) {
  if (seen->origin == nullptr) {
    return nullptr; // the caller's own buffer
  }
  sluice_held* const made = memory::create<sluice_held>();
  if (made == nullptr) {
    return nullptr;
  }
  made->view = static_cast<const view*>(seen->origin)->hold();
  if (!made->view) {
    memory::destroy(made);
    return nullptr;
  }
  return made;
}
const uint8_t* sluice_held_bytes(const sluice_held* held, size_t* size_bytes) {
  if (size_bytes != nullptr) {
    *size_bytes = held->view.size();
  }
  return reinterpret_cast<const uint8_t*>(held->view.data());
}
int sluice_held_is_text(const sluice_held* held) {
  return held->view.is_text() ? 1 : 0;
}
int sluice_held_message_end(const sluice_held* held) {
  return held->view.message_end() ? 1 : 0;
}
uint64_t sluice_held_frame_left_bytes(const sluice_held* held) {
  return held->view.frame_left_bytes();
}
void sluice_held_release(sluice_held* held) {
  memory::destroy(held);
}

} // extern "C"
