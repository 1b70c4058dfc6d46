// SPDX-License-Identifier: MIT
// Inside of the server: what its files share. Everything here is for the I/O thread unless it says
// otherwise.
//
//   loop.c      accept, epoll, wake-ups, deadlines, shutdown
//   conn.c      one socket: states, reading, writing
//   request.c   a request's way from bytes to its handler: checks, routes, accessors
//   reply.c     replies, deferred replies     static.c  resources and files
//   upgrade.c   WebSocket and MJPEG connections on the I/O thread
//   post.c      what other threads may do to them
#ifndef PH_SERVER_PRIV_H
#define PH_SERVER_PRIV_H

#include "server/guard.h"
#include "server/http.h"
#include "server/mailbox.h"
#include "server/server.h"
#include "server/tls.h"
#include "server/token.h"
#include "server/ws.h"

#include <phosphene/clock.h>

#include "core/buf.h"
#include "core/hist.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define WHO            "server"
#define PARAMS_MAX     4                // {name} segments of a route
#define CONTROL_BYTES  (256 * 1024)     // of texts that wait for one client
#define CONTROL_MARGIN 8192             // above that, for pongs, pings and the close
#define SCRATCH_BYTES  (64 * 1024)      // what one read takes
#define STOP_NS        (400 * PH_MS_NS) // for goodbyes at shutdown
#define MJPEG_BOUNDARY "phosphene-frame"

enum conn_state {
    CONN_REQUEST, // reads a head; TLS handshakes happen here by themselves
    CONN_BODY,    // reads a body
    CONN_WAIT,    // the reply comes later: deferred, or a refusal that is held back
    CONN_REPLY,   // writes a reply
    CONN_STREAM,  // MJPEG
    CONN_WS,      // WebSocket
    CONN_CLOSING, // writes its last bytes
    CONN_LINGER,  // has shut its side, lets the other one finish
    CONN_DEAD
};

// What is being written. Nothing else goes out before it has ended.
struct out {
    struct iovec vec[4];
    int count;
    struct ph_buf owned;    // reply heads and copied bodies
    struct ph_frame *frame; // keeps a payload alive
    void *unpacked;         // likewise, freed
    bool has_file;          // a piece of fd follows
    int fd;                 //
    uint64_t fd_at, fd_left;
    bool picture;        // counts as one when it has gone
    uint64_t texts;      // messages in it
    uint8_t prefix[192]; // headers before a picture
};

struct route {
    struct ph_route r;
    const struct ph_ws_hooks *ws;       // NULL = HTTP
    const struct ph_resource *resource; // NULL = a handler
    char etag[24];                      // of the resource, when it has none
};

struct ph_request {
    struct ph_conn *conn;
    struct ph_http http;
    enum ph_method method;
    bool is_head, upgrade; // HEAD; asks for a WebSocket
    bool authorized;
    bool replied, deferred;
    const struct route *route;
    int param_count;
    struct ph_http_pair param[PARAMS_MAX]; // values are owned
    char *body;
    size_t body_len, body_cap;
    struct ph_json_doc *json;
    struct ph_buf headers; // of the reply, added by the handler
};

struct ph_deferred {
    _Atomic int refs;
    pthread_mutex_t lock;
    struct ph_conn *conn; // a reference
    bool over;            // answered or too late
    bool answered;
    int status;
    char *body; // `small` or owned
    size_t len;
    char small[1024];
    struct ph_frame *frame; // instead of a body
    int late_status;        // what the client gets at the deadline
    char *late_body;
};

struct ph_conn {
    // set once
    _Atomic int refs;
    uint64_t id;
    char remote[64], local[64]; // "127.0.0.1:5", "127.0.0.1"
    struct ph_address address;
    int64_t opened_ns;

    // any thread, under lock (taken before server->wake_lock)
    pthread_mutex_t lock;
    struct ph_server *server; // NULL when the socket is gone
    bool open;                // may be posted to
    bool websocket;
    struct ph_mailbox *box;
    char *control; // whole frames that wait
    size_t control_len;
    uint64_t control_texts;
    int close_code; // asked for; 0 = not
    char close_reason[PH_WS_REASON_MAX + 1];
    uint64_t sent, sent_texts, sent_bytes, received, received_bytes;
    struct ph_rate sent_rate;
    int64_t progress_ns; // when bytes last left, or there were none

    // under server->wake_lock
    bool woken;
    struct ph_conn *next_woken;

    // I/O thread
    enum conn_state state;
    int fd;
    unsigned events; // what epoll watches
    struct ph_tls *tls;
    bool tls_read_wants_write, tls_write_wants_read;
    bool blocked; // the kernel took less than we had
    bool keep_alive;
    char *in; // bytes of requests
    size_t in_len, in_cap, scanned, head_len;
    struct out out;
    int64_t deadline_ns; // of the state; PH_NEVER = none
    struct ph_request request;
    struct ph_deferred *deferred; // a reference
    int refusal;                  // status held back in CONN_WAIT
    // WebSocket and MJPEG
    const struct ph_ws_hooks *hooks;
    void (*mjpeg_closed)(void *user, struct ph_conn *conn);
    void *user;
    bool viewer;     // is counted
    bool over;       // `closed` has been called
    bool authorized; // has shown its token
    bool first_text; // the next one is the first
    bool held_back;  // a wrong token: its answer waits, nothing is read
    struct ph_ws_in *ws;
    char *control_out; // the other one of two buffers, in flight
    char *text_out;    // metrics in flight
    int64_t ping_ns;   // when the next one is due
    bool pong_awaited;
    struct ph_conn *next, *prev; // of the server
};

