#include "http_front.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <span>

namespace live {
namespace {

constexpr std::uint64_t patience_ns = 5'000'000'000u;

struct served_file {
  const char* target;
  const char* name;
  const char* type;
};
constexpr served_file served[] = {
    {"/", "index.html", "text/html; charset=utf-8"},
    {"/live.css", "live.css", "text/css; charset=utf-8"},
    {"/live.js", "live.js", "text/javascript; charset=utf-8"},
    {"/source.js", "source.js", "text/javascript; charset=utf-8"},
    {"/uPlot.iife.min.js", "uPlot.iife.min.js", "text/javascript; charset=utf-8"},
    {"/uPlot.min.css", "uPlot.min.css", "text/css; charset=utf-8"},
};

std::string head(const char* status, const char* type, std::size_t body_bytes) {
  return std::string("HTTP/1.1 ") + status + "\r\nContent-Type: " + type +
         "\r\nContent-Length: " + std::to_string(body_bytes) +
         "\r\nConnection: close\r\nCache-Control: no-cache\r\nX-Content-Type-Options: nosniff\r\n"
         "Content-Security-Policy: default-src 'self'; img-src 'self' data:; base-uri 'none'; "
         "form-action 'none'; frame-ancestors 'none'\r\n\r\n";
}

std::string refusal(const char* status) {
  const std::string body = std::string(status) + "\n";
  return head(status, "text/plain", body.size()) + body;
}

} // namespace

http_front::~http_front() {
  while (!visitors_.empty()) {
    drop(visitors_.begin());
  }
  for (const int fd : {listening_, epoll_}) {
    if (fd >= 0) {
      ::close(fd);
    }
  }
}

std::string http_front::load_files(const std::string& folder) {
  for (const served_file& each : served) {
    std::string path = folder + "/" + each.name;
    std::ifstream in(path, std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    if (!in || bytes.empty()) {
      return path;
    }
    files_[each.target] = {each.type, std::move(bytes)};
  }
  return {};
}

int http_front::listen(const char* host, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (::inet_pton(AF_INET, host, &address.sin_addr) != 1) {
    return EADDRNOTAVAIL;
  }
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  listening_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (epoll_ < 0 || listening_ < 0) {
    return errno;
  }
  const int on = 1;
  ::setsockopt(listening_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  socklen_t address_bytes = sizeof address;
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = listening_;
  if (::bind(listening_, generic, sizeof address) != 0 || ::listen(listening_, 128) != 0 ||
      ::getsockname(listening_, generic, &address_bytes) != 0 ||
      ::epoll_ctl(epoll_, EPOLL_CTL_ADD, listening_, &event) != 0) {
    return errno;
  }
  port_ = ntohs(address.sin_port);
  return 0;
}

void http_front::run_ready() {
  epoll_event ready[32];
  const int count = ::epoll_wait(epoll_, ready, 32, 0);
  for (int i = 0; i < count; ++i) {
    const int fd = ready[i].data.fd;
    if (fd == listening_) {
      accept_all();
      continue;
    }
    const auto who = std::find_if(visitors_.begin(), visitors_.end(),
                                  [fd](const visitor& one) { return one.fd == fd; });
    if (who == visitors_.end()) {
      continue; // dropped in this very turn
    }
    switch (who->now) {
    case visitor::stage::reading:
      read_request(who);
      break;
    case visitor::stage::writing:
      write_answer(who);
      break;
    case visitor::stage::ending:
      drain(who);
      break;
    }
  }
}

int http_front::expire() {
  const std::uint64_t now = now_ns();
  while (!visitors_.empty() && visitors_.front().deadline_ns <= now) {
    drop(visitors_.begin());
  }
  return visitors_.empty()
             ? -1
             : static_cast<int>((visitors_.front().deadline_ns - now) / 1'000'000u + 1);
}

void http_front::accept_all() {
  // Level-triggered and bounded: whoever is left is told of again. Out of descriptors there is
  // nobody left to make room but our own oldest visitors.
  for (int i = 0; i < 32; ++i) {
    const int fd = ::accept4(listening_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if ((errno == EMFILE || errno == ENFILE) && !visitors_.empty()) {
        drop(visitors_.begin());
        continue;
      }
      return;
    }
    if (visitors_.size() >= max_visitors) {
      drop(visitors_.begin());
    }
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) {
      ::close(fd);
      continue;
    }
    visitors_.push_back({fd, now_ns() + patience_ns, {}, 0, visitor::stage::reading});
  }
}

void http_front::drop(place who) {
  ::close(who->fd); // takes it out of the epoll set, too
  visitors_.erase(who);
}

void http_front::read_request(place who) {
  char bytes[4096];
  const std::size_t room = std::min(sizeof bytes, max_head_bytes - who->text.size());
  const ssize_t got = ::recv(who->fd, bytes, room, 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
    return;
  }
  if (got <= 0) {
    drop(who);
    return;
  }
  who->text.append(bytes, static_cast<std::size_t>(got));
  const std::string_view text = who->text;
  const std::size_t line_end = text.find("\r\n");
  const std::string_view line = text.substr(0, std::min(line_end, text.size()));
  const std::size_t method_end = line.find(' ');
  const std::size_t target_end =
      method_end == std::string_view::npos ? method_end : line.find(' ', method_end + 1);
  if (line_end != std::string_view::npos && target_end == std::string_view::npos) {
    answer(who, {}, {});
    return;
  }
  if (line_end != std::string_view::npos) {
    const std::string_view target = line.substr(method_end + 1, target_end - method_end - 1);
    const std::string_view path = target.substr(0, target.find('?'));
    if (path == "/page" || path == "/stream") {
      sluice::loop_stats now;
      loop_.stats(now);
      if (now.connections_open >= max_sockets) { // handshakes that never end are among them
        refuse(who, "503 Service Unavailable");
        return;
      }
      // From here on it is the library's, the rest of its head and its own limits included.
      sluice::connection* made = nullptr;
      ::epoll_ctl(epoll_, EPOLL_CTL_DEL, who->fd, nullptr);
      if (path == "/page") {
        // What a slow page has not read yet should be dropped rather than kept by the kernel.
        const int most = 16 * 1024;
        ::setsockopt(who->fd, SOL_SOCKET, SO_SNDBUF, &most, sizeof most);
      }
      if (loop_.adopt(who->fd, std::as_bytes(std::span(text)), streams::settings(), sockets_,
                      made) == sluice::error::none) {
        visitors_.erase(who);
      } else {
        drop(who);
      }
      return;
    }
    if (text.find("\r\n\r\n") != std::string_view::npos) {
      // Copies: the text is about to hold the answer.
      answer(who, std::string(line.substr(0, method_end)), std::string(path));
      return;
    }
  }
  if (text.size() == max_head_bytes) {
    refuse(who, "431 Request Header Fields Too Large");
  }
}

void http_front::refuse(place who, const char* status) {
  who->text = refusal(status);
  who->now = visitor::stage::writing;
  write_answer(who);
}

void http_front::answer(place who, std::string_view method, std::string_view target) {
  const bool head_only = method == "HEAD";
  if (method.empty()) {
    who->text = refusal("400 Bad Request");
  } else if (method != "GET" && !head_only) {
    who->text = refusal("405 Method Not Allowed");
  } else if (target == "/metrics") {
    const std::string text = seen_.exposition(loop_);
    who->text = head("200 OK", "text/plain; version=0.0.4; charset=utf-8", text.size());
    who->text += head_only ? std::string() : text;
  } else if (const auto found = files_.find(target); found != files_.end()) {
    who->text = head("200 OK", found->second.type, found->second.bytes.size());
    who->text += head_only ? std::string() : found->second.bytes;
  } else {
    who->text = refusal("404 Not Found");
  }
  who->now = visitor::stage::writing;
  write_answer(who);
}

void http_front::write_answer(place who) {
  while (who->sent_bytes < who->text.size()) {
    const ssize_t sent = ::send(who->fd, who->text.data() + who->sent_bytes,
                                who->text.size() - who->sent_bytes, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) {
      continue;
    }
    if (sent < 0 && errno == EAGAIN) {
      epoll_event event{};
      event.events = EPOLLOUT;
      event.data.fd = who->fd;
      ::epoll_ctl(epoll_, EPOLL_CTL_MOD, who->fd, &event);
      return;
    }
    if (sent < 0) {
      drop(who);
      return;
    }
    who->sent_bytes += static_cast<std::size_t>(sent);
  }
  // Closing with bytes unread would send a reset, which may overtake the answer.
  ::shutdown(who->fd, SHUT_WR);
  who->now = visitor::stage::ending;
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = who->fd;
  ::epoll_ctl(epoll_, EPOLL_CTL_MOD, who->fd, &event);
}

void http_front::drain(place who) {
  char bytes[4096];
  const ssize_t got = ::recv(who->fd, bytes, sizeof bytes, 0);
  if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
    drop(who);
  }
}

} // namespace live
