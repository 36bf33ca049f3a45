#pragma once

#include "core/memory.hpp"
#include "core/slice_queue.hpp"
#include "winhttp/handle_table.hpp"
#include "winhttp/websocket.hpp"

namespace sluice::bench {

/// A WebSocket handle without a connection, until it is given one.
class bare_socket {
public:
  bare_socket() {
    object_ = memory::create<winhttp::websocket>();
    handle_ = object_ == nullptr ? nullptr : winhttp::open_handle(*object_);
  }
  ~bare_socket() { (void)winhttp::close_handle(handle_); }
  bare_socket(const bare_socket&) = delete;
  bare_socket& operator=(const bare_socket&) = delete;

  [[nodiscard]] HINTERNET handle() const noexcept { return handle_; }
  [[nodiscard]] slice_queue& inbox() noexcept { return object_->inbox(); }
  void connect(io::stream to) noexcept { object_->connect(std::move(to), {}, nullptr); }

private:
  winhttp::websocket* object_ = nullptr;
  HINTERNET handle_ = nullptr;
};

} // namespace sluice::bench
