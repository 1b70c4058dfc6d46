// SPDX-License-Identifier: MIT
// A server with routes for tests, on a port of its own.
#ifndef PH_TEST_FIXTURE_H
#define PH_TEST_FIXTURE_H

#include "client.h"

#include "server/server.h"
#include "server/ws.h"

#include <phosphene/clock.h>

#include <pthread.h>

#define MS PH_MS_NS

// What the WebSocket hooks have seen; read with the lock.
struct seen {
    pthread_mutex_t lock;
    struct ph_conn *conns[128]; // open ones, in order of opening; references
    int count;
    int opened, closed, accepted, texts, binaries;
    int last_code; // of `closed`
    size_t last_size;
    struct ph_deferred *deferred;
};

struct fixture {
    struct ph_server *server;
    int port;
    struct seen seen;
};

static void hello(void *opaque, struct ph_request *req)
{
    ph_reply_text(req, 200, "hello");
}

static void echo(void *opaque, struct ph_request *req)
{
    size_t size;
    const void *body = ph_request_body(req, &size);
    ph_reply_json(req, 200, body, size);
}

// Tells what the server has made of the request.
static void show(void *opaque, struct ph_request *req)
{
    char text[1000];
    const char *name = ph_request_param(req, "name"), *q = ph_request_query(req, "q");
    const char *x = ph_request_header(req, "X-Test");
    snprintf(text, sizeof text, "path=%s name=%s q=%s x=%s", ph_request_path(req),
             name ? name : "-", q ? q : "-", x ? x : "-");
    ph_reply_text(req, 200, text);
}

static void later(void *opaque, struct ph_request *req)
{
    struct fixture *f = opaque;
    pthread_mutex_lock(&f->seen.lock);
    f->seen.deferred = ph_request_defer(req, 300 * MS, 202, "{\"type\":\"pending\"}");
    pthread_mutex_unlock(&f->seen.lock);
}

static void add_conn(struct seen *s, struct ph_conn *conn)
{
    pthread_mutex_lock(&s->lock);
    CHECK(s->count < 128);
    s->conns[s->count++] = ph_conn_ref(conn);
    s->opened++;
    pthread_mutex_unlock(&s->lock);
}

static void drop_conn(struct seen *s, struct ph_conn *conn, int code)
{
    pthread_mutex_lock(&s->lock);
    s->closed++;
    s->last_code = code;
    for (int i = 0; conn && i < s->count; i++) {
        if (s->conns[i] != conn) continue;
        ph_conn_unref(&s->conns[i]);
        memmove(s->conns + i, s->conns + i + 1, (size_t) (--s->count - i) * sizeof s->conns[0]);
        break;
    }
    pthread_mutex_unlock(&s->lock);
}

static void mjpeg_closed(void *user, struct ph_conn *conn)
{
    struct fixture *f = user;
    drop_conn(&f->seen, conn, 0);
}

static void mjpeg(void *opaque, struct ph_request *req)
{
    struct fixture *f = opaque;
    struct ph_conn *conn = ph_reply_mjpeg(req, mjpeg_closed, f);
    if (conn) add_conn(&f->seen, conn);
}

static ph_err on_accept(void *opaque, struct ph_request *req, struct ph_ws_accept *accept)
{
    struct fixture *f = opaque;
    if (ph_request_query(req, "room")) {
        ph_reply_error(req, 404, "room", "there is no room %s", ph_request_query(req, "room"));
        return PH_ENOENT;
    }
    if (ph_request_offers(req, "phosphene.v1")) accept->subprotocol = "phosphene.v1";
    if (ph_request_query(req, "video")) accept->mode = PH_SEND_DROP_TO_KEY;
    accept->user = f;
    pthread_mutex_lock(&f->seen.lock);
    f->seen.accepted++;
    pthread_mutex_unlock(&f->seen.lock);
    return PH_OK;
}

static bool fixture_greets; // set before the start: every WebSocket gets "welcome" from `open`

// What is posted here must arrive: the connection is live before its owner hears of it.
static void on_open(void *user, struct ph_conn *conn)
{
    if (fixture_greets) CHECK_OK(ph_ws_send_text(conn, "welcome", 7));
    add_conn(&((struct fixture *) user)->seen, conn);
}

// "echo:…" comes back; all is counted.
static void on_text(void *user, struct ph_conn *conn, const char *text, size_t len)
{
    struct fixture *f = user;
    pthread_mutex_lock(&f->seen.lock);
    f->seen.texts++;
    f->seen.last_size = len;
    pthread_mutex_unlock(&f->seen.lock);
    CHECK_INT(strlen(text), ==, len);
    if (!strncmp(text, "echo:", 5)) ph_ws_send_text(conn, text + 5, len - 5);
    if (!strcmp(text, "close")) ph_conn_close(conn, 1000, "as you wish");
}

static void on_binary(void *user, struct ph_conn *conn, const void *bytes, size_t size)
{
    struct fixture *f = user;
    pthread_mutex_lock(&f->seen.lock);
    f->seen.binaries++;
    f->seen.last_size = size;
    pthread_mutex_unlock(&f->seen.lock);
}

static void on_closed(void *user, struct ph_conn *conn, int code)
{
    drop_conn(&((struct fixture *) user)->seen, conn, code);
}

static const struct ph_ws_hooks hooks = { on_accept, on_open, on_text, on_binary, on_closed };

