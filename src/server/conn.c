// SPDX-License-Identifier: MIT
// One socket: what it reads, what it writes, how it ends.
#include "server/server_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <unistd.h>

#define READS_A_TURN 8  // so that one busy client does not hold up the others
#define STEPS_A_TURN 16 // likewise: pipelined requests, pictures
#define FILE_PIECE   (256 * 1024)

// ------------------------------------------------------------------------------- begin and end

struct ph_address ph_address_of(const struct sockaddr_storage *peer)
{
    struct ph_address a = { 0 };
    if (peer->ss_family == AF_INET) {
        a.bytes[10] = a.bytes[11] = 0xff;
        memcpy(a.bytes + 12, &((const struct sockaddr_in *) peer)->sin_addr, 4);
    } else if (peer->ss_family == AF_INET6) {
        const struct in6_addr *v6 = &((const struct sockaddr_in6 *) peer)->sin6_addr;
        memcpy(a.bytes, v6, IN6_IS_ADDR_V4MAPPED(v6) || IN6_IS_ADDR_LOOPBACK(v6) ? 16 : 8);
    }
    return a;
}

// "127.0.0.1:80" or "[::1]:80", as in a Host header; IPv4 within IPv6 is told as IPv4.
static void print_address(const struct sockaddr_storage *ss, bool port, char *text, size_t size)
{
    char host[INET6_ADDRSTRLEN] = "?", number[8] = "";
    const struct sockaddr_in6 *v6 = (const void *) ss;
    bool wide = ss->ss_family == AF_INET6;
    if (wide && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
        inet_ntop(AF_INET, v6->sin6_addr.s6_addr + 12, host, sizeof host);
        wide = false;
    } else {
        inet_ntop(ss->ss_family,
                  wide ? (const void *) &v6->sin6_addr
                       : (const void *) &((const struct sockaddr_in *) ss)->sin_addr,
                  host, sizeof host);
    }
    if (port) snprintf(number, sizeof number, ":%d", ntohs(v6->sin6_port));
    snprintf(text, size, wide ? "[%s]%s" : "%s%s", host, number);
}

static void set_options(struct ph_conn *c, int fd)
{
    int one = 1, buffer = c->server->limits.send_buffer, unsent = buffer / 4;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    // What lies in the kernel cannot be replaced by something newer, so little may lie there:
    // docs/server.md has what that does to the age of a slow viewer's picture.
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
}

struct ph_conn *ph_conn_create(struct ph_server *s, int fd, const struct sockaddr_storage *peer)
{
    struct ph_conn *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    struct sockaddr_storage local = { 0 };
    socklen_t len = sizeof local;
    getsockname(fd, (struct sockaddr *) &local, &len);
    atomic_init(&c->refs, 1);
    pthread_mutex_init(&c->lock, NULL);
    c->server = s;
    c->fd = fd;
    c->id = ++s->next_id;
    c->address = ph_address_of(peer);
    print_address(peer, true, c->remote, sizeof c->remote);
    print_address(&local, false, c->local, sizeof c->local);
    c->opened_ns = c->progress_ns = s->now_ns;
    c->deadline_ns = s->now_ns + s->limits.request_ns;
    c->ping_ns = PH_NEVER;
    c->request.conn = c;
    set_options(c, fd);
    c->events = EPOLLIN;
    struct epoll_event e = { .events = c->events, .data.ptr = c };
    if ((s->tls && ph_tls_create(&c->tls, s->tls, fd) < 0) ||
        epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &e)) {
        ph_tls_destroy(&c->tls);
        ph_conn_unref(&c);
        return NULL;
    }
    c->next = s->conns;
    if (c->next) c->next->prev = c;
    s->conns = c;
    atomic_store(&s->connections, ++s->conn_count);
    return c;
}

