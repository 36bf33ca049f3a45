#pragma once

#include "core/memory.hpp"
#include "winhttp/object.hpp"
#include "winhttp/options.hpp"
#include "winhttp/proxy.hpp"
#include "winhttp/security.hpp"

#include <sluice/extensions.h>

#include <array>
#include <cstddef>
#include <mutex>
#include <string_view>

namespace sluice::winhttp {

class async_loop;

/// Checks and converts a user agent; empty stays empty. ERROR_INVALID_PARAMETER for what may not
/// stand in a header value.
[[nodiscard]] DWORD take_agent(std::wstring_view wide, memory::growable<char>& agent) noexcept;

/// What WinHttpOpen makes: the settings that requests start with.
class session final : public object {
public:
  static constexpr handle_kind of_kind = handle_kind::session;

  session(memory::growable<char>&& agent, proxy_settings&& proxies, bool asynchronous = false,
          bool secure_only = false) noexcept;
  ~session() override;

  DWORD set_option(DWORD option, const void* buffer, DWORD length) noexcept override;
  DWORD query_option(DWORD option, void* buffer, DWORD* length) noexcept override;

  [[nodiscard]] dword_options& dwords() noexcept { return dwords_; }
  [[nodiscard]] security_store& security() noexcept { return security_; }
  /// Those that a new request starts with.
  [[nodiscard]] DWORD copy_proxies(proxy_settings& to) const noexcept;

  /// HND-03: decides the mode of all descendants.
  [[nodiscard]] bool asynchronous() const noexcept { return asynchronous_; }
  /// GET-02: requests without TLS fail.
  [[nodiscard]] bool secure_only() const noexcept { return secure_only_; }

  /// The loop thread for the next socket of an asynchronous session, started when it is first
  /// needed; `found` holds no reference of its own and is good while the session is.
  [[nodiscard]] DWORD next_loop(async_loop*& found) noexcept;

  /// Appends the value of the User-Agent header; nothing if there is none (GET-01).
  void append_agent(memory::growable<char>& to) const noexcept;

private:
  dword_options dwords_;
  security_store security_;
  const bool asynchronous_;
  const bool secure_only_;
  mutable std::mutex lock_;
  memory::growable<char> agent_; // under lock_, as what follows
  proxy_settings proxies_;
  std::array<async_loop*, SLUICE_MAX_LOOP_THREADS> loops_{};
  DWORD loop_threads_ = 1;
  std::size_t next_loop_ = 0;
};

} // namespace sluice::winhttp
