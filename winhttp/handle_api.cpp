// Functions for handles of any kind.

#include "winhttp/handle_table.hpp"
#include "winhttp/last_error.hpp"
#include "winhttp/options.hpp"
#include "winhttp/request.hpp"
#include "winhttp/session.hpp"

using namespace sluice::winhttp;

namespace {

// The DWORD options of a session or a request; nullptr and a code for anything else.
dword_options* settable_dwords(object* of, DWORD& code) noexcept {
  if (of == nullptr) {
    code = ERROR_INVALID_HANDLE;
    return nullptr;
  }
  switch (of->kind) {
  case handle_kind::session:
    return &static_cast<session*>(of)->dwords();
  case handle_kind::request:
    return &static_cast<request*>(of)->dwords();
  case handle_kind::connection:
  case handle_kind::websocket:
    break;
  }
  code = ERROR_WINHTTP_INCORRECT_HANDLE_TYPE;
  return nullptr;
}

} // namespace

BOOL WINAPI WinHttpCloseHandle(HINTERNET handle) {
  return finish(close_handle(handle));
}

BOOL WINAPI WinHttpSetOption(HINTERNET handle, DWORD option, LPVOID buffer, DWORD length) {
  const pin pinned(handle);
  if (pinned.get() == nullptr) {
    return finish(ERROR_INVALID_HANDLE);
  }
  return finish(set_option(*pinned.get(), option, buffer, length));
}

BOOL WINAPI WinHttpQueryOption(HINTERNET handle, DWORD option, LPVOID buffer, LPDWORD length) {
  if (length == nullptr) {
    return finish(ERROR_INVALID_PARAMETER);
  }
  const pin pinned(handle);
  if (pinned.get() == nullptr) {
    return finish(ERROR_INVALID_HANDLE);
  }
  return finish(query_option(*pinned.get(), option, buffer, length));
}

WINHTTP_STATUS_CALLBACK WINAPI WinHttpSetStatusCallback(HINTERNET handle,
                                                        WINHTTP_STATUS_CALLBACK callback,
                                                        DWORD mask, DWORD_PTR reserved) {
  const pin pinned(handle);
  if (reserved != 0 || pinned.get() == nullptr) {
    SetLastError(reserved != 0 ? ERROR_INVALID_PARAMETER : ERROR_INVALID_HANDLE);
    // NOLINTNEXTLINE(performance-no-int-to-ptr): -1 by definition
    return WINHTTP_INVALID_STATUS_CALLBACK;
  }
  SetLastError(ERROR_SUCCESS);
  return pinned.get()->set_callback(callback, mask);
}

BOOL WINAPI WinHttpSetTimeouts(HINTERNET handle, int resolve, int connect, int send, int receive) {
  if (resolve < -1 || connect < -1 || send < -1 || receive < -1) {
    return finish(ERROR_INVALID_PARAMETER); // GET-12
  }
  const pin pinned(handle);
  DWORD code = ERROR_SUCCESS;
  dword_options* dwords = settable_dwords(pinned.get(), code);
  if (dwords == nullptr) {
    return finish(code);
  }
  dwords->set(dword_option::resolve_timeout, static_cast<DWORD>(resolve));
  dwords->set(dword_option::connect_timeout, static_cast<DWORD>(connect));
  dwords->set(dword_option::send_timeout, static_cast<DWORD>(send));
  dwords->set(dword_option::receive_timeout, static_cast<DWORD>(receive));
  return finish(ERROR_SUCCESS);
}

BOOL WINAPI WinHttpCheckPlatform(void) {
  return finish(ERROR_SUCCESS);
}
