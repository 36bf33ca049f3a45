#include "core/http_text.hpp"
#include "core/probes.hpp"
#include "core/server_handshake.hpp"
#include "io/connect_race.hpp"
#include "io/crypto.hpp"
#include "io/native_connection.hpp"
#include "io/resolver.hpp"
#include "io/system_error.hpp"
#include "io/view_access.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

// The opening handshake of both roles, and how a client gets its socket.

namespace sluice::io {
namespace {

constexpr std::size_t max_host_bytes = 255; // RFC 1035 section 2.3.4

void set_no_delay(int fd) noexcept {
  const int on = 1;
  // Fails on sockets that are not TCP, which have nothing to delay.
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

bool is_visible(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7F; });
}

} // namespace

// ---- server ----

error native_connection::start_server(std::span<const std::byte> already_read) noexcept {
  opening_ = memory::make_unique<opening>(protocol_limits(limits_of()));
  if (opening_ == nullptr) {
    return error::no_memory;
  }
  if (limits_of().tls) {
    if (const error failed = start_tls(nullptr, 0); failed != error::none) {
      return failed;
    }
  }
  set_no_delay(recv_.socket.fd);
  while (!already_read.empty()) {
    buffer* const copy = home_.buffers().take(
        already_read.size() > buffer_class_bytes[0] ? buffer_class::large : buffer_class::small);
    if (copy == nullptr) {
      return error::no_memory;
    }
    const std::size_t count = std::min<std::size_t>(already_read.size(), copy->capacity_bytes);
    std::memcpy(copy->bytes, already_read.data(), count);
    if (!incoming().push({copy, 0, static_cast<std::uint32_t>(count)})) {
      release_buffer(*copy);
      return error::no_memory;
    }
    already_read = already_read.subspan(count);
  }
  if (limits_of().handshake_timeout.count() > 0) {
    home_.timers().arm(timer_, home_.now(), limits_of().handshake_timeout);
  }
  home_.queue_ready(*this);
  return error::none;
}

// What has arrived belongs to the head until it is complete; frames may follow it in the same
// slice.
void native_connection::run_opening() noexcept {
  slice_queue& inbox = rx_.inbox();
  http_head& head = self_ == role::server ? static_cast<http_head&>(opening_->request)
                                          : static_cast<http_head&>(opening_->response);
  while (!end_after_flush_ && (!inbox.empty() || (tls_ != nullptr && unseal()))) {
    const http_head::feed_result fed = head.feed({inbox.front_bytes(), inbox.front_size_bytes()});
    inbox.consume(fed.consumed_bytes);
    if (fed.reason != error::none) {
      fail_opening(fed.reason);
      return;
    }
    if (fed.complete) {
      if (self_ == role::server) {
        answer_request();
      } else {
        check_response();
      }
      return;
    }
  }
  if (tls_ != nullptr) {
    return; // unseal() has seen to what comes next
  }
  if (eof_) {
    fail_opening(error::end_of_stream);
  } else {
    arm_recv();
  }
}

void native_connection::answer_request() noexcept {
  opening& now = *opening_;
  const upgrade_check checked = check_upgrade_request(now.request, now.key);
  if (checked.reason != error::none) {
    refuse(checked.reason, checked.http_status, {});
    return;
  }
  const upgrade_decision decision =
      handler_->on_upgrade(*this, detail::view_access::request(now.request));
  if (state_ == connection_state::closed) {
    return; // aborted in the callback
  }
  const bool lines_ok = are_header_lines(decision.header_lines);
  const bool refused = decision.status != 101;
  if (!lines_ok || (refused && (decision.status < 300 || decision.status > 599)) ||
      (!decision.subprotocol.empty() && !offers_subprotocol(now.request, decision.subprotocol))) {
    refuse(error::invalid_argument, 500, {});
    return;
  }
  if (refused) {
    refuse(error::upgrade_refused, decision.status, decision.header_lines);
    return;
  }
  if (!make_handshake_accept(now.key)) {
    refuse(error::random_failed, 500, {});
    return;
  }
  memory::growable<char> answer;
  append_upgrade_response(answer, now.key, decision.subprotocol, decision.header_lines);
  if (!answer.ok() || queue_bytes(answer.view()) != error::none) {
    end(error::no_memory);
    return;
  }
  shown_ = true;
  opened(decision.subprotocol);
}

