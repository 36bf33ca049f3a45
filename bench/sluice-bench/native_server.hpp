#pragma once

#include "stop_request.hpp"

#include "sluice/sluice.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <string>

namespace sluice_bench {

/// How our own servers take the data; see sluice::delivery.
enum class take_kind { view, copy, message };

struct server_settings {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;
  sluice::io_backend backend = sluice::io_backend::automatic;
  take_kind take = take_kind::view;
  unsigned thread_count = 1;
  std::uint32_t busy_poll_us = 0;
  bool one_shot = false;
  std::uint32_t small_buffers = 0; // posted; 0: the library's choice
  std::uint32_t large_buffers = 0;
  std::uint64_t max_message_bytes = std::uint64_t{1} << 30;
  std::size_t copy_buffer_bytes = 64 * 1024; // take_kind::copy: the caller's buffer
  sluice::tls_config tls;                    // empty: plain
};

/// What the connections of one loop add up to. The loop's thread only, until it has ended.
struct server_totals {
  std::uint64_t connections = 0;
  std::uint64_t messages = 0;
  std::uint64_t payload_bytes = 0;
};

/// Lets clients in and gives each connection a handler of its own, made by `make`, which deletes
/// itself in on_close.
class acceptor : public sluice::connection_handler {
public:
  using make_handler = sluice::connection_handler* (*)(sluice::connection& opened,
                                                       const server_settings& settings,
                                                       server_totals& totals) noexcept;

  acceptor(const server_settings& settings, make_handler make) noexcept
      : settings_(settings), make_(make) {}

  void on_open(sluice::connection& opened, std::string_view) noexcept override {
    ++totals_.connections;
    sluice::connection_handler* const made = make_(opened, settings_, totals_);
    if (made == nullptr) {
      opened.abort();
      return;
    }
    opened.set_handler(*made);
  }

  [[nodiscard]] const server_totals& totals() const noexcept { return totals_; }

private:
  const server_settings& settings_;
  make_handler make_;
  server_totals totals_;
};

/// A caller's buffer, for take_kind::copy; nullptr when there is no memory. It is not filled with
/// zeros: an idle connection's buffer costs address space only.
[[nodiscard]] inline std::unique_ptr<std::byte[]> make_buffer(std::size_t bytes) noexcept {
  return std::unique_ptr<std::byte[]>(new (std::nothrow) std::byte[bytes]);
}

/// The two kinds of server. nullptr when there is no memory.
[[nodiscard]] sluice::connection_handler* make_sink(sluice::connection& opened,
                                                    const server_settings& settings,
                                                    server_totals& totals) noexcept;
[[nodiscard]] sluice::connection_handler* make_echo(sluice::connection& opened,
                                                    const server_settings& settings,
                                                    server_totals& totals) noexcept;

/// Serves until the stop request, on settings.thread_count loops that share the port. Prints where
/// it listens, with what it works, and at the end the totals. Throws failure (exit_bad_use for a
/// busy port or a backend that cannot work here).
server_totals run_native_server(const server_settings& settings, acceptor::make_handler make,
                                stop_request& stop);

} // namespace sluice_bench
