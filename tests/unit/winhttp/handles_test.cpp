// Section 5 of the contract through the API, and the informational notifications of synchronous
// handles.

#include "backend_fixture.hpp"
#include "support/winhttp_client.hpp"

#include <string>
#include <thread>
#include <vector>

namespace sluice::test {
namespace {

class handles : public backend_test {};

// What a callback was told.
struct note {
  HINTERNET handle;
  DWORD status;
  DWORD length;
  std::wstring text;         // of statuses with a string
  DWORD number = 0;          // of those with a DWORD
  HINTERNET value = nullptr; // of those with a handle
};

struct log {
  std::vector<note> notes;

  [[nodiscard]] std::vector<DWORD> statuses() const {
    std::vector<DWORD> out;
    for (const note& each : notes) {
      out.push_back(each.status);
    }
    return out;
  }
};

void CALLBACK record(HINTERNET handle, DWORD_PTR context, DWORD status, LPVOID info, DWORD length) {
  if (context == 0) {
    ADD_FAILURE() << "a notification without context";
    return;
  }
  note seen{handle, status, length, {}, 0, nullptr};
  switch (status) {
  case WINHTTP_CALLBACK_STATUS_RESOLVING_NAME:
  case WINHTTP_CALLBACK_STATUS_NAME_RESOLVED:
  case WINHTTP_CALLBACK_STATUS_CONNECTING_TO_SERVER:
  case WINHTTP_CALLBACK_STATUS_CONNECTED_TO_SERVER:
  case WINHTTP_CALLBACK_STATUS_REDIRECT:
    seen.text = static_cast<const wchar_t*>(info);
    break;
  case WINHTTP_CALLBACK_STATUS_REQUEST_SENT:
  case WINHTTP_CALLBACK_STATUS_RESPONSE_RECEIVED:
  case WINHTTP_CALLBACK_STATUS_INTERMEDIATE_RESPONSE:
    seen.number = *static_cast<DWORD*>(info);
    break;
  case WINHTTP_CALLBACK_STATUS_HANDLE_CREATED:
  case WINHTTP_CALLBACK_STATUS_HANDLE_CLOSING:
    seen.value = *static_cast<HINTERNET*>(info);
    break;
  default:
    EXPECT_EQ(info, nullptr);
    break;
  }
  reinterpret_cast<log*>(context)->notes.push_back(seen);
}

void set_context(HINTERNET handle, log* context) {
  EXPECT_TRUE(WinHttpSetOption(handle, WINHTTP_OPTION_CONTEXT_VALUE, &context, sizeof(context)));
}

DWORD_PTR context_of(HINTERNET handle) {
  DWORD_PTR value = 0;
  DWORD length = sizeof(value);
  EXPECT_TRUE(WinHttpQueryOption(handle, WINHTTP_OPTION_CONTEXT_VALUE, &value, &length));
  return value;
}

unique_handle open_session() {
  return WinHttpOpen(nullptr, WINHTTP_ACCESS_TYPE_NO_PROXY, nullptr, nullptr, 0);
}

TEST_F(handles, GET_01_parameters_of_open) {
  const auto code = [](DWORD access, const wchar_t* proxy, const wchar_t* bypass, DWORD flags,
                       const wchar_t* agent = nullptr) {
    SetLastError(99);
    const unique_handle made = WinHttpOpen(agent, access, proxy, bypass, flags);
    EXPECT_EQ(made.get() != nullptr, GetLastError() == 0);
    return GetLastError();
  };
  EXPECT_EQ(code(WINHTTP_ACCESS_TYPE_DEFAULT_PROXY, nullptr, nullptr, 0), 0u);
  EXPECT_EQ(code(WINHTTP_ACCESS_TYPE_NO_PROXY, nullptr, nullptr, 0), 0u);
  EXPECT_EQ(code(WINHTTP_ACCESS_TYPE_AUTOMATIC_PROXY, nullptr, nullptr, 0), 0u);
  EXPECT_EQ(code(WINHTTP_ACCESS_TYPE_NO_PROXY, nullptr, nullptr, WINHTTP_FLAG_ASYNC), 0u);
  const DWORD wrong = ERROR_INVALID_PARAMETER;
  EXPECT_EQ(code(2, nullptr, nullptr, 0), wrong);
  EXPECT_EQ(code(WINHTTP_ACCESS_TYPE_NO_PROXY, L"proxy:8080", nullptr, 0), wrong);
  EXPECT_EQ(code(WINHTTP_ACCESS_TYPE_NO_PROXY, nullptr, L"<local>", 0), wrong);
  EXPECT_EQ(code(WINHTTP_ACCESS_TYPE_NAMED_PROXY, nullptr, nullptr, 0), wrong);
  EXPECT_EQ(code(WINHTTP_ACCESS_TYPE_NO_PROXY, nullptr, nullptr, 1), wrong);
  EXPECT_EQ(code(WINHTTP_ACCESS_TYPE_NO_PROXY, nullptr, nullptr, 0, L"a\r\nX: y"), wrong);
  EXPECT_EQ(code(WINHTTP_ACCESS_TYPE_NO_PROXY, nullptr, nullptr, 0, L"\xD800"), wrong);
  EXPECT_EQ(code(WINHTTP_ACCESS_TYPE_NAMED_PROXY, L"", nullptr, 0), wrong);
  EXPECT_EQ(code(WINHTTP_ACCESS_TYPE_NAMED_PROXY, L"socks5://proxy", nullptr, 0), wrong);
  EXPECT_EQ(code(WINHTTP_ACCESS_TYPE_NAMED_PROXY, L"proxy:8080", nullptr, 0), 0u);
  EXPECT_EQ(code(WINHTTP_ACCESS_TYPE_NAMED_PROXY, L"proxy:8080", L"<local>", 0), 0u);
  EXPECT_EQ(code(WINHTTP_ACCESS_TYPE_NO_PROXY, nullptr, nullptr,
                 WINHTTP_FLAG_SECURE_DEFAULTS & ~WINHTTP_FLAG_ASYNC),
            wrong);
}

// The functions that take one kind only: hostile_caller_test.cpp.
TEST_F(handles, HND_01_HND_11_the_functions_for_all_kinds_refuse_what_is_no_handle) {
  const client c(1);
  unique_handle gone = open_session();
  const HINTERNET stale = gone.get();
  gone.reset();
  char bytes[8];
  DWORD length = sizeof(bytes);
  for (const HINTERNET handle : {HINTERNET{nullptr}, stale}) {
    EXPECT_FALSE(WinHttpCloseHandle(handle));
    EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_INVALID_HANDLE)); // HND-11
    EXPECT_FALSE(WinHttpSetOption(handle, WINHTTP_OPTION_CONTEXT_VALUE, bytes, 8));
    EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_INVALID_HANDLE));
    EXPECT_FALSE(WinHttpQueryOption(handle, WINHTTP_OPTION_CONTEXT_VALUE, bytes, &length));
    EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_INVALID_HANDLE));
    EXPECT_FALSE(WinHttpSetTimeouts(handle, 0, 0, 0, 0));
    EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_INVALID_HANDLE));
    EXPECT_EQ(WinHttpSetStatusCallback(handle, nullptr, 0, 0), WINHTTP_INVALID_STATUS_CALLBACK);
    EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_INVALID_HANDLE));
  }
  EXPECT_FALSE(WinHttpSetTimeouts(c.connection, 0, 0, 0, 0));
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_WINHTTP_INCORRECT_HANDLE_TYPE));
}

