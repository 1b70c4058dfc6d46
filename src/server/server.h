// SPDX-License-Identifier: MIT
// HTTP/1.1 and WebSocket on one port. Knows no graph: others register routes, get requests and
// connections, and post pictures.
//
// Threads. One I/O thread ("ph-server") accepts, reads, writes and calls every callback below
// (tag: io). A callback must not block: what takes longer than a millisecond is deferred to a
// thread of the caller's (ph_request_defer). What is tagged "any" may be called from all threads,
// takes one short lock, never blocks on a socket and does not allocate, so a lane may call it.
//
// Words. A *request* is one HTTP exchange. A *connection* (struct ph_conn) is a socket that has
// become a stream: a WebSocket or an MJPEG stream; both have a mailbox for pictures.
#ifndef PH_SERVER_SERVER_H
#define PH_SERVER_SERVER_H

#include <phosphene/frame.h>
#include <phosphene/log.h>

#include "core/json.h"

struct ph_server;
struct ph_request;
struct ph_deferred;
struct ph_conn;

// ---------------------------------------------------------------------------- life of a server

// Zero means the default written beside it. Times are nanoseconds.
struct ph_server_limits {
    int connections;             // 256 sockets, whatever they do
    int connections_per_address; // 64
    int viewers;                 // 64 connections (WebSocket and MJPEG)
    int viewers_per_address;     // 16
    size_t header_bytes;         // 16384 of request line and headers
    int headers;                 // 64
    size_t body_bytes;           // 1 MiB
    size_t text_bytes;           // 64 KiB a WebSocket text
    size_t binary_bytes;         // 4 MiB a WebSocket binary message
    int messages_per_s;          // 120 a WebSocket, pings included, one second of burst
    int send_buffer; // 256 KiB for the kernel, a quarter of them not yet on the line:
                     // decides how old a slow viewer's picture is
    int auth_failures_per_minute; // 10 wrong tokens an address, then 429 until the minute is over
    int64_t request_ns; // 10 s for a whole request, TLS handshake and first-message token
    int64_t idle_ns;    // 60 s of keep-alive
    int64_t ping_ns;    // 20 s between pings; no pong before the next one closes
    int64_t stall_ns;   // 10 s without progress closes a viewer (1013)
    int64_t linger_ns;  // 2 s for the other side to take our last bytes
};

struct ph_server_params {
    const char *bind;       // NULL = "127.0.0.1"; an address or a name; "0.0.0.0", "::" for all
    int port;               // 0 = one that is free; ask ph_server_port
    const char *tls_cert;   // PEM files, both or none; needs a build with OpenSSL
    const char *tls_key;    //
    const char *token;      // what clients must present; NULL = none on loopback, beyond it the
                            // one in token_path, made when it is missing
    const char *token_path; // NULL = ph_token_default_path() of token.h
    bool insecure_no_auth;  // beyond loopback without a token: warned about, loudly
    const char *const
        *hosts; // further names in Host, without port; NULL-terminated; may be NULL
    const char *const *origins; // further Origins, "https://host:port"; likewise
    const char *csp;            // Content-Security-Policy of pages; NULL = a strict one
    struct ph_server_limits limits;
    const struct ph_log *log; // borrowed for the server's life; may be NULL
};
#define ph_server_params(...) (&(struct ph_server_params){ __VA_ARGS__ })

// Binds and listens, so that a port in use, a bad address, certificate or token file is told here;
// nothing is accepted before start. PH_EBUSY port in use, PH_EINVAL bad address, PH_EFORMAT bad
// certificate or key, PH_EIO file trouble, PH_ENOTSUP no TLS in this build. The params' texts are
// copied.                                                                          thread: ctl
ph_err ph_server_create(struct ph_server **out, const struct ph_server_params *par,
                        struct ph_fault *fault);
// Starts the I/O thread. All routes are registered before.                         thread: ctl
ph_err ph_server_start(struct ph_server *s, struct ph_fault *fault);
// Says goodbye (1001 to WebSockets), calls every `closed`, ends the thread; below 1 s in every
// state. Afterwards no callback runs and posting does nothing. Not from a callback. thread: ctl
void ph_server_stop(struct ph_server *s);
// Stops and frees; nulls *s. Held ph_conn and ph_deferred stay valid until released. thread: ctl
void ph_server_destroy(struct ph_server **s);

