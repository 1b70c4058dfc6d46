// SPDX-License-Identifier: MIT
// A small blocking HTTP and WebSocket client: the other side of every server test. It says exactly
// what it is told to, right or wrong. Reads time out after 30 s, so that a test fails and does not
// hang.
#ifndef PH_TEST_CLIENT_H
#define PH_TEST_CLIENT_H

#include "test.h"

#include "config.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#if PH_HAVE_TLS
#include <openssl/ssl.h>
#endif

struct client {
    int fd;
    void *ssl, *ssl_context;
    char *in; // bytes received and not yet taken
    size_t len, cap;
    bool ended; // the other side has closed
};

struct response {
    int status;
    char head[20000];
    char *body; // owned by the response
    size_t size;
};

struct message {
    int opcode; // 1 text, 2 binary, 8 close, 9 ping, 10 pong; 0 = the connection ended
    char *data; // NUL-terminated, owned by the message
    size_t size;
    int code; // of a close
};

static inline int64_t client_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t) t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline void sleep_ms(int ms)
{
    struct timespec t = { ms / 1000, ms % 1000 * 1000000L };
    while (nanosleep(&t, &t) && errno == EINTR) {}
}

// from: a loopback address of our own ("127.0.0.7"), so that one test has many addresses; NULL = any
static inline void client_open_from(struct client *c, int port, const char *from, int rcvbuf)
{
    memset(c, 0, sizeof *c);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = { .sin_family = AF_INET };
    struct timeval limit = { 30, 0 };
    int one = 1;
    CHECK(c->fd >= 0);
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (rcvbuf) setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof rcvbuf);
    if (from) {
        inet_pton(AF_INET, from, &a.sin_addr);
        CHECK_OK(bind(c->fd, (struct sockaddr *) &a, sizeof a));
    }
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    a.sin_port = htons((uint16_t) port);
    if (connect(c->fd, (struct sockaddr *) &a, sizeof a))
        TEST_FAIL("cannot connect to port %d: %s", port, strerror(errno));
}

static inline void client_open(struct client *c, int port)
{
    client_open_from(c, port, NULL, 0);
}

static inline void client_close(struct client *c)
{
#if PH_HAVE_TLS
    if (c->ssl) SSL_free(c->ssl);
    if (c->ssl_context) SSL_CTX_free(c->ssl_context);
#endif
    if (c->fd >= 0) close(c->fd);
    free(c->in);
    memset(c, 0, sizeof *c);
    c->fd = -1;
}

#if PH_HAVE_TLS
// False when the handshake fails.
static inline bool client_tls(struct client *c, int max_version)
{
    c->ssl_context = SSL_CTX_new(TLS_client_method());
    if (max_version) {
        SSL_CTX_set_security_level(c->ssl_context, 0);
        SSL_CTX_set_min_proto_version(c->ssl_context, TLS1_VERSION);
        SSL_CTX_set_max_proto_version(c->ssl_context, max_version);
    }
    c->ssl = SSL_new(c->ssl_context);
    SSL_set_fd(c->ssl, c->fd);
    return SSL_connect(c->ssl) == 1;
}
#endif

// False when the other side does not take it.
static inline bool client_send(struct client *c, const void *bytes, size_t size)
{
    const char *at = bytes;
    while (size) {
        ssize_t n;
#if PH_HAVE_TLS
        if (c->ssl)
            n = SSL_write(c->ssl, at, (int) size);
        else
#endif
            n = send(c->fd, at, size, MSG_NOSIGNAL);
        if (n <= 0) return false;
        at += n;
        size -= (size_t) n;
    }
    return true;
}

__attribute__((format(printf, 2, 3))) static inline bool client_sendf(struct client *c,
                                                                      const char *fmt, ...)
{
    static _Thread_local char text[200000];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    CHECK(n >= 0 && (size_t) n < sizeof text);
    return client_send(c, text, (size_t) n);
}

