/* What WinHTTP's WebSocket functions do, one line per step: "<step>: <codes and out-parameters>".
 * Knows nothing but <windows.h> and <winhttp.h>, so it runs on Windows, under Wine and with this
 * library; scripts/compare-wine compares. The peer (peer.py) does what the path says.
 *
 *   probe <port> <sync|async|violation|plain|ping|early>
 */
#include <windows.h>
#include <winhttp.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PATIENCE_SECONDS 30

static const DWORD untouched = 0xA5A5A5A5u;
static _Thread_local int in_call; /* of this thread, to tell where a notification comes from */
static atomic_int notices;

static const char* name_of(DWORD status) {
  switch (status) {
  case WINHTTP_CALLBACK_STATUS_HANDLE_CREATED:
    return "HANDLE_CREATED";
  case WINHTTP_CALLBACK_STATUS_HANDLE_CLOSING:
    return "HANDLE_CLOSING";
  case WINHTTP_CALLBACK_STATUS_SENDREQUEST_COMPLETE:
    return "SENDREQUEST_COMPLETE";
  case WINHTTP_CALLBACK_STATUS_HEADERS_AVAILABLE:
    return "HEADERS_AVAILABLE";
  case WINHTTP_CALLBACK_STATUS_READ_COMPLETE:
    return "READ_COMPLETE";
  case WINHTTP_CALLBACK_STATUS_WRITE_COMPLETE:
    return "WRITE_COMPLETE";
  case WINHTTP_CALLBACK_STATUS_REQUEST_ERROR:
    return "REQUEST_ERROR";
  case WINHTTP_CALLBACK_STATUS_CLOSE_COMPLETE:
    return "CLOSE_COMPLETE";
  case WINHTTP_CALLBACK_STATUS_SHUTDOWN_COMPLETE:
    return "SHUTDOWN_COMPLETE";
  default:
    return NULL; /* progress of the connection: not compared */
  }
}

static const char* step_name = "";

static void CALLBACK on_status(HINTERNET handle, DWORD_PTR context, DWORD status, LPVOID info,
                               DWORD length) {
  const char* const name = name_of(status);
  (void)handle;
  (void)context;
  if (name == NULL) {
    return;
  }
  /* The peer's close frame may be there before Close returns, or not. */
  printf("%s.%s: %s", step_name, name,
         status == WINHTTP_CALLBACK_STATUS_CLOSE_COMPLETE ? "on either thread"
         : in_call                                        ? "inside the call"
                                                          : "on another thread");
  if (status == WINHTTP_CALLBACK_STATUS_READ_COMPLETE ||
      status == WINHTTP_CALLBACK_STATUS_WRITE_COMPLETE) {
    const WINHTTP_WEB_SOCKET_STATUS* const piece = info;
    printf(", length %u, bytes %u, type %d", (unsigned)length, (unsigned)piece->dwBytesTransferred,
           (int)piece->eBufferType);
  } else if (status == WINHTTP_CALLBACK_STATUS_REQUEST_ERROR) {
    const WINHTTP_WEB_SOCKET_ASYNC_RESULT* const failed = info;
    printf(", error %u, result %u, operation %d", (unsigned)failed->AsyncResult.dwError,
           (unsigned)failed->AsyncResult.dwResult,
           length >= sizeof(*failed) ? (int)failed->Operation : -1);
  }
  printf("\n");
  fflush(stdout);
  atomic_fetch_add(&notices, 1);
}

static void wait_for(int wanted) {
  const time_t end = time(NULL) + PATIENCE_SECONDS;
  while (atomic_load(&notices) < wanted) {
    if (time(NULL) > end) {
      printf("%s.timeout: %d of %d notifications\n", step_name, atomic_load(&notices), wanted);
      exit(1);
    }
  }
  atomic_store(&notices, 0);
}

static void say(const char* step, DWORD code) {
  printf("%s: %u\n", step, (unsigned)code);
  fflush(stdout);
}

static DWORD error_of(BOOL worked) {
  return worked ? 0 : GetLastError();
}

static void receive(const char* step, HINTERNET socket, DWORD room) {
  static char buffer[65536];
  DWORD count = untouched;
  WINHTTP_WEB_SOCKET_BUFFER_TYPE type = (WINHTTP_WEB_SOCKET_BUFFER_TYPE)77;
  DWORD code;
  memset(buffer, 0, sizeof(buffer));
  code = WinHttpWebSocketReceive(socket, buffer, room, &count, &type);
  if (code != 0) {
    printf("%s: %u, count %s, type %s\n", step, (unsigned)code,
           count == untouched ? "untouched" : "written", (int)type == 77 ? "untouched" : "written");
  } else {
    printf("%s: 0, count %u, type %d, \"%.20s\"\n", step, (unsigned)count, (int)type, buffer);
  }
  fflush(stdout);
}