int ph_server_port(const struct ph_server *s);          // the real one;         thread: any
const char *ph_server_token(const struct ph_server *s); // NULL = none is needed; thread: any
// "http://127.0.0.1:8080/" for people, with "#token=…" when one is needed. Like snprintf.
int ph_server_url(const struct ph_server *s, char *text, size_t size); // thread: any

// Why something was turned away or lost; indices of the counters below.
enum ph_server_refusal {
    PH_REFUSED_FORMAT,  // malformed HTTP or WebSocket
    PH_REFUSED_LIMIT,   // too large, too many, too often
    PH_REFUSED_HOST,    // unknown Host, foreign Origin
    PH_REFUSED_AUTH,    // no or wrong token
    PH_REFUSED_TIMEOUT, // too slow: request, pong, stall
    PH_REFUSALS
};
extern const char *const ph_server_refusal_name[PH_REFUSALS];

struct ph_server_stats {
    int connections, viewers; // now
    uint64_t accepted, requests, upgrades;
    uint64_t refused[PH_REFUSALS];
    uint64_t sent_bytes, received_bytes;
};
void ph_server_stats(const struct ph_server *s, struct ph_server_stats *out); // thread: any

// ---------------------------------------------------------------------------------- routes

enum ph_method { PH_GET = 1, PH_POST = 2, PH_PATCH = 4, PH_DELETE = 8, PH_PUT = 16 };

struct ph_route {
    unsigned methods; // mask of enum ph_method; HEAD goes where GET goes
    // "/api/v1/rooms/{name}": a segment in braces matches one non-empty segment, "{rest*}" at the
    // end matches all that follows, also nothing. A trailing slash is accepted. Literal segments
    // win over braces, earlier routes over later ones.
    const char *path;
    // Replies (ph_reply_*), or defers, exactly once before it returns.             thread: io
    void (*handle)(void *opaque, struct ph_request *req);
    void *opaque;
    bool open; // needs no token: the page itself, /healthz
};
// Borrows path and opaque for the server's life. Before start.                     thread: ctl
ph_err ph_server_route(struct ph_server *s, const struct ph_route *route);

// Before a handler sees a request the server has checked: syntax and limits, Host (known name),
// Origin (own or listed), token (unless `open`), method (405 with Allow), and for everything that
// is not GET or HEAD the Content-Type application/json (415).

// An embedded file. At least one of data and gz is there; a client that does not accept gzip gets
// it unpacked.
struct ph_resource {
    const char *path; // "/", "/js/main.js"
    const char *type; // "text/html; charset=utf-8"
    const void *data; // as is; may be NULL
    size_t size;
    const void *gz; // gzip; may be NULL
    size_t gz_size;
    const char *etag; // a strong tag with its quotes; NULL = made from the contents
    bool immutable;   // the name changes with the contents: cached for a year
};
// GET routes, `open`, for a table whose last path is NULL. Borrowed for the server's life.
ph_err ph_server_resources(struct ph_server *s, const struct ph_resource *table); // thread: ctl

// --------------------------------------------------------------------------------- requests
// Everything that a request returns is valid until it is answered or the handler returns, whichever
// is first, even when it is deferred: copy what you keep. All thread: io.

enum ph_method ph_request_method(const struct ph_request *req); // HEAD is told as PH_GET
const char *ph_request_path(const struct ph_request *req);      // decoded, without query
const char *ph_request_remote(const struct ph_request *req);    // "127.0.0.1:40312", "[::1]:5"
// {name} of the route, decoded; NULL = the route has none.
const char *ph_request_param(const struct ph_request *req, const char *name);
// ?name=value, decoded ("" without value); the first of several; NULL = not there.
const char *ph_request_query(const struct ph_request *req, const char *name);
// Any case; the first of several; NULL = not there.
const char *ph_request_header(const struct ph_request *req, const char *name);
const void *ph_request_body(const struct ph_request *req, size_t *size); // NUL-terminated
// The body as a JSON object. NULL = it was none and 400 has been sent. Freed with the request.
const struct ph_json *ph_request_json(struct ph_request *req);
// Whether it came with the right token, or none is needed. A WebSocket may show it later; nobody is
// asked for it on an open route.
bool ph_request_authorized(const struct ph_request *req);
// Whether a WebSocket client offers that subprotocol.
bool ph_request_offers(const struct ph_request *req, const char *subprotocol);

