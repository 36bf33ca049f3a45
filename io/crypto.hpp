#pragma once

#include "core/client_handshake.hpp"
#include "core/memory.hpp"

#include <cstddef>
#include <span>

namespace sluice::io {

/// Fills `to` from OpenSSL's RAND_bytes; false when it has nothing to give. Any thread.
[[nodiscard]] bool random_bytes(std::span<std::byte> to) noexcept;

/// A fresh Sec-WebSocket-Key and the Accept that answers it (RFC 6455 sections 4.1 and 4.2.2),
/// with OpenSSL's RAND_bytes, SHA-1 and base64. False when OpenSSL fails. Any thread.
[[nodiscard]] bool make_handshake_key(handshake_key& made) noexcept;

/// The second half of it: `accept` for the `key` that is already there.
[[nodiscard]] bool make_handshake_accept(handshake_key& made) noexcept;

/// Appends `bytes` in base64 (RFC 4648 section 4). Check `to.ok()`. A caller with a secret reserves
/// the room first, so that no copy of it is left behind.
void append_base64(memory::growable<char>& to, std::span<const std::byte> bytes) noexcept;

/// Overwrites a secret in a way that the compiler does not leave out (OPENSSL_cleanse).
void wipe(std::span<std::byte> secret) noexcept;

/// Keeps OpenSSL from being torn down by exit() while threads of ours still use it. To be called
/// before such a thread is started; too late, and without effect, if the program has used OpenSSL
/// by then.
void keep_crypto_at_exit() noexcept;

} // namespace sluice::io
