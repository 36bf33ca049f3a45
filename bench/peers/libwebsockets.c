/* A receiver over libwebsockets for `sluice-bench run --peer`: peer_libwebsockets PORT sink|echo */
#include <libwebsockets.h>

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { receive_buffer_bytes = 65536 };

struct session {
  uint64_t messages;
  uint64_t bytes;
  uint64_t message_bytes; /* of the message under way */
  char start[6];
  int text;
  int report;
  /* Echo: one message at a time, as a ping-pong sends them. */
  unsigned char* pending; /* LWS_PRE bytes of room before the payload */
  size_t pending_bytes;
  size_t room_bytes;
};

static int echoes;
static volatile sig_atomic_t stopped;

static void stop(int number) {
  (void)number;
  stopped = 1;
}

static int keep(struct session* of, const void* bytes, size_t count) {
  if (of->pending_bytes + count > of->room_bytes) {
    const size_t room = (of->pending_bytes + count) * 2;
    unsigned char* const grown = realloc(of->pending, LWS_PRE + room);
    if (grown == NULL) {
      return -1;
    }
    of->pending = grown;
    of->room_bytes = room;
  }
  memcpy(of->pending + LWS_PRE + of->pending_bytes, bytes, count);
  of->pending_bytes += count;
  return 0;
}

static int received(struct lws* wsi, struct session* of, const void* bytes, size_t count) {
  const int end = lws_is_final_fragment(wsi) && lws_remaining_packet_payload(wsi) == 0;
  if (lws_is_first_fragment(wsi)) {
    of->text = !lws_frame_is_binary(wsi);
    of->message_bytes = 0;
  }
  if (echoes) {
    if (keep(of, bytes, count) != 0) {
      return -1;
    }
    if (end) {
      lws_callback_on_writable(wsi);
    }
    return 0;
  }
  if (of->message_bytes + count <= sizeof of->start) {
    memcpy(of->start + of->message_bytes, bytes, count);
  }
  of->message_bytes += count;
  if (!end) {
    return 0;
  }
  if (of->text && of->message_bytes == sizeof of->start && memcmp(of->start, "REPORT", 6) == 0) {
    of->report = 1;
    lws_callback_on_writable(wsi);
    return 0;
  }
  ++of->messages;
  of->bytes += of->message_bytes;
  return 0;
}

static int writable(struct lws* wsi, struct session* of) {
  if (of->report) {
    unsigned char text[LWS_PRE + 64];
    const int count = snprintf((char*)text + LWS_PRE, 64, "%llu %llu",
                               (unsigned long long)of->messages, (unsigned long long)of->bytes);
    of->report = 0;
    return lws_write(wsi, text + LWS_PRE, (size_t)count, LWS_WRITE_TEXT) < 0 ? -1 : 0;
  }
  if (of->pending_bytes != 0) {
    const size_t count = of->pending_bytes;
    of->pending_bytes = 0;
    return lws_write(wsi, of->pending + LWS_PRE, count,
                     of->text ? LWS_WRITE_TEXT : LWS_WRITE_BINARY) < 0
               ? -1
               : 0;
  }
  return 0;
}

static int on_event(struct lws* wsi, enum lws_callback_reasons reason, void* user, void* bytes,
                    size_t count) {
  struct session* const of = user;
  switch (reason) {
  case LWS_CALLBACK_ESTABLISHED:
    memset(of, 0, sizeof *of);
    return 0;
  case LWS_CALLBACK_RECEIVE:
    return received(wsi, of, bytes, count);
  case LWS_CALLBACK_SERVER_WRITEABLE:
    return writable(wsi, of);
  case LWS_CALLBACK_CLOSED:
    free(of->pending);
    of->pending = NULL;
    return 0;
  default:
    return 0;
  }
}

int main(int argc, char** argv) {
  static const struct lws_protocols protocols[] = {
      {"sink", on_event, sizeof(struct session), receive_buffer_bytes, 0, NULL, 0},
      {NULL, NULL, 0, 0, 0, NULL, 0}};
  struct lws_context_creation_info info;
  struct lws_context* context = NULL;
  if (argc != 3) {
    fprintf(stderr, "usage: peer_libwebsockets PORT sink|echo\n");
    return 2;
  }
  echoes = strcmp(argv[2], "echo") == 0;
  lws_set_log_level(LLL_ERR, NULL);
  memset(&info, 0, sizeof info);
  info.port = atoi(argv[1]);
  info.iface = "127.0.0.1";
  info.protocols = protocols;
  info.pt_serv_buf_size = receive_buffer_bytes;
  context = lws_create_context(&info);
  if (context == NULL) {
    return 1;
  }
  signal(SIGINT, stop);
  signal(SIGTERM, stop);
  while (!stopped && lws_service(context, 0) >= 0) {
  }
  lws_context_destroy(context);
  return 0;
}
