#include "receiver.hpp"

#include "traffic.hpp"
#include "wire.hpp"

#include <array>
#include <charconv>
#include <cstdio>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

namespace sluice_bench {
namespace {

constexpr int start_timeout_ms = 10'000;
constexpr std::array sluice_backends{"auto", "uring", "oneshot", "epoll"};
constexpr std::array sluice_takes{"view", "copy", "message"};
// Connections from which the ring floor is given many small buffers instead of few large ones: a
// ring that runs dry costs more than anything else it does.
constexpr std::size_t many_connections = 17;

struct sluice_choice {
  std::string backend;
  std::string take;
  std::string busy_poll_us;
};

std::optional<sluice_choice> parse_sluice(std::string_view name) {
  sluice_choice made;
  const std::size_t at = name.find('@');
  if (at != std::string_view::npos) {
    made.busy_poll_us = name.substr(at + 1);
    unsigned us = 0;
    const char* const end = made.busy_poll_us.data() + made.busy_poll_us.size();
    if (const auto parsed = std::from_chars(made.busy_poll_us.data(), end, us);
        parsed.ec != std::errc{} || parsed.ptr != end) {
      return std::nullopt;
    }
  }
  const std::string_view base = name.substr(0, at);
  for (const char* backend : sluice_backends) {
    for (const char* take : sluice_takes) {
      if (base == std::string(backend) + "-" + take) {
        made.backend = backend;
        made.take = take;
        return made;
      }
    }
  }
  return std::nullopt;
}

/// Wire bytes of one message as the generator sends it.
std::size_t message_wire_bytes(const traffic_settings& traffic) {
  const std::size_t bytes = traffic.message_bytes.front();
  const std::size_t per_frame = traffic.fragment_bytes == 0 ? bytes : traffic.fragment_bytes;
  std::size_t total = 0;
  std::size_t left = bytes;
  do {
    const std::size_t take = left < per_frame ? left : per_frame;
    total += frame_bytes(take, traffic.masked);
    left -= take;
  } while (left != 0);
  return total;
}

constexpr std::string_view tls_suffix = "+tls";

std::string_view without_tls(std::string_view name) {
  const bool secure =
      name.size() > tls_suffix.size() && name.substr(name.size() - tls_suffix.size()) == tls_suffix;
  return secure ? name.substr(0, name.size() - tls_suffix.size()) : name;
}

std::vector<std::string> own_command(const receiver_spec& spec, const workload& work) {
  std::vector<std::string> command{"/proc/self/exe"};
  const load_settings& load = work.load;
  if (!spec.is_floor()) {
    const sluice_choice choice = *parse_sluice(without_tls(spec.name));
    const bool one_shot = choice.backend == "oneshot";
    command.insert(command.end(), {load.ping_pong ? "echo" : "sink", "--port", "0", "--backend",
                                   one_shot ? "uring" : choice.backend, "--take", choice.take});
    if (one_shot) {
      command.push_back("--one-shot");
    }
    if (!choice.busy_poll_us.empty()) {
      command.insert(command.end(), {"--busy-poll", choice.busy_poll_us});
    }
    if (spec.secure) {
      command.insert(command.end(), {"--certificate", spec.certificate, "--key", spec.key});
    }
    return command;
  }
  const bool ring = spec.name.rfind("bare-ring", 0) == 0;
  command.insert(command.end(), {"floor", "--port", "0", "--kind",
                                 spec.name == "bare-recv" ? "recv"
                                 : ring                   ? "ring"
                                                          : "epoll"});
  if (ring && spec.name == "bare-ring-oneshot") {
    command.push_back("--one-shot");
  }
  if (ring && load.connection_count >= many_connections) {
    command.insert(command.end(), {"--buffer-bytes", "4096", "--buffer-count", "256"});
  }
  if (load.ping_pong) {
    command.insert(command.end(),
                   {"--echo-wire-bytes", std::to_string(message_wire_bytes(load.traffic)),
                    "--echo-payload-bytes", std::to_string(load.traffic.message_bytes.front())});
  }
  return command;
}

std::string replaced(std::string text, std::string_view what, std::string_view by) {
  for (std::size_t at = text.find(what); at != std::string::npos;
       at = text.find(what, at + by.size())) {
    text.replace(at, what.size(), by);
  }
  return text;
}

/// Waits until somebody listens there, or throws.
void wait_for_listener(std::uint16_t port, child_process& process, const std::string& name) {
  const std::uint64_t deadline = now_ns() + std::uint64_t{start_timeout_ms} * 1'000'000;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  while (true) {
    const unique_fd probe(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
      return;
    }
    if (const auto status = process.exit_status()) {
      throw failure(name + " ended with code " + std::to_string(*status) + " before it listened");
    }
    if (now_ns() >= deadline) {
      throw failure(name + " did not listen on port " + std::to_string(port) + " within 10 s");
    }
    (void)poll(nullptr, 0, 5);
  }
}

} // namespace

receiver_spec receiver_named(std::string_view name) {
  receiver_spec made;
  made.name = name;
  const bool floor = name == "bare-recv" || name == "bare-epoll" || name == "bare-ring" ||
                     name == "bare-ring-oneshot";
  made.secure = without_tls(name) != name;
  if (!floor && !parse_sluice(without_tls(name))) {
    throw failure("there is no receiver '" + std::string(name) +
                      "'; sluice-bench run --help shows the names",
                  exit_bad_use);
  }
  return made;
}

receiver_spec peer_receiver(std::string_view name_and_command) {
  receiver_spec made;
  const std::size_t equals = name_and_command.find('=');
  if (equals != std::string_view::npos) {
    made.name = name_and_command.substr(0, equals);
    std::string_view rest = name_and_command.substr(equals + 1);
    while (!rest.empty()) {
      const std::size_t space = rest.find(' ');
      if (space != 0) {
        made.peer_command.emplace_back(rest.substr(0, space));
      }
      rest = space == std::string_view::npos ? std::string_view{} : rest.substr(space + 1);
    }
  }
  if (made.name.empty() || made.peer_command.empty()) {
    throw failure("--peer wants NAME=COMMAND, for example --peer 'other=./other-sink {port}'",
                  exit_bad_use);
  }
  return made;
}

bool suits(const receiver_spec& spec, const workload& work) noexcept {
  return spec.name != "bare-recv" || work.load.connection_count == 1;
}

const char* floor_for(const workload& work) noexcept {
  return work.load.connection_count == 1 && work.load.rate <= 0 ? "bare-recv" : "bare-epoll";
}

running_receiver::running_receiver(const receiver_spec& spec, const workload& work, int cpu,
                                   bool verbose) {
  if (spec.running) {
    where_ = *spec.running;
    pid_ = spec.running_pid;
    return;
  }
  if (spec.peer_command.empty()) {
    std::vector<std::string> command = own_command(spec, work);
    process_ = std::make_unique<child_process>(command, cpu, true, false);
    const std::string before = "listening on ";
    const auto line = process_->read_line(start_timeout_ms);
    if (!line || line->rfind(before, 0) != 0) {
      throw failure(spec.name + " cannot serve here");
    }
    where_ = parse_host_port(line->substr(before.size()));
    where_.secure = spec.secure;
  } else {
    {
      const unique_fd probe = listen_on("127.0.0.1", 0);
      where_.port = local_port(probe.get());
    }
    std::vector<std::string> command = spec.peer_command;
    for (std::string& argument : command) {
      argument = replaced(argument, "{port}", std::to_string(where_.port));
      argument = replaced(argument, "{mode}", work.load.ping_pong ? "echo" : "sink");
    }
    process_ = std::make_unique<child_process>(command, cpu, false, !verbose);
    wait_for_listener(where_.port, *process_, spec.name);
  }
  pid_ = process_->pid();
}

} // namespace sluice_bench