TEST_F(handles, HND_11_HND_19_success_sets_the_last_error_to_0) {
  scripted_peer peer([](scripted_peer& on) {
    peer_connection to = on.accept();
    to.handshake();
    to.expect_eof();
  });
  const auto expect_clear = [](const char* call, bool succeeded) {
    EXPECT_TRUE(succeeded) << call << GetLastError();
    EXPECT_EQ(GetLastError(), 0u) << call;
    SetLastError(77);
  };
  SetLastError(77);
  HINTERNET session = WinHttpOpen(nullptr, 1, nullptr, nullptr, 0);
  expect_clear("Open", session != nullptr);
  HINTERNET connection = WinHttpConnect(session, L"127.0.0.1", peer.port(), 0);
  expect_clear("Connect", connection != nullptr);
  HINTERNET request =
      WinHttpOpenRequest(connection, nullptr, nullptr, nullptr, nullptr, nullptr, 0);
  expect_clear("OpenRequest", request != nullptr);
  expect_clear("SetOption", WinHttpSetOption(request, WINHTTP_OPTION_UPGRADE_TO_WEB_SOCKET, nullptr,
                                             0) != FALSE);
  DWORD value = 0;
  DWORD length = sizeof(value);
  expect_clear("QueryOption",
               WinHttpQueryOption(request, WINHTTP_OPTION_HANDLE_TYPE, &value, &length) != FALSE);
  expect_clear("SetTimeouts", WinHttpSetTimeouts(request, 0, 0, 0, 0) != FALSE);
  expect_clear("SetStatusCallback", WinHttpSetStatusCallback(request, nullptr, 0, 0) == nullptr);
  expect_clear("AddRequestHeaders",
               WinHttpAddRequestHeaders(request, L"A: b", static_cast<DWORD>(-1), 0) != FALSE);
  expect_clear("SendRequest", WinHttpSendRequest(request, nullptr, 0, nullptr, 0, 0, 0) != FALSE);
  expect_clear("ReceiveResponse", WinHttpReceiveResponse(request, nullptr) != FALSE);
  length = sizeof(value);
  expect_clear("QueryHeaders",
               WinHttpQueryHeaders(request, WINHTTP_QUERY_STATUS_CODE | WINHTTP_QUERY_FLAG_NUMBER,
                                   nullptr, &value, &length, nullptr) != FALSE);
  expect_clear("QueryDataAvailable", WinHttpQueryDataAvailable(request, &value) != FALSE);
  expect_clear("ReadData", WinHttpReadData(request, &value, 4, &length) != FALSE);
  HINTERNET socket = WinHttpWebSocketCompleteUpgrade(request, 0);
  expect_clear("CompleteUpgrade", socket != nullptr);
  expect_clear("CheckPlatform", WinHttpCheckPlatform() != FALSE);
  for (HINTERNET handle : {socket, request, connection, session}) {
    expect_clear("CloseHandle", WinHttpCloseHandle(handle) != FALSE);
  }
}

