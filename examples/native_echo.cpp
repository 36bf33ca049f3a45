// An echo server. Run it, then talk to it with any WebSocket client:
//   ./native_echo 9001 &
//   /usr/bin/python3 -m websockets ws://127.0.0.1:9001/
#include <sluice/sluice.hpp>

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <string_view>

namespace {

class echo final : public sluice::connection_handler {
  void on_message(sluice::connection& from, const sluice::view& message) noexcept override {
    if (from.send(message.type(), message.bytes()) == sluice::error::would_block) {
      from.close(sluice::close_status::policy_violation, "reads too slowly");
    }
  }
};

// False unless `text` is a number up to 65535 and nothing else.
bool read_port(std::string_view text, std::uint16_t& port) {
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), port);
  return failed == std::errc() && end == text.data() + text.size();
}

} // namespace

int main(int argc, char** argv) {
  echo handler; // before the loop, which it must outlive
  sluice::loop loop;
  sluice::listener* listener = nullptr;
  sluice::listen_settings settings;
  if (argc > 1 && !read_port(argv[1], settings.port)) {
    std::fprintf(stderr, "native_echo: '%s' is no port\n", argv[1]);
    return 2;
  }
  settings.connection.take = sluice::delivery::messages;
  sluice::error failed = loop.open();
  if (failed != sluice::error::none) {
    std::fprintf(stderr, "native_echo: %s\n", sluice::to_string(failed));
    return 2;
  }
  failed = loop.listen(settings, handler, listener);
  if (failed != sluice::error::none) {
    std::fprintf(stderr, "native_echo: port %u: %s\n", unsigned{settings.port},
                 sluice::to_string(failed));
    return 2;
  }
  std::printf("listening on port %u\n", static_cast<unsigned>(listener->port()));
  std::fflush(stdout);
  return loop.run() == sluice::error::none ? 0 : 1;
}
