#include "winhttp/session.hpp"

#include "core/client_handshake.hpp"
#include "io/crypto.hpp"
#include "winhttp/async_loop.hpp"
#include "winhttp/text.hpp"

#include <utility>

namespace sluice::winhttp {

DWORD take_agent(std::wstring_view wide, memory::growable<char>& agent) noexcept {
  // Programs count the terminator in or leave it out.
  if (const std::size_t nul = wide.find(L'\0'); nul != std::wstring_view::npos) {
    wide = wide.substr(0, nul);
  }
  const DWORD code = append_utf8(agent, wide);
  if (code != ERROR_SUCCESS) {
    return code;
  }
  return is_field_value(agent.view()) ? ERROR_SUCCESS : ERROR_INVALID_PARAMETER;
}

session::session(memory::growable<char>&& agent, proxy_settings&& proxies, bool asynchronous,
                 bool secure_only) noexcept
    : object(of_kind), asynchronous_(asynchronous), secure_only_(secure_only),
      agent_(std::move(agent)), proxies_(std::move(proxies)) {
  if (asynchronous) {
    io::keep_crypto_at_exit(); // its threads end some time after the last handle
  }
}

session::~session() {
  for (async_loop* const started : loops_) {
    if (started != nullptr) {
      started->release();
    }
  }
  notify_closing();
} // HND-12: after the last child

DWORD session::next_loop(async_loop*& found) noexcept {
  const std::lock_guard guard(lock_);
  async_loop*& next = loops_[next_loop_++ % loop_threads_];
  const DWORD code = next == nullptr ? async_loop::start(next) : DWORD{ERROR_SUCCESS};
  found = next;
  return code;
}

DWORD session::set_option(DWORD option, const void* buffer, DWORD length) noexcept {
  if (option == SLUICE_OPTION_LOOP_THREADS) {
    DWORD threads = 0;
    const DWORD code = take_dword(buffer, length, threads);
    if (code != ERROR_SUCCESS) {
      return code;
    }
    if (threads == 0 || threads > SLUICE_MAX_LOOP_THREADS) {
      return ERROR_INVALID_PARAMETER;
    }
    const std::lock_guard guard(lock_);
    loop_threads_ = threads;
    return ERROR_SUCCESS;
  }
  if (security_store::has_option(option)) {
    return security_.set_option(option, buffer, length);
  }
  if (option == WINHTTP_OPTION_PROXY) {
    const std::lock_guard guard(lock_);
    return proxies_.set_option(buffer, length);
  }
  if (option == WINHTTP_OPTION_USER_AGENT) {
    if (buffer == nullptr) {
      return ERROR_INVALID_PARAMETER;
    }
    memory::growable<char> agent;
    const DWORD code =
        take_agent(std::wstring_view(static_cast<const WCHAR*>(buffer), length), agent);
    if (code == ERROR_SUCCESS) {
      const std::lock_guard guard(lock_);
      agent_ = std::move(agent);
    }
    return code;
  }
  return ERROR_WINHTTP_INVALID_OPTION;
}

DWORD session::query_option(DWORD option, void* buffer, DWORD* length) noexcept {
  if (option == SLUICE_OPTION_LOOP_THREADS) {
    const std::lock_guard guard(lock_);
    return give_value(loop_threads_, buffer, length);
  }
  if (option == WINHTTP_OPTION_PROXY) {
    const std::lock_guard guard(lock_);
    return proxies_.query_option(buffer, length);
  }
  if (option == WINHTTP_OPTION_USER_AGENT) {
    const std::lock_guard guard(lock_);
    return give_text(agent_.view(), buffer, length);
  }
  return ERROR_WINHTTP_INVALID_OPTION;
}

DWORD session::copy_proxies(proxy_settings& to) const noexcept {
  const std::lock_guard guard(lock_);
  return to.copy_from(proxies_);
}

void session::append_agent(memory::growable<char>& to) const noexcept {
  const std::lock_guard guard(lock_);
  to.append(agent_.view());
}

} // namespace sluice::winhttp
