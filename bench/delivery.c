// SPDX-License-Identifier: MIT
// The server by itself: pictures to viewers on loopback, with a client that only drains.
#include "bench.h"

#include <phosphene/clock.h>

#include "server/server.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define VIEWERS_MAX 32
#define LATENCIES   200000
#define AHEAD       8 // pictures that wait for each viewer when it is about the highest rate

struct viewer {
    int fd;
    uint8_t head[10 + 8]; // of the message that comes: WebSocket header, time of posting
    size_t have, left;    // bytes of head; bytes of the message still to come
};

struct drain {
    struct viewer viewer[VIEWERS_MAX];
    int count;
    atomic_bool stop;
    _Atomic uint64_t bytes, pictures;
    double *latency_ms;
    atomic_size_t latencies; // written by the drain after the value it counts
    pthread_t thread;
};

struct delivery {
    struct ph_server *server;
    pthread_mutex_t lock;
    struct ph_conn *conn[VIEWERS_MAX];
    int count;
    bool video; // a queue for each viewer, so that the next picture is always there
    struct drain drain;
};

// ---------------------------------------------------------------------------------- the server

static ph_err accept_viewer(void *opaque, struct ph_request *req, struct ph_ws_accept *accept)
{
    struct delivery *d = opaque;
    accept->user = d;
    accept->mode = d->video ? PH_SEND_DROP_TO_KEY : PH_SEND_LATEST;
    accept->depth = 2 * AHEAD;
    return PH_OK;
}

static void opened(void *user, struct ph_conn *conn)
{
    struct delivery *d = user;
    pthread_mutex_lock(&d->lock);
    d->conn[d->count++] = ph_conn_ref(conn);
    pthread_mutex_unlock(&d->lock);
}

static void got_text(void *user, struct ph_conn *conn, const char *text, size_t len)
{
}

static void closed(void *user, struct ph_conn *conn, int code)
{
}

static const struct ph_ws_hooks hooks = { accept_viewer, opened, got_text, NULL, closed };

// ---------------------------------------------------------------------------------- the client

static int connect_viewer(int port)
{
    static const char request[] =
        "GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t) port) };
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    char answer[2048];
    size_t n = 0;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    if (connect(fd, (struct sockaddr *) &a, sizeof a) ||
        send(fd, request, sizeof request - 1, MSG_NOSIGNAL) < 0)
        goto fail;
    while (n < 4 ||
           memcmp(answer + n - 4, "\r\n\r\n", 4) != 0) // one byte at a time: no picture
        if (n == sizeof answer || recv(fd, answer + n++, 1, 0) != 1) goto fail;
    if (!memcmp(answer, "HTTP/1.1 101", 12)) return fd;
fail:
    close(fd);
    return -1;
}

static void picture_done(struct drain *d, struct viewer *v)
{
    int64_t posted_ns;
    memcpy(&posted_ns, v->head + 10, sizeof posted_ns);
    size_t n = d->latencies;
    if (n < LATENCIES) {
        d->latency_ms[n] = (double) (ph_now_ns() - posted_ns) / 1e6;
        d->latencies = n + 1;
    }
    atomic_fetch_add(&d->pictures, 1);
    v->have = 0;
}

// Every message is binary and longer than 125 bytes: its header has 4 or 10 bytes.
static size_t header_bytes(const struct viewer *v)
{
    return v->have < 2 || v->head[1] == 126 ? 4 : 10;
}

static uint64_t message_bytes(const struct viewer *v, size_t header)
{
    uint64_t n = 0;
    for (size_t i = 2; i < header; i++) n = n << 8 | v->head[i];
    return n;
}

static void take(struct drain *d, struct viewer *v, const uint8_t *bytes, size_t n)
{
    while (n) {
        size_t header = header_bytes(v);
        if (v->have < header) {
            v->head[v->have++] = *bytes++;
            n--;
            if (v->have == header_bytes(v) && v->have >= 4) {
                v->left = message_bytes(v, v->have);
                if (v->have == 4) memset(v->head + 4, 0, 6);
                v->have = 10; // the time follows at the same place
            }
            continue;
        }
        size_t part = n < v->left ? n : v->left;
        for (size_t i = 0; i < part && v->have < sizeof v->head; i++)
            v->head[v->have++] = bytes[i];
        v->left -= part;
        bytes += part;
        n -= part;
        if (!v->left) picture_done(d, v);
    }
}

