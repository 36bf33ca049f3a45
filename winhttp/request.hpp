#pragma once

#include "core/client_handshake.hpp"
#include "core/http_head.hpp"
#include "core/slice_queue.hpp"
#include "io/cancel.hpp"
#include "io/stream.hpp"
#include "winhttp/connection.hpp"
#include "winhttp/connection_facts.hpp"
#include "winhttp/credentials.hpp"
#include "winhttp/header_list.hpp"
#include "winhttp/object.hpp"
#include "winhttp/options.hpp"
#include "winhttp/proxy.hpp"
#include "winhttp/response_body.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>

namespace sluice::winhttp {

/// What a WebSocket takes over from the request that was upgraded.
struct upgraded {
  io::stream transport;
  slice_queue behind_head; // bytes that came behind the 101 head: the first input (HSK-30)
  std::chrono::milliseconds send_timeout{0}; // zero = none (TMO-05)
};

/// Where a request goes: the server, and what stands in the request line.
struct request_target {
  memory::growable<char> host; // ASCII, with its NUL, IPv6 without brackets
  std::uint16_t port = 0;      // never 0
  bool secure = false;
  memory::growable<char> path; // origin form, starts with '/'; no NUL

  [[nodiscard]] bool ok() const noexcept { return host.ok() && path.ok(); }
  [[nodiscard]] std::string_view host_view() const noexcept {
    return {host.data(), host.size() - 1};
  }
  [[nodiscard]] bool same_origin(const request_target& other) const noexcept;
  /// `host[:port]` as it stands in a Host field or a URL: without the port of the scheme.
  void append_authority(memory::growable<char>& to) const noexcept;
  void append_host(memory::growable<char>& to) const noexcept; // the same without any port
  void append_url(memory::growable<char>& to) const noexcept;
  void copy_from(const request_target& other) noexcept;
};

/// The proxy of one hop, if there is one.
struct proxy_route {
  memory::growable<char> host; // with its NUL; empty: the target is reached directly
  std::uint16_t port = 0;
  bool secure = false;
  bool tunnels = false; // by CONNECT; else the proxy gets the request itself, with a whole URL

  [[nodiscard]] bool used() const noexcept { return !host.empty(); }
  [[nodiscard]] std::string_view host_view() const noexcept {
    return {host.data(), host.size() - 1};
  }
  [[nodiscard]] bool same_server(const proxy_route& other) const noexcept;
};

/// One HTTP request handle: headers and options, then any number of exchanges, one after the other.
///
/// Two things guard it. `lock_` is held for moments, never during I/O or a callback, and guards
/// what several threads may look at: headers, target, the published response. The claim (see
/// exchange_claim below) makes one thread the owner of the exchange: the connection, the inbox and
/// a head that is still being read. A call that needs the claim while another one has it fails with
/// ERROR_INVALID_OPERATION instead of waiting; this also makes callbacks that call back harmless.
class request final : public object {
public:
  static constexpr handle_kind of_kind = handle_kind::request;

  /// What WinHttpOpenRequest was given, converted and checked.
  struct opening {
    memory::growable<char> verb;
    memory::growable<char> path;
    bool http_1_0 = false;
    bool secure = false;
    bool refresh = false;
    header_list headers; // Referer and Accept
  };

  request(connection& parent, opening&& from) noexcept;

  /// False if the constructor ran out of memory: then only good to be dropped.
  [[nodiscard]] bool ok() const noexcept { return ok_; }

  // object
  void on_close() noexcept override;
  void on_released() noexcept override;
  DWORD set_option(DWORD option, const void* buffer, DWORD length) noexcept override;
  DWORD query_option(DWORD option, void* buffer, DWORD* length) noexcept override;
  [[nodiscard]] HINTERNET parent_handle() const noexcept override { return parent_->handle(); }

  [[nodiscard]] dword_options& dwords() noexcept { return dwords_; }
  /// TLS-01: SECURITY_FLAG_SECURE and a strength after the handshake of an exchange, else 0.
  [[nodiscard]] DWORD security() const noexcept {
    return security_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] connection& parent() const noexcept { return *parent_; }
  /// HND-03: completions are notifications, and the functions below that end in _async run the
  /// others on worker threads.
  [[nodiscard]] bool asynchronous() const noexcept { return parent_->parent().asynchronous(); }

  /// GET-07. `lines` is UTF-8; nothing is changed on failure.
  [[nodiscard]] DWORD add_headers(std::string_view lines, DWORD modifiers) noexcept;

  /// GET-28: for the exchanges that begin from now on.
  [[nodiscard]] DWORD set_credentials(DWORD target, DWORD scheme, const WCHAR* user,
                                      const WCHAR* password) noexcept;
  /// What the response, a 401 or 407, asks for. ERROR_INVALID_OPERATION without such a response;
  /// ERROR_WINHTTP_HEADER_NOT_FOUND when it does not say.
  [[nodiscard]] DWORD query_auth_schemes(offered_schemes& schemes, DWORD& target) const noexcept;

