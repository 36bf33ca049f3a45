#pragma once

#include "core/client_handshake.hpp"
#include "core/frame_writer.hpp"
#include "core/http_head.hpp"
#include "core/message_rx.hpp"
#include "io/event_loop.hpp"
#include "io/lending.hpp"
#include "io/operation.hpp"
#include "io/stream.hpp"
#include "io/tls_engine.hpp"
#include "sluice/connection.hpp"

#include <netdb.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace sluice::io {

class connect_race;
struct lookup;

/// What only an opening handshake needs; gone once the connection is open.
struct opening {
  explicit opening(const limits& bounds) noexcept : request(bounds), response(bounds) {}
  ~opening();

  handshake_key key{};
  http_request_head request; // server

  // Client.
  http_response_head response;
  lookup* looking_up = nullptr;  // knows the connection until it is told to forget it
  addrinfo* addresses = nullptr; // owned, until they race
  connect_race* race = nullptr;  // under way
  memory::growable<char> request_text;
  memory::growable<char> offered; // the subprotocols
};

/// The TLS of a connection: its engine, and ciphertext on its way out (native_tls.cpp).
struct tls_link {
  memory::unique<tls_engine> engine;
  block* sealed = nullptr;            // being sent
  std::size_t sealed_plain_bytes = 0; // of the queue, in `sealed`
  std::size_t plain_bytes_left = 0;   // of this turn
  std::size_t records_left = 0;       // of this turn
  bool established = false;
  bool closed = false; // the peer has said close_notify
  bool ended = false;  // the next read says closed or failed, whatever is pending
};

/// The connection that asked for a look-up goes away.
void forget_asker(lookup& of) noexcept;

/// What is behind sluice::connection. Lives in its loop from start to finish(); a closed connection
/// stays until the kernel is done with its operations.
///
/// The receiving side: a completed receive puts its slice into the inbox of rx_ and runs the
/// connection; run() delivers until the inbox is empty (then the next receive is armed), the budget
/// is used up (then the loop runs it again later) or somebody asked it to stop. A multishot receive
/// stays armed meanwhile: its slices are collected and run once per turn of the loop, and it is
/// braked (cancelled; armed again when the inbox is empty) where a one-shot would not be armed.
class native_connection final : public sluice::connection, public loop_links {
public:
  /// Takes over `fd` (-1: a client that has yet to connect) and one reference to `settings`.
  native_connection(event_loop& home, role self, int fd, shared_settings& settings,
                    connection_handler& handler) noexcept;
  ~native_connection();

  // How it starts; for the loop.
  [[nodiscard]] error start_server(std::span<const std::byte> already_read) noexcept;
  [[nodiscard]] error start_client(const connect_settings& to) noexcept;

  // Called by the loop.
  void run() noexcept;
  void flush() noexcept;
  /// It has more to do than its turn allowed, and others wait: no more of it until it has caught
  /// up.
  void hold_back() noexcept;
  /// The last step: true when the kernel is done with it; on_close has been called and it is to be
  /// destroyed.
  [[nodiscard]] bool finish() noexcept;
  void end(error cause) noexcept; // at once, without a closing handshake
  void lending_eased() noexcept;
  void addresses_found(addrinfo* found, error failed) noexcept;
  void racing(connect_race* started) noexcept { opening_->race = started; }
  void connected(const socket_ref& socket) noexcept; // the race is over
  void not_connected(error failed) noexcept;

  [[nodiscard]] held_view hold(const view& what) noexcept;

  // sluice::connection.
  [[nodiscard]] error send_frame(opcode op, bool fin, std::span<const std::byte> payload) noexcept;
  [[nodiscard]] error send_message(message_type type, std::span<const std::byte> payload,
                                   bool fin) noexcept;
  [[nodiscard]] error send_ping(std::span<const std::byte> payload) noexcept;
  [[nodiscard]] error begin_close(std::uint16_t status, std::string_view reason) noexcept;
  void pause() noexcept;
  void resume() noexcept;
  void deliver_as(delivery how) noexcept;
  [[nodiscard]] error receive_into_buffer(std::span<std::byte> to) noexcept;
  [[nodiscard]] connection_state current_state() const noexcept { return state_; }
  [[nodiscard]] role self() const noexcept { return self_; }
  [[nodiscard]] bool mid_message() const noexcept { return sending_message_; }
  /// The socket was not taken over after all.
  void give_up_socket() noexcept { recv_.socket.fd = -1; }
  [[nodiscard]] std::uint64_t unique_id() const noexcept { return id_; }
  [[nodiscard]] const socket_ref& socket() const noexcept { return recv_.socket; }
  [[nodiscard]] event_loop& home_loop() const noexcept { return home_; }
  [[nodiscard]] std::size_t queued_bytes() const noexcept { return queued_bytes_; }
  void fill_stats(connection_stats& to) const noexcept;
  void add_to(loop_stats& to) const noexcept;
  [[nodiscard]] bool fill_tls_info(tls_info& to) const noexcept; // false without TLS
  [[nodiscard]] std::size_t peer_certificate(std::span<std::byte> to) const noexcept;

private:
  struct slice_sink;
  struct message_sink;