void native_connection::refuse(error reason, std::uint16_t http_status,
                               std::string_view header_lines) noexcept {
  memory::growable<char> answer;
  append_refusal(answer, http_status, header_lines);
  if (!answer.ok() || queue_bytes(answer.view()) != error::none) {
    end(reason);
    return;
  }
  home_.log(log_level::info, "upgrade refused", id_, reason);
  arm_close_timer();
  end_when_flushed(reason, true);
}

void native_connection::fail_opening(error reason) noexcept {
  if (self_ == role::server && reason != error::end_of_stream && reason != error::no_memory) {
    refuse(reason, http_status_for(reason), {});
  } else {
    end(reason == error::end_of_stream && self_ == role::client ? error::response_truncated
                                                                : reason);
  }
}

void native_connection::opened(std::string_view subprotocol) noexcept {
  state_ = connection_state::open;
  was_open_ = true;
  shown_ = true;
  last_received_ = home_.now_16ms();
  home_.timers().cancel(timer_);
  arm_liveness();
  ++home_.counters().handshakes_done;
  SLUICE_PROBE3(handshake, &rx_.inbox(), self_ == role::server, 0);
  interrupted_ = false;
  handler_->on_open(*this, subprotocol);
  opening_.reset(); // the subprotocol lies in it
  // run() goes on with the frames behind the head.
}

// ---- client ----

/// A look-up on a thread of its own; owned by that thread, then by the mail it becomes.
struct lookup final : mail {
  char host[max_host_bytes + 1] = {};
  char service[6] = {};
  native_connection* asker = nullptr; // the loop's thread
  mailbox* box = nullptr;             // holds a reference
  addrinfo* found = nullptr;
  error failed = error::none;
};

void forget_asker(lookup& of) noexcept {
  of.asker = nullptr;
}

namespace {

void* look_up(void* given) noexcept {
  auto* const wanted = static_cast<lookup*>(given);
  const addrinfo how = stream_hints(0);
  const int status = ::getaddrinfo(wanted->host, wanted->service, &how, &wanted->found);
  if (status != 0) {
    wanted->found = nullptr;
    wanted->failed = status == EAI_MEMORY ? error::no_memory : error::name_not_resolved;
  }
  mailbox* const box = wanted->box;
  box->post(*wanted);
  box->release();
  return nullptr;
}

void found_addresses(mail& arrived, bool dropped) noexcept {
  auto& done = static_cast<lookup&>(arrived);
  native_connection* const asker = dropped ? nullptr : done.asker;
  if (asker != nullptr) {
    asker->addresses_found(done.found, done.failed);
  } else if (done.found != nullptr) {
    ::freeaddrinfo(done.found);
  }
  memory::destroy(&done);
}

error start_lookup(lookup& wanted) noexcept {
  pthread_attr_t attributes;
  if (::pthread_attr_init(&attributes) != 0) {
    return error::no_memory;
  }
  ::pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  // The thread is ours: the application's signals are not for it.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t made{};
  const int status = ::pthread_create(&made, &attributes, &look_up, &wanted);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ::pthread_attr_destroy(&attributes);
  return status == 0 ? error::none : error::no_memory;
}

} // namespace

