#pragma once

#include "sluice/error.hpp"
#include "sluice/export.h"
#include "sluice/view.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace sluice {

class connection;

/// A client's opening handshake, as checked by the library: a well-formed HTTP/1.1 GET that asks
/// for WebSocket version 13 (RFC 6455 section 4.2.1). Every view lives as long as the callback.
class upgrade_request {
public:
  struct header {
    std::string_view name;  // as sent
    std::string_view value; // surrounding blanks removed
  };

  /// Path and query, as sent: "/chat?room=1".
  [[nodiscard]] SLUICE_EXPORT std::string_view target() const noexcept;
  [[nodiscard]] SLUICE_EXPORT std::string_view host() const noexcept;
  /// Who asks, if a browser does; empty otherwise. A service for its own pages alone must check it
  /// (RFC 6455 section 10.2).
  [[nodiscard]] SLUICE_EXPORT std::string_view origin() const noexcept;

  [[nodiscard]] SLUICE_EXPORT std::size_t header_count() const noexcept;
  /// `index` below header_count().
  [[nodiscard]] SLUICE_EXPORT header at(std::size_t index) const noexcept;
  /// The value of the `nth` header of that name, in any case; a view without data when there is
  /// none.
  [[nodiscard]] SLUICE_EXPORT std::string_view find(std::string_view name,
                                                    std::size_t nth = 0) const noexcept;

  /// The `index`th subprotocol that the client offers, in its order of preference; empty past the
  /// last.
  [[nodiscard]] SLUICE_EXPORT std::string_view subprotocol(std::size_t index) const noexcept;
  [[nodiscard]] SLUICE_EXPORT bool offers(std::string_view subprotocol) const noexcept;

private:
  friend class detail::view_access;
  explicit upgrade_request(const void* head) noexcept : head_(head) {}
  const void* head_;
};

/// What to answer. Views in it must live until the callback has returned and the library has
/// written the answer: literals, parts of the request, members of the handler.
struct upgrade_decision {
  /// 101 accepts; 300 to 599 refuses with that HTTP status; anything else refuses with 500.
  std::uint16_t status = 101;
  /// One that the client offered, or empty for none. Something else refuses with 500.
  std::string_view subprotocol = {};
  /// Further header lines for the answer, each "Name: value\r\n"; refused with 500 if malformed.
  std::string_view header_lines = {};

  [[nodiscard]] static upgrade_decision accept(std::string_view chosen_subprotocol = {}) noexcept {
    return {101, chosen_subprotocol, {}};
  }
  [[nodiscard]] static upgrade_decision refuse(std::uint16_t http_status) noexcept {
    return {http_status, {}, {}};
  }
};

/// What a receive_into() has got.
struct received {
  std::span<std::byte> bytes; // the filled front part of the caller's buffer
  message_type type = message_type::binary;
  bool message_end = false;           // these bytes end the message
  std::uint64_t frame_left_bytes = 0; // of the same frame, still to come
};

/// How a connection ended.
struct close_event {
  /// The peer's close status, 1005 if its close frame had none, 1006 if there was no close frame.
  std::uint16_t status = 1006;
  std::string_view reason = {}; // the peer's, UTF-8; lives for the callback
  /// none after a closing handshake; otherwise what ended the connection: a protocol error of the
  /// peer, timed_out, end_of_stream, connection_lost, cancelled (the loop went away or abort() was
  /// called), no_memory, or for a client what kept it from being opened.
  error cause = error::none;
  bool opened = false; // on_open had been called
  bool clean = false;  // close frames went both ways
};

/// The program's side of a connection. One handler may serve any number of connections of a loop;
/// it must outlive them. Override what you need: each callback does nothing (or accepts) by
/// default.
///
/// All callbacks run on the loop's thread, one at a time, and may call anything of the connection,
/// other connections of the loop and the loop itself; such a call never calls back before it
/// returns. The order is: on_upgrade (server), on_open, any of the others, on_close. The connection
/// object is gone when on_close has returned. on_close is called once for each connection for which
/// on_upgrade had accepted or loop::connect had returned none, and for no other.
class SLUICE_EXPORT connection_handler {
public:
  connection_handler() noexcept = default;
  connection_handler(const connection_handler&) = default;
  connection_handler& operator=(const connection_handler&) = default;
  virtual ~connection_handler() = default;

  /// A client asks to be let in.
  virtual upgrade_decision on_upgrade(connection& asking, const upgrade_request& request) noexcept {
    static_cast<void>(asking);
    static_cast<void>(request);
    return upgrade_decision::accept();
  }

  /// The handshake is done; sending is allowed from here on. `subprotocol`: the one agreed on, or
  /// empty; lives for the callback.
  virtual void on_open(connection& opened, std::string_view subprotocol) noexcept {
    static_cast<void>(opened);
    static_cast<void>(subprotocol);
  }

  /// delivery::slices: the next piece of a message. Empty pieces come only where a frame is empty.
  virtual void on_slice(connection& from, const view& slice) noexcept {
    static_cast<void>(from);
    static_cast<void>(slice);
  }

  /// delivery::messages: a whole message. It lies in the receive buffer if it came in one piece,
  /// else in memory of the library; message.message_end() is true either way.
  virtual void on_message(connection& from, const view& message) noexcept {
    static_cast<void>(from);
    static_cast<void>(message);
  }

  /// delivery::buffers: connection::receive_into() is done. The buffer is the caller's again.
  virtual void on_received(connection& from, const received& got) noexcept {
    static_cast<void>(from);
    static_cast<void>(got);
  }

  /// A ping came; the pong is on its way already. `payload`: 0 to 125 bytes, for the callback.
  virtual void on_ping(connection& from, std::span<const std::byte> payload) noexcept {
    static_cast<void>(from);
    static_cast<void>(payload);
  }
  virtual void on_pong(connection& from, std::span<const std::byte> payload) noexcept {
    static_cast<void>(from);
    static_cast<void>(payload);
  }

  /// After error::would_block: the send queue has drained to half of its limit.
  virtual void on_writable(connection& to) noexcept { static_cast<void>(to); }

  /// The last callback of the connection.
  virtual void on_close(connection& closed, const close_event& how) noexcept {
    static_cast<void>(closed);
    static_cast<void>(how);
  }
};

} // namespace sluice