  [[nodiscard]] const connection_settings& limits_of() const noexcept { return settings_->values; }
  [[nodiscard]] static limits protocol_limits(const connection_settings& from) noexcept;

  // Receiving (native_receive.cpp).
  void on_received_slice() noexcept;
  template <role Self> void run_frames() noexcept;
  template <role Self> [[nodiscard]] rx_result next_event(rx_budget& budget) noexcept;
  [[nodiscard]] rx_result collect(rx_budget& budget) noexcept;
  [[nodiscard]] rx_result fill_callers_buffer(rx_budget& budget) noexcept;
  [[nodiscard]] bool handle(const rx_result& result) noexcept;
  void peer_closed() noexcept;
  void violated(error reason) noexcept;
  void handle_eof() noexcept;
  void lost(error reason) noexcept;
  [[nodiscard]] bool may_deliver() const noexcept;
  [[nodiscard]] bool may_read() noexcept;
  void arm_recv() noexcept;
  void brake() noexcept;
  [[nodiscard]] lend_account* account() noexcept;

  // Sending (native_send.cpp).
  [[nodiscard]] block* reserve(std::size_t bytes, block*& extra) noexcept;
  [[nodiscard]] error queue_bytes(std::string_view text) noexcept;
  void sent(std::int32_t result) noexcept;
  void drop_first_out_if_used() noexcept;
  void drop_queue() noexcept;
  [[nodiscard]] error send_close(std::uint16_t status, std::string_view reason) noexcept;
  void end_when_flushed(error cause, bool linger) noexcept;
  void flushed() noexcept;

  // TLS (native_tls.cpp); all but the last four only with tls_.
  [[nodiscard]] bool begin_tls_turn() noexcept;
  [[nodiscard]] bool shake_hands() noexcept;
  [[nodiscard]] bool unseal() noexcept;
  void note_tls_output() noexcept;
  void tls_failed() noexcept;
  void seal() noexcept;
  void sealed_sent(std::size_t count) noexcept;
  [[nodiscard]] error start_tls(const char* host, std::uint16_t port) noexcept;
  [[nodiscard]] bool has_unsent() const noexcept;
  [[nodiscard]] bool say_goodbye() noexcept;
  [[nodiscard]] error end_reason() const noexcept;
  /// Where received bytes go.
  [[nodiscard]] slice_queue& incoming() noexcept {
    return tls_ != nullptr ? tls_->engine->cipher_in() : rx_.inbox();
  }

  // The opening handshake (native_opening.cpp).
  void run_opening() noexcept;
  void answer_request() noexcept;
  void refuse(error reason, std::uint16_t http_status, std::string_view header_lines) noexcept;
  void check_response() noexcept;
  void opened(std::string_view subprotocol) noexcept;
  void fail_opening(error reason) noexcept;
  void connect_to_first() noexcept;

  // Time.
  void expired() noexcept;
  void check_liveness() noexcept;
  void arm_liveness() noexcept;
  void arm_close_timer() noexcept;

  // Hot: every received slice.
  event_loop& home_;
  shared_settings* settings_;
  std::uint64_t id_ = next_socket_id();
  role self_;
  connection_state state_;
  delivery delivery_;
  bool interrupted_ = false; // a callback changed something that a delivering loop must look at
  bool paused_ = false;      // pause_reading()
  bool stalled_ = false;     // reads no more until what it has to send has left
  bool eof_ = false;
  bool lingering_ = false; // everything received is dropped, until FIN
  bool close_sent_ = false;
  bool close_received_ = false;
  bool end_after_flush_ = false;
  bool linger_after_flush_ = false;
  bool was_open_ = false;
  bool shown_ = false; // the application knows it: on_close is due
  bool wants_writable_ = false;
  bool collecting_ = false;        // a message that came in pieces
  bool showing_collected_ = false; // on_message runs with it
  bool message_text_ = false;      // the one being collected
  bool sending_message_ = false;   // fragments of a message are on their way out
  bool ping_unanswered_ = false;
  error cause_ = error::none;
  read_size_guess size_guess_;
  std::uint32_t last_received_ = 0; // event_loop::now_16ms()
  message_rx rx_;
  recv_op recv_;
  memory::unique<tls_link> tls_; // none: plain

  // Sending.
  send_op send_;
  block* first_out_ = nullptr;
  block* last_out_ = nullptr;
  std::size_t queued_bytes_ = 0;
  tx_stats tx_;

  // Rarely.
  block* collected_ = nullptr;
  std::span<std::byte> receive_to_;
  lend_account* lending_ = nullptr;
  memory::unique<masking_keys> keys_; // client
  memory::unique<opening> opening_;
  timer timer_;
};

static_assert(sizeof(native_connection) <= 960, "one per connection, idle ones included");

} // namespace sluice::io
