// SPDX-License-Identifier: MIT
// Creating a server: its parameters, its token, its socket, its address in words.
#include "server/server_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define DEFAULT_CSP                                                                            \
    "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "                 \
    "connect-src 'self' ws: wss:; worker-src 'self' blob:; object-src 'none'; "                \
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

static struct ph_server_limits with_defaults(struct ph_server_limits l)
{
#define DEFAULT(field, value)                                                                  \
    if (l.field <= 0) l.field = value
    DEFAULT(connections, 256);
    DEFAULT(connections_per_address, 64);
    DEFAULT(viewers, 64);
    DEFAULT(viewers_per_address, 16);
    if (!l.header_bytes) l.header_bytes = 16384;
    DEFAULT(headers, 64);
    if (!l.body_bytes) l.body_bytes = 1 << 20;
    if (!l.text_bytes) l.text_bytes = 64 << 10;
    if (!l.binary_bytes) l.binary_bytes = 4 << 20;
    DEFAULT(messages_per_s, 120);
    DEFAULT(send_buffer, 256 << 10);
    DEFAULT(auth_failures_per_minute, 10);
    DEFAULT(request_ns, 10 * PH_SECOND_NS);
    DEFAULT(idle_ns, 60 * PH_SECOND_NS);
    DEFAULT(ping_ns, 20 * PH_SECOND_NS);
    DEFAULT(stall_ns, 10 * PH_SECOND_NS);
    DEFAULT(linger_ns, 2 * PH_SECOND_NS);
#undef DEFAULT
    return l;
}

static char **copy_list(const char *const *list)
{
    size_t n = 0;
    while (list && list[n]) n++;
    char **copy = calloc(n + 1, sizeof *copy);
    for (size_t i = 0; copy && i < n; i++) copy[i] = strdup(list[i]);
    return copy;
}

static void free_list(char **list)
{
    for (size_t i = 0; list && list[i]; i++) free(list[i]);
    free(list);
}

static ph_err copy_params(struct ph_server *s, const struct ph_server_params *par)
{
    s->par = *par;
    s->limits = with_defaults(par->limits);
    s->bind = strdup(par->bind ? par->bind : "127.0.0.1");
    s->csp = strdup(par->csp ? par->csp : DEFAULT_CSP);
    s->hosts = copy_list(par->hosts);
    s->origins = copy_list(par->origins);
    s->scratch = malloc(SCRATCH_BYTES);
    return s->bind && s->csp && s->hosts && s->origins && s->scratch ? PH_OK : PH_ENOMEM;
}

// ---------------------------------------------------------------------------------- the socket

static bool is_loopback(const struct sockaddr *a)
{
    if (a->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *) a;
        return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
    }
    const struct sockaddr_in6 *v6 = (const void *) a;
    return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) ||
           (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr) && v6->sin6_addr.s6_addr[12] == 127);
}

static ph_err resolve(struct ph_server *s, struct addrinfo **out, struct ph_fault *fault)
{
    char name[256], port[8];
    snprintf(name, sizeof name, "%s", s->bind);
    size_t n = strlen(name);
    if (name[0] == '[' && name[n - 1] == ']') {
        name[n - 1] = 0;
        memmove(name, name + 1, n - 1);
    }
    if (s->par.port < 0 || s->par.port > 65535)
        return ph_fail(fault, PH_EINVAL, "port", "0 … 65535, got %d", s->par.port);
    snprintf(port, sizeof port, "%d", s->par.port);
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
    // browsers and people mean 127.0.0.1 by it
    if (!strcmp(name, "localhost")) hints.ai_family = AF_INET;
    int r = getaddrinfo(name, port, &hints, out);
    if (r)
        return ph_fail(
            fault, PH_EINVAL, "bind",
            "an address of this machine, as 127.0.0.1, 0.0.0.0 or ::, got \"%s\" (%s)", s->bind,
            gai_strerror(r));
    return PH_OK;
}

static ph_err bind_failed(struct ph_server *s, int err, struct ph_fault *fault)
{
    if (err == EADDRINUSE)
        return ph_fail(fault, PH_EBUSY, "port",
                       "port %d is in use by another program: choose another one, 0 for any",
                       s->par.port);
    if (err == EACCES)
        return ph_fail(fault, PH_EINVAL, "port",
                       "port %d needs privileges: choose one above 1023", s->par.port);
    if (err == EADDRNOTAVAIL || err == EAFNOSUPPORT)
        return ph_fail(fault, PH_EINVAL, "bind", "this machine has no address %s", s->bind);
    return ph_fail(fault, PH_EIO, "bind", "%s port %d: %s", s->bind, s->par.port,
                   strerror(err));
}