// Reads until at least `want` bytes are there; false when the stream ends before.
static inline bool client_fill(struct client *c, size_t want)
{
    while (c->len < want && !c->ended) {
        if (c->cap < want + 65536) {
            c->cap = want + 65536;
            c->in = realloc(c->in, c->cap);
            CHECK(c->in);
        }
        ssize_t n;
#if PH_HAVE_TLS
        if (c->ssl)
            n = SSL_read(c->ssl, c->in + c->len, (int) (c->cap - c->len));
        else
#endif
            n = recv(c->fd, c->in + c->len, c->cap - c->len, 0);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            TEST_FAIL("nothing came for 30 s");
        if (n <= 0)
            c->ended = true;
        else
            c->len += (size_t) n;
    }
    return c->len >= want;
}

static inline void client_take(struct client *c, size_t n)
{
    memmove(c->in, c->in + n, c->len - n);
    c->len -= n;
}

// Whether the other side closes; what it still sends is thrown away.
static inline bool client_sees_end(struct client *c)
{
    while (client_fill(c, 1)) c->len = 0;
    return c->ended;
}

// ------------------------------------------------------------------------------------- HTTP

// The value of a header, or NULL; valid until the next call.
static inline const char *response_header(const struct response *r, const char *name)
{
    static _Thread_local char value[4096];
    size_t n = strlen(name);
    for (const char *line = r->head; (line = strstr(line, "\r\n"));) {
        line += 2;
        if (strncasecmp(line, name, n) != 0 || line[n] != ':') continue;
        line += n + 1;
        line += strspn(line, " ");
        snprintf(value, sizeof value, "%.*s", (int) strcspn(line, "\r"), line);
        return value;
    }
    return NULL;
}

static inline void response_free(struct response *r)
{
    free(r->body);
    r->body = NULL;
}

// Status line and headers only; the rest stays in c->in. False when the connection ended instead.
static inline bool client_head(struct client *c, struct response *r)
{
    memset(r, 0, sizeof *r);
    for (size_t want = 1;; want = c->len + 1) {
        if (!client_fill(c, want)) return false;
        char *end = memmem(c->in, c->len, "\r\n\r\n", 4);
        if (!end) continue;
        size_t n = (size_t) (end - c->in) + 4;
        CHECK(n < sizeof r->head);
        memcpy(r->head, c->in, n);
        r->head[n] = 0;
        client_take(c, n);
        CHECK(sscanf(r->head, "HTTP/1.1 %d ", &r->status) == 1);
        return true;
    }
}

static inline bool client_response(struct client *c, struct response *r, bool no_body)
{
    if (!client_head(c, r)) return false;
    const char *length = response_header(r, "Content-Length");
    r->size = length && !no_body ? (size_t) strtoull(length, NULL, 10) : 0;
    CHECK(client_fill(c, r->size));
    r->body = calloc(1, r->size + 1);
    memcpy(r->body, c->in ? c->in : "", r->size);
    client_take(c, r->size);
    return true;
}

// One request; headers is NULL or whole lines with \r\n. The response must come.
static inline void client_request(struct client *c, struct response *r, const char *method,
                                  const char *path, const char *headers, const char *body)
{
    char length[128] = "";
    if (body)
        snprintf(length, sizeof length, "%sContent-Length: %zu\r\n",
                 headers && strcasestr(headers, "content-type")
                     ? ""
                     : "Content-Type: application/json\r\n",
                 strlen(body));
    const char *host = headers && strcasestr(headers, "host:") ? "" : "Host: 127.0.0.1\r\n";
    client_sendf(c, "%s %s HTTP/1.1\r\n%s%s%s\r\n%s", method, path, host,
                 headers ? headers : "", length, body ? body : "");
    if (!client_response(c, r, !strcmp(method, "HEAD")))
        TEST_FAIL("no response to %s %s", method, path);
}

// One request on a connection of its own; returns the status, `text` gets the body.
static inline int client_once(int port, const char *method, const char *path,
                              const char *headers, const char *body, char *text, size_t size)
{
    struct client c;
    struct response r;
    client_open(&c, port);
    client_request(&c, &r, method, path, headers, body);
    if (text) snprintf(text, size, "%s", r.body);
    int status = r.status;
    response_free(&r);
    client_close(&c);
    return status;
}

// -------------------------------------------------------------------------------- WebSocket