static void *drain_all(void *arg)
{
    struct drain *d = arg;
    size_t size = 1 << 20;
    uint8_t *buf = malloc(size);
    int ep = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < d->count; i++) {
        struct epoll_event e = { .events = EPOLLIN, .data.ptr = &d->viewer[i] };
        epoll_ctl(ep, EPOLL_CTL_ADD, d->viewer[i].fd, &e);
    }
    while (buf && !atomic_load(&d->stop)) {
        struct epoll_event events[VIEWERS_MAX];
        int n = epoll_wait(ep, events, VIEWERS_MAX, 20);
        for (int i = 0; i < n; i++) {
            struct viewer *v = events[i].data.ptr;
            ssize_t got = recv(v->fd, buf, size, MSG_DONTWAIT);
            if (got <= 0) continue;
            atomic_fetch_add(&d->bytes, (uint64_t) got);
            take(d, v, buf, (size_t) got);
        }
    }
    close(ep);
    free(buf);
    return NULL;
}

// -------------------------------------------------------------------------------------- a run

static void stop(struct delivery *d)
{
    atomic_store(&d->drain.stop, true);
    if (d->drain.thread) pthread_join(d->drain.thread, NULL);
    ph_server_destroy(&d->server);
    for (int i = 0; i < d->count; i++) ph_conn_unref(&d->conn[i]);
    for (int i = 0; i < d->drain.count; i++) close(d->drain.viewer[i].fd);
    free(d->drain.latency_ms);
    pthread_mutex_destroy(&d->lock);
    free(d);
}

static int opened_count(struct delivery *d)
{
    pthread_mutex_lock(&d->lock);
    int n = d->count;
    pthread_mutex_unlock(&d->lock);
    return n;
}

static bool connect_all(struct delivery *d, int viewers)
{
    for (int i = 0; i < viewers; i++) {
        int fd = connect_viewer(ph_server_port(d->server));
        if (fd < 0) return false;
        d->drain.viewer[d->drain.count++].fd = fd;
    }
    for (int i = 0; i < 2000 && opened_count(d) < viewers; i++)
        ph_sleep_until_ns(ph_now_ns() + PH_MS_NS);
    return opened_count(d) == viewers &&
           !pthread_create(&d->drain.thread, NULL, drain_all, &d->drain);
}

// A server with viewers that drain; NULL = it has said why.
static struct delivery *start(struct bench *b, const char *name, int viewers, bool video)
{
    static const struct ph_log quiet = { .level = PH_LOG_ERROR };
    struct ph_fault fault = { 0 };
    struct delivery *d = calloc(1, sizeof *d);
    if (!d) return NULL;
    pthread_mutex_init(&d->lock, NULL);
    d->video = video;
    d->drain.latency_ms = malloc(LATENCIES * sizeof(double));
    if (d->drain.latency_ms &&
        ph_server_create(
            &d->server,
            ph_server_params(.limits = { .viewers_per_address = VIEWERS_MAX }, .log = &quiet),
            &fault) == PH_OK &&
        ph_server_ws(d->server, "/ws", &hooks, d) == PH_OK &&
        ph_server_start(d->server, &fault) == PH_OK && connect_all(d, viewers))
        return d;
    bench_skip(b, name, "%s", fault.message[0] ? fault.message : "the viewers did not connect");
    stop(d);
    return NULL;
}

static struct ph_frame *make_frame(struct ph_pool *pool, size_t size)
{
    struct ph_frame *f;
    if (ph_frame_packet(pool, PH_JPEG, size, &f) < 0) return NULL;
    int64_t now = ph_now_ns();
    memcpy(f->packet.data, &now, sizeof now);
    f->packet.size = size;
    f->packet.key = true;
    return f;
}

static void post_all(struct delivery *d, struct ph_frame *frame)
{
    for (int i = 0; i < d->count; i++) ph_conn_post(d->conn[i], ph_post(.frame = frame));
}

// ------------------------------------------------------------------------------------ figures

static uint64_t drops(struct delivery *d)
{
    uint64_t n = 0;
    for (int i = 0; i < d->count; i++) {
        struct ph_conn_stats s;
        ph_conn_stats(d->conn[i], &s);
        for (int k = 0; k < PH_SENT_DROPS; k++) n += s.dropped[k];
    }
    return n;
}

struct pace {
    const char *latency, *delivered; // names
    int viewers, fps;
    size_t bytes;
};

static void add_paced(struct bench *b, struct delivery *d, const struct pace *pace,
                      uint64_t posted, bool latency)
{
    struct drain *r = &d->drain;
    double lost = (double) drops(d), all = (double) (posted * (uint64_t) d->count);
    size_t n = r->latencies;
    double p50 = bench_quantile(r->latency_ms, n, 0.5);
    double p99 = bench_quantile(r->latency_ms, n, 0.99);
    if (latency)
        bench_add(b, (struct bench_result){ .value = p99,
                                            .unit = "ms",
                                            .p50 = p50,
                                            .p99 = p99,
                                            .n = n,
                                            .bar = 20,
                                            .less = true });
    if (latency && !bench_begin(b, pace->delivered)) return;
    bench_add(b, (struct bench_result){ .value = all > 0 ? 100 * (all - lost) / all : 0,
                                        .unit = "%",
                                        .n = (uint64_t) all,
                                        .bar = 100 });
}