static DWORD send_text(HINTERNET socket, const char* text) {
  return WinHttpWebSocketSend(socket, WINHTTP_WEB_SOCKET_UTF8_MESSAGE_BUFFER_TYPE, (PVOID)text,
                              (DWORD)strlen(text));
}

static void close_status(const char* step, HINTERNET socket) {
  char reason[123] = "";
  USHORT status = 0xA5A5;
  DWORD length = untouched;
  const DWORD code =
      WinHttpWebSocketQueryCloseStatus(socket, &status, reason, sizeof(reason), &length);
  if (code == 0) {
    printf("%s: 0, status %u, reason \"%.*s\"\n", step, (unsigned)status, (int)length, reason);
  } else {
    printf("%s: %u\n", step, (unsigned)code);
  }
  fflush(stdout);
}

static void options(HINTERNET handle, const char* kind) {
  static const struct {
    DWORD option;
    const char* name;
  } all[] = {{WINHTTP_OPTION_WEB_SOCKET_CLOSE_TIMEOUT, "close_timeout"},
             {WINHTTP_OPTION_WEB_SOCKET_KEEPALIVE_INTERVAL, "keepalive"},
             {WINHTTP_OPTION_WEB_SOCKET_RECEIVE_BUFFER_SIZE, "receive_buffer"},
             {WINHTTP_OPTION_WEB_SOCKET_SEND_BUFFER_SIZE, "send_buffer"}};
  for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); ++i) {
    DWORD value = untouched;
    DWORD length = sizeof(value);
    DWORD code = error_of(WinHttpQueryOption(handle, all[i].option, &value, &length));
    if (code == 0) {
      printf("%s.%s.query: 0, %u\n", kind, all[i].name, (unsigned)value);
    } else {
      printf("%s.%s.query: %u\n", kind, all[i].name, (unsigned)code);
    }
    value = 20000;
    code = error_of(WinHttpSetOption(handle, all[i].option, &value, sizeof(value)));
    printf("%s.%s.set: %u\n", kind, all[i].name, (unsigned)code);
    code = error_of(WinHttpSetOption(handle, all[i].option, &value, 2));
    printf("%s.%s.set_2_bytes: %u\n", kind, all[i].name, (unsigned)code);
  }
  fflush(stdout);
}

struct handles {
  HINTERNET session;
  HINTERNET connection;
  HINTERNET request;
};

static struct handles open_all(int port, const wchar_t* path, DWORD flags) {
  struct handles made;
  made.session = WinHttpOpen(L"probe", WINHTTP_ACCESS_TYPE_NO_PROXY, NULL, NULL, flags);
  made.connection = WinHttpConnect(made.session, L"127.0.0.1", (INTERNET_PORT)port, 0);
  made.request = WinHttpOpenRequest(made.connection, L"GET", path, NULL, NULL, NULL, 0);
  return made;
}

static void close_all(struct handles* made) {
  say("close.request", error_of(WinHttpCloseHandle(made->request)));
  say("close.connection", error_of(WinHttpCloseHandle(made->connection)));
  say("close.session", error_of(WinHttpCloseHandle(made->session)));
}