static ph_err listen_at(struct ph_server *s, const struct addrinfo *at, struct ph_fault *fault)
{
    int one = 1, zero = 0;
    s->beyond_loopback = !is_loopback(at->ai_addr);
    s->listener = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->listener < 0) return bind_failed(s, errno, fault);
    setsockopt(s->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (at->ai_family == AF_INET6) // "::" takes IPv4, too
        setsockopt(s->listener, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
    if (bind(s->listener, at->ai_addr, at->ai_addrlen) || listen(s->listener, 128))
        return bind_failed(s, errno, fault);
    struct sockaddr_in6 real;
    socklen_t len = sizeof real;
    if (getsockname(s->listener, (struct sockaddr *) &real, &len))
        return bind_failed(s, errno, fault);
    s->port = ntohs(real.sin6_port); // at the same place for both families
    return PH_OK;
}

// ----------------------------------------------------------------------------------- the token

static ph_err set_token(struct ph_server *s, struct ph_fault *fault)
{
    char path[4096];
    if (s->par.token) {
        if (!ph_token_valid(s->par.token))
            return ph_fail(fault, PH_EINVAL, "token", "%d to %d of A-Z a-z 0-9 - _ . ~",
                           PH_TOKEN_MIN, PH_TOKEN_MAX);
        snprintf(s->token, sizeof s->token, "%s", s->par.token);
        return PH_OK;
    }
    if (!s->beyond_loopback) return PH_OK;
    if (s->par.insecure_no_auth) {
        ph_warn(
            s->par.log, WHO,
            "NO TOKEN IS NEEDED: everybody who reaches %s port %d sees and steers everything",
            s->bind, s->port);
        return PH_OK;
    }
    if (s->par.token_path) return ph_token_load(s->par.token_path, s->token, fault);
    ph_err ret = ph_token_default_path(path, sizeof path, fault);
    return ret < 0 ? ret : ph_token_load(path, s->token, fault);
}

static ph_err set_tls(struct ph_server *s, struct ph_fault *fault)
{
    const struct ph_server_params *p = &s->par;
    if (!p->tls_cert && !p->tls_key) return PH_OK;
    if (!p->tls_cert || !p->tls_key)
        return ph_fail(fault, PH_EINVAL, p->tls_cert ? "tls-key" : "tls-cert",
                       "certificate and key go together");
    return ph_tls_context_create(&s->tls, p->tls_cert, p->tls_key, fault);
}

static ph_err make_loop(struct ph_server *s, struct ph_fault *fault)
{
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    s->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    struct epoll_event listener = { .events = EPOLLIN, .data.ptr = &s->listener };
    struct epoll_event wake = { .events = EPOLLIN, .data.ptr = &s->wake_fd };
    if (s->epoll < 0 || s->wake_fd < 0 ||
        epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->listener, &listener) ||
        epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->wake_fd, &wake))
        return ph_fail(fault, PH_EIO, WHO, "cannot watch sockets: %s", strerror(errno));
    return PH_OK;
}

ph_err ph_server_create(struct ph_server **out, const struct ph_server_params *par,
                        struct ph_fault *fault)
{
    ph_err ret;
    struct addrinfo *at = NULL;
    struct ph_server *s = calloc(1, sizeof *s);
    *out = s;
    if (!s) return ph_fail(fault, PH_ENOMEM, WHO, "out of memory");
    s->listener = s->epoll = s->wake_fd = -1;
    s->woken_tail = &s->woken;
    pthread_mutex_init(&s->wake_lock, NULL);
    PH_TRY(copy_params(s, par) < 0 ? ph_fail(fault, PH_ENOMEM, WHO, "out of memory") : PH_OK);
    PH_TRY(set_tls(s, fault));
    PH_TRY(resolve(s, &at, fault));
    PH_TRY(listen_at(s, at, fault));
    PH_TRY(set_token(s, fault));
    PH_TRY(make_loop(s, fault));
    freeaddrinfo(at);
    return PH_OK;
fail:
    if (at) freeaddrinfo(at);
    ph_server_destroy(out);
    return ret;
}

void ph_server_destroy(struct ph_server **out)
{
    struct ph_server *s = *out;
    *out = NULL;
    if (!s) return;
    ph_server_stop(s);
    if (s->epoll >= 0) close(s->epoll);
    if (s->wake_fd >= 0) close(s->wake_fd);
    ph_tls_context_destroy(&s->tls);
    pthread_mutex_destroy(&s->wake_lock);
    free_list(s->hosts);
    free_list(s->origins);
    free(s->bind);
    free(s->csp);
    free(s->scratch);
    free(s->routes);
    free(s);
}

// ------------------------------------------------------------------------------------ in words

int ph_server_port(const struct ph_server *s)
{
    return s->port;
}

const char *ph_server_token(const struct ph_server *s)
{
    return s->token[0] ? s->token : NULL;
}

// An address that others can use, where we listen at all of them.
static void outward_address(char *text, size_t size)
{
    snprintf(text, size, "127.0.0.1");
    struct ifaddrs *list = NULL;
    if (getifaddrs(&list)) return;
    for (const struct ifaddrs *i = list; i; i = i->ifa_next) {
        if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET) continue;
        if (!(i->ifa_flags & IFF_UP) || i->ifa_flags & IFF_LOOPBACK) continue;
        inet_ntop(AF_INET, &((struct sockaddr_in *) (void *) i->ifa_addr)->sin_addr, text,
                  (socklen_t) size);
        break;
    }
    freeifaddrs(list);
}

int ph_server_url(const struct ph_server *s, char *text, size_t size)
{
    char host[256];
    const char *b = s->bind;
    if (!strcmp(b, "0.0.0.0") || !strcmp(b, "::") || !strcmp(b, "[::]"))
        outward_address(host, sizeof host);
    else if (strchr(b, ':') && b[0] != '[')
        snprintf(host, sizeof host, "[%s]", b);
    else
        snprintf(host, sizeof host, "%s", b);
    return snprintf(text, size, "%s://%s:%d/%s%s", s->tls ? "https" : "http", host, s->port,
                    s->token[0] ? "#token=" : "", s->token);
}
