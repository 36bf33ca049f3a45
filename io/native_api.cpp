#include "core/server_handshake.hpp"
#include "io/event_loop.hpp"
#include "io/native_connection.hpp"
#include "io/native_listener.hpp"
#include "io/view_access.hpp"
#include "sluice/sluice.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

// The public classes, each a name for the object behind it.

namespace sluice {
namespace {

io::native_connection& behind(connection& of) noexcept {
  return static_cast<io::native_connection&>(of);
}
const io::native_connection& behind(const connection& of) noexcept {
  return static_cast<const io::native_connection&>(of);
}

std::span<const std::byte> bytes_of(std::string_view text) noexcept {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

} // namespace

// ---- connection ----

error connection::send(message_type type, std::span<const std::byte> payload) noexcept {
  io::native_connection& self = behind(*this);
  return self.mid_message() ? error::invalid_state : self.send_message(type, payload, true);
}

error connection::send_text(std::string_view payload) noexcept {
  return send(message_type::text, bytes_of(payload));
}

error connection::send_fragment(message_type type, std::span<const std::byte> payload,
                                bool fin) noexcept {
  return behind(*this).send_message(type, payload, fin);
}

error connection::ping(std::span<const std::byte> payload) noexcept {
  return behind(*this).send_ping(payload);
}

error connection::close(std::uint16_t status, std::string_view reason) noexcept {
  return behind(*this).begin_close(status, reason);
}

void connection::abort() noexcept {
  behind(*this).end(error::cancelled);
}

std::size_t connection::send_queue_bytes() const noexcept {
  return behind(*this).queued_bytes();
}

void connection::pause_reading() noexcept {
  behind(*this).pause();
}
void connection::resume_reading() noexcept {
  behind(*this).resume();
}
void connection::set_delivery(delivery how) noexcept {
  behind(*this).deliver_as(how);
}

error connection::receive_into(std::span<std::byte> to) noexcept {
  return behind(*this).receive_into_buffer(to);
}

connection_state connection::state() const noexcept {
  return behind(*this).current_state();
}
bool connection::is_server() const noexcept {
  return behind(*this).self() == role::server;
}
std::uint64_t connection::id() const noexcept {
  return behind(*this).unique_id();
}
loop& connection::home() const noexcept {
  return behind(*this).home_loop().outer();
}

std::size_t connection::peer_address(std::span<char> to) const noexcept {
  if (to.empty()) {
    return 0;
  }
  to[0] = '\0';
  sockaddr_storage peer{};
  socklen_t peer_bytes = sizeof peer;
  if (::getpeername(behind(*this).socket().fd, reinterpret_cast<sockaddr*>(&peer), &peer_bytes) !=
      0) {
    return 0;
  }
  char host[INET6_ADDRSTRLEN] = {};
  int written = 0;
  if (peer.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(peer);
    ::inet_ntop(AF_INET, &v4.sin_addr, host, sizeof host);
    written = std::snprintf(to.data(), to.size(), "%s:%u", host,
                            static_cast<unsigned>(ntohs(v4.sin_port)));
  } else if (peer.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(peer);
    ::inet_ntop(AF_INET6, &v6.sin6_addr, host, sizeof host);
    written = std::snprintf(to.data(), to.size(), "[%s]:%u", host,
                            static_cast<unsigned>(ntohs(v6.sin6_port)));
  }
  return std::min(static_cast<std::size_t>(std::max(written, 0)), to.size() - 1);
}

void connection::stats(connection_stats& to) const noexcept {
  connection_stats now;
  behind(*this).fill_stats(now);
  now.size_bytes = std::min(to.size_bytes, sizeof now);
  if (now.size_bytes >= sizeof now.size_bytes) {
    std::memcpy(static_cast<void*>(&to), &now, now.size_bytes);
  }
}

bool connection::tls(tls_info& to) const noexcept {
  return behind(*this).fill_tls_info(to);
}

std::size_t connection::peer_certificate(std::span<std::byte> to) const noexcept {
  return behind(*this).peer_certificate(to);
}

// ---- listener ----

std::uint16_t listener::port() const noexcept {
  return static_cast<const io::native_listener&>(*this).bound_port();
}

error listener::replace_tls(const tls_config& replacement) noexcept {
  return static_cast<io::native_listener&>(*this).replace_tls(replacement);
}

void listener::close() noexcept {
  static_cast<io::native_listener&>(*this).stop();
}

// ---- upgrade_request ----

std::string_view upgrade_request::target() const noexcept {
  return detail::view_access::head(*this).target();
}
std::string_view upgrade_request::host() const noexcept {
  return find("Host");
}
std::string_view upgrade_request::origin() const noexcept {
  return find("Origin");
}
std::size_t upgrade_request::header_count() const noexcept {
  return detail::view_access::head(*this).field_count();
}

upgrade_request::header upgrade_request::at(std::size_t index) const noexcept {
  const http_head::field field = detail::view_access::head(*this).at(index);
  return {field.name, field.value};
}

std::string_view upgrade_request::find(std::string_view name, std::size_t nth) const noexcept {
  return detail::view_access::head(*this).find(name, nth);
}

std::string_view upgrade_request::subprotocol(std::size_t index) const noexcept {
  return offered_subprotocol(detail::view_access::head(*this), index);
}

bool upgrade_request::offers(std::string_view subprotocol) const noexcept {
  return offers_subprotocol(detail::view_access::head(*this), subprotocol);
}

// ---- loop ----

loop::~loop() {
  io::event_loop::destroy(self_);
  self_ = nullptr;
}

error loop::open(const loop_settings& settings) noexcept {
  return self_ != nullptr ? error::invalid_state : io::event_loop::create(*this, settings, self_);
}

error loop::run() noexcept {
  return self_ == nullptr ? error::invalid_state : self_->run();
}

void loop::stop() noexcept {
  if (self_ != nullptr) {
    self_->stop();
  }
}

int loop::descriptor() const noexcept {
  return self_ == nullptr ? -1 : self_->io().descriptor();
}

int loop::run_ready(std::size_t budget) noexcept {
  return self_ == nullptr ? -1 : self_->run_ready(budget);
}

error loop::post(void (*task)(void* context) noexcept, void* context) noexcept {
  if (task == nullptr) {
    return error::invalid_argument;
  }
  return self_ == nullptr ? error::invalid_state : self_->post(task, context);
}

error loop::listen(const listen_settings& settings, connection_handler& handler,
                   listener*& made) noexcept {
  return self_ == nullptr ? error::invalid_state : self_->listen(settings, handler, made);
}

error loop::adopt(int fd, std::span<const std::byte> already_read,
                  const connection_settings& settings, connection_handler& handler,
                  connection*& made) noexcept {
  return self_ == nullptr ? error::invalid_state
                          : self_->adopt(fd, already_read, settings, handler, made);
}

error loop::connect(const connect_settings& to, connection_handler& handler,
                    connection*& made) noexcept {
  return self_ == nullptr ? error::invalid_state : self_->connect(to, handler, made);
}

void loop::stats(loop_stats& to) const noexcept {
  if (self_ != nullptr) {
    self_->stats(to);
  }
}

} // namespace sluice
