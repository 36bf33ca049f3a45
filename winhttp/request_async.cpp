#include "winhttp/async_threads.hpp"
#include "winhttp/handle_table.hpp"
#include "winhttp/request.hpp"

#include <mutex>

// Asynchronous requests: the calls take the claim, and a worker thread runs the blocking code with
// it and raises the notifications. The claim is given up before the completion is raised, so that
// the next call can be made inside it (NOT-05).

namespace sluice::winhttp {

/// A call on its way to a worker. Its pin keeps HANDLE_CLOSING back until the completion has been
/// raised (HND-13).
struct request::job final : async_job {
  enum class call : std::uint8_t { send, write, receive, query, read };

  job(request& of, call wanted) noexcept : what(wanted), on(of), held(of.handle()) {
    run = [](async_job& started) noexcept { static_cast<job&>(started).execute(); };
  }
  void execute() noexcept;

  const call what;
  request& on;
  const pin held;
  std::span<const std::byte> body{}; // of the application, good until the completion
  DWORD total_bytes = 0;             // of send
  std::span<std::byte> to{};
};

void request::job::execute() noexcept {
  switch (what) {
  case call::send:
    on.run_send(body, total_bytes);
    break;
  case call::write: {
    const DWORD code = on.write_claimed(body);
    on.unclaim();
    if (code == ERROR_SUCCESS) {
      auto written = static_cast<DWORD>(body.size());
      on.notify(WINHTTP_CALLBACK_STATUS_WRITE_COMPLETE, &written, sizeof(written));
    } else {
      on.notify_error(API_WRITE_DATA, code);
    }
    break;
  }
  case call::receive:
    on.run_receive();
    break;
  case call::query: {
    DWORD available = 0;
    const DWORD code = on.query_claimed(available);
    on.unclaim();
    if (code == ERROR_SUCCESS) {
      on.notify(WINHTTP_CALLBACK_STATUS_DATA_AVAILABLE, &available, sizeof(available));
    } else {
      on.notify_error(API_QUERY_DATA_AVAILABLE, code);
    }
    break;
  }
  case call::read: {
    DWORD count = 0;
    const DWORD code = on.read_claimed(to, count);
    on.unclaim();
    if (code == ERROR_SUCCESS) {
      on.notify(WINHTTP_CALLBACK_STATUS_READ_COMPLETE, to.data(), count);
    } else {
      on.notify_error(API_READ_DATA, code);
    }
    break;
  }
  }
  memory::destroy(this);
}

void request::notify_error(DWORD_PTR call, DWORD code) const noexcept {
  WINHTTP_ASYNC_RESULT result{};
  result.dwResult = call;
  result.dwError = code;
  notify(WINHTTP_CALLBACK_STATUS_REQUEST_ERROR, &result, sizeof(result));
}

// With the claim, which is given back when no worker takes it over.
DWORD request::start_job(job* made) noexcept {
  DWORD code = ERROR_NOT_ENOUGH_MEMORY;
  if (made != nullptr) {
    code = made->held.get() != nullptr ? run_on_worker(*made) : DWORD{ERROR_INVALID_HANDLE};
  }
  if (code != ERROR_SUCCESS) {
    memory::destroy(made);
    const std::lock_guard guard(lock_);
    send_running_ = false;
    unclaim();
  }
  return code;
}

DWORD request::send_async(std::string_view extra_lines, std::span<const std::byte> body,
                          DWORD total_bytes, DWORD_PTR new_context) noexcept {
  {
    const std::lock_guard guard(lock_);
    if (!try_claim()) {
      return ERROR_INVALID_OPERATION;
    }
  }
  // What is wrong with the parameters is said at once (GET-15).
  DWORD code = ERROR_SUCCESS;
  if (upgrade_.load(std::memory_order_relaxed) && (!body.empty() || total_bytes != 0)) {
    code = ERROR_INVALID_PARAMETER; // GET-18
  } else if (!extra_lines.empty()) {
    code = add_headers(extra_lines, WINHTTP_ADDREQ_FLAG_ADD | WINHTTP_ADDREQ_FLAG_REPLACE);
  }
  if (code != ERROR_SUCCESS) {
    unclaim();
    return code;
  }
  if (new_context != 0) {
    set_context(new_context); // HND-07
  }
  auto* const made = memory::create<job>(*this, job::call::send);
  if (made != nullptr) {
    made->body = body;
    made->total_bytes = total_bytes;
  }
  {
    const std::lock_guard guard(lock_);
    send_running_ = true;
    receive_wanted_ = false;
  }
  return start_job(made);
}

void request::run_send(std::span<const std::byte> body, DWORD total_bytes) noexcept {
  const DWORD code = send_claimed({}, body, total_bytes, 0);
  if (code == ERROR_SUCCESS && body_left_ == 0) {
    read_ahead(); // HSK-51: a failure is for ReceiveResponse to report
  }
  bool receives = false;
  {
    const std::lock_guard guard(lock_);
    send_running_ = false;
    receives = receive_wanted_;
    receive_wanted_ = false;
    if (!receives) {
      unclaim();
    }
  }
  if (code == ERROR_SUCCESS) {
    notify(WINHTTP_CALLBACK_STATUS_SENDREQUEST_COMPLETE, nullptr, 0);
  } else {
    notify_error(API_SEND_REQUEST, code); // GET-14
  }
  if (receives && code == ERROR_SUCCESS) {
    run_receive(); // HSK-52
  } else if (receives) {
    unclaim();
    notify_error(API_RECEIVE_RESPONSE, ERROR_WINHTTP_INCORRECT_HANDLE_STATE); // GET-19
  }
}

// With the claim; raises the completion on the calling thread.
void request::run_receive() noexcept {
  const DWORD code = receive_claimed();
  unclaim();
  if (code == ERROR_SUCCESS) {
    notify(WINHTTP_CALLBACK_STATUS_HEADERS_AVAILABLE, nullptr, 0);
  } else {
    notify_error(API_RECEIVE_RESPONSE, code);
  }
}

DWORD request::receive_response_async() noexcept {
  {
    const std::lock_guard guard(lock_);
    if (!try_claim()) {
      if (!send_running_ || receive_wanted_) {
        return ERROR_INVALID_OPERATION;
      }
      receive_wanted_ = true;
      return ERROR_SUCCESS;
    }
  }
  if (phase_ == phase::idle) {
    unclaim();
    return ERROR_WINHTTP_INCORRECT_HANDLE_STATE; // GET-19
  }
  if (phase_ != phase::sent) {
    unclaim();
    notify_error(API_RECEIVE_RESPONSE, ERROR_WINHTTP_INCORRECT_HANDLE_STATE); // GET-20
    return ERROR_SUCCESS;
  }
  if (has_read_ahead_ && (read_ahead_code_ != ERROR_SUCCESS || !goes_on())) {
    const in_call_depth nested;
    run_receive(); // HSK-50: nothing in there waits
    return ERROR_SUCCESS;
  }
  return start_job(memory::create<job>(*this, job::call::receive));
}

DWORD request::write_data_async(std::span<const std::byte> more) noexcept {
  {
    const std::lock_guard guard(lock_);
    if (!try_claim()) {
      return ERROR_INVALID_OPERATION;
    }
  }
  if (phase_ != phase::sent || (!from_proxy_ && more.size() > body_left_)) {
    unclaim();
    return ERROR_WINHTTP_INCORRECT_HANDLE_STATE;
  }
  auto* const made = memory::create<job>(*this, job::call::write);
  if (made != nullptr) {
    made->body = more;
  }
  return start_job(made);
}

DWORD request::claim_for_body() noexcept {
  const std::lock_guard guard(lock_);
  if (!try_claim()) {
    return ERROR_INVALID_OPERATION;
  }
  if (phase_ == phase::idle || phase_ == phase::sent) {
    unclaim();
    return ERROR_WINHTTP_INCORRECT_HANDLE_STATE;
  }
  return ERROR_SUCCESS;
}

DWORD request::query_data_available_async() noexcept {
  if (const DWORD code = claim_for_body(); code != ERROR_SUCCESS) {
    return code;
  }
  return start_job(memory::create<job>(*this, job::call::query));
}

DWORD request::read_data_async(std::span<std::byte> to) noexcept {
  if (const DWORD code = claim_for_body(); code != ERROR_SUCCESS) {
    return code;
  }
  auto* const made = memory::create<job>(*this, job::call::read);
  if (made != nullptr) {
    made->to = to;
  }
  return start_job(made);
}

} // namespace sluice::winhttp
