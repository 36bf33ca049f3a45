#pragma once

/*
 * The native API for C and for languages that call C. The same objects, lifetimes and threads as in
 * sluice/loop.hpp, connection.hpp, handler.hpp and view.hpp, which say what each call does in full;
 * here stands what differs. C11.
 *
 * Threads: what belongs to a loop is for the thread that created it. Any thread may call
 * sluice_error_text, sluice_loop_stop, sluice_loop_post and the functions of a sluice_held (one
 * thread at a time), and what makes and destroys a handler or a sluice_tls. Nothing blocks but
 * sluice_loop_run.
 *
 * Pointers must not be NULL unless their comment allows it. Strings and bytes that are passed in
 * are copied or used up by the call, with one exception: sluice_answer.
 *
 * Structs that may grow start with their size. Those of settings are filled by their _init function
 * first: zero in a member is a value of its own there, not the default. In sluice_callbacks and the
 * structs that the library fills, set size_bytes to sizeof and the rest to zero.
 */

#include "sluice/export.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sluice_loop sluice_loop;
typedef struct sluice_listener sluice_listener;
typedef struct sluice_connection sluice_connection;
typedef struct sluice_handler sluice_handler;
typedef struct sluice_request sluice_request;
typedef struct sluice_held sluice_held;
typedef struct sluice_tls sluice_tls;

/* sluice::error, value by value; sluice/error.hpp says what each means. */
typedef enum sluice_error {
  SLUICE_OK = 0,
  SLUICE_ERROR_RESERVED_BITS,
  SLUICE_ERROR_UNKNOWN_OPCODE,
  SLUICE_ERROR_MASKED_FRAME,
  SLUICE_ERROR_UNMASKED_FRAME,
  SLUICE_ERROR_CONTROL_TOO_LONG,
  SLUICE_ERROR_CONTROL_FRAGMENTED,
  SLUICE_ERROR_NON_MINIMAL_LENGTH,
  SLUICE_ERROR_LENGTH_TOO_BIG,
  SLUICE_ERROR_UNEXPECTED_CONTINUATION,
  SLUICE_ERROR_EXPECTED_CONTINUATION,
  SLUICE_ERROR_CLOSE_PAYLOAD_LENGTH,
  SLUICE_ERROR_CLOSE_STATUS_CODE,
  SLUICE_ERROR_CLOSE_REASON_UTF8,
  SLUICE_ERROR_TEXT_UTF8,
  SLUICE_ERROR_MESSAGE_TOO_BIG,
  SLUICE_ERROR_TOO_MANY_FRAGMENTS,
  SLUICE_ERROR_RESPONSE_MALFORMED,
  SLUICE_ERROR_RESPONSE_TRUNCATED,
  SLUICE_ERROR_HEADER_TOO_BIG,
  SLUICE_ERROR_TOO_MANY_HEADERS,
  SLUICE_ERROR_UPGRADE_MISSING,
  SLUICE_ERROR_CONNECTION_MISSING,
  SLUICE_ERROR_ACCEPT_MISMATCH,
  SLUICE_ERROR_SUBPROTOCOL_INVALID,
  SLUICE_ERROR_EXTENSION_INVALID,
  SLUICE_ERROR_NAME_NOT_RESOLVED,
  SLUICE_ERROR_CANNOT_CONNECT,
  SLUICE_ERROR_TIMED_OUT,
  SLUICE_ERROR_END_OF_STREAM,
  SLUICE_ERROR_CONNECTION_LOST,
  SLUICE_ERROR_CANCELLED,
  SLUICE_ERROR_NO_MEMORY,
  SLUICE_ERROR_OUT_OF_DESCRIPTORS,
  SLUICE_ERROR_BACKEND_UNAVAILABLE,
  SLUICE_ERROR_RANDOM_FAILED,
  SLUICE_ERROR_SYSTEM,
  SLUICE_ERROR_REQUEST_MALFORMED,
  SLUICE_ERROR_UPGRADE_REFUSED,
  SLUICE_ERROR_WOULD_BLOCK,
  SLUICE_ERROR_INVALID_ARGUMENT,
  SLUICE_ERROR_INVALID_STATE,
  SLUICE_ERROR_TLS_SETTINGS,
  SLUICE_ERROR_TLS_CERTIFICATE,
  SLUICE_ERROR_TLS_HANDSHAKE,
  SLUICE_ERROR_TLS_RECORD,
  SLUICE_ERROR_CANNOT_LISTEN,
} sluice_error;

/* A short English sentence; static storage. Any thread. */
SLUICE_EXPORT const char* sluice_error_text(sluice_error error);

