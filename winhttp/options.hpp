#pragma once

#include <sluice/winhttp.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace sluice::winhttp {

/// The options whose value is a DWORD that sessions and requests keep. A request starts with the
/// values of its session and is independent afterwards (OPT-07).
enum class dword_option : std::uint8_t {
  resolve_timeout,
  connect_timeout,
  connect_retries,
  send_timeout,
  receive_timeout,
  receive_response_timeout,
  security_flags,
  disable_feature,
  max_conns_per_server,
  max_conns_per_1_0_server,
  autologon_policy,
  secure_protocols,
  redirect_policy,
  max_automatic_redirects,
  max_status_continue,
  max_response_header_bytes,
  max_response_drain_bytes,
  reject_userpwd,
  assured_non_blocking_callbacks,
  receive_buffer_bytes,
  send_buffer_bytes,
  enable_http_protocol,
  ipv6_fast_fallback, // the last
};
inline constexpr std::size_t dword_option_count =
    static_cast<std::size_t>(dword_option::ipv6_fast_fallback) + 1;

/// Their values; each is atomic by itself, so that any thread may read and set them.
class dword_options {
public:
  dword_options() noexcept; // the defaults
  explicit dword_options(const dword_options& inherited) noexcept;
  dword_options& operator=(const dword_options&) = delete;

  [[nodiscard]] DWORD get(dword_option which) const noexcept {
    return values_[index(which)].load(std::memory_order_relaxed);
  }
  void set(dword_option which, DWORD value) noexcept {
    values_[index(which)].store(value, std::memory_order_relaxed);
    explicit_.fetch_or(std::uint32_t{1} << index(which), std::memory_order_relaxed);
  }
  /// Set by the application, here or on the session before this was made.
  [[nodiscard]] bool was_set(dword_option which) const noexcept {
    return (explicit_.load(std::memory_order_relaxed) & (std::uint32_t{1} << index(which))) != 0;
  }
  /// A time-out as it counts; zero = none (TMO-08: 0 and -1 are infinite). Until it is set, that
  /// for the response reads as infinite, but is not (TMO-03).
  [[nodiscard]] std::chrono::milliseconds timeout(dword_option which) const noexcept {
    if (which == dword_option::receive_response_timeout && !was_set(which)) {
      return default_response_timeout;
    }
    const DWORD value = get(which);
    return std::chrono::milliseconds(value == INFINITE ? 0 : value);
  }

private:
  static constexpr std::chrono::seconds default_response_timeout{90};

  [[nodiscard]] static constexpr std::size_t index(dword_option which) noexcept {
    return static_cast<std::size_t>(which);
  }

  std::array<std::atomic<DWORD>, dword_option_count> values_;
  std::atomic<std::uint32_t> explicit_{0};
};
static_assert(dword_option_count <= 32, "explicit_ has a bit for each");

/// Answers a query with `size` bytes (GET-10): ERROR_INSUFFICIENT_BUFFER and the size when there is
/// no room. `length` is not null. Objects use it in query_option().
[[nodiscard]] DWORD give_bytes(const void* value, std::size_t size, void* buffer,
                               DWORD* length) noexcept;
template <typename T>
[[nodiscard]] DWORD give_value(const T& value, void* buffer, DWORD* length) noexcept {
  return give_bytes(&value, sizeof(value), buffer, length);
}
/// Answers a query with text as a NUL-terminated WCHAR string; the size includes the NUL.
[[nodiscard]] DWORD give_text(std::string_view text, void* buffer, DWORD* length) noexcept;

/// Takes a DWORD of a set (GET-09): `wrong_length` is the code for a size other than 4.
[[nodiscard]] inline DWORD take_dword(const void* buffer, DWORD length, DWORD& value,
                                      DWORD wrong_length = ERROR_INSUFFICIENT_BUFFER) noexcept {
  if (buffer == nullptr || length != sizeof(DWORD)) {
    return length != 0 && buffer == nullptr ? ERROR_INVALID_PARAMETER : wrong_length;
  }
  std::memcpy(&value, buffer, sizeof(value));
  return ERROR_SUCCESS;
}

class object;

/// The rules of WinHttpSetOption and WinHttpQueryOption for a pinned object: which kinds have an
/// option at all, sizes, defaults; everything that is not a plain DWORD goes on to the object.
[[nodiscard]] DWORD set_option(object& of, DWORD option, const void* buffer, DWORD length) noexcept;
[[nodiscard]] DWORD query_option(object& of, DWORD option, void* buffer, DWORD* length) noexcept;

} // namespace sluice::winhttp