// ---------------------------------------------------------------------------------- replies
// Exactly one a request. All borrow (copy) their bytes unless they say otherwise. thread: io

void ph_reply_bytes(struct ph_request *req, int status, const char *type, const void *bytes,
                    size_t size);
void ph_reply_text(struct ph_request *req, int status, const char *text);
void ph_reply_json(struct ph_request *req, int status, const char *json, size_t len);
void ph_reply_status(struct ph_request *req, int status); // no body: 204, 304
// {"error":{"code":…,"field":…,"message":…}}; the code follows from the status.
void ph_reply_error(struct ph_request *req, int status, const char *field, const char *fmt, ...)
    PH_PRINTF(4, 5);
// A fault as the API tells it, with line and column; status 0 = from fault->code.
void ph_reply_fault(struct ph_request *req, int status, const struct ph_fault *fault);
// A packet's payload, without copying it (refs the frame). Not cached by anybody.
void ph_reply_frame(struct ph_request *req, struct ph_frame *frame);
void ph_reply_resource(struct ph_request *req,
                       const struct ph_resource *res); // ETag, 304, gzip
// A regular file below the folder `dir`, by Range if asked (one range), sent piecewise. `name` may
// not leave `dir` nor name a hidden file (404). download: the name to save it under, NULL = shown.
void ph_reply_file(struct ph_request *req, const char *dir, const char *name, const char *type,
                   const char *download);
// A further header ("Retry-After") of the reply that follows. Name and value have no line breaks.
void ph_reply_header(struct ph_request *req, const char *name, const char *value);

// Answers later, from any thread. When timeout_ns is over first, the client gets `status` with
// `json` (both copied now). Returns a reference that ends in exactly one of the two calls below;
// NULL when out of memory (500 is sent).                                           thread: io
struct ph_deferred *ph_request_defer(struct ph_request *req, int64_t timeout_ns, int status,
                                     const char *json);
// Sends the answer unless it is too late or the client is gone; releases and nulls *d. Up to 1 KiB
// it does not allocate. PH_ETIMEOUT = too late.                                   thread: any
ph_err ph_deferred_reply(struct ph_deferred **d, int status, const char *json, size_t len);
ph_err ph_deferred_fault(struct ph_deferred **d, int status, const struct ph_fault *fault);
// A packet's payload, as ph_reply_frame has it (refs the frame): a room that slept makes one first.
ph_err ph_deferred_frame(struct ph_deferred **d, struct ph_frame *frame);

// -------------------------------------------------------------------------------- connections

// What a connection's mailbox does when pictures come faster than the client takes them.
enum ph_send_mode {
    PH_SEND_LATEST,      // one picture waits; a newer one takes its place
    PH_SEND_DROP_TO_KEY, // encoded video: `depth` packets wait; when that is not enough, all until
    // the next key packet are dropped, and nothing is ever torn out of between
};

#define PH_POST_HEAD_MAX 64   // bytes that may precede the payload
#define PH_POST_TEXT_MAX 8192 // bytes of metrics that may precede a picture

struct ph_post {
    struct ph_frame *frame; // PH_PACKET in host memory; refs. Its payload is one binary message
    const void *head;       // put before the payload, in the same message; copied; may be NULL
    size_t head_size;       // <= PH_POST_HEAD_MAX
    bool extra;             // with the packet's extra bytes, too; else they are left out
    const char *text;       // a text message directly before the picture; copied; may be NULL.
    size_t text_len;        // <= PH_POST_TEXT_MAX. It is dropped together with its picture; in
                            // DROP_TO_KEY mode it goes the way of ph_ws_send_text
};
#define ph_post(...) (&(struct ph_post){ __VA_ARGS__ })
// MJPEG streams take pictures only: head and text are left out.

// PH_OK: it will be sent unless a newer one comes first. PH_MORE: dropped, only a key packet will
// do. PH_ESTOPPED: the connection is closed. PH_EINVAL, PH_ELIMIT: not a packet, head or text too
// long.                                                                            thread: any
ph_err ph_conn_post(struct ph_conn *conn, const struct ph_post *post);
// Empties the mailbox and goes on in that mode. depth 0 = 8, at most 32.           thread: any
void ph_conn_mode(struct ph_conn *conn, enum ph_send_mode mode, int depth);
// True when the next packet must be a key packet: after joining and after a drop.  thread: any
bool ph_conn_wants_key(const struct ph_conn *conn);

