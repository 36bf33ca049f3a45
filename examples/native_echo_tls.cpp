// An echo server over TLS that takes up a renewed certificate without dropping anybody.
//   openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj
//   /CN=localhost
//           -addext subjectAltName=DNS:localhost -keyout key.pem -out certificate.pem   (one line)
//   ./native_echo_tls certificate.pem key.pem 9001 &
//   SSL_CERT_FILE=certificate.pem /usr/bin/python3 -m websockets wss://localhost:9001/
//   kill -HUP %1   # after the files have changed
#include <sluice/sluice.hpp>

#include <atomic>
#include <charconv>
#include <csignal>
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

std::atomic<sluice::loop*> running{nullptr};

void stop_for_reload(int) {
  running.load()->stop(); // async-signal-safe
}

void complain(const char* what, sluice::error why) {
  std::fprintf(stderr, "native_echo_tls: %s: %s\n", what, sluice::to_string(why));
}

// False unless `text` is a number up to 65535 and nothing else.
bool read_port(std::string_view text, std::uint16_t& port) {
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), port);
  return failed == std::errc() && end == text.data() + text.size();
}

} // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: native_echo_tls <certificate.pem> <key.pem> [port]\n");
    return 2;
  }
  sluice::listen_settings settings;
  if (argc > 3 && !read_port(argv[3], settings.port)) {
    std::fprintf(stderr, "native_echo_tls: '%s' is no port\n", argv[3]);
    return 2;
  }
  sluice::tls_settings files;
  files.certificate_file = argv[1]; // the certificate, and behind it its chain
  files.private_key_file = argv[2];

  echo handler; // before the loop, which it must outlive
  sluice::loop loop;
  sluice::listener* listener = nullptr;
  settings.connection.take = sluice::delivery::messages;
  sluice::error failed = sluice::tls_config::make_server(files, settings.connection.tls);
  if (failed != sluice::error::none) {
    complain(argv[1], failed);
    return 2;
  }
  failed = loop.open();
  if (failed != sluice::error::none) {
    complain("cannot start", failed);
    return 2;
  }
  failed = loop.listen(settings, handler, listener);
  if (failed != sluice::error::none) {
    std::fprintf(stderr, "native_echo_tls: port %u: %s\n", unsigned{settings.port},
                 sluice::to_string(failed));
    return 2;
  }
  running = &loop;
  std::signal(SIGHUP, &stop_for_reload);
  std::printf("listening on port %u\n", static_cast<unsigned>(listener->port()));
  std::fflush(stdout);
  while ((failed = loop.run()) == sluice::error::none) {
    sluice::tls_config renewed;
    failed = sluice::tls_config::make_server(files, renewed);
    if (failed == sluice::error::none) {
      failed = listener->replace_tls(renewed);
    }
    if (failed == sluice::error::none) {
      std::puts("certificate replaced");
    } else {
      complain("the old certificate stays", failed);
    }
    std::fflush(stdout);
  }
  complain("the loop has ended", failed);
  return 1;
}