/* ---- settings ---- */

typedef enum sluice_backend {
  SLUICE_BACKEND_AUTOMATIC,
  SLUICE_BACKEND_URING,
  SLUICE_BACKEND_EPOLL
} sluice_backend;

typedef enum sluice_delivery {
  SLUICE_DELIVER_SLICES,
  SLUICE_DELIVER_MESSAGES,
  SLUICE_DELIVER_BUFFERS
} sluice_delivery;

/* sluice::loop_settings: what each member does, and what 0 means in it, stands there. `log` gets
   the lines of all levels. */
typedef struct sluice_loop_settings {
  size_t size_bytes;
  sluice_backend backend;
  uint32_t small_buffers_posted;
  uint32_t large_buffers_posted;
  size_t max_pool_bytes;
  size_t max_cached_bytes;
  size_t turn_bytes;
  uint32_t turn_frames;
  uint32_t busy_poll_us;
  void (*log)(void* log_context, int level, const char* line); /* 0 warning, 1 info, 2 debug */
  void* log_context;
  int multishot_receives;
} sluice_loop_settings;

/* sluice::connection_settings; times in milliseconds, 0 turns one off. */
typedef struct sluice_connection_settings {
  size_t size_bytes;
  uint64_t max_message_bytes;
  uint32_t max_fragments;
  uint32_t max_head_bytes;
  uint32_t max_headers;
  uint32_t handshake_timeout_ms;
  uint32_t ping_interval_ms;
  uint32_t dead_after_ms;
  uint32_t close_timeout_ms;
  size_t max_send_queue_bytes;
  size_t max_lent_bytes;
  sluice_delivery take;
  const sluice_tls* tls; /* NULL: plain TCP; kept by the call that takes it */
  const char* tls_name;  /* for connect: whom the certificate must name; NULL: the host */
} sluice_connection_settings;

/* Fill with the defaults. */
SLUICE_EXPORT void sluice_loop_settings_init(sluice_loop_settings* settings);
SLUICE_EXPORT void sluice_connection_settings_init(sluice_connection_settings* settings);

/* ---- TLS: sluice/tls.hpp ---- */

/* What can be wrong with a peer's certificate: sluice::certificate_fault. */
#define SLUICE_FAULT_UNKNOWN_AUTHORITY 0x01u
#define SLUICE_FAULT_WRONG_NAME 0x02u
#define SLUICE_FAULT_WRONG_DATE 0x04u
#define SLUICE_FAULT_WRONG_USAGE 0x08u
#define SLUICE_FAULT_REVOKED 0x10u
#define SLUICE_FAULT_REVOCATION_UNKNOWN 0x20u
#define SLUICE_FAULT_INVALID 0x40u

typedef enum sluice_tls_version { SLUICE_TLS_1_2, SLUICE_TLS_1_3 } sluice_tls_version;

typedef enum sluice_client_certificates {
  SLUICE_CLIENTS_IGNORED,
  SLUICE_CLIENTS_REQUESTED,
  SLUICE_CLIENTS_REQUIRED
} sluice_client_certificates;

/* sluice::tls_settings. Strings and bytes live for the call that takes them. */
typedef struct sluice_tls_settings {
  size_t size_bytes;
  const char* ca_file;
  const char* ca_directory;
  const void* ca_pem;
  size_t ca_pem_bytes;
  const char* revocation_file;
  const char* certificate_file;
  const char* private_key_file;
  const void* certificate_pem;
  size_t certificate_pem_bytes;
  const void* private_key_pem;
  size_t private_key_pem_bytes;
  uint32_t ignored_faults;
  sluice_client_certificates clients;
  sluice_tls_version lowest;
  sluice_tls_version highest;
  uint8_t check_revocation;
  uint8_t resume;
  uint8_t key_log;
} sluice_tls_settings;

SLUICE_EXPORT void sluice_tls_settings_init(sluice_tls_settings* settings);
/* sluice::tls_config; any thread. */
SLUICE_EXPORT sluice_error sluice_tls_create_server(const sluice_tls_settings* settings,
                                                    sluice_tls** made);
SLUICE_EXPORT sluice_error sluice_tls_create_client(const sluice_tls_settings* settings,
                                                    sluice_tls** made);
/* Listeners and connections keep what they were made with. NULL is fine. */
SLUICE_EXPORT void sluice_tls_destroy(sluice_tls* tls);

/* ---- callbacks ---- */

/* A piece of a message, lent for the callback; of on_received: the filled front part of the buffer
   that was passed to sluice_connection_receive_into, which is the caller's again. */