static void run_sync(int port) {
  struct handles h = open_all(port, L"/sync", 0);
  HINTERNET socket;
  DWORD status = 0;
  DWORD length = sizeof(status);
  char buffer[16];

  options(h.request, "request");
  say("upgrade.session",
      error_of(WinHttpSetOption(h.session, WINHTTP_OPTION_UPGRADE_TO_WEB_SOCKET, NULL, 0)));
  say("upgrade",
      error_of(WinHttpSetOption(h.request, WINHTTP_OPTION_UPGRADE_TO_WEB_SOCKET, NULL, 0)));
  say("send_request", error_of(WinHttpSendRequest(h.request, NULL, 0, NULL, 0, 0, 0)));
  say("receive_response", error_of(WinHttpReceiveResponse(h.request, NULL)));
  WinHttpQueryHeaders(h.request, WINHTTP_QUERY_STATUS_CODE | WINHTTP_QUERY_FLAG_NUMBER, NULL,
                      &status, &length, NULL);
  say("status", status);
  socket = WinHttpWebSocketCompleteUpgrade(h.request, 0);
  say("complete", socket == NULL ? GetLastError() : 0);
  options(socket, "socket");

  say("receive.no_buffer", WinHttpWebSocketReceive(socket, NULL, 10, &length, NULL));
  say("receive.no_room", WinHttpWebSocketReceive(socket, buffer, 0, &length, NULL));
  say("send.no_buffer", WinHttpWebSocketSend(socket, 0, NULL, 10));
  say("shutdown.no_reason", WinHttpWebSocketShutdown(socket, 1000, NULL, 10));
  say("shutdown.long_reason", WinHttpWebSocketShutdown(socket, 1000, buffer, 124));
  say("receive.request", WinHttpWebSocketReceive(h.request, buffer, 1, &length, NULL));
  close_status("status.open", socket);

  say("ask.256", send_text(socket, "binary 256"));
  receive("receive.128", socket, 128);
  receive("receive.rest", socket, 128);
  say("ask.fragments", send_text(socket, "fragments"));
  receive("receive.fragment", socket, 1000);
  receive("receive.continued", socket, 1000);
  receive("receive.empty_end", socket, 1000);
  say("ask.empty", send_text(socket, "empty"));
  receive("receive.empty", socket, 1000);
  say("send.fragment",
      WinHttpWebSocketSend(socket, WINHTTP_WEB_SOCKET_UTF8_FRAGMENT_BUFFER_TYPE, (PVOID) "no", 2));
  say("send.wrong_type",
      WinHttpWebSocketSend(socket, WINHTTP_WEB_SOCKET_BINARY_MESSAGE_BUFFER_TYPE, (PVOID) "x", 1));
  say("send.end",
      WinHttpWebSocketSend(socket, WINHTTP_WEB_SOCKET_UTF8_MESSAGE_BUFFER_TYPE, (PVOID) "op", 2));
  say("send.close_type",
      WinHttpWebSocketSend(socket, WINHTTP_WEB_SOCKET_CLOSE_BUFFER_TYPE, (PVOID) "x", 1));

  say("ask.close", send_text(socket, "close"));
  receive("receive.close", socket, 1000);
  close_status("status.closed", socket);
  receive("receive.again", socket, 1000);
  say("send.after_close", send_text(socket, "noop"));
  say("close", WinHttpWebSocketClose(socket, 1000, (PVOID) "bye", 3));
  say("close.again", WinHttpWebSocketClose(socket, 1000, NULL, 0));
  say("shutdown.after_close", WinHttpWebSocketShutdown(socket, 1000, NULL, 0));
  say("send.after_own_close", send_text(socket, "noop"));
  say("close.socket", error_of(WinHttpCloseHandle(socket)));
  close_all(&h);
}

static void run_async(int port) {
  static char buffer[1000];
  static DWORD_PTR context = 1;
  struct handles h = open_all(port, L"/async", WINHTTP_FLAG_ASYNC);
  HINTERNET socket;

  WinHttpSetStatusCallback(h.request, &on_status, WINHTTP_CALLBACK_FLAG_ALL_NOTIFICATIONS, 0);
  WinHttpSetOption(h.request, WINHTTP_OPTION_UPGRADE_TO_WEB_SOCKET, NULL, 0);
#define CALL(step, expression)                                                                     \
  do {                                                                                             \
    DWORD code;                                                                                    \
    step_name = step;                                                                              \
    in_call = 1;                                                                                   \
    code = expression;                                                                             \
    in_call = 0;                                                                                   \
    say(step, code);                                                                               \
  } while (0)
  CALL("send_request", error_of(WinHttpSendRequest(h.request, NULL, 0, NULL, 0, 0, context)));
  wait_for(1);
  step_name = "receive_response"; /* its notification may or may not come inside the call */
  say("receive_response", error_of(WinHttpReceiveResponse(h.request, NULL)));
  wait_for(1);
  step_name = "complete";
  socket = WinHttpWebSocketCompleteUpgrade(h.request, context);
  say("complete", socket == NULL ? GetLastError() : 0);
  atomic_store(&notices, 0);

  CALL("receive", WinHttpWebSocketReceive(socket, buffer, 128, NULL, NULL));
  CALL("receive.busy", WinHttpWebSocketReceive(socket, buffer, 128, NULL, NULL));
  CALL("ask", send_text(socket, "binary 256"));
  wait_for(2);
  CALL("receive.rest", WinHttpWebSocketReceive(socket, buffer, 128, NULL, NULL));
  wait_for(1);
  CALL("send.wrong_type",
       WinHttpWebSocketSend(socket, WINHTTP_WEB_SOCKET_CLOSE_BUFFER_TYPE, buffer, 1));
  CALL("receive.pending", WinHttpWebSocketReceive(socket, buffer, 128, NULL, NULL));
  CALL("close", WinHttpWebSocketClose(socket, 1000, NULL, 0));
  wait_for(2);
  close_status("status.closed", socket);
  CALL("receive.after_close", WinHttpWebSocketReceive(socket, buffer, 128, NULL, NULL));
  CALL("send.after_close", send_text(socket, "noop"));
  CALL("close.again", WinHttpWebSocketClose(socket, 1000, NULL, 0));
  step_name = "close.socket";
  say("close.socket", error_of(WinHttpCloseHandle(socket)));
  wait_for(1);
  step_name = "close.request";
  WinHttpSetStatusCallback(h.request, NULL, 0, 0);
  close_all(&h);
}

