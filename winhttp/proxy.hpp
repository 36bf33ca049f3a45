#pragma once

#include "winhttp/options.hpp"

namespace sluice::winhttp {

/// Requests connect directly whatever the access type says, so a named proxy is refused instead of
/// being passed over (ERROR_NOT_SUPPORTED). `type` is a WINHTTP_ACCESS_TYPE_...; names are only
/// allowed with NAMED_PROXY (GET-01).
[[nodiscard]] inline DWORD check_access_type(DWORD type, const WCHAR* proxy,
                                             const WCHAR* bypass) noexcept {
  switch (type) {
  case WINHTTP_ACCESS_TYPE_NAMED_PROXY:
    return proxy == nullptr || *proxy == L'\0' ? ERROR_INVALID_PARAMETER : ERROR_NOT_SUPPORTED;
  case WINHTTP_ACCESS_TYPE_DEFAULT_PROXY:
  case WINHTTP_ACCESS_TYPE_NO_PROXY:
  case WINHTTP_ACCESS_TYPE_AUTOMATIC_PROXY:
    return proxy != nullptr || bypass != nullptr ? ERROR_INVALID_PARAMETER : ERROR_SUCCESS;
  default:
    return ERROR_INVALID_PARAMETER;
  }
}

/// WINHTTP_OPTION_PROXY.
[[nodiscard]] inline DWORD take_proxy(const void* buffer, DWORD length, DWORD& type) noexcept {
  if (buffer == nullptr) {
    return ERROR_INVALID_PARAMETER;
  }
  if (length != sizeof(WINHTTP_PROXY_INFO)) {
    return ERROR_INSUFFICIENT_BUFFER;
  }
  WINHTTP_PROXY_INFO info;
  std::memcpy(&info, buffer, sizeof(info));
  type = info.dwAccessType;
  return check_access_type(info.dwAccessType, info.lpszProxy, info.lpszProxyBypass);
}
[[nodiscard]] inline DWORD give_proxy(DWORD type, void* buffer, DWORD* length) noexcept {
  WINHTTP_PROXY_INFO info{};
  info.dwAccessType = type;
  return give_value(info, buffer, length);
}

} // namespace sluice::winhttp
