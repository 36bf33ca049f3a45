#pragma once

#include <sluice/winhttp.h>

#include <chrono>
#include <cstddef>
#include <cstdint>

/// The places where nothing is known about what Windows does and this project had to decide. Each
/// decision of the socket functions is one name here, so that a later measurement on Windows
/// changes one line. Decisions about received bytes live in core, where the bytes
/// are, those about requests and options where these are; X-03 (the last error is left alone) and
/// X-28 (neither text nor reasons are checked for UTF-8 when sent) are code that is absent.
namespace sluice::winhttp::decision {

/// Decision X-16: a synchronous Receive without its out-pointers.
inline constexpr DWORD missing_out_pointer = ERROR_INVALID_PARAMETER;

/// Decision X-17: a second synchronous call on a side that is busy with another thread's call.
inline constexpr DWORD concurrent_call = ERROR_INVALID_OPERATION;

/// Decision X-18, SND-29: a Send on a link that failed earlier with `latched`.
[[nodiscard]] constexpr DWORD send_on_failed_link(DWORD latched) noexcept {
  return latched == ERROR_WINHTTP_CONNECTION_ERROR ? ERROR_WINHTTP_CONNECTION_ERROR
                                                   : ERROR_INVALID_OPERATION;
}

/// X-18 too, RCV-21, CLO-28: a Receive, Shutdown or Close on such a link repeats the error.
[[nodiscard]] constexpr DWORD call_on_failed_link(DWORD latched) noexcept {
  return latched;
}

/// Decision X-19: after a protocol violation by the peer one close frame is tried, then the
/// connection goes.
inline constexpr bool answer_violation_with_close_frame = true;

/// Decision X-27: CLOSE (or a value that is no buffer type) as the type of a Send.
inline constexpr DWORD send_of_non_data_type = ERROR_INVALID_PARAMETER;

/// Decision X-29: AsyncResult.dwResult of every error of a socket; Operation says which call it
/// was.
inline constexpr DWORD_PTR socket_error_result = 0;

/// Decision X-37: CLOSE_COMPLETE and SHUTDOWN_COMPLETE also pass a mask that has these (NOT-09).
inline constexpr DWORD completions_mask =
    WINHTTP_CALLBACK_FLAG_READ_COMPLETE | WINHTTP_CALLBACK_FLAG_WRITE_COMPLETE;

/// Decision X-30: the peer takes not one byte for the send timeout; the link has failed then.
inline constexpr DWORD send_without_progress = ERROR_WINHTTP_TIMEOUT;

/// Decision X-31: a Shutdown beside another thread's Send waits for that frame, instead of failing.
inline constexpr bool shutdown_waits_for_send = true;

/// Decision X-32: which close statuses an application may give, other than those of RFC 6455
/// section 7.4: 1005 stands for a close frame without payload and then allows no reason.
inline constexpr USHORT status_for_empty_close_frame = WINHTTP_WEB_SOCKET_EMPTY_CLOSE_STATUS;

/// Decision X-33: the peer's close frame does not come within the close timeout; the connection is
/// aborted.
inline constexpr DWORD close_timer_expired = ERROR_WINHTTP_TIMEOUT;

/// Decision X-40: the close timeout in milliseconds before it is set; these two values mean no
/// limit.
inline constexpr DWORD default_close_timeout_ms = 10000;
[[nodiscard]] constexpr bool is_no_close_timeout(DWORD milliseconds) noexcept {
  return milliseconds == 0 || milliseconds == 0xFFFFFFFFu;
}

/// OPT-05, X-40: a wrong length for an option of sockets, where other options say
/// ERROR_INSUFFICIENT_BUFFER.
inline constexpr DWORD wrong_option_length = ERROR_INVALID_PARAMETER;

/// CTL-06: the keep-alive interval in milliseconds where nothing else is set.
inline constexpr DWORD default_keepalive_ms = 30000;

/// Decision X-34, OPT-19: what arrives without a Receive is read ahead, by the loop of an
/// asynchronous socket at once and for a synchronous one by a thread that comes by once a period.
/// True if more may be read to what is unread: RECEIVE_BUFFER_SIZE bounds the bytes, and the
/// buffers they lie in, of which small frames that come one by one would take many. The last read
/// may go beyond it by what one buffer holds.
inline constexpr std::chrono::milliseconds care_period{250};
[[nodiscard]] constexpr bool may_read_ahead(std::size_t unread_bytes, std::size_t buffer_count,
                                            DWORD receive_buffer_bytes) noexcept {
  constexpr std::size_t least_buffers = 4;
  constexpr std::size_t buffer_bytes = 4096;
  return (unread_bytes < receive_buffer_bytes || unread_bytes == 0) &&
         buffer_count < least_buffers + receive_buffer_bytes / buffer_bytes;
}

/// Decision X-36: the default interval out of the environment variable
/// WINHTTP_WEBSOCKET_KEEPALIVE_MS, where Windows has a registry value. `text` is a decimal number
/// of milliseconds, raised to the minimum of 15000 (OPT-05); anything else, or nullptr, gives the
/// default.
[[nodiscard]] inline DWORD keepalive_ms_from(const char* text) noexcept {
  if (text == nullptr || *text == '\0') {
    return default_keepalive_ms;
  }
  std::uint64_t value = 0;
  for (const char* p = text; *p != '\0'; ++p) {
    if (*p < '0' || *p > '9') {
      return default_keepalive_ms;
    }
    value = value * 10 + static_cast<std::uint64_t>(*p - '0');
    if (value > UINT32_MAX) {
      return default_keepalive_ms;
    }
  }
  return value < WINHTTP_WEB_SOCKET_MIN_KEEPALIVE_VALUE
             ? DWORD{WINHTTP_WEB_SOCKET_MIN_KEEPALIVE_VALUE}
             : static_cast<DWORD>(value);
}

/// Decision X-35: the keep-alive interval starts again after each data frame of our own.
inline constexpr bool own_data_postpones_keepalive = true;

} // namespace sluice::winhttp::decision