// So many times a second to all viewers: what is lost, how late it is.
static void paced(struct bench *b, const struct pace *pace)
{
    bool latency = bench_begin(b, pace->latency);
    if (!latency && !bench_begin(b, pace->delivered)) return;
    struct delivery *d =
        start(b, latency ? pace->latency : pace->delivered, pace->viewers, false);
    struct ph_pool *pool = NULL;
    if (!d || ph_pool_create(&pool) < 0) return;
    struct ph_ticker ticker;
    int64_t end = ph_now_ns() + (int64_t) (bench_seconds(b, 5) * 1e9);
    uint64_t posted = 0;
    ph_ticker_init(&ticker, ph_now_ns(), pace->fps, 1);
    while (ph_ticker_due_ns(&ticker) < end && !bench_stopped(b)) {
        ph_sleep_until_ns(ph_ticker_due_ns(&ticker));
        ph_ticker_take(&ticker, ph_now_ns());
        struct ph_frame *frame = make_frame(pool, pace->bytes);
        if (!frame) break;
        post_all(d, frame);
        ph_frame_unref(&frame);
        posted++;
    }
    ph_sleep_until_ns(ph_now_ns() + 200 * PH_MS_NS);
    add_paced(b, d, pace, posted, latency);
    stop(d);
    ph_pool_destroy(&pool);
}

// Keeps every viewer's queue filled with the same picture for `seconds`.
static void flood(struct bench *b, struct delivery *d, struct ph_frame *frame, double seconds)
{
    int64_t end = ph_now_ns() + (int64_t) (seconds * 1e9);
    while (ph_now_ns() < end && !bench_stopped(b)) {
        for (int i = 0; i < d->count; i++) {
            struct ph_conn_stats s;
            ph_conn_stats(d->conn[i], &s);
            for (int n = s.waiting; n < AHEAD; n++)
                ph_conn_post(d->conn[i], ph_post(.frame = frame));
        }
        ph_sleep_until_ns(ph_now_ns() + 100000);
    }
}

// The highest rate of pictures of `size` bytes to `viewers`; as GB/s, or pictures a second.
static void fastest(struct bench *b, const char *name, size_t size, int viewers, bool rate,
                    double bar)
{
    if (!bench_begin(b, name)) return;
    struct delivery *d = start(b, name, viewers, true);
    if (!d) return;
    struct ph_frame *frame = make_frame(NULL, size);
    if (frame) {
        flood(b, d, frame, bench_seconds(b, 0.5)); // windows grow
        uint64_t bytes = d->drain.bytes, pictures = d->drain.pictures;
        int64_t begin = ph_now_ns();
        flood(b, d, frame, bench_seconds(b, 2));
        double s = (double) (ph_now_ns() - begin) / 1e9;
        bytes = d->drain.bytes - bytes;
        pictures = d->drain.pictures - pictures;
        bench_add(b, (struct bench_result){ .value = rate ? (double) pictures / s
                                                          : (double) bytes / s / 1e9,
                                            .unit = rate ? "frames/s" : "GB/s",
                                            .n = pictures,
                                            .bar = bar });
    }
    stop(d);
    ph_frame_unref(&frame);
}

void bench_delivery(struct bench *b)
{
    // a 512x512 JPEG; the MessagePack of 47 628 points, 107 MB/s in all
    paced(b, &(struct pace){ "delivery/512-32-viewers-30fps-latency",
                             "delivery/512-32-viewers-30fps-delivered", 32, 30, 27000 });
    paced(b, &(struct pace){ "delivery/47628-points-10-viewers-15fps-latency",
                             "delivery/47628-points-10-viewers-15fps-delivered", 10, 15,
                             47628 * 15 + 90 });
    fastest(b, "delivery/1080p-131KB-1-viewer", 131000, 1, true, 60);
    fastest(b, "delivery/1080p-260KB-1-viewer", 260000, 1, true, 60);
    fastest(b, "delivery/310KB-1-viewer", 310000, 1, false, 0);
    fastest(b, "delivery/310KB-4-viewers", 310000, 4, false, 0);
    fastest(b, "delivery/310KB-16-viewers", 310000, 16, false, 0);
    bench_glass(b);
}
