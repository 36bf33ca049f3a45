#pragma once

#include "core/memory.hpp"
#include "winhttp/object.hpp"
#include "winhttp/options.hpp"

#include <mutex>
#include <string_view>

namespace sluice::winhttp {

/// Checks and converts a user agent; empty stays empty. ERROR_INVALID_PARAMETER for what may not
/// stand in a header value.
[[nodiscard]] DWORD take_agent(std::wstring_view wide, memory::growable<char>& agent) noexcept;

/// What WinHttpOpen makes: the settings that requests start with.
class session final : public object {
public:
  static constexpr handle_kind of_kind = handle_kind::session;

  session(memory::growable<char>&& agent, DWORD access_type) noexcept;
  ~session() override;

  DWORD set_option(DWORD option, const void* buffer, DWORD length) noexcept override;
  DWORD query_option(DWORD option, void* buffer, DWORD* length) noexcept override;

  [[nodiscard]] dword_options& dwords() noexcept { return dwords_; }
  [[nodiscard]] DWORD access_type() const noexcept {
    return access_type_.load(std::memory_order_relaxed);
  }

  /// Appends the value of the User-Agent header; nothing if there is none (GET-01).
  void append_agent(memory::growable<char>& to) const noexcept;

private:
  dword_options dwords_;
  std::atomic<DWORD> access_type_;
  mutable std::mutex lock_;
  memory::growable<char> agent_; // under lock_
};

} // namespace sluice::winhttp