// Frees what only the last holder may free.
void ph_conn_release(struct ph_conn *c)
{
    ph_out_clear(&c->out);
    if (c->box) ph_mailbox_clear(c->box, PH_SENT_CLOSED);
    free(c->box);
    free(c->control);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

static void unlink_conn(struct ph_server *s, struct ph_conn *c)
{
    if (c->next) c->next->prev = c->prev;
    *(c->prev ? &c->prev->next : &s->conns) = c->next;
    c->prev = NULL;
    c->next = s->dead;
    s->dead = c;
    atomic_store(&s->connections, --s->conn_count);
}

void ph_conn_kill(struct ph_conn *c)
{
    if (c->state == CONN_DEAD) return;
    struct ph_server *s = c->server;
    ph_conn_over(c, PH_WS_GONE);
    c->state = CONN_DEAD;
    ph_deferred_abandon(c);
    ph_request_end(&c->request);
    bool torn = c->out.picture;
    ph_out_clear(&c->out);
    ph_buf_free(&c->out.owned);
    ph_tls_destroy(&c->tls);
    close(c->fd); // leaves epoll by itself
    c->fd = -1;
    ph_ws_in_destroy(&c->ws);
    free(c->in);
    free(c->control_out);
    free(c->text_out);
    c->in = c->control_out = c->text_out = NULL;
    pthread_mutex_lock(&c->lock);
    if (torn) c->box->dropped[PH_SENT_CLOSED]++;
    c->server = NULL;
    pthread_mutex_unlock(&c->lock);
    unlink_conn(s, c);
}

// ------------------------------------------------------------------------------------- writing

void ph_out_clear(struct out *o)
{
    ph_frame_unref(&o->frame);
    free(o->unpacked);
    if (o->has_file) close(o->fd);
    struct ph_buf keep = o->owned;
    ph_buf_clear(&keep);
    if (keep.cap > 65536) ph_buf_free(&keep);
    *o = (struct out){ .owned = keep };
}

void ph_out_add(struct out *o, const void *bytes, size_t size)
{
    if (size) o->vec[o->count++] = (struct iovec){ (void *) (uintptr_t) bytes, size };
}

static void out_advance(struct out *o, size_t n)
{
    int whole = 0;
    while (whole < o->count && n >= o->vec[whole].iov_len) n -= o->vec[whole++].iov_len;
    o->count -= whole;
    memmove(o->vec, o->vec + whole, (size_t) o->count * sizeof o->vec[0]);
    if (n) {
        o->vec[0].iov_base = (char *) o->vec[0].iov_base + n;
        o->vec[0].iov_len -= n;
    }
}

// Small pieces go into one record; a retry after "not now" offers the same bytes again, as OpenSSL
// demands, because nothing is added to what is being written.
static ssize_t tls_send(struct ph_conn *c)
{
    struct out *o = &c->out;
    char *joined = (char *) c->server->scratch;
    size_t n = 0;
    for (int i = 0; i < o->count && n < 16384; i++) {
        size_t part = o->vec[i].iov_len < 16384 - n ? o->vec[i].iov_len : 16384 - n;
        memcpy(joined + n, o->vec[i].iov_base, part);
        n += part;
    }
    return ph_tls_write(c->tls, joined, n, &c->tls_write_wants_read);
}

static ssize_t send_some(struct ph_conn *c)
{
    if (c->tls) return tls_send(c);
    struct msghdr m = { .msg_iov = c->out.vec, .msg_iovlen = (size_t) c->out.count };
    return sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
}

// A piece of the file that follows the head of a reply.
static ssize_t send_file(struct ph_conn *c)
{
    struct out *o = &c->out;
    size_t want = o->fd_left < FILE_PIECE ? (size_t) o->fd_left : FILE_PIECE;
    off_t at = (off_t) o->fd_at;
    ssize_t n;
    if (c->tls) {
        if (want > 16384) want = 16384;
        n = pread(o->fd, c->server->scratch, want, at);
        if (n > 0)
            n = ph_tls_write(c->tls, c->server->scratch, (size_t) n, &c->tls_write_wants_read);
    } else {
        n = sendfile(c->fd, o->fd, &at, want);
    }
    if (n == 0) errno = EIO; // shorter than it was: only closing tells the client
    if (n <= 0) return -1;
    o->fd_at += (uint64_t) n;
    o->fd_left -= (uint64_t) n;
    return n;
}

static void note_progress(struct ph_conn *c, size_t n)
{
    count_add(c->server->sent_bytes, n);
    pthread_mutex_lock(&c->lock);
    c->progress_ns = c->server->now_ns;
    c->sent_bytes += n;
    pthread_mutex_unlock(&c->lock);
}

// True when all is written; false when the kernel is full or the connection has died.
static bool write_out(struct ph_conn *c)
{
    struct out *o = &c->out;
    while (o->count || o->fd_left) {
        ssize_t n = o->count ? send_some(c) : send_file(c);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            if (!c->blocked) note_progress(c, 0); // the clock of a stall starts here
            c->blocked = true;
            return false;
        }
        if (n < 0) {
            ph_conn_kill(c);
            return false;
        }
        if (o->count) out_advance(o, (size_t) n);
        note_progress(c, (size_t) n);
    }
    c->blocked = false;
    return true;
}

static void note_sent(struct ph_conn *c)
{
    struct out *o = &c->out;
    if (!o->picture && !o->texts) return;
    pthread_mutex_lock(&c->lock);
    c->sent += o->picture;
    c->sent_texts += o->texts;
    pthread_mutex_unlock(&c->lock);
    if (o->picture) ph_rate_add(&c->sent_rate, c->server->now_ns);
}