typedef struct sluice_view {
  const uint8_t* bytes;
  size_t size_bytes;
  uint64_t frame_left_bytes;
  uint8_t is_text;
  uint8_t message_end;
  const void* origin; /* for sluice_view_hold */
} sluice_view;

/* What to answer an upgrade request; comes filled in with status 101 and nothing else. The strings
   must live until the library has written the answer: literals or parts of the request. */
typedef struct sluice_answer {
  uint16_t status;
  const char* subprotocol; /* not NUL-terminated: subprotocol_bytes long */
  size_t subprotocol_bytes;
  const char* header_lines; /* NUL-terminated or NULL */
} sluice_answer;

typedef struct sluice_close_event {
  uint16_t status;
  uint8_t opened;
  uint8_t clean;
  sluice_error cause;
  const char* reason; /* the peer's, UTF-8, not NUL-terminated; lent for the callback */
  size_t reason_bytes;
} sluice_close_event;

/* sluice::connection_handler; a NULL member does nothing (or accepts). All run on the loop's
   thread, and what they are given is lent for the callback; `context` is that of
   sluice_handler_create. */
typedef struct sluice_callbacks {
  size_t size_bytes;
  void (*on_upgrade)(void* context, sluice_connection* asking, const sluice_request* request,
                     sluice_answer* answer);
  void (*on_open)(void* context, sluice_connection* opened, const char* subprotocol,
                  size_t subprotocol_bytes);
  void (*on_slice)(void* context, sluice_connection* from, const sluice_view* slice);
  void (*on_message)(void* context, sluice_connection* from, const sluice_view* message);
  void (*on_received)(void* context, sluice_connection* from, const sluice_view* filled);
  void (*on_ping)(void* context, sluice_connection* from, const uint8_t* payload,
                  size_t size_bytes);
  void (*on_pong)(void* context, sluice_connection* from, const uint8_t* payload,
                  size_t size_bytes);
  void (*on_writable)(void* context, sluice_connection* to);
  void (*on_close)(void* context, sluice_connection* closed, const sluice_close_event* how);
} sluice_callbacks;

/* Copies `callbacks`. NULL: no memory. Must outlive the connections it serves: destroy it after the
   loop. */
SLUICE_EXPORT sluice_handler* sluice_handler_create(const sluice_callbacks* callbacks,
                                                    void* context);
SLUICE_EXPORT void sluice_handler_destroy(sluice_handler* handler); /* NULL is fine */

/* ---- loop ---- */

/* `settings` may be NULL. */
SLUICE_EXPORT sluice_error sluice_loop_create(const sluice_loop_settings* settings,
                                              sluice_loop** made);
/* On the loop's thread. Ends what is open, with on_close each. NULL is fine. */
SLUICE_EXPORT void sluice_loop_destroy(sluice_loop* loop);
SLUICE_EXPORT sluice_error sluice_loop_run(sluice_loop* loop);
/* Any thread, async-signal-safe. The loop must be there until this has returned, and run may return
   before it. */
SLUICE_EXPORT void sluice_loop_stop(sluice_loop* loop);
SLUICE_EXPORT int sluice_loop_descriptor(const sluice_loop* loop);
/* At most `budget` turns, 16 by default in C++. How long to wait for the descriptor at most, in
   milliseconds; -1: only the descriptor counts. */
SLUICE_EXPORT int sluice_loop_run_ready(sluice_loop* loop, size_t budget);
SLUICE_EXPORT sluice_error sluice_loop_post(sluice_loop* loop, void (*task)(void* context),
                                            void* context); /* any thread */

/* `address` NULL: 127.0.0.1. `settings` NULL: defaults. `made` may be NULL, here and below; a
   listener lives until sluice_listener_close or the end of the loop. */
SLUICE_EXPORT sluice_error sluice_loop_listen(sluice_loop* loop, const char* address, uint16_t port,
                                              int reuse_port,
                                              const sluice_connection_settings* settings,
                                              sluice_handler* handler, sluice_listener** made);
SLUICE_EXPORT uint16_t sluice_listener_port(const sluice_listener* listener);
/* For connections that are accepted from now on. */
SLUICE_EXPORT sluice_error sluice_listener_replace_tls(sluice_listener* listener,
                                                       const sluice_tls* replacement);
SLUICE_EXPORT void sluice_listener_close(sluice_listener* listener);

/* `already_read` may be NULL with 0. Owns `fd` from here on if it returns SLUICE_OK. Use `*made` in
   this turn of the loop only; a handshake that fails ends it without a callback. */
