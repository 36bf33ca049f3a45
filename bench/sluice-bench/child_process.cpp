#include "child_process.hpp"

#include "process_clock.hpp"

#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>

namespace sluice_bench {

child_process::child_process(const std::vector<std::string>& arguments, int cpu, bool keep_output,
                             bool silent) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    throw system_failure("pipe");
  }
  unique_fd read_end(ends[0]);
  const unique_fd write_end(ends[1]);
  const unique_fd nowhere(open("/dev/null", O_WRONLY | O_CLOEXEC));
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ < 0) {
    throw system_failure("cannot start another process");
  }
  if (pid_ == 0) { // nothing but async-signal-safe calls from here to exec
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
      _exit(127);
    }
    if (cpu >= 0 && cpu < CPU_SETSIZE) {
      cpu_set_t set;
      CPU_ZERO(&set);
      CPU_SET(static_cast<std::size_t>(cpu), &set);
      (void)sched_setaffinity(0, sizeof set, &set);
    }
    (void)dup2(keep_output ? write_end.get() : nowhere.get(), STDOUT_FILENO);
    if (silent) {
      (void)dup2(nowhere.get(), STDERR_FILENO);
    }
    (void)signal(SIGPIPE, SIG_DFL);
    execvp(argv[0], argv.data());
    _exit(127);
  }
  output_ = std::move(read_end);
}

child_process::~child_process() {
  if (!exit_status()) {
    (void)kill(pid_, SIGTERM);
    const std::uint64_t deadline = now_ns() + 1'000'000'000;
    while (!exit_status()) {
      if (now_ns() >= deadline) {
        (void)kill(pid_, SIGKILL);
        (void)waitpid(pid_, nullptr, 0);
        return;
      }
      (void)poll(nullptr, 0, 2);
    }
  }
}

std::optional<std::string> child_process::read_line(int timeout_ms) {
  const std::uint64_t deadline = now_ns() + static_cast<std::uint64_t>(timeout_ms) * 1'000'000;
  while (true) {
    const std::size_t end = pending_.find('\n');
    if (end != std::string::npos) {
      std::string line = pending_.substr(0, end);
      pending_.erase(0, end + 1);
      return line;
    }
    const std::uint64_t now = now_ns();
    if (now >= deadline) {
      return std::nullopt;
    }
    pollfd waiting{output_.get(), POLLIN, 0};
    if (poll(&waiting, 1, static_cast<int>((deadline - now) / 1'000'000) + 1) <= 0) {
      continue;
    }
    char bytes[512];
    const ssize_t got = ::read(output_.get(), bytes, sizeof bytes);
    if (got <= 0) {
      return std::nullopt;
    }
    pending_.append(bytes, static_cast<std::size_t>(got));
  }
}

std::optional<int> child_process::exit_status() noexcept {
  int status = 0;
  if (!status_ && waitpid(pid_, &status, WNOHANG) == pid_) {
    status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  return status_;
}

} // namespace sluice_bench
