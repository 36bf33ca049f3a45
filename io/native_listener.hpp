#pragma once

#include "io/event_loop.hpp"
#include "io/operation.hpp"
#include "sluice/listener.hpp"

#include <cstdint>

namespace sluice::io {

/// What is behind sluice::listener: one accept at a time; out of descriptors, it tries again later.
class native_listener final : public sluice::listener {
public:
  /// Errors as loop::listen().
  [[nodiscard]] static error open(event_loop& home, const listen_settings& settings,
                                  connection_handler& handler, native_listener*& made) noexcept;
  native_listener(event_loop& home, int fd, std::uint16_t port, shared_settings& settings,
                  connection_handler& handler) noexcept;
  ~native_listener();

  void start() noexcept;
  /// Closes; destroys itself once the kernel is done with the accept.
  void stop() noexcept;
  /// True once it may be destroyed.
  [[nodiscard]] bool stopped() const noexcept { return stopping_ && accept_.idle(); }
  [[nodiscard]] error replace_tls(const tls_config& replacement) noexcept;
  [[nodiscard]] std::uint16_t bound_port() const noexcept { return port_; }

  native_listener* next = nullptr; // of the loop

private:
  void accepted() noexcept;

  event_loop& home_;
  shared_settings* settings_;
  connection_handler& handler_;
  accept_op accept_;
  timer retry_;
  std::uint16_t port_;
  bool stopping_ = false;
};

} // namespace sluice::io
