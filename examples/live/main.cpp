// A page that shows what the receive path sees. The browser streams to this server and plots what
// it is told about that four times a second:
//   ./sluice-live --port 8080       then open http://127.0.0.1:8080/
//   curl http://127.0.0.1:8080/metrics
#include "http_front.hpp"
#include "meter.hpp"
#include "streams.hpp"

#include <sluice/sluice.hpp>

#include <CLI/CLI.hpp>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>

namespace {

constexpr int bad_use = 2;

struct options {
  std::string host = "127.0.0.1";
  std::uint16_t port = 8080;
  std::string backend = "auto";
  std::string files;
};

/// The page lies beside the program in the build tree and under share/ once installed.
std::string files_beside_program() {
  std::error_code failed;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", failed).parent_path();
  const auto installed = program / ".." / "share" / "sluice" / "live";
  return (std::filesystem::is_directory(program / "page", failed) ? program / "page" : installed)
      .string();
}

bool watch(int epoll, int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  return fd >= 0 && ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

int shorter(int one_ms, int other_ms) {
  return one_ms < 0 ? other_ms : other_ms < 0 ? one_ms : std::min(one_ms, other_ms);
}

/// Runs until a signal comes; everything on this thread, whose CPU time is the loop's.
void serve(sluice::loop& loop, live::http_front& front, live::streams& sockets, int epoll,
           int signals) {
  std::uint64_t next_tick_ns = 0;
  for (;;) {
    int sleep_ms = shorter(loop.run_ready(), front.expire());
    if (sockets.busy()) {
      const std::uint64_t now = live::now_ns();
      if (now >= next_tick_ns) {
        sockets.tick();
        next_tick_ns = now + std::uint64_t{live::streams::tick_ms} * 1'000'000u;
        sleep_ms = 0; // hands what the tick has queued to the kernel
      } else {
        sleep_ms = shorter(sleep_ms, static_cast<int>((next_tick_ns - now) / 1'000'000u) + 1);
      }
    }
    epoll_event ready[4];
    const int count = ::epoll_wait(epoll, ready, 4, sleep_ms);
    for (int i = 0; i < count; ++i) {
      if (ready[i].data.fd == signals) {
        return;
      }
      if (ready[i].data.fd == front.descriptor()) {
        front.run_ready();
      }
    }
  }
}

int run(const options& chosen) {
  // Before anything starts a thread, so that none is interrupted.
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGINT);
  sigaddset(&ends, SIGTERM);
  ::sigprocmask(SIG_BLOCK, &ends, nullptr);
  const int signals = ::signalfd(-1, &ends, SFD_CLOEXEC);

  sluice::loop_settings settings;
  settings.backend = chosen.backend == "uring"   ? sluice::io_backend::uring
                     : chosen.backend == "epoll" ? sluice::io_backend::epoll
                                                 : sluice::io_backend::automatic;
  live::meter seen;
  live::streams sockets(seen); // outlives the loop, whose end calls on_close
  sluice::loop loop;
  if (const sluice::error failed = loop.open(settings); failed != sluice::error::none) {
    std::fprintf(stderr, "sluice-live: %s; --backend auto takes what works here\n",
                 sluice::to_string(failed));
    return bad_use;
  }
  live::http_front front(loop, sockets, seen);
  const std::string folder = chosen.files.empty() ? files_beside_program() : chosen.files;
  if (const std::string missing = front.load_files(folder); !missing.empty()) {
    std::fprintf(stderr, "sluice-live: cannot read %s; --files names the folder of the page\n",
                 missing.c_str());
    return bad_use;
  }
  if (const int failed = front.listen(chosen.host.c_str(), chosen.port); failed != 0) {
    if (failed == EADDRNOTAVAIL) {
      std::fprintf(
          stderr,
          "sluice-live: --host '%s': no numeric IPv4 address of this machine; 127.0.0.1 is "
          "seen from here alone, 0.0.0.0 from everywhere\n",
          chosen.host.c_str());
      return bad_use;
    }
    std::fprintf(stderr,
                 "sluice-live: cannot listen on %s:%u: %s; choose another with --port (0: any)\n",
                 chosen.host.c_str(), unsigned{chosen.port}, std::strerror(failed));
    return bad_use;
  }
  const char* const reachable = chosen.host == "0.0.0.0" ? "127.0.0.1" : chosen.host.c_str();
  sockets.serve(loop, reachable, front.port());
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  if (!watch(epoll, loop.descriptor()) || !watch(epoll, front.descriptor()) ||
      !watch(epoll, signals)) {
    std::fprintf(stderr, "sluice-live: %s\n", std::strerror(errno));
    return 1;
  }
  std::printf("listening on %s:%u\n", chosen.host.c_str(), unsigned{front.port()});
  std::printf("open http://%s:%u/ in a browser; Ctrl-C ends it\n", reachable,
              unsigned{front.port()});
  std::fflush(stdout);
  serve(loop, front, sockets, epoll, signals);
  std::printf("\n%llu messages, %llu payload bytes\n",
              static_cast<unsigned long long>(seen.messages()),
              static_cast<unsigned long long>(seen.bytes()));
  ::close(epoll);
  ::close(signals);
  return 0;
}

} // namespace

int main(int argc, char** argv) {
  CLI::App program("Serves a page that streams to this server and shows what it receives.");
  options chosen;
  program
      .add_option("--host", chosen.host, "Numeric IPv4 address to listen on; 0.0.0.0: every one")
      ->capture_default_str();
  program.add_option("--port", chosen.port, "Port to listen on; 0 picks a free one")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  program.add_option("--backend", chosen.backend, "How to ask the kernel for data")
      ->check(CLI::IsMember({"auto", "uring", "epoll"}))
      ->capture_default_str();
  program.add_option("--files", chosen.files, "Folder of the page; default: beside the program");
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& wrong) {
    return program.exit(wrong) == 0 ? 0 : bad_use;
  }
  return run(chosen);
}