TEST_F(handles, the_last_error_belongs_to_the_thread) {
  SetLastError(5);
  std::thread([] {
    EXPECT_EQ(GetLastError(), 0u);
    SetLastError(6);
  }).join();
  EXPECT_EQ(GetLastError(), 5u);
}

TEST_F(handles, HND_04_children_inherit_callback_mask_and_context_once) {
  log of_session;
  log of_connection;
  const unique_handle session = open_session();
  EXPECT_EQ(WinHttpSetStatusCallback(session, record, WINHTTP_CALLBACK_FLAG_HANDLES, 0), nullptr);
  set_context(session, &of_session);
  const unique_handle connection = WinHttpConnect(session, L"host", 0, 0);
  EXPECT_EQ(context_of(connection), reinterpret_cast<DWORD_PTR>(&of_session));
  set_context(connection, &of_connection);
  EXPECT_EQ(context_of(session), reinterpret_cast<DWORD_PTR>(&of_session));

  // Raised on the parent, with the parent's context, and with the child's handle as information.
  ASSERT_EQ(of_session.notes.size(), 1u);
  EXPECT_EQ(of_session.notes[0].handle, session.get());
  EXPECT_EQ(of_session.notes[0].status, WINHTTP_CALLBACK_STATUS_HANDLE_CREATED);
  EXPECT_EQ(of_session.notes[0].value, connection.get());
  EXPECT_EQ(of_session.notes[0].length, sizeof(HINTERNET));

  // The parent's later change does not reach the child.
  EXPECT_EQ(WinHttpSetStatusCallback(session, nullptr, 0, 0), record); // GET-11: the previous one
  unique_handle request =
      WinHttpOpenRequest(connection, nullptr, nullptr, nullptr, nullptr, nullptr, 0);
  ASSERT_EQ(of_connection.notes.size(), 1u);
  EXPECT_EQ(of_connection.notes[0].value, request.get());
  EXPECT_EQ(context_of(request), reinterpret_cast<DWORD_PTR>(&of_connection));
  EXPECT_EQ(WinHttpSetStatusCallback(request, nullptr, 0, 0), record);
  EXPECT_EQ(WinHttpSetStatusCallback(request, record, WINHTTP_CALLBACK_FLAG_HANDLES, 1),
            WINHTTP_INVALID_STATUS_CALLBACK);
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_INVALID_PARAMETER));
  request.reset();
  EXPECT_EQ(of_connection.notes.size(), 1u); // nobody to tell
}

