#pragma once

namespace sluice::io {

/// How many bytes of a TCP socket's own the peer has yet to acknowledge, sent or not; `otherwise`
/// where the kernel does not say. Any thread. Source: SIOCOUTQ of tcp(7).
[[nodiscard]] int unacknowledged_bytes(int descriptor, int otherwise) noexcept;

} // namespace sluice::io
