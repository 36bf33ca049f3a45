#include "winhttp/options.hpp"

#include "io/loop.hpp"
#include "simd/kernels.hpp"
#include "winhttp/connection.hpp"
#include "winhttp/error_map.hpp"
#include "winhttp/handle_table.hpp"
#include "winhttp/object.hpp"
#include "winhttp/request.hpp"
#include "winhttp/session.hpp"
#include "winhttp/text.hpp"

#include <sluice/extensions.h>

namespace sluice::winhttp {
namespace {

// Kinds of handles as bits.
enum : std::uint8_t {
  none = 0,
  on_session = 1,
  on_connection = 2,
  on_request = 4,
  on_websocket = 8,
  on_all = 15,
};

constexpr std::uint8_t kind_bit(handle_kind kind) noexcept {
  switch (kind) {
  case handle_kind::session:
    return on_session;
  case handle_kind::connection:
    return on_connection;
  case handle_kind::request:
    return on_request;
  case handle_kind::websocket:
    return on_websocket;
  }
  return none;
}

enum class shape : std::uint8_t {
  dword,   // a value of dword_options
  special, // answered by query_option() or the object
};

constexpr bool any_value(DWORD) noexcept {
  return true;
}
constexpr bool is_autologon_policy(DWORD value) noexcept {
  return value <= WINHTTP_AUTOLOGON_SECURITY_LEVEL_MAX;
}
constexpr bool is_redirect_policy(DWORD value) noexcept {
  return value <= WINHTTP_OPTION_REDIRECT_POLICY_LAST;
}
// TLS-02: the four IGNORE_ flags, nothing that only a connection can know.
constexpr bool is_settable_security(DWORD value) noexcept {
  return (value &
          ~(SECURITY_FLAG_IGNORE_UNKNOWN_CA | SECURITY_FLAG_IGNORE_CERT_WRONG_USAGE |
            SECURITY_FLAG_IGNORE_CERT_CN_INVALID | SECURITY_FLAG_IGNORE_CERT_DATE_INVALID)) == 0;
}

struct row {
  DWORD option;
  std::uint8_t set_on;   // kinds that take it
  std::uint8_t query_on; // kinds that answer it
  shape form;
  dword_option value = dword_option::resolve_timeout; // of shape::dword
  bool (*accepts)(DWORD) noexcept = &any_value;
};

constexpr std::uint8_t both = on_session | on_request;
constexpr std::uint8_t with_connection = on_session | on_connection | on_request;

// Section 17 of the contract, and what else WinHTTP has for the four kinds of handles. Absent
// options are ERROR_WINHTTP_INVALID_OPTION everywhere (OPT-20). Decisions:
// UNLOAD_NOTIFY_EVENT and the three that take or give certificates as objects of Windows are
// absent.
constexpr row rows[] = {
    // OPT-14: a connection shows the session's time-outs.
    {WINHTTP_OPTION_RESOLVE_TIMEOUT, both, with_connection, shape::dword,
     dword_option::resolve_timeout},
    {WINHTTP_OPTION_CONNECT_TIMEOUT, both, with_connection, shape::dword,
     dword_option::connect_timeout},
    {WINHTTP_OPTION_SEND_TIMEOUT, both, with_connection, shape::dword, dword_option::send_timeout},
    {WINHTTP_OPTION_RECEIVE_TIMEOUT, both, with_connection, shape::dword,
     dword_option::receive_timeout},
    {WINHTTP_OPTION_RECEIVE_RESPONSE_TIMEOUT, both, with_connection, shape::dword,
     dword_option::receive_response_timeout},
    {WINHTTP_OPTION_HANDLE_TYPE, none, on_all, shape::special},           // OPT-10
    {WINHTTP_OPTION_PARENT_HANDLE, none, on_all, shape::special},         // OPT-11
    {WINHTTP_OPTION_SECURITY_FLAGS, on_request, on_request, shape::dword, // OPT-12
     dword_option::security_flags, &is_settable_security},
    {WINHTTP_OPTION_URL, none, on_request, shape::special},
    {WINHTTP_OPTION_PROXY, both, both, shape::special},
    {WINHTTP_OPTION_USER_AGENT, on_session, on_session, shape::special},
    {WINHTTP_OPTION_CONTEXT_VALUE, on_all, on_all, shape::special},              // OPT-09
    {WINHTTP_OPTION_DISABLE_FEATURE, on_request, none, shape::special},          // OPT-15
    {WINHTTP_OPTION_ENABLE_FEATURE, on_request, none, shape::special},           // OPT-16
    {WINHTTP_OPTION_WORKER_THREAD_COUNT, none, with_connection, shape::special}, // OPT-17
    {WINHTTP_OPTION_SECURE_PROTOCOLS, on_session, none, shape::dword,            // OPT-13
     dword_option::secure_protocols},
    {WINHTTP_OPTION_REDIRECT_POLICY, both, both, shape::dword, // OPT-18
     dword_option::redirect_policy, &is_redirect_policy},
    {WINHTTP_OPTION_MAX_HTTP_AUTOMATIC_REDIRECTS, both, both, shape::dword,
     dword_option::max_automatic_redirects},
    {WINHTTP_OPTION_MAX_HTTP_STATUS_CONTINUE, both, both, shape::dword,
     dword_option::max_status_continue},
    {WINHTTP_OPTION_MAX_RESPONSE_HEADER_SIZE, both, both, shape::dword,
     dword_option::max_response_header_bytes},
    {WINHTTP_OPTION_REJECT_USERPWD_IN_URL, both, both, shape::dword, dword_option::reject_userpwd},
    // OPT-01, decision X-06: other kinds do not take it.
    {WINHTTP_OPTION_UPGRADE_TO_WEB_SOCKET, on_request, none, shape::special},
    {WINHTTP_OPTION_WEB_SOCKET_CLOSE_TIMEOUT, on_websocket, on_websocket, shape::special}, // OPT-08
    {WINHTTP_OPTION_WEB_SOCKET_KEEPALIVE_INTERVAL, on_websocket, none, shape::special},    // OPT-05
    {WINHTTP_OPTION_WEB_SOCKET_RECEIVE_BUFFER_SIZE, both, both, shape::dword,              // OPT-02
     dword_option::receive_buffer_bytes},
    {WINHTTP_OPTION_WEB_SOCKET_SEND_BUFFER_SIZE, both, both, shape::dword, // OPT-03
     dword_option::send_buffer_bytes},
    {WINHTTP_OPTION_USERNAME, on_request, on_request, shape::special},
    {WINHTTP_OPTION_PASSWORD, on_request, on_request, shape::special},
    {WINHTTP_OPTION_PROXY_USERNAME, on_request, on_request, shape::special},
    {WINHTTP_OPTION_PROXY_PASSWORD, on_request, on_request, shape::special},
    {WINHTTP_OPTION_HTTP_PROTOCOL_USED, none, on_request, shape::special},
    // Kept and read back, but nothing depends on them: every exchange has a connection of its own,
    // one attempt per address, both address families at once, HTTP/1.1, nothing to drain, no
    // automatic credentials.
    {WINHTTP_OPTION_CONNECT_RETRIES, both, both, shape::dword, dword_option::connect_retries},
    {WINHTTP_OPTION_MAX_CONNS_PER_SERVER, on_session, on_session, shape::dword,
     dword_option::max_conns_per_server},
    {WINHTTP_OPTION_MAX_CONNS_PER_1_0_SERVER, on_session, on_session, shape::dword,
     dword_option::max_conns_per_1_0_server},
    {WINHTTP_OPTION_AUTOLOGON_POLICY, on_request, on_request, shape::dword,
     dword_option::autologon_policy, &is_autologon_policy},
    {WINHTTP_OPTION_MAX_RESPONSE_DRAIN_SIZE, both, both, shape::dword,
     dword_option::max_response_drain_bytes},
    {WINHTTP_OPTION_ASSURED_NON_BLOCKING_CALLBACKS, on_session, on_session, shape::dword,
     dword_option::assured_non_blocking_callbacks},
    {WINHTTP_OPTION_ENABLE_HTTP_PROTOCOL, both, both, shape::dword,
     dword_option::enable_http_protocol},
    {WINHTTP_OPTION_IPV6_FAST_FALLBACK, on_session, on_session, shape::dword,
     dword_option::ipv6_fast_fallback},
    {WINHTTP_OPTION_CONNECTION_INFO, none, on_request, shape::special},
    {WINHTTP_OPTION_SECURITY_CERTIFICATE_STRUCT, none, on_request, shape::special}, // TLS-12
    {WINHTTP_OPTION_SECURITY_KEY_BITNESS, none, on_request, shape::special},
    {SLUICE_OPTION_BACKEND_NAME, none, on_all, shape::special},
    {SLUICE_OPTION_KERNEL_NAME, none, on_all, shape::special},
    {SLUICE_OPTION_TLS_CA_FILE, on_session, none, shape::special},
    {SLUICE_OPTION_TLS_CA_DIRECTORY, on_session, none, shape::special},
    {SLUICE_OPTION_TLS_CA_PEM, on_session, none, shape::special},
    {SLUICE_OPTION_TLS_REVOCATION_FILE, on_session, none, shape::special},
    {SLUICE_OPTION_TLS_CLIENT_CERTIFICATE, on_session, none, shape::special},
    {SLUICE_OPTION_TLS_KEY_LOG, on_session, none, shape::special},
    {SLUICE_OPTION_TLS_VERSION, none, on_request, shape::special},
    {SLUICE_OPTION_LOOP_THREADS, on_session, on_session, shape::special},
};

const row* find_row(DWORD option) noexcept {
  for (const row& candidate : rows) {
    if (candidate.option == option) {
      return &candidate;
    }
  }
  return nullptr;
}

// Where the DWORD values of a session, a request, or (to read) a connection live.
dword_options& dwords_of(object& of) noexcept {
  if (of.kind == handle_kind::request) {
    return static_cast<request&>(of).dwords();
  }
  if (of.kind == handle_kind::connection) {
    return static_cast<connection&>(of).parent().dwords();
  }
  return static_cast<session&>(of).dwords();
}

DWORD query_parent(const object& of, void* buffer, DWORD* length) noexcept {
  const HINTERNET parent = of.parent_handle();
  if (parent == nullptr) {
    return ERROR_INVALID_PARAMETER; // a session has none
  }
  // Decision X-41: the parent may have been closed before its child.
  return is_open(parent) ? give_value(parent, buffer, length)
                         : ERROR_WINHTTP_INCORRECT_HANDLE_STATE;
}

// The calling thread's loop is made if it has none yet, as its first blocking call would do.
DWORD query_backend_name(void* buffer, DWORD* length) noexcept {
  io::loop* found = nullptr;
  if (const error code = io::loop::for_this_thread(found); code != error::none) {
    return to_win32(code);
  }
  return give_text(io::to_string(found->io().kind()), buffer, length);
}

} // namespace

dword_options::dword_options() noexcept : values_{} {
  const auto preset = [this](dword_option which, DWORD value) {
    values_[index(which)].store(value, std::memory_order_relaxed);
  };
  preset(dword_option::resolve_timeout, 0);     // TMO-01
  preset(dword_option::connect_timeout, 60000); // TMO-02
  preset(dword_option::connect_retries, 5);
  preset(dword_option::send_timeout, 30000); // TMO-05
  preset(dword_option::receive_timeout, 30000);
  preset(dword_option::receive_response_timeout, INFINITE); // reads so (TMO-03)
  preset(dword_option::max_conns_per_server, INFINITE);
  preset(dword_option::max_conns_per_1_0_server, INFINITE);
  preset(dword_option::redirect_policy, WINHTTP_OPTION_REDIRECT_POLICY_DEFAULT);
  preset(dword_option::max_automatic_redirects, 10);          // HSK-40
  preset(dword_option::max_status_continue, 10);              // HSK-27
  preset(dword_option::max_response_header_bytes, 64 * 1024); // HSK-28
  preset(dword_option::max_response_drain_bytes, 1024 * 1024);
  preset(dword_option::receive_buffer_bytes, 32768); // OPT-07
  preset(dword_option::send_buffer_bytes, 32768);
  preset(dword_option::ipv6_fast_fallback, 1);
}

dword_options::dword_options(const dword_options& inherited) noexcept : values_{} {
  for (std::size_t i = 0; i < dword_option_count; ++i) {
    values_[i].store(inherited.values_[i].load(std::memory_order_relaxed),
                     std::memory_order_relaxed);
  }
  explicit_.store(inherited.explicit_.load(std::memory_order_relaxed), std::memory_order_relaxed);
}

DWORD give_bytes(const void* value, std::size_t size, void* buffer, DWORD* length) noexcept {
  const bool fits = buffer != nullptr && *length >= size;
  *length = static_cast<DWORD>(size);
  if (!fits) {
    return ERROR_INSUFFICIENT_BUFFER;
  }
  std::memcpy(buffer, value, size);
  return ERROR_SUCCESS;
}

DWORD give_text(std::string_view text, void* buffer, DWORD* length) noexcept {
  const std::size_t size = (wide_count(text) + 1) * sizeof(WCHAR);
  if (size > MAXDWORD) {
    return ERROR_NOT_ENOUGH_MEMORY;
  }
  const bool fits = buffer != nullptr && *length >= size;
  *length = static_cast<DWORD>(size);
  if (!fits) {
    return ERROR_INSUFFICIENT_BUFFER;
  }
  *write_wide(static_cast<WCHAR*>(buffer), text) = L'\0';
  return ERROR_SUCCESS;
}

DWORD set_option(object& of, DWORD option, const void* buffer, DWORD length) noexcept {
  const row* found = find_row(option);
  if (found == nullptr) {
    return ERROR_WINHTTP_INVALID_OPTION;
  }
  const std::uint8_t kind = kind_bit(of.kind);
  if ((found->set_on & kind) == 0) {
    // Decision X-42: an option that other kinds have. One that nobody can set says so.
    return (found->query_on & kind) != 0 && found->set_on == none
               ? ERROR_WINHTTP_OPTION_NOT_SETTABLE
               : ERROR_WINHTTP_INCORRECT_HANDLE_TYPE;
  }
  if (found->form == shape::dword) {
    DWORD value = 0;
    if (const DWORD code = take_dword(buffer, length, value); code != ERROR_SUCCESS) {
      return code;
    }
    if (!found->accepts(value)) {
      return ERROR_INVALID_PARAMETER;
    }
    dwords_of(of).set(found->value, value);
    return ERROR_SUCCESS;
  }
  if (option == WINHTTP_OPTION_CONTEXT_VALUE) { // HND-06
    if (buffer == nullptr && length != 0) {
      return ERROR_INVALID_PARAMETER;
    }
    if (buffer == nullptr || length != sizeof(DWORD_PTR)) {
      return ERROR_INSUFFICIENT_BUFFER;
    }
    DWORD_PTR value = 0;
    std::memcpy(&value, buffer, sizeof(value));
    of.set_context(value);
    return ERROR_SUCCESS;
  }
  return of.set_option(option, buffer, length);
}

DWORD query_option(object& of, DWORD option, void* buffer, DWORD* length) noexcept {
  if (length == nullptr) {
    return ERROR_INVALID_PARAMETER; // GET-10
  }
  const row* found = find_row(option);
  if (found == nullptr) {
    return ERROR_WINHTTP_INVALID_OPTION;
  }
  const std::uint8_t kind = kind_bit(of.kind);
  if ((found->query_on & kind) == 0) {
    // Set-only options are ERROR_INVALID_PARAMETER where they can be set (OPT-15, OPT-16), the
    // keep-alive interval everywhere (OPT-04).
    return (found->set_on & kind) != 0 || option == WINHTTP_OPTION_WEB_SOCKET_KEEPALIVE_INTERVAL
               ? ERROR_INVALID_PARAMETER
               : ERROR_WINHTTP_INCORRECT_HANDLE_TYPE;
  }
  if (option == WINHTTP_OPTION_SECURITY_FLAGS) { // TLS-01
    return give_value(dwords_of(of).get(found->value) | static_cast<request&>(of).security(),
                      buffer, length);
  }
  if (found->form == shape::dword) {
    return give_value(dwords_of(of).get(found->value), buffer, length);
  }
  switch (option) {
  case WINHTTP_OPTION_CONTEXT_VALUE:
    return give_value(of.context(), buffer, length);
  case WINHTTP_OPTION_HANDLE_TYPE:
    return give_value(static_cast<DWORD>(of.kind), buffer, length);
  case WINHTTP_OPTION_PARENT_HANDLE:
    return query_parent(of, buffer, length);
  case WINHTTP_OPTION_WORKER_THREAD_COUNT:
    return give_value(DWORD{0}, buffer, length);
  case SLUICE_OPTION_BACKEND_NAME:
    return query_backend_name(buffer, length);
  case SLUICE_OPTION_KERNEL_NAME:
    return give_text(simd::active_kernels().name, buffer, length);
  default:
    return of.query_option(option, buffer, length);
  }
}

} // namespace sluice::winhttp
