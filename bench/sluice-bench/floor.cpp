#include "floor.hpp"

#include "endpoint.hpp"
#include "wire.hpp"

#include <map>
#include <memory>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

namespace sluice_bench {
namespace {

constexpr std::size_t max_head_bytes = 16 * 1024;

} // namespace

floor_peer::floor_peer(unique_fd fd, const floor_settings& settings)
    : fd_(std::move(fd)), echo_wire_bytes_(settings.echo_wire_bytes) {
  const int on = 1;
  (void)setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (echo_wire_bytes_ != 0) {
    append_frame(echo_reply_, opcode::binary, true, false, 0,
                 std::vector<std::byte>(settings.echo_payload_bytes));
  }
}

bool floor_peer::send_all(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN) {
      pollfd waiting{fd(), POLLOUT, 0};
      if (poll(&waiting, 1, 1000) == 0) {
        return false;
      }
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

bool floor_peer::on_head(std::span<const std::byte> bytes) {
  const std::size_t before = head_.size();
  head_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const std::size_t end = head_.find("\r\n\r\n");
  if (end == std::string::npos) {
    return head_.size() <= max_head_bytes;
  }
  const std::string answer = upgrade_answer(std::string_view(head_).substr(0, end + 2));
  open_ = true;
  head_ = {};
  return !answer.empty() && send_all(std::as_bytes(std::span(answer))) &&
         (before + bytes.size() == end + 4 || on_bytes(bytes.subspan(end + 4 - before)));
}

bool floor_peer::on_likely_report() {
  constexpr std::string_view wanted = "REPORT";
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const auto c = static_cast<char>(tail_[6 + i] ^ tail_[2 + i % 4]);
    if (c != wanted[i]) {
      return true;
    }
  }
  ++reports_;
  tail_ = {};
  return send_all(text_frame("wire " + std::to_string(wire_bytes()), false, 0));
}

bool floor_peer::echo(std::size_t bytes) {
  for (echo_pending_bytes_ += bytes; echo_pending_bytes_ >= echo_wire_bytes_;
       echo_pending_bytes_ -= echo_wire_bytes_) {
    if (!send_all(echo_reply_)) {
      return false;
    }
  }
  return true;
}

floor_totals run_recv_floor(const floor_settings& settings, stop_request& stop) {
  const unique_fd listener = listen_on(settings.host, settings.port);
  stop.shut_down_listener(listener.get());
  std::vector<std::byte> buffer(settings.buffer_bytes);
  announce_listening(settings.host, local_port(listener.get()));
  floor_totals totals;
  while (!stop.made()) {
    unique_fd fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd) {
      continue; // interrupted, or a client that has left already
    }
    floor_peer peer(std::move(fd), settings);
    stop.shut_down_connection(peer.fd());
    ++totals.connections;
    while (true) {
      const ssize_t got = ::recv(peer.fd(), buffer.data(), buffer.size(), 0);
      if (got < 0 && errno == EINTR) {
        continue;
      }
      if (got <= 0 || !peer.on_bytes(std::span(buffer).first(static_cast<std::size_t>(got)))) {
        break;
      }
    }
    stop.shut_down_connection(-1);
    totals.wire_bytes += peer.wire_bytes();
  }
  stop.shut_down_listener(-1);
  return totals;
}

floor_totals run_epoll_floor(const floor_settings& settings, stop_request& stop) {
  const unique_fd listener = listen_on(settings.host, settings.port);
  make_fast_and_nonblocking(listener.get());
  const unique_fd epoll(epoll_create1(EPOLL_CLOEXEC));
  // Events carry a peer; the two descriptors that are none have markers of their own.
  const auto watch = [&epoll](int fd, void* who) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = who;
    if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
      throw system_failure("epoll_ctl");
    }
  };
  int listener_mark = 0;
  int stop_mark = 0;
  watch(listener.get(), &listener_mark);
  watch(stop.fd(), &stop_mark);
  std::vector<std::byte> buffer(settings.buffer_bytes);
  std::map<const void*, std::unique_ptr<floor_peer>> peers;
  announce_listening(settings.host, local_port(listener.get()));
  floor_totals totals;
  std::array<epoll_event, 256> events;
  while (!stop.made()) {
    const int count = epoll_wait(epoll.get(), events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < count; ++i) {
      void* const who = events[static_cast<std::size_t>(i)].data.ptr;
      if (who == &stop_mark) {
        continue;
      }
      if (who == &listener_mark) {
        unique_fd fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (fd) {
          const int raw = fd.get();
          auto made = std::make_unique<floor_peer>(std::move(fd), settings);
          floor_peer* const peer = made.get();
          peers.emplace(peer, std::move(made));
          watch(raw, peer);
          ++totals.connections;
        }
        continue;
      }
      floor_peer& peer = *static_cast<floor_peer*>(who);
      const ssize_t got = ::recv(peer.fd(), buffer.data(), buffer.size(), 0);
      if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        continue;
      }
      if (got <= 0 || !peer.on_bytes(std::span(buffer).first(static_cast<std::size_t>(got)))) {
        totals.wire_bytes += peer.wire_bytes();
        peers.erase(who); // a descriptor has one event a batch: nothing refers to it any more
      }
    }
  }
  for (const auto& [who, peer] : peers) {
    totals.wire_bytes += peer->wire_bytes();
  }
  return totals;
}

} // namespace sluice_bench
