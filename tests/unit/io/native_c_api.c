/* The C API as a C11 program uses it: a server that echoes and a client, in one loop. */
#include "sluice/c.h"

#include <string.h>

struct talk {
  sluice_loop* loop;
  sluice_held* kept;
  uint8_t buffer[64];
  int opened;
  int echoed;
  int pongs;
  int closed;
  int wrong;
  int posted;
  int secure;
};

static void check(struct talk* talk, int condition) {
  if (!condition) {
    ++talk->wrong;
  }
}

static void check_tls(struct talk* talk, const sluice_connection* opened) {
  sluice_tls_info info;
  uint8_t der[4096];
  memset(&info, 0, sizeof info);
  info.size_bytes = sizeof info;
  if (!talk->secure) {
    check(talk, sluice_connection_tls(opened, &info) == 0);
    check(talk, sluice_connection_peer_certificate(opened, der, sizeof der) == 0);
    return;
  }
  check(talk, sluice_connection_tls(opened, &info) == 1);
  check(talk, info.established == 1 && info.resumed == 0 && info.certificate_faults == 0);
  check(talk, info.version == SLUICE_TLS_1_3 && info.cipher_bits >= 128 && info.cipher[0] == 'T');
  check(talk, sluice_connection_peer_certificate(opened, der, sizeof der) > 100);
}

static int same(const char* text, size_t bytes, const char* expected) {
  return text != NULL && bytes == strlen(expected) && memcmp(text, expected, bytes) == 0;
}

/* All headers by number: each is found under its name, and the client's own is among them once. */
static void check_headers(struct talk* talk, const sluice_request* request) {
  const size_t count = sluice_request_header_count(request);
  size_t own = 0;
  size_t bytes = 1;
  check(talk, count >= 6); /* those that RFC 6455 section 4.1 demands, and that one */
  for (size_t i = 0; i < count; ++i) {
    char name[64] = {0};
    size_t name_bytes = 0;
    size_t value_bytes = 0;
    const char* const sent = sluice_request_header_name(request, i, &name_bytes);
    const char* const value = sluice_request_header_value(request, i, &value_bytes);
    check(talk, sent != NULL && name_bytes < sizeof name && value != NULL);
    memcpy(name, sent, name_bytes < sizeof name ? name_bytes : 0);
    check(talk, sluice_request_header(request, name, 0, &bytes) == value && bytes == value_bytes);
    own += same(sent, name_bytes, "X-A") && same(value, value_bytes, "b");
  }
  check(talk, own == 1);
  check(talk, sluice_request_header_name(request, count, &bytes) == NULL && bytes == 0);
  bytes = 1;
  check(talk, sluice_request_header_value(request, count, &bytes) == NULL && bytes == 0);
}

static void server_upgrade(void* context, sluice_connection* asking, const sluice_request* request,
                           sluice_answer* answer) {
  struct talk* const talk = context;
  size_t bytes = 0;
  const char* text = sluice_request_target(request, &bytes);
  check(talk, sluice_connection_get_state(asking) == SLUICE_STATE_UPGRADING);
  check(talk, sluice_connection_is_server(asking) == 1);
  check(talk, bytes == 5 && memcmp(text, "/talk", 5) == 0);
  check_headers(talk, request);
  text = sluice_request_header(request, "x-a", 0, &bytes);
  check(talk, bytes == 1 && text[0] == 'b');
  check(talk, sluice_request_header(request, "absent", 0, &bytes) == NULL && bytes == 0);
  answer->subprotocol = sluice_request_subprotocol(request, 1, &answer->subprotocol_bytes);
}

static void server_message(void* context, sluice_connection* from, const sluice_view* message) {
  struct talk* const talk = context;
  if (talk->kept == NULL) {
    talk->kept = sluice_view_hold(message);
  }
  check(talk, message->message_end == 1);
  check(talk, sluice_connection_send(from, message->is_text, message->bytes, message->size_bytes) ==
                  SLUICE_OK);
}

static void client_open(void* context, sluice_connection* opened, const char* subprotocol,
                        size_t subprotocol_bytes) {
  struct talk* const talk = context;
  char address[64];
  ++talk->opened;
  check(talk, subprotocol_bytes == 2 && memcmp(subprotocol, "v2", 2) == 0);
  check(talk, sluice_connection_peer_address(opened, address, sizeof address) != 0);
  check(talk, sluice_connection_id(opened) != 0);
  check(talk, sluice_connection_get_state(opened) == SLUICE_STATE_OPEN);
  check(talk, sluice_connection_is_server(opened) == 0);
  check_tls(talk, opened);
  sluice_connection_set_user_data(opened, talk);
  sluice_connection_set_delivery(opened, SLUICE_DELIVER_BUFFERS);
  check(talk,
        sluice_connection_receive_into(opened, talk->buffer, sizeof talk->buffer) == SLUICE_OK);
  check(talk, sluice_connection_ping(opened, "p", 1) == SLUICE_OK);
  check(talk, sluice_connection_send_fragment(opened, 1, "hel", 3, 0) == SLUICE_OK);
  check(talk, sluice_connection_send_fragment(opened, 1, "lo", 2, 1) == SLUICE_OK);
  check(talk, sluice_connection_send_queue_bytes(opened) != 0);
}