TEST_F(handles, HND_12_HND_13_closing_is_the_last_notification_and_comes_in_order) {
  scripted_peer peer([](scripted_peer& on) {
    peer_connection to = on.accept();
    to.handshake();
    to.expect_eof();
  });
  log seen;
  unique_handle session = open_session();
  EXPECT_EQ(WinHttpSetStatusCallback(session, record, WINHTTP_CALLBACK_STATUS_HANDLE_CLOSING, 0),
            nullptr);
  set_context(session, &seen);
  unique_handle connection = WinHttpConnect(session, L"127.0.0.1", peer.port(), 0);
  unique_handle request =
      WinHttpOpenRequest(connection, nullptr, nullptr, nullptr, nullptr, nullptr, 0);
  EXPECT_TRUE(WinHttpSetOption(request, WINHTTP_OPTION_UPGRADE_TO_WEB_SOCKET, nullptr, 0));
  EXPECT_TRUE(WinHttpSendRequest(request, nullptr, 0, nullptr, 0, 0, 0));
  unique_handle socket =
      WinHttpWebSocketCompleteUpgrade(request, reinterpret_cast<DWORD_PTR>(&seen));
  ASSERT_NE(socket.get(), nullptr);
  const std::vector<HINTERNET> order = {socket, request, connection, session};
  socket.reset();
  request.reset();
  connection.reset();
  session.reset();
  ASSERT_EQ(seen.notes.size(), 4u);
  for (std::size_t i = 0; i < order.size(); ++i) {
    EXPECT_EQ(seen.notes[i].handle, order[i]);
    EXPECT_EQ(seen.notes[i].value, order[i]);
    EXPECT_EQ(seen.notes[i].length, sizeof(HINTERNET));
  }
}

TEST_F(handles,
       HND_12_parents_close_after_their_last_child_and_a_socket_does_not_hold_its_request) {
  scripted_peer peer([](scripted_peer& on) {
    peer_connection to = on.accept();
    to.handshake();
    to.expect_eof();
  });
  log seen;
  unique_handle session = open_session();
  EXPECT_EQ(WinHttpSetStatusCallback(session, record, WINHTTP_CALLBACK_STATUS_HANDLE_CLOSING, 0),
            nullptr);
  set_context(session, &seen);
  unique_handle connection = WinHttpConnect(session, L"127.0.0.1", peer.port(), 0);
  unique_handle request =
      WinHttpOpenRequest(connection, nullptr, nullptr, nullptr, nullptr, nullptr, 0);
  EXPECT_TRUE(WinHttpSetOption(request, WINHTTP_OPTION_UPGRADE_TO_WEB_SOCKET, nullptr, 0));
  EXPECT_TRUE(WinHttpSendRequest(request, nullptr, 0, nullptr, 0, 0, 0));
  unique_handle socket = WinHttpWebSocketCompleteUpgrade(request, 0);
  const HINTERNET values[] = {session, connection, request};
  session.reset();
  connection.reset();
  EXPECT_TRUE(seen.notes.empty()); // HND-09: the children live
  request.reset();
  ASSERT_GE(seen.notes.size(), 1u);
  EXPECT_EQ(seen.notes[0].handle, values[2]);
  socket.reset();
  ASSERT_EQ(seen.notes.size(), 3u);
  EXPECT_EQ(seen.notes[1].handle, values[1]);
  EXPECT_EQ(seen.notes[2].handle, values[0]);
}

TEST_F(handles, HND_14_X_05_no_closing_for_a_handle_without_context) {
  static int calls;
  calls = 0;
  unique_handle session = open_session();
  const auto count = [](HINTERNET, DWORD_PTR, DWORD, LPVOID, DWORD) { ++calls; };
  EXPECT_EQ(WinHttpSetStatusCallback(session, count, WINHTTP_CALLBACK_FLAG_ALL_NOTIFICATIONS, 0),
            nullptr);
  session.reset();
  EXPECT_EQ(calls, 0);
}

