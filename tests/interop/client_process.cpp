#include "tests/interop/client_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <sstream>
#include <system_error>

namespace interop {

client_process::client_process(std::vector<std::string> words,
                               const std::vector<std::string>& environment, bool quiet) {
  std::vector<char*> arguments;
  for (std::string& word : words) {
    arguments.push_back(word.data());
  }
  arguments.push_back(nullptr);
  std::vector<std::string> settings = environment;
  for (char** at = environ; *at != nullptr; ++at) {
    settings.emplace_back(*at);
  }
  std::vector<char*> all;
  for (std::string& setting : settings) { // of two with one name the first counts
    all.push_back(setting.data());
  }
  all.push_back(nullptr);

  std::array<int, 2> ends = {};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) {
    throw std::system_error(errno, std::generic_category(), "pipe");
  }
  const int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
  process_ = fork();
  if (process_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL); // it must not outlive a crashed test
    setpgid(0, 0);
    dup2(nowhere, STDIN_FILENO);
    dup2(ends[1], STDOUT_FILENO);
    if (quiet) {
      dup2(nowhere, STDERR_FILENO);
    }
    execvpe(arguments[0], arguments.data(), all.data());
    _exit(127);
  }
  close(ends[1]);
  close(nowhere);
  pipe_ = ends[0];
  if (process_ < 0) {
    throw std::system_error(errno, std::generic_category(), "fork");
  }
  setpgid(process_, process_); // whoever of the two is first
}

client_process::~client_process() {
  if (!has_ended()) {
    kill(-process_, SIGKILL);
    static_cast<void>(exit_code());
  }
  close(pipe_);
}

bool client_process::read_to_end(std::chrono::seconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) {
      return false;
    }
    pollfd waiting{pipe_, POLLIN, 0};
    if (poll(&waiting, 1, static_cast<int>(left.count())) <= 0) {
      continue;
    }
    std::array<char, 65536> bytes;
    const ssize_t got = read(pipe_, bytes.data(), bytes.size());
    if (got == 0) {
      return true;
    }
    if (got > 0) {
      output_.append(bytes.data(), static_cast<std::size_t>(got));
    }
  }
}

std::vector<std::string> client_process::lines() const {
  std::istringstream in(output_);
  std::vector<std::string> found;
  for (std::string line; std::getline(in, line);) {
    found.push_back(line);
  }
  return found;
}

int client_process::exit_code() {
  int status = 0;
  if (exit_code_ < 0 && waitpid(process_, &status, 0) == process_) {
    exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  return exit_code_;
}

bool client_process::has_ended() {
  int status = 0;
  if (exit_code_ < 0 && waitpid(process_, &status, WNOHANG) == process_) {
    exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  return exit_code_ >= 0;
}

std::string find_program(const std::vector<std::string>& names) {
  const char* const path = std::getenv("PATH");
  for (const std::string& name : names) {
    std::istringstream folders(path != nullptr ? path : "/usr/bin:/bin");
    for (std::string folder; std::getline(folders, folder, ':');) {
      const std::string candidate = folder + "/" + name;
      if (access(candidate.c_str(), X_OK) == 0) {
        return candidate;
      }
    }
  }
  return {};
}

} // namespace interop