SLUICE_EXPORT sluice_error sluice_loop_adopt(sluice_loop* loop, int fd, const uint8_t* already_read,
                                             size_t already_read_bytes,
                                             const sluice_connection_settings* settings,
                                             sluice_handler* handler, sluice_connection** made);

/* `subprotocols`, separated by commas, and `header_lines`, each "Name: value\r\n", may be NULL; an
   Origin is one of those. `settings` NULL: defaults. `*made` lives until on_close has returned. */
SLUICE_EXPORT sluice_error sluice_loop_connect(sluice_loop* loop, const char* host, uint16_t port,
                                               const char* target, const char* subprotocols,
                                               const char* header_lines,
                                               const sluice_connection_settings* settings,
                                               sluice_handler* handler, sluice_connection** made);

/* ---- request, inside on_upgrade ---- */

/* The strings are not NUL-terminated and live for the callback; NULL with 0 when there is none. */
SLUICE_EXPORT const char* sluice_request_target(const sluice_request* request, size_t* size_bytes);
SLUICE_EXPORT const char* sluice_request_header(const sluice_request* request, const char* name,
                                                size_t nth, size_t* size_bytes);
/* All headers in the order of the request, `index` from 0: the name as sent, the value without the
   blanks around it. NULL with 0 from sluice_request_header_count on. */
SLUICE_EXPORT size_t sluice_request_header_count(const sluice_request* request);
SLUICE_EXPORT const char* sluice_request_header_name(const sluice_request* request, size_t index,
                                                     size_t* size_bytes);
SLUICE_EXPORT const char* sluice_request_header_value(const sluice_request* request, size_t index,
                                                      size_t* size_bytes);
SLUICE_EXPORT const char* sluice_request_subprotocol(const sluice_request* request, size_t index,
                                                     size_t* size_bytes);

/* ---- connection ---- */

/* sluice::connection_state, value by value. */
typedef enum sluice_connection_state {
  SLUICE_STATE_CONNECTING, /* client: resolving, connecting */
  SLUICE_STATE_UPGRADING,  /* the opening handshake is under way */
  SLUICE_STATE_OPEN,
  SLUICE_STATE_CLOSING, /* a close frame was sent or received */
  SLUICE_STATE_CLOSED   /* only on_close is left to come */
} sluice_connection_state;

SLUICE_EXPORT sluice_error sluice_connection_send(sluice_connection* to, int is_text,
                                                  const void* payload, size_t size_bytes);
SLUICE_EXPORT sluice_error sluice_connection_send_fragment(sluice_connection* to, int is_text,
                                                           const void* payload, size_t size_bytes,
                                                           int fin);
SLUICE_EXPORT sluice_error sluice_connection_ping(sluice_connection* to, const void* payload,
                                                  size_t size_bytes);
/* `reason` is NUL-terminated; NULL: none. */
SLUICE_EXPORT sluice_error sluice_connection_close(sluice_connection* connection, uint16_t status,
                                                   const char* reason);
SLUICE_EXPORT void sluice_connection_abort(sluice_connection* connection);
/* Bytes that wait in the send queue, frame headers included. */
SLUICE_EXPORT size_t sluice_connection_send_queue_bytes(const sluice_connection* connection);
SLUICE_EXPORT void sluice_connection_pause_reading(sluice_connection* connection);
SLUICE_EXPORT void sluice_connection_resume_reading(sluice_connection* connection);
SLUICE_EXPORT void sluice_connection_set_delivery(sluice_connection* connection,
                                                  sluice_delivery how);
/* `to` must stay until on_received or on_close. */
SLUICE_EXPORT sluice_error sluice_connection_receive_into(sluice_connection* connection, void* to,
                                                          size_t size_bytes);
SLUICE_EXPORT sluice_connection_state
sluice_connection_get_state(const sluice_connection* connection);
/* 1: it was accepted or adopted; 0: it was made by sluice_loop_connect. */
SLUICE_EXPORT int sluice_connection_is_server(const sluice_connection* connection);
SLUICE_EXPORT uint64_t sluice_connection_id(const sluice_connection* connection);
/* NUL-terminated, cut to the room there is; the number of bytes before the NUL. */
SLUICE_EXPORT size_t sluice_connection_peer_address(const sluice_connection* connection, char* to,
                                                    size_t size_bytes);
/* sluice::tls_info. */
typedef struct sluice_tls_info {
  size_t size_bytes; /* set before the call */
  uint8_t established;
  uint8_t resumed;
  uint16_t cipher_bits;
  sluice_tls_version version;
  const char* cipher;
  uint32_t certificate_faults;
} sluice_tls_info;
/* 0, and nothing written, if the connection is plain. */
SLUICE_EXPORT int sluice_connection_tls(const sluice_connection* connection, sluice_tls_info* to);
/* DER; written if it fits. Its size, 0 if there is none. */
SLUICE_EXPORT size_t sluice_connection_peer_certificate(const sluice_connection* connection,
                                                        void* to, size_t size_bytes);