TEST_F(handles, HND_05_CUP_12_a_socket_takes_callback_from_the_request_and_context_from_the_call) {
  scripted_peer peer([](scripted_peer& on) {
    peer_connection to = on.accept();
    to.handshake();
    to.expect_eof();
  });
  log of_request;
  log of_socket;
  client c(peer.port());
  EXPECT_EQ(WinHttpSetStatusCallback(c.request, record, WINHTTP_CALLBACK_FLAG_HANDLES, 0), nullptr);
  set_context(c.request, &of_request);
  EXPECT_TRUE(c.upgrade() && c.send() && c.receive());
  unique_handle socket = WinHttpWebSocketCompleteUpgrade(c.request, 0);
  EXPECT_EQ(context_of(socket), 0u); // even if 0
  ASSERT_EQ(of_request.notes.size(), 1u);
  EXPECT_EQ(of_request.notes[0].handle, c.request.get());
  EXPECT_EQ(of_request.notes[0].value, socket.get());
  set_context(socket, &of_socket);
  const HINTERNET closing = socket.get();
  socket.reset();
  ASSERT_EQ(of_socket.notes.size(), 1u);
  EXPECT_EQ(of_socket.notes[0].status, WINHTTP_CALLBACK_STATUS_HANDLE_CLOSING);
  EXPECT_EQ(of_socket.notes[0].handle, closing);
}

TEST_F(handles, HSK_27_synchronous_requests_tell_their_steps_on_the_calling_thread) {
  scripted_peer peer([](scripted_peer& on) {
    peer_connection to = on.accept();
    to.read_request();
    to.send("HTTP/1.1 100 Continue\r\n\r\n");
    to.send_response("HTTP/1.1 200 OK", "", "body");
    to.expect_eof();
  });
  log seen;
  client c(peer.port());
  EXPECT_EQ(WinHttpSetStatusCallback(c.request, record, WINHTTP_CALLBACK_FLAG_ALL_NOTIFICATIONS, 0),
            nullptr);
  EXPECT_TRUE(
      WinHttpSendRequest(c.request, nullptr, 0, nullptr, 0, 0, reinterpret_cast<DWORD_PTR>(&seen)));
  EXPECT_TRUE(c.receive());
  EXPECT_EQ(read_body(c.request), "body");
  EXPECT_EQ(
      seen.statuses(),
      (std::vector<DWORD>{
          WINHTTP_CALLBACK_STATUS_RESOLVING_NAME, WINHTTP_CALLBACK_STATUS_NAME_RESOLVED,
          WINHTTP_CALLBACK_STATUS_CONNECTING_TO_SERVER, WINHTTP_CALLBACK_STATUS_CONNECTED_TO_SERVER,
          WINHTTP_CALLBACK_STATUS_SENDING_REQUEST, WINHTTP_CALLBACK_STATUS_REQUEST_SENT,
          WINHTTP_CALLBACK_STATUS_RECEIVING_RESPONSE, WINHTTP_CALLBACK_STATUS_INTERMEDIATE_RESPONSE,
          WINHTTP_CALLBACK_STATUS_RESPONSE_RECEIVED}));
  for (const note& each : seen.notes) {
    EXPECT_EQ(each.handle, c.request.get());
    if (!each.text.empty()) { // characters and the NUL
      EXPECT_EQ(each.text, L"127.0.0.1");
      EXPECT_EQ(each.length, 10u);
    }
    if (each.status == WINHTTP_CALLBACK_STATUS_INTERMEDIATE_RESPONSE) {
      EXPECT_EQ(each.number, 100u);
    }
  }
  EXPECT_EQ(seen.notes[5].number, query_header(c.request, WINHTTP_QUERY_RAW_HEADERS_CRLF |
                                                              WINHTTP_QUERY_FLAG_REQUEST_HEADERS)
                                      .value_or("")
                                      .size());
  EXPECT_EQ(seen.notes[8].number,
            query_header(c.request, WINHTTP_QUERY_RAW_HEADERS_CRLF).value_or("").size());
}

