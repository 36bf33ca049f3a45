// Starts an echo server, its first argument, sends it two messages and checks what comes back.
#include <sluice/sluice.hpp>

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <string>

namespace {

class client final : public sluice::connection_handler {
public:
  void on_open(sluice::connection& to, std::string_view) noexcept override {
    ok_ = to.send_text("hello") == sluice::error::none &&
          to.send_binary(std::as_bytes(std::span(large_))) == sluice::error::none;
  }
  void on_message(sluice::connection& from, const sluice::view& message) noexcept override {
    ++messages_;
    ok_ = ok_ && message.text() == (message.is_text() ? std::string_view("hello") : large_);
    if (messages_ == 2) {
      from.close();
    }
  }
  void on_close(sluice::connection& gone, const sluice::close_event& how) noexcept override {
    ok_ = ok_ && how.clean && messages_ == 2;
    gone.home().stop();
  }
  bool ok() const { return ok_; }

private:
  const std::string large_ = std::string(300'000, 'x');
  int messages_ = 0;
  bool ok_ = false;
};

} // namespace

int main(int argc, char** argv) {
  int ends[2];
  if (argc != 2 || pipe(ends) != 0) {
    return 2;
  }
  const pid_t server = fork();
  if (server == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(ends[1], STDOUT_FILENO);
    execl(argv[1], argv[1], "0", static_cast<char*>(nullptr));
    _exit(127);
  }
  close(ends[1]);
  std::FILE* const says = fdopen(ends[0], "r");
  unsigned port = 0;
  bool ok = says != nullptr && std::fscanf(says, "listening on port %u", &port) == 1;
  if (ok) {
    client handler;
    sluice::loop loop;
    sluice::connect_settings to;
    to.host = "127.0.0.1";
    to.port = static_cast<std::uint16_t>(port);
    to.connection.take = sluice::delivery::messages;
    sluice::connection* made = nullptr;
    ok = loop.open() == sluice::error::none &&
         loop.connect(to, handler, made) == sluice::error::none &&
         loop.run() == sluice::error::none && handler.ok();
  }
  kill(server, SIGTERM);
  waitpid(server, nullptr, 0);
  return ok ? 0 : 1;
}
