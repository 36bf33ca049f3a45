// Sluice inside a program that has an epoll loop of its own: the loop's descriptor is one more
// entry in the set. Here the program's own business is to read lines and send them to every client.
//   ./native_embed_epoll 9001
//   /usr/bin/python3 -m websockets ws://127.0.0.1:9001/     (in another terminal; then type in
//   both)
#include <sluice/sluice.hpp>

#include <sys/epoll.h>
#include <unistd.h>

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <set>
#include <string_view>

namespace {

class chat final : public sluice::connection_handler {
public:
  void say(std::string_view line) {
    for (sluice::connection* one : clients_) {
      // A client that does not read misses lines; it costs no more than its queue.
      static_cast<void>(one->send_text(line));
    }
  }

private:
  void on_open(sluice::connection& opened, std::string_view) noexcept override {
    clients_.insert(&opened);
  }
  void on_message(sluice::connection&, const sluice::view& message) noexcept override {
    if (message.is_text()) {
      say(message.text());
    }
  }
  void on_close(sluice::connection& closed, const sluice::close_event&) noexcept override {
    clients_.erase(&closed);
  }

  std::set<sluice::connection*> clients_;
};

bool add(int epoll, int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  return ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

// False unless `text` is a number up to 65535 and nothing else.
bool read_port(std::string_view text, std::uint16_t& port) {
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), port);
  return failed == std::errc() && end == text.data() + text.size();
}

} // namespace

int main(int argc, char** argv) {
  chat room; // outlives the loop, whose end calls on_close
  sluice::loop loop;
  sluice::listener* listener = nullptr;
  sluice::listen_settings settings;
  if (argc > 1 && !read_port(argv[1], settings.port)) {
    std::fprintf(stderr, "native_embed_epoll: '%s' is no port\n", argv[1]);
    return 2;
  }
  settings.connection.take = sluice::delivery::messages;
  sluice::error failed = loop.open();
  if (failed != sluice::error::none) {
    std::fprintf(stderr, "native_embed_epoll: %s\n", sluice::to_string(failed));
    return 2;
  }
  failed = loop.listen(settings, room, listener);
  if (failed != sluice::error::none) {
    std::fprintf(stderr, "native_embed_epoll: port %u: %s\n", unsigned{settings.port},
                 sluice::to_string(failed));
    return 2;
  }
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0 || !add(epoll, loop.descriptor())) {
    std::perror("native_embed_epoll: epoll");
    return 1;
  }
  if (!add(epoll, STDIN_FILENO)) { // epoll knows no files
    std::perror("native_embed_epoll: standard input must be a terminal or a pipe");
    return 2;
  }
  std::printf("listening on port %u\n", static_cast<unsigned>(listener->port()));
  std::fflush(stdout);

  for (;;) {
    // Also submits what the program has sent since, so it is called before every sleep.
    const int timeout_ms = loop.run_ready();
    epoll_event ready[8];
    const int count = ::epoll_wait(epoll, ready, 8, timeout_ms);
    for (int i = 0; i < count; ++i) {
      if (ready[i].data.fd == STDIN_FILENO) {
        char line[1024];
        const ssize_t got = ::read(STDIN_FILENO, line, sizeof line);
        if (got <= 0) {
          return 0;
        }
        room.say({line, static_cast<std::size_t>(got)});
      }
    }
  }
}