TEST_F(handles, NOT_08_the_mask_chooses) {
  scripted_peer peer([](scripted_peer& on) {
    peer_connection to = on.accept();
    to.read_request();
    to.send_response("HTTP/1.1 200 OK");
    to.expect_eof();
  });
  log seen;
  client c(peer.port());
  EXPECT_EQ(WinHttpSetStatusCallback(c.request, record, WINHTTP_CALLBACK_FLAG_SEND_REQUEST, 0),
            nullptr);
  EXPECT_TRUE(
      WinHttpSendRequest(c.request, nullptr, 0, nullptr, 0, 0, reinterpret_cast<DWORD_PTR>(&seen)));
  EXPECT_TRUE(c.receive());
  c.request.reset(); // HANDLE_CLOSING has a bit too
  EXPECT_EQ(seen.statuses(), (std::vector<DWORD>{WINHTTP_CALLBACK_STATUS_SENDING_REQUEST,
                                                 WINHTTP_CALLBACK_STATUS_REQUEST_SENT}));
}

TEST_F(handles, NOT_02_NOT_04_any_call_is_legal_inside_a_callback_of_the_calling_thread) {
  scripted_peer peer([](scripted_peer& on) {
    peer_connection to = on.accept();
    to.read_request();
    to.send_response("HTTP/1.1 200 OK");
    to.expect_eof();
  });
  struct visit {
    std::thread::id caller = std::this_thread::get_id();
    int calls = 0;
  } seen;
  const auto callback = [](HINTERNET handle, DWORD_PTR context, DWORD, LPVOID, DWORD) {
    visit& on = *reinterpret_cast<visit*>(context);
    EXPECT_EQ(std::this_thread::get_id(), on.caller);
    ++on.calls;
    EXPECT_EQ(context_of(handle), context);
    DWORD limit_ms = 20000;
    EXPECT_TRUE(WinHttpSetOption(handle, WINHTTP_OPTION_SEND_TIMEOUT, &limit_ms, sizeof(limit_ms)));
    EXPECT_TRUE(WinHttpAddRequestHeaders(handle, L"X-Late: 1", static_cast<DWORD>(-1),
                                         WINHTTP_ADDREQ_FLAG_ADD | WINHTTP_ADDREQ_FLAG_REPLACE));
    EXPECT_EQ(query_custom(handle, L"x-late", WINHTTP_QUERY_FLAG_REQUEST_HEADERS), "1");
    wchar_t url[64];
    DWORD length = sizeof(url);
    EXPECT_TRUE(WinHttpQueryOption(handle, WINHTTP_OPTION_URL, url, &length));
    const unique_handle other = open_session();
    EXPECT_NE(other.get(), nullptr);
    // What needs the exchange that is under way is refused, and waits for nobody.
    EXPECT_FALSE(WinHttpReceiveResponse(handle, nullptr));
    EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_INVALID_OPERATION));
  };
  client c(peer.port());
  EXPECT_EQ(WinHttpSetStatusCallback(
                c.request, callback,
                WINHTTP_CALLBACK_FLAG_ALL_NOTIFICATIONS & ~WINHTTP_CALLBACK_FLAG_HANDLES, 0),
            nullptr);
  EXPECT_TRUE(
      WinHttpSendRequest(c.request, nullptr, 0, nullptr, 0, 0, reinterpret_cast<DWORD_PTR>(&seen)))
      << GetLastError();
  EXPECT_TRUE(c.receive()) << GetLastError();
  EXPECT_EQ(seen.calls, 8);
  // NOT-11: nothing more is told.
  EXPECT_NE(WinHttpSetStatusCallback(c.request, nullptr, 0, 0), nullptr);
  c.request.reset();
  EXPECT_EQ(seen.calls, 8);
}

TEST_F(handles, HND_09_requests_of_closed_parents_work) {
  scripted_peer peer([](scripted_peer& on) {
    peer_connection to = on.accept();
    EXPECT_EQ(header_of(to.read_request(), "User-Agent"), "agent/1");
    to.send_response("HTTP/1.1 200 OK", "", "alive");
    to.expect_eof();
  });
  client c(peer.port());
  c.session.reset();
  c.connection.reset();
  ASSERT_TRUE(c.send()) << GetLastError();
  ASSERT_TRUE(c.receive()) << GetLastError();
  EXPECT_EQ(read_body(c.request), "alive");
}

} // namespace
} // namespace sluice::test