static void client_pong(void* context, sluice_connection* from, const uint8_t* payload,
                        size_t size_bytes) {
  struct talk* const talk = context;
  (void)from;
  check(talk, size_bytes == 1 && payload[0] == 'p');
  ++talk->pongs;
}

static void client_received(void* context, sluice_connection* from, const sluice_view* filled) {
  struct talk* const talk = context;
  sluice_connection_stats counted;
  check(talk, filled->bytes == talk->buffer && filled->is_text == 1);
  check(talk, filled->size_bytes == 5 && memcmp(filled->bytes, "hello", 5) == 0);
  check(talk, sluice_view_hold(filled) == NULL);
  check(talk, sluice_connection_user_data(from) == talk);
  memset(&counted, 0, sizeof counted);
  counted.size_bytes = sizeof counted;
  sluice_connection_get_stats(from, &counted);
  check(talk, counted.messages_received == 1 && counted.payload_received_bytes == 5);
  check(talk, counted.frames_sent == 3);
  ++talk->echoed;
  check(talk, sluice_connection_close(from, 1000, "done") == SLUICE_OK);
  check(talk, sluice_connection_get_state(from) == SLUICE_STATE_CLOSING);
}

static void any_close(void* context, sluice_connection* closed, const sluice_close_event* how) {
  struct talk* const talk = context;
  check(talk, sluice_connection_get_state(closed) == SLUICE_STATE_CLOSED);
  check(talk, how->clean == 1 && how->status == 1000 && how->opened == 1);
  check(talk, how->cause == SLUICE_OK);
  if (++talk->closed == 2) {
    sluice_loop_stop(talk->loop);
  }
}

static void task(void* context) {
  ((struct talk*)context)->posted = 1;
}

/* 0: everything was as it should be. PEM texts; NULL: without TLS. */
int sluice_c_api_talk(const char* certificate, const char* key, const char* authority) {
  struct talk talk;
  sluice_callbacks server_calls;
  sluice_callbacks client_calls;
  sluice_connection_settings settings;
  sluice_loop_settings loop_settings;
  sluice_handler* server = NULL;
  sluice_handler* client = NULL;
  sluice_listener* listener = NULL;
  sluice_connection* connecting = NULL;
  sluice_loop_stats counted;
  sluice_tls_settings tls_settings;
  sluice_tls* server_tls = NULL;
  sluice_tls* client_tls = NULL;
  size_t kept_bytes = 0;

  memset(&talk, 0, sizeof talk);
  talk.secure = certificate != NULL;
  if (talk.secure) {
    sluice_tls_settings_init(&tls_settings);
    check(&talk, sluice_tls_create_server(&tls_settings, &server_tls) == SLUICE_ERROR_TLS_SETTINGS);
    tls_settings.certificate_pem = certificate;
    tls_settings.certificate_pem_bytes = strlen(certificate);
    tls_settings.private_key_pem = key;
    tls_settings.private_key_pem_bytes = strlen(key);
    check(&talk, sluice_tls_create_server(&tls_settings, &server_tls) == SLUICE_OK);
    sluice_tls_settings_init(&tls_settings);
    tls_settings.ca_pem = authority;
    tls_settings.ca_pem_bytes = strlen(authority);
    check(&talk, sluice_tls_create_client(&tls_settings, &client_tls) == SLUICE_OK);
  }
  memset(&server_calls, 0, sizeof server_calls);
  memset(&client_calls, 0, sizeof client_calls);
  server_calls.size_bytes = sizeof server_calls;
  server_calls.on_upgrade = server_upgrade;
  server_calls.on_message = server_message;
  server_calls.on_close = any_close;
  client_calls.size_bytes = sizeof client_calls;
  client_calls.on_open = client_open;
  client_calls.on_received = client_received;
  client_calls.on_pong = client_pong;
  client_calls.on_close = any_close;
  server = sluice_handler_create(&server_calls, &talk);
  client = sluice_handler_create(&client_calls, &talk);
  sluice_loop_settings_init(&loop_settings);
  if (server == NULL || client == NULL ||
      sluice_loop_create(&loop_settings, &talk.loop) != SLUICE_OK) {
    return 1;
  }
  sluice_connection_settings_init(&settings);
  settings.take = SLUICE_DELIVER_MESSAGES;
  settings.tls = server_tls;
  if (sluice_loop_listen(talk.loop, NULL, 0, 0, &settings, server, &listener) != SLUICE_OK) {
    return 2;
  }
  check(&talk, sluice_listener_replace_tls(listener, NULL) == SLUICE_ERROR_INVALID_ARGUMENT);
  check(&talk, !talk.secure || sluice_listener_replace_tls(listener, server_tls) == SLUICE_OK);
  sluice_connection_settings_init(&settings);
  settings.tls = client_tls;
  settings.tls_name = "localhost";
  if (sluice_loop_connect(talk.loop, "127.0.0.1", sluice_listener_port(listener), "/talk", "v1, v2",
                          "X-A: b\r\n", &settings, client, &connecting) != SLUICE_OK) {
    return 2;
  }
  check(&talk, sluice_connection_get_state(connecting) == SLUICE_STATE_CONNECTING);
  sluice_tls_destroy(client_tls); /* the connection keeps what it needs */
  sluice_tls_destroy(server_tls);
  check(&talk, sluice_loop_post(talk.loop, task, &talk) == SLUICE_OK);
  check(&talk, sluice_loop_descriptor(talk.loop) >= 0);
  check(&talk, sluice_loop_run(talk.loop) == SLUICE_OK);
  memset(&counted, 0, sizeof counted);
  counted.size_bytes = sizeof counted;
  sluice_loop_get_stats(talk.loop, &counted);
  check(&talk, counted.size_bytes == sizeof counted);
  check(&talk, counted.connections_accepted == 1 && counted.connections_made == 1);
  check(&talk, counted.messages_received == 2 && counted.frames_received >= 5);
  check(&talk, counted.backend != NULL && counted.kernels != NULL);
  /* A program that was built with fewer members gets those. */
  memset(&counted, 0, sizeof counted);
  counted.size_bytes = offsetof(sluice_loop_stats, connections_adopted);
  sluice_loop_get_stats(talk.loop, &counted);
  check(&talk, counted.connections_accepted == 1 && counted.connections_made == 0);
  sluice_listener_close(listener);
  sluice_loop_destroy(talk.loop);
  /* The view outlives the loop. */
  check(&talk, talk.kept != NULL);
  check(&talk, memcmp(sluice_held_bytes(talk.kept, &kept_bytes), "hello", 5) == 0);
  check(&talk, kept_bytes == 5);
  check(&talk, sluice_held_is_text(talk.kept) == 1 && sluice_held_message_end(talk.kept) == 1);
  check(&talk, sluice_held_frame_left_bytes(talk.kept) == 0);
  sluice_held_release(talk.kept);
  sluice_held_release(NULL);
  sluice_handler_destroy(server);
  sluice_handler_destroy(client);
  check(&talk, strcmp(sluice_error_text(SLUICE_OK), "no error") == 0);
  return talk.wrong == 0 && talk.opened == 1 && talk.echoed == 1 && talk.pongs == 1 &&
                 talk.closed == 2 && talk.posted == 1
             ? 0
             : 3;
}