// Sends the upgrade and reads the response; 101 = the stream is open.
static inline int ws_upgrade(struct client *c, const char *path, const char *headers)
{
    static struct response r;
    const char *host = headers && strcasestr(headers, "host:") ? "" : "Host: 127.0.0.1\r\n";
    client_sendf(c,
                 "GET %s HTTP/1.1\r\n%sUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
                 "dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n",
                 path, host, headers ? headers : "");
    if (!client_head(c, &r)) return 0;
    if (r.status == 101)
        CHECK_STR(response_header(&r, "Sec-WebSocket-Accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    return r.status;
}

static inline int ws_open(struct client *c, const char *path, const char *headers)
{
#if !PH_HAVE_SERVER
    TEST_SKIP("this build has no WebSocket: libwslay was not there");
#endif
    return ws_upgrade(c, path, headers);
}

// first: FIN, RSV and opcode as they go on the wire.
static inline bool ws_send_raw(struct client *c, int first, bool masked, const void *bytes,
                               size_t size)
{
    static uint8_t frame[6 << 20];
    size_t n = 0;
    CHECK(size < sizeof frame - 14);
    frame[n++] = (uint8_t) first;
    uint8_t mask = masked ? 0x80 : 0;
    if (size < 126) {
        frame[n++] = mask | (uint8_t) size;
    } else if (size < 65536) {
        frame[n++] = mask | 126;
        for (int i = 1; i >= 0; i--) frame[n++] = (uint8_t) (size >> (8 * i));
    } else {
        frame[n++] = mask | 127;
        for (int i = 7; i >= 0; i--) frame[n++] = (uint8_t) ((uint64_t) size >> (8 * i));
    }
    static const uint8_t key[4] = { 0x12, 0xfe, 0x34, 0xdc };
    if (masked) memcpy(frame + n, key, 4), n += 4;
    for (size_t i = 0; i < size; i++)
        frame[n + i] = ((const uint8_t *) bytes)[i] ^ (masked ? key[i & 3] : 0);
    return client_send(c, frame, n + size);
}

static inline bool ws_send_text(struct client *c, const char *text)
{
    return ws_send_raw(c, 0x81, true, text, strlen(text));
}

static inline void message_free(struct message *m)
{
    free(m->data);
    m->data = NULL;
}

// The next frame, whatever it is.
static inline struct message ws_next(struct client *c)
{
    struct message m = { 0 };
    if (!client_fill(c, 2)) return m;
    const uint8_t *p = (const uint8_t *) c->in;
    size_t head = 2, size = p[1] & 127;
    CHECK((p[0] & 0xf0) == 0x80); // whole messages, no extension
    CHECK(!(p[1] & 0x80));        // a server does not mask
    if (size >= 126) {
        int n = size == 126 ? 2 : 8;
        head += (size_t) n;
        if (!client_fill(c, head)) return m;
        p = (const uint8_t *) c->in;
        size = 0;
        for (int i = 0; i < n; i++) size = size << 8 | p[2 + i];
    }
    m.opcode = p[0] & 15;
    if (!client_fill(c, head + size)) return (struct message){ 0 };
    m.data = calloc(1, size + 1);
    memcpy(m.data, c->in + head, size);
    m.size = size;
    client_take(c, head + size);
    if (m.opcode == 8 && size >= 2) m.code = (uint8_t) m.data[0] << 8 | (uint8_t) m.data[1];
    return m;
}

// The next frame of that opcode; others are dropped. opcode 0 of the result = it ended before.
static inline struct message ws_wait(struct client *c, int opcode)
{
    for (;;) {
        struct message m = ws_next(c);
        if (m.opcode == opcode || !m.opcode) return m;
        message_free(&m);
    }
}

static inline void ws_expect_text(struct client *c, const char *want)
{
    struct message m = ws_wait(c, 1);
    CHECK_INT(m.opcode, ==, 1);
    CHECK_STR(m.data, want);
    message_free(&m);
}

// The connection is closed by the server with that code and a reason that has `part` in it.
static inline void ws_expect_close(struct client *c, int code, const char *part)
{
    struct message m = ws_wait(c, 8);
    CHECK_INT(m.opcode, ==, 8);
    CHECK_INT(m.code, ==, code);
    if (part) CHECK_HAS(m.data + 2, part);
    message_free(&m);
}

#endif
