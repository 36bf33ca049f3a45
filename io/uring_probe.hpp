#pragma once

namespace sluice::io {

/// Whether multishot receives do what uring_backend builds on, found out by trying on a socket
/// pair: several completions of one request, its end for want of buffers, and a cancel that ends
/// it. Asks the kernel once per process. Any thread.
[[nodiscard]] bool multishot_receives_work() noexcept;

} // namespace sluice::io