struct parts {
  sluice_loop* loop;
  sluice_connection* client;
  uint8_t payload[1u << 20];
  int inner; /* slices that neither end their message nor their frame */
  int last;
  int wrong;
};

static void parts_open(void* context, sluice_connection* opened, const char* subprotocol,
                       size_t subprotocol_bytes) {
  struct parts* const parts = context;
  (void)subprotocol;
  (void)subprotocol_bytes;
  if (opened == parts->client) {
    parts->wrong +=
        sluice_connection_send(opened, 0, parts->payload, sizeof parts->payload) != SLUICE_OK;
  }
}

static void parts_slice(void* context, sluice_connection* from, const sluice_view* slice) {
  struct parts* const parts = context;
  sluice_held* const held = sluice_view_hold(slice);
  (void)from;
  if (held == NULL) {
    ++parts->wrong;
    return;
  }
  parts->wrong += sluice_held_is_text(held) != 0;
  parts->wrong += sluice_held_message_end(held) != slice->message_end;
  parts->wrong += sluice_held_frame_left_bytes(held) != slice->frame_left_bytes;
  sluice_held_release(held);
  if (slice->message_end) {
    ++parts->last;
    sluice_loop_stop(parts->loop);
  } else if (slice->frame_left_bytes != 0) {
    ++parts->inner;
  }
}

/* 0: what was held of a message in parts says which part it is. */
int sluice_c_api_held_parts(void) {
  static struct parts parts;
  sluice_callbacks calls;
  sluice_handler* handler = NULL;
  sluice_listener* listener = NULL;
  memset(&parts, 0, sizeof parts);
  memset(&calls, 0, sizeof calls);
  calls.size_bytes = sizeof calls;
  calls.on_open = parts_open;
  calls.on_slice = parts_slice;
  handler = sluice_handler_create(&calls, &parts);
  if (handler == NULL || sluice_loop_create(NULL, &parts.loop) != SLUICE_OK) {
    return 1;
  }
  if (sluice_loop_listen(parts.loop, NULL, 0, 0, NULL, handler, &listener) != SLUICE_OK ||
      sluice_loop_connect(parts.loop, "127.0.0.1", sluice_listener_port(listener), "/", NULL, NULL,
                          NULL, handler, &parts.client) != SLUICE_OK ||
      sluice_loop_run(parts.loop) != SLUICE_OK) {
    return 2;
  }
  sluice_loop_destroy(parts.loop);
  sluice_handler_destroy(handler);
  return parts.wrong == 0 && parts.inner > 0 && parts.last == 1 ? 0 : 3;
}
