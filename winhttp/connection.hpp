#pragma once

#include "core/memory.hpp"
#include "winhttp/object.hpp"
#include "winhttp/session.hpp"

#include <cstdint>
#include <string_view>

namespace sluice::winhttp {

/// What WinHttpConnect makes: the name of a server. It never changes and does no I/O (GET-03).
class connection final : public object {
public:
  static constexpr handle_kind of_kind = handle_kind::connection;

  connection(session& parent, memory::growable<char>&& host, std::uint16_t port) noexcept;
  ~connection() override;

  [[nodiscard]] HINTERNET parent_handle() const noexcept override { return parent_->handle(); }

  [[nodiscard]] session& parent() const noexcept { return *parent_; }
  /// ASCII, IPv6 without brackets.
  [[nodiscard]] std::string_view host() const noexcept { return host_.view(); }
  /// 0 = the default of the request's scheme.
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

private:
  const object_ref<session> parent_;
  const memory::growable<char> host_;
  const std::uint16_t port_;
};

} // namespace sluice::winhttp