// A text message: never behind a waiting picture, in order among themselves. Copied. PH_ELIMIT:
// 256 KiB of them wait already, the connection is closed with 1013 (nothing is lost silently).
// PH_ENOTSUP on MJPEG streams.                                                     thread: any
ph_err ph_ws_send_text(struct ph_conn *conn, const char *text, size_t len);
ph_err ph_ws_send_binary(struct ph_conn *conn, const void *bytes, size_t size); // likewise
// Bytes of text that wait: who sends regularly skips a turn when this is not 0.    thread: any
size_t ph_ws_backlog(const struct ph_conn *conn);
// After what waits (texts, not pictures) a close with that code and reason (<= 123 bytes, cut).
// MJPEG: ends the stream.                                                          thread: any
void ph_conn_close(struct ph_conn *conn, int code, const char *reason);

// A connection is valid from its `open` to the return of its `closed`; who keeps it longer holds a
// reference. On a closed one all calls do nothing.                                 thread: any
struct ph_conn *ph_conn_ref(struct ph_conn *conn);
void ph_conn_unref(struct ph_conn **conn);

enum ph_send_drop {
    PH_SENT_REPLACED, // a newer picture took its place
    PH_SENT_NO_KEY,   // encoded video waits for a key packet
    PH_SENT_CLOSED,   // still waiting when the connection ended
    PH_SENT_DROPS
};
extern const char *const ph_send_drop_name[PH_SENT_DROPS];

struct ph_conn_stats {
    uint64_t id;     // never used again
    char remote[64]; // "127.0.0.1:40312"
    bool websocket;  // else MJPEG
    uint64_t posted; // posted = sent + the sum of dropped + waiting + (1 in flight)
    uint64_t sent, sent_texts, sent_bytes;
    uint64_t dropped[PH_SENT_DROPS];
    uint64_t received, received_bytes; // messages
    int waiting;                       // pictures
    double sent_fps;                   // over the last two seconds
    int64_t opened_ns;                 // ph_now_ns()
    int64_t queue_age_ns;     // how long the oldest waiting picture has waited; 0 = none
    int64_t last_progress_ns; // when the kernel last took bytes, or there were none
};
void ph_conn_stats(const struct ph_conn *conn, struct ph_conn_stats *out); // thread: any

// ---------------------------------------------------------------------------------- WebSocket

struct ph_ws_accept {
    const char *subprotocol; // one that the client offers (ph_request_offers); NULL = none
    void *user;              // given to the callbacks below
    enum ph_send_mode mode;
    int depth;
};

// All thread: io. For an accepted upgrade `closed` is called exactly once; `open` may never come
// (no token within 10 s).
struct ph_ws_hooks {
    // An upgrade request that is in order. PH_OK accepts it; to refuse, reply (404 …) and return a
    // negative value. Fills `accept`. A client without a token in the request may still present it
    // in its first message, {"type":"auth","token":…}: then `open` waits for that, and the client
    // gets {"type":"authenticated"}.
    ph_err (*accept)(void *opaque, struct ph_request *req, struct ph_ws_accept *accept);
    void (*open)(void *user, struct ph_conn *conn); // from now on it may be posted to
    // Whole messages; text is valid UTF-8, NUL-terminated, without NUL inside. Borrowed.
    void (*text)(void *user, struct ph_conn *conn, const char *text, size_t len);
    void (*binary)(void *user, struct ph_conn *conn, const void *bytes,
                   size_t size); // may be NULL
    // code: what the client sent, 1006 when it just went away, or ours. conn is NULL when it never
    // opened.
    void (*closed)(void *user, struct ph_conn *conn, int code);
};
// GET on `path` with Upgrade: websocket; without it 426. Borrows all.              thread: ctl
ph_err ph_server_ws(struct ph_server *s, const char *path, const struct ph_ws_hooks *hooks,
                    void *opaque);

// --------------------------------------------------------------------------------- MJPEG

// Answers with multipart/x-mixed-replace; pictures posted to the returned connection (borrowed, as
// after `open`) are its parts. NULL when it was refused (too many viewers; replied). `closed` is
// called exactly once otherwise.                                                   thread: io
struct ph_conn *ph_reply_mjpeg(struct ph_request *req,
                               void (*closed)(void *user, struct ph_conn *conn), void *user);

#endif