SLUICE_EXPORT void* sluice_connection_user_data(const sluice_connection* connection);
SLUICE_EXPORT void sluice_connection_set_user_data(sluice_connection* connection, void* pointer);

/* ---- counters ---- */

/* sluice::loop_stats: they only grow unless their comment says "now". Set size_bytes to sizeof
   before each call; the library fills no more and sets it to what it has filled. */
typedef struct sluice_loop_stats {
  size_t size_bytes;

  uint64_t connections_open; /* now, handshakes included */
  uint64_t connections_accepted;
  uint64_t connections_adopted;
  uint64_t connections_made; /* as client, TCP established */
  uint64_t handshakes_done;
  uint64_t handshakes_failed;
  uint64_t closes_clean; /* close frames went both ways */
  uint64_t closes_dirty;

  uint64_t ticks;        /* turns of the loop */
  uint64_t system_calls; /* made by the backend */
  uint64_t completions;
  uint64_t receives;         /* completed with bytes */
  uint64_t received_bytes;   /* from the sockets, headers included */
  uint64_t receives_starved; /* had to wait for a buffer */
  uint64_t sends;
  uint64_t sent_bytes; /* to the sockets, headers included */

  uint64_t messages_received; /* of connections that have ended and of open ones */
  uint64_t frames_received;   /* of any opcode */
  uint64_t payload_received_bytes;
  uint64_t payload_copied_bytes; /* received payload that was copied in user space */
  uint64_t frames_sent;
  uint64_t payload_sent_bytes;

  uint64_t views_held; /* calls of view::hold that gave a view */
  uint64_t lent_bytes; /* now: receive memory kept alive by held views */
  uint64_t reads_paused_by_lending;
  uint64_t turns_over_budget; /* a connection had more to do and went to the back */
  uint64_t pool_bytes;        /* now: receive buffers reserved */
  uint64_t cached_bytes;      /* now: blocks kept for reuse */
  uint64_t allocations;       /* heap blocks taken by the loop and its connections */

  const char* backend; /* "uring" or "epoll"; static storage */
  const char* kernels; /* "avx2", ...; static storage */
  /* 1: the kernel polls the network devices of our sockets while busy_poll_us looks for events. */
  uint64_t polls_devices;

  uint64_t buffers_posted; /* now: receive buffers that the kernel may fill (io_uring) */
  uint64_t buffers_lent;   /* now: receive buffers with bytes not used up, or held by views */

  uint64_t tls_handshakes; /* done, of both roles */
  uint64_t tls_resumed;    /* those of them that took up an earlier session */

  uint64_t multishot;    /* 1: multishot_receives is in effect */
  uint64_t reads_braked; /* a multishot receive was cancelled to hold a connection back */
} sluice_loop_stats;

/* sluice::connection_stats, likewise. */
typedef struct sluice_connection_stats {
  size_t size_bytes;

  uint64_t messages_received;
  uint64_t frames_received;
  uint64_t payload_received_bytes;
  uint64_t payload_copied_bytes;
  uint64_t pings_received;
  uint64_t pongs_received;
  uint64_t frames_sent;
  uint64_t payload_sent_bytes;
  uint64_t send_queue_bytes; /* now */
  uint64_t lent_bytes;       /* now */
} sluice_connection_stats;

SLUICE_EXPORT void sluice_loop_get_stats(const sluice_loop* loop, sluice_loop_stats* to);
SLUICE_EXPORT void sluice_connection_get_stats(const sluice_connection* connection,
                                               sluice_connection_stats* to);

/* ---- views that are kept ---- */

/* Keeps the bytes of `view` until sluice_held_release; NULL: no memory. Only inside on_slice and
   on_message. */
SLUICE_EXPORT sluice_held* sluice_view_hold(const sluice_view* view);
SLUICE_EXPORT const uint8_t* sluice_held_bytes(const sluice_held* held, size_t* size_bytes);
/* What the members of the same names said in the view that was held. */
SLUICE_EXPORT int sluice_held_is_text(const sluice_held* held);
SLUICE_EXPORT int sluice_held_message_end(const sluice_held* held);
SLUICE_EXPORT uint64_t sluice_held_frame_left_bytes(const sluice_held* held);
SLUICE_EXPORT void sluice_held_release(sluice_held* held); /* any thread, once; NULL is fine */

#ifdef __cplusplus
}
#endif
