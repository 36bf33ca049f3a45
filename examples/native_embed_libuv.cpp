// Sluice inside a libuv program: a poll handle on the loop's descriptor, and a timer for what
// run_ready() asks for. Echoes messages until the process is interrupted.
//   ./native_embed_libuv 9001 &
//   /usr/bin/python3 -m websockets ws://127.0.0.1:9001/
#include <sluice/sluice.hpp>

#include <uv.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

namespace {

class echo final : public sluice::connection_handler {
  void on_message(sluice::connection& from, const sluice::view& message) noexcept override {
    static_cast<void>(from.send(message.type(), message.bytes()));
  }
};

struct embedded {
  sluice::loop loop;
  uv_poll_t readable{};
  uv_timer_t later{};
  uv_signal_t interrupt{};

  static void run(embedded& self) {
    const int next_ms = self.loop.run_ready();
    if (next_ms >= 0) {
      uv_timer_start(
          &self.later, [](uv_timer_t* handle) { run(*static_cast<embedded*>(handle->data)); },
          static_cast<std::uint64_t>(next_ms), 0);
    } else {
      uv_timer_stop(&self.later);
    }
  }

  bool start(uv_loop_t* uv) {
    readable.data = later.data = interrupt.data = this;
    if (uv_poll_init(uv, &readable, loop.descriptor()) != 0 || uv_timer_init(uv, &later) != 0 ||
        uv_signal_init(uv, &interrupt) != 0) {
      return false;
    }
    uv_signal_start(
        &interrupt, [](uv_signal_t* handle, int) { uv_stop(handle->loop); }, SIGINT);
    const auto on_readable = [](uv_poll_t* handle, int, int) {
      run(*static_cast<embedded*>(handle->data));
    };
    if (uv_poll_start(&readable, UV_READABLE, on_readable) != 0) {
      return false;
    }
    run(*this); // submits what listen() has prepared
    return true;
  }
};

} // namespace

int main(int argc, char** argv) {
  echo handler;
  embedded inside;
  sluice::listener* listener = nullptr;
  sluice::listen_settings settings;
  settings.port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 0);
  settings.connection.take = sluice::delivery::messages;
  uv_loop_t* const uv = uv_default_loop();
  if (inside.loop.open() != sluice::error::none ||
      inside.loop.listen(settings, handler, listener) != sluice::error::none || !inside.start(uv)) {
    std::fprintf(stderr, "cannot start\n");
    return 1;
  }
  std::printf("listening on port %u\n", static_cast<unsigned>(listener->port()));
  std::fflush(stdout);
  return uv_run(uv, UV_RUN_DEFAULT) < 0 ? 1 : 0;
}