// -------------------------------------------------------------------------------- what is next

void ph_conn_finish(struct ph_conn *c)
{
    c->state = CONN_CLOSING;
    c->deadline_ns = c->server->now_ns + c->server->limits.linger_ns;
}

// Closing at once would throw away, with what the client has still sent us, what it has not read.
static void linger(struct ph_conn *c)
{
    bool spoken = !c->tls || ph_tls_established(c->tls);
    ph_tls_destroy(&c->tls); // says close_notify
    if (!spoken || shutdown(c->fd, SHUT_WR)) {
        ph_conn_kill(c);
        return;
    }
    c->state = CONN_LINGER;
}

static void reply_done(struct ph_conn *c)
{
    ph_request_end(&c->request);
    if (!c->keep_alive || atomic_load(&c->server->stopping)) {
        ph_conn_finish(c);
        return;
    }
    c->in_len -= c->head_len;
    memmove(c->in, c->in + c->head_len, c->in_len);
    c->head_len = c->scanned = 0;
    c->state = CONN_REQUEST;
    c->deadline_ns = c->server->now_ns +
                     (c->in_len ? c->server->limits.request_ns : c->server->limits.idle_ns);
}

// Something was written to its end: what follows from that.
static void out_done(struct ph_conn *c)
{
    note_sent(c);
    ph_out_clear(&c->out);
    if (c->state == CONN_REPLY)
        reply_done(c);
    else if (c->state == CONN_CLOSING && (!c->websocket || !ph_stream_next(c)))
        linger(c);
}

static bool is_writing(const struct ph_conn *c)
{
    return c->out.count || c->out.fd_left;
}

static void conn_watch(struct ph_conn *c)
{
    unsigned events = 0;
    bool reads = (c->state == CONN_REQUEST || c->state == CONN_BODY ||
                  c->state == CONN_STREAM || c->state == CONN_WS || c->state == CONN_LINGER) &&
                 !c->held_back;
    if (reads || c->tls_write_wants_read) events |= EPOLLIN;
    if ((is_writing(c) && !c->tls_write_wants_read) || c->tls_read_wants_write)
        events |= EPOLLOUT;
    if (events == c->events) return;
    struct epoll_event e = { .events = events, .data.ptr = c };
    epoll_ctl(c->server->epoll, EPOLL_CTL_MOD, c->fd, &e);
    c->events = events;
}

static void wake_self(struct ph_conn *c)
{
    pthread_mutex_lock(&c->lock);
    ph_conn_wake(c);
    pthread_mutex_unlock(&c->lock);
}

void ph_conn_pump(struct ph_conn *c)
{
    bool more = c->state != CONN_DEAD;
    for (int i = 0; more && i < STEPS_A_TURN; i++) {
        more = false;
        if (!is_writing(c) && (c->state == CONN_STREAM || c->state == CONN_WS))
            ph_stream_next(c);
        else if (!is_writing(c) && c->state == CONN_REQUEST && c->in_len)
            more = ph_request_input(c);
        // a closing connection may have had nothing to write in the first place
        if (is_writing(c) || c->state == CONN_CLOSING) {
            more = write_out(c);
            if (more) out_done(c);
        }
    }
    if (c->state == CONN_DEAD) return;
    conn_watch(c);
    // decrypted bytes that wait inside OpenSSL wake nobody
    bool pending = c->tls && c->events & EPOLLIN && ph_tls_pending(c->tls);
    if (more || pending) wake_self(c);
}

// ------------------------------------------------------------------------------------- reading

static ssize_t receive(struct ph_conn *c, void *buf, size_t size)
{
    ssize_t n;
    if (c->tls)
        n = ph_tls_read(c->tls, buf, size, &c->tls_read_wants_write);
    else
        n = recv(c->fd, buf, size, MSG_DONTWAIT);
    if (n > 0) count_add(c->server->received_bytes, (uint64_t) n);
    return n;
}

static bool grow_input(struct ph_conn *c)
{
    size_t limit = c->server->limits.header_bytes + 1, cap = c->in_cap ? c->in_cap * 2 : 2048;
    if (c->in_len < c->in_cap) return true;
    if (cap > limit) cap = limit;
    char *in = cap > c->in_cap ? realloc(c->in, cap) : NULL;
    if (!in) return false;
    c->in = in;
    c->in_cap = cap;
    return true;
}