  /// GET-13 and following; `extra_lines` are added first with ADD and REPLACE. `body` is sent
  /// behind the head; `total_bytes` is the length of the whole body, of which the rest comes by
  /// write_data().
  [[nodiscard]] DWORD send(std::string_view extra_lines, std::span<const std::byte> body,
                           DWORD total_bytes, DWORD_PTR new_context) noexcept;
  /// Sends more of the body. ERROR_WINHTTP_INCORRECT_HANDLE_STATE: there is none to be sent, or
  /// less than `more`.
  [[nodiscard]] DWORD write_data(std::span<const std::byte> more) noexcept;

  /// Waits for the final response head: 1xx skipped, redirects followed, a 101 checked.
  [[nodiscard]] DWORD receive_response() noexcept;

  /// GET-21 to GET-24.
  [[nodiscard]] DWORD query_headers(DWORD info_level, const WCHAR* name, void* buffer,
                                    DWORD* length, DWORD* index) noexcept;

  [[nodiscard]] DWORD query_data_available(DWORD& available) noexcept;          // GET-26
  [[nodiscard]] DWORD read_data(std::span<std::byte> to, DWORD& read) noexcept; // GET-27

  // Of asynchronous handles (request_async.cpp). 0: exactly one completion comes, perhaps before
  // they return. Any other code: none comes.

  /// GET-14, GET-15, HSK-51: completes when the head of the response has been read.
  [[nodiscard]] DWORD send_async(std::string_view extra_lines, std::span<const std::byte> body,
                                 DWORD total_bytes, DWORD_PTR new_context) noexcept;
  [[nodiscard]] DWORD write_data_async(std::span<const std::byte> more) noexcept;
  /// HSK-50, HSK-52, GET-20.
  [[nodiscard]] DWORD receive_response_async() noexcept;
  [[nodiscard]] DWORD query_data_available_async() noexcept;
  [[nodiscard]] DWORD read_data_async(std::span<std::byte> to) noexcept;

  /// Hands the connection of a 101 over, once per exchange. Waits for the response if nobody has
  /// received it yet (CUP-16). ERROR_INVALID_OPERATION: the upgrade option is not set or nothing
  /// was sent (CUP-03), the status is not 101 (CUP-04), the connection was taken already (CUP-05),
  /// or another call is active; otherwise what receive_response() returns. On failure `out` is
  /// untouched and, but for failures of the wait, so is the request.
  [[nodiscard]] DWORD take_upgraded(upgraded& out) noexcept;

private:
  friend class exchange_claim;
  struct job;

  enum class phase : std::uint8_t {
    idle,     // nothing sent, or the last exchange failed
    sent,     // the request is on the wire
    answered, // the response head is published
    taken,    // answered, and a WebSocket has the connection
  };

  // request.cpp
  void set_phase(phase reached) noexcept;
  void drop_exchange() noexcept;

  // request_async.cpp
  [[nodiscard]] bool try_claim() noexcept {
    return !claimed_.exchange(true, std::memory_order_acquire);
  }
  void unclaim() noexcept { claimed_.store(false, std::memory_order_release); }
  [[nodiscard]] DWORD start_job(job* made) noexcept;
  [[nodiscard]] DWORD claim_for_body() noexcept;
  void run_send(std::span<const std::byte> body, DWORD total_bytes) noexcept;
  void run_receive() noexcept;
  void notify_error(DWORD_PTR call, DWORD code) const noexcept;

  // request_send.cpp
  [[nodiscard]] DWORD send_claimed(std::string_view extra_lines, std::span<const std::byte> body,
                                   DWORD total_bytes, DWORD_PTR new_context) noexcept;
  [[nodiscard]] DWORD write_claimed(std::span<const std::byte> more) noexcept;
  [[nodiscard]] DWORD send_once() noexcept;
  [[nodiscard]] DWORD prepare(memory::growable<char>& head) noexcept;
  void append_generated(header_list& fields, std::string_view agent) const noexcept;
  void append_head(memory::growable<char>& head, const header_list& fields) const noexcept;
  void append_fields(memory::growable<char>& head, const header_list& fields) const noexcept;
  void append_line(memory::growable<char>& head) const noexcept;
  [[nodiscard]] bool goes_out(const header_list::field& field) const noexcept;
  [[nodiscard]] DWORD transmit(memory::growable<char>& head) noexcept;

  // request_connect.cpp
  [[nodiscard]] DWORD connect() noexcept;
  [[nodiscard]] DWORD start_tls(io::loop& on, const proxy_route* with_proxy) noexcept;
  [[nodiscard]] DWORD fail_tls(DWORD bits, bool of_proxy) noexcept;
  [[nodiscard]] DWORD transport_failure(error failed) const noexcept;
  [[nodiscard]] io::time_point connect_deadline() const noexcept;

  // request_tunnel.cpp
  [[nodiscard]] DWORD choose_proxy() noexcept;
  [[nodiscard]] DWORD open_tunnel(io::loop& on) noexcept;
  [[nodiscard]] DWORD append_connect(memory::growable<char>& head) noexcept;

