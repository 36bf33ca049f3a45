#include "core/memory.hpp"
#include "core/probes.hpp"
#include "winhttp/async_socket.hpp"
#include "winhttp/handle_table.hpp"
#include "winhttp/last_error.hpp"
#include "winhttp/request.hpp"
#include "winhttp/websocket.hpp"

#include <utility>

namespace sluice::winhttp {
namespace {

// The handle is made first and the connection taken last, so that running out of memory leaves the
// request as it was (CUP-06). Nobody knows the handle's value before this returns it.
[[nodiscard]] DWORD complete_upgrade(request& from, DWORD_PTR context, HINTERNET& made) noexcept {
  auto* const socket = memory::create<websocket>();
  if (socket == nullptr) {
    return ERROR_NOT_ENOUGH_MEMORY;
  }
  DWORD code = ERROR_SUCCESS;
  const HINTERNET handle = open_handle(*socket, code);
  if (handle == nullptr) {
    socket->drop_ref();
    return code;
  }
  upgraded taken;
  const DWORD read_ahead_bytes = from.dwords().get(dword_option::receive_buffer_bytes);
  if (from.asynchronous()) {
    async_loop* loop = nullptr;
    code = from.parent().parent().next_loop(loop);
    if (code == ERROR_SUCCESS) {
      code = socket->become_asynchronous(*loop, from.parent(), read_ahead_bytes);
    }
  } else {
    code = socket->begin_care(read_ahead_bytes);
  }
  if (code == ERROR_SUCCESS) {
    code = from.take_upgraded(taken);
  }
  while (code == ERROR_SUCCESS && !taken.behind_head.empty()) {
    const slice next = taken.behind_head.take_front();
    if (!socket->inbox().push(next)) {
      release_buffer(*next.from);
      code = ERROR_NOT_ENOUGH_MEMORY;
    }
  }
  if (code != ERROR_SUCCESS) {
    (void)close_handle(handle);
    return code;
  }
  if (!from.asynchronous()) {
    // Else the epoll instance that connected it would be told of every packet. When that is another
    // thread's, it is: a loss of time, and no more.
    taken.transport.leave();
  }
  socket->connect(std::move(taken.transport), taken.send_timeout, from.handle());
  SLUICE_PROBE3(handshake, &socket->inbox(), 0, 0);
  socket->set_callback(from.callback(), from.callback_mask());
  socket->set_context(context); // HND-05: never inherited
  if (async_socket* const async = socket->asynchronous()) {
    async->start();
  }
  made = handle;
  return ERROR_SUCCESS;
}

} // namespace
} // namespace sluice::winhttp

extern "C" HINTERNET WINAPI WinHttpWebSocketCompleteUpgrade(HINTERNET request_handle,
                                                            DWORD_PTR context) {
  using namespace sluice::winhttp;
  const pin pinned(request_handle);
  DWORD code = ERROR_SUCCESS;
  auto* const from = pinned.as<request>(code);
  if (from == nullptr) {
    return finish(code, nullptr); // CUP-01, CUP-02
  }
  HINTERNET made = nullptr;
  code = complete_upgrade(*from, context, made);
  if (code == ERROR_SUCCESS) {
    from->notify_created(made); // CUP-12
  }
  return finish(code, made);
}