/* One connection for each way in which a peer can end it. */
static void run_violations(int port) {
  static const wchar_t* const paths[] = {L"/rsv",       L"/opcode", L"/masked",     L"/utf8",
                                         L"/long_ping", L"/fin",    L"/empty_close"};
  for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); ++i) {
    struct handles h = open_all(port, paths[i], 0);
    char step[64];
    HINTERNET socket;
    WinHttpSetOption(h.request, WINHTTP_OPTION_UPGRADE_TO_WEB_SOCKET, NULL, 0);
    WinHttpSendRequest(h.request, NULL, 0, NULL, 0, 0, 0);
    WinHttpReceiveResponse(h.request, NULL);
    socket = WinHttpWebSocketCompleteUpgrade(h.request, 0);
    snprintf(step, sizeof(step), "receive%ls", paths[i]);
    receive(step, socket, 100);
    snprintf(step, sizeof(step), "status%ls", paths[i]);
    close_status(step, socket);
    WinHttpCloseHandle(socket);
    WinHttpCloseHandle(h.request);
    WinHttpCloseHandle(h.connection);
    WinHttpCloseHandle(h.session);
  }
}

/* Answers that are no upgrade. */
static void run_plain(int port) {
  static const wchar_t* const paths[] = {L"/404", L"/wrong_accept"};
  for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); ++i) {
    struct handles h = open_all(port, paths[i], 0);
    char step[64];
    HINTERNET socket;
    DWORD code;
    WinHttpSetOption(h.request, WINHTTP_OPTION_UPGRADE_TO_WEB_SOCKET, NULL, 0);
    WinHttpSendRequest(h.request, NULL, 0, NULL, 0, 0, 0);
    code = error_of(WinHttpReceiveResponse(h.request, NULL));
    snprintf(step, sizeof(step), "response%ls", paths[i]);
    say(step, code);
    socket = WinHttpWebSocketCompleteUpgrade(h.request, 0);
    snprintf(step, sizeof(step), "complete%ls", paths[i]);
    say(step, socket == NULL ? GetLastError() : 0);
    WinHttpCloseHandle(socket);
    WinHttpCloseHandle(h.request);
    WinHttpCloseHandle(h.connection);
    WinHttpCloseHandle(h.session);
  }
}

/* A connection of its own: Wine leaves the ping's payload in the stream. */
static void run_ping(int port) {
  struct handles h = open_all(port, L"/ping", 0);
  HINTERNET socket;
  WinHttpSetOption(h.request, WINHTTP_OPTION_UPGRADE_TO_WEB_SOCKET, NULL, 0);
  WinHttpSendRequest(h.request, NULL, 0, NULL, 0, 0, 0);
  WinHttpReceiveResponse(h.request, NULL);
  socket = WinHttpWebSocketCompleteUpgrade(h.request, 0);
  say("ask", send_text(socket, "ping"));
  receive("receive", socket, 1000);
  WinHttpCloseHandle(socket);
  close_all(&h);
}

/* Before there is a response; not every implementation survives it. */
static void run_early(int port) {
  struct handles h = open_all(port, L"/early", 0);
  const HINTERNET socket = WinHttpWebSocketCompleteUpgrade(h.request, 0);
  say("complete", socket == NULL ? GetLastError() : 0);
  close_all(&h);
}

int main(int argc, char** argv) {
  if (argc != 3) {
    printf("usage: probe <port> <sync|async|violation|plain|ping|early>\n");
    return 2;
  }
  const int port = atoi(argv[1]);
  if (strcmp(argv[2], "sync") == 0) {
    run_sync(port);
  } else if (strcmp(argv[2], "async") == 0) {
    run_async(port);
  } else if (strcmp(argv[2], "violation") == 0) {
    run_violations(port);
  } else if (strcmp(argv[2], "plain") == 0) {
    run_plain(port);
  } else if (strcmp(argv[2], "ping") == 0) {
    run_ping(port);
  } else {
    run_early(port);
  }
  return 0;
}