  // request_auth.cpp
  [[nodiscard]] const credentials* user_for_server() const noexcept;
  [[nodiscard]] const credentials* user_for_proxy() const noexcept;
  [[nodiscard]] bool append_user(memory::growable<char>& head, std::string_view name,
                                 const credentials& user) const noexcept;
  [[nodiscard]] DWORD challenged_target() const noexcept;
  [[nodiscard]] bool answers_challenge() const noexcept;
  [[nodiscard]] DWORD note_challenge() noexcept;
  [[nodiscard]] DWORD repeat_with_user() noexcept;

  // request_receive.cpp
  [[nodiscard]] DWORD receive_claimed() noexcept;
  [[nodiscard]] DWORD read_head() noexcept;
  [[nodiscard]] DWORD read_final_head() noexcept;
  void begin_head() noexcept;
  [[nodiscard]] DWORD read_heads() noexcept;
  void read_ahead() noexcept;
  [[nodiscard]] DWORD query_claimed(DWORD& available) noexcept;
  [[nodiscard]] DWORD read_claimed(std::span<std::byte> to, DWORD& read) noexcept;
  [[nodiscard]] DWORD accept_head() noexcept;
  [[nodiscard]] error read_input(io::time_point deadline) noexcept;
  [[nodiscard]] DWORD read_body_input() noexcept;

  // request_redirect.cpp
  [[nodiscard]] bool wants_redirect() const noexcept;
  /// The response that was read is not the last one: another request follows by itself.
  [[nodiscard]] bool goes_on() const noexcept { return answers_challenge() || wants_redirect(); }
  [[nodiscard]] bool allows_redirect(const request_target& next) const noexcept;
  [[nodiscard]] DWORD follow_redirect(request_target&& next) noexcept;
  [[nodiscard]] DWORD resolve_location(std::string_view location,
                                       request_target& next) const noexcept;

  // request_query.cpp
  [[nodiscard]] DWORD find_text(DWORD level, bool of_request, std::string_view name, DWORD nth,
                                memory::growable<char>& text) const noexcept;

  const object_ref<connection> parent_;
  const bool http_1_0_;
  const bool refresh_;
  std::atomic<bool> claimed_{false};
  std::atomic<bool> upgrade_{false}; // never taken back (GET-08)
  std::atomic<bool> revocation_{false};
  std::atomic<DWORD> security_{0};    // of the connection: SECURITY_FLAG_...
  std::atomic<DWORD> tls_version_{0}; // of the connection: WINHTTP_FLAG_SECURE_PROTOCOL_...
  dword_options dwords_;
  io::cancel_source cancel_;

  // Written by the claim's owner under lock_: the owner may read without it.
  mutable std::mutex lock_;
  const memory::growable<char> verb_;
  header_list headers_; // written by anyone under lock_, as the next two
  proxy_settings proxies_;
  credential_store users_;
  connection_facts facts_; // of the last connection
  request_target original_;
  request_target current_; // the last hop, after redirects
  memory::growable<char> current_verb_;
  bool exchange_upgrades_ = false;
  bool cross_origin_ = false; // a redirect led away from the original server
  proxy_route route_;         // of the last hop
  proxy_route challenger_;    // the proxy that asked last who we are
  bool server_asked_ = false; // and so did the original server
  bool from_proxy_ = false;   // the response is that of a proxy that refused the tunnel (PRX-05)
  phase phase_ = phase::idle;
  std::optional<http_response_head> head_; // for others from phase::answered on
  bool ok_ = true;
  bool send_running_ = false;   // a worker is inside run_send()
  bool receive_wanted_ = false; // and goes on with ReceiveResponse (HSK-52)

  // The claim's owner alone.
  std::span<const std::byte> body_{}; // of the caller, during send() only
  bool had_body_ = false;
  // For write_data(). Of a body with a transfer coding, which the application makes: any length.
  static constexpr std::uint64_t any_length = UINT64_MAX;
  std::uint64_t body_left_ = 0;
  handshake_key key_{};
  memory::growable<char> offered_;  // subprotocols of the request
  io::time_point connecting_since_; // to the address that was tried last
  io::stream transport_;
  slice_queue inbox_;
  io::time_point response_deadline_ = io::no_deadline;
  response_body response_body_;
  bool has_read_ahead_ = false; // the final head, or the failure to read it, is there already
  DWORD read_ahead_code_ = 0;
};

/// Makes the calling thread the owner of a request's exchange for its scope, if nobody is.
class exchange_claim {
public:
  explicit exchange_claim(request& of) noexcept : of_(of), got_(of.try_claim()) {}
  ~exchange_claim() {
    if (got_) {
      of_.unclaim();
    }
  }
  exchange_claim(const exchange_claim&) = delete;
  exchange_claim& operator=(const exchange_claim&) = delete;
  explicit operator bool() const noexcept { return got_; }

private:
  request& of_;
  const bool got_;
};

} // namespace sluice::winhttp
