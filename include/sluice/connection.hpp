#pragma once

#include "sluice/close_status.hpp"
#include "sluice/error.hpp"
#include "sluice/export.h"
#include "sluice/handler.hpp"
#include "sluice/settings.hpp"
#include "sluice/stats.hpp"
#include "sluice/tls.hpp"
#include "sluice/view.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace sluice {

class loop;

enum class connection_state : std::uint8_t {
  connecting, // client: resolving, connecting
  upgrading,  // the opening handshake is under way
  open,
  closing, // a close frame was sent or received
  closed,  // only on_close is left to come
};

/// One WebSocket connection, of either role. Made by loop::connect, loop::adopt or a listener;
/// valid until its on_close has returned. Belongs to its loop: every call on the loop's thread,
/// from anywhere there, callbacks of the same connection included (from other threads: loop::post).
/// No call blocks.
class SLUICE_EXPORT connection {
public:
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  // ---- sending
  // -----------------------------------------------------------------------------------

  /// Sends one message. `payload` is copied into the send queue before the call returns; what is
  /// queued in one turn of the loop leaves in one system call. Text must be valid UTF-8; it is not
  /// checked.
  /// @return none; would_block when the queue has bytes and this frame would take it over
  ///         max_send_queue_bytes (nothing was queued; on_writable comes when half is free);
  ///         invalid_state outside of open, or between the fragments of a message; no_memory and
  ///         random_failed (client: no masking key), after which nothing was queued.
  /// A frame larger than the limit is taken when the queue is empty.
  error send(message_type type, std::span<const std::byte> payload) noexcept;
  error send_text(std::string_view payload) noexcept;
  error send_binary(std::span<const std::byte> payload) noexcept {
    return send(message_type::binary, payload);
  }

  /// Sends one frame of a message: the first has its type, `fin` ends the message. `type` is looked
  /// at in the first frame only. Errors as send().
  error send_fragment(message_type type, std::span<const std::byte> payload, bool fin) noexcept;

  /// Sends a ping of at most 125 bytes; invalid_argument for more. Errors as send(), but pings may
  /// stand between fragments.
  error ping(std::span<const std::byte> payload = {}) noexcept;

  /// Starts the closing handshake: sends a close frame behind what is queued, drops incoming data
  /// from here on, and waits for the peer's close frame for close_timeout. on_close follows.
  /// @param status 1000-1003, 1007-1014, 1016-4999, or 1005 for a close frame without status.
  /// @param reason at most 123 bytes of UTF-8; empty with 1005.
  /// @return none (also when closing already); invalid_argument; invalid_state before open, where
  ///         abort() is the way.
  error close(std::uint16_t status = close_status::normal, std::string_view reason = {}) noexcept;

  /// Drops the connection without a closing handshake; on_close follows in one of the next turns.
  void abort() noexcept;

  /// Bytes that wait in the send queue, frame headers included.
  [[nodiscard]] std::size_t send_queue_bytes() const noexcept;

  // ---- receiving
  // ---------------------------------------------------------------------------------

  /// Stops delivering and, once the buffer in hand is used up, reading: the peer feels it through
  /// TCP. Pings are not answered meanwhile. Idempotent.
  void pause_reading() noexcept;
  void resume_reading() noexcept;

  void set_delivery(delivery how) noexcept;

  /// delivery::buffers: asks for the next piece of a message in `to`, which must stay valid until
  /// on_received or on_close. Like recv(2): on_received comes as soon as there is one byte, or an
  /// empty frame; a piece never spans two frames. One at a time. While none is pending, pings and a
  /// close frame are still answered, unless unread data stands before them.
  /// @return none; invalid_argument for an empty span; invalid_state when one is pending, in
  /// another
  ///         delivery, or when not open or closing.
  error receive_into(std::span<std::byte> to) noexcept;

  // ---- about it
  // ----------------------------------------------------------------------------------

  [[nodiscard]] connection_state state() const noexcept;
  [[nodiscard]] bool is_server() const noexcept;
  /// Unique in the process, never 0, never reused.
  [[nodiscard]] std::uint64_t id() const noexcept;
  [[nodiscard]] loop& home() const noexcept;
  /// Writes the peer's address, "192.0.2.1:443" or "[2001:db8::1]:443", NUL-terminated and cut to
  /// the room there is; "" if it has none. Returns the number of bytes before the NUL.
  std::size_t peer_address(std::span<char> to) const noexcept;

  void stats(connection_stats& to) const noexcept;

  /// What is known of its TLS so far, also inside on_close; false, and nothing written, if it is
  /// plain.
  bool tls(tls_info& to) const noexcept;
  /// Writes the certificate that the peer has shown (DER, X.509) if there is room for all of it.
  /// Returns its size in bytes, 0 if there is none: plain, TLS handshake not done, not shown.
  std::size_t peer_certificate(std::span<std::byte> to) const noexcept;

  /// A pointer for the program's own use; nullptr at first.
  [[nodiscard]] void* user_data() const noexcept { return user_data_; }
  void set_user_data(void* pointer) noexcept { user_data_ = pointer; }

  [[nodiscard]] connection_handler& handler() const noexcept { return *handler_; }
  /// `replacement` gets all callbacks from the next one on.
  void set_handler(connection_handler& replacement) noexcept { handler_ = &replacement; }

protected:
  explicit connection(connection_handler& initial) noexcept : handler_(&initial) {}
  ~connection() = default;

  connection_handler* handler_;
  void* user_data_ = nullptr;
};

} // namespace sluice
