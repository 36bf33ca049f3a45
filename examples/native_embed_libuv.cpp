// Sluice inside a libuv program: a poll handle on the loop's descriptor, and a timer for what
// run_ready() asks for. Echoes messages until the process is interrupted.
//   ./native_embed_libuv 9001 &
//   /usr/bin/python3 -m websockets ws://127.0.0.1:9001/
#include <sluice/sluice.hpp>

#include <uv.h>

#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <string_view>

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

// False unless `text` is a number up to 65535 and nothing else.
bool read_port(std::string_view text, std::uint16_t& port) {
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), port);
  return failed == std::errc() && end == text.data() + text.size();
}

} // namespace

int main(int argc, char** argv) {
  echo handler;
  embedded inside;
  sluice::listener* listener = nullptr;
  sluice::listen_settings settings;
  if (argc > 1 && !read_port(argv[1], settings.port)) {
    std::fprintf(stderr, "native_embed_libuv: '%s' is no port\n", argv[1]);
    return 2;
  }
  settings.connection.take = sluice::delivery::messages;
  uv_loop_t* const uv = uv_default_loop();
  sluice::error failed = inside.loop.open();
  if (failed != sluice::error::none) {
    std::fprintf(stderr, "native_embed_libuv: %s\n", sluice::to_string(failed));
    return 2;
  }
  failed = inside.loop.listen(settings, handler, listener);
  if (failed != sluice::error::none) {
    std::fprintf(stderr, "native_embed_libuv: port %u: %s\n", unsigned{settings.port},
                 sluice::to_string(failed));
    return 2;
  }
  if (!inside.start(uv)) {
    std::fprintf(stderr, "native_embed_libuv: libuv cannot watch the loop\n");
    return 1;
  }
  std::printf("listening on port %u\n", static_cast<unsigned>(listener->port()));
  std::fflush(stdout);
  return uv_run(uv, UV_RUN_DEFAULT) < 0 ? 1 : 0;
}
