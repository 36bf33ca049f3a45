#include "tests/interop/peer_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <stdexcept>
#include <system_error>
#include <vector>

namespace interop {

namespace {

constexpr int skipped = 77;
constexpr int silence_ms = 30'000;

} // namespace

peer_process::peer_process(const std::string& command) {
  std::istringstream split(command);
  std::vector<std::string> words;
  for (std::string word; split >> word;) {
    words.push_back(word);
  }
  if (words.empty()) {
    throw std::invalid_argument("SLUICE_TEST_PEER names no command");
  }
  std::vector<char*> arguments;
  for (std::string& word : words) {
    arguments.push_back(word.data());
  }
  arguments.push_back(nullptr);

  std::array<int, 2> ends = {};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) {
    throw std::system_error(errno, std::generic_category(), "pipe");
  }
  process_ = fork();
  if (process_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL); // the peer must not outlive a crashed test
    dup2(ends[1], STDOUT_FILENO);
    execvp(arguments[0], arguments.data());
    _exit(127);
  }
  close(ends[1]);
  output_ = ends[0];
  if (process_ < 0) {
    throw std::system_error(errno, std::generic_category(), "fork");
  }
  const std::string line = next_line();
  if (line.rfind("missing:", 0) == 0) {
    std::printf("skipped, %s\n", line.c_str());
    std::exit(skipped);
  }
  if (line.rfind("port ", 0) != 0) {
    throw std::runtime_error("the peer says: " + line);
  }
  port_ = static_cast<std::uint16_t>(std::stoul(line.substr(5)));
}

peer_process::~peer_process() {
  if (process_ > 0) {
    kill(process_, SIGTERM);
    waitpid(process_, nullptr, 0);
  }
  close(output_);
}

std::string peer_process::next_line() {
  for (;;) {
    const std::size_t end = unread_.find('\n');
    if (end != std::string::npos) {
      const std::string line = unread_.substr(0, end);
      unread_.erase(0, end + 1);
      return line;
    }
    pollfd readable = {output_, POLLIN, 0};
    if (poll(&readable, 1, silence_ms) != 1) {
      throw std::runtime_error("the peer is silent");
    }
    std::array<char, 512> piece;
    const ssize_t got = read(output_, piece.data(), piece.size());
    if (got <= 0) {
      throw std::runtime_error("the peer has ended");
    }
    unread_.append(piece.data(), static_cast<std::size_t>(got));
  }
}

} // namespace interop