struct ph_server {
    struct ph_server_params par; // texts are owned
    struct ph_server_limits limits;
    char *bind, *csp, **hosts, **origins;
    char token[PH_TOKEN_MAX + 1]; // "" = none
    int port;
    bool beyond_loopback;
    struct ph_tls_context *tls;
    struct route *routes;
    int route_count;

    int listener, epoll, wake_fd;
    pthread_t thread;
    bool started;
    _Atomic bool stopping;

    pthread_mutex_t wake_lock;
    struct ph_conn *woken, **woken_tail;

    // I/O thread
    struct ph_conn *conns, *dead;
    uint64_t next_id;
    int conn_count, viewer_count;
    int64_t now_ns;       // of this turn of the loop
    int64_t accept_at_ns; // paused until then: no descriptors left; 0 = not
    struct ph_auth_limit auth;
    uint8_t *scratch;

    // counters, any thread
    _Atomic int connections, viewers;
    _Atomic uint64_t accepted, requests, upgrades, refused[PH_REFUSALS], sent_bytes,
        received_bytes;
};

#define count_add(counter, n) atomic_fetch_add_explicit(&(counter), n, memory_order_relaxed)

// loop.c
void ph_server_refused(struct ph_server *s, enum ph_server_refusal why);
// Has the I/O thread look at the connection. With c->lock held, server not NULL.    thread: any
void ph_conn_wake(struct ph_conn *c);
int ph_server_count_address(const struct ph_server *s, const struct ph_address *who,
                            bool viewers);

// conn.c
struct ph_address ph_address_of(const struct sockaddr_storage *peer);
struct ph_conn *ph_conn_create(struct ph_server *s, int fd,
                               const struct sockaddr_storage *peer);
void ph_conn_event(struct ph_conn *c, unsigned events);
void ph_conn_pump(struct ph_conn *c);   // goes on as far as it can without waiting
void ph_conn_kill(struct ph_conn *c);   // closes the socket now
void ph_conn_finish(struct ph_conn *c); // lets out go, then shuts down and lingers
int64_t ph_conn_due_ns(const struct ph_conn *c);
void ph_conn_expire(struct ph_conn *c);
void ph_conn_stop(struct ph_conn *c); // the server stops
void ph_conn_release(struct ph_conn *c);
void ph_out_clear(struct out *o);
void ph_out_add(struct out *o, const void *bytes, size_t size);

// request.c
// Takes what it can from c->in; true when the state changed.
bool ph_request_input(struct ph_conn *c);
void ph_request_body_done(struct ph_conn *c);
void ph_request_end(struct ph_request *req); // frees what belongs to it
void ph_request_refuse(struct ph_request *req, int status, enum ph_server_refusal why,
                       const char *field, const char *fmt, ...) PH_PRINTF(5, 6);

// reply.c
// Head and body of a reply whose body is in memory that lives long enough.
void ph_reply_with(struct ph_request *req, int status, const char *type, const void *body,
                   size_t size);
// The head, into out.owned; length -1 = until the connection ends; then its sending, false when
// it could not be made: nothing may follow, the connection ends.
void ph_reply_head(struct ph_request *req, int status, const char *type, int64_t length);
bool ph_reply_owned(struct ph_request *req);
// A JSON error document.
void ph_error_json(struct ph_buf *b, int status, const struct ph_fault *fault);
void ph_deferred_woken(struct ph_conn *c, bool late);
void ph_deferred_abandon(struct ph_conn *c);

// upgrade.c
bool ph_request_is_upgrade(const struct ph_http *h);
void ph_upgrade_begin(struct ph_request *req);
void ph_ws_input(struct ph_conn *c, const void *bytes, size_t size);
void ph_ws_expire(struct ph_conn *c);
// Tells the owner, once, that the connection is over; no more posts.
void ph_conn_over(struct ph_conn *c, int code);
// A close with that code after what is being written; error: also as a text before it.
void ph_ws_close(struct ph_conn *c, int code, const char *reason, bool error);
bool ph_stream_next(struct ph_conn *c); // puts what is next into c->out; false = nothing
bool ph_control_put(struct ph_conn *c, const void *head, size_t head_size, const void *bytes,
                    size_t size, size_t limit);  // with c->lock held
bool ph_viewer_admitted(struct ph_request *req); // false = too many, replied
bool ph_stream_prepare(struct ph_conn *c, enum ph_send_mode mode, int depth);

// static.c
void ph_reply_static(struct ph_request *req, const struct ph_resource *res, const char *etag);

// token check of a request: PH_OK, PH_MORE (none shown), PH_EINVAL (wrong), PH_ELIMIT
ph_err ph_token_check(struct ph_conn *c, const char *given, size_t len);

#endif