static const char page_text[] =
    "<!doctype html><title>page</title>"
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
extern struct ph_resource fixture_page[];
struct ph_resource fixture_page[] = {
    { .path = "/",
      .type = "text/html; charset=utf-8",
      .data = page_text,
      .size = sizeof page_text - 1 },
    { 0 },
};

// Created with its routes, not yet started: more routes may be added.
static inline void fixture_create(struct fixture *f, const struct ph_server_params *par)
{
    struct ph_fault fault = { 0 };
    memset(f, 0, sizeof *f);
    pthread_mutex_init(&f->seen.lock, NULL);
    struct ph_server_params p = *par;
    static const struct ph_log quiet = { .level = PH_LOG_ERROR };
    if (!p.log) p.log = &quiet;
    if (ph_server_create(&f->server, &p, &fault) < 0) TEST_FAIL("create: %s", fault.message);
    struct ph_server *s = f->server;
    const struct ph_route routes[] = {
        { PH_GET, "/hello", hello, f },
        { PH_GET, "/open", hello, f, .open = true },
        { PH_POST | PH_PATCH, "/echo", echo, f },
        { PH_GET | PH_DELETE, "/api/v1/things/{name}", show, f },
        { PH_GET, "/api/v1/things/special", hello, f },
        { PH_GET, "/files/{name*}", show, f },
        { PH_GET | PH_POST, "/later", later, f },
        { PH_GET, "/stream.mjpg", mjpeg, f },
    };
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++)
        CHECK_OK(ph_server_route(s, &routes[i]));
    CHECK_OK(ph_server_ws(s, "/ws", &hooks, f));
    CHECK_OK(ph_server_resources(s, fixture_page));
}

static inline void fixture_run(struct fixture *f)
{
    struct ph_fault fault = { 0 };
    if (ph_server_start(f->server, &fault) < 0) TEST_FAIL("start: %s", fault.message);
    f->port = ph_server_port(f->server);
}

static inline void fixture_start(struct fixture *f, const struct ph_server_params *par)
{
    fixture_create(f, par);
    fixture_run(f);
}

static inline void fixture_stop(struct fixture *f)
{
    int64_t begin = client_now_ns();
    ph_server_destroy(&f->server);
    CHECK_INT((client_now_ns() - begin) / MS, <, 1000 * TEST_SLOW);
    CHECK_INT(f->seen.closed, >=, f->seen.opened);
    CHECK_INT(f->seen.count, ==, 0);
    pthread_mutex_destroy(&f->seen.lock);
}

// *value of f->seen, which the I/O thread writes.
static inline int fixture_read(struct fixture *f, const int *value)
{
    pthread_mutex_lock(&f->seen.lock);
    int now = *value;
    pthread_mutex_unlock(&f->seen.lock);
    return now;
}

// The connection that opened as the i-th of those that are open; valid while it is.
static inline struct ph_conn *fixture_conn(struct fixture *f, int i)
{
    pthread_mutex_lock(&f->seen.lock);
    CHECK_INT(i, <, f->seen.count);
    struct ph_conn *conn = f->seen.conns[i];
    pthread_mutex_unlock(&f->seen.lock);
    return conn;
}

static inline struct ph_deferred *fixture_deferred(struct fixture *f)
{
    pthread_mutex_lock(&f->seen.lock);
    struct ph_deferred *d = f->seen.deferred;
    pthread_mutex_unlock(&f->seen.lock);
    return d;
}

// Waits until *value (of f->seen) is `want`.
static inline void fixture_wait(struct fixture *f, const int *value, int want)
{
    for (int i = 1; fixture_read(f, value) != want; i++) {
        sleep_ms(5);
        if (i % 6000 == 0) printf("# waited %d s for %d\n", i / 200, want);
    }
}

// Waits until no connection is left.
static inline struct ph_server_stats fixture_wait_empty(struct fixture *f)
{
    struct ph_server_stats s;
    for (ph_server_stats(f->server, &s); s.connections; ph_server_stats(f->server, &s))
        sleep_ms(5);
    return s;
}

// A WebSocket client that the server has opened.
static inline void fixture_ws(struct fixture *f, struct client *c, const char *path)
{
    client_open(c, f->port);
    CHECK_INT(ws_open(c, path, NULL), ==, 101);
}

// A packet whose payload begins with its number and the time of its making.
struct stamp {
    uint64_t number;
    int64_t made_ns;
};

static inline struct ph_frame *stamped_frame(struct ph_pool *pool, enum ph_codec codec,
                                             bool key, uint64_t number, size_t size)
{
    struct ph_frame *f;
    struct stamp s = { number, client_now_ns() };
    CHECK_OK(ph_frame_packet(pool, codec, size, &f));
    memset(f->packet.data, (int) (number & 255), size);
    memcpy(f->packet.data, &s, sizeof s);
    f->packet.size = size;
    f->packet.key = key;
    return f;
}

static inline struct stamp stamp_of(const struct message *m)
{
    struct stamp s = { 0 };
    if (m->size >= sizeof s) memcpy(&s, m->data, sizeof s);
    return s;
}

// Posts to all open connections.
static inline void post_all(struct fixture *f, struct ph_frame *frame, const char *text)
{
    pthread_mutex_lock(&f->seen.lock);
    for (int i = 0; i < f->seen.count; i++)
        ph_conn_post(f->seen.conns[i], ph_post(.frame = frame, .text = text,
                                               .text_len = text ? strlen(text) : 0));
    pthread_mutex_unlock(&f->seen.lock);
}

#endif