error native_connection::start_client(const connect_settings& to) noexcept {
  const std::string_view host = to.host != nullptr ? to.host : "";
  const std::string_view target = to.target != nullptr ? to.target : "/";
  const std::string_view lines = to.header_lines != nullptr ? to.header_lines : "";
  const std::string_view offered = to.subprotocols != nullptr ? to.subprotocols : "";
  const std::string_view origin = to.origin != nullptr ? to.origin : "";
  const std::string_view host_header = to.host_header != nullptr ? to.host_header : "";
  if (host.empty() || host.size() > max_host_bytes || !is_visible(host) ||
      !target.starts_with('/') || !is_visible(target) || !are_header_lines(lines) ||
      !is_field_value(offered) || !is_field_value(origin) || !is_visible(host_header)) {
    return error::invalid_argument;
  }
  opening_ = memory::make_unique<opening>(protocol_limits(limits_of()));
  if (opening_ == nullptr) {
    return error::no_memory;
  }
  if (!make_handshake_key(opening_->key)) {
    return error::random_failed;
  }
  const std::uint16_t usual_port = limits_of().tls ? 443 : 80; // RFC 6455 section 3
  const std::uint16_t port_number = to.port != 0 ? to.port : usual_port;
  if (limits_of().tls) {
    if (const error failed = start_tls(to.tls_name != nullptr ? to.tls_name : to.host, port_number);
        failed != error::none) {
      return failed;
    }
  }
  char service[6] = {};
  const auto written = std::to_chars(service, service + sizeof service - 1, port_number);
  const std::string_view port(service, static_cast<std::size_t>(written.ptr - service));

  memory::growable<char>& request = opening_->request_text;
  request.append("GET ");
  request.append(target);
  request.append(" HTTP/1.1\r\nHost: ");
  if (!host_header.empty()) {
    request.append(host_header);
  } else {
    const bool is_v6 = host.find(':') != std::string_view::npos;
    request.append(is_v6 ? "[" : "");
    request.append(host);
    request.append(is_v6 ? "]" : "");
    if (port_number != usual_port) {
      request.append(":");
      request.append(port);
    }
  }
  request.append("\r\n");
  append_upgrade_fields(request, opening_->key);
  if (!origin.empty()) {
    request.append("Origin: ");
    request.append(origin);
    request.append("\r\n");
  }
  if (!offered.empty()) {
    request.append("Sec-WebSocket-Protocol: ");
    request.append(offered);
    request.append("\r\n");
    opening_->offered.append(offered);
  }
  request.append(lines);
  request.append("\r\n");
  if (!request.ok() || !opening_->offered.ok()) {
    return error::no_memory;
  }

  // An address is there at once; a name takes a thread.
  addrinfo* found = nullptr;
  const int status = look_up_at_once(to.host, service, found);
  if (status != 0) {
    lookup* const wanted = memory::create<lookup>();
    if (wanted == nullptr) {
      return error::no_memory;
    }
    std::memcpy(wanted->host, host.data(), host.size());
    std::memcpy(wanted->service, service, sizeof service);
    wanted->deliver = &found_addresses;
    wanted->asker = this;
    wanted->box = &home_.box();
    wanted->box->retain();
    if (const error failed = start_lookup(*wanted); failed != error::none) {
      wanted->box->release();
      memory::destroy(wanted);
      return failed;
    }
    opening_->looking_up = wanted;
  } else {
    opening_->addresses = found;
    home_.queue_ready(*this); // run() starts to connect
  }
  shown_ = true;
  if (limits_of().handshake_timeout.count() > 0) {
    home_.timers().arm(timer_, home_.now(), limits_of().handshake_timeout);
  }
  return error::none;
}

void native_connection::addresses_found(addrinfo* found, error failed) noexcept {
  opening_->looking_up = nullptr;
  if (state_ != connection_state::connecting) {
    if (found != nullptr) {
      ::freeaddrinfo(found);
    }
    return;
  }
  if (failed != error::none) {
    end(failed);
    return;
  }
  opening_->addresses = found;
  connect_to_first();
}

void native_connection::connect_to_first() noexcept {
  addrinfo* const addresses = std::exchange(opening_->addresses, nullptr);
  if (!connect_race::start(home_, *this, addresses)) {
    ::freeaddrinfo(addresses);
    end(error::no_memory);
  }
}

void native_connection::not_connected(error failed) noexcept {
  opening_->race = nullptr;
  end(failed);
}

void native_connection::connected(const socket_ref& socket) noexcept {
  opening& now = *opening_;
  now.race = nullptr;
  recv_.socket = socket;
  ++home_.counters().connections_made;
  state_ = connection_state::upgrading;
  if (tls_ != nullptr) {
    home_.queue_ready(*this); // shakes hands first
    return;
  }
  if (queue_bytes(now.request_text.view()) != error::none) {
    end(error::no_memory);
    return;
  }
  arm_recv();
}

void native_connection::check_response() noexcept {
  opening& now = *opening_;
  if (now.response.status() != 101) {
    end(error::upgrade_refused);
    return;
  }
  if (const error failed = check_upgrade_response(now.response, now.key, now.offered.view());
      failed != error::none) {
    end(failed);
    return;
  }
  opened(now.response.find("Sec-WebSocket-Protocol"));
}

} // namespace sluice::io