// The slow-loris clock runs from the first byte, whenever the rest comes.
static ssize_t read_request(struct ph_conn *c)
{
    if (!grow_input(c)) return 0;
    ssize_t n = receive(c, c->in + c->in_len, c->in_cap - c->in_len);
    if (n <= 0) return n;
    if (!c->in_len) c->deadline_ns = c->server->now_ns + c->server->limits.request_ns;
    c->in_len += (size_t) n;
    ph_request_input(c);
    return n;
}

static ssize_t read_body(struct ph_conn *c)
{
    struct ph_request *r = &c->request;
    size_t want = (size_t) r->http.content_length;
    if (r->body_len == r->body_cap) {
        size_t cap = r->body_cap * 2 < want ? r->body_cap * 2 : want;
        char *body = realloc(r->body, cap + 1);
        if (!body) return 0;
        r->body = body;
        r->body_cap = cap;
    }
    ssize_t n = receive(c, r->body + r->body_len, r->body_cap - r->body_len);
    if (n <= 0) return n;
    r->body_len += (size_t) n;
    if (r->body_len == want) ph_request_body_done(c);
    return n;
}

static ssize_t read_ws(struct ph_conn *c)
{
    ssize_t n = receive(c, c->server->scratch, SCRATCH_BYTES);
    if (n > 0) ph_ws_input(c, c->server->scratch, (size_t) n);
    return n;
}

// False when there is no more to read now.
static bool read_once(struct ph_conn *c)
{
    ssize_t n;
    switch (c->state) {
    case CONN_REQUEST: n = read_request(c); break;
    case CONN_BODY: n = read_body(c); break;
    case CONN_WS:
        if (c->held_back) return false;
        n = read_ws(c);
        break;
    case CONN_STREAM:
    case CONN_LINGER: n = receive(c, c->server->scratch, SCRATCH_BYTES); break;
    default: return false;
    }
    if (n > 0) return true;
    if (n < 0 && errno == EINTR) return true;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return false;
    ph_conn_kill(c);
    return false;
}

void ph_conn_event(struct ph_conn *c, unsigned events)
{
    if (c->state == CONN_DEAD) return;
    if (events & EPOLLERR || (events & EPOLLHUP && !(events & EPOLLIN))) {
        ph_conn_kill(c);
        return;
    }
    bool readable = events & EPOLLIN || c->tls;
    int reads = 0;
    while (readable && reads < READS_A_TURN && read_once(c)) reads++;
    ph_conn_pump(c);
}

// ----------------------------------------------------------------------------------- deadlines

int64_t ph_conn_due_ns(const struct ph_conn *c)
{
    int64_t due = c->deadline_ns;
    bool streams = c->state == CONN_WS || c->state == CONN_STREAM || c->state == CONN_REPLY;
    if (streams && c->blocked) {
        int64_t stalled = c->progress_ns + c->server->limits.stall_ns;
        if (stalled < due) due = stalled;
    }
    return c->state == CONN_WS && c->ping_ns < due ? c->ping_ns : due;
}

static void request_too_slow(struct ph_conn *c)
{
    bool idle = c->state == CONN_REQUEST && !c->in_len;
    if (idle || (c->tls && !ph_tls_established(c->tls))) {
        if (c->tls && !ph_tls_established(c->tls))
            ph_server_refused(c->server, PH_REFUSED_TIMEOUT);
        ph_conn_kill(c);
        return;
    }
    ph_request_refuse(&c->request, 408, PH_REFUSED_TIMEOUT, "request",
                      "the whole request within %.3g s",
                      (double) c->server->limits.request_ns / 1e9);
    ph_conn_pump(c);
}

void ph_conn_expire(struct ph_conn *c)
{
    switch (c->state) {
    case CONN_REQUEST:
    case CONN_BODY: request_too_slow(c); break;
    case CONN_WAIT:
        ph_deferred_woken(c, true);
        ph_conn_pump(c);
        break;
    case CONN_WS: ph_ws_expire(c); break;
    case CONN_REPLY:
    case CONN_STREAM:
        ph_server_refused(c->server, PH_REFUSED_TIMEOUT);
        ph_conn_kill(c);
        break;
    default: ph_conn_kill(c); break;
    }
}

void ph_conn_stop(struct ph_conn *c)
{
    switch (c->state) {
    case CONN_WS: ph_ws_close(c, PH_WS_GOING, "the server stops", false); break;
    case CONN_WAIT: ph_deferred_woken(c, true); break;
    case CONN_REPLY:
    case CONN_CLOSING:
    case CONN_LINGER: break;
    default: ph_conn_kill(c); return;
    }
    ph_conn_pump(c);
    if (c->state != CONN_DEAD) c->deadline_ns = c->server->now_ns + STOP_NS;
}
