// SPDX-License-Identifier: MIT
// The I/O thread: who comes, who can go on, whose time is over.
#include "server/server_priv.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPT_PAUSE_NS (200 * PH_MS_NS) // when the process has no descriptor left

const char *const ph_server_refusal_name[PH_REFUSALS] = { "format", "limit", "host", "auth",
                                                          "timeout" };

void ph_server_refused(struct ph_server *s, enum ph_server_refusal why)
{
    count_add(s->refused[why], 1);
}

int ph_server_count_address(const struct ph_server *s, const struct ph_address *who,
                            bool viewers)
{
    int n = 0;
    for (const struct ph_conn *c = s->conns; c; c = c->next)
        n += (!viewers || c->viewer) && !memcmp(&c->address, who, sizeof *who);
    return n;
}

// ------------------------------------------------------------------------------------- accept

static void watch_listener(struct ph_server *s, bool on)
{
    struct epoll_event e = { .events = on ? EPOLLIN : 0, .data.ptr = &s->listener };
    epoll_ctl(s->epoll, EPOLL_CTL_MOD, s->listener, &e);
    s->accept_at_ns = on ? 0 : s->now_ns + ACCEPT_PAUSE_NS;
}

// Somebody over a limit gets a word, if the kernel takes it at once.
static void turn_away(struct ph_server *s, int fd)
{
    static const char busy[] =
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
        "Content-Length: 73\r\nRetry-After: 5\r\nConnection: close\r\n\r\n"
        "{\"error\":{\"code\":\"ELIMIT\",\"message\":\"too many connections, try later\"}}\r\n";
    ph_server_refused(s, PH_REFUSED_LIMIT);
    if (!s->tls) send(fd, busy, sizeof busy - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    close(fd);
}

static void accept_one(struct ph_server *s, int fd, const struct sockaddr_storage *peer)
{
    struct ph_address who = ph_address_of(peer);
    if (s->conn_count >= s->limits.connections ||
        ph_server_count_address(s, &who, false) >= s->limits.connections_per_address) {
        turn_away(s, fd);
        return;
    }
    count_add(s->accepted, 1);
    if (!ph_conn_create(s, fd, peer)) close(fd);
}

static void accept_all(struct ph_server *s)
{
    for (int i = 0; i < 64; i++) {
        struct sockaddr_storage peer = { 0 };
        socklen_t len = sizeof peer;
        int fd =
            accept4(s->listener, (struct sockaddr *) &peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            accept_one(s, fd, &peer);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            ph_warn(s->par.log, WHO, "cannot accept: %s", strerror(errno));
            watch_listener(s, false);
            return;
        } else if (errno != ECONNABORTED && errno != EINTR) {
            return;
        }
    }
}

// ------------------------------------------------------------------------------------ wake-ups

static void poke(struct ph_server *s)
{
    uint64_t one = 1;
    while (write(s->wake_fd, &one, sizeof one) < 0 && errno == EINTR) {}
}

void ph_conn_wake(struct ph_conn *c)
{
    struct ph_server *s = c->server;
    pthread_mutex_lock(&s->wake_lock);
    bool first = !s->woken, ours = s->started && pthread_equal(pthread_self(), s->thread);
    if (!c->woken) {
        c->woken = true;
        c->next_woken = NULL;
        ph_conn_ref(c);
        *s->woken_tail = c;
        s->woken_tail = &c->next_woken;
    }
    pthread_mutex_unlock(&s->wake_lock);
    if (first && !ours) poke(s);
}

static void conn_woken(struct ph_conn *c)
{
    if (c->state == CONN_DEAD) return;
    if (c->deferred && c->state == CONN_WAIT) ph_deferred_woken(c, false);
    pthread_mutex_lock(&c->lock);
    int code = c->close_code; // stays: the first one counts, and nobody writes its reason again
    pthread_mutex_unlock(&c->lock);
    if (code && !c->over) ph_ws_close(c, code, c->close_reason, false);
    if (c->tls && ph_tls_pending(c->tls))
        ph_conn_event(c, EPOLLIN);
    else
        ph_conn_pump(c);
}

static void serve_woken(struct ph_server *s)
{
    pthread_mutex_lock(&s->wake_lock);
    struct ph_conn *c = s->woken;
    s->woken = NULL;
    s->woken_tail = &s->woken;
    pthread_mutex_unlock(&s->wake_lock);
    while (c) {
        pthread_mutex_lock(&s->wake_lock);
        struct ph_conn *next = c->next_woken;
        c->woken = false;
        pthread_mutex_unlock(&s->wake_lock);
        conn_woken(c);
        ph_conn_unref(&c);
        c = next;
    }
}

// ---------------------------------------------------------------------------------------- loop

static void drain(int fd)
{
    uint64_t n;
    while (read(fd, &n, sizeof n) < 0 && errno == EINTR) {}
}

static int wait_ms(const struct ph_server *s)
{
    int64_t due = s->accept_at_ns ? s->accept_at_ns : PH_NEVER;
    for (const struct ph_conn *c = s->conns; c; c = c->next) {
        int64_t at = ph_conn_due_ns(c);
        if (at < due) due = at;
    }
    if (due == PH_NEVER) return -1;
    int64_t left = due - ph_now_ns();
    return left <= 0 ? 0 : (int) (left / PH_MS_NS > 60000 ? 60000 : left / PH_MS_NS + 1);
}

static void expire(struct ph_server *s)
{
    s->now_ns = ph_now_ns();
    if (s->accept_at_ns && s->now_ns >= s->accept_at_ns) watch_listener(s, true);
    for (struct ph_conn *c = s->conns, *next; c; c = next) {
        next = c->next;
        if (ph_conn_due_ns(c) <= s->now_ns) ph_conn_expire(c);
    }
}

static void bury(struct ph_server *s)
{
    for (struct ph_conn *c; (c = s->dead);) {
        s->dead = c->next;
        ph_conn_unref(&c);
    }
}

static void turn(struct ph_server *s, int timeout_ms)
{
    struct epoll_event events[64];
    int n = epoll_wait(s->epoll, events, 64, timeout_ms);
    s->now_ns = ph_now_ns();
    for (int i = 0; i < n; i++) {
        if (events[i].data.ptr == &s->listener)
            accept_all(s);
        else if (events[i].data.ptr == &s->wake_fd)
            drain(s->wake_fd);
        else
            ph_conn_event(events[i].data.ptr, events[i].events);
    }
    serve_woken(s);
    expire(s);
    bury(s);
}

static bool has_work(struct ph_server *s)
{
    pthread_mutex_lock(&s->wake_lock);
    bool work = s->woken != NULL;
    pthread_mutex_unlock(&s->wake_lock);
    return work;
}

static void say_goodbye(struct ph_server *s)
{
    close(s->listener);
    s->listener = -1;
    s->accept_at_ns = 0;
    s->now_ns = ph_now_ns();
    int64_t end = s->now_ns + STOP_NS;
    for (struct ph_conn *c = s->conns, *next; c; c = next) {
        next = c->next;
        ph_conn_stop(c);
    }
    bury(s);
    while (s->conns && ph_now_ns() < end) turn(s, has_work(s) ? 0 : 10);
    while (s->conns) ph_conn_kill(s->conns);
    serve_woken(s);
    bury(s);
}

static void *io_thread(void *arg)
{
    struct ph_server *s = arg;
    pthread_setname_np(pthread_self(), "ph-server");
    while (!atomic_load(&s->stopping)) turn(s, has_work(s) ? 0 : wait_ms(s));
    say_goodbye(s);
    return NULL;
}

// Signals are the main thread's; SIGPIPE above all, which TLS would raise on a dead socket.
static int start_thread(struct ph_server *s)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_mutex_lock(&s->wake_lock);
    int err = pthread_create(&s->thread, NULL, io_thread, s);
    s->started = !err;
    pthread_mutex_unlock(&s->wake_lock);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return err;
}

ph_err ph_server_start(struct ph_server *s, struct ph_fault *fault)
{
    int err = start_thread(s);
    if (err) return ph_fail(fault, PH_ENOMEM, WHO, "cannot start a thread: %s", strerror(err));
    char url[512];
    ph_server_url(s, url, sizeof url);
    url[strcspn(url, "#")] = 0; // the token is not for logs
    ph_info(s->par.log, WHO, "listening at %s", url);
    return PH_OK;
}

void ph_server_stop(struct ph_server *s)
{
    if (s->started) {
        atomic_store(&s->stopping, true);
        poke(s);
        pthread_join(s->thread, NULL);
        s->started = false;
    }
    if (s->listener >= 0) close(s->listener);
    s->listener = -1;
}

void ph_server_stats(const struct ph_server *s, struct ph_server_stats *out)
{
    *out = (struct ph_server_stats){
        .connections = s->connections,
        .viewers = s->viewers,
        .accepted = s->accepted,
        .requests = s->requests,
        .upgrades = s->upgrades,
        .sent_bytes = s->sent_bytes,
        .received_bytes = s->received_bytes,
    };
    for (int i = 0; i < PH_REFUSALS; i++) out->refused[i] = s->refused[i];
}
